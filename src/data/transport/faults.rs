//! Faults on order: what the kernel may do to any call of ours and seldom does, by a schedule, for tests.
//!
//! Tools that fail calls by preloading a C library do not see what goes through io_uring, so our own calls are where it is
//! done. Compiled with the feature `faults` only; without a schedule nothing happens with it either.
//!
//! A [`Schedule`] is a seed and, for each kind of call and of fault, the odds. Each thread, and so each worker, draws from a
//! sequence of its own: the same seed and the same calls meet the same faults. As text, which is how the binary takes it from
//! the environment (`COREGATE_FAULTS`):
//!
//! ```text
//! seed=7,read.reset=1/50,write.short=1/3,accept.emfile=1/1*20      of the accepts of each worker, the first 20 fail
//! ```
//!
//! | call | what it is | what it may meet |
//! |---|---|---|
//! | `accept` | `accept4` | `emfile` `enfile` `enobufs` `enomem` `again` `intr` `aborted` |
//! | `connect` | making a connection to an instance | `emfile` `enfile` `enobufs` `enomem` `again` `refused` `reset` `timeout` `delay` |
//! | `adopt` | giving a socket to the driver | `enomem` |
//! | `read` | the driver's read; `recv` of what is there | `enobufs` `enomem` `reset` `timeout` `again` (the latter only) `intr` `short` `part` `delay` (the driver's only) |
//! | `write` | the driver's write | `enobufs` `enomem` `reset` `pipe` `timeout` `intr` `short` `part` `delay` |
//! | `ready` | a poll, of a stream or a listener | `enomem` `again` `delay` |
//! | `peek` | the look at a pooled connection | `enomem` `reset` |
//! | `shutdown` | `shutdown(2)` | `reset` |
//!
//! `short` is one byte, `part` any part; what remains is there for the next call. `again` of a poll: it says ready and is
//! wrong, or says full and is wrong. `delay`: the call is done and its future learns it some polls later, or some turns
//! later where somebody counts them ([`by_turns`]); of errors it hears at once. After `reset`, `pipe` and `timeout` the connection is dead for both ends,
//! as it would be. A fault that a call cannot meet is an error of the schedule.
//!
//! No call is forgotten: `clippy.toml` of this package forbids the functions that make them, and each place that is let off
//! says why. Not hooked: the doorbell and the timer, which are no connections; the one `send` to a client that is turned
//! away, whose result changes nothing.

mod schedule;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::AsRawFd;
use std::task::{Poll, Waker};

use monoio::buf::{IoBuf, IoBufMut, SliceMut};
use rustix::io::Errno;

pub use self::schedule::{BadSchedule, Call, Fault, Odds, Schedule};
use super::{Handle, Reader, ReaderKind, Stream, Ways, Writer, stream_of};

/// Where a binary with this feature looks for its schedule.
pub const VARIABLE: &str = "COREGATE_FAULTS";

/// The most polls or turns that a call is held back for.
const DELAY_MAX: u64 = 4;

/// The schedule that the environment orders; `None`: none.
pub fn of_environment() -> Result<Option<Schedule>, BadSchedule> {
    std::env::var(VARIABLE).ok().map(|text| text.parse()).transpose()
}

/// What has struck on this thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Faults that may end a connection, or an exchange.
    pub grave: u64,
    /// Faults that may change nothing: short reads and writes, delays, polls that were wrong.
    pub harmless: u64,
}

#[derive(Debug, Default)]
struct State {
    schedule: RefCell<Option<Schedule>>,
    tally: Cell<Tally>,
    /// Delays last for turns, not for polls.
    by_turns: Cell<bool>,
    turn: Cell<u64>,
    held: RefCell<Vec<Waker>>,
}

thread_local! {
    static STATE: State = State::default();
}

/// Begins a schedule on this thread, as the one of this worker. The tally begins anew.
pub fn begin(schedule: &Schedule, worker: u16) {
    let mut own = schedule.clone();
    own.seed ^= u64::from(worker).wrapping_mul(0xA24B_AED4_963E_E407);
    end();
    STATE.with(|state| state.schedule.replace(Some(own)));
}

