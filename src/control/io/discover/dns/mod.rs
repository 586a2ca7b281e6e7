//! Instances by name: addresses of a host, or SRV records and the addresses of their targets. This folder is the door of
//! hickory-resolver.
//!
//! Names are tried as resolv.conf(5) says: with the search domains first if they have fewer dots than `ndots`. As in the C library
//! a name that fails does not end the search; but if it was the one that answered last, its answer is kept.
//!
//! A and AAAA are asked for apart, because many a resolver answers one and fails at the other: the addresses that a family had
//! stay while it fails. The resolver's own cache is off: how long an answer counts is decided here.

mod families;
mod servers;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, is_nobodys};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::sync::Semaphore;

pub(super) use self::families::Memory;
use self::families::{Host, Missing};
use self::servers::{Asker, Servers};
use super::keeper::Answer;
use coregate_core::snapshot::plan::DnsTerms;

/// Looks names up.
#[derive(Debug)]
pub(super) struct Resolver {
    servers: Servers,
    room: Semaphore,
}

impl Resolver {
    pub(super) fn new(terms: DnsTerms) -> Self {
        Self { servers: Servers::new(terms), room: Semaphore::new(limits::LOOK_UPS_AT_ONCE) }
    }

    pub(super) fn terms(&self) -> &DnsTerms {
        self.servers.terms()
    }

    /// All addresses of a name, with a port.
    pub(super) async fn addresses(&self, host: &str, port: u16, memory: &mut Memory) -> Answer {
        let _place = self.room.acquire().await;
        let (asker, names) = match self.names(host) {
            Ok(both) => both,
            Err(why) => return Answer::Failed(why),
        };
        let mut search = Search::default();
        for name in names {
            match asker.host(&name, memory).await {
                Host::Found { addresses, ttl, lacking } => {
                    memory.keep();
                    let instances = addresses.into_iter();
                    let instances = instances.map(|ip| (instance(ip, port), 1)).collect();
                    return Answer::Found { instances, ttl, lacking };
                }
                Host::Nothing { ttl } => search.nothing(ttl),
                Host::Failed(why) if memory.knows(&name) => return Answer::Failed(why),
                Host::Failed(why) => search.failed(why),
            }
        }
        search.end()
    }

    /// The targets of a name's SRV records, those of the best priority alone, with their ports and weights.
    pub(super) async fn services(&self, name: &str, memory: &mut Memory) -> Answer {
        let _place = self.room.acquire().await;
        let (asker, names) = match self.names(name) {
            Ok(both) => both,
            Err(why) => return Answer::Failed(why),
        };
        let mut search = Search::default();
        for name in names {
            match asker.ask(&name, RecordType::SRV).await {
                Ok(lookup) => {
                    let answer = asker.targets(&lookup, memory).await;
                    if matches!(answer, Answer::Found { .. }) {
                        memory.know(&name);
                        memory.keep();
                    }
                    return answer;
                }
                Err(Missing::Nothing { ttl, .. }) => search.nothing(ttl),
                Err(Missing::Failed(why)) if memory.knows(&name) => return Answer::Failed(why),
                Err(Missing::Failed(why)) => search.failed(why),
            }
        }
        search.end()
    }

    fn names(&self, name: &str) -> Result<(Asker, Vec<Name>), String> {
        let asker = self.servers.asker()?;
        let names = asker.names(name)?;
        Ok((asker, names))
    }
}

/// What the names so far gave, where none has answered.
#[derive(Default)]
struct Search {
    failed: Option<String>,
    ttl: Option<Duration>,
}

impl Search {
    fn failed(&mut self, why: String) {
        self.failed.get_or_insert(why);
    }

    fn nothing(&mut self, ttl: Duration) {
        self.ttl = Some(self.ttl.map_or(ttl, |known| known.min(ttl)));
    }

    fn end(self) -> Answer {
        match self.failed {
            Some(why) => Answer::Failed(why),
            None => Answer::Nothing { ttl: self.ttl.unwrap_or_default() },
        }
    }
}

