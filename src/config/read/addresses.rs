//! One address to listen on or several, as `listen`, `bind` and `admin` hold them.

use coregate_core::snapshot::plan::Address;

use crate::address::{self, Seen};
use crate::codes;
use crate::item::{Item, Value};
use crate::report::Faults;
use crate::words::TOP;

/// Reads at least one address. `port` is the one that suggestions show; `seen` is what is listened on already.
pub(super) fn read(
    item: &Item<'_>,
    port: u16,
    seen: &mut Seen,
    faults: &mut Faults,
) -> Vec<Address> {
    let Some(items) = elements(item, port, faults) else { return Vec::new() };
    if items.is_empty() {
        let suggestion = Some(format!("write \"127.0.0.1:{port}\""));
        let why = "expected at least one address";
        item.refuse::<()>(codes::MISSING, why, suggestion, faults);
    }
    items.iter().filter_map(|item| one(item, port, seen, faults)).collect()
}

/// The element that stands alone, or those of the array.
pub(super) fn elements<'t>(
    item: &Item<'t>,
    port: u16,
    faults: &mut Faults,
) -> Option<Vec<Item<'t>>> {
    match item.value() {
        Value::Array(items) => Some(items),
        Value::String(_) => Some(vec![item.clone()]),
        Value::Table(_) | Value::Other => {
            let suggestion = match item.value() {
                Value::Table(_) => {
                    format!("write {} = \"127.0.0.1:{port}\"{}", item.key, place(item))
                }
                Value::String(_) | Value::Array(_) | Value::Other => {
                    address::of_port(item).unwrap_or_else(|| format!("write \"127.0.0.1:{port}\""))
                }
            };
            let expected = format!("an address such as \"127.0.0.1:{port}\" or an array of them");
            item.wrong_type(&expected, Some(suggestion), faults)
        }
    }
}

/// Reads an address that nobody listens on yet.
pub(super) fn one(
    item: &Item<'_>,
    port: u16,
    seen: &mut Seen,
    faults: &mut Faults,
) -> Option<Address> {
    let address = address::read(item, port, faults)?;
    // Port 0 asks the kernel for a free one, a new one each time.
    if !matches!(address, Address::Tcp(address) if address.port() == 0) {
        seen.note(&address, item, faults);
    }
    Some(address)
}

/// A key of the top must stand there.
fn place(item: &Item<'_>) -> &'static str {
    if TOP.contains(&item.key) { " at the top, before the first [table]" } else { "" }
}
