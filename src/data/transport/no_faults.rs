//! Without the feature `faults`: calls meet what the kernel gives. See `faults.rs`, whose functions these are; each is nothing
//! once it is compiled.

use std::future::Future;
use std::io;

use monoio::buf::{IoBuf, IoBufMut};
use rustix::io::Errno;

use super::{Handle, Reader, Stream, Writer};

/// The kinds of calls that are not told apart by their function.
#[derive(Clone, Copy)]
pub(super) enum Call {
    Accept,
    Adopt,
}

#[inline]
pub(super) fn read<B: IoBuf + IoBufMut>(
    reader: &mut Reader,
    buf: B,
) -> impl Future<Output = (io::Result<usize>, B)> {
    reader.read_by_driver(buf)
}

#[inline]
pub(super) fn read_now(_: &Reader, most: usize) -> io::Result<usize> {
    Ok(most)
}

#[inline]
pub(super) fn write<B: IoBuf>(
    writer: &mut Writer,
    buf: B,
) -> impl Future<Output = (io::Result<usize>, B)> {
    writer.write_by_driver(buf)
}

#[inline]
pub(super) fn ready<F: Future<Output = io::Result<()>>>(poll: F) -> F {
    poll
}

#[inline]
pub(super) fn seems_full() -> bool {
    false
}

#[inline]
pub(crate) fn connect<F: Future<Output = io::Result<Stream>>>(connecting: F) -> F {
    connecting
}

#[inline]
pub(super) fn call(_: Call) -> Result<(), Errno> {
    Ok(())
}

#[inline]
pub(super) fn seems_dead(_: &Handle) -> bool {
    false
}

#[inline]
pub(super) fn shut_down(_: &Handle) {}
