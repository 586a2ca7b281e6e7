//! `coregate registry register --keep`: a lease for as long as this command runs. What a service uses that knows nothing of us.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use coregate_control::io::client::{Method, Reply};
use coregate_control::registry::directory::view::InstanceView;
use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;

use super::{Ask, Call, To};
use crate::server::{Exit, say, signals};

/// How often it is looked whether the command was told to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Registers as asked, renews until it is told to end, and takes the instance away.
pub(super) fn keep(ask: &Ask, path: &str, to: &To) -> Exit {
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
    let mut renew_every = match registered(ask, &address, to) {
        Ok(every) => every,
        Err(exit) => return exit,
    };
    let mut is_lost = false;
    while !waits(renew_every, &told) {
        let renewed = to.request(&address, &Call::new(Method::Post, format!("{path}/renew")));
        let next = match renewed {
            Ok(reply) if reply.is_success() => every(&reply),
            // It was not heard for too long, or whom it registered with has forgotten it.
            Ok(reply) if reply.status == 404 => registered(ask, &address, to).ok(),
            Ok(reply) => lost(&mut is_lost, &reply.detail()),
            Err(error) => lost(&mut is_lost, &error.to_string()),
        };
        if let (Some(_), true) = (next, is_lost) {
            is_lost = false;
            say::message("the lease is renewed again");
        }
        renew_every = next.unwrap_or(limits::ADMIN_RETRY_AFTER);
    }
    match to.request(&address, &Call::new(Method::Delete, path.to_owned())) {
        // Whoever is not there any more has gone.
        Ok(reply) if reply.is_success() || reply.status == 404 => Exit::Ok,
        Ok(reply) => {
            say::message(reply.detail());
            Exit::Failed
        }
        Err(error) => super::super::failed(&error),
    }
}

/// Registers, and says so; how often the lease is to be renewed.
fn registered(ask: &Ask, address: &Address, to: &To) -> Result<Duration, Exit> {
    let reply = ask.call().and_then(|call| to.request(address, &call));
    let reply = reply.map_err(|error| super::super::failed(&error))?;
    if !reply.is_success() {
        say::message(reply.detail());
        return Err(Exit::Failed);
    }
    match to.is_json() {
        true => say::data(String::from_utf8_lossy(&reply.body).trim_end()),
        false => ask.show(&reply).map_err(|error| super::super::failed(&error))?,
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
