//! Several files as one tree: what may stand in several of them is put together, what stands twice is reported.

use crate::codes;
use crate::item::shown;
use crate::node::{Entry, Table, joined};
use crate::read::is_path;
use crate::report::{Diagnostic, Faults};

/// The sections whose tables may stand in several files.
const SECTIONS: [&str; 7] =
    ["consumers", "auth", "rates", "quotas", "listeners", "services", "routes"];

/// The array that every file may add to.
const TESTS: &str = "tests";

/// What stands in the main file alone: it is the process's, says who may
/// do what, or would mean another thing by where the file is included.
const MAIN_ONLY: [&str; 5] = ["runtime", "listen", "defaults", "dns", "tokens"];

/// Reports and takes out what may not stand in an included file.
pub(crate) fn only_main(table: &mut Table, faults: &mut Faults) {
    for key in MAIN_ONLY {
        let Some(entry) = table.remove(key) else { continue };
        let message = format!("`{key}` in a file that is included: it stands in the main file");
        faults.push(Diagnostic::error(codes::NOT_INCLUDED, entry.span, message));
    }
}

/// Puts what stands in another file into the tree. What stands in both is reported at both places, and the first stays.
pub(crate) fn merge(into: &mut Table, from: Table, faults: &mut Faults) {
    put(&[], into, from, faults);
}

/// The same for the tables at a path of keys.
fn put(parents: &[&str], into: &mut Table, from: Table, faults: &mut Faults) {
    for (key, second) in from {
        let Some(first) = into.get_mut(&key) else {
            into.insert(key, second);
            continue;
        };
        let path = [parents, &[key.as_str()]].concat();
        if path == [TESTS] && first.append(&second) {
            continue;
        }
        match (first.table_mut(), second.node.as_table()) {
            (Some(first), Some(second)) if is_shared(&path) => {
                put(&path, first, second.clone(), faults);
            }
            _ => twice(&path, first, &second, faults),
        }
    }
}

/// Whether the table at a path may stand in several files: a section, and under `routes` a host.
fn is_shared(path: &[&str]) -> bool {
    match path {
        [section] => SECTIONS.contains(section),
        ["routes", host] => !is_path(host),
        _ => false,
    }
}

fn twice(path: &[&str], first: &Entry, second: &Entry, faults: &mut Faults) {
    let path = path.iter().fold(String::new(), |path, key| joined(&path, key));
    let message = format!("{} stands in two files", shown(&path));
    let fault = Diagnostic::error(codes::TWO_FILES, second.span.clone(), message);
    faults.push(fault.also(first.span.clone(), "first here"));
}
