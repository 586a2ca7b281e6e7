//! What tables take over, and what is wrong with that.

use std::time::Duration;

use coregate_core::base::limits;

use crate::node::{Kind, Table};
use crate::report::Faults;
use crate::sources::Sources;
use crate::tree::Tree;
use crate::{Settings, parse};

const REST: &str = "listen = '127.0.0.1:0'\n[routes]\n'/a' = 'a'\n'/b' = { to = 'b' }\n";

fn good(text: &str) -> Settings {
    let loaded = parse("good.toml", text);
    assert_eq!(loaded.report.render(false), "", "{text}");
    loaded.settings.unwrap()
}

/// Checks the codes, the lines and parts of what is said.
fn check(text: &str, expected: &[(&str, usize, &str)]) {
    let report = parse("broken.toml", text).report;
    let found: Vec<_> = report.diagnostics().iter().map(|fault| (fault.code, fault.line)).collect();
    let places: Vec<_> = expected.iter().map(|(code, line, _)| (*code, *line)).collect();
    assert_eq!(found, places, "{}", report.render(false));
    for (fault, (_, _, part)) in report.diagnostics().iter().zip(expected) {
        let said = format!("{} | {}", fault.message, fault.suggestion.as_deref().unwrap_or(""));
        assert!(said.contains(part), "{part:?} is not in {said:?}");
    }
}

fn connect(settings: &Settings) -> Vec<u64> {
    let services = settings.plan.services.iter();
    services.map(|service| service.timeout.connect.as_millis() as u64).collect()
}

#[test]
fn own_keys_then_the_extended_then_the_defaults() {
    let text = format!(
        "{REST}[defaults.service]\ntimeout = {{ connect = '1ms', body = '2ms' }}\npool.idle = '3ms'\n\
         [services.a]\ninstances = ['127.0.0.1:1', '127.0.0.1:2']\ntimeout = {{ connect = '4ms', tunnel = '5ms' }}\n\
         [services.b]\nextends = 'a'\ntimeout.tunnel = '6ms'\n\
         [services.c]\nextends = 'b'\ninstances = []\nproxy_protocol = 'v1'\n"
    );
    let report = parse("a", &text).report;
    let codes: Vec<_> = report.diagnostics().iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["W0001"], "nothing uses c; b uses a");
    let settings = parse("a", &text).settings.unwrap();
    let [a, b, c] = &settings.plan.services[..] else { panic!("three services") };
    let millis = Duration::from_millis;
    for (service, tunnel) in [(a, 5), (b, 6), (c, 6)] {
        assert_eq!(service.timeout.connect, millis(4), "{}", service.name);
        assert_eq!(service.timeout.body, millis(2));
        assert_eq!(service.timeout.tunnel, millis(tunnel));
        assert_eq!(service.timeout.first_byte, limits::FIRST_BYTE_TIMEOUT);
        assert_eq!(service.pool.idle, millis(3));
    }
    assert_eq!((a.instances.len(), b.instances.len(), c.instances.len()), (2, 2, 0));
    assert!(b.proxy_protocol.is_none() && c.proxy_protocol.is_some());
}

#[test]
fn listeners_and_a_lone_listen() {
    let rest = "[routes]\n'/*' = 'a'\n[services.a]\ninstances = []\n";
    let defaults = "[defaults.listener]\nlimits.body = '1MiB'\ntimeout = { head = '1s', idle = '2s' }\nexpose_reasons = true\n";
    let settings = good(&format!("listen = '127.0.0.1:0'\n{defaults}{rest}"));
    let terms = settings.plan.listeners[0].terms;
    assert_eq!((terms.body_bytes, terms.expose_reasons), (Some(1 << 20), true));
    let settings = good(&format!(
        "{defaults}[listeners.a]\nbind = '127.0.0.1:0'\nlimits = {{ body = '2MiB' }}\n\
         [listeners.b]\nbind = '127.0.0.1:0'\ntcp = 'a'\n\
         [listeners.c]\nbind = '127.0.0.1:0'\ntcp = 'a'\nproxy_protocol.from = ['unix']\n{rest}"
    ));
    let terms: Vec<_> = settings.plan.listeners.iter().map(|plan| plan.terms).collect();
    assert_eq!(terms[0].body_bytes, Some(2 << 20));
    assert_eq!(
        terms.iter().map(|terms| terms.expose_reasons).collect::<Vec<_>>(),
        [true, false, false]
    );
    let heads: Vec<_> = terms.iter().map(|terms| terms.head_timeout.as_secs()).collect();
    assert_eq!(heads, [1, limits::HEAD_TIMEOUT.as_secs(), 1]);
}

