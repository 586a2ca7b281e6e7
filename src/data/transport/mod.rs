//! Byte streams: sockets driven by monoio, or memory in tests.
//!
//! The exchange reads and writes only through these types, so that it runs under a plain executor too. A stream has two
//! halves that may be used at the same time: bodies go both ways at once.
//!
//! TCP and Unix sockets are one variant: after accept and connect they differ in nothing that we do with them, and
//! monoio's `UnixStream` is one pointer where its `TcpStream` carries a cache of addresses.
//!
//! Heads are read by an operation that holds a buffer until bytes come. Bodies may keep us waiting for minutes, thousands at a
//! time, so they are waited for without one: [`Reader::ready`], then [`Reader::read_now`].
//!
//! Every call that a connection lives by passes through a function of [`faults`], which is nothing but in builds that test what
//! happens when such calls fail.
//!
//! Cancel safety: a dropped read may lose bytes and a dropped write may be cut short. Every read and write is awaited to its
//! end (rule 11); to end one from outside, its connection is shut down through a [`Handle`].

pub mod accept;
pub mod connect;
#[cfg(feature = "faults")]
pub mod faults;
#[cfg(not(feature = "faults"))]
#[path = "no_faults.rs"]
pub(crate) mod faults;
mod handle;
#[cfg(feature = "memory")]
pub mod memory;

pub use handle::{Handle, Pulse, Ways};

use std::cell::UnsafeCell;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use bytes::BytesMut;
use futures_util::FutureExt;
#[cfg(feature = "memory")]
use futures_util::future::Either;
use monoio::buf::{IoBuf, IoBufMut, SliceMut};
use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::UnixStream;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, sockopt};

/// A connection's byte stream.
#[derive(Debug)]
pub struct Stream {
    /// What comes in.
    pub reader: Reader,
    /// What goes out.
    pub writer: Writer,
}

/// The half of a stream that is read.
#[derive(Debug)]
pub struct Reader(ReaderKind);

/// The half of a stream that is written.
#[derive(Debug)]
pub struct Writer(WriterKind);

#[derive(Debug)]
enum ReaderKind {
    Socket(OwnedReadHalf<UnixStream>),
    #[cfg(feature = "memory")]
    Memory(memory::End),
}

#[derive(Debug)]
enum WriterKind {
    Socket(OwnedWriteHalf<UnixStream>),
    #[cfg(feature = "memory")]
    Memory(memory::End),
}

/// A write that failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct WriteError {
    error: io::Error,
    /// Whether not one byte was handed to the kernel.
    pub untouched: bool,
}

impl Stream {
    /// A stream over a connected socket. Blocking for the ring, non-blocking for epoll: the caller's to see to.
    pub fn socket(fd: OwnedFd) -> io::Result<Self> {
        faults::call(faults::Call::Adopt)?;
        let stream = UnixStream::from_std(std::os::unix::net::UnixStream::from(fd))?;
        let (reader, writer) = stream.into_split();
        Ok(Self {
            reader: Reader(ReaderKind::Socket(reader)),
            writer: Writer(WriterKind::Socket(writer)),
        })
    }

    /// A stream over one end of a pipe in memory.
    #[cfg(feature = "memory")]
    pub fn memory(end: memory::End) -> Self {
        Self {
            reader: Reader(ReaderKind::Memory(end.clone())),
            writer: Writer(WriterKind::Memory(end)),
        }
    }

    /// What the worker keeps of it.
    pub fn handle(&self) -> Handle {
        self.writer.handle()
    }
}

// The functions below give futures by hand where an `async fn` would hold its arguments twice: these futures lie inside
// every exchange.

impl Reader {
    /// Reads once into `buf`, from its front. 0: the peer has ended the stream.
    pub fn read<B: IoBuf + IoBufMut>(
        &mut self,
        buf: B,
    ) -> impl Future<Output = (io::Result<usize>, B)> {
        faults::read(self, buf)
    }

    #[expect(clippy::disallowed_methods, reason = "hooked: read")]
    fn read_by_driver<B: IoBufMut>(
        &mut self,
        buf: B,
    ) -> impl Future<Output = (io::Result<usize>, B)> {
        match &mut self.0 {
            #[cfg(not(feature = "memory"))]
            ReaderKind::Socket(half) => half.read(buf),
            #[cfg(feature = "memory")]
            ReaderKind::Socket(half) => Either::Left(half.read(buf)),
            #[cfg(feature = "memory")]
            ReaderKind::Memory(end) => Either::Right(end.read(buf)),
        }
    }

