//! Who may ask what: the checks before any handler runs.
//!
//! A Unix socket is guarded by its mode (0600, the server's to set): who can connect may do everything. A loopback port can
//! be reached by every user of the host and by every page that a browser on it shows. So over TCP
//!
//! 1. `Host` must be `localhost` or a loopback literal, with our port: a page whose name was made to point here (DNS
//!    rebinding) says its own name (421);
//! 2. `Origin` must be absent or our own: a page of another site is refused (403);
//! 3. all but the probes and the metrics needs the token (401; 403 where none is configured); what speaks for an instance may have
//!    its service's token instead, which the registry compares.

use std::net::IpAddr;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, HOST, HeaderName, ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::registry::directory::admission::{Caller, TokenCheck};

/// What anybody may ask who can connect: probes and scrapers carry no token.
const OPEN: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Where instances register, and those who speak for them: a service's token opens this, and nothing else.
const FOR_INSTANCES: &str = "/v1/services/{service}/instances/{instance}";

/// What guards an admin listener's TCP sockets.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Whether a token is right; with none, nothing under `/v1` is answered over TCP.
    pub token: Option<TokenCheck>,
}

/// What a connection came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// A Unix socket.
    Unix,
    /// TCP, to this port of ours.
    Tcp {
        /// Our port.
        port: u16,
    },
}

/// The guard as a layer around all routes. It also says of every answer that it is not to be kept or guessed at.
pub(super) async fn check(
    State((guard, transport)): State<(Guard, Transport)>,
    mut request: Request,
    next: Next,
) -> Response {
    let allowed = match transport {
        Transport::Unix => Ok(Caller::Socket),
        Transport::Tcp { port } => allow(&guard, port, &request),
    };
    let mut response = match allowed {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Who asks, if they may.
fn allow(guard: &Guard, port: u16, request: &Request) -> Result<Caller, Problem> {
    check_host(port, request)?;
    check_origin(port, request.headers())?;
    if OPEN.contains(&request.uri().path()) {
        return Ok(Caller::Bearer(Vec::new()));
    }
    let for_instances = is_for_instances(request);
    if guard.token.is_none() && !for_instances {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "over TCP this needs a token, and none is configured: set runtime.admin_token, or use the Unix socket",
        ));
    }
    let sent = sent_token(request.headers())?;
    match &guard.token {
        Some(token) if token.matches(sent) => Ok(Caller::Operator),
        // Whether it is the service's, the registry knows.
        _ if for_instances => Ok(Caller::Bearer(sent.to_vec())),
        _ => Err(wrong_token("the token is wrong")),
    }
}

/// Whether a request says something of an instance, which its service's token allows.
fn is_for_instances(request: &Request) -> bool {
    let matched = request.extensions().get::<MatchedPath>();
    let rest = matched.and_then(|path| path.as_str().strip_prefix(FOR_INSTANCES));
    match *request.method() {
        Method::PUT => matches!(rest, Some("" | "/status")),
        Method::DELETE => rest == Some(""),
        Method::POST => rest == Some("/renew"),
        _ => false,
    }
}

/// RFC 9112 §3.2: exactly one `Host`; a target in absolute form must name us as well.
fn check_host(port: u16, request: &Request) -> Result<(), Problem> {
    let Some(host) = only(request.headers(), &HOST) else {
        return Err(Problem::bad("expected exactly one Host header"));
    };
    let in_target = request.uri().authority().is_none_or(|authority| is_ours(authority, port));
    let in_header = Authority::try_from(host).is_ok_and(|authority| is_ours(&authority, port));
    if in_target && in_header {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        format!("Host is not ours: expected localhost:{port} or a loopback address with that port"),
    ))
}

fn check_origin(port: u16, headers: &HeaderMap) -> Result<(), Problem> {
    if !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    let own = only(headers, &ORIGIN)
        .and_then(|origin| origin.strip_prefix(b"http://"))
        .and_then(|rest| Authority::try_from(rest).ok())
        .is_some_and(|authority| is_ours(&authority, port));
    if own {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "Origin is not ours: pages of other sites are refused"))
}

/// The token that stands in a request, right or wrong.
fn sent_token(headers: &HeaderMap) -> Result<&[u8], Problem> {
    let unauthorized = |detail: &str| {
        Problem::new(StatusCode::UNAUTHORIZED, detail).with_challenge(r#"Bearer realm="coregate""#)
    };
    if !headers.contains_key(AUTHORIZATION) {
        return Err(unauthorized("over TCP this needs Authorization: Bearer TOKEN"));
    }
    only(headers, &AUTHORIZATION)
        .and_then(bearer)
        .ok_or_else(|| unauthorized("expected one Authorization header, with Bearer and a token"))
}

/// A token that opens nothing here.
pub(super) fn wrong_token(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .with_challenge(r#"Bearer realm="coregate", error="invalid_token""#)
}

/// The token behind `Bearer`, in any case (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| rest.trim_ascii())
}

/// The value of a header that stands there exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.as_bytes())
}

/// Whether an authority is `localhost` or a loopback literal, with our port; user information is nobody's.
fn is_ours(authority: &Authority, port: u16) -> bool {
    let host = authority.host();
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let loopback = host.eq_ignore_ascii_case("localhost")
        || literal.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    // Without a port it is that of the scheme.
    let named = match authority.as_str().strip_prefix(host) {
        Some("") => Some(80),
        Some(rest) => rest.strip_prefix(':').and_then(|digits| digits.parse().ok()),
        None => None,
    };
    loopback && named == Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_our_port_are_ours() {
        let ours =
            |text: &str| Authority::try_from(text).is_ok_and(|authority| is_ours(&authority, 9900));
        for right in
            ["localhost:9900", "LOCALHOST:9900", "127.0.0.1:9900", "127.9.9.9:9900", "[::1]:9900"]
        {
            assert!(ours(right), "{right}");
        }
        for wrong in [
            "localhost",
            "localhost:",
            "localhost:80",
            "localhost:99000",
            "localhost.:9900",
            "localhost.evil.example:9900",
            "evil.example:9900",
            "127.0.0.1.evil.example:9900",
            "10.0.0.1:9900",
            "0.0.0.0:9900",
            "[::]:9900",
            "[::ffff:127.0.0.1]:9900",
            "user@localhost:9900",
            "localhost:9900@evil.example",
            "2130706433:9900",
            "0x7f.1:9900",
            "",
        ] {
            assert!(!ours(wrong), "{wrong}");
        }
        assert!(Authority::try_from("localhost").is_ok_and(|authority| is_ours(&authority, 80)));
    }

    #[test]
    fn a_bearer_is_read_in_any_case() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bEARER  abc "), Some(&b"abc"[..]));
        assert_eq!(bearer(b"Basic abcdef"), None);
        assert_eq!(bearer(b"Bearer"), None);
        assert_eq!(bearer(b""), None);
    }
}
