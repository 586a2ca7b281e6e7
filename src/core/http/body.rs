//! Bodies as they pass: where one ends in the bytes that came, and how its pieces are framed for the next hop.

use bytes::BytesMut;

use crate::http::chunked::{ChunkFault, Decoder, LAST_CHUNK, SIZE_LINE_BYTES, size_line};
use crate::http::encode::BodyOut;
use crate::http::framing::BodyIn;

/// Room that a buffer of [`frame`] has before its data, in bytes.
pub const FRAME_BEFORE: usize = SIZE_LINE_BYTES;
/// Room that a buffer of [`frame`] has behind its data, in bytes.
pub const FRAME_BEHIND: usize = 2 + LAST_CHUNK.len();

/// How far a body was read.
#[derive(Debug)]
pub enum BodyReader {
    /// To its end.
    Done,
    /// This many bytes are missing.
    Length(u64),
    /// Chunks are missing.
    Chunked(Decoder),
    /// It ends when its connection does.
    Close,
}

/// What a piece of input held.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// Bytes of data, now at the front of the input.
    pub data: usize,
    /// Bytes of the input that belong to the body; what follows does not.
    pub consumed: usize,
}

impl BodyReader {
    /// A body of which nothing was read.
    pub fn new(body: BodyIn) -> Self {
        match body {
            BodyIn::None => Self::Done,
            BodyIn::Length(length) => Self::Length(length),
            BodyIn::Chunked => Self::Chunked(Decoder::default()),
            BodyIn::Close => Self::Close,
        }
    }

    /// Whether it was read to its end.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// The most that may be read without reading into what follows the body.
    pub fn read_limit(&self) -> usize {
        match self {
            Self::Done => 0,
            Self::Length(missing) => usize::try_from(*missing).unwrap_or(usize::MAX),
            Self::Chunked(_) | Self::Close => usize::MAX,
        }
    }

    /// Takes what belongs to the body from the front of `input`; data of chunks is moved to the front, in place.
    pub fn take(&mut self, input: &mut [u8]) -> Result<Taken, ChunkFault> {
        match self {
            Self::Done => Ok(Taken { data: 0, consumed: 0 }),
            Self::Length(missing) => {
                let here = input.len().min(usize::try_from(*missing).unwrap_or(usize::MAX));
                *missing -= here as u64;
                if *missing == 0 {
                    *self = Self::Done;
                }
                Ok(Taken { data: here, consumed: here })
            }
            Self::Chunked(decoder) => {
                let found = decoder.decode(input)?;
                if found.done {
                    *self = Self::Done;
                }
                Ok(Taken { data: found.data, consumed: found.consumed })
            }
            Self::Close => Ok(Taken { data: input.len(), consumed: input.len() }),
        }
    }

    /// The connection has ended: whether the body is whole.
    #[must_use = "a body that is not whole must not look whole to the next hop"]
    pub fn end(&mut self) -> bool {
        if matches!(self, Self::Close) {
            *self = Self::Done;
        }
        self.is_done()
    }
}

/// Frames a piece of a body in place. `buf` holds [`FRAME_BEFORE`] bytes of room and then the data; a size line is written
/// before it and a line end (and the last chunk, when the body is `done`) behind it. Gives where the piece begins.
pub fn frame(buf: &mut BytesMut, out: BodyOut, done: bool) -> usize {
    if out != BodyOut::Chunked {
        return FRAME_BEFORE;
    }
    let size = buf.len() - FRAME_BEFORE;
    let mut begin = FRAME_BEFORE;
    if size > 0 {
        let mut line = [0; SIZE_LINE_BYTES];
        begin -= size_line(size, &mut line);
        buf[begin..FRAME_BEFORE].copy_from_slice(&line[begin..]);
        buf.extend_from_slice(b"\r\n");
    }
    if done {
        buf.extend_from_slice(LAST_CHUNK);
    }
    begin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_ends_where_it_says() {
        let mut body = BodyReader::new(BodyIn::Length(5));
        assert_eq!(body.take(&mut b"abc".to_vec()), Ok(Taken { data: 3, consumed: 3 }));
        assert!(!body.end());
        assert_eq!(body.read_limit(), 2);
        assert_eq!(body.take(&mut b"deGET".to_vec()), Ok(Taken { data: 2, consumed: 2 }));
        assert!(body.is_done());
    }

    #[test]
    fn only_a_body_that_ends_with_its_connection_is_whole_then() {
        assert!(BodyReader::new(BodyIn::Close).end());
        assert!(BodyReader::new(BodyIn::None).end());
        assert!(!BodyReader::new(BodyIn::Chunked).end());
    }

    #[test]
    fn frames() {
        let framed = |data: &[u8], out, done| {
            let mut buf = BytesMut::new();
            buf.resize(FRAME_BEFORE, 0);
            buf.extend_from_slice(data);
            let begin = frame(&mut buf, out, done);
            String::from_utf8(buf[begin..].to_vec()).unwrap()
        };
        assert_eq!(framed(b"hello world", BodyOut::Chunked, false), "b\r\nhello world\r\n");
        assert_eq!(framed(b"hi", BodyOut::Chunked, true), "2\r\nhi\r\n0\r\n\r\n");
        assert_eq!(framed(b"", BodyOut::Chunked, true), "0\r\n\r\n");
        assert_eq!(framed(b"", BodyOut::Chunked, false), "");
        assert_eq!(framed(b"hi", BodyOut::Length(2), true), "hi");
    }
}
