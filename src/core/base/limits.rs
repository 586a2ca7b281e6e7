//! Every limit and timeout, one line each: name, default, unit, why (rule 8).
//!
//! A default that an operator can change is named after its key in the configuration; tuning.md lists them. The
//! constants are checked against each other at the end of this file, at compile time. What nothing
//! else is held against stands beside this file: what is said and shown to people, registered instances, policies, the admin listener.

mod admin;
mod policies;
mod registry;
mod shown;

use std::time::Duration;

pub use self::admin::*;
pub use self::policies::*;
pub use self::registry::*;
pub use self::shown::*;

// Tables
/// Routes in a snapshot; ids are 16 bits.
pub const ROUTES: usize = 65_536;
/// Services in a snapshot; ids are 16 bits.
pub const SERVICES: usize = 65_536;
/// Instance slots that wait to be used again before one is, while there are others that never were: the generations of a slot
/// then last for days, at any rate of changes.
pub const FREE_SLOTS: usize = 8_192;
/// Names that routes, services and listeners may bear in the life of a process: an id is given once per name. As many as ids
/// of 16 bits; listeners are few.
pub const NAMES: usize = 65_536;
/// The same for listeners.
pub const LISTENER_NAMES: usize = 4_096;
/// Listeners; each costs one socket a worker.
pub const LISTENERS: usize = 64;
/// Instances named for one service in a configuration file.
pub const INSTANCES_PER_SERVICE: usize = 4_096;
/// Instance slots of the host, 8 bytes each: 100,000 instances, twice over while slots wait to be used again.
pub const INSTANCE_SLOTS: usize = 262_144;
/// Workers; far above any machine we know.
pub const WORKERS: usize = 1_024;
/// Networks named for one listener's trusted peers: they are tried one by one, once a connection.
pub const TRUSTED_NETWORKS: usize = 256;
/// Routes of one host and path, told apart by predicates: each is asked in turn.
pub const ROUTES_AT_ONE_PLACE: usize = 256;
/// Regular expressions that one request may be held against at one place: those of the routes of a host and path, or all paths
/// by expression of a host. Each reads the whole of a value.
pub const REGEXES_AT_ONE_PLACE: usize = 64;
/// Segments of a route's path; longer requests are matched by a tail.
pub const PATH_SEGMENTS: usize = 64;
/// The name of a parameter in a path, in bytes.
pub const PARAM_NAME_BYTES: usize = 64;
/// The text of a rewrite or a redirect, in bytes.
pub const TEMPLATE_BYTES: usize = 4_096;
/// Places in such a text that a request fills: what is made of it has at most so many times the bytes of the request's path.
pub const TEMPLATE_PLACES: usize = 16;
/// A regular expression, in bytes.
pub const REGEX_BYTES: usize = 4_096;
/// The automaton of a regular expression, in bytes, and what it takes to make it: it is whole before the first request.
pub const REGEX_AUTOMATON_BYTES: usize = 1024 * 1024;
/// Regular expressions of a configuration, equal ones counted once: more is surely a list that wants to be a service.
pub const REGEXES: usize = 4_096;
/// What it takes to make all of their automata, in bytes; what it takes to find that one is too large counts as
/// [`REGEX_AUTOMATON_BYTES`]. It decides how long the worst file is checked: some seconds.
pub const REGEX_AUTOMATA_BYTES: usize = 32 * 1024 * 1024;
/// The body of a fixed response, in bytes: it is copied into a page for each client.
pub const RESPOND_BYTES: usize = 16 * 1024;
/// The header fields of a fixed response, in bytes together: with its body they fit a page.
pub const RESPOND_HEADER_BYTES: usize = 8 * 1024;
/// Services among which a route splits its requests: they are gone through for each.
pub const SPLIT_SERVICES: usize = 64;
/// Methods that a route names: more than are registered for HTTP/1 proxies in use.
pub const ROUTE_METHODS: usize = 32;
/// Header predicates of a route, and query predicates: each is looked for in every request that comes so far.
pub const ROUTE_PREDICATES: usize = 32;
/// The name of a route, in bytes: it is made of all that the route asks for, and stands in counters, logs and explanations.
pub const ROUTE_NAME_BYTES: usize = 1_024;
/// Header fields of a fixed response.
pub const RESPOND_FIELDS: usize = 64;
/// Redirects that a client follows before it gives up; browsers end at 20.
pub const REDIRECTS_FOLLOWED: usize = 20;
/// Tests in a configuration file; each is a look-up.
pub const ROUTE_TESTS: usize = 65_536;
/// Routes in an answer of `/v1/routes` unless another number is asked for.
pub const ROUTES_PAGE: usize = 1_000;
/// Routes in such an answer at most: with the longest names, and texts as long as a configuration may hold, it has less than
/// [`ADMIN_ANSWER_BYTES`].
pub const ROUTES_PAGE_MAX: usize = 10_000;
/// Times that `coregate routes` begins anew because the routes changed between two pages; then it gives up.
pub const ROUTES_TRIES: usize = 4;
/// The name of a listener or service, or one given to a route, in bytes: it stands in logs and metrics as it is.
pub const NAME_BYTES: usize = 100;
/// The highest number of a CPU: the set of `sched_setaffinity` has 1,024 bits.
pub const CPU_MAX: usize = 1_023;
/// The stack that a configuration is read on, in bytes; it takes memory only where it is touched. The parser refuses a key of
/// 80 parts and brackets 80 deep, but not 79 keys of 79 parts in each other, and to drop those 6,241 tables takes more than the
/// 2 MiB of a common thread: a file of 13 KB would end the process.
pub const CONFIG_STACK_BYTES: usize = 64 * 1024 * 1024;
/// A configuration file, in bytes; the largest hand-written ones we know are under 1 MiB.
pub const CONFIG_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Files of a configuration, with all that are included; a team or a service each, and more is surely a wrong pattern.
pub const CONFIG_FILES: usize = 1_000;
/// Elements of all `include` together: each may list a folder.
pub const INCLUDES: usize = 1_000;
/// All files of a configuration together, in bytes: the history keeps them as one text.
pub const CONFIG_FILES_BYTES: u64 = CONFIG_FILE_BYTES;
/// Values that services, listeners and routes may take over from `[defaults]` and from each other: each is read anew, so
/// their number decides how long a file takes. A thousand services that share a thousand instances.
pub const INHERITED_VALUES: usize = 1_000_000;
/// Addresses of the admin listener: a socket, and loopback of both families.
pub const ADMIN_LISTENERS: usize = 4;
/// A secret in a file or the environment, in bytes; keys of the longest kinds in use are shorter.
pub const SECRET_BYTES: usize = 4 * 1024;
/// The path of a secret's file, in bytes: the kernel takes 4,096 with the NUL.
pub const SECRET_PATH_BYTES: usize = 4_095;
/// The name of an environment variable, in bytes; a longer one is surely not a name.
pub const VARIABLE_BYTES: usize = 255;
/// The admin token, in bytes at least: 16 characters of base64 are 96 bits, which nobody guesses.
pub const TOKEN_BYTES_MIN: usize = 16;
// Heads
/// Header fields of a request (431); of trailers too.
pub const REQUEST_FIELDS: usize = 100;
/// A request head with its request line, in bytes (431). Configurable up to [`PAGE_LARGE_BYTES`].
pub const REQUEST_HEAD_BYTES: usize = 16 * 1024;
/// A request target, in bytes (414).
pub const REQUEST_TARGET_BYTES: usize = 8 * 1024;
/// A method, in bytes (501): the longest registered one (`UPDATEREDIRECTREF`) has 17.
pub const METHOD_BYTES: usize = 32;
/// The least that [`REQUEST_HEAD_BYTES`] can be set to: browsers send that much.
pub const REQUEST_HEAD_BYTES_MIN: u64 = 1024;
/// The name of a host in text, in bytes: RFC 1035 §2.3.4.
pub const DOMAIN_BYTES: usize = 253;
/// A host, in bytes: RFC 1035 §2.3.4 allows 255 with its dots.
pub const HOST_BYTES: usize = 255;
/// Options in the `Connection` fields of a head (400): more is nothing but work for us.
pub const CONNECTION_OPTIONS: usize = 32;
/// Times that a request may come through this process; once more is a loop (508). Twice is how an instance may reach
/// another service.
pub const OWN_VIA: usize = 1;
/// Empty lines before a request line (RFC 9112 §2.2 asks to ignore at least one).
pub const LEADING_EMPTY_LINES: usize = 4;
/// Header fields of an upstream's answer (502).
pub const RESPONSE_FIELDS: usize = 200;
/// An upstream's response head, in bytes (502).
pub const RESPONSE_HEAD_BYTES: usize = 64 * 1024;
/// Interim (1xx) answers before a final one (502).
pub const INTERIM_RESPONSES: usize = 32;
/// A PROXY protocol header of version 2 behind its fixed 16 bytes: senders keep the whole within TCP's smallest segment,
/// which has 536, so that it is never split; the longest addresses have 216, the rest is TLVs that nobody reads.
pub const PROXY_HEADER_BYTES: usize = 536;

