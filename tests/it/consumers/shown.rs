//! Limits as operators see them: what there are, how much is left, and a bucket that is filled.

use super::{config, made, status};
use crate::harness::gateway::Setup;
use crate::harness::origin::Origin;

#[test]
fn a_bucket_is_shown_and_filled() {
    let origin = Origin::named("o");
    let tables = "[rates.api]\nlimit = \"3/h\"\nper = \"consumer\"\ngroups = { gold = \"5/h\" }\n\
                  [rates.all]\nlimit = \"1000/s\"\nburst = 2000\nper = [\"address/24\", \"header:x-tenant\"]\ndry_run = true";
    let text = config(tables, ", rate = [\"api\", \"all\"]", origin.address());
    let gateway = Setup::run(&text).start();
    let (tin, gold) =
        (made(&gateway, &["add", "tin"]), made(&gateway, &["add", "gold", "--group", "gold"]));
    // On both workers.
    let mut clients: Vec<_> = (0..8).map(|_| gateway.client()).collect();
    let spent: Vec<_> = clients.iter_mut().map(|client| status(client, &tin)).collect();
    assert_eq!(spent.iter().filter(|status| **status == 200).count(), 3, "{spent:?}");
    assert_eq!(spent.iter().filter(|status| **status == 429).count(), 5, "{spent:?}");
    let show = ["limits", "show", "api", "--consumer", "tin"];
    for _ in 0..2 {
        let shown = gateway.done(&show);
        assert!(shown.contains("consumer tin: 0 of 3 left, full in "), "{shown}");
        assert!(shown.contains("the next request is admitted in "), "{shown}");
    }
    let shown = gateway.done(&["limits", "show", "api", "--consumer", "gold"]);
    assert!(shown.contains("consumer gold: 5 of 5 left"), "{shown}");
    let filled = gateway.done(&["limits", "reset", "api", "--consumer", "tin"]);
    assert!(filled.contains("consumer tin: 3 of 3 left"), "{filled}");
    assert_eq!((status(&mut clients[0], &tin), status(&mut clients[1], &gold)), (200, 200));
    let shown = gateway.command_json(&["limits", "show", "api", "--consumer", "tin"], 0);
    assert_eq!((&shown["bucket"]["remaining"], &shown["limit"]), (&2.into(), &"3/h".into()));
    let list = gateway.done(&["limits", "list"]);
    assert!(list.contains("api: 3/h, per consumer\n  group gold: 5/h\n  /*: "), "{list}");
    let all = "all: 1000/s, burst 2000, per address/24, header:x-tenant, counts only\n";
    assert!(list.contains(all), "{list}");
    // Counters are published a little after an answer.
    gateway.view_when("what came of it is counted", "/v1/limits", |view| {
        let route = &view["limits"][1]["routes"][0];
        (&route["admitted"], &route["refused"]) == (&5.into(), &5.into())
    });
    let said = gateway.refused(&["limits", "show", "api"]);
    assert!(said.contains("is per consumer: say which"), "{said}");
    assert!(gateway.refused(&["limits", "show", "none"]).contains("there is no limit \"none\""));
    let tenant = ["--address", "127.0.0.1", "--header", "x-tenant:a"];
    let shown = gateway.done(&[&["limits", "show", "all"][..], &tenant].concat());
    assert!(shown.contains("address 127.0.0.1, header x-tenant: a: 2000 of 2000 left"), "{shown}");
}
