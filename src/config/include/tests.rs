//! Several files: what they say together, and what is wrong between them.

use coregate_core::base::limits;

use crate::folder::Folder;
use crate::{parse, textdiff};

const MAIN: &str = "include = ['teams/*.toml', 'more.toml']\nlisten = '127.0.0.1:0'\n[routes]\n'/main' = 'main'\n\
                    [services.main]\ninstances = ['127.0.0.1:1']\n";
const USERS: &str = "[routes]\n'/users/*' = 'users'\n[routes.'x.example']\n'/a' = 'users'\n\
                     [services.users]\ninstances = ['127.0.0.1:2']\n";
const ORDERS: &str =
    "[routes.'x.example']\n'/b' = 'orders'\n[services.orders]\ninstances = ['127.0.0.1:3']\n";
const MORE: &str = "include = 'deep/*'\n";

fn good() -> Folder {
    Folder::with(&[
        ("main.toml", MAIN),
        ("teams/users.toml", USERS),
        ("teams/orders.toml", ORDERS),
        ("teams/.hidden.toml", "not = toml = at all"),
        ("teams/readme.md", "not TOML"),
        ("more.toml", MORE),
        (
            "deep/a.toml",
            "[services.deep]\ninstances = ['127.0.0.1:4']\n[routes]\n'/deep' = 'deep'\n",
        ),
    ])
}

#[test]
fn several_files_are_one() {
    let folder = good();
    folder.check(&[]);
    let settings = folder.load().settings.unwrap();
    let names: Vec<_> = settings.plan.services.iter().map(|one| one.name.as_str()).collect();
    // In the order in which they are read: main, teams by name, more and what it includes.
    assert_eq!(names, ["main", "orders", "users", "deep"]);
    assert_eq!(settings.plan.routes.len(), 5);
}

#[test]
fn what_was_read_is_kept_whole() {
    let folder = good();
    let loaded = folder.load();
    let text = loaded.text.unwrap();
    for part in [MAIN, USERS, ORDERS, MORE, "# ==== \"teams/users.toml\"\n"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("not TOML"));
    // It says the same when the files are others, or are gone.
    folder.write("teams/users.toml", USERS.replace(":2", ":9"));
    let changed = folder.load();
    drop(folder);
    let kept = parse("number 1", &text);
    assert_eq!(kept.report.render(false), "");
    assert_eq!(kept.settings, loaded.settings);
    assert_ne!(kept.settings, changed.settings);
    assert_eq!(kept.text.as_ref(), Some(&text));
    let diff = textdiff("1", &text, "2", &changed.text.unwrap());
    assert!(diff.contains("-instances = ['127.0.0.1:2']\n+instances = ['127.0.0.1:9']"), "{diff}");
    // What is wrong with it names the file of the history.
    let report = parse("number 1", &text.replace("[services.users]", "[services.user]")).report;
    assert_eq!(&*report.diagnostics()[0].file, "number 1, teams/users.toml");
}

#[test]
fn inputs_are_all_files_that_count() {
    let folder = good();
    let inputs = folder.load().inputs;
    assert_eq!(inputs.main(), Some(folder.path("main.toml").as_path()));
    let names = ["main.toml", "teams/orders.toml", "teams/users.toml", "more.toml", "deep/a.toml"];
    assert_eq!(inputs.now(), names.map(|name| folder.path(name)));
    folder.write("teams/z.toml", "");
    assert_eq!(inputs.now().last(), Some(&folder.path("teams/z.toml")));
}

#[test]
fn what_stands_in_two_files() {
    let folder = good();
    folder.write(
        "more.toml",
        "[services.users]\ninstances = []\n[routes]\n'/main' = 'users'\n[routes.'x.example']\n'/./b' = 'users'\n\
         '/a' = 'users'\n",
    );
    folder.check(&[
        ("E0026 more.toml:1:11", "`services.users` stands in two files"),
        ("E0026 more.toml:4:1", "`routes.\"/main\"` stands in two files"),
        // As it is written, and as it is read.
        ("E0018 more.toml:6:1", "route `x.example/b` stands twice"),
        ("E0026 more.toml:7:1", "`routes.\"x.example\".\"/a\"` stands in two files"),
    ]);
    let report = folder.load().report;
    let shown = folder.bare(&report.render(false));
    for part in [
        " --> more.toml:1:11\n",
        " ::: teams/users.toml:5:11\n",
        "5 | [services.users]\n  |           ----- first here",
        " ::: teams/orders.toml:2:1\n",
        "takes the same requests",
    ] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let related = &json[0]["related"][0];
    assert_eq!((&related["line"], &related["column"]), (&5.into(), &11.into()));
    assert!(related["file"].as_str().unwrap().ends_with("/teams/users.toml"));
}

