//! `[consumers]`: who may call.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::base::moment;
use coregate_core::snapshot::plan::{ConsumerPlan, Principal, is_name};

use super::{keys, perhaps};
use crate::ConsumerKey;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted, shown};
use crate::language::{self, known};
use crate::nearest::nearest;
use crate::read::too_many;
use crate::report::{Diagnostic, Faults};
use crate::words::TOP;

const KEYS: &[&str] = known!(language::CONSUMER);

/// What begins the name of a group where consumers stand too.
pub(super) const GROUP: &str = Principal::GROUP;

/// The consumers, and what they are called.
#[derive(Debug, Default)]
pub(in crate::read) struct Consumers<'t> {
    pub(super) plans: Vec<ConsumerPlan>,
    pub(super) keys: Vec<ConsumerKey>,
    /// The names of all, those that cannot be read included.
    names: BTreeSet<&'t str>,
    groups: BTreeSet<&'t str>,
    /// Whether they are lost under a wrong name, which has been said.
    misspelled: bool,
}

/// Reads them; `now` is the time in seconds since 1970.
pub(super) fn read<'t>(root: &Fields<'t>, now: u64, faults: &mut Faults) -> Consumers<'t> {
    let misspelled = root.misspells(&["consumers"], TOP);
    let mut consumers = Consumers { misspelled, ..Consumers::default() };
    let Some(item) = root.get("consumers") else { return consumers };
    let Some(tables) = of(&item, faults) else { return consumers };
    let items = tables.items();
    too_many(&item, "consumers", items.len(), limits::CONSUMERS, faults);
    let mut seen = Seen::default();
    for item in &items {
        consumers.names.insert(item.key);
        check_name(item, faults);
        let Some(fields) = of(item, faults) else { continue };
        consumers.consumer(item, &fields, &mut seen, now, faults);
    }
    let count =
        consumers.keys.len() + consumers.plans.iter().map(|one| one.keys.len()).sum::<usize>();
    too_many(&item, "keys of consumers", count, limits::KEYS, faults);
    consumers
}

/// The table that is expected here. What stands in its place may be a key, which is not shown.
fn of<'t>(item: &Item<'t>, faults: &mut Faults) -> Option<Fields<'t>> {
    if item.fields().is_none() {
        item.hide(faults);
    }
    item.table(faults)
}

fn check_name(item: &Item<'_>, faults: &mut Faults) {
    if let Some(why) = name_fault("consumer", item.key) {
        let fault = Diagnostic::error(codes::NAME, item.span(), why);
        faults.push(fault.suggest(meant(item.key)));
    } else if item.key.starts_with(GROUP) {
        let message =
            format!("consumer {}: {GROUP} begins what stands for a group", quoted(item.key));
        faults.push(Diagnostic::error(codes::NAME, item.span(), message));
    }
}

/// What is wrong with the name of a consumer or a group.
pub(super) fn name_fault(what: &str, name: &str) -> Option<String> {
    let most = limits::CONSUMER_NAME_BYTES;
    (!is_name(name)).then(|| {
        format!(
            "{what} {}: expected 1 to {most} letters, digits, `-`, `_`, `.`, `@` or `:`, first a letter, a digit or `_`",
            quoted(name)
        )
    })
}

/// The name that one with other characters stands for.
fn meant(name: &str) -> Option<String> {
    let legal = |c: char| if is_name(&format!("a{c}")) { c } else { '-' };
    let meant: String = name.chars().map(legal).collect();
    let meant = meant.trim_matches(['-', '.', ':', '@']);
    is_name(meant).then(|| format!("write \"{meant}\""))
}

/// The keys that were read, by what they are, and where.
type Seen = HashMap<String, (String, Range<usize>)>;

impl<'t> Consumers<'t> {
    fn consumer(
        &mut self,
        item: &Item<'t>,
        fields: &Fields<'t>,
        seen: &mut Seen,
        now: u64,
        faults: &mut Faults,
    ) {
        fields.check(KEYS, faults);
        let groups = fields.get("groups").map(|item| groups(&item, faults)).unwrap_or_default();
        self.groups.extend(&groups);
        let mut plan = ConsumerPlan {
            name: item.key.to_owned(),
            groups: groups.into_iter().map(str::to_owned).collect(),
            keys: Vec::new(),
        };
        let keys = fields.get("keys");
        let found = keys.as_ref().map(|item| tables(item, faults)).unwrap_or_default();
        let none =
            found.is_empty() && keys.is_none_or(|keys| matches!(keys.value(), Value::Array(_)));
        if none && !fields.misspells(&["keys"], KEYS) {
            let message = format!("consumer {} has no key: nobody can call as it", shown(item.key));
            let fault = Diagnostic::warning(codes::NO_KEY, item.span(), message);
            let write = format!("write keys = [{{ env = \"{}\" }}]", variable(item.key));
            faults
                .push(fault.suggest(format!("{write}, or coregate consumers rotate {}", item.key)));
        }
        for item in &found {
            let Some(key) = keys::read(item, faults) else { continue };
            if again(&key, &plan.name, item, seen, faults) {
                continue;
            }
            if let Some((unix, place)) = key.expires.clone().filter(|(unix, _)| *unix <= now) {
                let message = format!("this key has expired on {}", moment::show(unix));
                let fault = Diagnostic::warning(codes::EXPIRED, place, message);
                faults.push(fault.suggest("remove the key, or give it another time".to_owned()));
            }
            match key.take(&plan.name) {
                keys::Taken::Plan(key) => plan.keys.push(key),
                keys::Taken::Elsewhere(key) => self.keys.push(key),
            }
        }
        self.plans.push(plan);
    }

