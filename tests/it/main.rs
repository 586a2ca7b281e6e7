//! The integration suite: the real binary, real sockets, bytes in and bytes out.
//!
//! `harness` starts the gateway, plays upstreams and clients and reads HTTP with a strict parser (`tests/strict`); `wire` holds
//! what goes over the wire, `routing` what routes do with requests, `explain` what is said of routes, `examples` what the
//! example files do, `process` what a process does, `live` what changes while it runs, `registry` who registers, `consumers` who may call, `policies` who is let in and how much, `tidy` what the compiler cannot check.
//! The driver is chosen by `COREGATE_TEST_IO` (`auto`, `uring`, `epoll`), amounts by `COREGATE_TEST_SCALE` (`quick`, `full`, `long`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "tests: a failed expectation is a failed test"
)]

mod consumers;
mod examples;
mod explain;
#[cfg(feature = "faults")]
mod faults;
mod harness;
mod live;
mod policies;
mod process;
mod registry;
mod routing;
mod tidy;
mod wire;