/// Pipelined requests answered in one turn, where nothing else makes a connection wait for the others.
pub const PIPELINED_PER_TURN: u32 = 16;

// Bodies
/// Chunk extensions of a whole message, in bytes (400); nobody reads them.
pub const CHUNK_EXTENSION_BYTES: usize = 4 * 1024;
/// A trailer section, in bytes (400).
pub const TRAILER_BYTES: usize = 4 * 1024;
/// Unread request body that is read and dropped to save a connection, in bytes; else it is closed.
pub const DRAIN_BYTES: u64 = 64 * 1024;
/// What is read and dropped before a connection is closed, so that an answer is not lost; then it is reset.
pub const LINGER_BYTES: usize = 1024 * 1024;
/// Pieces of a body relayed in one go on epoll, where a peer that is always ready would keep the worker to itself.
pub const PIECES_PER_TURN: u32 = 64;
/// The least that a client must send or take of a body, in bytes a second (408, or a cut connection), 0 for none:
/// `limits.body_rate`. Below the slowest line in use; bytes that only trickle to hold a connection stay under it.
pub const BODY_RATE: u64 = 1024;
/// What a client's socket holds unsent before it counts as full, in bytes. Without it the kernel's buffer grows to megabytes, of
/// which a slow reader would have to take a third within [`BODY_TIMEOUT`]; of this it is half, at about [`BODY_RATE`].
pub const NOT_SENT_BYTES: u32 = 128 * 1024;
/// The highest rate that can be asked for, in bytes a second.
pub const BODY_RATE_MAX: u64 = 100 * 1024 * 1024;
/// How long a body is slower than that before it is held against its client: lines pause and windows start small.
pub const BODY_RATE_GRACE: Duration = Duration::from_secs(10);
/// The time that such a drain, or a lingering close, may take.
pub const DRAIN_TIME: Duration = Duration::from_secs(1);

