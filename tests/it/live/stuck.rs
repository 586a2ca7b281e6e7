//! A worker that makes no progress: said by the watchdog and by `/livez`, and taken back when it goes on.

use super::stays;
use crate::harness::client::get;
use crate::harness::clock::until;
use crate::harness::gateway::{Setup, config};
use crate::harness::origin::Origin;

#[test]
fn a_worker_that_hangs() {
    let origin = Origin::named("o");
    let text = config("", "", &[origin.address()]);
    let gateway = Setup::run(&text).start();
    assert_eq!(gateway.admin("GET", "/livez").text(), "ok\n");
    // A second and a half each; two that come together are three.
    let mut clients: Vec<_> = (0..2).map(|_| gateway.client()).collect();
    let said = until("it is seen", || {
        for client in &mut clients {
            client.allow(crate::harness::clock::PATIENCE).send(get("/__hang"));
        }
        let livez = gateway.admin("GET", "/livez");
        clients.iter_mut().for_each(|client| drop(client.response()));
        (livez.status == 503).then(|| livez.text())
    });
    assert_eq!(said, "no answer within 1 s from worker 0\n");
    assert_eq!(gateway.admin("GET", "/livez").status, 200);
    until("the watchdog sees one too", || {
        for client in &mut clients {
            client.allow(crate::harness::clock::PATIENCE).send(get("/__hang"));
        }
        clients.iter_mut().for_each(|client| drop(client.response()));
        gateway.messages().contains("worker 0: no progress for 1 s").then_some(())
    });
    gateway.says("worker 0: goes on after ");
    gateway.view_when("it goes on", "/v1/workers", |view| view["workers"][0]["stuck"] == false);
    assert_eq!(gateway.readiness(), (200, "ready".to_owned()));
    stays(&mut gateway.client(), "/", "o GET /");
}

/// The other is not taken for it.
#[test]
fn one_of_two_workers_hangs() {
    let origin = Origin::named("o");
    let text = super::two_workers(&config("", "", &[origin.address()]));
    let gateway = Setup::run(&text).start();
    let mut client = gateway.client();
    until("it is seen", || {
        let busy = |stats: &crate::harness::process::Stats| stats.each("requests");
        let before = busy(&gateway.stats());
        client.allow(crate::harness::clock::PATIENCE).send(get("/__hang"));
        let stats = gateway.stats_when("it hangs", |stats| busy(stats) != before);
        let after = busy(&stats);
        let which = after.iter().zip(&before).position(|(after, before)| after > before).unwrap();
        let livez = gateway.admin("GET", "/livez");
        assert_eq!(client.response().text(), "o GET /__hang");
        let expected = format!("no answer within 1 s from worker {which}\n");
        (livez.status == 503).then(|| assert_eq!(livez.text(), expected))
    });
}
