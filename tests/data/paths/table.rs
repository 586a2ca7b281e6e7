//! Reads `paths.txt`, for the test of the parser and the one over the wire.

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Case {
    /// The Host field.
    pub(crate) field: String,
    /// The target, as it is sent.
    pub(crate) target: Vec<u8>,
    /// Host and target in normal form, or a status.
    pub(crate) expected: Result<(String, String), u16>,
    /// The line itself, for messages.
    pub(crate) line: &'static str,
}

impl Case {
    /// The whole request.
    pub(crate) fn request(&self) -> Vec<u8> {
        let rest = format!(" HTTP/1.1\r\nHost: {}\r\n\r\n", self.field);
        [b"GET ", &self.target[..], rest.as_bytes()].concat()
    }
}

const HOST: &str = "h.example";

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    let lines = include_str!("paths.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(case)
}

fn case(line: &'static str) -> Case {
    let columns: Vec<_> = line.split('\t').collect();
    let &[field, target, expected, why] = &columns[..] else {
        panic!("not four columns: {line:?}")
    };
    assert!(!why.is_empty(), "no reason: {line:?}");
    let expected = match expected.parse() {
        Ok(status) => Err(status),
        Err(_) => {
            let (host, target) = expected.split_once(' ').unwrap_or((HOST, expected));
            Ok((host.to_owned(), String::from_utf8(bytes(target)).unwrap()))
        }
    };
    let field = if field == "-" { HOST } else { field };
    Case { field: field.to_owned(), target: bytes(target), expected, line }
}

/// The bytes that a text stands for.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        rest = match escape.as_bytes()[0] {
            b'x' => {
                bytes.push(u8::from_str_radix(&escape[1..3], 16).unwrap());
                &escape[3..]
            }
            b'{' => {
                let (inner, after) = escape[1..].split_once('}').unwrap();
                let (part, count) = inner.rsplit_once('*').unwrap();
                bytes.extend(part.repeat(count.parse().unwrap()).bytes());
                after
            }
            b'\\' => {
                bytes.push(b'\\');
                &escape[1..]
            }
            _ => panic!("not an escape: {text:?}"),
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