// Buffers
/// What an idle connection waits with, in bytes: holds most requests whole, copied once into a page.
pub const RECEIVE_CELL_BYTES: usize = 512;
/// What is kept of a short head while a body is waited for, in bytes.
pub const SLIP_BYTES: usize = 512;
/// The same of a longer one; holds most of them.
pub const NOTE_BYTES: usize = 1024;
/// The page a head begins with, in bytes.
pub const PAGE_SMALL_BYTES: usize = 4 * 1024;
/// The page a long head moves to, in bytes.
pub const PAGE_MEDIUM_BYTES: usize = 16 * 1024;
/// The page the longest head moves to, in bytes.
pub const PAGE_LARGE_BYTES: usize = 64 * 1024;
/// The buffer a body is relayed through at first, in bytes.
pub const RELAY_SMALL_BYTES: usize = 16 * 1024;
/// The same once the body has proved long.
pub const RELAY_MEDIUM_BYTES: usize = 64 * 1024;
/// The same for the longest bodies.
pub const RELAY_LARGE_BYTES: usize = 256 * 1024;
/// What a worker's relays may hold in buffers above the small size, in bytes: 2,000 x 256 KiB would be 512 MB.
pub const RELAY_BUDGET_BYTES: usize = 4 * 1024 * 1024;
/// Free relay buffers that a worker keeps of each size above the small one.
pub const FREE_LARGE_RELAYS: usize = 4;
/// What the gateway adds to a head, at most, in bytes: so much room is made beside what came.
pub const HEAD_EXTRAS_BYTES: usize = 1024;
/// What a worker keeps of each kind of free buffer, in bytes.
pub const FREE_LIST_BYTES: usize = 16 * 1024 * 1024;
/// Free buffers of each kind, and exchange slots, that a worker keeps though nobody has used them for a while.
pub const FREE_KEPT: usize = 64;
/// Exchange slots that a worker keeps when they are free.
pub const FREE_EXCHANGES: usize = 4_096;

