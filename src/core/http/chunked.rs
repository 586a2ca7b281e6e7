//! Chunks: a decoder that works in place, and the size line of chunks we write.
//!
//! The grammar is that of RFC 9112 §7.1, to the letter: `1*HEXDIG`, white space only before and behind the `;` of an
//! extension, extensions with a name, CRLF and nothing else at line ends. httparse's chunk-size parser is not used: it
//! takes an empty size and bare LFs. Extensions are checked, bounded and dropped (RFC 9112 §7.1.1); trailers are checked,
//! bounded and kept for the next hop (RFC 9112 §7.1.2).

use crate::base::limits;
use crate::http::hop::is_token_byte;
use crate::http::trailers::Trailers;

/// Why a chunked body is refused. Its sender's fault, and nothing behind it on the connection can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkFault {
    /// A size line that is not `1*HEXDIG [chunk-ext] CRLF`, or a size of 2^60 and more.
    #[error("bad chunk size line")]
    Size,
    /// Data that is not followed by CRLF.
    #[error("chunk data is not followed by a line end")]
    DataEnd,
    /// More extensions than [`limits::CHUNK_EXTENSION_BYTES`].
    #[error("too many chunk extensions")]
    ExtensionsTooLong,
    /// A trailer line that is no field line.
    #[error("bad trailer")]
    Trailer,
    /// More trailers than [`limits::TRAILER_BYTES`] or [`limits::REQUEST_FIELDS`].
    #[error("the trailers are too long")]
    TrailersTooLong,
}

/// Where the decoder stands.
///
/// ```text
///  Size ─▶ SizeLf ─▶ Data ─▶ DataCr ─▶ DataLf ─▶ Size ...
///   │ ▲     (size 0) ─▶ LineStart ─▶ EndLf ─▶ Done
///   ▼ │                   │   ▲
///  extension states       ▼   │
///                       Name ─▶ Value ─▶ ValueLf
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { digits: u8 },
    SpaceBeforeExtension,
    ExtensionStart,
    ExtensionName,
    SpaceAfterName,
    ExtensionValueStart,
    ExtensionValue,
    Quoted,
    QuotedPair,
    AfterQuoted,
    SpaceAfterValue,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    LineStart,
    Name,
    Value,
    ValueLf,
    EndLf,
    Done,
}

/// A decoder for one body.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    remaining: u64,
    extension_bytes: u16,
    /// Boxed, and made by the first byte of a trailer: most bodies have none.
    trailers: Option<Box<Trailers>>,
}

/// What a call of [`Decoder::decode`] found.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that were read. All of them, unless the body is over.
    pub consumed: usize,
    /// Bytes of data, moved to the front of the input.
    pub data: usize,
    /// Whether the body is over; what follows `consumed` belongs to the next message.
    pub done: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { state: State::Size { digits: 0 }, remaining: 0, extension_bytes: 0, trailers: None }
    }
}

impl Decoder {
    /// Reads as much as there is and moves the data found to the front of `input`, in place.
    pub fn decode(&mut self, input: &mut [u8]) -> Result<Decoded, ChunkFault> {
        let (mut at, mut data) = (0, 0);
        while at < input.len() && self.state != State::Done {
            if self.state == State::Data {
                let here =
                    (input.len() - at).min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
                input.copy_within(at..at + here, data);
                at += here;
                data += here;
                self.remaining -= here as u64;
                if self.remaining == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.state = self.step(input[at])?;
                at += 1;
            }
        }
        Ok(Decoded { consumed: at, data, done: self.state == State::Done })
    }

