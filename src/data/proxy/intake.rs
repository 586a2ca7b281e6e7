//! Taking in a body: in pieces as large as they come, and without a buffer while none comes.
//!
//! Thousands of peers may keep us waiting at a time, so a wait holds nothing: the stream is polled until it can be read, and
//! only then is a buffer borrowed from the worker, filled with what is there, and given back once it was sent on. A read that
//! fills its buffer makes the next one larger (16, 64, 256 KiB), and nobody polls before it: there is more.

use std::io;

use bytes::BytesMut;
use coregate_core::http::body::{FRAME_BEFORE, FRAME_BEHIND};

use crate::transport::{Reader, Writer};
use crate::worker::buffers::{Buffers, RelaySize};

/// How a body has come so far.
#[derive(Debug)]
pub struct Intake {
    size: RelaySize,
    /// The largest that was found to fit.
    fitted: RelaySize,
    /// What it shrinks to.
    smallest: RelaySize,
    /// The last read left nothing behind.
    dry: bool,
    /// The size is as it is, whatever comes.
    fixed: bool,
}

/// A piece of a body.
#[derive(Debug)]
pub struct Piece {
    /// [`FRAME_BEFORE`] bytes of room, then what was read; room for [`FRAME_BEHIND`] more.
    pub buf: BytesMut,
    /// How much was read; 0 at the end of the stream.
    pub length: usize,
    /// It filled its buffer: there is more where it came from.
    pub full: bool,
}

impl Default for Intake {
    /// A body of which the first piece is not known to be there.
    fn default() -> Self {
        let (size, fitted) = (RelaySize::Small, RelaySize::Tiny);
        Self { size, fitted, smallest: size, dry: true, fixed: false }
    }
}

impl Intake {
    /// What is read only to be dropped, or in front of another message that must not be read far into.
    pub fn of_small_pieces() -> Self {
        Self { fixed: true, ..Self::default() }
    }

    /// More is known to be there.
    pub fn expect_more(&mut self) {
        self.dry = false;
    }

    /// Whoever takes the pieces is slow: they are small again.
    pub fn shrink(&mut self) {
        self.size = self.smallest;
    }

    /// No larger pieces than `to` takes at once: what is left of one waits in its buffer.
    pub fn fit(&mut self, to: &Writer) {
        // Sockets' buffers grow, as a rule: what fitted once is not asked again.
        if self.size <= self.fitted {
            return;
        }
        if to.takes(self.size.bytes()) {
            self.fitted = self.size;
        } else {
            self.smallest = RelaySize::Tiny;
            self.shrink();
        }
    }

    /// Waits until there is something to read, if that is not known.
    pub async fn ready(&mut self, reader: &mut Reader) -> io::Result<()> {
        if self.dry { reader.ready().await } else { Ok(()) }
    }

    /// Reads what is there, at most `most` bytes. `None`: nothing is, after all; wait again.
    pub fn read(
        &mut self,
        buffers: &Buffers,
        reader: &mut Reader,
        most: usize,
    ) -> io::Result<Option<Piece>> {
        let mut buf = buffers.relay_of(self.size);
        buf.resize(FRAME_BEFORE, 0);
        let room = (buf.capacity() - FRAME_BEFORE - FRAME_BEHIND).min(most);
        match reader.read_now(&mut buf, room) {
            Ok(length) => {
                let full = length == room;
                self.dry = !full;
                if full && room < most {
                    self.grow();
                }
                Ok(Some(Piece { buf: buffers.fitting(buf, FRAME_BEHIND), length, full }))
            }
            Err(error) => {
                buffers.give(buf);
                self.dry = true;
                if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) }
            }
        }
    }

    fn grow(&mut self) {
        self.size = match self.size {
            size if self.fixed => size,
            RelaySize::Tiny => RelaySize::Small,
            RelaySize::Small => RelaySize::Medium,
            RelaySize::Medium | RelaySize::Large => RelaySize::Large,
        };
    }
}
