//! Commands, flags, files: one clear message each, and the exit code that says whose fault it is.

use crate::harness::client::Peer;
use crate::harness::gateway::{Ended, Folder, Setup, config};
use crate::harness::origin::Origin;

const USAGE: i32 = 2;
const CONFIG: i32 = 78;

#[track_caller]
fn check(arguments: &[&str], code: i32, says: &[&str]) -> Ended {
    let ended = Setup::command(Folder::new(), arguments).output();
    assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
    let all = format!("{}{}", ended.messages, ended.output).to_lowercase();
    for word in says {
        assert!(
            all.contains(&word.to_lowercase()),
            "{arguments:?} does not say {word:?}: {ended:?}"
        );
    }
    ended
}

#[test]
fn flags_that_are_wrong() {
    let folder = Folder::new();
    let file = folder.write("c.toml", &config("", "", &["127.0.0.1:1"]));
    let file = file.to_str().unwrap();
    let run = ["run", "-c", file];
    check(&[], USAGE, &["usage"]);
    check(&["fly"], USAGE, &["fly"]);
    check(&["run"], USAGE, &["<FILE>"]);
    check(&["proxy"], USAGE, &["--listen"]);
    check(&["proxy", "--listen", "127.0.0.1:0"], USAGE, &["--to"]);
    check(&["proxy", "--listen", "nonsense", "--to", "127.0.0.1:1"], USAGE, &["nonsense"]);
    check(&["proxy", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:99999"], USAGE, &["99999"]);
    for (flag, value) in [
        ("--cores", "bananas"),
        ("--cores", "0"),
        ("--cores", "3-1"),
        ("--cores", "100000"),
        ("--workers", "0"),
        ("--workers", "x"),
        ("--workers", "100000"),
        ("--io", "kqueue"),
        ("--frob", "1"),
    ] {
        let ended = check(&[&run[..], &[flag, value]].concat(), USAGE, &[flag]);
        assert!(ended.output.is_empty(), "messages go to standard error: {ended:?}");
        assert!(!ended.messages.contains("panicked"), "{ended:?}");
    }
}

#[test]
fn help_and_version() {
    let help = check(&["--help"], 0, &["run", "check", "proxy", "demo"]);
    assert!(help.messages.is_empty(), "asked-for help is data: {help:?}");
    check(&["run", "--help"], 0, &["--cores", "--workers", "--io", "--stats"]);
    check(&["--version"], 0, &[env!("CARGO_PKG_VERSION")]);
}

#[test]
fn help_of_commands_and_codes() {
    check(&["help"], 0, &["usage", "check", "schema"]);
    let help = check(&["help", "run"], 0, &["coregate run", "--cores"]);
    assert!(help.messages.is_empty(), "{help:?}");
    check(&["help", "fly"], USAGE, &["fly"]);
    for code in ["E0012", "e0012"] {
        let help = check(&["help", code], 0, &["Wrong:", "Right:"]);
        assert!(help.output.starts_with("E0012: ") && help.messages.is_empty(), "{help:?}");
    }
    let help = check(&["help", "E9999"], USAGE, &["no code E9999"]);
    assert!(help.output.is_empty(), "{help:?}");
}

#[test]
fn the_schema_is_data() {
    let schema = check(&["schema"], 0, &[]);
    assert!(schema.messages.is_empty(), "{schema:?}");
    let schema: serde_json::Value = serde_json::from_str(&schema.output).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["listen"]["examples"][0], "127.0.0.1:0");
}

#[test]
fn reports_for_programs() {
    let folder = Folder::new();
    let bad = folder.write("bad.toml", "listen = 'unix:/a'\nroutes = 1\n");
    let good = folder.write("good.toml", &config("", "", &["127.0.0.1:1"]));
    let [bad, good] = [bad.to_str().unwrap(), good.to_str().unwrap()];
    let github = check(&["check", bad, "-o", "github"], CONFIG, &[",line=2,endLine=2,col=10,"]);
    assert!(github.output.starts_with("::error file=") && github.messages.is_empty(), "{github:?}");
    let json = check(&["check", bad, "-o", "json"], CONFIG, &[]);
    let json: serde_json::Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!((&json[0]["end_line"], &json[0]["end_column"]), (&2.into(), &11.into()));
    for (format, expected) in [("github", ""), ("json", "[]")] {
        assert_eq!(check(&["check", good, "-o", format], 0, &[]).output, expected);
    }
}

#[test]
fn files_that_are_wrong() {
    let good = config("", "", &["127.0.0.1:1"]);
    for (text, says) in [
        ("listen = ", &["1"][..]),
        ("", &["listen"]),
        (&good.replace("\"/*\" = \"s\"", "\"/*\" = \"nobody\""), &["nobody"]),
        (&good.replace("127.0.0.1:1", "127.0.0.1:99999"), &["99999"]),
        (&good.replace("127.0.0.1:1", "no-port"), &["no-port"]),
        (&good.replace("instances", "instanses"), &["instanses", "instances"]),
        (&good.replace("cores = 1", "cores = \"many\""), &["many"]),
        (&good.replace("expose_reasons = true", "expose_reasons = 3"), &["expose_reasons"]),
        (&good.replace("[routes]", "[auth.main]\njwt = 1\n[routes]"), &["not supported yet"]),
        (&good.replace("\"/*\" = \"s\"", "\"users\" = \"s\""), &["users"]),
        (
            &good.replace("expose_reasons", "timeout = { head = \"10 bananas\" }\nexpose_reasons"),
            &["10 bananas"],
        ),
        // All errors come in one pass.
        (
            &good.replace("127.0.0.1:1", "bad-one").replace("\"s\"", "\"bad-two\""),
            &["bad-one", "bad-two"],
        ),
    ] {
        let folder = Folder::new();
        let file = folder.write("c.toml", text);
        let path = file.to_str().unwrap();
        for command in [&["check", path][..], &["run", "-c", path]] {
            let ended = check(command, CONFIG, says);
            assert!(ended.messages.contains("c.toml"), "it names the file: {ended:?}");
        }
    }
    for command in [&["check", "/nowhere/c.toml"][..], &["run", "-c", "/nowhere/c.toml"]] {
        check(command, CONFIG, &["/nowhere/c.toml", "no such file"]);
    }
    let folder = Folder::new();
    let folder = folder.path("");
    check(&["check", folder.to_str().unwrap()], CONFIG, &["directory"]);
}

#[test]
fn a_file_that_is_right() {
    let folder = Folder::new();
    let file = folder.write("c.toml", &config("", "", &["127.0.0.1:1", "unix:/run/users.sock"]));
    let ended = check(&["check", file.to_str().unwrap()], 0, &[]);
    assert!(!ended.messages.contains("error"), "{ended:?}");
}

#[test]
fn what_a_file_says() {
    let folder = Folder::new();
    folder.write("more.toml", "[routes]\n'/more' = 's'\n");
    let text = format!("include = 'more.toml'\n{}", config("", "", &["127.0.0.1:1"]));
    let file = folder.write("c.toml", &text);
    let show = |flags: &[&str], says: &[&str]| {
        let path = file.to_str().unwrap();
        let ended = check(&[&["config", "show", path], flags].concat(), 0, says);
        assert!(ended.messages.is_empty(), "{ended:?}");
        ended.output
    };
    let merged = show(&[], &["\"/more\" = \"s\""]);
    assert!(!merged.contains("include") && !merged.contains("drain"), "{merged}");
    show(&["--expanded", "--origin"], &["c.toml:5", "more.toml:2", "drain = \"30s\"  # built in"]);
    let json = show(&["--expanded", "-o", "json"], &[]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["routes"]["/more"], "s");
    // Printed and read again, it says the same.
    let again = folder.write("again.toml", &show(&["--expanded"], &[]));
    check(&["check", again.to_str().unwrap()], 0, &[]);
    folder.write("more.toml", "[routes]\n'/more' = 'x'\n");
    let ended = check(&["config", "show", file.to_str().unwrap()], CONFIG, &["more.toml", "E0020"]);
    assert!(ended.output.is_empty(), "{ended:?}");
}

#[test]
fn workers_and_cores() {
    for (flags, workers) in [
        (&["--cores", "1"][..], 1),
        (&["--cores", "0-0"], 1),
        (&["--workers", "1"], 1),
        (&["--cores", "1", "--workers", "3"], 3),
    ] {
        let origin = Origin::named("o");
        let gateway = Setup::run(&config("", "", &[origin.address()])).with(flags).start();
        let ready = gateway.line("coregate: ready: ").unwrap();
        let word = if workers == 1 { "1 worker" } else { "3 workers" };
        assert!(ready.starts_with(word), "{flags:?}: {ready}");
        assert_eq!(gateway.client().get("/").status, 200);
        assert_eq!(gateway.stats().each("requests").len(), workers, "{flags:?}");
    }
}

#[test]
fn each_worker_is_pinned() {
    let origin = Origin::named("o");
    let gateway =
        Setup::run(&config("", "", &[origin.address()])).with(&["--cores", "0-0"]).start();
    let tasks = format!("/proc/{}/task", gateway.pid());
    let pinned = std::fs::read_dir(tasks).unwrap().filter_map(Result::ok).filter(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        status.lines().any(|line| {
            line.strip_prefix("Cpus_allowed_list:").is_some_and(|list| list.trim() == "0")
        })
    });
    assert!(pinned.count() >= 1, "a thread on CPU 0 alone");
}

