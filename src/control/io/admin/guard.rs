//! Who may ask what: the checks before any handler runs.
//!
//! A Unix socket is guarded by its mode (0600, the server's to set): who can connect may do everything. A loopback port can
//! be reached by every user of the host and by every page that a browser on it shows. So over TCP
//!
//! 1. `Host` must be `localhost` or a loopback literal, with our port: a page whose name was made to point here (DNS
//!    rebinding) says its own name (421);
//! 2. `Origin` must be absent or our own: a page of another site is refused (403);
//! 3. all but the probes and the metrics needs a token (401; 403 where none is configured, or where it does not open what is
//!    asked, see [`tokens`](super::tokens)). A service's own is compared by the registry, where that has the last word.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{MatchedPath, Path, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, HOST, HeaderName, ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::tokens::{Access, Held, Scope, Tokens};
use crate::registry::directory::admission::{Caller, TokenCheck};

/// What guards an admin listener's TCP sockets.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Whether a token is the one that opens everything.
    pub token: Option<TokenCheck>,
    /// The others. With none of all, nothing under `/v1` is answered over TCP.
    pub tokens: Tokens,
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: probes and scrapers carry no token.
    Nothing,
    /// The token that opens everything.
    Everything,
    /// One with this scope for the service in its path.
    Service(Scope),
    /// Any at all: the handler looks at what it opens.
    Asked,
}

/// What each endpoint needs, by method and path.
#[derive(Debug, Default)]
pub(super) struct Needs(HashMap<&'static str, Vec<(Method, Need)>>);

impl Needs {
    pub(super) fn insert(&mut self, path: &'static str, method: Method, need: Need) {
        self.0.entry(path).or_default().push((method, need));
    }

    /// What is not there is nobody's to learn either.
    fn of(&self, request: &Request) -> Need {
        let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let method = match *request.method() {
            Method::HEAD => &Method::GET,
            ref method => method,
        };
        let known = path.and_then(|path| self.0.get(path)).into_iter().flatten();
        let mut known = known.filter(|(own, _)| own == method).map(|(_, need)| *need);
        known.next().unwrap_or(Need::Everything)
    }
}

/// What the guard of one socket knows.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) guard: Guard,
    pub(super) transport: Transport,
    pub(super) needs: Arc<Needs>,
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
    State(door): State<Door>,
    service: Result<Path<HashMap<String, String>>, PathRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let allowed = match door.transport {
        Transport::Unix => Ok(Access::Everything(Caller::Socket)),
        Transport::Tcp { port } => {
            // A path that is no text names no service.
            let service = service.ok().and_then(|Path(mut named)| named.remove("service"));
            allow(&door, port, &request, service.as_deref())
        }
    };
    let mut response = match allowed {
        Ok(access) => {
            request.extensions_mut().insert(access);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What a request may ask, if it may ask this.
fn allow(
    door: &Door,
    port: u16,
    request: &Request,
    service: Option<&str>,
) -> Result<Access, Problem> {
    check_host(port, request)?;
    check_origin(port, request.headers())?;
    let (need, table) = (door.needs.of(request), door.guard.tokens.now());
    if need == Need::Nothing {
        return Ok(Access::Held(Arc::new(Held::new(&[], &door.guard.tokens))));
    }
    // The registry compares these itself.
    let for_instances = need == Need::Service(Scope::Register);
    let is_bare = table.services.is_empty() && table.named.is_empty() || need == Need::Everything;
    if door.guard.token.is_none() && is_bare && !for_instances {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "over TCP this needs a token, and none is configured: set runtime.admin_token, or use the Unix socket",
        ));
    }
    let sent = sent_token(request.headers())?;
    if door.guard.token.as_ref().is_some_and(|token| token.matches(sent)) {
        return Ok(Access::Everything(Caller::Operator));
    }
    let access = Access::Held(Arc::new(Held::new(sent, &door.guard.tokens)));
    match (need, service) {
        (Need::Service(scope), Some(service)) if !for_instances || !access.is_unknown() => {
            access.check(scope, service)?;
        }
        (Need::Service(_), Some(_)) | (Need::Asked | Need::Nothing, _) => {}
        (Need::Everything, _) | (Need::Service(_), None) => {
            return Err(access.refused("", "this needs the token that opens everything"));
        }
    }
    Ok(access)
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
