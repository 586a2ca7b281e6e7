//! The ground floor: values that every other module counts on. Nothing here knows HTTP.

pub mod cells;
pub mod counter;
pub mod histogram;
pub mod ids;
pub mod limits;
pub mod mailbox;
pub mod moment;
pub mod pace;
pub mod plain;
pub mod time;
pub(crate) mod zeroed;
