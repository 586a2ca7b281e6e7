//! Configuration files: whatever the text, one report of what is wrong; what is not wrong compiles and means one thing.

use std::collections::BTreeSet;

use coregate_config::changes::between;
use coregate_config::{Settings, Severity, parse};
use coregate_core::snapshot::compile::compile;

/// A text, as the file of an operator.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let loaded = parse("fuzz.toml", &text);
    let report = &loaded.report;
    let shown = report.render(false);
    assert_eq!(loaded.settings.is_none(), report.has_errors(), "{shown}");
    assert!(report.to_json().starts_with('['), "{shown}");
    for fault in report.diagnostics() {
        assert!(!fault.message.is_empty() && !fault.message.ends_with('.'), "{fault:?}");
        let related = fault.related.iter().map(|other| &other.span);
        for span in fault.span.iter().chain(related) {
            assert!(text.get(span.clone()).is_some(), "{fault:?}");
        }
        assert_eq!(fault.span.is_some(), fault.line > 0 && fault.column > 0, "{fault:?}");
    }
    if let Some(settings) = &loaded.settings {
        let warns = |fault: &&coregate_config::Diagnostic| fault.severity == Severity::Warning;
        assert_eq!(report.diagnostics().iter().filter(warns).count(), report.diagnostics().len());
        good(settings, &text);
    }
}

/// What is read without an error is taken: nothing is left for the compiler to refuse.
fn good(settings: &Settings, text: &str) {
    if let Err(why) = compile(&settings.plan, 1) {
        panic!("{why:?}\n{text}");
    }
    assert!(between(settings, settings).is_empty(), "{text}");
    let again = parse("fuzz.toml", text).settings;
    assert_eq!(again.as_ref(), Some(settings), "{text}");
    let names: BTreeSet<_> = settings.plan.routes.iter().map(|route| route.name()).collect();
    assert_eq!(names.len(), settings.plan.routes.len(), "{text}");
    for test in &settings.tests {
        assert!(test.expect.route.as_ref().is_none_or(|name| names.contains(name)), "{test:?}");
        assert!(test.line > 0 && test.request.ends_with(&test.url), "{test:?}");
        assert!(test.request.starts_with(&test.method), "{test:?}");
    }
}
