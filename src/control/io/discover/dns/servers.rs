//! Which servers are asked, and for which names: those of the configuration, or what `/etc/resolv.conf` says now.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use coregate_core::base::limits;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::read_system_conf;

use crate::io::look::{Look, look};
use coregate_core::snapshot::plan::DnsTerms;

/// The files of the machine that decide: servers and search domains, and hosts that are not asked for.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// The servers, as they are now.
#[derive(Debug)]
pub(super) struct Servers {
    terms: DnsTerms,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    looked: Instant,
    files: [Option<Look>; 2],
    asker: Result<Asker, String>,
}

/// Who asks them.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) resolver: Arc<TokioResolver>,
    search: Arc<[Name]>,
    /// Names with fewer dots are tried with the search domains first.
    dots: usize,
}

impl Servers {
    pub(super) fn new(terms: DnsTerms) -> Self {
        Self { terms, current: Mutex::default() }
    }

    pub(super) fn terms(&self) -> &DnsTerms {
        &self.terms
    }

    /// Who asks now. The machine's files are looked at once a second.
    pub(super) fn asker(&self) -> Result<Asker, String> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &mut *current {
            if known.looked.elapsed() < limits::WATCH_EVERY {
                return known.asker.clone();
            }
            known.looked = Instant::now();
            if known.files == files() && known.asker.is_ok() {
                return known.asker.clone();
            }
        }
        let files = files();
        let asker = asker(&self.terms);
        *current = Some(Current { looked: Instant::now(), files, asker: asker.clone() });
        asker
    }
}

fn files() -> [Option<Look>; 2] {
    FILES.map(|file| look(Path::new(file)))
}

fn asker(terms: &DnsTerms) -> Result<Asker, String> {
    let (config, mut options) = match terms.servers.is_empty() {
        true => read_system_conf().map_err(|error| format!("{}: {error}", FILES[0]))?,
        false => (named(terms), ResolverOpts::default()),
    };
    options.timeout = terms.timeout;
    options.attempts = 1;
    // How long an answer counts is not the resolver's to say.
    options.cache_size = 0;
    let (search, dots) = (config.search().into(), options.ndots);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    let resolver = builder.build().map_err(|error| error.to_string())?;
    Ok(Asker { resolver: Arc::new(resolver), search, dots })
}

/// Servers of the configuration, over UDP, and over TCP for what is too large for that.
fn named(terms: &DnsTerms) -> ResolverConfig {
    let servers = terms.servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        let connections = connections.map(|mut connection| {
            connection.port = server.port();
            connection
        });
        NameServerConfig::new(server.ip(), true, connections.into())
    });
    ResolverConfig::from_parts(None, Vec::new(), servers.collect())
}

impl Asker {
    /// The full names that a name may mean, in the order in which they are tried.
    pub(super) fn names(&self, name: &str) -> Result<Vec<Name>, String> {
        let mut plain = Name::from_str_relaxed(name).map_err(|error| error.to_string())?;
        if plain.is_fqdn() {
            return Ok(vec![plain]);
        }
        let searched = self.search.iter();
        // One that would be too long is none.
        let mut names: Vec<_> =
            searched.filter_map(|domain| plain.clone().append_domain(domain).ok()).collect();
        plain.set_fqdn(true);
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let place = if dots >= self.dots { 0 } else { names.len() };
        names.insert(place, plain);
        Ok(names)
    }

    #[cfg(test)]
    pub(super) fn searching(&self, domains: &[&str], dots: usize) -> Self {
        let search = domains.iter().map(|domain| Name::from_ascii(domain).unwrap()).collect();
        Self { resolver: Arc::clone(&self.resolver), search, dots }
    }
}
