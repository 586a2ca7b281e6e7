//! `coregate registry watch`: a line for each change, across connections that end.

use std::thread;

use coregate_control::io::client::{ClientError, Event, Method};
use coregate_control::registry::directory::view::InstanceView;
use coregate_core::base::limits;
use serde::Deserialize;

use super::super::{failed, with};
use super::{Call, To, escaped, status};
use crate::server::{Exit, say};

/// What is told of a change.
#[derive(Debug, Deserialize)]
struct Told {
    revision: u64,
    service: String,
    id: String,
    what: String,
    why: Option<String>,
    instance: Option<InstanceView>,
}

/// What is asked for.
pub(super) fn call(service: Option<&str>, from: Option<u64>) -> Call {
    let service = service.map(|service| ("service", escaped(service)));
    let from = from.map(|from| ("from", from.to_string()));
    Call::new(Method::Get, with("/v1/registry/watch", from.into_iter().chain(service)))
}

/// Tells of changes until it cannot be had any more.
pub(super) fn watch(service: Option<&str>, mut from: Option<u64>, to: &To) -> Exit {
    let address = match to.place() {
        Ok(address) => address,
        Err(exit) => return exit,
    };
    let mut has_heard = false;
    loop {
        let asked = call(service, from);
        let hear = |event: Event| {
            has_heard = true;
            from = heard(&event, to).or(from);
        };
        match to.follow(&address, &asked, hear) {
            // It has ended, as it does when a process hands over: what came meanwhile is told next.
            Ok(None) => has_heard = true,
            Ok(Some(reply)) if reply.status == 503 && has_heard => {}
            Ok(Some(reply)) => {
                say::message(reply.detail());
                return Exit::Failed;
            }
            Err(ClientError::Unreachable { .. } | ClientError::TimedOut(_)) if has_heard => {}
            Err(error) => return failed(&error),
        }
        thread::sleep(limits::ADMIN_RETRY_AFTER);
    }
}

/// Says what an event says; gives where to go on after it.
fn heard(event: &Event, to: &To) -> Option<u64> {
    if to.is_json() {
        say::data(&event.data);
    }
    if event.name == "compacted" {
        let value: serde_json::Value = serde_json::from_str(&event.data).ok()?;
        say::message("some changes are not kept any more: list again; going on from the latest");
        return value["revision"].as_u64();
    }
    let told: Told = serde_json::from_str(&event.data).ok()?;
    if !to.is_json() {
        say::data(line(&told));
    }
    Some(told.revision)
}

fn line(Told { revision, service, id, what, why, instance }: &Told) -> String {
    let why = why.as_ref().map(|why| format!(" ({})", why.replace('_', " "))).unwrap_or_default();
    let stands =
        instance.as_ref().map(|one| format!("{}  {}  {}", one.address, status(one), one.belief));
    let stands = stands.unwrap_or_default();
    format!("{revision:>10}  {service:<24}  {id:<32}  {:<20}  {stands}", format!("{what}{why}"))
        .trim_end()
        .to_owned()
}
