//! What `health` is short for, and what of it fits where another question is asked.

use std::borrow::Cow;
use std::rc::Rc;

use crate::node::{Entry, Kind, Node, Table};
use crate::read::{FOR_HTTP, QUESTIONS};

/// The key.
const HEALTH: &str = "health";

/// Makes a table of every health check that is written in short, so that the rest of one is taken over key by key.
pub(super) fn spell_out(root: &mut Table) {
    let services = root.get_mut("services").and_then(Entry::table_mut);
    let services = services.into_iter().flat_map(Table::values_mut);
    services.for_each(service);
    let defaults = root.get_mut("defaults").and_then(Entry::table_mut);
    defaults.and_then(|defaults| defaults.get_mut("service")).into_iter().for_each(service);
}

fn service(service: &mut Entry) {
    let short = |entry: &Entry| entry.node.as_str().is_some_and(is_short);
    // Most services are not copied for it.
    if !service.node.as_table().and_then(|table| table.get(HEALTH)).is_some_and(short) {
        return;
    }
    if let Some(entry) = service.table_mut().and_then(|table| table.get_mut(HEALTH)) {
        let node = Rc::clone(&entry.node);
        let span = node.span.clone();
        let (key, node) = match node.as_str() {
            Some("tcp") => ("tcp", Rc::new(Node { span: span.clone(), kind: Kind::Boolean(true) })),
            Some(_) | None => ("get", node),
        };
        let asked = Entry { span: span.clone(), node, heritage: None };
        let table = Table::from([(key.to_owned(), asked)]);
        entry.node = Rc::new(Node { span, kind: Kind::Table(table) });
    }
}

/// Whether it is short for something; what is wrong with any other text is the reader's to say.
fn is_short(text: &str) -> bool {
    text == "tcp" || text.starts_with('/')
}

/// What a table may take over of another under the same key: of a health check neither another question, nor, where a
/// connection is all that is asked for, what belongs to requests.
pub(super) fn fitting<'t>(key: &str, own: &Table, from: &'t Table) -> Cow<'t, Table> {
    let asks = |table: &Table, key: &str| table.contains_key(key);
    if key != HEALTH || !QUESTIONS.iter().any(|question| asks(own, question)) {
        return Cow::Borrowed(from);
    }
    let mut from = from.clone();
    let connects = asks(own, "tcp");
    from.retain(|key, _| {
        let for_http = connects && FOR_HTTP.contains(&key.as_str());
        !QUESTIONS.contains(&key.as_str()) && !for_http
    });
    Cow::Owned(from)
}
