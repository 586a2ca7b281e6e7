//! `coregate test`: the tests of a configuration file, by the function that explains.

use std::path::Path;

use coregate_config::Settings;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::explain::expect::{Expected, Missed};
use coregate_core::snapshot::explain::inquiry::Inquiry;
use coregate_core::snapshot::explain::{Outcome, explain};
use serde_json::{Value, json};

use super::{Load, settings, snapshot};
use crate::server::{Exit, say};

/// A test.
#[derive(Debug)]
struct Case {
    /// The request as it is written.
    request: String,
    inquiry: Inquiry,
    expected: Expected,
    /// The line that it stands on.
    line: usize,
}

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
    let snapshot = snapshot(&settings.plan)?;
    let cases = cases(&settings);
    let went: Vec<_> = cases.iter().map(|case| case.run(&snapshot)).collect();
    let failed = went.iter().filter(|one| !one.missed.is_empty()).count();
    let file = path.display().to_string();
    if as_json {
        let tests: Vec<_> =
            cases.iter().zip(&went).map(|(case, went)| as_value(case, went)).collect();
        let passed = cases.len() - failed;
        say::data(json!({ "file": file, "passed": passed, "failed": failed, "tests": tests }));
    } else {
        for (case, went) in cases.iter().zip(&went) {
            lines(&file, case, went).iter().for_each(say::data);
        }
        let noun = if cases.len() == 1 { "test" } else { "tests" };
        say::data(format_args!(
            "{} {noun}: {} passed, {failed} failed",
            cases.len(),
            cases.len() - failed
        ));
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::Failed })
}

/// The tests of a file.
fn cases(_settings: &Settings) -> Vec<Case> {
    Vec::new()
}

impl Case {
    fn run(&self, snapshot: &Snapshot) -> Went {
        match explain(snapshot, &self.inquiry) {
            Ok(explanation) => {
                let route = match &explanation.outcome {
                    Outcome::Routed(routed) => Some(routed.route.clone()),
                    Outcome::Refused(_) => None,
                };
                Went { missed: self.expected.missed(&explanation), route }
            }
            Err(error) => {
                let expected = "one that can be sent".to_owned();
                let missed = Missed { what: "request", expected, seen: error.to_string() };
                Went { missed: vec![missed], route: None }
            }
        }
    }
}

fn lines(file: &str, case: &Case, went: &Went) -> Vec<String> {
    let Case { request, line, .. } = case;
    if went.missed.is_empty() {
        return vec![format!("ok    {file}:{line}  {request}")];
    }
    let missed = went.missed.iter().map(|Missed { what, expected, seen }| {
        format!("      {what}: expected {expected}, seen {seen}")
    });
    [format!("FAIL  {file}:{line}  {request}")].into_iter().chain(missed).collect()
}

fn as_value(case: &Case, went: &Went) -> Value {
    let missed: Vec<_> = went
        .missed
        .iter()
        .map(|one| json!({ "what": one.what, "expected": one.expected, "seen": one.seen }))
        .collect();
    json!({
        "request": case.request,
        "line": case.line,
        "passed": went.missed.is_empty(),
        "route": went.route,
        "missed": missed,
    })
}
