//! Sockets, descriptors and cores: what the programs set up before they run.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::Shutdown;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

/// 2,000 connections arrive at once; the default of 1,024 would lose some for a second.
const BACKLOG: i32 = 4096;

/// A listening socket whose connections inherit `TCP_NODELAY`.
pub fn listen(at: SocketAddr) -> io::Result<OwnedFd> {
    let socket = tcp(at)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(at))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A socket to connect to `to` with, blocking as a ring wants it.
pub fn dialer(to: SocketAddr) -> io::Result<OwnedFd> {
    Ok(tcp(to)?.into())
}

/// Sets the send buffer of the connections that a listening socket will accept. The kernel doubles
/// what it is given.
pub fn set_send_buffer(listener: &OwnedFd, bytes: usize) -> io::Result<()> {
    SockRef::from(listener).set_send_buffer_size(bytes)
}

/// Ends both directions: operations in flight complete. The descriptor stays open.
pub fn shut(fd: &OwnedFd) {
    // The peer may have ended it already; there is nothing more to do then.
    let _ = rustix::net::shutdown(fd.as_fd(), Shutdown::Both);
}

/// Pins the calling thread, and what it starts from here on, to one CPU.
pub fn pin(cpu: usize) -> io::Result<()> {
    sched_setaffinity(None, &cpu_set(&[cpu])?)
        .map_err(|error| io::Error::other(format!("cannot pin to cpu {cpu}: {error}")))
}

/// These CPUs as the kernel takes them.
pub fn cpu_set(cpus: &[usize]) -> io::Result<CpuSet> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        if *cpu >= CpuSet::MAX_CPU {
            let most = CpuSet::MAX_CPU;
            return Err(io::Error::other(format!("cpu {cpu}: expected one below {most}")));
        }
        set.set(*cpu);
    }
    Ok(set)
}

/// Raises the limit of open files to `least`, the hard one too where it is lower and that is
/// allowed, else to the hard one; returns what it is then.
pub fn raise_open_files_to(least: u64) -> io::Result<u64> {
    let hard = getrlimit(Resource::Nofile).maximum;
    if hard.is_some_and(|hard| hard < least) {
        let wanted = Rlimit { current: Some(least), maximum: Some(least) };
        if setrlimit(Resource::Nofile, wanted).is_ok() {
            return Ok(least);
        }
    }
    raise_open_files()
}

/// Raises the soft limit of open files to the hard one and returns it.
pub fn raise_open_files() -> io::Result<u64> {
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard })?;
    Ok(hard.unwrap_or(u64::MAX))
}

fn tcp(at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}
