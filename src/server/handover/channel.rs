//! Messages and descriptors over a Unix stream socket, each with a deadline.
//!
//! ```text
//!  length of the JSON, 4 bytes, little-endian │ JSON
//!  └ descriptors are attached to the first byte: the kernel delivers them with it
//! ```

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use coregate_core::base::limits;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::message::Message;

/// The room that a message's descriptors need beside it.
const CONTROL_BYTES: usize = rustix::cmsg_space!(ScmRights(limits::HANDOVER_BATCH));
/// How much is read at once: a length that is a lie costs no more.
const PIECE_BYTES: usize = 1024 * 1024;

/// What the other side did that ends it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    #[error("did not say {0} in time")]
    Late(&'static str),
    #[error("closed the connection before it said {0}")]
    Closed(&'static str),
    #[error("sent {bytes} bytes for {wanted}, where {most} are the most; is it coregate?")]
    TooLong { wanted: &'static str, bytes: usize, most: usize },
    #[error("sent something else for {0}: {1}; is it coregate?")]
    Garbage(&'static str, serde_json::Error),
    #[error("said {got} instead of {wanted}")]
    Unexpected { wanted: &'static str, got: &'static str },
    #[error("sent {got} descriptors beside {beside}, which has {announced}")]
    Descriptors { beside: &'static str, announced: usize, got: usize },
    #[error(
        "sent more descriptors than there is room for: {} a message, or fewer where they run out (ulimit -n)",
        limits::HANDOVER_BATCH
    )]
    Truncated,
    #[error("is to be told {bytes} bytes of {name}, where {most} are the most")]
    OursTooLong { name: &'static str, bytes: usize, most: usize },
    #[error("could not be talked to: {0}")]
    Io(#[from] io::Error),
}

impl From<Errno> for ChannelError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// Our end.
#[derive(Debug)]
pub(super) struct Channel {
    socket: OwnedFd,
    /// Readable once the process at the other end has ended; its children may still hold the socket.
    process: Option<OwnedFd>,
}

impl Channel {
    /// The socket itself.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn new(socket: OwnedFd, process: Option<OwnedFd>) -> Self {
        Self { socket, process }
    }

    /// Sends a message, with these descriptors: at most [`limits::HANDOVER_BATCH`].
    pub(super) fn send(
        &self,
        message: &Message,
        descriptors: &[BorrowedFd<'_>],
        deadline: Instant,
    ) -> Result<(), ChannelError> {
        let mut bytes = vec![0; 4];
        serde_json::to_writer(&mut bytes, message).map_err(io::Error::from)?;
        let length = bytes.len() - 4;
        let (name, most) = (message.name(), limits::HANDOVER_BYTES);
        let prefix = u32::try_from(length).ok().filter(|_| length <= most);
        let prefix = prefix.ok_or(ChannelError::OursTooLong { name, bytes: length, most })?;
        bytes[..4].copy_from_slice(&prefix.to_le_bytes());
        let mut sent = 0;
        while sent < bytes.len() {
            self.wait(PollFlags::OUT, name, deadline)?;
            let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if sent == 0 && !descriptors.is_empty() {
                let fits = control.push(SendAncillaryMessage::ScmRights(descriptors));
                debug_assert!(fits, "a batch is {} at most", limits::HANDOVER_BATCH);
            }
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match sendmsg(&self.socket, &[IoSlice::new(&bytes[sent..])], &mut control, flags) {
                Ok(more) => sent += more,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(ChannelError::Closed(name)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Receives a message of at most `most` bytes, and the descriptors that it announces. `wanted` is what it should be, for
    /// the error: what it is, is the caller's to see.
    pub(super) fn receive(
        &self,
        wanted: &'static str,
        most: usize,
        deadline: Instant,
    ) -> Result<(Message, Vec<OwnedFd>), ChannelError> {
        let mut descriptors = Vec::new();
        let mut prefix = [0; 4];
        self.fill(&mut prefix, &mut descriptors, wanted, deadline)?;
        let bytes = u32::from_le_bytes(prefix) as usize;
        if bytes > most {
            return Err(ChannelError::TooLong { wanted, bytes, most });
        }
        let mut body = Vec::new();
        while body.len() < bytes {
            let from = body.len();
            body.resize(bytes.min(from + PIECE_BYTES), 0);
            self.fill(&mut body[from..], &mut descriptors, wanted, deadline)?;
        }
        let message =
            serde_json::from_slice(&body).map_err(|error| ChannelError::Garbage(wanted, error))?;
        let announced = match &message {
            Message::Descriptors(count) => *count,
            _ => 0,
        };
        if announced != descriptors.len() {
            let (beside, got) = (message.name(), descriptors.len());
            return Err(ChannelError::Descriptors { beside, announced, got });
        }
        Ok((message, descriptors))
    }

    /// Fills a buffer; whatever descriptors come along are taken, or they would stay open unseen.
    fn fill(
        &self,
        mut buffer: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
        wanted: &'static str,
        deadline: Instant,
    ) -> Result<(), ChannelError> {
        while !buffer.is_empty() {
            self.wait(PollFlags::IN, wanted, deadline)?;
            let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let mut into = [IoSliceMut::new(buffer)];
            let received = match recvmsg(&self.socket, &mut into, &mut control, flags) {
                Ok(received) => received,
                Err(Errno::AGAIN | Errno::INTR) => continue,
                Err(Errno::CONNRESET) => return Err(ChannelError::Closed(wanted)),
                Err(error) => return Err(error.into()),
            };
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            if received.flags.contains(ReturnFlags::CTRUNC) {
                return Err(ChannelError::Truncated);
            }
            // Of one batch they are at most; more are not waited for.
            if descriptors.len() > limits::HANDOVER_BATCH {
                return Err(ChannelError::Truncated);
            }
            if received.bytes == 0 {
                return Err(ChannelError::Closed(wanted));
            }
            buffer = &mut buffer[received.bytes..];
        }
        Ok(())
    }

    /// Waits until the socket is ready, or nobody is at its other end any more.
    fn wait(
        &self,
        ready: PollFlags,
        wanted: &'static str,
        deadline: Instant,
    ) -> Result<(), ChannelError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ChannelError::Late(wanted));
            }
            let socket = PollFd::new(&self.socket, ready);
            let process = self.process.as_ref().map(|end| PollFd::new(end, PollFlags::IN));
            let mut polled: Vec<_> = [Some(socket), process].into_iter().flatten().collect();
            if !poll_for(&mut polled, left)? {
                continue;
            }
            if !polled[0].revents().is_empty() {
                return Ok(());
            }
            // Its last words may have come after we looked for them.
            let mut again = [PollFd::new(&self.socket, ready)];
            let spoke = poll_for(&mut again, Duration::ZERO)?;
            return if spoke { Ok(()) } else { Err(ChannelError::Closed(wanted)) };
        }
    }
}

/// Whether any of these was ready in that time.
fn poll_for(polled: &mut [PollFd<'_>], time: Duration) -> Result<bool, ChannelError> {
    let time = Timespec::try_from(time).ok();
    match poll(polled, time.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Waits until a process has ended, by its descriptor; gives whether it has.
pub(super) fn ended_within(process: &OwnedFd, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
        match poll_for(&mut polled, left) {
            Ok(true) => return true,
            Ok(false) if left.is_zero() => return false,
            Ok(false) => {}
            Err(_) => return false,
        }
    }
}
