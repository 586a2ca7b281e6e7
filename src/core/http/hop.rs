//! What each header field is to us: which fields end at this hop, which we write ourselves, which frame the message.
//!
//! Every field is classified once, when its head is parsed; later stages compare a byte.
//!
//! RFC 9110 §7.6.1: fields named by `Connection`, and the connection-specific fields listed there, are not forwarded.

/// What a header field is to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Role {
    /// Nothing to us: forwarded as it is, unless `Connection` names it.
    #[default]
    EndToEnd,
    /// Ends at this hop: `Keep-Alive`, `Proxy-Connection`, `Proxy-Authenticate`, `Proxy-Authorization`, `TE`, `Trailer`.
    HopByHop,
    /// `Connection`: ends here, and names others that do.
    Connection,
    /// `Upgrade`: ends here unless a tunnel is agreed on.
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
    /// `Via`: forwarded, ours added.
    Via,
    /// `X-Request-Id`: passed on if it is usable, made otherwise.
    RequestId,
    /// `Date`: forwarded; added to a response that has none.
    Date,
}

/// What the field of this name is. Names compare without regard to case (RFC 9110 §5.1).
pub fn role(name: &[u8]) -> Role {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    // By length first: most names are settled by one comparison.
    match name.len() {
        2 if is(b"te") => Role::HopByHop,
        3 if is(b"via") => Role::Via,
        4 if is(b"host") => Role::Host,
        4 if is(b"date") => Role::Date,
        6 if is(b"expect") => Role::Expect,
        7 if is(b"upgrade") => Role::Upgrade,
        7 if is(b"trailer") => Role::HopByHop,
        9 if is(b"forwarded") => Role::Forwarded,
        9 if is(b"x-real-ip") => Role::Forwarded,
        10 if is(b"connection") => Role::Connection,
        10 if is(b"keep-alive") => Role::HopByHop,
        12 if is(b"x-request-id") => Role::RequestId,
        14 if is(b"content-length") => Role::ContentLength,
        15 if is(b"x-forwarded-for") => Role::Forwarded,
        16 if is(b"proxy-connection") => Role::HopByHop,
        16 if is(b"x-forwarded-host") => Role::Forwarded,
        16 if is(b"x-forwarded-port") => Role::Forwarded,
        17 if is(b"transfer-encoding") => Role::TransferEncoding,
        17 if is(b"x-forwarded-proto") => Role::Forwarded,
        18 if is(b"proxy-authenticate") => Role::HopByHop,
        19 if is(b"proxy-authorization") => Role::HopByHop,
        _ => Role::EndToEnd,
    }
}

/// The elements of a comma-separated list, trimmed, empty ones left out (RFC 9110 §5.6.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
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
        assert_eq!(role(b""), Role::EndToEnd);
    }

    #[test]
    fn lists_skip_the_empty() {
        let items: Vec<_> = list(b" close, , X-Secret ,").collect();
        assert_eq!(items, [&b"close"[..], b"X-Secret"]);
    }
}
