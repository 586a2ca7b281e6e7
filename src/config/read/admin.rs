//! `runtime.admin`: where the process is asked and told things.

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;

use super::{addresses as listened, too_many};
use crate::address::Seen;
use crate::codes;
use crate::item::Item;
use crate::report::Faults;

/// What suggestions show.
const PORT: u16 = 9900;

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
