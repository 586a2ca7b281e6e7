//! The binary `coregate`: allocator, flags, run, exit code. What it does is in [`server`].
//!
#![doc = include_str!("README.md")]

mod server;

use std::process::ExitCode;

/// Small, fast, and frees to the thread that allocated: workers share nothing here either.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// mimalloc's option for how long it keeps memory that was freed, in milliseconds: `mi_option_purge_delay` of `mimalloc.h`,
/// which the crate does not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Memory that is freed goes back to the system at once: a burst of slow clients leaves megabytes behind that nobody may ask
/// for again, and mimalloc looks at its delays only when it is asked for more. The steady state frees nothing.
#[expect(unsafe_code, reason = "the allocator is a C library")]
fn free_at_once() {
    // SAFETY: `mi_option_set` writes one word of mimalloc's options and may be called at any time from any thread; an option
    // that it does not know it ignores.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 0) };
}

fn main() -> ExitCode {
    free_at_once();
    server::main()
}
