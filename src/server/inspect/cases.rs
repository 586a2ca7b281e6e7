//! `coregate test`: the tests of a configuration file, by the function that explains.

use std::path::Path;

use coregate_config::RouteTest;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::explain::expect::Missed;
use coregate_core::snapshot::explain::inquiry::Inquiry;
use coregate_core::snapshot::explain::{Outcome, explain};
use serde_json::{Value, json};

use super::{Load, plan, settings, snapshot, unspent};
use crate::server::{Exit, say};

/// How a test went.
#[derive(Debug)]
struct Went {
    missed: Vec<Missed>,
    /// The route that took the request.
    route: Option<String>,
}

/// Runs the tests of a file.
pub(super) fn run(path: &Path, as_json: bool, load: Load<'_>) -> Result<Exit, Exit> {
    let settings = settings(path, load)?;
    let snapshot = snapshot(&plan(&settings))?;
    let tests = &settings.tests;
    let went: Vec<_> = tests.iter().map(|test| Went::of(&snapshot, test)).collect();
    let failed = went.iter().filter(|one| !one.missed.is_empty()).count();
    if as_json {
        let all: Vec<_> =
            tests.iter().zip(&went).map(|(test, went)| as_value(test, went)).collect();
        let passed = tests.len() - failed;
        say::data(
            json!({ "file": path.display().to_string(), "passed": passed, "failed": failed, "tests": all }),
        );
    } else {
        for (test, went) in tests.iter().zip(&went) {
            lines(test, went).iter().for_each(say::data);
        }
        let noun = if tests.len() == 1 { "test" } else { "tests" };
        say::data(format_args!(
            "{} {noun}: {} passed, {failed} failed",
            tests.len(),
            tests.len() - failed
        ));
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::Failed })
}

impl Went {
    fn of(snapshot: &Snapshot, test: &RouteTest) -> Self {
        let headers = test.headers.clone();
        let inquiry = Inquiry { headers, shown: 0, ..Inquiry::new(&test.method, &test.url) };
        match explain(snapshot, &inquiry, &unspent()) {
            Ok(explanation) => {
                let route = match &explanation.outcome {
                    Outcome::Routed(routed) => Some(routed.route.clone()),
                    Outcome::Refused(_) => None,
                };
                Self { missed: test.expect.missed(&explanation), route }
            }
            Err(error) => {
                let expected = "one that can be sent".to_owned();
                let missed = Missed { what: "request", expected, seen: error.to_string() };
                Self { missed: vec![missed], route: None }
            }
        }
    }
}

fn lines(test: &RouteTest, went: &Went) -> Vec<String> {
    let RouteTest { request, file, line, .. } = test;
    if went.missed.is_empty() {
        return vec![format!("ok    {file}:{line}  {request}")];
    }
    let missed = went.missed.iter().map(|Missed { what, expected, seen }| {
        format!("      {what}: expected {expected}, seen {seen}")
    });
    [format!("FAIL  {file}:{line}  {request}")].into_iter().chain(missed).collect()
}

fn as_value(test: &RouteTest, went: &Went) -> Value {
    let missed: Vec<_> = went
        .missed
        .iter()
        .map(|one| json!({ "what": one.what, "expected": one.expected, "seen": one.seen }))
        .collect();
    json!({
        "request": test.request,
        "file": *test.file,
        "line": test.line,
        "passed": went.missed.is_empty(),
        "route": went.route,
        "missed": missed,
    })
}