    /// Waits until there is something to read, be it the end. Holds no buffer meanwhile.
    #[expect(clippy::disallowed_methods, reason = "hooked: ready")]
    pub async fn ready(&mut self) -> io::Result<()> {
        match &mut self.0 {
            ReaderKind::Socket(half) => faults::ready(stream_of(&half.0).readable(false)).await,
            #[cfg(feature = "memory")]
            ReaderKind::Memory(end) => faults::ready(end.readable().map(Ok)).await,
        }
    }

    /// Reads what is there behind what `buf` holds, at most `most` bytes, and never more than its spare room, which must not
    /// be empty. One system call.
    ///
    /// Errors: [`io::ErrorKind::WouldBlock`] if nothing is there; whatever ended the connection.
    #[expect(clippy::disallowed_methods, reason = "hooked: read_now")]
    pub fn read_now(&mut self, buf: &mut BytesMut, most: usize) -> io::Result<usize> {
        let spare = buf.spare_capacity_mut();
        let room = faults::read_now(self, spare.len().min(most))?;
        debug_assert!(room > 0, "a read into no room looks like the end of the stream");
        let length = match &mut self.0 {
            ReaderKind::Socket(half) => {
                let fd = &stream_of(&half.0).as_raw_fd();
                let (read, _) =
                    rustix::net::recv(borrow(fd), &mut spare[..room], RecvFlags::DONTWAIT)?.0;
                read.len()
            }
            #[cfg(feature = "memory")]
            ReaderKind::Memory(end) => end.read_now(&mut spare[..room])?,
        };
        grown(buf, length);
        Ok(length)
    }

    /// Reads once behind what `buf` holds, into at most `most` bytes of its spare room, which must not be empty.
    pub fn read_more(
        &mut self,
        buf: BytesMut,
        most: usize,
    ) -> impl Future<Output = (io::Result<usize>, BytesMut)> {
        let begin = buf.len();
        let end = buf.capacity().min(begin.saturating_add(most));
        debug_assert!(begin < end, "a read into no room looks like the end of the stream");
        self.read(SliceMut::new(buf, begin, end))
            .map(|(result, slice)| (result, slice.into_inner()))
    }
}

impl Writer {
    /// Writes `buf[from..]`, all of it.
    ///
    /// Through the driver, not by a `send` of our own: see the decision in `src/README.md`.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    pub fn write_all(
        &mut self,
        mut buf: BytesMut,
        from: usize,
    ) -> impl Future<Output = (Result<(), WriteError>, BytesMut)> {
        async move {
            let mut sent = from;
            while sent < buf.len() {
                let (result, written) = self.write_some(buf, sent).await;
                buf = written;
                let error = match result {
                    Ok(0) => io::ErrorKind::WriteZero.into(),
                    Ok(length) => {
                        sent += length;
                        continue;
                    }
                    Err(error) => error,
                };
                return (Err(WriteError { error, untouched: sent == from }), buf);
            }
            (Ok(()), buf)
        }
    }

    /// Writes once from `buf[from..]`, which must not be empty; how much the peer took.
    pub fn write_some(
        &mut self,
        buf: BytesMut,
        from: usize,
    ) -> impl Future<Output = (io::Result<usize>, BytesMut)> {
        debug_assert!(from < buf.len());
        self.write(buf.slice(from..)).map(|(result, slice)| (result, slice.into_inner()))
    }

    /// Waits until the peer takes more.
    #[expect(clippy::disallowed_methods, reason = "hooked: ready")]
    pub async fn ready(&mut self) -> io::Result<()> {
        match &mut self.0 {
            WriterKind::Socket(half) => faults::ready(stream_of(&half.0).writable(false)).await,
            #[cfg(feature = "memory")]
            WriterKind::Memory(end) => faults::ready(end.writable().map(Ok)).await,
        }
    }

    /// Whether the peer takes more right now: for a socket, whether a third of its buffer is free. One system call.
    #[expect(clippy::disallowed_methods, reason = "hooked: seems_full")]
    pub fn is_ready(&self) -> bool {
        if faults::seems_full() {
            return false;
        }
        match &self.0 {
            WriterKind::Socket(half) => {
                let fd = &stream_of(&half.0).as_raw_fd();
                let mut fds = [PollFd::from_borrowed_fd(borrow(fd), PollFlags::OUT)];
                let now = Timespec { tv_sec: 0, tv_nsec: 0 };
                // An error is the next write's to find.
                !matches!(rustix::event::poll(&mut fds, Some(&now)), Ok(0))
            }
            #[cfg(feature = "memory")]
            WriterKind::Memory(end) => end.is_writable(),
        }
    }

    /// Whether a peer that is ready takes this many bytes at once: a third of a socket's buffer is free then, and what is
    /// counted there is more than the bytes alone. One system call.
    pub fn takes(&self, bytes: usize) -> bool {
        match &self.0 {
            WriterKind::Socket(half) => {
                let fd = &stream_of(&half.0).as_raw_fd();
                sockopt::socket_send_buffer_size(borrow(fd)).is_ok_and(|size| size / 4 >= bytes)
            }
            #[cfg(feature = "memory")]
            WriterKind::Memory(end) => end.takes(bytes),
        }
    }

    fn write<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = (io::Result<usize>, B)> {
        faults::write(self, buf)
    }

    fn handle(&self) -> Handle {
        match &self.0 {
            WriterKind::Socket(half) => Handle::Socket(stream_of(&half.0).as_raw_fd()),
            #[cfg(feature = "memory")]
            WriterKind::Memory(end) => Handle::Memory(end.clone()),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "hooked: write")]
    fn write_by_driver<B: IoBuf>(
        &mut self,
        buf: B,
    ) -> impl Future<Output = (io::Result<usize>, B)> {
        match &mut self.0 {
            #[cfg(not(feature = "memory"))]
            WriterKind::Socket(half) => half.write(buf),
            #[cfg(feature = "memory")]
            WriterKind::Socket(half) => Either::Left(half.write(buf)),
            #[cfg(feature = "memory")]
            WriterKind::Memory(end) => Either::Right(end.write(buf)),
        }
    }
}

