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
/// Probes that are on their way at once: [`PROBES_PER_SECOND`] of instances that answer nothing within [`PROBE_TIMEOUT`].
pub const PROBES_AT_ONCE: usize = 4_096;
/// Probes whose results one command carries.
pub const PROBE_RESULTS: usize = 1_024;
/// The head of an answer to a probe, in bytes; a longer one fails it.
pub const PROBE_HEAD_BYTES: usize = 16 * 1024;
/// What is read of its body, in bytes, where something is expected there.
pub const PROBE_BODY_BYTES: usize = 4 * 1024;
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
/// The longest window over which failures are counted.
pub const OUTLIER_WINDOW_MAX: Duration = Duration::from_secs(60);
/// How often the registry looks at what workers counted of instances.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// How long an instance that has recovered takes to get its full share.
pub const SLOW_START: Duration = Duration::from_secs(10);
/// Lease periods for which an instance whose lease is over is kept, as long as it answers.
pub const LATE_PERIODS: u32 = 3;
/// Instances that must be about to vanish before a service protects itself: of fewer, none is a pattern.
pub const PROTECT_LEAST: usize = 3;
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