    /// Warns of a consumer that the file does not have.
    pub(super) fn check(&self, name: &str, item: &Item<'_>, faults: &mut Faults) {
        if !self.names.contains(name) && !self.misspelled {
            let near = nearest(name, self.names.iter().copied());
            let write = format!("write [consumers.{name}], or coregate consumers add {name}");
            // A group is easily taken for one of its own.
            let group = self.groups.contains(name).then(|| format!("{GROUP}{name}"));
            let near = group.or_else(|| near.map(str::to_owned));
            nobody(&format!("there is no consumer {}", quoted(name)), near, write, item, faults);
        }
    }

    /// Warns of a group that no consumer of the file is in; `before` is what stands before its name here.
    pub(super) fn check_group(
        &self,
        name: &str,
        before: &str,
        (item, place): (&Item<'_>, Range<usize>),
        faults: &mut Faults,
    ) {
        if self.groups.contains(name) || self.misspelled || faults.is_full() {
            return;
        }
        let message = format!("{}: no consumer is in group {}", shown(item.path()), quoted(name));
        let near = nearest(name, self.groups.iter().copied());
        let suggestion = match near {
            Some(near) => format!("did you mean \"{before}{near}\"?"),
            None => format!("write groups = [\"{name}\"] where a consumer is in it"),
        };
        let fault = Diagnostic::warning(codes::NOBODY, place, message);
        faults.push(fault.suggest(suggestion));
    }
}

fn nobody(what: &str, near: Option<String>, write: String, item: &Item<'_>, faults: &mut Faults) {
    let message = format!("{}: {what}", shown(item.path()));
    let suggestion = near.map_or(write, |near| format!("did you mean \"{near}\"?"));
    faults.push(Diagnostic::warning(codes::NOBODY, item.value_span(), message).suggest(suggestion));
}

/// The tables of an array; what stands in their place may be a key.
fn tables<'t>(item: &Item<'t>, faults: &mut Faults) -> Vec<Item<'t>> {
    let items = match item.value() {
        Value::Array(items) => items,
        Value::Table(_) => {
            item.hide(faults);
            let suggestion = Some("write keys = [{ ... }]".to_owned());
            item.wrong_type::<()>("an array of tables", suggestion, faults);
            return Vec::new();
        }
        // A key by itself is what a key in an array is.
        Value::String(_) | Value::Other => vec![item.clone()],
    };
    too_many(item, "keys", items.len(), limits::KEYS_OF_CONSUMER, faults);
    items
}

/// The groups, each once and in order.
fn groups<'t>(item: &Item<'t>, faults: &mut Faults) -> BTreeSet<&'t str> {
    let names = perhaps(item, "group", "gold", faults);
    too_many(item, "groups", names.len(), limits::GROUPS_OF_CONSUMER, faults);
    let mut groups = BTreeSet::new();
    for (name, item) in names {
        let bare = name.strip_prefix(GROUP).filter(|bare| is_name(bare));
        match (name_fault("group", name), bare) {
            (_, Some(bare)) => {
                let why = format!("{}: here stand names of groups alone", quoted(name));
                item.refuse::<()>(codes::NAME, why, Some(format!("write \"{bare}\"")), faults);
            }
            (Some(why), None) => {
                let fault = Diagnostic::error(codes::NAME, item.value_span(), why);
                faults.push(fault.suggest(meant(name)));
            }
            (None, None) if !groups.insert(name) => keys::twice(&quoted(name), &item, None, faults),
            (None, None) => {}
        }
    }
    groups
}

/// Reports a key that was read before: of this consumer, or of another.
fn again(
    key: &keys::Read,
    consumer: &str,
    item: &Item<'_>,
    seen: &mut Seen,
    faults: &mut Faults,
) -> bool {
    let place = item.value_span();
    let Some((first, before)) = seen.get(&key.mark()) else {
        seen.insert(key.mark(), (consumer.to_owned(), place));
        return false;
    };
    if first == consumer {
        keys::twice("this key", item, Some(before.clone()), faults);
        return true;
    }
    let message = format!("consumer {}: this key is that of {} too", shown(consumer), shown(first));
    let fault = Diagnostic::error(codes::SAME_KEY, place, message);
    let fault = fault.also(before.clone(), "first here");
    faults.push(fault.suggest("give each consumer a key of its own".to_owned()));
    true
}

/// The environment variable that suggestions name for a consumer.
fn variable(name: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(upper).collect();
    let name = name.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{name}_KEY")
}
