//! `runtime.admin` and `runtime.admin_token`: where the process is asked and told things, and by whom over TCP.

use std::path::Path;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;

use super::{addresses as listened, too_many};
use crate::address::Seen;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted};
use crate::language::{self, known};
use crate::report::Faults;
use crate::{Secret, codes};

/// What suggestions show.
const PORT: u16 = 9900;

const TOKEN: &[&str] = known!(language::SECRET);

/// What to write for a token.
const EXAMPLE: &str = "write admin_token = { env = \"COREGATE_ADMIN_TOKEN\" } or \
                       admin_token = { file = \"/etc/coregate/admin.token\" }";

/// Reads the admin listener's addresses, perhaps none.
pub(super) fn addresses(item: &Item<'_>, seen: &mut Seen, faults: &mut Faults) -> Vec<Address> {
    let Some(items) = listened::elements(item, PORT, faults) else { return Vec::new() };
    too_many(item, "admin addresses", items.len(), limits::ADMIN_LISTENERS, faults);
    let mut addresses = Vec::new();
    for item in &items {
        let Some(address) = listened::one(item, PORT, seen, faults) else { continue };
        if let Address::Tcp(tcp) = &address
            && !tcp.ip().is_loopback()
        {
            let why = format!(
                "{tcp} can be reached from other hosts, and whoever reaches it rules the gateway: expected a loopback \
                 address or a Unix socket"
            );
            let host = if tcp.ip().to_canonical().is_ipv4() { "127.0.0.1" } else { "[::1]" };
            let suggestion = format!(
                "write \"{host}:{}\", and from elsewhere come by ssh -L {0}:{host}:{0}",
                tcp.port()
            );
            item.refuse::<()>(codes::NOT_LOOPBACK, why, Some(suggestion), faults);
            continue;
        }
        addresses.push(address);
    }
    addresses
}

/// Reads where the admin token lies. What may be the token itself is not shown.
pub(super) fn token(item: &Item<'_>, faults: &mut Faults) -> Option<Secret> {
    let fields = match item.value() {
        Value::Table(fields) => fields,
        Value::String(_) | Value::Array(_) | Value::Other => {
            item.hide(faults);
            let why = "a secret does not belong in a file that is shown: expected a table that says where it lies";
            return item.refuse(codes::SECRET, why, Some(EXAMPLE.to_owned()), faults);
        }
    };
    let strangers = fields.items().into_iter().filter(|item| !TOKEN.contains(&item.key));
    strangers.for_each(|item| item.hide(faults));
    fields.check(TOKEN, faults);
    match (fields.get("env"), fields.get("file")) {
        (Some(env), None) => variable(&env, faults),
        (None, Some(file)) => path(&file, faults),
        (None, None) if unknown(&fields) => None,
        (None, None) => {
            let why = "expected `env` or `file`";
            item.refuse(codes::SECRET, why, Some(EXAMPLE.to_owned()), faults)
        }
        (Some(env), Some(_)) => {
            let why = "`env` and `file` cannot stand together: expected one of them";
            env.refuse(codes::CONFLICT, why, None, faults)
        }
    }
}

/// Whether something else stands here, which has been said.
fn unknown(fields: &Fields<'_>) -> bool {
    !fields.items().is_empty()
}

/// A name that every shell can set. What is none may be the secret itself.
fn variable(item: &Item<'_>, faults: &mut Faults) -> Option<Secret> {
    let Value::String(name) = item.value() else {
        item.hide(faults);
        return item.wrong_type("the name of an environment variable", None, faults);
    };
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let short = (1..=limits::VARIABLE_BYTES).contains(&name.len());
    if !short || name.starts_with(|c: char| c.is_ascii_digit()) || !name.bytes().all(legal) {
        item.hide(faults);
        let why = format!(
            "not the name of an environment variable: expected 1 to {} letters, digits or `_`, no digit first",
            limits::VARIABLE_BYTES
        );
        let suggestion = match name.strip_prefix('$') {
            Some(_) => "write the name without `$`",
            None => "write the variable's name, such as \"COREGATE_ADMIN_TOKEN\"",
        };
        return item.refuse(codes::SECRET, why, Some(suggestion.to_owned()), faults);
    }
    Some(Secret::Env(name.to_owned()))
}

/// A path that means the same wherever the process is started.
fn path(item: &Item<'_>, faults: &mut Faults) -> Option<Secret> {
    let text = item.string("the path of a file", faults)?;
    let path = Path::new(text);
    if !path.is_absolute() || text.len() > limits::SECRET_PATH_BYTES || text.contains('\0') {
        let why = format!(
            "{}: expected an absolute path of at most {} bytes",
            quoted(text),
            limits::SECRET_PATH_BYTES
        );
        let suggestion =
            (!path.is_absolute()).then_some("write file = \"/etc/coregate/admin.token\"");
        return item.refuse(codes::SECRET, why, suggestion.map(str::to_owned), faults);
    }
    Some(Secret::File(path.to_owned()))
}