#[test]
fn sections_that_are_no_tables() {
    let folder = good();
    folder.write("more.toml", "services = 1\nroutes = 'x'\nelephant = 1\n");
    folder.write("teams/users.toml", "elephant = 2\n");
    folder.check(&[
        ("E0005 teams/users.toml:1:1", "unknown key `elephant`"),
        ("E0026 more.toml:1:1", "`services` stands in two files"),
        ("E0026 more.toml:2:1", "`routes` stands in two files"),
        ("E0026 more.toml:3:1", "`elephant` stands in two files"),
    ]);
}

#[test]
fn every_file_may_hold_tests() {
    let folder = good();
    let test = |path: &str| {
        format!("[[tests]]\nrequest = 'GET http://x.example{path}'\nexpect.service = 'users'\n")
    };
    folder.write("more.toml", test("/users/1"));
    folder.write("teams/users.toml", format!("{USERS}{}", test("/users/2")));
    folder.check(&[]);
    let settings = folder.load().settings.unwrap();
    let tests = settings.tests.iter().map(|test| (folder.bare(&test.file), test.line));
    let expected = [("teams/users.toml", 7), ("more.toml", 1)];
    assert!(tests.eq(expected.map(|(file, line)| (file.to_owned(), line))));
}

#[test]
fn what_stands_in_the_main_file_alone() {
    let folder = good();
    folder.write(
        "more.toml",
        "listen = '127.0.0.1:1'\n[runtime]\nworkers = 1\n[defaults.service]\n[listeners.l]\nbind = '127.0.0.1:2'\n",
    );
    folder.check(&[
        ("E0021 main.toml:2:1", "cannot stand together"),
        ("E0027 more.toml:1:1", "`listen` in a file that is included"),
        ("E0027 more.toml:2:2", "`runtime`"),
        ("E0027 more.toml:4:2", "`defaults`"),
    ]);
}

#[test]
fn files_that_are_not_there() {
    let main = |include: &str| {
        Folder::with(&[("main.toml", &MAIN.replace("['teams/*.toml', 'more.toml']", include))])
    };
    for (include, expected) in [
        ("['a.toml']", &[("E0028 main.toml:1:12", "cannot read a.toml: No such file")][..]),
        (
            "['*.none', 'b/*.toml']",
            &[
                ("W0005 main.toml:1:12", "no file matches"),
                ("W0005 main.toml:1:22", "no file matches"),
            ],
        ),
        ("['*/a.toml']", &[("E0028 main.toml:1:12", "only stand behind the last slash")]),
        (
            "['', 'a/']",
            &[
                ("E0028 main.toml:1:12", "expected the path of a file"),
                ("E0028 main.toml:1:16", "expected the path of a file"),
            ],
        ),
        ("7", &[("E0007 main.toml:1:11", "write include = ")]),
        ("[7]", &[("E0007 main.toml:1:12", "expected the path of a file, found an integer")]),
        ("['.']", &[("E0028 main.toml:1:12", "Is a directory")]),
    ] {
        main(include).check(expected);
    }
    // What is missing may stand where nothing could be read.
    let folder = main("['a.toml']\n[routes]\n'/a' = 'lost'\n[nothing]");
    folder.write(
        "main.toml",
        "include = 'a.toml'\nlisten = '127.0.0.1:0'\n[routes]\n'/a' = 'lost'\n",
    );
    folder.check(&[("E0028 main.toml:1:11", "cannot read a.toml")]);
}

#[test]
fn files_that_cannot_be_read() {
    let folder = good();
    folder.write("more.toml", b"[routes]\n# \xff\n");
    folder.write("teams/users.toml", "[routes]\n'/a' = 'lost'\nb = \n");
    folder.check(&[
        ("E0003 teams/users.toml:3:5", "not TOML"),
        ("E0002 more.toml:2:3", "byte 0xff is not UTF-8"),
    ]);
    assert!(folder.load().text.is_some());
}

#[test]
fn circles_and_files_that_come_twice() {
    let folder = good();
    folder.write("deep/a.toml", "include = ['../more.toml']\n");
    folder.check(&[(
        "E0029 deep/a.toml:1:12",
        "files include each other: more.toml -> deep/a.toml -> deep/../more.toml",
    )]);
    let report = folder.load().report;
    assert_eq!(folder.bare(&report.diagnostics()[0].related[0].file), "more.toml");
    folder.write("deep/a.toml", "include = ['../teams/users.toml']\n");
    folder.check(&[(
        "E0029 deep/a.toml:1:12",
        "included twice: main.toml -> more.toml -> deep/a.toml -> deep/../teams/users.toml",
    )]);
    folder.write("deep/a.toml", "include = ['../main.toml']\n");
    folder.check(&[("E0029 deep/a.toml:1:12", "files include each other: main.toml -> ")]);
}

