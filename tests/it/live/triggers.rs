//! Reloads that no command asks for: SIGHUP, SIGUSR1, `--watch`.

use rustix::process::Signal;

use super::stays;
use crate::harness::clock::until;
use crate::harness::gateway::{Gateway, Setup, config};
use crate::harness::origin::Origin;

fn by_signal(signal: Signal) {
    let (one, other) = (Origin::named("one"), Origin::named("other"));
    let gateway = Gateway::before(&[one.address()]);
    let mut client = gateway.client();
    stays(&mut client, "/", "one GET /");
    gateway.write(&config("", "", &[other.address()]));
    gateway.signal(signal);
    gateway.says("reloaded: generation ");
    stays(&mut client, "/", "other GET /");

    // A broken one: said on standard error, with the reasons, and nothing else happens.
    gateway.write("routes = 1\n");
    gateway.signal(signal);
    gateway.says("the one before still runs");
    until("the reasons", || gateway.messages().contains("routes = 1").then_some(()));
    stays(&mut client, "/", "other GET /");
    let last = &gateway.view("/v1/config")["last"];
    assert_eq!((&last["applied"], &last["origin"]), (&false.into(), &"signal".into()));
    gateway.write(&config("", "", &[one.address()]));
    let told = gateway.told();
    gateway.signal(signal);
    gateway.says_after(told, "reloaded: generation ");
    stays(&mut client, "/", "one GET /");
    let origins: Vec<_> = history(&gateway).into_iter().map(|entry| entry.1).collect();
    assert_eq!(origins, ["signal", "signal", "start"]);
}

fn history(gateway: &Gateway) -> Vec<(u64, String)> {
    let history = gateway.view("/v1/config/history");
    let all = history["history"].as_array().unwrap().iter();
    all.map(|one| (one["number"].as_u64().unwrap(), one["origin"].as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn sighup() {
    by_signal(Signal::HUP);
}

/// Elsewhere it opens log files anew; whoever sends it must not end the process, nor change it.
#[test]
fn sigusr1_changes_nothing() {
    let origin = Origin::named("o");
    let gateway = Gateway::before(&[origin.address()]);
    gateway.signal(Signal::USR1);
    gateway.says("SIGUSR1: ");
    assert_eq!((gateway.client().get("/").status, gateway.generation()), (200, 1));
}

/// A flood of signals is a few reloads, in which nothing is lost.
#[test]
fn many_signals() {
    let origins = [Origin::named("0"), Origin::named("1")];
    let gateway = Gateway::before(&[origins[0].address()]);
    let mut client = gateway.client();
    for at in 1..=60 {
        gateway.write(&config("", "", &[origins[at % 2].address()]));
        gateway.signal(Signal::HUP);
        assert_eq!(client.get("/").status, 200);
    }
    until("the last is in force", || (client.get("/").text() == "0 GET /").then_some(()));
    assert_eq!(gateway.stats().total("connections_accepted"), 1);
}

#[test]
fn a_watched_file() {
    let (one, other) = (Origin::named("one"), Origin::named("other"));
    let text = config("", "", &[one.address()]);
    let gateway = Setup::run(&text).with(&["--watch"]).start();
    let mut client = gateway.client();
    stays(&mut client, "/", "one GET /");
    // A new file in its place, as editors do.
    gateway.write(&config("", "", &[other.address()]));
    gateway.says("reloaded: generation ");
    stays(&mut client, "/", "other GET /");
    // A broken one is told of once, and not again by every look.
    gateway.write("nonsense = 1\n");
    gateway.says("the one before still runs");
    stays(&mut client, "/", "other GET /");
    // Gone: nothing happens; there again, by a link that turns.
    let path = gateway.folder.path("coregate.toml");
    std::fs::remove_file(&path).unwrap();
    let told = gateway.told();
    let real = gateway.folder.write("real.toml", &text);
    std::os::unix::fs::symlink(real, &path).unwrap();
    gateway.says_after(told, "reloaded: generation ");
    stays(&mut client, "/", "one GET /");
    assert_eq!(gateway.messages().matches("the one before still runs").count(), 1);
    let status = gateway.view("/v1/status");
    assert_eq!(
        (&status["reloads"]["applied"], &status["reloads"]["refused"]),
        (&2.into(), &1.into())
    );
    let origins: Vec<_> = history(&gateway).into_iter().map(|entry| entry.1).collect();
    assert_eq!(origins, ["watch", "watch", "start"]);
}
