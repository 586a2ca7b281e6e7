//! How much: rates, what their clients are told, and what they cost.

use super::*;

fn rates_of(answer: &str) -> Vec<String> {
    lines(answer, "ratelimit")
}

#[test]
fn a_rate_is_kept_and_told() {
    let world = scene(|plan| limited(plan, vec![rate("r", 2, &[])]));
    let (status, answer) = world.ask("");
    assert_eq!(status, 200);
    let told = ["ratelimit-limit: 2", "ratelimit-remaining: 1", "ratelimit-reset: 1"];
    assert_eq!(rates_of(&answer), told);
    assert_eq!(world.status(""), 200);
    let (status, answer) = world.ask("");
    assert_eq!((status, lines(&answer, "retry-after")), (429, vec!["retry-after: 1".to_owned()]));
    let told = ["ratelimit-limit: 2", "ratelimit-remaining: 0", "ratelimit-reset: 1"];
    assert_eq!(rates_of(&answer), told);
    let body = "{\"type\":\"about:blank\",\"title\":\"Too Many Requests\",\"status\":429,\"detail\":\"there were too many requests\"}\n";
    assert!(answer.ends_with(body) && !answer.contains("Connection: close"), "{answer}");
    assert_eq!(world.decided(), [2, 1, 0]);
    assert_eq!(world.stats().rejected[Reject::RateLimited as usize].get(), 1);
    world.later(Duration::from_millis(500));
    assert_eq!([world.status(""), world.status("")], [200, 429]);
}

#[test]
fn what_an_instance_says_of_a_rate_is_replaced() {
    let world = |headers| {
        scene(|plan| {
            plan.listeners[0].terms.rate_headers = headers;
            limited(plan, vec![rate("a \"b\"", 9, &[])]);
        })
    };
    let told = |world: &Scene| {
        let theirs = "HTTP/1.1 200 OK\r\nRateLimit-Limit: 1\r\nratelimit: x\r\nRateLimit-Policy: x\r\nContent-Length: 0\r\n\r\n";
        rates_of(&world.exchange("10.0.0.9", GET, theirs).0)
    };
    let plain = ["ratelimit-limit: 9", "ratelimit-remaining: 8", "ratelimit-reset: 1"];
    assert_eq!(told(&world(RateHeaders::Plain)), plain);
    let draft = ["ratelimit-policy: \"a \\\"b\\\"\";q=9;w=1", "ratelimit: \"a \\\"b\\\"\";r=8;t=1"];
    assert_eq!(told(&world(RateHeaders::Draft)), draft);
    let theirs = ["ratelimit-limit: 1", "ratelimit: x", "ratelimit-policy: x"];
    assert_eq!(told(&world(RateHeaders::Off)), theirs);
    let off = scene(|plan| {
        plan.listeners[0].terms.rate_headers = RateHeaders::Off;
        limited(plan, vec![rate("r", 1, &[])]);
    });
    off.status("");
    let (status, answer) = off.ask("");
    assert_eq!((status, rates_of(&answer).len(), lines(&answer, "retry-after").len()), (429, 0, 1));
}

#[test]
fn answers_of_ours_tell_of_a_rate_too() {
    let respond = |headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let respond = Respond { status: 200, headers: headers.collect(), body: b"hi".to_vec() };
        scene(|plan| {
            plan.routes[0].action = Action::Respond(respond);
            limited(plan, vec![rate("r", 2, &[])]);
        })
    };
    let world = respond(&[("RateLimit-Limit", "7")]);
    let told = ["ratelimit-limit: 2", "ratelimit-remaining: 1", "ratelimit-reset: 1"];
    assert_eq!(rates_of(&world.ask("").1), told);
    assert_eq!([world.status(""), world.status("")], [200, 429]);
    // A refusal that comes after: there is no instance.
    let world = scene(|plan| {
        plan.services[0].instances.clear();
        limited(plan, vec![rate("r", 2, &[])]);
    });
    let (status, answer) = world.ask("");
    assert_eq!((status, rates_of(&answer).len()), (503, 3), "{answer}");
    // An instance that says nothing.
    let world = scene(|plan| limited(plan, vec![rate("r", 2, &[])]));
    let client = world.client();
    world.said(&client, GET);
    world.instance.end();
    world.run();
    let answer = text(&client);
    assert!(answer.starts_with("HTTP/1.1 502") && rates_of(&answer).len() == 3, "{answer}");
}

#[test]
fn of_several_the_one_with_least_left_is_told_and_each_refuses() {
    let world = scene(|plan| {
        let narrow = rate("narrow", 2, &[EACH_ADDRESS]);
        limited(plan, vec![rate("wide", 3, &[]), narrow]);
    });
    let ask = |from| world.ask_from(from, "");
    let (_, answer) = ask("10.0.0.1");
    assert_eq!(rates_of(&answer)[..2], ["ratelimit-limit: 2", "ratelimit-remaining: 1"]);
    assert_eq!(ask("10.0.0.1").0, 200);
    let (status, answer) = ask("10.0.0.1");
    assert_eq!((status, rates_of(&answer)[0].as_str()), (429, "ratelimit-limit: 2"));
    // What the narrow one refused has cost the wide one nothing.
    assert_eq!(ask("10.0.0.2").0, 200);
    let (status, answer) = ask("10.0.0.2");
    assert_eq!((status, rates_of(&answer)[0].as_str()), (429, "ratelimit-limit: 3"));
    assert_eq!(world.decided(), [3, 2, 0]);
}

