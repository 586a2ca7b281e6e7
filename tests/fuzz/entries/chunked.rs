//! Chunked bodies: the decoder against a slow reference, in one piece and in any pieces.

use coregate_core::base::limits;
use coregate_core::http::chunked::Decoder;

use crate::shown;

/// What a body is, as far as it goes.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It is over after so many bytes.
    Done { data: Vec<u8>, consumed: usize },
    /// More must come.
    More { data: Vec<u8> },
    /// It is no chunked body.
    Fault,
}

/// The first byte chooses how the rest is split.
pub fn chunked(data: &[u8]) {
    let Some((&split, body)) = data.split_first() else { return };
    let expected = reference(body);
    assert_eq!(decode(body, &mut [].into_iter()), expected, "whole: {}", shown(body));
    let mut state = u32::from(split);
    let mut sizes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + (state >> 28) as usize * usize::from(split & 15) / 4
    });
    assert_eq!(decode(body, &mut sizes), expected, "split by {split}: {}", shown(body));
}

/// Feeds the decoder pieces of these sizes, then what is left.
fn decode(body: &[u8], sizes: &mut dyn Iterator<Item = usize>) -> Outcome {
    let mut decoder = Decoder::default();
    let (mut data, mut at) = (Vec::new(), 0);
    while at < body.len() {
        let left = body.len() - at;
        let mut piece = body[at..at + sizes.next().unwrap_or(left).min(left)].to_vec();
        let Ok(found) = decoder.decode(&mut piece) else { return Outcome::Fault };
        assert!(found.data <= found.consumed && found.consumed <= piece.len());
        assert!(found.done || found.consumed == piece.len(), "bytes were left over");
        data.extend_from_slice(&piece[..found.data]);
        at += found.consumed;
        if found.done {
            return Outcome::Done { data, consumed: at };
        }
    }
    Outcome::More { data }
}

/// The same by the grammar of RFC 9112 §7.1, a byte at a time.
fn reference(body: &[u8]) -> Outcome {
    let mut reading = Reading { bytes: body, at: 0, data: Vec::new(), extensions: 0, trailers: 0 };
    match reading.body() {
        Ok(()) => Outcome::Done { data: reading.data, consumed: reading.at },
        Err(Stop::More) => Outcome::More { data: reading.data },
        Err(Stop::Fault) => Outcome::Fault,
    }
}

/// Why reading stops before the end.
enum Stop {
    More,
    Fault,
}

struct Reading<'a> {
    bytes: &'a [u8],
    at: usize,
    data: Vec<u8>,
    extensions: usize,
    trailers: usize,
}

impl Reading<'_> {
    /// `chunked-body = *chunk last-chunk trailer-section CRLF`
    fn body(&mut self) -> Result<(), Stop> {
        while let Some(size) = self.size_line()? {
            for _ in 0..size {
                let byte = self.next()?;
                self.data.push(byte);
            }
            self.line_end()?;
        }
        self.trailers()
    }

    /// `chunk-size [ chunk-ext ] CRLF`; `None` for the last.
    fn size_line(&mut self) -> Result<Option<u64>, Stop> {
        let (mut size, mut digits) = (0u64, 0);
        while self.peek()?.is_ascii_hexdigit() {
            let digit = char::from(self.next()?).to_digit(16).unwrap();
            digits += 1;
            // Ours: at most fifteen digits.
            if digits > 15 {
                return Err(Stop::Fault);
            }
            size = size * 16 + u64::from(digit);
        }
        if digits == 0 {
            return Err(Stop::Fault);
        }
        while self.peek()? != b'\r' {
            self.extension()?;
        }
        self.line_end()?;
        Ok((size > 0).then_some(size))
    }

    /// `BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ]`, with no space before the line's end.
    fn extension(&mut self) -> Result<(), Stop> {
        self.spaces()?;
        self.extension_byte(|byte| byte == b';')?;
        self.spaces()?;
        self.token()?;
        let before = self.at;
        self.spaces()?;
        if self.peek()? != b'=' {
            // These spaces stand before the next extension, or before the line's end, where they may not.
            return if self.at > before && self.peek()? != b';' {
                Err(Stop::Fault)
            } else {
                Ok(())
            };
        }
        self.extension_byte(|byte| byte == b'=')?;
        self.spaces()?;
        if self.peek()? != b'"' {
            self.token()?;
        } else {
            self.extension_byte(|byte| byte == b'"')?;
            while self.peek()? != b'"' {
                if self.extension_byte(is_text)? == b'\\' {
                    self.extension_byte(is_text)?;
                }
            }
            self.extension_byte(|byte| byte == b'"')?;
        }
        Ok(())
    }

    fn token(&mut self) -> Result<(), Stop> {
        self.extension_byte(is_token)?;
        while is_token(self.peek()?) {
            self.extension_byte(is_token)?;
        }
        Ok(())
    }

    fn spaces(&mut self) -> Result<(), Stop> {
        while matches!(self.peek()?, b' ' | b'\t') {
            self.extension_byte(|_| true)?;
        }
        Ok(())
    }

    /// A byte of an extension, counted.
    fn extension_byte(&mut self, legal: impl Fn(u8) -> bool) -> Result<u8, Stop> {
        let byte = self.next()?;
        self.extensions += 1;
        if !legal(byte) || self.extensions > limits::CHUNK_EXTENSION_BYTES {
            return Err(Stop::Fault);
        }
        Ok(byte)
    }

    /// `*( field-line CRLF ) CRLF`
    fn trailers(&mut self) -> Result<(), Stop> {
        let mut fields = 0;
        while self.peek()? != b'\r' {
            self.trailer_byte(is_token)?;
            while self.trailer_byte(|byte| is_token(byte) || byte == b':')? != b':' {}
            while self.trailer_byte(|byte| is_text(byte) || byte == b'\r')? != b'\r' {}
            self.trailer_byte(|byte| byte == b'\n')?;
            fields += 1;
            if fields > limits::REQUEST_FIELDS {
                return Err(Stop::Fault);
            }
        }
        self.line_end()
    }

    fn trailer_byte(&mut self, legal: impl Fn(u8) -> bool) -> Result<u8, Stop> {
        let byte = self.next()?;
        self.trailers += 1;
        if !legal(byte) || self.trailers > limits::TRAILER_BYTES {
            return Err(Stop::Fault);
        }
        Ok(byte)
    }

    fn line_end(&mut self) -> Result<(), Stop> {
        match (self.next()?, self.next()) {
            (b'\r', Ok(b'\n')) => Ok(()),
            (b'\r', Err(stop)) => Err(stop),
            _ => Err(Stop::Fault),
        }
    }

    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::More)
    }

    fn next(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7F)
}
