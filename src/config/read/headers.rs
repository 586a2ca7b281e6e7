//! Header fields that a configuration has sent: in answers and in probes.

use coregate_core::http::hop::{self, Role};

use crate::codes;
use crate::item::{Item, quoted, shown};
use crate::report::{Diagnostic, Faults};

/// A name that may stand in a head, and whose field is not the gateway's to say.
pub(super) fn name(item: &Item<'_>, faults: &mut Faults) -> Option<String> {
    let name = item.key;
    if !hop::is_token(name.as_bytes()) {
        let message = format!("{}: expected the name of a header such as x-from", quoted(name));
        let meant = name.trim().trim_end_matches(':').replace(' ', "-");
        let legal = hop::is_token(meant.as_bytes());
        let suggestion = legal.then(|| format!("write {meant}"));
        faults.push(Diagnostic::error(codes::HEADER, item.span(), message).suggest(suggestion));
        return None;
    }
    if is_own(name) {
        let message = format!("header {}: the gateway alone writes it", shown(name));
        let fault = Diagnostic::error(codes::OWN_HEADER, item.span(), message);
        faults.push(fault.suggest(format!("remove {name}")));
        return None;
    }
    Some(name.to_owned())
}

fn is_own(name: &str) -> bool {
    let trailer = ["trailer", "trailers"].iter().any(|own| name.eq_ignore_ascii_case(own));
    let ours = name.get(..11).is_some_and(|start| start.eq_ignore_ascii_case("x-coregate-"));
    trailer
        || ours
        || match hop::role(name.as_bytes()) {
            Role::HopByHop
            | Role::Te
            | Role::Connection
            | Role::Upgrade
            | Role::Host
            | Role::ContentLength
            | Role::TransferEncoding
            | Role::Expect
            | Role::Forwarded
            | Role::Via
            | Role::MaxForwards
            | Role::Date
            | Role::Consumer => true,
            Role::EndToEnd | Role::RequestId | Role::RateLimit => false,
        }
}

/// A value that may stand in a head (RFC 9110 §5.5), in ASCII.
pub(super) fn value(text: &str, item: &Item<'_>, faults: &mut Faults) -> Option<String> {
    let visible = |text: &str| text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    let meant = text.trim();
    if meant == text && visible(text) {
        return Some(text.to_owned());
    }
    let why = format!("{}: expected visible ASCII without spaces around it", quoted(text));
    let meant: String = meant.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let suggestion = match visible(&meant) {
        true => format!("write {}", quoted(&meant)),
        false => "write it with escapes, as the header's own rules have them".to_owned(),
    };
    item.refuse(codes::HEADER, why, Some(suggestion), faults)
}

/// Reports a name that stands twice; `first` is the other place, where it is not a name in the same table.
pub(super) fn twice(item: &Item<'_>, name: &str, first: Option<&Item<'_>>, faults: &mut Faults) {
    let message = format!("header {} stands twice", shown(name));
    let fault = Diagnostic::error(codes::DUPLICATE_KEY, item.span(), message);
    let fault = match first {
        Some(first) => fault.also(first.span(), "first here"),
        None => fault,
    };
    faults.push(fault.suggest("remove one of them".to_owned()));
}

/// The name of a field that is looked at in a request or an answer, in lower case; none that the gateway writes or frames messages
/// by, since those do not say what somebody sent.
pub(super) fn field(name: &str, item: &Item<'_>, faults: &mut Faults) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if !hop::is_token(name.as_bytes()) {
        let why = format!("{}: expected the name of a header such as x-tenant", quoted(name));
        let meant = lower.trim().trim_end_matches(':').replace(' ', "-");
        let suggestion =
            hop::is_token(meant.as_bytes()).then(|| format!("write {}", quoted(&meant)));
        return item.refuse(codes::HEADER, why, suggestion, faults);
    }
    if is_own(name) {
        let why = format!("header {}: the gateway alone writes it", shown(&lower));
        let suggestion = format!("name another than {lower}");
        return item.refuse(codes::OWN_HEADER, why, Some(suggestion), faults);
    }
    Some(lower)
}
