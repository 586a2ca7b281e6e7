//! Bounds of policies: consumers, keys, rates, and the words that they are counted in.

use std::time::Duration;

// Consumers
/// Consumers of a configuration, and those that were added beside it, each by itself.
pub const CONSUMERS: usize = 65_536;
/// Keys of all consumers: the table of them is made anew when one changes, about 100 ns each.
pub const KEYS: usize = 262_144;
/// Keys of one consumer: an old and a new one, one a place of use.
pub const KEYS_OF_CONSUMER: usize = 16;
/// Groups of one consumer: each is looked for in the lists of a route.
pub const GROUPS_OF_CONSUMER: usize = 16;
/// A consumer's or a group's name, in bytes; the former is written into a header field of each request.
pub const CONSUMER_NAME_BYTES: usize = 64;
/// Ways to find out who calls.
pub const AUTHS: usize = 1_024;
/// What such a way is called towards clients, in bytes: it stands in a header field of an answer.
pub const REALM_BYTES: usize = 64;
/// Places where one of them looks for a key.
pub const KEY_PLACES: usize = 4;
/// Consumers and groups that a route lets in, and as many that it does not.
pub const PRINCIPALS: usize = 64;
/// A key that a client shows, in bytes: more is not hashed, and nobody's.
pub const KEY_BYTES_MAX: usize = 4_096;
/// A key in a configuration, in bytes at least: a shorter one can be guessed from its digest.
pub const KEY_BYTES_MIN: usize = 16;
/// A key that we make, in bytes of randomness.
pub const KEY_BYTES: usize = 24;
/// Keys that are remembered as revoked. Where there is no room for one more, those are forgotten that nobody holds.
pub const REVOKED_KEYS: usize = 65_536;
/// How long the old keys of a consumer go on beside a new one, where nobody says: a day to bring the new one to every place of use.
pub const ROTATE_GRACE: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest that they may, and the longest that a key may be asked for: what should go on for ever does not expire.
pub const KEY_LIFE_MAX: Duration = Duration::from_secs(3_660 * 24 * 60 * 60);
/// Failed authentications of one address a second ...
pub const FAILURES_A_SECOND: u64 = 20;
/// ... and at once.
pub const FAILURES_BURST: u64 = 20;
/// Digests of keys that a worker has found good lately: those alone are looked up for an address that has failed too often.
pub const VERIFIED_KEYS: usize = 4_096;

// Rates
/// Rates of a configuration, those that stand under routes included.
pub const RATES: usize = 65_536;
/// Rates of one route: each is looked at twice a request.
pub const RATES_OF_ROUTE: usize = 8;
/// Groups that have terms of their own in a rate.
pub const GROUPS_OF_RATE: usize = 16;
/// What a rate tells buckets apart by.
pub const PER_OF_RATE: usize = 4;
/// Tokens of a rate, and of a burst.
pub const RATE_TOKENS: u64 = 1_000_000_000;
/// So much of a rate's name is shown to clients, in bytes, where it is: it stands twice among what is added to a head.
pub const RATE_NAME_SHOWN_BYTES: usize = 64;
/// Routes that metrics tell of what rates said of their requests: three series each, those of all others are one more.
pub const DECIDED_ROUTES_SHOWN: usize = 3_332;
/// The longest time that a rate speaks of: longer ones are quotas.
pub const RATE_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest time in which a rate's burst comes again: ten years, in ns a fifteenth of what a bucket's word can count; owed tokens take twice
/// as long.
pub const RATE_FILL: Duration = Duration::from_secs(3_660 * 24 * 60 * 60);

/// Routes of a limit that are listed with it.
pub const LIMIT_ROUTES_SHOWN: usize = 100;

// The tables of buckets, in the memory that all workers share
/// Buckets of consumers, routes and services: 16 bytes each, of which only those are touched that are used.
pub const KNOWN_BUCKETS: usize = 262_144;
/// Buckets of what clients choose, addresses and header values: one that is full may be another's, so this bounds who has spent
/// lately, not who comes.
pub const STRANGER_BUCKETS: usize = 1_048_576;
/// Buckets that one request may be in, which is what a full table is shared by.
pub const BUCKETS_OF_SET: usize = 4;
/// Buckets that a worker holds leased tokens of.
pub const LEASED_BUCKETS: usize = 4_096;
/// A worker leases a burst divided by this, and by the workers.
pub const LEASE_SHARE: u64 = 100;

