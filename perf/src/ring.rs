//! One io_uring with one group of provided buffers, as `origin`, `floor` and `load` use it.
//!
//! Multishot accept, multishot receive into provided buffers, sends from memory that is never
//! freed, `SINGLE_ISSUER | DEFER_TASKRUN`. It keeps no connections: a caller numbers its own, and
//! must not give a number away again while an operation under it is in flight.
//!
//! Invariants: the buffers and whatever a send points at live as long as the process, so that no
//! operation in flight can outlive its memory; a buffer belongs either to the kernel or to exactly
//! one [`Chunk`].
#![allow(unsafe_code)] // A ring is shared with the kernel: its entries hold addresses.

use std::alloc::{Layout, alloc_zeroed};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::SockAddr;

/// How many buffers are lent to the kernel: a power of two, so that the tail may wrap.
const BUFFERS: u16 = 4096;
const BUFFERS_GROUP: u16 = 0;
const SQ_ENTRIES: u32 = 4096;
/// Thousands of armed receives may all complete in one turn.
const CQ_ENTRIES: u32 = 16_384;
const PAGE_BYTES: usize = 4096;
static PAUSE: Timespec = Timespec::new().nsec(100_000_000);

/// Which operation completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A multishot accept.
    Accept,
    /// A multishot receive.
    Recv,
    /// A send.
    Send,
    /// A connect.
    Connect,
    /// The pause of [`Ring::pause`].
    Pause,
}

/// A completion.
#[derive(Debug)]
pub struct Event {
    /// The operation that completed.
    pub op: Op,
    /// The number the caller gave it.
    pub slot: u32,
    /// Bytes moved, or what went wrong.
    pub result: io::Result<usize>,
    /// The bytes received: to be given back with [`Ring::recycle`].
    pub chunk: Option<Chunk>,
    /// The connection accepted.
    pub accepted: Option<OwnedFd>,
    /// Whether a multishot operation is still armed.
    pub more: bool,
}

/// Received bytes in a provided buffer.
#[derive(Debug)]
#[must_use = "a chunk that is not recycled is lost to the kernel"]
pub struct Chunk {
    buffer: u16,
    start: u32,
    end: u32,
}

impl Chunk {
    /// How many bytes are left.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops the first `count` bytes, at most all.
    pub fn advance(&mut self, count: usize) {
        self.start = self.end.min(self.start.saturating_add(count as u32));
    }
}

/// The ring and its buffers.
pub struct Ring {
    uring: IoUring,
    /// Entries that found the submission queue full.
    waiting: VecDeque<squeue::Entry>,
    entries: *mut BufRingEntry,
    tail: u16,
    memory: *mut u8,
    buffer_bytes: usize,
    lent: u16,
}

