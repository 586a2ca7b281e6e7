//! Bodies as they pass: where one ends in the bytes that came, and how its pieces are framed for the next hop.

use std::mem;

use bytes::BytesMut;

use crate::http::chunked::{ChunkFault, Decoder, LAST_CHUNK, SIZE_LINE_BYTES, size_line};
use crate::http::encode::BodyOut;
use crate::http::framing::BodyIn;
use crate::http::trailers::Trailers;

/// Room that a buffer of [`frame`] has before its data, in bytes.
pub const FRAME_BEFORE: usize = SIZE_LINE_BYTES;
/// Room that a buffer of [`frame`] has behind its data, in bytes; trailers may need more.
pub const FRAME_BEHIND: usize = 2 + LAST_CHUNK.len() + 2;

/// How far a body was read.
#[derive(Debug)]
pub enum BodyReader {
    /// To its end, where these trailers stood.
    Done(Option<Box<Trailers>>),
    /// This many bytes are missing.
    Length(u64),
    /// Chunks are missing.
    Chunked(Decoder),
    /// It ends when its connection does.
    Close,
}

/// What follows a piece of a body.
#[derive(Debug, Clone, Copy)]
pub enum Then<'t> {
    /// More pieces.
    More,
    /// The end of the body, with its trailers, if it has any.
    End(Option<&'t Trailers>),
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
            BodyIn::None => Self::Done(None),
            BodyIn::Length(length) => Self::Length(length),
            BodyIn::Chunked => Self::Chunked(Decoder::default()),
            BodyIn::Close => Self::Close,
        }
    }

    /// Whether it was read to its end.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    /// What is said behind the piece that was just taken.
    pub fn then(&self) -> Then<'_> {
        match self {
            Self::Done(trailers) => Then::End(trailers.as_deref()),
            Self::Length(_) | Self::Chunked(_) | Self::Close => Then::More,
        }
    }

    /// The most that may be read without reading into what follows the body.
    pub fn read_limit(&self) -> usize {
        match self {
            Self::Done(_) => 0,
            Self::Length(missing) => usize::try_from(*missing).unwrap_or(usize::MAX),
            Self::Chunked(_) | Self::Close => usize::MAX,
        }
    }

    /// Takes what belongs to the body from the front of `input`; data of chunks is moved to the front, in place.
    pub fn take(&mut self, input: &mut [u8]) -> Result<Taken, ChunkFault> {
        match self {
            Self::Done(_) => Ok(Taken { data: 0, consumed: 0 }),
            Self::Length(missing) => {
                let here = input.len().min(usize::try_from(*missing).unwrap_or(usize::MAX));
                *missing -= here as u64;
                if *missing == 0 {
                    *self = Self::Done(None);
                }
                Ok(Taken { data: here, consumed: here })
            }
            Self::Chunked(decoder) => {
                let found = decoder.decode(input)?;
                if found.done {
                    *self = Self::Done(mem::take(decoder).into_trailers());
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
            *self = Self::Done(None);
        }
        self.is_done()
    }
}

/// Frames a piece of a body in place. `buf` holds [`FRAME_BEFORE`] bytes of room and then the data; a size line is written
/// before it and a line end (and the last chunk with its trailers, at the end of the body) behind it. Gives where the piece
/// begins.
pub fn frame(buf: &mut BytesMut, out: BodyOut, then: Then<'_>) -> usize {
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
    put_end(buf, then);
    begin
}

/// Frames a piece of a body behind what `out` holds, such as its head.
pub fn piece(out: &mut BytesMut, body: BodyOut, data: &[u8], then: Then<'_>) {
    if body != BodyOut::Chunked {
        out.extend_from_slice(data);
        return;
    }
    if !data.is_empty() {
        let mut line = [0; SIZE_LINE_BYTES];
        let length = size_line(data.len(), &mut line);
        out.extend_from_slice(&line[SIZE_LINE_BYTES - length..]);
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
    put_end(out, then);
}

fn put_end(out: &mut BytesMut, then: Then<'_>) {
    if let Then::End(trailers) = then {
        out.extend_from_slice(LAST_CHUNK);
        if let Some(trailers) = trailers {
            trailers.write(out);
        }
        out.extend_from_slice(b"\r\n");
    }
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
        let framed = |data: &[u8], out, done: bool| {
            let then = if done { Then::End(None) } else { Then::More };
            let mut buf = BytesMut::new();
            buf.resize(FRAME_BEFORE, 0);
            buf.extend_from_slice(data);
            let begin = frame(&mut buf, out, then);
            String::from_utf8(buf[begin..].to_vec()).unwrap()
        };
        assert_eq!(framed(b"hello world", BodyOut::Chunked, false), "b\r\nhello world\r\n");
        assert_eq!(framed(b"hi", BodyOut::Chunked, true), "2\r\nhi\r\n0\r\n\r\n");
        assert_eq!(framed(b"", BodyOut::Chunked, true), "0\r\n\r\n");
        assert_eq!(framed(b"", BodyOut::Chunked, false), "");
        assert_eq!(framed(b"hi", BodyOut::Length(2), true), "hi");
    }

    #[test]
    fn trailers_stand_behind_the_last_chunk() {
        let mut body = BodyReader::new(BodyIn::Chunked);
        let mut input = b"2\r\nhi\r\n0\r\nA: 1\r\nHost: evil\r\nB:2\r\n\r\nGET".to_vec();
        let taken = body.take(&mut input).unwrap();
        assert_eq!((taken.data, taken.consumed), (2, input.len() - 3));
        let mut out = BytesMut::new();
        piece(&mut out, BodyOut::Chunked, b"hi", body.then());
        assert_eq!(&out[..], b"2\r\nhi\r\n0\r\nA: 1\r\nB: 2\r\n\r\n");
        out.clear();
        piece(&mut out, BodyOut::Close, b"hi", body.then());
        assert_eq!(&out[..], b"hi");
    }
}
