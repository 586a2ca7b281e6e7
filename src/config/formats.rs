//! What is wrong, for programs: as JSON, and as commands for GitHub's workflows, which show it beside the lines.
//!
//! Both hold what [`Diagnostic`] holds, in its order, and no excerpt of a file, so nothing that is hidden in one.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::report::{Diagnostic, Related, Report};

impl Report {
    /// The report as a JSON array of objects with `code`, `severity`, `message`, `file`, `line`, `column`, `end_line`,
    /// `end_column`, `suggestion` and `related`: an array of other places, which have all of that but `code`, `severity` and
    /// `suggestion`. Lines and columns are those of [`Diagnostic`]; what there is not is `null`.
    pub fn to_json(&self) -> String {
        self.diagnostics().iter().map(in_json).collect::<Value>().to_string()
    }

    /// The report as workflow commands of GitHub, one a line; empty if there is nothing to say.
    pub fn to_github(&self) -> String {
        self.diagnostics().iter().map(command).collect()
    }
}

fn in_json(diagnostic: &Diagnostic) -> Value {
    let number = |number: usize| (number > 0).then_some(number);
    json!({
        "code": diagnostic.code,
        "severity": diagnostic.severity.to_string(),
        "message": diagnostic.message,
        "file": &*diagnostic.file,
        "line": number(diagnostic.line),
        "column": number(diagnostic.column),
        "end_line": number(diagnostic.end_line),
        "end_column": number(diagnostic.end_column),
        "suggestion": diagnostic.suggestion,
        "related": diagnostic.related.iter().map(related_in_json).collect::<Value>(),
    })
}

fn related_in_json(related: &Related) -> Value {
    json!({
        "message": related.message,
        "file": &*related.file,
        "line": related.line,
        "column": related.column,
        "end_line": related.end_line,
        "end_column": related.end_column,
    })
}

/// `::error file=a.toml,line=2,endLine=2,col=13,endColumn=18,title=coregate E0005::what is wrong`, and a line end.
fn command(diagnostic: &Diagnostic) -> String {
    let Diagnostic { code, severity, line, column, end_line, end_column, .. } = diagnostic;
    let mut place = format!("file={}", property(&diagnostic.file));
    if *line > 0 {
        // A `String` takes whatever is written to it.
        let _ = write!(place, ",line={line},endLine={end_line}");
        // Columns are shown within one line only. The last one counts there, and here it is the one behind it.
        if line == end_line {
            let last = end_column.saturating_sub(1).max(*column);
            let _ = write!(place, ",col={column},endColumn={last}");
        }
    }
    let mut message = diagnostic.message.clone();
    for Related { file, line, column, message: note, .. } in &diagnostic.related {
        let _ = write!(message, "\nnote: {file}:{line}:{column}: {note}");
    }
    if let Some(suggestion) = &diagnostic.suggestion {
        let _ = write!(message, "\nhelp: {suggestion}");
    }
    format!("::{severity} {place},title=coregate {code}::{}\n", data(&message))
}

/// A message as a command carries it: in one line.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of one of a command's properties, which end at a comma or a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    const REST: &str = "[routes]\n'/a' = 'b'\n[services.b]\ninstances = []\n";

    fn github(name: &str, text: &str) -> String {
        parse(name, text).report.to_github()
    }

    #[test]
    fn commands() {
        let text = format!("listen = 'unix:/a'\nruntime = {{ wokers = 2 }}\n{REST}")
            .replace("= 'b'", "= '%'");
        let expected = [
            "::error file=a.toml,line=2,endLine=2,col=13,endColumn=18,title=coregate E0005::\
             unknown key `wokers` in `runtime`%0Ahelp: did you mean `workers`?\n",
            "::error file=a.toml,line=4,endLine=4,col=8,endColumn=10,title=coregate E0020::\
             there is no service \"%25\"%0Ahelp: \
             write [services.users] and below it instances = [\"127.0.0.1:9000\"]\n",
        ];
        assert_eq!(github("a.toml", &text), expected.concat());
        let text = format!("listen = ['unix:/a',\n'unix:/a']\n{REST}");
        assert_eq!(
            github("a.toml", &text),
            "::error file=a.toml,line=2,endLine=2,col=1,endColumn=9,title=coregate E0019::\
             `listen`: unix:/a stands twice%0Anote: a.toml:1:11: first here\n"
        );
        assert_eq!(github("a.toml", &format!("listen = 'unix:/a'\n{REST}")), "");
    }

    #[test]
    fn a_command_is_one_line_whatever_is_in_it() {
        let shown = github("a,b:c%\r\n.toml", "");
        assert!(shown.starts_with("::error file=a%2Cb%3Ac%25%0D%0A.toml,title=coregate E0008::"));
        // The suggestion is a file of five lines.
        assert_eq!((shown.matches('\n').count(), shown.matches("%0A").count()), (1, 7), "{shown}");
        let shown = github("a.toml", "listen = 'unix:/a\n::error::forged'\n'::x\\n::y' = 1");
        assert!(shown.lines().all(|line| line.starts_with("::error file=a.toml,line=")), "{shown}");
        // Over several lines there are no columns.
        let text = format!("listen = '''unix:\na'''\n{REST}");
        let shown = github("a.toml", &text);
        assert!(shown.starts_with("::error file=a.toml,line=1,endLine=2,title="), "{shown}");
    }

    #[test]
    fn json() {
        let text = format!("listen = 'é:80'\n{REST}");
        let report = parse("a.toml", &text).report;
        let list: Value = serde_json::from_str(&report.to_json()).unwrap();
        let fault = &list[0];
        assert_eq!((&fault["line"], &fault["column"]), (&json!(1), &json!(10)));
        assert_eq!((&fault["end_line"], &fault["end_column"]), (&json!(1), &json!(16)));
        assert_eq!(fault["related"], json!([]));
        let text = format!("listen = ['unix:/a',\n'unix:/a']\n{REST}");
        let list: Value = serde_json::from_str(&parse("a.toml", &text).report.to_json()).unwrap();
        let expected = json!([{
            "message": "first here", "file": "a.toml", "line": 1, "column": 11, "end_line": 1, "end_column": 20,
        }]);
        assert_eq!(list[0]["related"], expected);
        let list: Value = serde_json::from_str(&parse("a.toml", "").report.to_json()).unwrap();
        assert_eq!((&list[0]["line"], &list[0]["end_column"]), (&Value::Null, &Value::Null));
    }
}
