//! What each header field is to us: which fields end at this hop, which we write ourselves, which frame the message.
//!
//! Every field is classified once, when its head is parsed; later stages compare a byte.
//!
//! RFC 9110 §7.6.1: fields named by `Connection`, and the connection-specific fields listed there, are not forwarded.

use crate::http::head::Head;

/// What a header field is to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Role {
    /// Nothing to us: forwarded as it is, unless `Connection` names it.
    #[default]
    EndToEnd,
    /// Ends at this hop: `Keep-Alive`, `Proxy-Connection`, `Proxy-Authenticate`, `Proxy-Authorization`.
    HopByHop,
    /// `TE`: ends here; whether it holds `trailers` is said anew to the next hop (RFC 9110 §10.1.4).
    Te,
    /// `Connection`: ends here, and names others that do.
    Connection,
    /// `Upgrade`: offered anew, as far as [`offers`] lets it.
    Upgrade,
    /// `Host`: checked, written anew from the normal form.
    Host,
    /// `Content-Length`: framing, written anew.
    ContentLength,
    /// `Transfer-Encoding`: framing, written anew.
    TransferEncoding,
    /// `Expect`: understood, forwarded.
    Expect,
    /// `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`, `X-Real-IP`, `Forwarded`: ours to say, a client's are dropped.
    Forwarded,
    /// `Via`: forwarded, ours added; a request in which ours stands already is in a loop.
    Via,
    /// `Max-Forwards`: counted down in OPTIONS (RFC 9110 §7.6.2), nothing to us in other requests.
    MaxForwards,
    /// `X-Request-Id`: passed on if it is usable, made otherwise.
    RequestId,
    /// `Date`: forwarded; added to a response that has none.
    Date,
    /// `X-Coregate-Consumer`: ours to say, a client's are dropped; `_` is `-` there, since many programs read it so.
    Consumer,
    /// `RateLimit`, `RateLimit-Policy`, `RateLimit-Limit`, `-Remaining`, `-Reset`: forwarded; an instance's are dropped where ours are
    /// written.
    RateLimit,
}

/// What the field of this name is. Names compare without regard to case (RFC 9110 §5.1).
pub fn role(name: &[u8]) -> Role {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    // By length first: most names are settled by one comparison.
    match name.len() {
        2 if is(b"te") => Role::Te,
        3 if is(b"via") => Role::Via,
        4 if is(b"host") => Role::Host,
        4 if is(b"date") => Role::Date,
        6 if is(b"expect") => Role::Expect,
        7 if is(b"upgrade") => Role::Upgrade,
        9 if is(b"forwarded") => Role::Forwarded,
        9 if is(b"x-real-ip") => Role::Forwarded,
        9 if is(b"ratelimit") => Role::RateLimit,
        10 if is(b"connection") => Role::Connection,
        10 if is(b"keep-alive") => Role::HopByHop,
        12 if is(b"x-request-id") => Role::RequestId,
        12 if is(b"max-forwards") => Role::MaxForwards,
        14 if is(b"content-length") => Role::ContentLength,
        15 if is(b"x-forwarded-for") => Role::Forwarded,
        15 if is(b"ratelimit-limit") => Role::RateLimit,
        15 if is(b"ratelimit-reset") => Role::RateLimit,
        16 if is(b"proxy-connection") => Role::HopByHop,
        16 if is(b"x-forwarded-host") => Role::Forwarded,
        16 if is(b"x-forwarded-port") => Role::Forwarded,
        16 if is(b"ratelimit-policy") => Role::RateLimit,
        17 if is(b"transfer-encoding") => Role::TransferEncoding,
        17 if is(b"x-forwarded-proto") => Role::Forwarded,
        18 if is(b"proxy-authenticate") => Role::HopByHop,
        19 if is(b"proxy-authorization") => Role::HopByHop,
        19 if is(b"ratelimit-remaining") => Role::RateLimit,
        19 if is_consumer(name) => Role::Consumer,
        _ => Role::EndToEnd,
    }
}

