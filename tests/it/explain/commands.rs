//! The commands, as they are typed.

use crate::harness::gateway::{Folder, Gateway, Setup, config};
use crate::harness::run::Ended;

const SHOP: &str = "listen = \"127.0.0.1:0\"\n\
    [services.users]\ninstances = [\"127.0.0.1:1\"]\n\
    [services.shop]\ninstances = [\"127.0.0.1:2\"]\n\
    [routes]\n\"/users/*\" = \"users\"\n\"/users/admin\" = \"shop\"\n\
    [routes.\"shop.example.com\"]\n\"/*\" = \"shop\"\n";

/// `coregate WORDS -c` a file with this text.
fn command(words: &[&str], text: &str) -> Ended {
    let folder = Folder::new();
    let file = folder.write("a.toml", text).display().to_string();
    Setup::command(folder, &[words, &["-c", &file]].concat()).output()
}

#[test]
fn a_request_is_explained_by_a_file() {
    let ended = command(&["explain", "GET", "http://x/users/./7?a=b"], SHOP);
    assert_eq!((ended.code, ended.messages.as_str()), (Some(0), ""));
    let expected = [
        "request   GET x/users/7?a=b (listener default)",
        "route     /users/*",
        "action    users",
        "service   users 100%: 127.0.0.1:1",
        "path      /users/7?a=b",
        "timeout   connect 1s, first_byte 60s, body 60s, tunnel 3600s",
        "candidates, of 3 routes, in order of precedence:",
        "  - /users/admin  segment 2: expected `admin`, found `7`",
        "  > /users/*      takes it",
        "  1 for other hosts",
    ];
    assert_eq!(ended.output.lines().collect::<Vec<_>>(), expected);
    let json = command(&["explain", "GET", "/none", "-o", "json"], SHOP);
    let said: serde_json::Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!((json.code, &said["status"]), (Some(1), &404.into()));
    let host = command(&["explain", "GET", "/none", "-H", "Host: shop.example.com"], SHOP);
    assert!(host.output.contains("\nroute     shop.example.com/*\n"), "{host:?}");
}

#[test]
fn what_cannot_be_explained() {
    for (words, text, code, message) in [
        (&["explain", "GET", "/"][..], "", 78, "error[E0008]"),
        (&["explain", "GET", "/\n"], SHOP, 2, "coregate: url: expected no control characters"),
        (
            &["explain", "GET", "/", "--listener", "x"],
            SHOP,
            2,
            "coregate: listener \"x\": expected one",
        ),
        (&["explain", "GET", "/", "-H", "x"], SHOP, 2, "expected NAME:VALUE"),
        (&["explain", "GET", "/", "--admin", "127.0.0.1:1"], SHOP, 2, "cannot be used with"),
        (&["routes"], "", 78, "error[E0008]"),
    ] {
        let ended = command(words, text);
        assert_eq!(ended.code, Some(code), "{words:?}: {ended:?}");
        assert!(ended.messages.contains(message), "{words:?}: {ended:?}");
        assert_eq!(ended.output, "", "{words:?}");
    }
    for words in [&["explain", "GET", "/"][..], &["routes"]] {
        let words = [words, &["--admin", "unix:/nobody/here.sock"]].concat();
        assert_eq!(Setup::command(Folder::new(), &words).output().code, Some(69), "{words:?}");
    }
}

#[test]
fn files_stand_with_and_without_their_flag() {
    let alone = |words: &[&str], text: &str| {
        let folder = Folder::new();
        let file = folder.write("a.toml", text).display().to_string();
        Setup::command(folder, &[words, &[&file]].concat()).output()
    };
    for words in [&["check"][..], &["test"], &["config", "show"]] {
        assert_eq!(command(words, SHOP).code, Some(0), "{words:?}");
        assert_eq!(alone(words, SHOP).code, Some(0), "{words:?}");
    }
    for words in [&["check"][..], &["test"], &["config", "show"], &["run"]] {
        assert_eq!(command(words, "").code, Some(78), "{words:?}");
        assert_eq!(alone(words, "").code, Some(78), "{words:?}");
        assert_eq!(Setup::command(Folder::new(), words).output().code, Some(2), "{words:?}");
    }
    let ended = alone(&["routes"], SHOP);
    assert_eq!(ended.code, Some(2));
    assert!(ended.messages.contains("write coregate routes -c /"), "{ended:?}");
    let ended = Setup::command(Folder::new(), &["explain", "a.toml", "GET", "/users/7"]).output();
    assert_eq!(ended.code, Some(2));
    assert!(ended.messages.contains("write coregate explain -c a.toml GET /users/7"), "{ended:?}");
}

