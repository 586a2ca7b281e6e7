//! What the compiler cannot check: documents beside the code, and what a package must not name.

use std::path::{Path, PathBuf};

use crate::harness::gateway::{Folder, Setup};

/// The files of the data plane that may share, relative to `src/data`, at most three; they count what they write.
/// `kept.rs` clones an `Arc` when a worker first touches a route or a service.
const MAY_SHARE: [&str; 1] = ["worker/kept.rs"];

/// The longest file, in lines; long tests live in `x/tests.rs`, which do not count.
const LINES: usize = 450;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file under a folder of the repository, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// The text without comments and without its tests: what is compiled into the binary.
fn code(text: &str) -> String {
    let product = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text);
    let lines = product.lines().map(|line| line.split("//").next().unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
        || path.components().any(|part| part.as_os_str() == "tests")
}

#[track_caller]
fn nothing_in(what: &str, faults: Vec<String>) {
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}

#[track_caller]
fn absent(folder: &str, words: &[&str], except: &[&str]) {
    let mut faults = Vec::new();
    for (path, text) in sources(folder) {
        let own = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
        if is_test(&path) || except.contains(&own.as_str()) {
            continue;
        }
        for (at, line) in code(&text).lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                faults.push(format!("{}:{}: {word}", path.display(), at + 1));
            }
        }
    }
    nothing_in(&format!("{folder} must not name these"), faults);
}

#[test]
fn every_module_says_what_it_is() {
    let silent = sources("src").into_iter().filter(|(_, text)| !text.starts_with("//! "));
    nothing_in("no `//!` at the top", silent.map(|(path, _)| path.display().to_string()).collect());
}

#[test]
fn files_fit_a_sitting() {
    let long = sources("src").into_iter().chain(sources("perf")).filter_map(|(path, text)| {
        let own = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(&text).lines().count();
        (!is_test(&path) && own > LINES).then(|| format!("{}: {own} lines", path.display()))
    });
    nothing_in("too long", long.collect());
}

/// Rule 2: a worker shares nothing that it writes per request.
#[test]
fn the_data_plane_shares_nothing() {
    const { assert!(MAY_SHARE.len() <= 3) };
    for file in MAY_SHARE {
        assert!(
            root().join("src/data").join(file).exists(),
            "{file} is gone: take it off the list"
        );
    }
    let words = ["Arc::clone(", "Mutex", "RwLock", "sync::atomic", "mpsc"];
    absent("src/data", &words, &MAY_SHARE);
}

/// Rule 11: a dropped read loses bytes.
#[test]
fn the_data_plane_selects_on_nothing() {
    absent("src/data", &["select!"], &[]);
}

/// Rule 1: the planes do not know each other's runtimes; the pure package knows none, no socket and no clock.
#[test]
fn each_package_keeps_to_its_own() {
    absent("src/data", &["tokio", "axum", "coregate_control", "coregate_config"], &[]);
    absent("src/control", &["monoio", "io_uring", "coregate_data"], &[]);
    absent("src/config", &["monoio", "tokio", "coregate_data", "coregate_control"], &[]);
    let pure = ["monoio", "tokio", "std::net::Tcp", "std::fs", "Instant::now", "SystemTime::now"];
    absent("src/core", &pure, &[]);
}

/// Each heavy dependency has one door.
#[test]
fn httparse_has_one_door() {
    absent("src/core", &["httparse"], &["http/parse.rs"]);
    absent("src/data", &["httparse"], &[]);
}

#[test]
fn every_flag_stands_in_tuning_md() {
    let tuning = read("tuning.md");
    for command in ["run", "proxy"] {
        let help = Setup::command(Folder::new(), &[command, "--help"]).output();
        assert_eq!(help.code, Some(0), "{help:?}");
        let missing =
            flags(&help.output).into_iter().filter(|flag| !tuning.contains(flag.as_str()));
        nothing_in(&format!("flags of `{command}` that tuning.md lacks"), missing.collect());
    }
}

#[test]
fn every_counter_stands_in_tuning_md() {
    let tuning = read("tuning.md");
    let source = read("src/data/worker/stats.rs");
    let (_, list) = source.split_once("\ncounters! {").expect("the list of counters");
    let (list, _) = list.split_once("\n}").expect("its end");
    let names = list.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(','));
    let names: Vec<_> = names.filter(|name| !name.starts_with("responses_")).collect();
    assert!(names.len() > 15, "{names:?}");
    let missing = names.into_iter().filter(|name| !tuning.contains(&format!("| `{name}` |")));
    nothing_in("counters that tuning.md lacks", missing.map(str::to_owned).collect());
}

/// The long flags that a help text lists.
fn flags(help: &str) -> Vec<String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let listed = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let flags: Vec<_> = listed
        .filter_map(|line| line.find("--").map(|at| &line[at..]))
        .map(|rest| rest.split(|c| !letters(c)).next().unwrap_or(rest).to_owned())
        .filter(|flag| flag != "--help" && flag != "--version")
        .collect();
    assert!(!flags.is_empty(), "no flags in {help}");
    flags
}

#[test]
fn every_reason_stands_on_the_architecture_page() {
    let table = read("src/data/proxy/reject.rs");
    let page = read("src/README.md");
    let tokens: Vec<_> = code(&table)
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|t| is_token(t))
        .map(String::from)
        .collect();
    assert!(tokens.iter().any(|token| token == "no_route"), "no reasons found: {tokens:?}");
    let missing = tokens.into_iter().filter(|token| !page.contains(token.as_str()));
    nothing_in("reasons that src/README.md lacks", missing.collect());
}

/// A reason token: `no_route`, `overloaded`.
fn is_token(text: &str) -> bool {
    text.len() > 3 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[test]
fn every_case_names_tests_that_there_are() {
    let page = read("tests/it/wire/mod.rs");
    let rows: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(1).collect();
    assert!(rows.len() > 20, "{} rows", rows.len());
    let mut faults = Vec::new();
    for row in rows {
        let tests: Vec<_> = row.split('`').filter_map(|word| word.split_once("::")).collect();
        if tests.is_empty() {
            faults.push(format!("no test: {row}"));
        }
        for (module, test) in tests {
            let file = match (module, module.strip_prefix("world/")) {
                ("world", _) => "src/data/world/tests.rs".to_owned(),
                (_, Some(part)) => format!("src/data/world/tests/{part}.rs"),
                (_, None) => format!("tests/it/wire/{module}.rs"),
            };
            if !read(&file).contains(&format!("#[test]\nfn {test}()")) {
                faults.push(format!("{file} has no test {test}"));
            }
        }
    }
    nothing_in("cases whose tests are gone", faults);
}

/// Every limit says why it is what it is.
#[test]
fn every_limit_has_its_line() {
    let parts = ["", "/admin", "/registry", "/shown"];
    let text: String =
        parts.iter().map(|part| read(format!("src/core/base/limits{part}.rs"))).collect();
    let lines: Vec<_> = text.lines().collect();
    let bare = lines
        .windows(2)
        .filter(|two| two[1].starts_with("pub const ") && !two[0].starts_with("///"));
    nothing_in("limits without a word", bare.map(|two| two[1].to_owned()).collect());
}