// Connections
/// Connections waiting to be accepted, a listening socket; the kernel's default of 128 (Rust's) loses SYNs in a burst.
pub const BACKLOG: i32 = 4_096;
/// How long a reload waits for addresses that are taken: the ring of a killed process outlives it for a moment.
pub const BIND_TIME: Duration = Duration::from_millis(500);
/// How long a start waits for them, which holds nothing yet: where the CPUs are busy, such a ring was seen to take more than half a
/// second to end, and a start that is refused is a restart that takes longer still.
pub const BIND_TIME_START: Duration = Duration::from_secs(2);
/// How often it tries meanwhile.
pub const BIND_AGAIN: Duration = Duration::from_millis(20);
/// Silence on a TCP connection, either side's, before the kernel asks whether its peer is still there: as long as `timeout.idle`,
/// so that it is tunnels and long answers that are asked about. Kernels wait for two hours.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Time between two such questions.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Questions without an answer before the peer is taken for gone: a line may lose some.
pub const KEEPALIVE_PROBES: u32 = 6;
/// How long a TCP peer may leave data without acknowledging or taking any of it (`TCP_USER_TIMEOUT`): kernels try for about
/// 15 minutes. It counts for keep-alive too, where it stands in for the number of probes; so it is as long as those take. Linux
/// ends peers by it that are there and take nothing; ours end first by `timeout.body`, unless that is set higher.
pub const USER_TIMEOUT: Duration = Duration::from_secs(120);
/// Connections accepted in one wake of a listener, so that a burst does not starve those that are served.
pub const ACCEPTS_PER_WAKE: usize = 64;
/// Wakes of a listener in which nothing is there to accept, before others have a turn: workers that share a socket are all woken
/// by one connection, so a few are nothing unusual.
pub const ACCEPTS_OF_NOTHING: u32 = 16;
/// How long a worker accepts from a listening socket that is about to be closed, in which no handshake begins any more: one
/// that has begun takes a round trip. Less than [`BIND_TIME`], so that a reload can bring the address back at once.
pub const ACCEPT_LAST: Duration = Duration::from_millis(100);
/// How long a worker stops accepting when descriptors have run out (`EMFILE`): a bare loop burns a core.
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// Idle connections of clients closed at a time, the longest idle first, when descriptors or permits have run out: one at
/// first, then twice as many each time that more are needed at once, up to this.
pub const SHED_AT_ONCE: usize = 64;
/// How long a new connection waits for the permit of one that is closed for it; then it is turned away.
pub const SHED_TIME: Duration = Duration::from_millis(100);
/// How long other workers are not asked for room after they had none.
pub const SHED_PAUSE: Duration = Duration::from_secs(1);
/// How often it is said that descriptors or connections have run out.
pub const COMPLAIN_EVERY: Duration = Duration::from_secs(1);
/// Descriptors kept back from the connection limit, for files, control, and connects in flight.
pub const RESERVED_DESCRIPTORS: u64 = 64;
/// Descriptors that a worker has for itself: ring, timer, doorbell, and copies of them.
pub const WORKER_DESCRIPTORS: u64 = 8;
/// The connection limit where descriptors are so few that less than this would be left.
pub const CONNECTIONS_MIN: u64 = 16;
/// The most connections that can be asked for: the kernel's own ceiling of descriptors (`fs.nr_open` can go to 2^30).
pub const CONNECTIONS_MAX: u64 = 1 << 30;
/// Descriptors counted with where the process has no limit on them: what the kernel gives by default at most.
pub const DESCRIPTORS: u64 = 1 << 20;
/// How long a connect waits when descriptors have run out and idle connections were closed for it.
pub const DESCRIPTOR_PAUSE: Duration = Duration::from_millis(10);
/// A worker hands a fresh connection to another that has fewer than it has by more than this many, and an eighth.
pub const HAND_OVER_GAP: u64 = 4;
/// Requests on one client connection, then it is closed: `limits.requests`. So clients come back to be spread anew.
pub const REQUESTS_PER_CONNECTION: u32 = 10_000;
/// Parts of old snapshots that a worker has given back and control has not freed yet; beyond it the worker frees them itself.
pub const RETURNED: usize = 16_384;
/// Commands that wait for the registry; more are refused.
pub const PROPOSALS: usize = 4_096;
/// Snapshots are published no more often than this, with all that came meanwhile.
pub const PUBLISH_EVERY: Duration = Duration::from_millis(10);
/// A worker that has not acknowledged a snapshot after this is woken for it, and again each time that this has passed.
pub const ACKNOWLEDGE_TIME: Duration = Duration::from_millis(100);
/// Old snapshots kept for workers that may still read them; beyond it the oldest is let go, and freed by who read it last.
pub const RETIRED_SNAPSHOTS: usize = 1_024;
/// How often the registry looks around when nothing happens.
pub const REGISTRY_TICK: Duration = Duration::from_secs(1);
/// How late the registry thread may be before that time is not counted against others.
pub const REGISTRY_SLACK: Duration = Duration::from_millis(10);
/// Instance slots looked at in one turn of the registry, to be free again; and returned parts freed, of each worker.
pub const RECLAIM_AT_ONCE: usize = 4_096;
/// Connections on their way to a worker from others, which serve them themselves when there is no room.
pub const MAILBOX_MESSAGES: usize = 1_024;
/// Orders waiting for a worker: a reload may give one for every socket, drains that end together one for every instance.
pub const MAILBOX_ORDERS: usize = 4_096;
/// Idle upstream connections kept per instance and worker: `pool.idle_per_worker`.
pub const POOL_IDLE_PER_WORKER: usize = 1_024;
/// The most that it can be set to: there are no more ports to come from.
pub const POOL_IDLE_PER_WORKER_MAX: u64 = 65_535;
/// An idle upstream connection is used no longer after this: `pool.idle`.
pub const POOL_IDLE: Duration = Duration::from_secs(60);
/// An upstream connection is closed after this, however busy, so that balancing follows restarts: `pool.age`.
pub const POOL_AGE: Duration = Duration::from_secs(3600);
/// Attempts at one request, the first included.
pub const ATTEMPTS: u32 = 2;
/// The most that a service may ask for: each is another second that a client waits.
pub const ATTEMPTS_MAX: u32 = 10;

