//! An explanation in lines for people.

use std::fmt::Display;

use crate::base::{limits, moment};
use crate::policy::quota::Count;
use crate::snapshot::explain::action::{Forwarded, Share, Taken, Timeouts};
use crate::snapshot::explain::guard::{Found, Guarded, Identity, Left, Limited, Says};
use crate::snapshot::explain::quota::{CountSays, Counted};
use crate::snapshot::explain::refusal::Refused;
use crate::snapshot::explain::{Explanation, NormalForm, Outcome, Routed, Standing};
use crate::snapshot::plan::Scope;

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
        self.guard.lines(lines);
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

impl Guarded {
    fn lines(&self, lines: &mut Vec<String>) {
        lines.extend(self.identity.as_ref().map(|identity| row("auth", identity.line())));
        lines.extend(self.quotas.iter().map(|quota| row("quota", quota.line())));
        lines.extend(self.limits.iter().map(|limit| row("limit", limit.line())));
        if let Some(refused) = &self.refused {
            refused.lines(lines);
            lines.push(row("", "what follows is what it would be, were it let through"));
        }
    }
}

impl Identity {
    fn line(&self) -> String {
        let who = self.consumer.as_deref().unwrap_or("nobody");
        let found = match self.found {
            Found::Known => format!("consumer {who}, by its key"),
            Found::Forbidden => format!("consumer {who}, who is not let in"),
            Found::Missing => "no key".to_owned(),
            Found::Unknown => "a key that is nobody's".to_owned(),
            Found::Expired => format!("a key of {who} that has expired"),
            Found::Unasked => "not looked at".to_owned(),
        };
        format!("{} ({}): {found}", self.auth, self.places.join(", "))
    }
}

impl Counted {
    fn line(&self) -> String {
        let Self { name, terms, group, cost, dry_run, key, says } = self;
        let mut words = vec![format!("{name}: {terms}")];
        words.extend(group.as_ref().map(|group| format!("for group {group}")));
        if *cost != 1 {
            words.push(format!("cost {cost}"));
        }
        words.push(apart(key, "one count for all"));
        let said = match says {
            CountSays::Stands(count) => left(count, *dry_run),
            CountSays::Unseen(why) => why.words().to_owned(),
            CountSays::Unasked => UNASKED.to_owned(),
        };
        format!("{}{}: {said}", words.join(", "), dry(*dry_run))
    }
}

fn left(count: &Count, dry_run: bool) -> String {
    let Count { limit, left, ends, admits, .. } = count;
    let what = match (admits, dry_run) {
        (true, _) => "",
        (false, true) => ", would be refused",
        (false, false) => ", refused",
    };
    format!("{left} of {limit} left{what}, anew {}", moment::show(*ends))
}

/// Whose bucket or count it is.
fn apart(parts: &[(String, String)], none: &str) -> String {
    let parts: Vec<_> = parts.iter().map(|(what, value)| format!("{what} {value}")).collect();
    if parts.is_empty() { none.to_owned() } else { format!("per {}", parts.join(", ")) }
}

fn dry(dry_run: bool) -> &'static str {
    if dry_run { ", a dry run: counted and not refused" } else { "" }
}

const UNASKED: &str = "not asked, since the request is refused before";

impl Limited {
    fn line(&self) -> String {
        let Self { name, terms, group, cost, scope, dry_run, bucket, says } = self;
        let each = if *scope == Scope::Worker { " on each worker" } else { "" };
        let mut words = vec![format!("{name}: {terms}{each}")];
        words.extend(group.as_ref().map(|group| format!("for group {group}")));
        if cost != "1" {
            words.push(format!("cost {cost}"));
        }
        words.push(apart(bucket, "one bucket for all"));
        let said = match says {
            Says::Left(left) => left.line(*dry_run),
            Says::Unseen(why) => why.words().to_owned(),
            Says::Unasked => UNASKED.to_owned(),
        };
        format!("{}{}: {said}", words.join(", "), dry(*dry_run))
    }
}

impl Left {
    fn line(&self, dry_run: bool) -> String {
        let Self { admits, remaining, most, reset, wait, shared } = self;
        let shared = if *shared { ", shared with others since the table is full" } else { "" };
        let of = format!("{remaining} of {most} left");
        match (admits, wait) {
            (true, _) if reset.is_zero() => format!("{of} after it, full now{shared}"),
            (true, _) => format!("{of} after it, full in {reset:.1?}{shared}"),
            (false, Some(wait)) => {
                let what = if dry_run { "would be refused" } else { "refused" };
                format!("{of}, {what}, again in {wait:.1?}{shared}")
            }
            (false, None) => format!("{of}, refused whenever it comes{shared}"),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_left() {
        let line = |admits: bool, remaining, reset| {
            let reset = Duration::from_millis(reset);
            let wait = (!admits).then_some(reset);
            Left { admits, remaining, most: 5, reset, wait, shared: false }.line(false)
        };
        assert_eq!(line(true, 4, 0), "4 of 5 left after it, full now");
        assert_eq!(line(true, 3, 1_500), "3 of 5 left after it, full in 1.5s");
        assert_eq!(line(false, 0, 200), "0 of 5 left, refused, again in 200.0ms");
    }
}
