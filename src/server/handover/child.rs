//! The side of the process that comes: it takes what its predecessor holds, and says when it can serve.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, io, process};

use coregate_core::base::limits;
use rustix::net::sockopt::{socket_domain, socket_peercred, socket_type};
use rustix::net::{AddressFamily, SocketType};
use rustix::process::Pid;

use super::channel::{Channel, ChannelError};
use super::message::{Entry, Hello, Manifest, Message, PROTOCOL};
use super::{HandoverError, Inheritance, VARIABLE};
use crate::server::listen::live::Handed;

/// The process that we are to replace. It serves until we are ready, and afterwards if we never are.
#[derive(Debug)]
#[must_use = "it waits to be told"]
pub(crate) struct Predecessor {
    channel: Channel,
}

/// Takes what a predecessor leaves, if there is one. `layout` is the hash of the layout of our cells.
///
/// To be called once, at the start: it puts `/dev/null` in the place of standard input.
pub(crate) fn inherit(layout: u64) -> Result<Option<(Inheritance, Predecessor)>, HandoverError> {
    match env::var_os(VARIABLE) {
        None => return Ok(None),
        Some(number) if number == "0" => {}
        Some(other) => return Err(HandoverError::Variable(other)),
    }
    let channel = Channel::new(take_input()?, None);
    let deadline = Instant::now() + limits::UPGRADE_TIME;
    let inheritance = receive(&channel, layout, deadline)?;
    Ok(Some((inheritance, Predecessor { channel })))
}

/// The socket that is our standard input.
fn take_input() -> Result<OwnedFd, HandoverError> {
    let input = io::stdin();
    let is_unix = socket_domain(&input).is_ok_and(|domain| domain == AddressFamily::UNIX)
        && socket_type(&input).is_ok_and(|kind| kind == SocketType::STREAM);
    if !is_unix {
        return Err(HandoverError::NoPredecessor);
    }
    let socket = input.as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?).map_err(io::Error::from)?;
    Ok(socket)
}

/// Says who we are, and takes what comes.
pub(super) fn receive(
    channel: &Channel,
    layout: u64,
    deadline: Instant,
) -> Result<Inheritance, HandoverError> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let hello = Message::Hello(Hello { protocol: PROTOCOL, version, layout });
    channel.send(&hello, &[], deadline)?;
    let manifest = match channel.receive("manifest", limits::HANDOVER_BYTES, deadline)?.0 {
        Message::Manifest(manifest) => manifest,
        other => return Err(unexpected("manifest", &other)),
    };
    let most = limits::HANDOVER_DESCRIPTORS;
    let count = manifest.descriptors().filter(|count| *count <= most);
    let count = count.ok_or_else(|| {
        HandoverError::Contradiction(format!("more descriptors than {most}, which are the most"))
    })?;
    let descriptors = receive_descriptors(channel, count, deadline)?;
    share_out(manifest, descriptors)
}

fn receive_descriptors(
    channel: &Channel,
    count: usize,
    deadline: Instant,
) -> Result<Vec<OwnedFd>, HandoverError> {
    let mut descriptors = Vec::new();
    while descriptors.len() < count {
        match channel.receive("descriptors", limits::HANDOVER_WORD_BYTES, deadline)? {
            (Message::Descriptors(0), _) => {
                return Err(HandoverError::Contradiction("a batch of no descriptors".into()));
            }
            (Message::Descriptors(_), batch) => descriptors.extend(batch),
            (other, _) => return Err(unexpected("descriptors", &other)),
        }
        if descriptors.len() > count {
            let text = format!("{} descriptors, where {count} were named", descriptors.len());
            return Err(HandoverError::Contradiction(text));
        }
        channel.send(&Message::Got(descriptors.len()), &[], deadline)?;
    }
    Ok(descriptors)
}

/// Gives the descriptors to what they belong to, in the order in which they came.
fn share_out(manifest: Manifest, descriptors: Vec<OwnedFd>) -> Result<Inheritance, HandoverError> {
    let Manifest { sockets, admin, cells, generation, checkpoint } = manifest;
    let mut descriptors = descriptors.into_iter().map(Arc::new);
    let mut take = |entries: Vec<Entry>| {
        let with_sockets = |entry: Entry| {
            let count = entry.descriptors;
            let address = entry.address();
            let address = address.map_err(|why| HandoverError::Contradiction(why.to_string()))?;
            Ok(Handed { sockets: descriptors.by_ref().take(count).collect(), ..address })
        };
        entries.into_iter().map(with_sockets).collect::<Result<Vec<_>, HandoverError>>()
    };
    let (sockets, admin) = (take(sockets)?, take(admin)?);
    let cells = if cells { descriptors.next() } else { None };
    Ok(Inheritance { sockets, admin, cells, generation, checkpoint })
}

impl Predecessor {
    /// Which process it is: the one that made the pair of sockets (unix(7), SO_PEERCRED), whatever has become of it.
    pub(crate) fn pid(&self) -> Option<Pid> {
        socket_peercred(self.channel.socket()).ok().map(|credentials| credentials.pid)
    }

    /// Says that we can serve, and waits to be told to take over.
    ///
    /// On an error the predecessor has not said so: it may have died, or have given us up, in which case it ends us.
    pub(crate) fn ready(self) -> Result<(), HandoverError> {
        self.ready_within(limits::UPGRADE_TIME)
    }

    pub(super) fn ready_within(self, time: Duration) -> Result<(), HandoverError> {
        let deadline = Instant::now() + time;
        self.channel.send(&Message::Ready { pid: process::id() }, &[], deadline)?;
        match self.channel.receive("go", limits::HANDOVER_WORD_BYTES, deadline)?.0 {
            Message::Go => Ok(()),
            other => Err(unexpected("go", &other)),
        }
    }

    /// Says why we cannot serve. The predecessor goes on; we are to leave.
    pub(crate) fn failed(self, reason: &str) {
        // JSON may take six bytes for one.
        let most = limits::HANDOVER_WORD_BYTES / 8;
        let reason: String = reason.chars().take(most / 4).collect();
        let deadline = Instant::now() + limits::UPGRADE_EXIT;
        // Who does not listen any more sees that we leave.
        let _ = self.channel.send(&Message::Failed { reason }, &[], deadline);
    }

    #[cfg(test)]
    pub(super) fn on(channel: Channel) -> Self {
        Self { channel }
    }
}

fn unexpected(wanted: &'static str, got: &Message) -> HandoverError {
    HandoverError::Predecessor(ChannelError::Unexpected { wanted, got: got.name() })
}

impl From<ChannelError> for HandoverError {
    fn from(error: ChannelError) -> Self {
        Self::Predecessor(error)
    }
}
