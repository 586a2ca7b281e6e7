//! Rates over the wire: what clients are told, what routes share, and what only counts.

use super::{ANN, BOB, ask, gateway, get, metric, reason, with_key};
use crate::harness::origin::{Origin, Reply};

#[test]
fn what_clients_are_told() {
    let origin = Origin::serving(|_| {
        Reply::with("200 OK", "RateLimit-Limit: 7\r\nRateLimit-Policy: theirs\r\n", "x")
    });
    let gateway = gateway(
        1,
        &origin,
        "[listeners.draft]\nbind = \"127.0.0.1:0\"\nrate_headers = \"draft\"\n\
         [listeners.off]\nbind = \"127.0.0.1:0\"\nrate_headers = false\n\
         [rates.api]\nlimit = \"60/min\"\nburst = 2\n\
         [routes]\n\"/*\" = { to = \"s\", rate = \"api\" }\n\
         \"/go\" = { redirect = \"/a\", rate = { limit = \"1/min\" } }",
    );
    let told = |listener: &str| {
        let address = gateway.addresses_of(listener)[0];
        let answer = ask(&mut crate::harness::client::Peer::connect(address), get("/a", ""));
        let fields = answer
            .head
            .fields
            .iter()
            .filter(|(name, _)| name.to_ascii_lowercase().starts_with("ratelimit"));
        let fields = fields.map(|(name, value)| format!("{name}: {value}"));
        (answer.status, fields.collect::<Vec<_>>())
    };
    let plain = ["RateLimit-Limit: 2", "RateLimit-Remaining: 1", "RateLimit-Reset: 1"];
    assert_eq!(told("default"), (200, plain.map(str::to_owned).into()));
    let (status, draft) = told("draft");
    assert_eq!((status, draft[0].as_str()), (200, "RateLimit-Policy: \"api\";q=2;w=2"));
    assert!(draft.len() == 2 && draft[1].starts_with("RateLimit: \"api\";r=0;t="), "{draft:?}");
    let (status, off) = told("off");
    assert_eq!((status, off.len()), (429, 0), "the others have taken what there was: {off:?}");
    let mut client = gateway.client();
    let away = ask(&mut client, get("/go", ""));
    assert_eq!((away.status / 100, away.head.get("ratelimit-remaining")), (3, Some("0")));
    assert_eq!(reason(&ask(&mut client, get("/go", ""))), (429, Some("rate_limited")));
}

#[test]
fn groups_dry_runs_and_costs() {
    let origin = Origin::serving(|_| Reply::with("200 OK", "X-Cost: 4\r\n", "x"));
    let gateway = gateway(
        1,
        &origin,
        "[rates.each]\nlimit = \"1/min\"\nper = \"consumer\"\ngroups = { gold = \"3/min\" }\n\
         [rates.dry]\nlimit = \"1/min\"\ndry_run = true\n\
         [rates.cost]\nlimit = \"5/min\"\ncost = { answer = \"x-cost\" }\n\
         [routes]\n\
         \"/each\" = { to = \"s\", auth = \"key\", rate = [\"each\", \"dry\"] }\n\
         \"/cost\" = { to = \"s\", rate = \"cost\" }",
    );
    let mut client = gateway.client();
    let mut status = |key| ask(&mut client, with_key("/each", key)).status;
    assert_eq!([ANN, ANN, ANN, ANN, BOB, BOB].map(&mut status), [200, 200, 200, 429, 200, 429]);
    let decided = |decision: &str| {
        let labels = format!("route=\"/each\",decision=\"{decision}\"");
        metric(&gateway, &format!("coregate_rate_limit_decisions_total{{{labels}}}"))
    };
    assert_eq!(["admitted", "refused", "dry_run"].map(decided), [1, 2, 3]);
    let mut client = gateway.client();
    let answer = ask(&mut client, get("/cost", ""));
    assert_eq!((answer.status, answer.head.has("x-cost")), (200, false));
    assert_eq!(ask(&mut client, get("/cost", "")).status, 429);
}

#[test]
fn what_a_request_has_cost_is_no_clients_to_see() {
    let origin = Origin::serving(|_| {
        Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nX-Cost: 9\r\nLink: </a>\r\n\r\n\
             HTTP/1.1 200 OK\r\nX-Cost: 1\r\nContent-Length: 0\r\n\r\n",
        )
    });
    let gateway = gateway(
        1,
        &origin,
        "[rates.cost]\nlimit = \"4/min\"\ncost = { answer = \"x-cost\" }\n\
         [routes]\n\"/cost\" = { to = \"s\", rate = \"cost\" }",
    );
    let mut client = gateway.client();
    for _ in 0..2 {
        let interim = ask(&mut client, get("/cost", ""));
        assert_eq!((interim.status, interim.head.has("link")), (103, true));
        let answer = client.response();
        assert!(
            answer.status == 200 && ![interim, answer].iter().any(|one| one.head.has("x-cost"))
        );
    }
    // The final answer alone said how much: one before, and one after.
    assert_eq!(ask(&mut client, get("/cost", "")).status, 429);
}
