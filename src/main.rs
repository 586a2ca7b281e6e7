//! The binary `coregate`: allocator, flags, run, exit code. What it does is in [`server`].
//!
#![doc = include_str!("README.md")]

mod server;

use std::process::ExitCode;

/// Small, fast, and frees to the thread that allocated: workers share nothing here either.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    server::main()
}
