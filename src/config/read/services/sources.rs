//! Where instances are looked up: `dns:HOST:PORT`, `srv:NAME`, `file_sd:/PATH`.

use std::net::IpAddr;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Source;

use super::PORT;
use crate::codes;
use crate::item::{Item, quoted};
use crate::report::Faults;

/// The schemes.
const DNS: &str = "dns:";
const SRV: &str = "srv:";
const FILE: &str = "file_sd:";

/// A label of a name, in bytes: RFC 1035 §2.3.4.
const LABEL_BYTES: usize = 63;

/// Why a text is no source, and what was perhaps meant.
type Wrong = (String, Option<String>);

/// Whether a text is a source, right or wrong, and not an address.
pub(super) fn is_one(text: &str) -> bool {
    let start = text.get(..FILE.len().min(text.len())).unwrap_or(text).to_ascii_lowercase();
    // What others write for the same.
    let others = ["dns+", "dnssrv+", "dns+srv:", "file:/"];
    [DNS, SRV, FILE].iter().chain(&others).any(|scheme| start.starts_with(scheme))
}

/// Reads a source.
pub(super) fn read(item: &Item<'_>, text: &str, faults: &mut Faults) -> Option<Source> {
    let read = match text.split_once(':') {
        Some(("dns", rest)) => dns(rest),
        Some(("srv", rest)) => srv(rest),
        Some(("file_sd", rest)) => file(rest),
        Some(_) | None => Err(foreign(text)),
    };
    match read {
        Ok(source) => Some(source),
        Err((why, meant)) => {
            let suggestion = meant.map(|meant| format!("write {}", quoted(&meant)));
            let why = format!("{}: {why}", quoted(text));
            item.refuse(codes::SOURCE, why, suggestion, faults)
        }
    }
}

fn dns(rest: &str) -> Result<Source, Wrong> {
    let bare = rest.trim().trim_start_matches('/');
    let (host, port) = match bare.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (bare, None),
    };
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        let port = port.and_then(|port| port.parse().ok()).unwrap_or(PORT);
        let meant = std::net::SocketAddr::new(ip, port).to_string();
        return Err(("an address is not looked up".to_owned(), Some(meant)));
    }
    let why = || "expected dns:HOST:PORT".to_owned();
    let name = host.strip_suffix('.').unwrap_or(host);
    if !is_host(name) {
        return Err((format!("{}: {} is not the name of a host", why(), quoted(host)), None));
    }
    let Some(port) = port else { return Err((why(), Some(format!("{DNS}{name}:{PORT}")))) };
    if bare != rest {
        return Err((why(), Some(format!("{DNS}{bare}"))));
    }
    match number(port) {
        Some(port) => Ok(Source::Dns { host: name.to_owned(), port }),
        None => Err((format!("port {}: expected 1 to 65535", quoted(port)), None)),
    }
}

fn srv(rest: &str) -> Result<Source, Wrong> {
    let bare = rest.trim().trim_start_matches('/');
    if let Some((host, _)) = bare.split_once(':').filter(|(host, _)| is_host(host)) {
        let why = "the port is what such a record says".to_owned();
        return Err((why, Some(format!("{SRV}{host}"))));
    }
    let name = bare.strip_suffix('.').unwrap_or(bare);
    if name.parse::<IpAddr>().is_ok() || !is_host(name) {
        let why = "expected srv:NAME, such as srv:_http._tcp.users.internal".to_owned();
        return Err((why, None));
    }
    if bare != rest {
        return Err(("expected srv:NAME".to_owned(), Some(format!("{SRV}{bare}"))));
    }
    Ok(Source::Srv { name: name.to_owned() })
}

fn file(path: &str) -> Result<Source, Wrong> {
    let most = limits::SECRET_PATH_BYTES;
    if !path.starts_with('/') || path.len() > most || path.contains('\0') {
        let why = format!("expected an absolute path of at most {most} bytes");
        let name = path.trim().trim_start_matches("./");
        let plain = !name.is_empty() && !path.starts_with('/') && !name.starts_with("..");
        return Err((why, plain.then(|| format!("{FILE}/etc/coregate/{name}"))));
    }
    if path.contains('*') {
        return Err((
            "expected the path of one file: `*` stands for nothing here".to_owned(),
            None,
        ));
    }
    if let Some(stem) = path.strip_suffix(".yml").or_else(|| path.strip_suffix(".yaml")) {
        return Err(("expected a file in JSON".to_owned(), Some(format!("{FILE}{stem}.json"))));
    }
    Ok(Source::File(path.into()))
}

/// A source as others write it.
fn foreign(text: &str) -> Wrong {
    let why = "expected dns:HOST:PORT, srv:NAME or file_sd:/PATH".to_owned();
    let lower = text.to_ascii_lowercase();
    let meant = [
        ("dnssrv+", SRV),
        ("dns+srv:", SRV),
        ("dns+", DNS),
        (DNS, DNS),
        (SRV, SRV),
        (FILE, FILE),
        ("file:", FILE),
    ];
    let meant = meant.into_iter().find_map(|(start, scheme)| {
        lower.starts_with(start).then(|| (scheme, text.get(start.len()..).unwrap_or_default()))
    });
    let meant = meant.and_then(|(scheme, rest)| {
        let rest = rest.trim_start_matches("http://");
        let right = match scheme {
            DNS => dns(rest).is_ok(),
            SRV => srv(rest).is_ok(),
            _ => file(rest).is_ok(),
        };
        right.then(|| format!("{scheme}{rest}"))
    });
    (why, meant)
}

/// Whether a text may be the name of a host, without a dot at its end.
pub(super) fn is_host(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let label = |label: &str| (1..=LABEL_BYTES).contains(&label.len()) && label.bytes().all(legal);
    text.len() <= limits::DOMAIN_BYTES && text.split('.').all(label)
}

/// A port, in digits.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}
