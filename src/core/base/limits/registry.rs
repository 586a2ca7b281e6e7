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