fn is_consumer(name: &[u8]) -> bool {
    let read = name.iter().map(|byte| match byte {
        b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    });
    read.eq(*b"x-coregate-consumer")
}

/// The elements of a comma-separated list, trimmed, empty ones left out (RFC 9110 §5.6.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

/// The protocols of an `Upgrade` field that may be offered to the next hop (RFC 9110 §7.8): `name` or `name/version`, of
/// token characters.
///
/// Not HTTP itself: a tunnel of `h2c` would carry requests that nobody here has seen. And not TLS: what comes after is opaque.
pub fn offers(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    list(value).filter(|protocol| {
        let mut parts = protocol.splitn(2, |byte| *byte == b'/');
        let name = parts.next().unwrap_or_default();
        let never: [&[u8]; 4] = [b"h2c", b"h2", b"http", b"tls"];
        !never.iter().any(|never| name.eq_ignore_ascii_case(never))
            && is_token(name)
            && parts.next().is_none_or(is_token)
    })
}

/// Whether an `Upgrade` field of a 101 names only protocols that were offered, and at least one.
pub fn accepts(value: &[u8], offered: &[u8]) -> bool {
    let known = |name: &[u8]| offers(offered).any(|offer| offer.eq_ignore_ascii_case(name));
    list(value).next().is_some() && list(value).all(known)
}

/// How many elements of the `Via` fields name this gateway (RFC 9110 §7.6.3): `protocol received-by [comment]`.
pub fn times_named(head: &Head, gateway: &[u8]) -> usize {
    let fields = head.fields.iter().filter(|field| field.role == Role::Via);
    let names = fields.flat_map(|field| list(head.bytes(field.value))).map(|element| {
        let mut words = element.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        words.nth(1).unwrap_or_default()
    });
    names.filter(|name| *name == gateway).count()
}

/// RFC 9110 §5.6.2.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// A character of a token (RFC 9110 §5.6.2).
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_ignore_case() {
        assert_eq!(role(b"HOST"), Role::Host);
        assert_eq!(role(b"Transfer-Encoding"), Role::TransferEncoding);
        assert_eq!(role(b"X-Forwarded-For"), Role::Forwarded);
        assert_eq!(role(b"x-forwarded-foo"), Role::EndToEnd);
        for name in ["X-Coregate-Consumer", "x_coregate_consumer", "X-COREGATE_Consumer"] {
            assert_eq!(role(name.as_bytes()), Role::Consumer);
        }
        assert_eq!(role(b"x-coregate-consumex"), Role::EndToEnd);
        assert_eq!(role(b"RateLimit-Remaining"), Role::RateLimit);
        assert_eq!(role(b""), Role::EndToEnd);
    }

    #[test]
    fn rfc_9110_7_8() {
        let offered = |value: &str| {
            let names = offers(value.as_bytes()).map(|name| String::from_utf8_lossy(name).into());
            names.collect::<Vec<String>>().join(" ")
        };
        assert_eq!(offered("websocket"), "websocket");
        assert_eq!(offered("h2c, WebSocket, HTTP/2.0, TLS/1.0, irc/6.9"), "WebSocket irc/6.9");
        assert_eq!(offered("h2c"), "");
        assert_eq!(offered("a b, \"x\", /1, a/, a/1/2"), "");
        assert!(accepts(b"websocket", b"h2c, WebSocket"));
        assert!(!accepts(b"h2c", b"h2c, websocket"));
        assert!(!accepts(b"websocket, x", b"websocket"));
        assert!(!accepts(b"", b"websocket"));
    }

    #[test]
    fn lists_skip_the_empty() {
        let items: Vec<_> = list(b" close, , X-Secret ,").collect();
        assert_eq!(items, [&b"close"[..], b"X-Secret"]);
    }
}