/// Ends the schedule of this thread, and every delay.
pub fn end() {
    STATE.with(|state| {
        state.schedule.replace(None);
        state.tally.set(Tally::default());
        state.by_turns.set(false);
        state.held.take().into_iter().for_each(Waker::wake);
    });
}

/// From now on delays on this thread last for turns, which the caller counts by [`turn`].
pub fn by_turns() {
    STATE.with(|state| state.by_turns.set(true));
}

/// The next turn: futures that were held back for the last one may go on. Whether there were any.
pub fn turn() -> bool {
    STATE.with(|state| {
        state.turn.set(state.turn.get() + 1);
        let held = state.held.take();
        let any = !held.is_empty();
        held.into_iter().for_each(Waker::wake);
        any
    })
}

/// What has struck on this thread since its schedule began.
pub fn tally() -> Tally {
    STATE.with(|state| state.tally.get())
}

impl State {
    fn strikes(&self, call: Call, fault: Fault) -> bool {
        let mut schedule = self.schedule.borrow_mut();
        let Some(schedule) = &mut *schedule else { return false };
        let odds = schedule.odds[call as usize][fault as usize];
        if odds.hits == 0 || odds.most == 0 {
            return false;
        }
        let strikes = draw(&mut schedule.seed) % u64::from(odds.of) < u64::from(odds.hits);
        if strikes {
            schedule.odds[call as usize][fault as usize].most -= 1;
            let mut tally = self.tally.get();
            *if fault.is_harmless() { &mut tally.harmless } else { &mut tally.grave } += 1;
            self.tally.set(tally);
        }
        strikes
    }

    /// A number from 1 to `most`.
    fn number(&self, most: u64) -> u64 {
        let mut schedule = self.schedule.borrow_mut();
        schedule.as_mut().map_or(1, |schedule| 1 + draw(&mut schedule.seed) % most.max(1))
    }
}

/// The next number of a sequence (splitmix64, Steele et al. 2014).
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn strikes(call: Call, fault: Fault) -> bool {
    STATE.with(|state| state.strikes(call, fault))
}

/// The error that a call meets, other than those named.
fn error(call: Call, but: &[Fault]) -> Option<Fault> {
    let all = call.may_meet().iter().filter(|fault| fault.errno().is_some());
    all.filter(|fault| !but.contains(fault)).copied().find(|fault| strikes(call, *fault))
}

/// How much of `room` a call may move.
fn room(call: Call, room: usize) -> usize {
    if strikes(call, Fault::Short) {
        return room.min(1);
    }
    match strikes(call, Fault::Part) && room > 1 {
        true => STATE.with(|state| state.number(room as u64)) as usize,
        false => room,
    }
}

/// Waits, if the call meets a delay.
async fn delay(call: Call) {
    if !strikes(call, Fault::Delay) {
        return;
    }
    let mut polls = STATE.with(|state| state.number(DELAY_MAX));
    let until = STATE.with(|state| state.turn.get()) + polls;
    poll_fn(|context| {
        STATE.with(|state| {
            let over = match state.by_turns.get() {
                true => state.turn.get() >= until,
                false => polls == 0,
            };
            if over {
                return Poll::Ready(());
            }
            polls = polls.saturating_sub(1);
            match state.by_turns.get() {
                true => state.held.borrow_mut().push(context.waker().clone()),
                false => context.waker().wake_by_ref(),
            }
            Poll::Pending
        })
    })
    .await;
}

/// The error of a fault that struck a call on this connection, which is dead if the fault says so.
fn strike(fault: Fault, connection: &Handle) -> io::Error {
    if matches!(fault, Fault::Reset | Fault::Pipe | Fault::Timeout) {
        sever(connection);
    }
    fault.errno().unwrap_or(Errno::IO).into()
}

/// Resets a connection; a Unix socket, which cannot be, is shut down.
fn sever(connection: &Handle) {
    connection.abort();
    connection.shut_down_now(Ways::Both);
}

impl Reader {
    fn handle(&self) -> Handle {
        match &self.0 {
            ReaderKind::Socket(half) => Handle::Socket(stream_of(&half.0).as_raw_fd()),
            #[cfg(feature = "memory")]
            ReaderKind::Memory(end) => Handle::Memory(end.clone()),
        }
    }
}

