//! Targets and hosts: one normal form, against a slow reference and its own fixed point.

use coregate_core::base::limits;
use coregate_core::http::path::{Target, normal_host, normal_target};

use crate::shown;

/// The same bytes as a target and as a host.
pub fn path(data: &[u8]) {
    target(data);
    host(data);
}

fn normal(raw: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut out = Vec::new();
    match normal_target(raw, &mut out).ok()? {
        Target::Same { path_len } => Some((raw.to_vec(), path_len)),
        Target::Rewritten { path_len } => Some((out, path_len)),
    }
}

fn target(raw: &[u8]) {
    let found = normal(raw);
    assert_eq!(found, reference(raw), "{}", shown(raw));
    let Some((form, path_len)) = found else { return };
    assert_eq!(normal(&form), Some((form.clone(), path_len)), "{}", shown(raw));
    let (path, query) = form.split_at(path_len);
    assert!(path.starts_with(b"/") && !path.contains(&b'?'), "{}", shown(raw));
    assert!(query.is_empty() || query.starts_with(b"?"), "{}", shown(raw));
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(byte);
    assert!(form.iter().all(legal), "{}", shown(raw));
    let dots = |segment: &[u8]| segment == b"." || segment == b"..";
    assert!(!path.split(|byte| *byte == b'/').any(dots), "{}", shown(raw));
}

/// The normal form, or `None` if there is none: escapes first, then segments on a stack.
fn reference(raw: &[u8]) -> Option<(Vec<u8>, usize)> {
    let end = raw.iter().position(|byte| *byte == b'?').unwrap_or(raw.len());
    let (path, query) = raw.split_at(end);
    if path.first() != Some(&b'/') {
        return None;
    }
    let mut stack: Vec<Vec<u8>> = Vec::new();
    let mut segments = path[1..].split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let segment = escapes(segment, true)?;
        match &segment[..] {
            b"." => {}
            b".." => drop(stack.pop()?),
            _ => {
                stack.push(segment);
                continue;
            }
        }
        // A dot segment at the end leaves a folder.
        if segments.peek().is_none() {
            stack.push(Vec::new());
        }
    }
    let mut form: Vec<u8> = stack.into_iter().flat_map(|s| [b"/".to_vec(), s].concat()).collect();
    let path_len = form.len();
    if let Some((mark, query)) = query.split_first() {
        form.push(*mark);
        form.extend(escapes(query, false)?);
    }
    Some((form, path_len))
}

fn escapes(raw: &[u8], in_path: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < raw.len() {
        let byte = raw[at];
        at += 1;
        match byte {
            b'%' => {
                let digits = str::from_utf8(raw.get(at..at + 2)?).ok()?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                let value = u8::from_str_radix(digits, 16).ok()?;
                at += 2;
                if in_path && value.is_ascii_control() {
                    return None;
                }
                if !in_path {
                    // Signatures of requests are made over a query's escapes as they are.
                    out.extend_from_slice(&raw[at - 3..at]);
                } else if value.is_ascii_alphanumeric() || b"-._~".contains(&value) {
                    out.push(value);
                } else {
                    out.extend(format!("%{value:02X}").into_bytes());
                }
            }
            b'\\' if in_path => return None,
            b'#' | 0..=b' ' | 0x7F.. => return None,
            b'"' | b'<' | b'>' | b'[' | b'\\' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                out.extend(format!("%{byte:02X}").into_bytes());
            }
            _ => out.push(byte),
        }
    }
    Some(out)
}

fn host(raw: &[u8]) {
    let mut bytes = raw.to_vec();
    let Ok(found) = normal_host(&mut bytes) else { return };
    let name = &bytes[found.name.clone()];
    assert!(!name.is_empty() && name.len() <= limits::HOST_BYTES, "{}", shown(raw));
    assert!(!name.starts_with(b".") && !name.ends_with(b"."), "{}", shown(raw));
    let plain = |byte: &u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
    };
    let bracketed = name.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    match bracketed.map(|inner| str::from_utf8(inner).map(str::parse::<std::net::Ipv6Addr>)) {
        None => assert!(name.iter().all(plain), "{}", shown(raw)),
        Some(inner) => assert!(matches!(inner, Ok(Ok(_))), "{}", shown(raw)),
    }
    let mut again = name.to_vec();
    if let Some(port) = found.port {
        again.extend(format!(":{port}").into_bytes());
    }
    let written = again.clone();
    let second = normal_host(&mut again).expect("the normal form is a host");
    assert_eq!((&again[second.name], second.port), (name, found.port), "{}", shown(raw));
    assert_eq!(again, written, "{}", shown(raw));
}