// Times
/// A request head, from its first byte (408): `timeout.head`.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection without a request: `timeout.idle`.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two pieces of a body, in each direction, a reader that stops included: `timeout.body`.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// The same once one side has said that it says no more: few wait longer for the other's last words, and clients that left
/// look just so.
pub const TUNNEL_HALF_CLOSED: Duration = Duration::from_secs(300);
/// A connect (504): `timeout.connect`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// From the request to the answer's head (504): `timeout.first_byte`.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(60);
/// A tunnel (WebSocket, a TCP route) in which nothing moves either way: `timeout.tunnel`. People leave tabs open.
pub const TUNNEL_IDLE: Duration = Duration::from_secs(3600);
/// The most any timeout can be set to; more is surely a mistake in the unit.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long readiness is false while connections are still accepted, before a stop: `runtime.drain_delay`. What sends clients
/// here asks every few seconds.
pub const DRAIN_DELAY: Duration = Duration::from_secs(5);
/// What is in flight when the process is told to stop may finish in this: `runtime.drain`.
pub const SHUTDOWN_TIME: Duration = Duration::from_secs(30);
/// How long a connection that waits for a request is kept, once the process stops, for one that may be on its way: its answer
/// says that it is the last.
pub const DRAIN_IDLE: Duration = Duration::from_secs(5);
/// How long a reload waits for every worker to have it, before it says so.
pub const RELOAD_TIME: Duration = Duration::from_secs(1);
/// Configurations that can be gone back to.
pub const HISTORY: usize = 20;
/// The texts of all of them, in bytes; the oldest go first.
pub const HISTORY_BYTES: usize = 64 * 1024 * 1024;
/// How often a watched file is looked at.
pub const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How often workers are asked for a sign of life, and looked at.
pub const WATCHDOG_EVERY: Duration = Duration::from_secs(1);
/// Questions from the admin listener that wait for the server's thread; more are refused.
pub const QUESTIONS: usize = 64;
/// How long a command waits for the process that it asks; a reload of the largest file takes seconds.
pub const COMMAND_TIME: Duration = Duration::from_secs(60);
/// How much longer the process waits for its workers than they wait for their connections.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// The time in which deaths of workers are counted together.
pub const WORKER_DEATH_WINDOW: Duration = Duration::from_secs(60);
/// Pools are swept this often, while they hold anything.
pub const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Idle connections of a pool that a sweep looks at, the longest idle first: each is a system call.
pub const SWEEP_LOOKS: usize = 64;
/// What one part of a sweep may cost, in instances that are passed by (20 ns each): no request waits longer than that for it.
pub const SWEEP_AT_ONCE: usize = 4_096;
/// What looking at a connection costs in these: a system call, and memory that nothing has touched for long (1.6 µs, measured).
pub const SWEEP_LOOK_COST: usize = 64;
/// What closing a connection costs in these (9 to 18 µs, seen on a loaded machine): a part closes 16.
pub const SWEEP_CLOSE_COST: usize = 256;
/// What mending a service costs in these, for each instance of the chunks that changed: two searches, and memory (40 ns).
pub const SWEEP_MEND_COST: usize = 2;
/// Connections of a pool that are passed by, beyond those looked at, for one of these (5 ns each).
pub const SWEEP_PASSED: usize = 4;
/// Slots that are looked at in a row for connections to be ended (20 ns each): a worker may have a hundred thousand.
pub const END_LOOKS: usize = 4_096;
/// Connections that are ended in a row so: each is a system call that sends a segment (10 µs, measured), and wakes a task.
pub const END_AT_ONCE: usize = 32;
/// Connections of a pool that one request closes because they are unfit (10 µs each); more are left to the sweep.
pub const POOL_CLOSES: usize = 16;
/// A worker that died is made anew, but not more often than this in a minute: then the process gives up (exit 70).
pub const WORKER_DEATHS_PER_MINUTE: usize = 10;