#[test]
fn too_many_files() {
    let folder = good();
    for at in 0..limits::CONFIG_FILES {
        folder.write(&format!("teams/{at}.toml"), "");
    }
    folder.check(&[("E0022 main.toml:1:12", "more than 1000 files")]);
    let folder = good();
    folder.write("more.toml", "#".repeat(limits::CONFIG_FILES_BYTES as usize));
    folder.check(&[("E0022 main.toml:1:28", "the files have more than 16777216 bytes together")]);
}

/// What an `include` names again and again is looked for so many times and no more, and watched once.
#[test]
fn too_many_elements() {
    let folder = good();
    let include = |element: &str, count: usize| {
        let elements = vec![format!("'{element}'"); count].join(",\n");
        folder.write(
            "main.toml",
            format!("include = [\n{elements}]\n{}", &MAIN[MAIN.find('\n').unwrap()..]),
        );
        let loaded = folder.load();
        let last = loaded.report.diagnostics().iter().rfind(|fault| fault.code == "E0022");
        (last.map(|fault| fault.line), loaded.inputs.now().len())
    };
    assert_eq!(include("none/*.toml", limits::INCLUDES), (None, 1));
    assert_eq!(include("none/*.toml", 2 * limits::INCLUDES), (Some(limits::INCLUDES + 2), 1));
    // Itself, and the one that it includes, the second time as well.
    assert_eq!(include("more.toml", limits::CONFIG_FILES), (Some(limits::CONFIG_FILES), 3));
    assert_eq!(include("teams/*.toml", limits::INCLUDES), (Some(limits::CONFIG_FILES / 2 + 1), 3));
    assert_eq!(include("gone.toml", 2 * limits::CONFIG_FILES), (Some(limits::CONFIG_FILES + 1), 2));
}

#[test]
fn a_text_that_is_no_file_includes_none() {
    let report = parse("text", MAIN).report;
    let codes: Vec<_> = report.diagnostics().iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["E0028"]);
}

#[test]
fn secrets_of_every_file_are_hidden() {
    let folder = good();
    folder.write("more.toml", "[runtime]\n[services.a]\ninstances = []\npassword = 'hunter2'\n");
    folder.write("teams/users.toml", "[services.users]\ninstances = []\nadmin_token = 'hunter3'\n");
    let shown = folder.load().report.render(false);
    assert!(shown.contains("E0005") && !shown.contains("hunter"), "{shown}");
}

#[test]
fn only_regular_files_are_included() {
    let folder =
        Folder::with(&[("main.toml", "include = ['fifo', 'null']\nlisten = '127.0.0.1:0'\n")]);
    let made = std::process::Command::new("mkfifo").arg(folder.path("fifo")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("/dev/null", folder.path("null")).unwrap();
    // It comes back: nobody ever writes into the pipe.
    let report = folder.load().report;
    let said: Vec<_> = report.diagnostics().iter().map(|one| (one.code, one.line)).collect();
    assert_eq!(said, [("E0028", 1), ("E0028", 1)], "{}", report.render(false));
    assert!(report.render(false).contains("not a regular file"));
}

#[test]
fn names_of_files_are_nothing_that_a_terminal_obeys() {
    let folder = Folder::with(&[("main.toml", "include = ['*.bad']\nlisten = '127.0.0.1:0'\n")]);
    folder.write("a\u{1b}[31m\nb.bad", "x");
    let text = folder.load().report.render(false);
    assert!(text.contains(r"a\u{1b}[31m\nb.bad:1:2"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn nothing_that_a_terminal_obeys_is_said() {
    let folder = Folder::with(&[]);
    for text in [
        "[services.'e\u{1b}']",
        "[services.\"e\\u001b[31m\\nil\"]\nextends = \"z\\u001b\"\n[services.\"z\\u001b\"]\nextends = \"e\\u001b[31m\\nil\"\n[routes]\n[routes]",
        "[services.a]\n\"e\\u001b[31m\\nil\" = 1",
        "[routes]\n\"/\" = \"e\\u001b[31m\"\n[services.\"e\\u009b\"]\ninstances = []",
    ] {
        folder.write("main.toml", text);
        let report = folder.load().report;
        assert!(report.has_errors());
        for one in report.diagnostics() {
            let related = one.related.iter().map(|related| related.message.clone());
            let said = [one.message.clone(), one.suggestion.clone().unwrap_or_default()];
            for said in said.into_iter().chain(related) {
                assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
            }
        }
    }
}