impl Asker {
    /// Asks for the records of one kind of a full name. There is at least one, or a reason.
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Lookup, Missing> {
        let timeout = self.resolver.options().timeout;
        let most = (timeout + limits::LOOK_UP_SLACK) * 2;
        match tokio::time::timeout(most, self.resolver.lookup(name.clone(), kind)).await {
            Ok(Ok(lookup)) if lookup.answers().iter().any(|one| one.record_type() == kind) => {
                Ok(lookup)
            }
            Ok(Ok(lookup)) => Err(Missing::Nothing { ttl: ttl(lookup.answers()), no_name: false }),
            Ok(Err(error)) => Err(missing(error, timeout)),
            Err(_) => Err(missing(NetError::Timeout, timeout)),
        }
    }

    /// The addresses of a full name, of both families.
    async fn host(&self, name: &Name, memory: &mut Memory) -> Host {
        let addresses = |lookup: Lookup| (addresses(lookup.answers(), None), ttl(lookup.answers()));
        let (four, six) =
            tokio::join!(self.ask(name, RecordType::A), self.ask(name, RecordType::AAAA));
        families::judge(name, [four.map(addresses), six.map(addresses)], memory)
    }

    /// The instances that SRV records stand for. If one target cannot be looked up, none is known.
    async fn targets(&self, lookup: &Lookup, memory: &mut Memory) -> Answer {
        let records = lookup.answers().iter();
        let records: Vec<&SRV> = records
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(srv),
                _ => None,
            })
            .collect();
        let best = records.iter().map(|srv| srv.priority).min();
        let mut valid = ttl(lookup.answers());
        let (mut instances, mut lacks) = (Vec::new(), None);
        // A target of "." says that there is no such service (RFC 2782).
        let usable =
            |srv: &&&SRV| Some(srv.priority) == best && !srv.target.is_root() && srv.port != 0;
        for srv in records.iter().filter(usable).take(limits::INSTANCES_PER_SOURCE) {
            let mut known = addresses(lookup.additionals(), Some(&srv.target));
            if known.is_empty() {
                match self.host(&srv.target, memory).await {
                    Host::Found { addresses, ttl, lacking } => {
                        valid = valid.min(ttl);
                        lacks = lacks.or(lacking);
                        known = addresses;
                    }
                    Host::Nothing { ttl } => valid = valid.min(ttl),
                    Host::Failed(why) => return Answer::Failed(why),
                }
            } else {
                let own = lookup.additionals().iter().filter(|record| record.name == srv.target);
                valid = own.fold(valid, |least, record| least.min(seconds(record.ttl)));
            }
            // Of those that have weights, one of weight 0 gets next to nothing; where none has, all get the same.
            let weight = u32::from(srv.weight).max(1);
            instances.extend(known.into_iter().map(|ip| (instance(ip, srv.port), weight)));
        }
        match instances.is_empty() {
            true => Answer::Nothing { ttl: valid },
            false => Answer::Found { instances, ttl: valid, lacking: lacks },
        }
    }
}

/// The addresses among records, of one name or of any: without those at which nobody can be.
fn addresses(records: &[Record], of: Option<&Name>) -> Vec<IpAddr> {
    let own = records.iter().filter(|record| of.is_none_or(|name| record.name == *name));
    let all = own.filter_map(|record| record.data.ip_addr());
    all.filter(|ip| !is_nobodys(*ip)).collect()
}

fn instance(ip: IpAddr, port: u16) -> Address {
    Address::Tcp(SocketAddr::new(ip, port))
}

/// For how long all of these records hold.
fn ttl(records: &[Record]) -> Duration {
    seconds(records.iter().map(|record| record.ttl).min().unwrap_or_default())
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}

/// What an answer without records, or no answer, means.
fn missing(error: NetError, timeout: Duration) -> Missing {
    let failed = |why: &str| Missing::Failed(why.to_owned());
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => Missing::Nothing {
            ttl: seconds(none.negative_ttl.unwrap_or_default()),
            no_name: none.response_code == ResponseCode::NXDomain,
        },
        NetError::Dns(DnsError::ResponseCode(code)) => match code {
            ResponseCode::ServFail => failed("SERVFAIL"),
            ResponseCode::Refused => failed("REFUSED"),
            other => Missing::Failed(format!("{other}")),
        },
        NetError::Timeout => {
            Missing::Failed(format!("no answer within {} s", timeout.as_secs_f64()))
        }
        NetError::NoConnections => failed("no name server can be reached"),
        NetError::Io(error) => Missing::Failed(error.to_string()),
        other => Missing::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
