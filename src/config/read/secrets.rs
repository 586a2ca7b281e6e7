//! Where secrets lie: in an environment variable or in a file, never in what is read here.

use std::path::Path;

use coregate_core::base::limits;

use crate::fields::Fields;
use crate::item::{Item, Value, quoted};
use crate::language::{self, known};
use crate::report::Faults;
use crate::{Secret, codes};

const KEYS: &[&str] = known!(language::SECRET);

/// What suggestions name: a variable, and the name of a file below `/etc/coregate`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Example {
    pub(super) variable: &'static str,
    pub(super) file: &'static str,
}

impl Example {
    /// What to write for the secret of this key.
    fn whole(self, key: &str) -> String {
        let Self { variable, file } = self;
        format!(
            "write {key} = {{ env = \"{variable}\" }} or {key} = {{ file = \"/etc/coregate/{file}\" }}"
        )
    }
}

/// Reads where a secret lies. What may be the secret itself is not shown.
pub(super) fn secret(item: &Item<'_>, example: Example, faults: &mut Faults) -> Option<Secret> {
    let whole = || Some(example.whole(item.key));
    let fields = match item.value() {
        Value::Table(fields) => fields,
        Value::String(_) | Value::Array(_) | Value::Other => {
            item.hide(faults);
            let why = "a secret does not belong in a file that is shown: expected a table that says where it lies";
            return item.refuse(codes::SECRET, why, whole(), faults);
        }
    };
    let strangers = fields.items().into_iter().filter(|item| !KEYS.contains(&item.key));
    strangers.for_each(|item| item.hide(faults));
    fields.check(KEYS, faults);
    match (fields.get("env"), fields.get("file")) {
        (Some(env), None) => variable(&env, example, faults),
        (None, Some(file)) => path(&file, example, faults),
        (None, None) if unknown(&fields) => None,
        (None, None) => {
            let why = "expected `env` or `file`";
            item.refuse(codes::SECRET, why, whole(), faults)
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
pub(super) fn variable(item: &Item<'_>, example: Example, faults: &mut Faults) -> Option<Secret> {
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
            Some(_) => "write the name without `$`".to_owned(),
            None => format!("write the variable's name, such as \"{}\"", example.variable),
        };
        return item.refuse(codes::SECRET, why, Some(suggestion), faults);
    }
    Some(Secret::Env(name.to_owned()))
}

/// A path that means the same wherever the process is started.
pub(super) fn path(item: &Item<'_>, example: Example, faults: &mut Faults) -> Option<Secret> {
    let text = item.string("the path of a file", faults)?;
    let path = Path::new(text);
    if !path.is_absolute() || text.len() > limits::SECRET_PATH_BYTES || text.contains('\0') {
        let why = format!(
            "{}: expected an absolute path of at most {} bytes",
            quoted(text),
            limits::SECRET_PATH_BYTES
        );
        let suggestion = (!path.is_absolute())
            .then(|| format!("write file = \"/etc/coregate/{}\"", example.file));
        return item.refuse(codes::SECRET, why, suggestion, faults);
    }
    Some(Secret::File(path.to_owned()))
}
