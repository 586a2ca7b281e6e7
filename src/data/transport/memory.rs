//! Streams in memory: whole exchanges without a socket, for tests and for counting instructions.
//!
//! A pair of [`End`]s, each a queue of bytes towards the other. A queue holds at most [`CAPACITY`] bytes, so that writers
//! wait for readers as on a socket. Single-threaded, like everything on a worker.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::{Buf, BytesMut};
use coregate_core::snapshot::plan::Address;
use monoio::buf::{IoBuf, IoBufMut};

use crate::transport::{Pulse, Stream, Ways};

/// Bytes that a queue holds before a writer waits.
pub const CAPACITY: usize = 256 * 1024;

/// One end of a stream in memory.
#[derive(Debug, Clone)]
pub struct End {
    incoming: Rc<RefCell<Queue>>,
    outgoing: Rc<RefCell<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    /// What waits; read from the front.
    bytes: BytesMut,
    ended: bool,
    /// It ended with a reset, not with an end.
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Queue {
    fn drop_front(&mut self, length: usize) {
        if length == self.bytes.len() {
            self.bytes.clear();
        } else {
            self.bytes.advance(length);
        }
    }

    /// What came before a reset can be read; then comes the error.
    fn check(&self) -> io::Result<()> {
        match self.reset && self.bytes.is_empty() {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

/// Two ends of one stream.
pub fn pair() -> (End, End) {
    let (a, b) = (Rc::<RefCell<Queue>>::default(), Rc::<RefCell<Queue>>::default());
    (End { incoming: Rc::clone(&a), outgoing: Rc::clone(&b) }, End { incoming: b, outgoing: a })
}

impl End {
    pub(super) async fn read<B: IoBufMut>(&mut self, mut buf: B) -> (io::Result<usize>, B) {
        let read = poll_fn(|context| {
            let mut queue = self.incoming.borrow_mut();
            if queue.bytes.is_empty() && !queue.ended {
                queue.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            if let Err(error) = queue.check() {
                return Poll::Ready(Err(error));
            }
            let length = queue.bytes.len().min(buf.bytes_total());
            write_to(&mut buf, &queue.bytes[..length]);
            queue.drop_front(length);
            if let Some(writer) = queue.writer.take() {
                writer.wake();
            }
            Poll::Ready(Ok(length))
        })
        .await;
        (read, buf)
    }

    pub(super) async fn write<B: IoBuf>(&mut self, buf: B) -> (io::Result<usize>, B) {
        let result = poll_fn(|context| {
            let mut queue = self.outgoing.borrow_mut();
            if queue.ended {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let length = (CAPACITY - queue.bytes.len()).min(buf.bytes_init());
            if length == 0 {
                queue.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
            queue.bytes.extend_from_slice(&bytes_of(&buf)[..length]);
            if let Some(reader) = queue.reader.take() {
                reader.wake();
            }
            Poll::Ready(Ok(length))
        })
        .await;
        (result, buf)
    }

    pub(super) async fn readable(&mut self) {
        poll_fn(|context| {
            let mut queue = self.incoming.borrow_mut();
            if queue.bytes.is_empty() && !queue.ended {
                queue.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    pub(super) fn read_now(&mut self, buf: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        let mut queue = self.incoming.borrow_mut();
        if queue.bytes.is_empty() && !queue.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        queue.check()?;
        let length = queue.bytes.len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(&queue.bytes[..length]) {
            to.write(*from);
        }
        queue.drop_front(length);
        if let Some(writer) = queue.writer.take() {
            writer.wake();
        }
        Ok(length)
    }

    pub(super) async fn writable(&mut self) {
        poll_fn(|context| {
            if self.is_writable() {
                return Poll::Ready(());
            }
            self.outgoing.borrow_mut().writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(super) fn takes(&self, bytes: usize) -> bool {
        CAPACITY - self.outgoing.borrow().bytes.len().min(CAPACITY) >= bytes
    }

    pub(super) fn is_writable(&self) -> bool {
        let queue = self.outgoing.borrow();
        queue.ended || queue.bytes.len() < CAPACITY
    }

    pub(super) fn shut_down(&self, ways: Ways) {
        if ways != Ways::Write {
            let mut queue = self.incoming.borrow_mut();
            queue.ended = true;
            queue.wake();
        }
        if ways != Ways::Read {
            let mut queue = self.outgoing.borrow_mut();
            queue.ended = true;
            queue.wake();
        }
    }

    pub(crate) fn abort(&self) {
        // Whoever still reads at this end learns that the stream broke off, as from a socket.
        self.incoming.borrow_mut().reset = true;
        self.outgoing.borrow_mut().reset = true;
        self.shut_down(Ways::Both);
    }

    /// Whether the other end has reset the stream.
    pub fn is_reset(&self) -> bool {
        self.incoming.borrow().reset
    }

    pub(super) fn pulse(&self) -> Pulse {
        let queue = self.incoming.borrow();
        match (queue.bytes.is_empty(), queue.ended) {
            (false, _) => Pulse::Talking,
            (true, true) => Pulse::Ended,
            (true, false) => Pulse::Alive,
        }
    }

    /// Puts bytes in for the other end to read, whatever the capacity.
    pub fn push(&self, bytes: &[u8]) {
        let mut queue = self.outgoing.borrow_mut();
        queue.bytes.extend_from_slice(bytes);
        queue.wake();
    }

    /// Whether the other end has written anything that was not taken yet.
    pub fn has_waiting(&self) -> bool {
        !self.incoming.borrow().bytes.is_empty()
    }

    /// Takes everything that the other end has written.
    pub fn take(&self) -> Vec<u8> {
        let mut queue = self.incoming.borrow_mut();
        let bytes = queue.bytes.to_vec();
        queue.bytes.clear();
        queue.wake();
        bytes
    }

    /// Ends this end's half of the stream: the other end reads an end.
    pub fn end(&self) {
        self.shut_down(Ways::Write);
    }

    /// Whether the other end has ended its half.
    pub fn is_ended(&self) -> bool {
        self.incoming.borrow().ended
    }
}

/// Who answers at which address, where there are no sockets.
#[derive(Debug, Default)]
pub struct Network {
    waiting: RefCell<HashMap<Address, VecDeque<End>>>,
}

impl Network {
    /// Puts an end where the next connect to `address` finds it; gives the other.
    pub fn listen(&self, address: &Address) -> End {
        let (ours, theirs) = pair();
        self.waiting.borrow_mut().entry(address.clone()).or_default().push_back(theirs);
        ours
    }

    /// Connects: refused if nobody waits there.
    pub fn connect(&self, address: &Address) -> io::Result<Stream> {
        let mut waiting = self.waiting.borrow_mut();
        let end = waiting.get_mut(address).and_then(VecDeque::pop_front);
        end.map(Stream::memory).ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }
}

#[expect(unsafe_code, reason = "monoio's buffer traits speak in pointers")]
fn write_to<B: IoBufMut>(buf: &mut B, bytes: &[u8]) {
    assert!(bytes.len() <= buf.bytes_total());
    // SAFETY: `write_ptr` is valid for writes of `bytes_total` bytes, which is enough by the line above; `bytes` is
    // borrowed from a queue and `buf` is borrowed mutably, so they do not overlap. What is declared initialised was written.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), buf.write_ptr(), bytes.len());
        buf.set_init(bytes.len());
    }
}

#[expect(unsafe_code, reason = "monoio's buffer traits speak in pointers")]
fn bytes_of<B: IoBuf>(buf: &B) -> &[u8] {
    // SAFETY: `from_raw_parts` asks for a pointer that is not null, aligned (bytes always are), and valid for reads of
    // `bytes_init` initialised bytes, no more than isize::MAX, that nobody changes meanwhile. `IoBuf` promises a stable
    // pointer to `bytes_init` initialised bytes of one allocation; `buf` is owned by the write that borrows it here, so
    // nobody else can change them, and the result does not outlive that borrow.
    unsafe { std::slice::from_raw_parts(buf.read_ptr(), buf.bytes_init()) }
}
