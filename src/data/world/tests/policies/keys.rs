//! Who calls: keys in every place and in every disguise, and what instances hear of them.

use super::*;

/// A world whose only route asks for a key in these places.
fn world_of(places: Vec<KeyPlace>, forward: bool) -> Scene {
    scene(|plan| {
        asking(plan);
        let method = AuthMethod::Key(KeyAuth { places, forward });
        plan.auths = vec![AuthPlan { name: "own".into(), realm: "shop".into(), method }];
        plan.routes[0].policies.auth = Some("own".to_owned());
    })
}

#[test]
fn nobody_gets_in_without_a_good_key() {
    let world = scene(asking);
    let (status, answer) = world.ask("");
    assert_eq!(status, 401);
    assert_eq!(lines(&answer, "www-authenticate"), ["www-authenticate: key realm=\"coregate\""]);
    let body = "{\"type\":\"about:blank\",\"title\":\"Unauthorized\",\"status\":401,\"detail\":\"a valid key is needed here\"}\n";
    assert!(answer.ends_with(body), "{answer}");
    assert!(!answer.contains("Connection: close"), "the connection lives on: {answer}");
    assert_eq!(world.status("X-Api-Key: key-of-eve\r\n"), 401);
    assert_eq!(world.status(&format!("{ANN}{ANN}")), 401);
    assert_eq!(world.status(&format!("{ANN}{BOB}")), 401);
    let long = format!("X-Api-Key: {}\r\n", "k".repeat(limits::KEY_BYTES_MAX + 1));
    assert_eq!(world.status(&long), 401);
    assert_eq!((world.status(ANN), world.status(BOB)), (200, 200));
    assert_eq!(world.stats().upstream_connects.get() + world.stats().upstream_reused.get(), 2);
    let counted = Identified::ALL.iter().map(|result| world.identified(*result));
    assert_eq!(counted.collect::<Vec<_>>(), [2, 0, 1, 4, 0, 0]);
    assert_eq!(world.stats().rejected[Reject::Unauthenticated as usize].get(), 5);
}

#[test]
fn who_is_not_on_the_list_is_forbidden() {
    let world = scene(|plan| {
        asking(plan);
        plan.listeners[0].terms.expose_reasons = true;
        plan.routes[0].policies.access =
            Access { allow: vec![Principal::Group("gold".into())], deny: Vec::new() };
    });
    assert_eq!(world.status(ANN), 200);
    let (status, answer) = world.ask(BOB);
    assert_eq!((status, lines(&answer, "www-auth").len()), (403, 0));
    assert_eq!(lines(&answer, "x-coregate-reason"), ["x-coregate-reason: forbidden"]);
    assert!(!answer.contains("bob") && !answer.contains("gold"), "{answer}");
    assert_eq!(world.identified(Identified::Forbidden), 1);
}

#[test]
fn a_key_that_has_expired_is_no_key() {
    let world = scene(|plan| {
        asking(plan);
        plan.consumers[0].keys[0].expires = Some(1);
        plan.consumers[1].keys[0].expires = Some(u64::MAX);
    });
    assert_eq!((world.status(ANN), world.status(BOB)), (401, 200));
    assert_eq!(world.identified(Identified::Expired), 1);
}

