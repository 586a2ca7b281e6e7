//! What the configuration says of looking up instances, as the control plane takes it.

use std::io;

use coregate_config::{DnsSettings, Settings};
use coregate_control::io::discover::{Discovery, DnsTerms};

/// Instances are looked up as these settings say from now on, which were applied a moment ago.
pub(crate) fn follow(discovery: &mut Discovery, settings: &Settings) -> io::Result<()> {
    let DnsSettings { servers, timeout, min_ttl, max_ttl } = settings.dns.clone();
    discovery.follow(&settings.plan, DnsTerms { servers, timeout, min_ttl, max_ttl })
}
