//! `coregate registry`: instances that register.

mod check;
mod keep;
mod watch;

use std::time::Duration;

use clap::Subcommand;
use coregate_control::io::admin::registry::RegisterBody;
use coregate_control::io::client::{ClientError, Method, Reply};
use coregate_control::io::moment;
use coregate_control::registry::directory::view::{
    AdmitsView, InstanceView, InstancesView, ServicesView,
};
use coregate_core::snapshot::plan::Address;
use serde_json::{Value, json};

use keep::Errand;

use super::show::{self, Shown};
use super::{Call, To, escaped, path_of, with};
use crate::server::{Exit, say};

use check::Check;

/// What can be asked of the registry.
#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    /// List the services, or the instances that have registered with one
    List {
        /// The service
        service: Option<String>,
        /// Begin after this service, or this instance
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
        #[command(flatten)]
        to: To,
    },
    /// Show an instance that has registered
    Show {
        /// The service
        service: String,
        /// The instance's id
        id: String,
        #[command(flatten)]
        to: To,
    },
    /// Register an instance: it is given requests until its lease runs out
    Register {
        /// The service
        service: String,
        /// The instance's id; its address by default
        #[arg(long)]
        id: Option<String>,
        /// The instance: ADDRESS:PORT or unix:/PATH
        address: Address,
        #[command(flatten)]
        about: About,
        /// Stay, and renew the lease until this command is told to end; then take the instance away
        #[arg(long)]
        keep: bool,
        #[command(flatten)]
        to: To,
        // The last: its heading would stand above whatever followed it.
        #[command(flatten)]
        check: Box<Check>,
    },
    /// Renew an instance's lease
    Renew {
        /// The service
        service: String,
        /// The instance's id
        id: String,
        #[command(flatten)]
        to: To,
    },
    /// Take an instance away
    Deregister {
        /// The service
        service: String,
        /// The instance's id
        id: String,
        #[command(flatten)]
        to: To,
    },
    /// Say how an instance stands
    Status {
        /// The service
        service: String,
        /// The instance's id
        id: String,
        /// How it stands; maintenance holds it back until another status is set
        #[arg(value_parser = ["starting", "up", "down", "maintenance"])]
        status: String,
        #[command(flatten)]
        to: To,
    },
    /// Give an instance no new requests; what it still has may finish within the deadline
    Drain {
        /// The service
        service: String,
        /// The instance's id, or its address
        id: String,
        /// How long what it still has may take: 30s
        #[arg(long, value_name = "TIME", value_parser = moment::duration)]
        deadline: Option<Duration>,
        #[command(flatten)]
        to: To,
    },
    /// Give an instance that was drained requests again
    Enable {
        /// The service
        service: String,
        /// The instance's id, or its address
        id: String,
        #[command(flatten)]
        to: To,
    },
    /// Weigh an instance anew, until it registers with another weight
    Weight {
        /// The service
        service: String,
        /// The instance's id
        id: String,
        /// The weight, 1 to 65535
        weight: u32,
        #[command(flatten)]
        to: To,
    },
    /// Tell of each change as it comes, a line each; for ever
    Watch {
        /// This service alone
        service: Option<String>,
        /// Begin after this revision; with what comes from now on by default
        #[arg(long, value_name = "REVISION")]
        from: Option<u64>,
        #[command(flatten)]
        to: To,
    },
}

