//! `coregate registry register --keep`: a lease for as long as this command runs. What a service uses that knows nothing of us.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use coregate_control::io::client::{ClientError, Method, Reply};
use coregate_control::registry::directory::view::{InstanceView, InstancesView, Kind};
use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;

use super::{Ask, Call, To, escaped, path_of, with};
use crate::server::{Exit, say, signals};

/// How often it is looked whether the command was told to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is kept, and where.
pub(super) struct Errand<'a> {
    /// The registration.
    pub(super) ask: &'a Ask,
    /// The service and the instance's id.
    pub(super) name: (&'a str, &'a str),
    /// Where the instance is.
    pub(super) at: &'a Address,
    pub(super) to: &'a To,
}

/// Registers as asked, once there is somebody to register with, renews until it is told to end, and takes the instance away. Ends as well
/// when another instance has registered at the address: both would take it from each other for ever.
pub(super) fn keep(errand: &Errand<'_>) -> Exit {
    let Errand { ask, name: (service, id), to, .. } = *errand;
    let path = path_of(service, id);
    let told = match signals::told_to_end() {
        Ok(told) => told,
        Err(error) => {
            say::message(format_args!("signals: {error}"));
            return Exit::Failed;
        }
    };
    let address = match to.place() {
        Ok(address) => address,
        Err(exit) => return exit,
    };
    let mut is_lost = false;
    let mut renew_every = loop {
        match registered(ask, &address, to) {
            Ok(every) => break every,
            Err(Failure::Refused) => return Exit::Failed,
            Err(Failure::Unheard(error)) => {
                lost(&mut is_lost, &format!("{error}; waiting for it"));
            }
        }
        if waits(limits::ADMIN_RETRY_AFTER, &told) {
            return Exit::Unreachable;
        }
    };
    is_lost = false;
    while !waits(renew_every, &told) {
        let renewed = to.request(&address, &Call::new(Method::Post, format!("{path}/renew")));
        let next = match renewed {
            Ok(reply) if reply.is_success() => every(&reply),
            // It was not heard for too long, or whom it registered with has forgotten it, or another has its place.
            Ok(reply) if reply.status == 404 => {
                if let Some(other) = errand.replaced_by(&address) {
                    let at = errand.at;
                    say::message(format_args!(
                        "instance {id} of service {service} was replaced: {other} has registered at {at} since"
                    ));
                    return Exit::Failed;
                }
                registered(ask, &address, to).ok()
            }
            Ok(reply) => lost(&mut is_lost, &reply.detail()),
            Err(error) => lost(&mut is_lost, &error.to_string()),
        };
        if let (Some(_), true) = (next, is_lost) {
            is_lost = false;
            say::message("the lease is renewed again");
        }
        renew_every = next.unwrap_or(limits::ADMIN_RETRY_AFTER);
    }
    match to.request(&address, &Call::new(Method::Delete, path)) {
        // Whoever is not there any more has gone.
        Ok(reply) if reply.is_success() || reply.status == 404 => Exit::Ok,
        Ok(reply) => {
            say::message(reply.detail());
            Exit::Failed
        }
        Err(error) => super::super::failed(&error),
    }
}

impl Errand<'_> {
    /// The id of another instance that has the address now, if there is one.
    fn replaced_by(&self, address: &Address) -> Option<String> {
        let (service, id) = self.name;
        let list = format!("/v1/services/{}/instances", escaped(service));
        let mut after = None::<String>;
        loop {
            let page = after.iter().map(|id| ("after", escaped(id)));
            let reply = self.to.request(address, &Call::new(Method::Get, with(&list, page)));
            let view: InstancesView = reply.ok()?.json().ok()?;
            let at = self.at.to_string();
            let here = |one: &&InstanceView| {
                one.kind == Kind::Registered && one.address == at && one.id != id
            };
            if let Some(other) = view.instances.iter().find(here) {
                return Some(other.id.clone());
            }
            after = Some(view.next?);
        }
    }
}

/// Why it is not registered.
enum Failure {
    /// It was refused, which was said.
    Refused,
    /// Nobody heard it.
    Unheard(ClientError),
}

/// Registers, and says so; how often the lease is to be renewed.
fn registered(ask: &Ask, address: &Address, to: &To) -> Result<Duration, Failure> {
    let reply = ask.call().and_then(|call| to.request(address, &call));
    let reply = reply.map_err(Failure::Unheard)?;
    if !reply.is_success() {
        say::message(reply.detail());
        return Err(Failure::Refused);
    }
    match to.is_json() {
        true => say::data(String::from_utf8_lossy(&reply.body).trim_end()),
        false => ask.show(&reply).map_err(Failure::Unheard)?,
    }
    Ok(every(&reply).unwrap_or(limits::LEASE / limits::LEASE_RENEWALS))
}

fn every(reply: &Reply) -> Option<Duration> {
    let instance: InstanceView = reply.json().ok()?;
    Some(Duration::from_millis(instance.lease?.renew_ms))
}

/// Says once that renewals come to nothing.
fn lost(is_lost: &mut bool, why: &str) -> Option<Duration> {
    if !std::mem::replace(is_lost, true) {
        say::message(format_args!("the lease is not renewed: {why}"));
    }
    None
}

/// Waits; whether the command was told to end meanwhile.
fn waits(time: Duration, told: &AtomicBool) -> bool {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if told.load(Ordering::Relaxed) || left.is_zero() {
            return told.load(Ordering::Relaxed);
        }
        thread::sleep(left.min(LOOK_EVERY));
    }
}
