//! The request of a test as a client sends it, and its answer held against what the test expects.

use coregate_config::Expectation;
use coregate_strict::Response;

use super::stage::{PATH, SERVICE};
use crate::harness::client::Peer;

/// Sends a request to an address, behind `preface`, on a connection of its own. `url` is a whole address or a path alone, as
/// a test has it.
#[track_caller]
pub(super) fn ask(
    address: &str,
    preface: &[u8],
    method: &str,
    url: &str,
    headers: &[(String, String)],
) -> Response {
    let (host, target) = apart(url);
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head += &format!("Host: {host}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if matches!(method, "POST" | "PUT" | "PATCH") {
        head += "Content-Length: 0\r\n";
    }
    let bytes = [preface, head.as_bytes(), b"\r\n"].concat();
    Peer::connect(address).send(bytes).response_to(method)
}

/// The host and the target of a URL.
fn apart(url: &str) -> (&str, String) {
    let Some((_, rest)) = url.split_once("://") else { return ("nobody.example", url.into()) };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    let slash = if target.starts_with('/') { "" } else { "/" };
    (host, format!("{slash}{target}"))
}

/// What an answer is not as expected. Which route it took is not to be seen from outside: `coregate test` holds that.
pub(super) fn missed(
    expect: &Expectation,
    response: &Response,
    without_instances: &[String],
) -> Vec<String> {
    let header = |name: &str| response.head.get(name);
    let mut missed = Vec::new();
    let mut look = |what: &str, holds: bool| missed.extend((!holds).then(|| what.to_owned()));
    let mut services = expect.services.iter();
    if !expect.services.is_empty() {
        let nobody = response.status == 503
            && expect.services.iter().any(|name| without_instances.contains(name));
        let somebody =
            response.status == 200 && services.any(|name| header(SERVICE) == Some(name.as_str()));
        look("service", somebody || nobody);
    }
    if let Some(path) = &expect.path {
        let seen = header(PATH).and_then(|target| target.split('?').next());
        look("path", seen == Some(path.as_str()));
    }
    if let Some(status) = expect.status {
        look("status", response.status == status && header(SERVICE).is_none());
    }
    if let Some(location) = &expect.location {
        look("location", header("location") == Some(location.as_str()));
    }
    match &expect.auth {
        Some(Some(_)) => {
            look("auth", response.status == 401 && header("www-authenticate").is_some())
        }
        Some(None) => look("auth", response.status != 401),
        None => {}
    }
    missed
}

/// Expectations that are each wrong in one thing: a judge that never objects proves nothing.
pub(super) fn doctored(expect: &Expectation) -> Vec<Expectation> {
    let mut all = Vec::new();
    if !expect.services.is_empty() {
        all.push(Expectation { services: vec!["nobody".into()], ..expect.clone() });
    }
    if let Some(path) = &expect.path {
        all.push(Expectation { path: Some(format!("{path}x")), ..expect.clone() });
    }
    if let Some(status) = expect.status {
        all.push(Expectation { status: Some(status + 1), ..expect.clone() });
    }
    if let Some(location) = &expect.location {
        all.push(Expectation { location: Some(format!("{location}x")), ..expect.clone() });
    }
    if let Some(auth) = &expect.auth {
        let other = auth.is_none().then(|| "nobody".to_owned());
        all.push(Expectation { auth: Some(other), ..expect.clone() });
    }
    all
}