    /// Every byte that is not data.
    fn step(&mut self, byte: u8) -> Result<State, ChunkFault> {
        use State::*;
        let next = match (self.state, byte) {
            (Size { digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits == 15 {
                    return Err(ChunkFault::Size);
                }
                let digit = (byte as char).to_digit(16).unwrap_or(0);
                self.remaining = self.remaining << 4 | u64::from(digit);
                Size { digits: digits + 1 }
            }
            (Size { digits: 1.. }, b'\r') => SizeLf,
            (Size { digits: 1.. }, b';') => ExtensionStart,
            (Size { digits: 1.. }, b' ' | b'\t') => SpaceBeforeExtension,
            (SpaceBeforeExtension | SpaceAfterName | SpaceAfterValue, b' ' | b'\t') => self.state,
            (SpaceBeforeExtension, b';') => ExtensionStart,
            (ExtensionStart, b' ' | b'\t') => ExtensionStart,
            (ExtensionStart, _) if is_token_byte(byte) => ExtensionName,
            (ExtensionName, _) if is_token_byte(byte) => ExtensionName,
            (ExtensionName, b' ' | b'\t') => SpaceAfterName,
            (ExtensionName | SpaceAfterName, b'=') => ExtensionValueStart,
            (
                ExtensionName | SpaceAfterName | ExtensionValue | AfterQuoted | SpaceAfterValue,
                b';',
            ) => ExtensionStart,
            (ExtensionName | ExtensionValue | AfterQuoted, b'\r') => SizeLf,
            (ExtensionValueStart, b' ' | b'\t') => ExtensionValueStart,
            (ExtensionValueStart, b'"') => Quoted,
            (ExtensionValueStart | ExtensionValue, _) if is_token_byte(byte) => ExtensionValue,
            (ExtensionValue | AfterQuoted, b' ' | b'\t') => SpaceAfterValue,
            (Quoted, b'"') => AfterQuoted,
            (Quoted, b'\\') => QuotedPair,
            (Quoted | QuotedPair, _) if is_text(byte) => Quoted,
            (SizeLf, b'\n') if self.remaining == 0 => LineStart,
            (SizeLf, b'\n') => Data,
            (DataCr, b'\r') => DataLf,
            (DataLf, b'\n') => Size { digits: 0 },
            (DataCr | DataLf, _) => return Err(ChunkFault::DataEnd),
            (LineStart, b'\r') => EndLf,
            (LineStart | Name, _) if is_token_byte(byte) => Name,
            (Name, b':') => Value,
            (Value, b'\r') => ValueLf,
            (Value, _) if is_text(byte) => Value,
            (ValueLf, b'\n') => LineStart,
            (EndLf, b'\n') => Done,
            (LineStart | Name | Value | ValueLf | EndLf, _) => return Err(ChunkFault::Trailer),
            _ => return Err(ChunkFault::Size),
        };
        self.note(next, byte)?;
        Ok(next)
    }

    /// The trailers found, once the body is over.
    pub fn into_trailers(self) -> Option<Box<Trailers>> {
        self.trailers
    }

    /// Bounds extensions, which nobody reads; keeps trailers.
    fn note(&mut self, next: State, byte: u8) -> Result<(), ChunkFault> {
        use State::*;
        match next {
            SpaceBeforeExtension | ExtensionStart | ExtensionName | SpaceAfterName
            | ExtensionValueStart | ExtensionValue | Quoted | QuotedPair | AfterQuoted
            | SpaceAfterValue => {
                self.extension_bytes += 1;
                if usize::from(self.extension_bytes) > limits::CHUNK_EXTENSION_BYTES {
                    return Err(ChunkFault::ExtensionsTooLong);
                }
            }
            Name | Value | ValueLf => return self.keep_trailer(byte),
            // The line end of a field; the one behind a size of zero is none.
            LineStart if self.state == ValueLf => return self.keep_trailer(byte),
            Size { .. } | SizeLf | Data | DataCr | DataLf | LineStart | EndLf | Done => {}
        }
        Ok(())
    }
}

impl Decoder {
    fn keep_trailer(&mut self, byte: u8) -> Result<(), ChunkFault> {
        match self.trailers.get_or_insert_default().push(byte) {
            true => Ok(()),
            false => Err(ChunkFault::TrailersTooLong),
        }
    }
}

/// RFC 9110 §5.5: what may stand in a field value, and (with escapes) in a quoted string.
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// The longest size line that [`size_line`] writes.
pub const SIZE_LINE_BYTES: usize = 18;

/// Writes the size line of a chunk of `size` bytes to the **end** of `out`; gives its length.
///
/// Written backwards so that the line stands directly before the data it belongs to.
pub fn size_line(mut size: usize, out: &mut [u8; SIZE_LINE_BYTES]) -> usize {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut at = SIZE_LINE_BYTES;
    for byte in [b'\n', b'\r'] {
        at -= 1;
        out[at] = byte;
    }
    loop {
        at -= 1;
        out[at] = DIGITS[size & 15];
        size >>= 4;
        if size == 0 {
            return SIZE_LINE_BYTES - at;
        }
    }
}

/// The last chunk; trailers and an empty line follow it.
pub const LAST_CHUNK: &[u8] = b"0\r\n";

#[cfg(test)]
mod tests;