#[test]
fn a_url_alone_is_asked_for_by_get() {
    let explain = |words: &[&str]| command(&[&["explain"], words].concat(), SHOP);
    for url in ["/users/7", "http://x/users/7"] {
        let ended = explain(&[url]);
        assert_eq!((ended.code, ended.output), (Some(0), explain(&["GET", url]).output), "{url}");
    }
    for words in [&["GET"][..], &["GET", "/", "/more"]] {
        assert_eq!(explain(words).code, Some(2), "{words:?}");
    }
}

#[test]
fn routes_are_listed_in_order() {
    let ended = command(&["routes"], SHOP);
    let expected = [
        "HOST              METHODS  PATH          PREDICATES  PRIORITY  ACTION  NAME",
        "shop.example.com  any      /*            -           0         shop    shop.example.com/*",
        "*                 any      /users/admin  -           0         shop    /users/admin",
        "*                 any      /users/*      -           0         users   /users/*",
    ];
    assert_eq!(
        (ended.code, ended.output.lines().collect::<Vec<_>>()),
        (Some(0), expected.to_vec())
    );
}

#[test]
fn a_running_gateway_is_asked() {
    let gateway = Gateway::before(&["127.0.0.1:1"]);
    assert!(
        gateway
            .done(&["routes"])
            .ends_with("*     any      /*    -           0         s       /*")
    );
    assert!(gateway.done(&["explain", "GET", "a/x"]).contains("\nservice   s 100%: 127.0.0.1:1\n"));
    gateway.reload(&config("", "", &["127.0.0.1:2"]));
    assert!(gateway.done(&["explain", "GET", "a/x"]).contains("\nservice   s 100%: 127.0.0.1:2\n"));
    let read = gateway.command_json(&["explain", "GET", "a/%zz"], 1);
    assert_eq!((&read["outcome"], &read["status"]), (&"refused".into(), &400.into()));
    assert_eq!(gateway.command_json(&["routes"], 0)["routes"][0]["action"], "s");
    let ended = gateway.command(&["explain", "GET\n", "/"]);
    assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""), "{ended:?}");
    assert_eq!(ended.messages, "coregate: method: expected no control characters");
}

/// `coregate test` of the shop and these tests.
fn tested(tests: &str, words: &[&str]) -> Ended {
    let folder = Folder::new();
    let file = folder.write("a.toml", &format!("{SHOP}{tests}")).display().to_string();
    let ended = Setup::command(folder, &[&["test", &file], words].concat()).output();
    Ended { output: ended.output.replace(&file, "a.toml"), ..ended }
}

#[test]
fn tests_of_a_file_are_run() {
    let right = "[[tests]]\nrequest = \"GET /users/7\"\n\
                 expect = { route = \"/users/*\", service = [\"users\", \"shop\"], path = \"/users/7\" }\n";
    let wrong = "[[tests]]\nrequest = \"GET http://shop.example.com/x\"\nheaders = { x = \"1\" }\n\
                 expect = { route = \"/users/*\", service = \"users\", status = 404 }\n";
    let ended = tested(right, &[]);
    let passed = "ok    a.toml:11  GET /users/7";
    assert_eq!(ended.output, format!("{passed}\n1 test: 1 passed, 0 failed"));
    assert_eq!((ended.code, ended.messages.as_str()), (Some(0), ""));
    let both = format!("{right}{wrong}");
    let ended = tested(&both, &[]);
    let failed = "FAIL  a.toml:14  GET http://shop.example.com/x\n      \
                  route: expected /users/*, seen shop.example.com/*\n      \
                  service: expected users, seen shop\n      \
                  status: expected 404, seen none";
    assert_eq!(ended.output, format!("{passed}\n{failed}\n2 tests: 1 passed, 1 failed"));
    assert_eq!(ended.code, Some(1));
    let json = tested(&both, &["-o", "json"]);
    let read: serde_json::Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!((json.code, &read["passed"], &read["failed"]), (Some(1), &1.into(), &1.into()));
    assert_eq!(
        (&read["tests"][1]["line"], &read["tests"][1]["route"]),
        (&14.into(), &"shop.example.com/*".into())
    );
    assert_eq!(read["tests"][1]["missed"][1]["seen"], "shop");
    assert_eq!(read["tests"][0]["passed"], true);
    assert_eq!(read["tests"][0]["file"], "a.toml");
    assert_eq!(tested("[[tests]]\n", &[]).code, Some(78));
}

#[test]
fn a_test_of_a_file_that_is_included_has_its_place_there() {
    let folder = Folder::new();
    let team = "\n[[tests]]\nrequest = \"GET /users/7\"\nexpect = { status = 404 }\n";
    let included = folder.write("team.toml", team).display().to_string();
    let main = folder.write("a.toml", &format!("include = [\"team.toml\"]\n{SHOP}"));
    let ended = Setup::command(folder, &["test", &main.display().to_string()]).output();
    let place = format!("FAIL  {included}:2  GET /users/7\n");
    assert!(ended.code == Some(1) && ended.output.starts_with(&place), "{ended:?}");
}