/// A read by the driver.
pub(super) async fn read<B: IoBuf + IoBufMut>(
    reader: &mut Reader,
    mut buf: B,
) -> (io::Result<usize>, B) {
    if let Some(fault) = error(Call::Read, &[Fault::Again]) {
        return (Err(strike(fault, &reader.handle())), buf);
    }
    let most = room(Call::Read, buf.bytes_total());
    let (result, part) = reader.read_by_driver(SliceMut::new(buf, 0, most)).await;
    delay(Call::Read).await;
    (result, part.into_inner())
}

/// A read of what is there: into how much room.
pub(super) fn read_now(reader: &Reader, most: usize) -> io::Result<usize> {
    match error(Call::Read, &[Fault::Intr]) {
        Some(fault) => Err(strike(fault, &reader.handle())),
        None => Ok(room(Call::Read, most)),
    }
}

/// A write by the driver.
pub(super) async fn write<B: IoBuf>(writer: &mut Writer, buf: B) -> (io::Result<usize>, B) {
    if let Some(fault) = error(Call::Write, &[]) {
        return (Err(strike(fault, &writer.handle())), buf);
    }
    let most = room(Call::Write, buf.bytes_init());
    let (result, part) = writer.write_by_driver(buf.slice(..most)).await;
    delay(Call::Write).await;
    (result, part.into_inner())
}

/// A poll.
pub(super) async fn ready(poll: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    match error(Call::Ready, &[]) {
        Some(Fault::Again) => {}
        Some(fault) => return Err(fault.errno().unwrap_or(Errno::IO).into()),
        None => poll.await?,
    }
    delay(Call::Ready).await;
    Ok(())
}

/// A poll that does not wait: whether it says full and is wrong.
pub(super) fn seems_full() -> bool {
    strikes(Call::Ready, Fault::Again)
}

/// A connect.
pub(crate) async fn connect(
    connecting: impl Future<Output = io::Result<Stream>>,
) -> io::Result<Stream> {
    let result = match error(Call::Connect, &[]) {
        Some(fault) => Err(fault.errno().unwrap_or(Errno::IO).into()),
        None => connecting.await,
    };
    delay(Call::Connect).await;
    result
}

/// An `accept4`, or giving a socket to the driver: the error that it meets.
pub(super) fn call(call: Call) -> Result<(), Errno> {
    error(call, &[]).and_then(Fault::errno).map_or(Ok(()), Err)
}

/// A look at a pooled connection: whether it seems dead.
pub(super) fn seems_dead(connection: &Handle) -> bool {
    let fault = error(Call::Peek, &[]);
    fault.is_some_and(|fault| strike(fault, connection).raw_os_error().is_some())
}

/// A shutdown: the connection may have been reset a moment before.
pub(super) fn shut_down(connection: &Handle) {
    if strikes(Call::Shutdown, Fault::Reset) {
        connection.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_faults_and_odds_mean_what_they_say() {
        let run = |seed: u64, worker: u16| {
            begin(&Schedule::quiet(seed).with(Call::Read, Fault::Reset, Odds::one_in(4)), worker);
            let struck: Vec<_> = (0..4_000).map(|_| strikes(Call::Read, Fault::Reset)).collect();
            assert_eq!(tally().grave, struck.iter().filter(|struck| **struck).count() as u64);
            end();
            struck
        };
        assert_eq!(run(1, 0), run(1, 0));
        assert_ne!(run(1, 0), run(1, 1), "each worker its own");
        let hits = run(2, 0).iter().filter(|struck| **struck).count();
        assert!((800..1_200).contains(&hits), "{hits}");
        assert!(!strikes(Call::Read, Fault::Reset), "nothing strikes without a schedule");
    }

    #[test]
    fn no_more_than_the_most() {
        begin(&"accept.emfile=1/1*3".parse().unwrap(), 0);
        let met: Vec<_> = (0..5).map(|_| call(Call::Accept)).collect();
        end();
        assert_eq!(met, [Err(Errno::MFILE), Err(Errno::MFILE), Err(Errno::MFILE), Ok(()), Ok(())]);
    }
}
