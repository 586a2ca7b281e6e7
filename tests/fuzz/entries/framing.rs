//! Framing: `body_of` against the table of RFC 9112 §6.3 as its module states it.

use coregate_core::http::framing::{BodyIn, FramingFault, FramingFields, Message, body_of};

/// The first byte says whose message it is, the next two the status; then lines, each a length (`L`) or a coding.
pub fn framing(data: &[u8]) {
    let [kind, high, low, lines @ ..] = data else { return };
    let http10 = kind & 1 != 0;
    let to_head = kind & 2 != 0;
    let status = 100 + u16::from_be_bytes([*high, *low]) % 500;
    let message = match kind & 4 {
        0 => Message::Request { http10 },
        _ => Message::Response { http10, status, to_head },
    };
    let mut fields = FramingFields::default();
    let (mut lengths, mut codings) = (Vec::new(), Vec::new());
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match line[0] {
            b'L' => {
                fields.add_length(&line[1..]);
                lengths.push(&line[1..]);
            }
            _ => {
                fields.add_coding(&line[1..]);
                codings.push(line[1..].to_ascii_lowercase());
            }
        }
    }
    let expected = expected(message, &lengths, &codings);
    assert_eq!(body_of(message, fields), expected, "{message:?} {lengths:?} {codings:?}");
}

/// The table: the first row that applies.
fn expected(
    message: Message,
    lengths: &[&[u8]],
    codings: &[Vec<u8>],
) -> Result<BodyIn, FramingFault> {
    let (http10, is_response, never_a_body) = match message {
        Message::Request { http10 } => (http10, false, false),
        Message::Response { http10, status, to_head } => {
            (http10, true, to_head || status < 200 || status == 204 || status == 304)
        }
    };
    // RFC 9110 §8.6: a decimal number; ours: below 10^18.
    let number = |text: &[u8]| match str::from_utf8(text) {
        Ok(text) if text.len() <= 18 && !text.contains(['+', '-']) => text.parse::<u64>().ok(),
        _ => None,
    };
    let length = match lengths {
        [one] => number(one),
        _ => None,
    };
    let (has_length, has_coding) = (!lengths.is_empty(), !codings.is_empty());
    let chunked = codings.len() == 1 && codings[0] == b"chunked";
    let rows = [
        (never_a_body, Ok(BodyIn::None)),
        (has_coding && has_length, Err(FramingFault::Both)),
        (has_coding && !chunked, Err(FramingFault::UnknownCoding)),
        (has_coding && http10, Err(FramingFault::CodingIn10)),
        (has_coding, Ok(BodyIn::Chunked)),
        (has_length && length.is_none(), Err(FramingFault::BadLength)),
        (has_length && length == Some(0), Ok(BodyIn::None)),
        (has_length, Ok(BodyIn::Length(length.unwrap_or(0)))),
        (is_response, Ok(BodyIn::Close)),
    ];
    rows.into_iter().find(|(applies, _)| *applies).map_or(Ok(BodyIn::None), |(_, result)| result)
}