/// What a text says, once its tables have taken over what they do.
fn tree(text: &str) -> Table {
    let (mut sources, mut faults) = (Sources::default(), Faults::default());
    sources.add("tree.toml", text.to_owned());
    let mut root = Tree::parse(sources.get(0).unwrap(), &mut faults).root;
    super::apply(&mut root, &mut faults);
    assert_eq!(faults.errors(), 0);
    root
}

/// The keys of the table at a path, or of each table of the array there.
fn keys(root: &Table, path: &[&str]) -> Vec<String> {
    let (last, above) = path.split_last().unwrap();
    let table = above.iter().fold(root, |table, key| table[*key].node.as_table().unwrap());
    let shown = |table: &Table| table.keys().cloned().collect::<Vec<_>>().join(" ");
    match &table[*last].node.kind {
        Kind::Table(table) => vec![shown(table)],
        Kind::Array(array) => array.iter().filter_map(|node| node.as_table()).map(shown).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_form_of_a_route_takes_the_defaults_over() {
    let root = tree(
        "[defaults.route]\ntimeout = { connect = '1s', body = '2s' }\nrate = '5/s'\nto = 'never'\n\
         [routes]\n'/a' = 'a'\n'GET /b' = { to = 'b', timeout.connect = '9s' }\n'/c' = { redirect = '/' }\n\
         '/d' = [{ to = 'a' }, { respond = 204 }]\n'/e' = 7\n\
         [routes.'x.example']\n'/f' = 'a'\n[routes.'y.example'.'/g']\nsplit = { a = '100%' }\n",
    );
    for (path, expected) in [
        (&["routes", "/a"][..], &["rate timeout to"][..]),
        (&["routes", "/a", "timeout"], &["body connect"]),
        (&["routes", "GET /b", "timeout"], &["body connect"]),
        // What is for services means nothing elsewhere; a policy does.
        (&["routes", "/c"], &["rate redirect"]),
        (&["routes", "/d"], &["rate timeout to", "rate respond"]),
        (&["routes", "x.example"], &["/f"]),
        (&["routes", "x.example", "/f"], &["rate timeout to"]),
        (&["routes", "y.example", "/g"], &["rate split timeout"]),
    ] {
        assert_eq!(keys(&root, path), expected, "{path:?}");
    }
    let own = root["routes"].node.as_table().unwrap()["GET /b"].node.as_table().unwrap();
    let connect = &own["timeout"].node.as_table().unwrap()["connect"];
    assert_eq!((connect.node.as_str(), connect.heritage.is_none()), (Some("9s"), true));
    assert!(own["rate"].heritage.is_some());
    assert_eq!(own["to"].node.as_str(), Some("b"));
}

#[test]
fn faults_of_defaults_are_said_once() {
    let services: String =
        (0..50).map(|at| format!("[services.s{at}]\ninstances = []\n")).collect();
    let text = format!(
        "[defaults]\nservise = {{}}\n[defaults.service]\ntimeout = {{ connect = 5, bdy = '1s' }}\npol = 1\n\
         instances = []\nproxy_protocol = 'v3'\n[defaults.listener]\nbind = '127.0.0.1:1'\nlimits.head = '1B'\n\
         [defaults.route]\nto = 'x'\nelephant = 1\n[listeners.l]\nbind = '127.0.0.1:0'\n{services}"
    );
    let routes: String = (0..50).map(|at| format!("'/{at}' = 's{at}'\n")).collect();
    check(
        &format!("{text}[routes]\n{routes}"),
        &[
            ("E0005", 2, "did you mean `service`?"),
            ("E0007", 4, "`defaults.service.timeout.connect`: expected a time"),
            ("E0005", 4, "unknown key `bdy` in `defaults.service.timeout`"),
            ("E0005", 5, "did you mean `pool`?"),
            ("E0030", 6, "`defaults.service.instances`: a service has its own"),
            ("E0012", 7, "expected \"v1\" or \"v2\""),
            ("E0030", 9, "`defaults.listener.bind`"),
            ("E0009", 10, "`defaults.listener.limits.head` = 1B"),
            ("E0030", 12, "`defaults.route.to`"),
            ("E0005", 13, "unknown key `elephant` in `defaults.route`"),
        ],
    );
    // Nothing takes them over, and they are read all the same.
    check(
        "listen = '127.0.0.1:0'\n[routes]\n'/*' = 'a'\n[defaults.service]\ntimeout.connect = 5\n[services]\na = 1\n",
        &[("E0007", 5, "`defaults.service.timeout.connect`"), ("E0007", 7, "`services.a`")],
    );
    check(
        &format!(
            "{REST}[services.a]\ninstances = []\n[services.b]\ninstances = []\n[defaults]\nservice = 1\nroute = []\n"
        ),
        &[("E0007", 10, "`defaults.service`: expected a table"), ("E0007", 11, "`defaults.route`")],
    );
}

#[test]
fn faults_of_the_extended_are_said_once() {
    check(
        &format!(
            "{REST}[services.a]\ninstances = ['nowhere']\ntimeout.connect = 'soon'\nelephant = 1\n\
             [services.b]\nextends = 'a'\n"
        ),
        &[
            ("E0014", 6, "`services.a.instances`"),
            ("E0010", 7, "`services.a.timeout.connect`"),
            ("E0005", 8, "unknown key `elephant` in `services.a`"),
        ],
    );
}

#[test]
fn what_cannot_be_extended() {
    let services = |lines: &str| format!("{REST}[services.a]\ninstances = []\n{lines}");
    check(
        &format!(
            "{}[services.b]\nextends = 'brava'\n",
            services("[services.bravo]\nextends = 'a'\n")
        ),
        &[
            ("W0001", 7, "nothing uses it"),
            ("E0020", 10, "there is no service \"brava\" | did you mean \"bravo\"?"),
        ],
    );
    check(&services("[services.b]\nextends = 1\n"), &[("E0007", 8, "the name of a service")]);
    check(
        &services("[services.b]\nextends = 'b'\n"),
        &[("E0031", 8, "service `b` extends itself")],
    );
    // No instances anywhere: said where they should stand.
    check(
        &format!("{REST}[services.a]\n[services.b]\nextends = 'a'\n"),
        &[("E0008", 5, "service `a` has no `instances`")],
    );
}

#[test]
fn a_circle_is_shown_at_each_member() {
    let text = format!(
        "{REST}[services.a]\nextends = 'c'\n[services.b]\nextends = 'a'\n[services.c]\nextends = 'b'\n\
         [services.d]\nextends = 'c'\n"
    );
    let expected = "services extend each other: a -> c -> b -> a";
    check(&text, &[("E0031", 6, expected), ("W0001", 11, "nothing uses it")]);
    let report = parse("circle", &text).report;
    let related = &report.diagnostics()[0].related;
    assert_eq!(related.iter().map(|related| related.line).collect::<Vec<_>>(), [10, 8]);
}

#[test]
fn long_chains_and_many_heirs_are_bounded() {
    // Two thousand services, each of which extends the one before.
    let mut text = format!("{REST}[services.b]\ninstances = []\n[services.a]\nextends = 's1999'\n");
    text += "[services.s0]\ninstances = ['127.0.0.1:1']\ntimeout.connect = '7ms'\n";
    text.extend((1..2_000).map(|at| format!("[services.s{at}]\nextends = 's{}'\n", at - 1)));
    let settings = parse("chain", &text).settings.unwrap();
    assert_eq!(connect(&settings).iter().filter(|millis| **millis == 7).count(), 2_001);
    // Few that take over much: whether it is known does not count.
    let much = "1,".repeat(limits::INHERITED_VALUES / 3);
    let heirs = ["c", "d", "e", "f"].map(|name| format!("[services.{name}]\nextends = 'a'\n"));
    let heirs = heirs.concat();
    check(
        &format!(
            "{REST}[services.a]\ninstances = []\nelephant = [{much}]\n[services.b]\nextends = 'a'\n{heirs}"
        ),
        &[
            ("E0005", 7, "elephant"),
            ("W0001", 10, "service `c`"),
            ("W0001", 12, "service `d`"),
            ("E0022", 13, "expected at most 1000000"),
            ("W0001", 14, "service `e`"),
            ("W0001", 16, "service `f`"),
        ],
    );
}