// Upgrades
/// From the start of a new binary until it is ready to serve; then it is ended, and the old one goes on.
pub const UPGRADE_TIME: Duration = Duration::from_secs(30);
/// How long a new process that failed may take to leave by itself, so that its exit status can be told; then it is killed.
pub const UPGRADE_EXIT: Duration = Duration::from_secs(1);
/// What is handed to a new process beside descriptors, in bytes: the registry's checkpoint and the texts of the history are most of it.
pub const HANDOVER_BYTES: usize = 256 * 1024 * 1024;
/// Any other message between the two, in bytes: the longest tells why a start failed.
pub const HANDOVER_WORD_BYTES: usize = 64 * 1024;
/// Descriptors in one message; the kernel takes 253 (`SCM_MAX_FD`).
pub const HANDOVER_BATCH: usize = 128;
/// Descriptors handed over in all: of every listener one for every worker.
pub const HANDOVER_DESCRIPTORS: usize = LISTENERS * WORKERS;

// Rings
/// Submission queue of a worker's ring, in entries.
pub const RING_ENTRIES: u32 = 1_024;
/// Completion queue, in entries: thousands of armed receives overflow the default of twice the submission queue.
pub const RING_COMPLETIONS: u32 = 8_192;
/// Both, in entries, where memory for locked pages is short.
pub const RING_ENTRIES_SMALL: u32 = 256;

