//! What the tests stand on. Nothing here uses the gateway's own code, nor httparse.

pub mod admin;
pub mod client;
pub mod clock;
pub mod dns;
pub mod gateway;
pub mod origin;
pub mod pattern;
pub mod process;
pub mod run;
pub mod socket;
pub mod told;
pub mod tunnel;
pub mod upgraded;

#[cfg(test)]
mod tests;