/// A socket is closed when it is dropped; so is a stream in memory.
#[cfg(feature = "memory")]
impl Drop for Writer {
    fn drop(&mut self) {
        if let WriterKind::Memory(end) = &self.0 {
            end.shut_down(Ways::Both);
        }
    }
}

/// The stream that both halves share.
#[expect(unsafe_code, reason = "monoio's halves do not lend their stream, and have no way to wait")]
fn stream_of(shared: &UnsafeCell<UnixStream>) -> &UnixStream {
    // SAFETY: a reference asks that nobody writes to the stream while it lives. Every function of `UnixStream` that we call,
    // through either half, only reads its descriptor; the halves live on this thread, and the stream lives as long as either.
    unsafe { &*shared.get() }
}

#[expect(
    unsafe_code,
    reason = "zeroing a buffer of up to 256 KiB before each read would cost as much as reading"
)]
fn grown(buf: &mut BytesMut, length: usize) {
    debug_assert!(buf.len() + length <= buf.capacity());
    // SAFETY: `set_len` asks that the new length lies within the capacity and that the bytes up to it are initialised: the
    // caller has just read `length` bytes into the front of the spare capacity.
    unsafe { buf.set_len(buf.len() + length) };
}

#[expect(unsafe_code, reason = "a descriptor owned by a monoio stream, which lends none")]
fn borrow(fd: &RawFd) -> BorrowedFd<'_> {
    // SAFETY: `borrow_raw` asks for a descriptor that stays open while it is borrowed, and is not -1. It comes from a
    // monoio stream, and a `Handle` is dropped from its slot before that stream is. Both live on this thread, so nothing closes the descriptor between this line and the system call.
    unsafe { BorrowedFd::borrow_raw(*fd) }
}

/// A descriptor that is only waited on: a listener, a doorbell, a timer.
#[derive(Debug)]
pub struct Waitable(UnixStream);

impl Waitable {
    /// Takes a descriptor that can be polled. It should be non-blocking.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        UnixStream::from_std(std::os::unix::net::UnixStream::from(fd)).map(Self)
    }

    /// Waits until it can be read from. May be dropped (rule 11).
    #[expect(clippy::disallowed_methods, reason = "hooked where it waits for a connection")]
    pub async fn readable(&self) -> io::Result<()> {
        // `false`: with `true` monoio's epoll driver never clears readiness after a read of our own.
        self.0.readable(false).await
    }

    /// Waits until it can be written to. May be dropped (rule 11).
    #[expect(clippy::disallowed_methods, reason = "hooked where it waits for a connection")]
    pub async fn writable(&self) -> io::Result<()> {
        self.0.writable(false).await
    }
}

impl AsFd for Waitable {
    #[expect(unsafe_code, reason = "monoio's streams do not lend their descriptor")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `borrow_raw` asks for a descriptor that is not -1 and stays open while it is borrowed: it is open as long
        // as `self.0` is, which owns it, and the result borrows `self`.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}
