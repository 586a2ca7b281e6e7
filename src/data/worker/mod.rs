//! What a worker owns. One thread, one runtime, no locks: everything here is used by one thread only, except counters
//! (one writer), the mailbox and the connection permits.

pub mod accounts;
pub mod ask;
pub mod buffers;
pub mod clock;
pub mod context;
pub mod counted;
pub mod ending;
pub mod event;
pub mod free;
pub mod graveyard;
pub mod heart;
pub mod holdings;
pub mod kept;
pub mod leaving;
pub mod listeners;
pub mod notes;
pub mod post;
pub mod rest;
pub mod runtime;
pub mod serve;
pub mod services;
pub mod slots;
pub mod stats;
pub mod sweep;
pub mod turn;
pub mod verified;
pub mod wheel;
pub mod wire;
