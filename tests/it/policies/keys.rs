//! Keys over the wire: where they stand, what instances hear, and who is refused.

use super::{ANN, BOB, ask, gateway, get, reason, with_key};
use crate::harness::origin::Origin;

#[test]
fn keys_in_every_place() {
    let origin = Origin::named("s");
    let gateway = gateway(
        1,
        &origin,
        "[auth.own]\nkey = [{ header = \"x-own-key\" }, { query = \"key\" }, { cookie = \"key\" }]\nrealm = \"shop\"\n\
         [routes]\n\"/*\" = { to = \"s\", auth = \"own\", deny = [\"bob\"] }",
    );
    let mut client = gateway.client();
    for (path, fields, sent) in [
        ("/a?x", format!("X-Own-Key: {ANN}\r\n"), "/a?x"),
        ("/a?key=key%2Dof-ann-0123456789&x=%2f", String::new(), "/a?x=%2f"),
        ("/a", format!("Cookie: a=b; key=\"{ANN}\"\r\n"), "/a"),
    ] {
        let answer = ask(&mut client, get(path, &fields));
        assert_eq!(answer.text(), format!("s GET {sent}"));
        let request = origin.take_one();
        assert_eq!(request.head.get("x-coregate-consumer"), Some("ann"));
        assert!(!request.head.has("x-own-key"));
        assert!(request.head.get("cookie").is_none_or(|cookie| cookie == "a=b"));
    }
    let none = ask(&mut client, with_key("/a", ANN));
    assert_eq!(reason(&none), (401, Some("unauthenticated")));
    assert_eq!(none.head.get("www-authenticate"), Some("Key realm=\"shop\""));
    let bob = ask(&mut client, get("/a", &format!("X-Own-Key: {BOB}\r\n")));
    assert_eq!(reason(&bob), (403, Some("forbidden")));
    let twice = format!("X-Own-Key: {ANN}\r\nx-own-key: {ANN}\r\n");
    assert_eq!(ask(&mut client, get("/a", &twice)).status, 401);
    let long = "k".repeat(5_000);
    assert_eq!(ask(&mut client, get("/a", &format!("X-Own-Key: {long}\r\n"))).status, 401);
    assert!(origin.take().is_empty());
}

#[test]
fn nobody_but_us_says_who_calls() {
    let origin = Origin::named("s");
    let gateway = gateway(
        1,
        &origin,
        "[routes]\n\"/*\" = \"s\"\n\"/keyed/*\" = { to = \"s\", auth = \"key\" }",
    );
    let mut client = gateway.client();
    for forged in [
        "X-Coregate-Consumer: root\r\n",
        "x-coregate-consumer: root\r\nX-COREGATE-CONSUMER: root\r\n",
        "X_Coregate_Consumer: root\r\nx-coregate_consumer: root\r\n",
        "Connection: x-coregate-consumer\r\nX-Coregate-Consumer: root\r\n",
    ] {
        assert_eq!(ask(&mut client, get("/a", forged)).status, 200);
        let named =
            |name: &str| name.to_ascii_lowercase().replace('_', "-") == "x-coregate-consumer";
        let said = |request: &coregate_strict::Request| {
            let fields = request.head.fields.iter().filter(|(name, _)| named(name));
            fields.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        assert!(said(&origin.take_one()).is_empty(), "{forged}");
        let keyed = format!("{forged}X-Api-Key: {ANN}\r\n");
        assert_eq!(ask(&mut client, get("/keyed/a", &keyed)).status, 200);
        assert_eq!(said(&origin.take_one()), ["ann"], "{forged}");
    }
}

#[test]
fn a_connection_outlives_what_is_refused_on_it() {
    let origin = Origin::named("s");
    let gateway = gateway(1, &origin, "[routes]\n\"/*\" = { to = \"s\", auth = \"key\" }");
    let mut client = gateway.client();
    let hidden = with_key("/hidden", ANN);
    let post =
        format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len());
    client.send(format!("{post}{}{}", get("/b", ""), with_key("/c", BOB)));
    let statuses = [client.response(), client.response(), client.response()].map(|one| one.status);
    assert_eq!(statuses, [401, 401, 200]);
    assert_eq!(origin.take_one().target, "/c");
    // HTTP/1.0 is asked alike.
    let mut client = gateway.client();
    client.send("GET /a HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().status, 401);
    client.expect_closed();
}

#[test]
fn who_guesses_is_not_looked_up_for_long() {
    let origin = Origin::named("s");
    let gateway = gateway(1, &origin, "[routes]\n\"/*\" = { to = \"s\", auth = \"key\" }");
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, with_key("/a", ANN)).status, 200);
    let guesses: Vec<_> =
        (0..60).map(|_| ask(&mut client, with_key("/a", "guess")).status).collect();
    assert!(guesses.contains(&401) && guesses.contains(&429), "{guesses:?}");
    // Who is known already is not locked out.
    assert_eq!(ask(&mut client, with_key("/a", ANN)).status, 200);
    let stats = gateway.stats();
    let of = |result: &str| stats.total(&format!("authentications.{result}"));
    assert_eq!((of("known"), of("unknown") + of("throttled")), (2, 60));
    assert!(of("throttled") > 0 && of("unknown") >= 20, "{stats:?}");
}

#[test]
fn a_redirect_says_no_key() {
    let origin = Origin::named("s");
    let gateway = gateway(
        1,
        &origin,
        "[auth.own]\nkey = { query = \"key\" }\n[auth.seen]\nkey = { query = \"key\" }\nforward = true\n\
         [routes]\n\"/old/*\" = { redirect = { to = \"https://b/{*}\" }, auth = \"own\" }\n\
         \"/seen/*\" = { redirect = { to = \"https://b/{*}\" }, auth = \"seen\" }",
    );
    let mut client = gateway.client();
    let mut location = |path: &str| {
        let answer = ask(&mut client, get(&format!("{path}?x=%2f&key={ANN}"), ""));
        answer.head.get("location").map(str::to_owned)
    };
    assert_eq!(location("/old/a").as_deref(), Some("https://b/a?x=%2f"));
    let seen = format!("https://b/a?x=%2f&key={ANN}");
    assert_eq!(location("/seen/a").as_deref(), Some(&*seen));
}
