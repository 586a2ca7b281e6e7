//! Chunked bodies, good and bad, as data.

use proptest::prelude::*;

use super::*;

/// Data, and what follows it.
type Body = (Vec<u8>, Vec<u8>);

/// The data of a body that comes in pieces of `step` bytes, and what follows it; or why it is refused.
fn decode(bytes: &[u8], step: usize) -> Result<Option<Body>, ChunkFault> {
    let mut decoder = Decoder::default();
    let mut data = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let mut piece = bytes[at..(at + step).min(bytes.len())].to_vec();
        let found = decoder.decode(&mut piece)?;
        data.extend_from_slice(&piece[..found.data]);
        at += found.consumed;
        if found.done {
            return Ok(Some((data, bytes[at..].to_vec())));
        }
    }
    Ok(None)
}

#[track_caller]
fn check(text: &str, expected: Result<Option<(&str, &str)>, ChunkFault>) {
    let expected = expected.map(|found| found.map(|(a, b)| (a.into(), b.into())));
    for step in [1, 2, 3, 1000] {
        assert_eq!(decode(text.as_bytes(), step), expected, "{text:?} in steps of {step}");
    }
}

#[test]
fn bodies() {
    check("0\r\n\r\n", Ok(Some(("", ""))));
    check("5\r\nhello\r\n0\r\n\r\nGET", Ok(Some(("hello", "GET"))));
    check("1\r\na\r\nA\r\n0123456789\r\n000\r\n\r\n", Ok(Some(("a0123456789", ""))));
    check("1;a\r\nx\r\n0;b=c;d=\"e\\\"\"\r\n\r\n", Ok(Some(("x", ""))));
    check("1 ; a = b ;c\r\nx\r\n0\r\n\r\n", Ok(Some(("x", ""))));
    check("0\r\nX: y\r\nZ:\r\n\r\nrest", Ok(Some(("", "rest"))));
    check("5\r\nhel", Ok(None));
}

#[test]
fn faults() {
    for bad in [
        "\r\n",
        "0x5\r\n",
        "+5\r\n",
        "-5\r\n",
        "5_0\r\n",
        "5 \r\n",
        "5\n",
        "5;\r\n",
        "5;a\n",
        "5;a\rX",
        "5;a\0\r\n",
        "5;a=\r\n",
        "5;a b\r\n",
        "5;a \r\n",
        "5;a=\"b\" \r\n",
        " 5\r\n",
        "g\r\n",
        "12345678901234567\r\n",
        "ffffffffffffffff\r\n",
    ] {
        check(bad, Err(ChunkFault::Size));
    }
    check("5\r\nhello0\r\n\r\n", Err(ChunkFault::DataEnd));
    check("5\r\nhelloworld\r\n", Err(ChunkFault::DataEnd));
    check("5\r\nhello\n0\r\n", Err(ChunkFault::DataEnd));
    for bad in [
        "0\r\nX: y\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX y\r\n",
        "0\r\nX: \0\r\n",
        "0\r\n\n",
        "0\r\n:\r\n",
    ] {
        check(bad, Err(ChunkFault::Trailer));
    }
    check(&format!("5;a={}", "b".repeat(5000)), Err(ChunkFault::ExtensionsTooLong));
    check(&format!("0\r\nX: {}", "b".repeat(5000)), Err(ChunkFault::TrailersTooLong));
}

#[test]
fn size_lines() {
    for (size, expected) in
        [(0, "0\r\n"), (10, "a\r\n"), (4096, "1000\r\n"), (usize::MAX, "ffffffffffffffff\r\n")]
    {
        let mut out = [0; SIZE_LINE_BYTES];
        let length = size_line(size, &mut out);
        assert_eq!(&out[SIZE_LINE_BYTES - length..], expected.as_bytes());
    }
}

proptest! {
    /// What we would write is read back, however it is cut up.
    #[test]
    fn written_chunks_are_read_back(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..6),
        step in 1usize..60,
    ) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            let mut line = [0; SIZE_LINE_BYTES];
            let length = size_line(chunk.len(), &mut line);
            wire.extend_from_slice(&line[SIZE_LINE_BYTES - length..]);
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(LAST_CHUNK);
        wire.extend_from_slice(b"\r\n");
        wire.extend_from_slice(b"next");
        prop_assert_eq!(decode(&wire, step), Ok(Some((chunks.concat(), b"next".to_vec()))));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), step in 1usize..10) {
        let _ = decode(&bytes, step);
    }
}