// Bulkheads
/// `service` and `instance` of a bulkhead at most: a quarter of what a word can count.
pub const BULKHEAD_MAX: u64 = 1_000_000;
/// Connections to one instance, on the host, where its service has a bulkhead.
pub const BULKHEAD_CONNECTIONS: u64 = 1_024;
/// Of the connections that an instance may have, each worker keeps this part idle at most, divided by the workers: what lies idle in
/// the pool of one worker is out of reach for the others.
pub const BULKHEAD_IDLE_SHARE: u64 = 2;
/// Requests that wait for a service, on the host.
pub const BULKHEAD_QUEUE: u64 = 100;
/// The most that may be asked for. A longer queue would only make all of them wait longer; and a word has 10 bits for it.
pub const BULKHEAD_QUEUE_MAX: u64 = 1_000;
/// How long a request waits at most ...
pub const BULKHEAD_WAIT: Duration = Duration::from_millis(100);
/// ... and the most that may be asked for: above it clients have gone.
pub const BULKHEAD_WAIT_MAX: Duration = Duration::from_secs(60);
/// Where the queue was not empty for as long as one may wait, one may only wait for this part of it.
pub const BULKHEAD_STANDING_SHARE: u32 = 4;
/// Instances that are looked at for one with room, a request: a service with more, all of them full, is looked through in parts.
pub const BULKHEAD_LOOKS: usize = 256;
/// Services whose bulkheads metrics tell of: at most 10,000 series a metric.
pub const BULKHEADS_SHOWN: usize = 10_000;
/// Groups that have a priority in a service.
pub const GROUPS_OF_BULKHEAD: usize = 16;
/// How often a worker looks whether a set of buckets is locked still, about 50 ns each: it is held for less than one.
pub const LOCK_TRIES: usize = 1_000;
/// When to come again who was refused because it was.
pub const LOCK_WAIT: Duration = Duration::from_millis(1);
/// Buckets that a worker has of its own, for limits of `scope = "worker"`: of what the configuration names, and as many of strangers; 16 bytes
/// each, of which only those are touched that are used.
pub const WORKER_BUCKETS: usize = 65_536;

// Connections
/// Addresses of which connections are counted at once, each by itself: 8 bytes each, of which only those are touched that are used. More than a
/// host has connections, as a rule; where more are in use than fit, some share a count.
pub const CONNECTION_ADDRESSES: usize = 262_144;
/// `connections_per_address` at most: a word has 16 bits for it.
pub const CONNECTIONS_PER_ADDRESS_MAX: u64 = 65_535;
/// `connections` of a listener at most: above what a process can open.
pub const CONNECTIONS_OF_LISTENER_MAX: u64 = 100_000_000;
/// The bits of an IPv6 address that tell clients apart: a household or a server has as many addresses below them as it likes.
pub const CLIENT_PREFIX_BITS: u32 = 64;
// Quotas
/// Quotas of a configuration.
pub const QUOTAS: usize = 1_024;
/// Quotas of one route.
pub const QUOTAS_OF_ROUTE: usize = 4;
/// Keys of all quotas in their present periods: each has a word of its own in the memory that all workers share, and an entry in the registry
/// and the store. One more is refused.
pub const QUOTA_KEYS: usize = 32_768;
/// Tokens of a quota: what a word can hold.
pub const QUOTA_TOKENS: u64 = 1_000_000_000_000;
/// What a request may cost: at most a lease, so that one grant is enough.
pub const QUOTA_COST: u64 = 1_000;
/// A lease is a quota divided by this: what a crash may lose ...
pub const QUOTA_LEASE_SHARE: u64 = 100;
/// ... and at most so much: a million requests an hour are then some hundreds of commits.
pub const QUOTA_LEASE: u64 = 1_000;
/// Before another process goes on, so much of a quota is granted to each key, at most a lease: until that one serves, nothing can be.
pub const QUOTA_RESERVE_SHARE: u64 = 20;
/// Keys of quotas whose slots a worker knows; it asks for the others anew.
pub const QUOTA_PLACES: usize = 8_192;
/// How long a request waits until more of its quota is granted; then it is refused. A commit of the store takes some milliseconds, and some hundreds on a
/// disk that others write to.
pub const QUOTA_WAIT: Duration = Duration::from_millis(500);
/// How long a worker waits until it asks again for more of a quota that is not used up yet.
pub const QUOTA_AHEAD: Duration = Duration::from_millis(50);

// Asking: how requests wait for the registry's thread
/// Questions of all workers that wait to be read.
pub const DESK_QUESTIONS: usize = 4_096;
/// Answers that wait for one worker.
pub const ANSWERS: usize = 1_024;
/// Requests of one worker that wait for an answer.
pub const ASKERS: usize = 1_024;
