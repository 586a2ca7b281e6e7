//! `live`: what changes while clients are being served, and whether they notice.
//!
//! Configurations that are reloaded, generations that pass under open tunnels, binaries that are upgraded, stops, instances that
//! register, and instances that are killed.
//! Every bar runs the real binary between clients and origins of this program, and judges as a client must: an answer that
//! is not the right one, a connection that ends without having been announced (`Connection: close` on the answer before), a
//! connect that is refused where somebody listens. Clients retry nothing.
//!
//! ```text
//!   driver (main thread) ──admin socket, signals──▶ gateway, and its successors: our children (subreaper)
//!        │ ages: what may be seen now                 ▲            │
//!        └──▶ crowd (a thread, one epoll) ────────────┘            └──▶ origins (a thread, one epoll)
//! ```
//!
//! Threads are begun after the gateway was started and have ended before the next one is: forks come from the only thread.

pub mod admin;
pub mod age;
pub mod answer;
pub mod bars;
pub mod crowd;
pub mod figures;
pub mod line;
pub mod memory;
pub mod origins;
pub mod place;
pub mod slots;