#[test]
fn each_has_its_own_bucket() {
    let world_per = |per: Vec<Per>| scene(|plan| limited(plan, vec![rate("r", 1, &per)]));
    let world = world_per(vec![Per::Header("x-tenant".into())]);
    let tenant = |name: &str| format!("X-Tenant: {name}\r\n");
    assert_eq!([world.status(&tenant("a")), world.status(&tenant("a"))], [200, 429]);
    assert_eq!([world.status(&tenant("b")), world.status(""), world.status("")], [200, 200, 429]);
    let world = world_per(vec![Per::Address { v4: 24, v6: 64 }]);
    let from = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "2001:db8::1", "2001:db8::2", "unix", "unix"];
    let said = from.map(|address| world.ask_from(address, "").0);
    assert_eq!(said, [200, 429, 200, 200, 429, 200, 429]);
}

#[test]
fn consumers_have_their_own_and_groups_other_terms() {
    let world = scene(|plan| {
        asking(plan);
        let gold = rate("", 3, &[]).terms;
        let groups = vec![("gold".to_owned(), gold)];
        limited(plan, vec![RatePlan { groups, ..rate("r", 1, &[Per::Consumer]) }]);
    });
    let ask = |fields: &str| world.ask(fields);
    assert_eq!(rates_of(&ask(ANN).1)[0], "ratelimit-limit: 3");
    assert_eq!([ask(ANN).0, ask(ANN).0, ask(ANN).0], [200, 200, 429]);
    assert_eq!([ask(BOB).0, ask(BOB).0, ask("").0], [200, 429, 401]);
    assert_eq!(world.decided(), [4, 2, 0], "who is not known has cost nothing");
}

/// Limits that need not know who calls are looked at first, and spent from only by who is let in.
#[test]
fn what_is_refused_before_is_not_looked_up() {
    let world = scene(|plan| {
        asking(plan);
        limited(plan, vec![rate("r", 1, &[EACH_ADDRESS])]);
    });
    assert_eq!([world.status(""), world.status("")], [401, 401], "nothing is spent");
    assert_eq!([world.status(ANN), world.status(ANN)], [200, 429]);
    let asked = world.identified(Identified::Known) + world.identified(Identified::Missing);
    assert_eq!(world.status(""), 429);
    assert_eq!(world.status("X-Api-Key: guess\r\n"), 429);
    let now = world.identified(Identified::Known) + world.identified(Identified::Missing);
    assert_eq!((asked, now, world.identified(Identified::Unknown)), (3, 3, 0));
}

#[test]
fn a_dry_run_counts_and_refuses_nobody() {
    let world = scene(|plan| {
        let dry = RatePlan { dry_run: true, ..rate("dry", 1, &[]) };
        limited(plan, vec![dry, rate("wide", 3, &[])]);
    });
    let (_, answer) = world.ask("");
    assert_eq!(rates_of(&answer)[0], "ratelimit-limit: 3", "it is not told of");
    assert_eq!([world.status(""), world.status(""), world.status("")], [200, 200, 429]);
    assert_eq!(world.decided(), [1, 1, 2]);
}

#[test]
fn a_cost_that_is_fixed() {
    let world = scene(|plan| {
        let cost = Cost::Fixed(NonZeroU64::new(5).unwrap());
        limited(plan, vec![RatePlan { cost, ..rate("r", 12, &[]) }]);
    });
    let (_, answer) = world.ask("");
    assert_eq!(rates_of(&answer)[1], "ratelimit-remaining: 7");
    assert_eq!([world.status(""), world.status("")], [200, 429]);
}

#[test]
fn a_cost_that_the_answer_says() {
    let world = scene(|plan| {
        let cost = Cost::Answer("x-cost".into());
        limited(plan, vec![RatePlan { cost, ..rate("r", 10, &[]) }]);
    });
    let ask = |fields: &str| {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
        let (answer, sent) = world.exchange("10.0.0.9", GET, &answer);
        (sent.is_some(), answer)
    };
    let (_, answer) = ask("X-Cost: 4\r\nx-cost: 2\r\nX-Costs: 1\r\n");
    assert_eq!(lines(&answer, "x-cost:"), Vec::<String>::new(), "{answer}");
    assert_eq!(lines(&answer, "x-costs:").len(), 1);
    // One before, six after: three are left, of which this takes one.
    let (_, answer) = ask("X-Cost: -9\r\nX-Cost: many\r\n");
    assert_eq!(rates_of(&answer)[1], "ratelimit-remaining: 2");
    assert_eq!(lines(&answer, "x-cost:"), Vec::<String>::new(), "{answer}");
    // Into debt, at most by a burst.
    assert!(ask("X-Cost: 9999999\r\n").0);
    assert!(!ask("").0);
    world.later(Duration::from_millis(900));
    assert!(!ask("").0);
    world.later(Duration::from_millis(1_300));
    assert!(ask("").0);
}

#[test]
fn routes_that_name_one_rate_share_it() {
    let world = scene(|plan| {
        limited(plan, vec![rate("r", 2, &[])]);
        let mut other = plan.routes[0].clone();
        other.path = "/b".parse().unwrap();
        plan.routes.push(RoutePlan { policies: plan.routes[0].policies.clone(), ..other });
    });
    let other = || {
        let (answer, sent) = world.exchange("10.0.0.9", &GET.replace("/a", "/b"), OK);
        (sent.is_some(), answer[9..12].to_owned())
    };
    assert_eq!(world.status(""), 200);
    assert_eq!(other(), (true, "200".to_owned()));
    assert_eq!((world.status(""), other()), (429, (false, "429".to_owned())));
}
