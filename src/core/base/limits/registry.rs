//! Limits of registered instances.

use std::time::Duration;

use super::TIMEOUT_MAX;

/// The id of an instance, in bytes; by default it is the instance's address.
pub const INSTANCE_ID_BYTES: usize = 255;
/// How long a lease lasts that says nothing of it: Eureka's.
pub const LEASE: Duration = Duration::from_secs(90);
/// The shortest lease: what is renewed three times within it is renewed three times a second.
pub const LEASE_MIN: Duration = Duration::from_secs(1);
/// The longest; who is silent for longer than a day is gone.
pub const LEASE_MAX: Duration = TIMEOUT_MAX;
/// Renewals that an instance is asked to send within its lease: one or two may be lost.
pub const LEASE_RENEWALS: u32 = 3;
/// Leases end on multiples of this, up to so much later than they say: the registry wakes for them no more often.
pub const LEASE_STEP: Duration = Duration::from_millis(100);
/// Leases that are looked at in one turn of the registry: when all instances fall silent at once, others wait for no more.
pub const LEASES_AT_ONCE: usize = 1_024;
/// The weight of an instance, at most.
pub const INSTANCE_WEIGHT: u32 = 65_535;
/// A zone, a version or a tag of an instance, in bytes.
pub const INSTANCE_WORD_BYTES: usize = 255;
/// Tags of an instance.
pub const INSTANCE_TAGS: usize = 64;
/// Metadata of an instance, in pairs: Consul's.
pub const METADATA_PAIRS: usize = 64;
/// The key of such a pair, in bytes: Consul's, as that of its value is.
pub const METADATA_KEY_BYTES: usize = 128;
/// Its value, in bytes.
pub const METADATA_VALUE_BYTES: usize = 512;
/// The texts of all instances together, in bytes: they have to fit [`HANDOVER_BYTES`](super::HANDOVER_BYTES). 335 for each of 100,000.
pub const REGISTRY_TEXT_BYTES: usize = 32 * 1024 * 1024;
/// The latest changes of an instance's status that are kept.
pub const TRANSITIONS: usize = 8;
/// Instances, or services, in one answer of the admin listener; the next page begins after the last of them.
pub const REGISTRY_PAGE: usize = 1_000;
/// From one probe of an instance to the next.
pub const PROBE_EVERY: Duration = Duration::from_secs(5);
/// The shortest such time: one connect a tenth of a second is as much as an instance should bear.
pub const PROBE_EVERY_MIN: Duration = Duration::from_millis(100);
/// What a probe may take.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Probes that must pass in a row until an instance that was down is up: HAProxy's.
pub const PROBE_RISE: u32 = 2;
/// Probes that must fail in a row until one that was up is down: HAProxy's.
pub const PROBE_FALL: u32 = 3;
/// The most that either may be.
pub const PROBE_COUNT_MAX: u32 = 100;
/// Probes a second in all, over all services; where more would be due, each comes later, and it is said how much.
pub const PROBES_PER_SECOND: u32 = 2_000;
/// Probes are due on multiples of this: the registry wakes for them no more often, and what it may order in two of them it may
/// order at once.
pub const PROBE_STEP: Duration = Duration::from_millis(10);
/// How long after its timeout the result of a probe is waited for; then it is lost, counts neither way and is made again.
pub const PROBE_LOST: Duration = Duration::from_secs(10);
/// Probes that are on their way at once: [`PROBES_PER_SECOND`] of instances that answer nothing within [`PROBE_TIMEOUT`].
pub const PROBES_AT_ONCE: usize = 4_096;
/// One in so many of these places is for nobody's probes alone: however many instances of one service answer nothing, others' are made.
pub const PROBES_FOR_OTHERS: usize = 4;
/// What a probe may take that an instance asks for itself when it registers: for so long it holds a place that others may need.
pub const PROBE_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Probes whose results one command carries.
pub const PROBE_RESULTS: usize = 1_024;
/// The head of an answer to a probe, in bytes; a longer one fails it.
pub const PROBE_HEAD_BYTES: usize = 16 * 1024;
/// What is read of its body, in bytes, where something is expected there.
pub const PROBE_BODY_BYTES: usize = 4 * 1024;
/// How long results wait for others, so that many make one command.
pub const PROBE_FLUSH: Duration = Duration::from_millis(10);
/// How long an instance that was probed may take to end the connection; it is cut then.
pub const PROBE_CLOSE: Duration = Duration::from_millis(100);
/// Of all descriptors, probes may have one in so many: the others are for requests.
pub const PROBE_DESCRIPTORS: u64 = 16;
/// How often it is said that probes could not be made.
pub const PROBE_COMPLAIN: Duration = Duration::from_secs(60);
/// The target of a probe, a header's value, or what is expected of the body, in bytes.
pub const PROBE_TEXT_BYTES: usize = 1_024;
/// Header fields of a probe.
pub const PROBE_FIELDS: usize = 16;
/// Ranges of statuses that pass a probe.
pub const PROBE_STATUSES: usize = 16;
/// Failures in a row that set an instance aside: Envoy's.
pub const OUTLIER_FAILURES: u32 = 5;
/// The most that this may be.
pub const OUTLIER_FAILURES_MAX: u32 = 1_000;
/// How long an instance is set aside, times how often it was: Envoy's.
pub const EJECTED: Duration = Duration::from_secs(30);
/// The longest that it is: Envoy's.
pub const EJECTED_MAX: Duration = Duration::from_secs(300);
/// Of a service's instances, so many percent may be set aside at once.
pub const EJECTED_PERCENT: u8 = 50;
/// Requests among which a share of failures is looked at, at least: Envoy asks for 100 within its 10 s, which small services never have.
pub const OUTLIER_MIN_REQUESTS: u32 = 20;
/// The most that this may be.
pub const OUTLIER_MIN_REQUESTS_MAX: u32 = 1_000_000;
/// The window over which failures are counted: Envoy's.
pub const OUTLIER_WINDOW: Duration = Duration::from_secs(10);
/// The longest window over which failures are counted.
pub const OUTLIER_WINDOW_MAX: Duration = Duration::from_secs(60);
/// How often the registry looks at what workers counted of instances.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Instance slots that are looked at in one turn of the registry, 10 ms after the last: all of them within 0.64 s.
pub const SAMPLE_AT_ONCE: usize = 4_096;
/// Parts of the window over which failures are counted: it moves on by one of them.
pub const OUTLIER_PARTS: usize = 10;
/// The share that an instance has as it begins to recover, of 65,536: a tenth.
pub const SLOW_START_SHARE: u32 = 6_554;
/// How often the share of an instance that recovers is raised.
pub const SLOW_START_STEP: Duration = Duration::from_millis(500);
/// Instances whose share is written in one turn of the registry.
pub const SHARES_AT_ONCE: usize = 1_024;
/// How long an instance that has recovered takes to get its full share.
pub const SLOW_START: Duration = Duration::from_secs(10);
/// Lease periods for which an instance whose lease is over is kept, as long as it answers.
pub const LATE_PERIODS: u32 = 3;
/// Instances that must be about to vanish before a service protects itself: of fewer, none is a pattern.
pub const PROTECT_LEAST: usize = 3;
/// How often it is counted, at most, how many instances of a service are about to vanish.
pub const PROTECT_EVERY: Duration = Duration::from_secs(1);
/// What the registry tells of instances at once, in lines; of more it is told how many.
pub const NOTICES_AT_ONCE: usize = 64;
/// How often it tells something.
pub const NOTICES_EVERY: Duration = Duration::from_millis(500);
/// Sources of instances of one service.
pub const SOURCES_PER_SERVICE: usize = 16;
/// Instances that one source may bring: 65,535 addresses fill a DNS answer over TCP many times over.
pub const INSTANCES_PER_SOURCE: usize = 4_096;
/// Changes of instances that are kept for those who watch: 16 s of 1,000 a second.
pub const JOURNAL_EVENTS: usize = 16_384;
/// These changes as text, in bytes: 2 KiB each.
pub const JOURNAL_BYTES: usize = 32 * 1024 * 1024;
/// Watchers are not woken more often, however much changes.
pub const WATCHERS_EVERY: Duration = Duration::from_millis(50);
/// A watcher to whom nothing is to be told is sent an empty line this often, so that both ends know of each other.
pub const WATCH_HEARTBEAT: Duration = Duration::from_secs(15);
/// Revisions in an `If-Match`.
pub const EXPECTED_REVISIONS: usize = 16;
/// Changes that one commit of the store takes, and one more command: a commit after the other, each with what came meanwhile,
/// so that none has to wait for others to come. The registry hands over what came in [`PUBLISH_EVERY`](super::PUBLISH_EVERY) at once.
pub const STORE_COMMIT: usize = 1_000;
/// Pages that the store keeps in memory, in bytes: the upper ones of its trees; all data is in the registry anyway.
pub const STORE_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// How long after a failure the store is tried again at first; then twice as long each time.
pub const STORE_AGAIN: Duration = Duration::from_secs(1);
/// The longest that this becomes.
pub const STORE_AGAIN_MAX: Duration = Duration::from_secs(30);
/// How long an upgrade waits for the store to be closed, which is a commit away; then it comes to nothing.
pub const STORE_CLOSE: Duration = Duration::from_secs(5);
/// How long a start waits for another process to let go of the state directory: one that was killed takes a moment to end.
pub const STORE_CLAIM: Duration = Duration::from_millis(500);
/// How often it is looked whether the store's file is still where it was while nothing is written: a commit looks by itself.
pub const STORE_LOOK: Duration = Duration::from_secs(5);
/// Damaged files that are kept in the state directory; with more of them none is put aside, and nothing is written.
pub const STORE_ASIDE: usize = 8;
/// What a restart adds to the revision that was stored, and an upgrade to the one that was handed over: changes of health raise it
/// and are not stored, and so may those that were on their way. It is stored again whenever half of this has passed.
pub const REVISION_LEAP: u64 = 1 << 20;
/// Look-ups of names at once: each may have four sockets, of two families and two servers.
pub const LOOK_UPS_AT_ONCE: usize = 16;
/// How long a look-up may take beyond two answers that do not come: aliases are followed.
pub const LOOK_UP_SLACK: Duration = Duration::from_secs(1);
/// That a name has no instances any more is believed when it is said twice, so far apart.
pub const DNS_NOTHING_AGAIN: Duration = Duration::from_secs(1);
/// How long a source that fails is left alone at first; twice as long each further time.
pub const SOURCE_RETRY: Duration = Duration::from_secs(1);
/// The longest that it is.
pub const SOURCE_RETRY_MAX: Duration = Duration::from_secs(30);
/// How long a start waits for the first answers of sources: a service without instances answers with 503.
pub const SOURCES_AT_START: Duration = Duration::from_secs(1);
/// Sources that metrics tell of: five series each.
pub const SOURCES_SHOWN: usize = 2_000;
/// A file of instances, in bytes: 4,096 of them with labels of 1 KiB each.
pub const FILE_SD_BYTES: u64 = 4 * 1024 * 1024;
/// Looks in a row at which a file of instances is another each time; then it is read all the same, lest it never be.
pub const FILE_RESTLESS: u32 = 3;
/// What is said of sources within [`SOURCES_SAID_TIME`]: all may fail at once.
pub const SOURCES_SAID: u32 = 20;
/// Within this time.
pub const SOURCES_SAID_TIME: Duration = Duration::from_secs(10);
/// What is shown of what a source says is wrong, in bytes.
pub const SOURCE_WORD_BYTES: usize = 200;
/// Name servers that are asked; a resolver asks three of `resolv.conf`.
pub const DNS_SERVERS: usize = 8;
/// How long an answer of a name server is waited for.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(2);
/// An answer counts for so long at least, whatever it says: a name is not looked up more often than once a second.
pub const DNS_TTL_MIN: Duration = Duration::from_secs(1);
/// It counts for so long at most: Docker says ten minutes of what changes at any time.
pub const DNS_TTL_MAX: Duration = Duration::from_secs(30);
/// Tokens with scopes: one a team or a program that deploys.
pub const GRANTS: usize = 1_024;
/// Patterns of services that one of them is for.
pub const GRANT_SERVICES: usize = 1_024;
