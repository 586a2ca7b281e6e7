//! Configurations that differ in everything that a reload may change, and broken ones.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::live::age::World;
use crate::live::origins::Origins;

/// The origins' names.
pub(super) const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// What is asked for: a service whose instances change, a route whose service changes, a route that comes and goes, and one that
/// stays.
pub(super) const TARGETS: &[&str] = &["/stay/", "/moves/", "/extra/", "/other/"];

const STAY: [&[&str]; 4] = [&["a", "b"], &["b", "c"], &["c"], &["a", "c", "d"]];
const MOVES: [&[&str]; 3] = [&["a"], &["b", "d"], &["c", "a"]];
const EXTRA: &[&str] = &["c"];
const REST: &[&str] = &["d"];

/// Every age another configuration; a listener is there in four of six.
pub(super) struct Changing;

impl World for Changing {
    fn names(&self, age: u64, target: &str) -> &[&'static str] {
        let kind = TARGETS.iter().position(|start| target.starts_with(start));
        match kind {
            Some(0) => STAY[age as usize % STAY.len()],
            Some(1) => MOVES[age as usize % MOVES.len()],
            Some(2) if has_extra(age) => EXTRA,
            _ => REST,
        }
    }

    fn listens(&self, age: u64) -> bool {
        age % 6 < 4
    }
}

fn has_extra(age: u64) -> bool {
    age % 2 == 1
}

/// Where gateways listen, and what they have behind them.
pub(super) struct Places<'a> {
    pub(super) stays: SocketAddr,
    pub(super) comes: SocketAddr,
    pub(super) origins: &'a Origins,
}

impl Places<'_> {
    /// The configuration of this age.
    pub(super) fn text(&self, age: u64) -> String {
        let mut text = String::new();
        let mut line = |words: String| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{words}");
        };
        let (requests, idle) = (4_000 + age % 5 * 500, 60 + age % 7);
        line("[runtime]\nworkers = 2".into());
        line(format!("[listeners.stays]\nbind = \"{}\"", self.stays));
        line(format!("limits = {{ requests = {requests} }}\ntimeout = {{ idle = \"{idle}s\" }}"));
        if Changing.listens(age) {
            line(format!("[listeners.comes]\nbind = \"{}\"", self.comes));
            line(format!("expose_reasons = {}", age % 4 == 1));
        }
        let moves = format!("moves-{}", age % 7);
        let mut service = |name: &str, target: &str| {
            let instances: Vec<_> =
                Changing.names(age, target).iter().map(|one| self.of(one)).collect();
            line(format!("[services.{name}]\ninstances = {instances:?}"));
        };
        service("stay", "/stay/");
        service(&moves, "/moves/");
        service("rest", "/other/");
        if has_extra(age) {
            service("extra", "/extra/");
        }
        line(format!(
            "[routes]\n\"/stay/*\" = \"stay\"\n\"/moves/*\" = \"{moves}\"\n\"/*\" = \"rest\""
        ));
        if has_extra(age) {
            line("\"/extra/*\" = \"extra\"".into());
        }
        text
    }

    /// One that must be refused, of another kind each time; `after` is what runs.
    pub(super) fn broken(&self, number: u64, after: u64) -> String {
        let whole = self.text(after + 1);
        match number % 10 {
            // An address that is taken takes half a second to be refused.
            3 => format!("[listeners.taken]\nbind = \"{}\"\n{whole}", self.of("a")),
            0 | 5 => whole.replace("\"/*\" = \"rest\"", "\"/*\" = \"nobody\""),
            1 | 6 => whole.replace("[routes]", "[rotes]"),
            2 | 7 => whole[..whole.len() - 3].to_owned(),
            4 | 8 => whole.replace("workers = 2", "workers = 3"),
            _ => whole.replace("idle = \"", "idle = \"-"),
        }
    }

    fn of(&self, name: &str) -> String {
        self.origins.address(name)
    }
}