impl Ring {
    /// Makes the ring on the thread that will use it. `buffer_bytes` is the size of one of the
    /// provided buffers.
    pub fn new(buffer_bytes: usize) -> io::Result<Ring> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(CQ_ENTRIES)
            .build(SQ_ENTRIES)?;
        let entries: *mut BufRingEntry =
            forever(usize::from(BUFFERS) * size_of::<BufRingEntry>())?.cast();
        let memory = forever(usize::from(BUFFERS) * buffer_bytes)?;
        // SAFETY: `entries` is page aligned, holds BUFFERS entries, zeroed, and is never freed.
        unsafe {
            uring.submitter().register_buf_ring_with_flags(
                entries as u64,
                BUFFERS,
                BUFFERS_GROUP,
                0,
            )?;
        }
        let mut ring = Ring {
            uring,
            waiting: VecDeque::new(),
            entries,
            tail: 0,
            memory,
            buffer_bytes,
            lent: BUFFERS,
        };
        for buffer in 0..BUFFERS {
            ring.recycle(Chunk { buffer, start: 0, end: 0 });
        }
        Ok(ring)
    }

    /// Accepts until an event says that no more will come.
    pub fn accept(&mut self, listener: BorrowedFd<'_>, slot: u32) {
        let entry =
            opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC).build();
        self.push(Op::Accept, slot, entry);
    }

    /// Receives until an event says that no more will come. `ENOBUFS` means that every buffer is
    /// held by the caller: arm it again once [`Ring::has_buffers`].
    pub fn recv(&mut self, fd: BorrowedFd<'_>, slot: u32) {
        let entry = opcode::RecvMulti::new(Fd(fd.as_raw_fd()), BUFFERS_GROUP).build();
        self.push(Op::Recv, slot, entry);
    }

    /// Sends bytes that are never freed.
    pub fn send(&mut self, fd: BorrowedFd<'_>, slot: u32, bytes: &'static [u8]) {
        self.push_send(fd, slot, bytes.as_ptr(), bytes.len());
    }

    /// Sends what was received, from where it lies. The chunk must be kept until the send has
    /// completed, else the kernel may have filled its buffer anew and sends that.
    pub fn send_chunk(&mut self, fd: BorrowedFd<'_>, slot: u32, chunk: &Chunk) {
        let bytes = self.bytes(chunk);
        let (start, len) = (bytes.as_ptr(), bytes.len());
        self.push_send(fd, slot, start, len);
    }

    /// Connects to an address that is never freed.
    pub fn connect(&mut self, fd: BorrowedFd<'_>, slot: u32, to: &'static SockAddr) {
        let entry = opcode::Connect::new(Fd(fd.as_raw_fd()), to.as_ptr().cast(), to.len()).build();
        self.push(Op::Connect, slot, entry);
    }

    /// Completes after 100 ms.
    pub fn pause(&mut self, slot: u32) {
        self.push(Op::Pause, slot, opcode::Timeout::new(&raw const PAUSE).build());
    }

    /// Submits what was queued, waits for at least one completion or the time given, and appends
    /// all completions to `events`.
    pub fn wait(&mut self, limit: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        self.push_waiting();
        let entered = match limit {
            None => self.uring.submit_and_wait(1),
            Some(limit) => {
                let limit = Timespec::from(limit);
                let args = SubmitArgs::new().timespec(&limit);
                self.uring.submitter().submit_with_args(1, &args)
            }
        };
        match entered.map_err(|error| (error.raw_os_error(), error)) {
            Ok(_) => {}
            Err((Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN), _)) => {}
            Err((_, error)) => return Err(error),
        }
        let mut lent = 0;
        let completions = self.uring.completion();
        for completion in completions {
            let event = event_of(&completion);
            lent += u16::from(event.chunk.is_some());
            events.push(event);
        }
        self.lent += lent;
        Ok(())
    }

    /// The bytes of a chunk.
    pub fn bytes(&self, chunk: &Chunk) -> &[u8] {
        let at = usize::from(chunk.buffer) * self.buffer_bytes + chunk.start as usize;
        // SAFETY: the kernel wrote `end` bytes at most into this buffer of the pool, which is
        // never freed; it writes there no more until the chunk is recycled, which takes it.
        unsafe { std::slice::from_raw_parts(self.memory.add(at), chunk.len()) }
    }

    /// Gives a buffer back to the kernel.
    pub fn recycle(&mut self, chunk: Chunk) {
        let index = usize::from(self.tail & (BUFFERS - 1));
        let start = usize::from(chunk.buffer) * self.buffer_bytes;
        // SAFETY: `index` is below BUFFERS; the kernel does not read this entry before the tail
        // below passes it. The tail lies in the first entry's spare field, as the kernel has it.
        unsafe {
            let entry = &mut *self.entries.add(index);
            entry.set_addr(self.memory.add(start) as u64);
            entry.set_len(self.buffer_bytes as u32);
            entry.set_bid(chunk.buffer);
            self.tail = self.tail.wrapping_add(1);
            let tail = BufRingEntry::tail(self.entries).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
        self.lent -= 1;
    }

    /// Whether the kernel has a buffer to receive into.
    pub fn has_buffers(&self) -> bool {
        self.lent < BUFFERS
    }

    fn push_send(&mut self, fd: BorrowedFd<'_>, slot: u32, start: *const u8, len: usize) {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(Fd(fd.as_raw_fd()), start, len)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.push(Op::Send, slot, entry);
    }

    fn push(&mut self, op: Op, slot: u32, entry: squeue::Entry) {
        self.waiting.push_back(entry.user_data((op as u64) << 32 | u64::from(slot)));
        self.push_waiting();
    }

    /// Moves entries to the submission queue; those that find no room wait for the next turn.
    fn push_waiting(&mut self) {
        while let Some(entry) = self.waiting.pop_front() {
            // SAFETY: what an entry points at is never freed: provided buffers, `&'static`
            // bytes and addresses. A descriptor closed too early is an error, not a danger.
            if unsafe { self.uring.submission().push(&entry) }.is_ok() {
                continue;
            }
            self.waiting.push_front(entry);
            // A submit that fails leaves the queue full: the next wait reaps and tries again.
            match self.uring.submit() {
                Ok(submitted) if submitted > 0 => {}
                _ => return,
            }
        }
    }
}

fn event_of(completion: &cqueue::Entry) -> Event {
    let (data, flags) = (completion.user_data(), completion.flags());
    let op = match data >> 32 {
        0 => Op::Accept,
        1 => Op::Recv,
        2 => Op::Send,
        3 => Op::Connect,
        _ => Op::Pause,
    };
    let result = match completion.result() {
        code if code < 0 => Err(io::Error::from_raw_os_error(-code)),
        count => Ok(count as usize),
    };
    let chunk = cqueue::buffer_select(flags).map(|buffer| Chunk {
        buffer,
        start: 0,
        end: result.as_ref().map_or(0, |count| *count as u32),
    });
    let accepted = match (op, &result) {
        // SAFETY: the kernel has just made this descriptor, and nobody else has its number.
        (Op::Accept, Ok(fd)) => Some(unsafe { OwnedFd::from_raw_fd(*fd as i32) }),
        _ => None,
    };
    Event { op, slot: data as u32, result, chunk, accepted, more: cqueue::more(flags) }
}

/// Zeroed, page-aligned memory that is never freed.
fn forever(bytes: usize) -> io::Result<*mut u8> {
    let layout = Layout::from_size_align(bytes.max(PAGE_BYTES), PAGE_BYTES)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    // SAFETY: the layout's size is not zero.
    let memory = unsafe { alloc_zeroed(layout) };
    if memory.is_null() {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    Ok(memory)
}
