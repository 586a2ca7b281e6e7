//! An explanation in lines for people.

use std::fmt::Display;

use crate::base::limits;
use crate::snapshot::explain::action::{Forwarded, Share, Taken, Timeouts};
use crate::snapshot::explain::refusal::Refused;
use crate::snapshot::explain::{Explanation, NormalForm, Outcome, Routed, Standing};

impl Explanation {
    /// The explanation in lines.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let by = self.listener.as_ref().map(|name| format!(" (listener {name})"));
        let request = self.request.as_ref().map_or_else(|| "-".to_owned(), NormalForm::line);
        lines.push(row("request", format_args!("{request}{}", by.unwrap_or_default())));
        match &self.outcome {
            Outcome::Routed(routed) => lines.push(row("route", &routed.route)),
            Outcome::Refused(_) => lines.push(row("route", "none")),
        }
        match &self.outcome {
            Outcome::Routed(routed) => routed.lines(&mut lines),
            Outcome::Refused(refused) => refused.lines(&mut lines),
        }
        if self.request.is_some() {
            self.list(&mut lines);
        }
        lines
    }

    /// The candidates.
    fn list(&self, lines: &mut Vec<String>) {
        lines.push(format!("candidates, of {} routes, in order of precedence:", self.routes));
        let name = |route: &str| route.chars().count();
        let widest = self.candidates.iter().map(|one| name(&one.route)).max().unwrap_or_default();
        let width = widest.min(limits::EXPLAIN_COLUMN);
        for candidate in &self.candidates {
            let mark = match candidate.standing {
                Standing::Won => '>',
                Standing::Behind => '+',
                Standing::Lost => '-',
            };
            lines.push(format!("  {mark} {:width$}  {}", candidate.route, candidate.why));
        }
        if self.left_out > 0 {
            lines.push(format!("  {} more, none of which takes it first", self.left_out));
        }
        if self.other_hosts > 0 {
            lines.push(format!("  {} for other hosts", self.other_hosts));
        }
    }
}

impl NormalForm {
    fn line(&self) -> String {
        let Self { method, host, path, query } = self;
        let query = query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        match host.is_empty() {
            true => format!("{method} {path}{query}, without a host"),
            false => format!("{method} {host}{path}{query}"),
        }
    }
}

impl Refused {
    fn lines(&self, lines: &mut Vec<String>) {
        lines.push(row("answer", format_args!("{} {}: {}", self.status, self.reason, self.why)));
        if !self.allow.is_empty() {
            lines.push(row("allow", self.allow.join(", ")));
        }
    }
}

impl Routed {
    fn lines(&self, lines: &mut Vec<String>) {
        lines.push(row("action", &self.action));
        match &self.taken {
            Taken::Forward(forwarded) => forwarded.lines(lines),
            Taken::Redirect { location, .. } => lines.push(row("location", location)),
            Taken::Respond { headers, body_bytes, .. } => {
                lines.extend(
                    headers.iter().map(|(name, value)| row("", format!("{name}: {value}"))),
                );
                lines.push(row("body", format_args!("{body_bytes} bytes")));
            }
        }
        if let Some(most) = self.body_bytes {
            lines.push(row("limits", format_args!("body {most} bytes")));
        }
    }
}

impl Forwarded {
    fn lines(&self, lines: &mut Vec<String>) {
        for share in &self.services {
            lines.push(row("service", share.line()));
        }
        if let (Some(chosen), 2..) = (&self.chosen, self.services.len()) {
            lines.push(row("chosen", chosen));
        }
        lines.push(row("path", &self.target));
        let Some(first) = self.services.first() else { return };
        let alike = self.services.iter().all(|share| share.timeout == first.timeout);
        for share in self.services.iter().take(if alike { 1 } else { usize::MAX }) {
            let of = if alike { String::new() } else { format!("{}: ", share.service) };
            lines.push(row("timeout", format_args!("{of}{}", share.timeout.line())));
        }
    }
}

impl Share {
    fn line(&self) -> String {
        let shown = self.instances.join(", ");
        let percent = f64::from(self.weight) / 100.0;
        let more = self.instance_count - self.instances.len();
        match (self.instance_count, more) {
            (0, _) => format!("{} {percent}%, without an instance: 503", self.service),
            (_, 0) => format!("{} {percent}%: {shown}", self.service),
            (_, more) => format!("{} {percent}%: {shown} and {more} more", self.service),
        }
    }
}

impl Timeouts {
    fn line(&self) -> String {
        let Self { connect, first_byte, body, tunnel } = self;
        format!("connect {connect:?}, first_byte {first_byte:?}, body {body:?}, tunnel {tunnel:?}")
    }
}

/// A line that begins with a word.
fn row(word: &str, text: impl Display) -> String {
    format!("{word:<10}{text}")
}