/// What else is said of an instance that is registered.
#[derive(Debug, clap::Args)]
pub(crate) struct About {
    /// How long the lease lasts: 30s; 90s by default
    #[arg(long, value_name = "TIME", value_parser = moment::duration)]
    ttl: Option<Duration>,
    /// Its weight, 1 by default
    #[arg(long)]
    weight: Option<u32>,
    /// Where it stands
    #[arg(long)]
    zone: Option<String>,
    /// What it runs
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// What else it is called; may stand several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// What else is to be known of it; may stand several times
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Ask {
    pub(super) fn to(&self) -> &To {
        match self {
            Self::List { to, .. }
            | Self::Show { to, .. }
            | Self::Register { to, .. }
            | Self::Renew { to, .. }
            | Self::Deregister { to, .. }
            | Self::Status { to, .. }
            | Self::Drain { to, .. }
            | Self::Enable { to, .. }
            | Self::Weight { to, .. }
            | Self::Watch { to, .. } => to,
        }
    }

    pub(super) fn call(&self) -> Result<Call, ClientError> {
        let call = |method, target| Call::new(method, target);
        Ok(match self {
            Self::List { service, after, .. } => {
                let path = match service {
                    Some(service) => format!("/v1/services/{}/instances", escaped(service)),
                    None => "/v1/services".to_owned(),
                };
                let after = after.as_ref().map(|after| ("after", escaped(after)));
                call(Method::Get, with(&path, after))
            }
            Self::Show { service, id, .. } => call(Method::Get, path_of(service, id)),
            Self::Register { service, id, address, about, check, .. } => {
                let id = id.clone().unwrap_or_else(|| address.to_string());
                let body = RegisterBody { check: check.body()?, ..body(address, about) };
                let body = serde_json::to_value(body);
                let body = body.map_err(|error| ClientError::Request(error.to_string()))?;
                Call { body: Some(body), ..call(Method::Put, path_of(service, &id)) }
            }
            Self::Renew { service, id, .. } => {
                call(Method::Post, format!("{}/renew", path_of(service, id)))
            }
            Self::Deregister { service, id, .. } => call(Method::Delete, path_of(service, id)),
            Self::Status { service, id, status, .. } => {
                let body: Value = json!({ "status": status });
                let target = format!("{}/status", path_of(service, id));
                Call { body: Some(body), ..call(Method::Put, target) }
            }
            Self::Drain { service, id, deadline, .. } => {
                let deadline = deadline.map(|time| ("deadline", format!("{}ms", time.as_millis())));
                call(Method::Post, with(&format!("{}/drain", path_of(service, id)), deadline))
            }
            Self::Enable { service, id, .. } => {
                call(Method::Post, format!("{}/enable", path_of(service, id)))
            }
            Self::Weight { service, id, weight, .. } => {
                let target = format!("{}/weight", path_of(service, id));
                Call { body: Some(json!({ "weight": weight })), ..call(Method::Put, target) }
            }
            Self::Watch { service, from, .. } => watch::call(service.as_deref(), *from),
        })
    }

    /// Carries it out, if it is one that stays.
    pub(super) fn stay(&self) -> Option<Exit> {
        match self {
            Self::Watch { service, from, to } => Some(watch::watch(service.as_deref(), *from, to)),
            Self::Register { service, id, address, keep: true, to, .. } => {
                let id = id.clone().unwrap_or_else(|| address.to_string());
                Some(keep::keep(&Errand { ask: self, name: (service, &id), at: address, to }))
            }
            _ => None,
        }
    }

    pub(super) fn show(&self, reply: &Reply) -> Shown {
        if !reply.is_success() {
            return show::refused(reply);
        }
        match self {
            Self::List { service: None, .. } => services(&reply.json()?),
            Self::List { service: Some(_), .. } => instances(&reply.json()?),
            Self::Show { .. } => details(&reply.json()?),
            Self::Deregister { .. } => {
                let InstanceView { service, id, .. } = reply.json()?;
                say::data(format_args!("instance {id} of service {service} is gone"));
            }
            Self::Drain { .. } | Self::Enable { .. } => return show::instance(reply),
            // It has been carried out.
            Self::Watch { .. } => {}
            Self::Weight { .. } => {
                let InstanceView { service, id, weight, .. } = reply.json()?;
                say::data(format_args!("instance {id} of service {service}: weight {weight}"));
            }
            Self::Register { .. } | Self::Renew { .. } | Self::Status { .. } => {
                let instance: InstanceView = reply.json()?;
                say::data(format_args!(
                    "instance {} of service {}: {}{}",
                    instance.id,
                    instance.service,
                    status(&instance),
                    renewal(&instance)
                ));
            }
        }
        Ok(())
    }
}

fn body(address: &Address, about: &About) -> RegisterBody {
    RegisterBody {
        address: Some(address.to_string()),
        ttl: about.ttl.map(|ttl| format!("{}ms", ttl.as_millis())),
        weight: about.weight,
        zone: about.zone.clone(),
        version: about.version.clone(),
        tags: about.tags.clone(),
        metadata: about.metadata.iter().cloned().collect(),
        ..RegisterBody::default()
    }
}

fn services(ServicesView { count, services, next, .. }: &ServicesView) {
    say::data(format_args!("{:<24}  {:<8}  {:>10}  REVISION", "SERVICE", "REGISTER", "REGISTERED"));
    for service in services {
        let register = match service.register {
            AdmitsView::Nobody => "nobody",
            AdmitsView::Socket => "socket",
            AdmitsView::Token => "token",
        };
        say::data(format_args!(
            "{:<24}  {register:<8}  {:>10}  {}",
            service.name, service.registered, service.revision
        ));
    }
    more(*count, next.as_deref());
}

fn instances(view: &InstancesView) {
    let widest = |cell: fn(&InstanceView) -> usize, least: usize| {
        view.instances.iter().map(cell).chain([least]).max().unwrap_or(least)
    };
    let id = widest(|one| one.id.chars().count(), 2);
    let address = widest(|one| one.address.chars().count(), 7);
    say::data(format_args!("{:<id$}  {:<address$}  {:<11}  WHY", "ID", "ADDRESS", "STATUS"));
    for one in &view.instances {
        let (status, why) = (status(one), &one.belief);
        say::data(format_args!("{:<id$}  {:<address$}  {status:<11}  {why}", one.id, one.address));
    }
    if view.protected {
        say::message(
            "the service protects itself: more than half of its leases are over, and those that answer are kept",
        );
    }
    more(view.count, view.next.as_deref());
}

/// Where a list goes on.
fn more(count: usize, next: Option<&str>) {
    if let Some(next) = next {
        say::message(format_args!("{count} in all; for more: --after {next}"));
    }
}

fn details(instance: &InstanceView) {
    let InstanceView { service, id, address, weight, zone, version, tags, .. } = instance;
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    say::data(format_args!("instance {id} of service {service}: {}", status(instance)));
    say::data(format_args!("  address   {address}"));
    say::data(format_args!("  lease     {}", lease(instance)));
    say::data(format_args!("  why       {}", instance.belief));
    say::data(format_args!("  weight    {weight}"));
    say::data(format_args!("  zone      {}", said(zone)));
    say::data(format_args!("  version   {}", said(version)));
    say::data(format_args!("  tags      {}", tags.join(", ")));
    say::data(format_args!("  revision  {}", instance.revision));
    for (key, value) in &instance.metadata {
        say::data(format_args!("  metadata  {key}={value}"));
    }
    for change in &instance.transitions {
        let status = word(json!(change.status));
        say::data(format_args!("  was       {status} {} ago", seconds(change.ago_ms)));
    }
}

fn status(instance: &InstanceView) -> String {
    word(json!(instance.status))
}

fn word(value: Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn lease(instance: &InstanceView) -> String {
    match instance.lease {
        Some(lease) => format!("{} of {} left", seconds(lease.left_ms), seconds(lease.ttl_ms)),
        None => "none".to_owned(),
    }
}

fn renewal(instance: &InstanceView) -> String {
    let every = |ms| format!(", to be renewed every {}", seconds(ms));
    instance.lease.map(|lease| every(lease.renew_ms)).unwrap_or_default()
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}