#[test]
fn the_key_stays_here() {
    let places = || {
        vec![
            KeyPlace::Header("x-key".into()),
            KeyPlace::Query("key".into()),
            KeyPlace::Cookie("key".into()),
        ]
    };
    let world = world_of(places(), false);
    for (request, expected) in [
        (
            "GET /a?x=%2f HTTP/1.1\r\nHost: a\r\nX-KEY: key-of-ann\r\nB: c\r\n\r\n",
            "GET /a?x=%2f HTTP/1.1\r\nHost: a\r\nB: c\r\n",
        ),
        (
            "GET /a?%6bey=key%2dof-ann&x=%2f&y HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a?x=%2f&y HTTP/1.1\r\nHost: a\r\n",
        ),
        (
            "GET /a?key=key-of-ann HTTP/1.0\r\nCookie: key=other\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n",
        ),
        (
            "GET /./a?x HTTP/1.1\r\nHost: a\r\nCookie: a=\"1\";  b=2; key=\"key-of-ann\"; c\r\n\r\n",
            "GET /a?x HTTP/1.1\r\nHost: a\r\nCookie: a=\"1\";  b=2; c\r\n",
        ),
        // The first place decides, and the other keys go no further either.
        (
            "GET /a?key=x&key=y HTTP/1.1\r\nHost: a\r\nCookie: key=z\r\nx-key: key-of-ann\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: a\r\n",
        ),
    ] {
        let sent = world.sent(request);
        assert!(sent.starts_with(expected), "{sent}");
        assert!(!sent.contains("key-of-ann") && !sent.contains("key="), "{sent}");
        assert_eq!(lines(&sent, "x-coregate-consumer"), ["x-coregate-consumer: ann"]);
    }
    let shown = world_of(places(), true)
        .sent("GET /a?key=x HTTP/1.1\r\nHost: a\r\nx-key: key-of-ann\r\n\r\n");
    assert!(shown.starts_with("GET /a?key=x HTTP/1.1\r\nHost: a\r\nx-key: key-of-ann\r\n"));
}

#[test]
fn where_nobody_is_asked_a_key_is_nothing_of_ours() {
    let sent = scene(|_| {}).sent(&get(ANN));
    assert!(sent.contains(ANN) && lines(&sent, "x-coregate-consumer").is_empty(), "{sent}");
}

#[test]
fn nobody_else_says_who_calls() {
    let asking = scene(asking);
    let open = scene(|_| {});
    for forged in [
        "X-Coregate-Consumer: root\r\n",
        "x-coregate-consumer: root\r\nX-COREGATE-CONSUMER: root\r\n",
        "X_Coregate_Consumer: root\r\n",
        "x-coregate_consumer:root\r\n",
        "X-Coregate-Consumer: root\r\nConnection: x-coregate-consumer\r\n",
        "Connection: close, X-Coregate-Consumer\r\nX-Coregate-Consumer: root\r\n",
        "Connection: x-api-key\r\nx_coregate_consumer: root\r\n",
    ] {
        let sent_on = asking.sent(&get(&format!("{forged}{ANN}")));
        let said = sent_on.to_ascii_lowercase().replace('_', "-");
        let said: Vec<_> = said.split("\r\n").filter(|line| line.contains("consumer")).collect();
        assert_eq!(said, ["x-coregate-consumer: ann"], "{forged}");
        let sent_on = open.sent(&get(forged));
        assert!(!sent_on.contains("root"), "{sent_on}");
    }
    // Nor in what comes behind the body, nor in an upgrade.
    let trailer = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Coregate-Consumer: root\r\nx_coregate_consumer: root\r\n\r\n";
    assert!(!open.sent(trailer).contains("root"));
    let upgrade = "Connection: Upgrade, X-Coregate-Consumer\r\nUpgrade: websocket\r\nX-Coregate-Consumer: root\r\n";
    assert!(!open.sent(&get(upgrade)).contains("root"));
    // What is no name is no head.
    assert_eq!(open.status("X-Coregate-Consumer : root\r\n"), 400);
}

#[test]
fn a_further_attempt_says_the_same() {
    let world = world_on(asking);
    let (client, first, second) =
        (world.client(), world.instance(&address()), world.instance(&address()));
    world.said(&client, &get(ANN));
    let before = lines(&text(&first), "x-coregate-consumer");
    world.said(&first, OK);
    client.take();
    world.said(&client, &get(ANN));
    first.take();
    first.end();
    world.run();
    assert_eq!(world.stats().retries.get(), 1);
    let sent = text(&second);
    assert_eq!(lines(&sent, "x-coregate-consumer"), before);
    assert!(!sent.contains("key-of-ann"), "{sent}");
}

