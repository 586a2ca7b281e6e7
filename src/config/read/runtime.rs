//! `[runtime]`: how many workers, where and on what; the admin listener; how the process stops.

use coregate_core::base::limits;

use super::admin;
use super::secrets::{self, Example};
use crate::address::Seen;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted};
use crate::nearest::nearest;
use crate::report::Faults;
use crate::words::RUNTIME;
use crate::{Cores, CoresError, Io, RuntimeSettings, StatePlace, codes};

/// What suggestions show.
const ADMIN_TOKEN: Example = Example { variable: "COREGATE_ADMIN_TOKEN", file: "admin.token" };

/// No directory.
const MEMORY: &str = "memory";

pub(super) fn read(root: &Fields<'_>, seen: &mut Seen, faults: &mut Faults) -> RuntimeSettings {
    let mut runtime = RuntimeSettings::default();
    let Some(fields) = root.get("runtime").and_then(|item| item.table(faults)) else {
        return runtime;
    };
    fields.check(RUNTIME, faults);
    fields.read("cores", &mut runtime.cores, faults, cores);
    fields.read("workers", &mut runtime.workers, faults, |item, faults| {
        let workers = item.integer(1..=limits::WORKERS as u64, faults)?;
        usize::try_from(workers).ok().map(Some)
    });
    fields.read("io", &mut runtime.io, faults, io);
    fields.read("connections", &mut runtime.connections, faults, |item, faults| {
        item.integer(1..=limits::CONNECTIONS_MAX, faults).map(Some)
    });
    fields.read("admin", &mut runtime.admin, faults, |item, faults| {
        Some(Some(admin::addresses(item, seen, faults)))
    });
    fields.read("admin_token", &mut runtime.admin_token, faults, |item, faults| {
        secrets::secret(item, ADMIN_TOKEN, faults).map(Some)
    });
    fields.read("state", &mut runtime.state, faults, state);
    fields.read("drain", &mut runtime.drain, faults, Item::duration);
    fields.read("drain_delay", &mut runtime.drain_delay, faults, Item::duration_or_none);
    runtime
}

/// A directory, or `memory`, which is none.
fn state(item: &Item<'_>, faults: &mut Faults) -> Option<Option<StatePlace>> {
    const EXPECTED: &str = "the absolute path of a directory, or \"memory\"";
    let Value::String(text) = item.value() else {
        return item.wrong_type(EXPECTED, Some(format!("write {}", quoted(MEMORY))), faults);
    };
    if text == MEMORY {
        return Some(Some(StatePlace::Memory));
    }
    let most = limits::SECRET_PATH_BYTES;
    if !text.starts_with('/') || text.len() > most || text.contains('\0') {
        let meant = match text.trim().trim_start_matches("./") {
            "" => None,
            "none" | "off" | "ram" | "Memory" => Some(MEMORY.to_owned()),
            name if name.starts_with(['/', '.']) || name.contains("://") => None,
            name if name.contains('/') => Some(format!("/{name}")),
            name => Some(format!("/var/lib/{name}")),
        };
        let why = format!("{}: expected {EXPECTED}", quoted(text));
        let meant = meant.unwrap_or_else(|| "/var/lib/coregate".to_owned());
        let suggestion = format!("write {}", quoted(&meant));
        return item.refuse(codes::WORD, why, Some(suggestion), faults);
    }
    Some(Some(StatePlace::Folder(text.into())))
}

fn cores(item: &Item<'_>, faults: &mut Faults) -> Option<Cores> {
    let text = match item.decimal() {
        Some(count) => count,
        None => item.string("\"auto\", \"isolated\", a count or a list", faults)?.to_owned(),
    };
    match text.parse() {
        Ok(cores) => Some(cores),
        Err(why) => {
            let turned = match &why {
                CoresError::Reversed(first, last) => {
                    text.replacen(&format!("{first}-{last}"), &format!("{last}-{first}"), 1)
                }
                CoresError::Form(_)
                | CoresError::Count(_)
                | CoresError::Cpu(_)
                | CoresError::Twice(_) => String::new(),
            };
            let suggestion = match turned.parse::<Cores>() {
                Ok(_) => format!("write \"{turned}\""),
                Err(_) => "write \"auto\", \"isolated\", 4 or \"0-3,6\"".to_owned(),
            };
            item.refuse(codes::CORES, why, Some(suggestion), faults)
        }
    }
}

fn io(item: &Item<'_>, faults: &mut Faults) -> Option<Io> {
    let text = item.string("\"auto\", \"uring\" or \"epoll\"", faults)?;
    match text.parse() {
        Ok(io) => Some(io),
        Err(why) => {
            let near = match text {
                "io_uring" | "io-uring" => Some("uring"),
                _ => nearest(text, ["auto", "uring", "epoll"]),
            };
            let suggestion = near.map(|near| format!("did you mean \"{near}\"?"));
            item.refuse(codes::WORD, why, suggestion, faults)
        }
    }
}
