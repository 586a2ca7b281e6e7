//! The registry: one thread that owns configuration and membership, and publishes what follows from them.
//!
//! ```text
//!  handlers ──propose──▶ log (orders) ──▶ registry thread: apply ─▶ publish (10 ms) ─▶ one atomic pointer ─▶ workers
//!      ▲                                        │   ▲                                                       │
//!      └──────────────── answer ────────────────┘   └── acknowledged, returned, in flight ──────────────────┘
//! ```
//!
//! - [`log`]: what is proposed, in the order in which it is applied.
//! - [`state`]: what is, and what a command makes of it; no thread, no clock.
//! - [`directory`]: who has registered, and until when that is believed; pure.
//! - [`health`]: whether each instance serves, by its probes and live requests; pure.
//! - [`consumers`]: consumers and keys that are added, rotated and revoked; pure.
//! - [`quotas`]: how much of each day and month is granted; pure.
//! - [`order`]: what instances ask for, and those who look.
//! - [`journal`]: what has changed of instances lately, for those who watch.
//! - [`keep`]: what must outlive the process, on its way to a store; [`waiting`]: who waits for that.
//! - [`probe`]: what it asks of the prober.
//! - [`checkpoint`]: all of it as a value, for a successor.
//! - [`publish`]: the pointer, what old snapshots are kept for, and when they are freed.
//! - [`notice`]: what it tells its operators.
//! - [`time`]: a time that stands still while this thread was late.
//! - [`stats`]: what is counted of all this.
//! - [`thread`]: the loop around all of these.

pub mod checkpoint;
pub mod consumers;
pub mod directory;
pub mod health;
pub mod journal;
pub mod keep;
pub mod log;
pub mod notice;
pub mod order;
pub mod probe;
pub mod publish;
pub mod quotas;
pub mod state;
pub mod stats;
pub mod thread;
pub mod time;
pub mod waiting;
