//! The registry as instances and operators see it.

mod api;
mod crowd;
mod demo;
mod dns;
mod files;
mod probes;
mod restarts;
mod store;

use crate::harness::clock::until;
use crate::harness::gateway::Gateway;

/// Waits until requests go to these alone, each of them; an origin says its name first.
#[track_caller]
fn served_by(gateway: &Gateway, names: &[&str]) {
    let mut client = gateway.client();
    until(&format!("{names:?} serve"), || {
        let mut seen: Vec<_> = (0..16)
            .map(|_| {
                let answer = client.get("/");
                match answer.status {
                    200 => answer.text().split(' ').next().unwrap().to_owned(),
                    other => other.to_string(),
                }
            })
            .collect();
        seen.sort();
        seen.dedup();
        (seen == names).then_some(())
    });
}