#[test]
fn proxy_needs_no_file() {
    let origins = ["one", "two"].map(Origin::named);
    let to = format!("{},{}", origins[0].address(), origins[1].address());
    let arguments = ["proxy", "--listen", "127.0.0.1:0", "--to", &to, "--cores", "1"];
    let gateway = Setup::command(Folder::new(), &arguments).start();
    let mut client = gateway.client();
    let mut answers = [client.get("/x").text(), client.get("/x").text()];
    answers.sort();
    assert_eq!(answers, ["one GET /x", "two GET /x"]);
}

/// `demo` prints commands to try: each of them must work.
#[test]
fn demo_shows_requests_flow() {
    let folder = Folder::new();
    let admin = format!("unix:{}", folder.path("admin.sock").display());
    let words = ["demo", "--listen", "127.0.0.1:0", "--admin", &admin];
    let gateway = Setup::command(folder, &words).start();
    let shown = |line: &str| line.contains("curl ").then(|| line.to_owned());
    let lines = crate::harness::clock::until("lines to try", || {
        let all = format!("{}\n{}", gateway.output(), gateway.messages());
        let lines: Vec<_> = all.lines().filter_map(shown).collect();
        (!lines.is_empty()).then_some(lines)
    });
    for line in lines {
        let url = line.split_whitespace().find(|word| word.contains("127.0.0.1:")).unwrap();
        let url = url.trim_matches(['\'', '"']).trim_start_matches("http://");
        let (address, path) = url.split_once('/').unwrap_or((url, ""));
        let response = Peer::connect(address).get(&format!("/{path}"));
        assert!(response.status < 500, "{line}: {}", response.head.text());
    }
}
