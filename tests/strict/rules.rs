//! What a message must keep to, each rule with its source.

use crate::message::{Fault, Framing, Head, malformed};

/// RFC 9112 §6, the part that fields decide; a message that two readers could frame differently is a fault.
pub(crate) fn framing_fields(head: &Head, http10: bool) -> Result<Option<Framing>, Fault> {
    let lengths: Vec<_> = head.all("content-length").collect();
    let codings: Vec<_> = head.all("transfer-encoding").collect();
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(None),
        ([length], []) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => {
            match length.parse() {
                Ok(length) => Ok(Some(Framing::Length(length))),
                Err(_) => malformed(format!("content-length {length:?}")),
            }
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") && !http10 => {
            Ok(Some(Framing::Chunked))
        }
        _ => malformed(format!("content-length {lengths:?} and transfer-encoding {codings:?}")),
    }
}

/// RFC 9112 §3.2.1 and RFC 3986 §3.3: what a gateway may ask an origin for.
pub(crate) fn target(method: &str, target: &str) -> Result<(), Fault> {
    if target == "*" && method == "OPTIONS" {
        return Ok(());
    }
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(byte);
    let bytes = target.as_bytes();
    let escapes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    });
    let path = target.split('?').next().unwrap_or(target);
    let dots = path.split('/').any(|segment| segment == "." || segment == "..");
    if !target.starts_with('/') || !bytes.iter().all(legal) || !escapes || dots {
        return malformed(format!("target {target:?}"));
    }
    Ok(())
}

/// RFC 9112 §3.2.
pub(crate) fn host(head: &Head, http10: bool) -> Result<(), Fault> {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte);
    match head.all("host").collect::<Vec<_>>()[..] {
        // An empty one is what a sender without an authority must write.
        [host] if host.as_bytes().iter().all(legal) => Ok(()),
        [] if http10 => Ok(()),
        ref hosts => malformed(format!("hosts {hosts:?}")),
    }
}

/// What `Connection` may name: nothing that is meant for all recipients (RFC 9110 §7.6.1).
const OPTIONS: [&str; 4] = ["close", "keep-alive", "upgrade", "te"];
/// Fields that may stand only where `Connection` names them, and must then (RFC 9110 §7.6.1, §7.8, §10.1.4).
const NAMED: [&str; 2] = ["upgrade", "te"];

/// RFC 9110 §7.6.1: what is said about this hop is said once, and `Connection` names it.
pub(crate) fn hop(head: &Head, request: bool, http10: bool) -> Result<(), Fault> {
    let options: Vec<String> = head.list("connection").map(str::to_ascii_lowercase).collect();
    let odd = options
        .iter()
        .enumerate()
        .any(|(at, option)| !OPTIONS.contains(&option.as_str()) || options[..at].contains(option));
    let says = |option: &str| options.iter().any(|own| own == option);
    if odd || (says("close") && says("keep-alive")) {
        return malformed(format!("connection {options:?}"));
    }
    for name in NAMED {
        if head.has(name) != says(name) {
            return malformed(format!("{name} and connection {options:?}"));
        }
    }
    // RFC 9112 §C.2.2: the one must never be sent, the other is of no use to anybody.
    if head.has("proxy-connection") || head.has("keep-alive") {
        return malformed("proxy-connection or keep-alive");
    }
    if head.has("upgrade") && (http10 || !head.list("upgrade").all(is_protocol)) {
        return malformed(format!("upgrade {:?}", head.all("upgrade").collect::<Vec<_>>()));
    }
    // A gateway can vouch for no more than trailers, and only a request asks for them.
    let codings: Vec<_> = head.all("te").collect();
    if !codings.is_empty() && (!request || !matches!(codings[..], [te] if te == "trailers")) {
        return malformed(format!("te {codings:?}"));
    }
    Ok(())
}

/// RFC 9110 §7.8: a name, and perhaps a version behind a slash.
fn is_protocol(text: &str) -> bool {
    let (name, version) = text.split_once('/').unwrap_or((text, "x"));
    is_token(name) && is_token(version)
}

/// RFC 9110 §6.5.1: what frames, routes or belongs to the hop must not stand behind the body. Other fields may.
pub(crate) fn trailers(fields: &[(String, String)]) -> Result<(), Fault> {
    const NEVER: [&str; 9] = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    match fields.iter().find(|(name, _)| NEVER.iter().any(|bad| name.eq_ignore_ascii_case(bad))) {
        Some((name, _)) => malformed(format!("trailer {name:?}")),
        None => Ok(()),
    }
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(legal)
}

/// RFC 9110 §5.5: what may stand in a field value, and in a reason phrase (RFC 9112 §4).
pub(crate) fn is_text(c: char) -> bool {
    matches!(c, '\t' | ' '..='~' | '\u{80}'..)
}