#[test]
fn each_of_pipelined_requests_is_asked() {
    let world = world_on(asking);
    let (client, instance) = (world.client(), world.instance(&address()));
    world.said(&client, &format!("{}{}{}", get(ANN), get(""), get(BOB)));
    let mut consumers = Vec::new();
    for _ in 0..2 {
        consumers.extend(lines(&text(&instance), "x-coregate-consumer"));
        world.said(&instance, OK);
    }
    assert_eq!(consumers, ["x-coregate-consumer: ann", "x-coregate-consumer: bob"]);
    let statuses = text(&client);
    let statuses: Vec<_> = statuses.split("HTTP/1.1 ").skip(1).map(|one| &one[..3]).collect();
    assert_eq!(statuses, ["200", "401", "200"]);
}

#[test]
fn a_body_behind_a_refusal_is_no_request() {
    let world = world_on(asking);
    let (client, instance) = (world.client(), world.instance(&address()));
    let hidden = get(ANN);
    let post =
        format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len());
    world.said(&client, &format!("{post}{}", get("")));
    assert_eq!(text(&instance), "");
    assert_eq!(text(&client).matches("HTTP/1.1 401").count(), 2);
}

/// The bucket of failures is the address's, and only what was found good passes while it is empty.
#[test]
fn who_fails_too_often_is_not_looked_up() {
    let world = scene(asking);
    let ask = |address: &str, fields: &str| world.ask_from(address, fields);
    assert_eq!(ask("10.0.0.1", ANN).0, 200);
    for _ in 0..limits::FAILURES_BURST {
        assert_eq!(ask("10.0.0.1", "X-Api-Key: guess\r\n").0, 401);
    }
    let looked_up = world.identified(Identified::Unknown);
    let (status, answer) = ask("10.0.0.1", "X-Api-Key: guess\r\n");
    assert_eq!((status, lines(&answer, "retry-after")), (429, vec!["retry-after: 1".to_owned()]));
    assert_eq!(world.identified(Identified::Unknown), looked_up);
    assert_eq!(world.identified(Identified::Throttled), 1);
    // A key that this worker knows to be good, nothing at all, and another address.
    assert_eq!(ask("10.0.0.1", ANN).0, 200);
    assert_eq!(ask("10.0.0.1", "").0, 401);
    assert_eq!(ask("10.0.0.1", BOB).0, 429, "good, but who knows?");
    assert_eq!(ask("10.0.0.2", BOB).0, 200);
    assert_eq!(ask("10.0.0.1", BOB).0, 200, "now this worker does");
    world.later(Duration::from_secs(1));
    assert_eq!(ask("10.0.0.1", "X-Api-Key: guess\r\n").0, 401);
}

#[test]
fn addresses_of_a_network_fail_together() {
    let world = scene(asking);
    for at in 0..limits::FAILURES_BURST {
        let from = format!("2001:db8::{at:x}");
        assert_eq!(world.ask_from(&from, "X-Api-Key: guess\r\n").0, 401);
    }
    let guess = "X-Api-Key: guess\r\n";
    assert_eq!(world.ask_from("2001:db8::ffff:1", guess).0, 429);
    assert_eq!(world.ask_from("2001:db8:0:1::1", guess).0, 401);
    for _ in 0..limits::FAILURES_BURST {
        assert_eq!(world.ask_from("unix", guess).0, 401);
    }
    assert_eq!(world.ask_from("unix", guess).0, 429);
}

#[test]
fn what_a_route_answers_itself_is_guarded_too() {
    let world = scene(|plan| {
        asking(plan);
        let respond = Respond { status: 200, headers: Vec::new(), body: b"secret".to_vec() };
        plan.routes[0].action = Action::Respond(respond);
    });
    let (status, answer) = world.ask("");
    assert!(status == 401 && !answer.contains("secret"), "{answer}");
    let (status, answer) = world.ask(ANN);
    assert!(status == 200 && answer.ends_with("secret"), "{answer}");
    assert_eq!(world.stats().answered_by_route.get(), 1);
}

#[test]
fn a_revoked_key_is_refused_from_the_next_request_on() {
    let mut plan = Plan::to_instances(&[address()]);
    asking(&mut plan);
    let world = scene(asking);
    assert_eq!(world.status(ANN), 200);
    plan.consumers[0].keys.clear();
    world.publish(compile(&plan, 2).unwrap());
    assert_eq!((world.status(ANN), world.status(BOB)), (401, 200));
}