const _: () = {
    assert!(REQUEST_HEAD_BYTES <= PAGE_LARGE_BYTES && RESPONSE_HEAD_BYTES <= PAGE_LARGE_BYTES);
    assert!(PAGE_LARGE_BYTES <= u16::MAX as usize + 1, "spans are 16 bits");
    assert!(RECEIVE_CELL_BYTES <= PAGE_SMALL_BYTES);
    assert!(REQUEST_TARGET_BYTES < REQUEST_HEAD_BYTES);
    assert!(REQUEST_FIELDS <= RESPONSE_FIELDS);
    assert!(RELAY_LARGE_BYTES <= RELAY_BUDGET_BYTES);
    assert!(BODY_RATE_GRACE.as_secs() < BODY_TIMEOUT.as_secs(), "the rate is what ends a trickle");
    let probes = KEEPALIVE_PROBES as u64 * KEEPALIVE_INTERVAL.as_secs();
    assert!(KEEPALIVE_IDLE.as_secs() + probes == USER_TIMEOUT.as_secs());
    assert!(USER_TIMEOUT.as_secs() > BODY_TIMEOUT.as_secs(), "our own deadlines say why");
    assert!(TUNNEL_IDLE.as_secs() <= TIMEOUT_MAX.as_secs());
    assert!(SHUTDOWN_TIME.as_secs() <= TIMEOUT_MAX.as_secs());
    assert!(TOKEN_BYTES_MIN < SECRET_BYTES);
    assert!(ADMIN_TCP_OF_16 < 16 && ADMIN_WATCHERS_OF_16 < ADMIN_TCP_OF_16);
    // A name twice, in JSON, and what stands around; a file may be all texts, written with escapes, twice.
    let routes = ROUTES_PAGE_MAX * (2 * ROUTE_NAME_BYTES + 256);
    assert!(
        routes + 2 * CONFIG_FILES_BYTES as usize <= ADMIN_ANSWER_BYTES
            && ROUTES_PAGE <= ROUTES_PAGE_MAX
    );
    assert!(ADMIN_TURN_TIME.as_secs() < COMMAND_TIME.as_secs(), "who waits is told why it failed");
    // A service's name, an address of 112 bytes with "unix:", and what JSON puts around them.
    assert!(MEMBERSHIP_BATCH * (HOST_BYTES + 112 + 128) <= ADMIN_BODY_BYTES);
    assert!(LEASE_STEP.as_millis() * 10 <= LEASE_MIN.as_millis() && LEASE_MIN.as_secs() >= 1);
    // Escaped at worst, with what JSON puts around each instance.
    assert!(2 * REGISTRY_TEXT_BYTES + INSTANCE_SLOTS * 400 + HISTORY_BYTES <= HANDOVER_BYTES);
    assert!(HANDOVER_BATCH <= 253 && HANDOVER_WORD_BYTES <= HANDOVER_BYTES);
    assert!(HANDOVER_BYTES <= u32::MAX as usize, "lengths are 32 bits");
    assert!(RING_ENTRIES.is_power_of_two() && RING_COMPLETIONS.is_power_of_two());
};
