//! Limits of the admin listener.

use std::time::Duration;

/// Connections to the admin listener at once, over all of its sockets; further ones wait to be accepted. A registry has
/// one for each process that registers or watches; where an eighth of the process's descriptors is less, it is that, or what
/// `connections` leaves.
pub const ADMIN_CONNECTIONS: usize = 16_384;
/// The least that there are, however few descriptors there may be.
pub const ADMIN_CONNECTIONS_MIN: usize = 64;
/// So many of 16 of them may come over TCP, where anyone on the host can connect: the rest is left to the Unix socket.
pub const ADMIN_TCP_OF_16: usize = 14;
/// So many of 16 of them may watch: the rest is left to those who ask, renew and probe.
pub const ADMIN_WATCHERS_OF_16: usize = 12;
/// Bodies that are read or being answered at once, of those that are larger than [`ADMIN_SMALL_BODY_BYTES`]; others wait.
/// It bounds their memory, as the number of connections no longer does. Those whose token is still to be compared have as
/// many places of their own.
pub const ADMIN_LARGE_BODIES: usize = 32;
/// A body that waits for no such place, in bytes: what a registration has.
pub const ADMIN_SMALL_BODY_BYTES: usize = 8 * 1024;
/// A request's head to the admin listener, in bytes (431).
pub const ADMIN_HEAD_BYTES: usize = 16 * 1024;
/// Header fields of such a head (431).
pub const ADMIN_FIELDS: usize = 64;
/// A request's body to the admin listener, in bytes (413); [`MEMBERSHIP_BATCH`] changes with the longest names fit.
pub const ADMIN_BODY_BYTES: usize = 1024 * 1024;
/// The head of a request to the admin listener, from its first byte; then the connection is closed.
pub const ADMIN_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The body of one, whole (408).
pub const ADMIN_BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection to the admin listener on which no byte moves while nothing is being answered: idle ones, and readers that stop.
pub const ADMIN_IDLE: Duration = Duration::from_secs(60);
/// How often such a connection is looked at: so much later than they say these timeouts hold.
pub const ADMIN_LOOK_EVERY: Duration = Duration::from_secs(1);
/// What a question to the server may take (504): an upgrade waits for a process to become ready and another to drain.
pub const ADMIN_ANSWER_TIME: Duration = Duration::from_secs(300);
/// How long a look at every route waits for those before it (503): one takes less than a second, and each may have to wait
/// for as many as there are connections.
pub const ADMIN_TURN_TIME: Duration = Duration::from_secs(30);
/// What a client is told to wait for when the queue of questions is full.
pub const ADMIN_RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a worker may take to answer a ping and still be alive.
pub const PING_TIME: Duration = Duration::from_secs(1);
/// Pings are not sent more often: who asks in between is told of the last.
pub const PING_EVERY: Duration = Duration::from_millis(100);
/// How often it is looked whether a ping was answered.
pub const PING_LOOK_EVERY: Duration = Duration::from_millis(5);
/// Changes of membership in one request to the admin listener.
pub const MEMBERSHIP_BATCH: usize = 1_000;
/// An answer of the admin listener that a command takes, in bytes: the metrics of [`WORKERS`] workers have 4 MiB (measured), and
/// `/v1/workers` has every bucket of their histograms beside.
pub const ADMIN_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// How long a service is looked at by who asks for its load: what a rate is counted over.
pub const LOAD_WINDOW: Duration = Duration::from_secs(1);
