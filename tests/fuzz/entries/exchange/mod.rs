//! Whole exchanges in memory: client bytes and upstream answer bytes in, everything that came out judged.
//!
//! ```text
//!  input   flags  cuts of the client's bytes  cuts of the answer's   client bytes  MARK  answer bytes
//!          1 B    1 B                         1 B                    ...                 ...
//! ```
//!
//! `play.rs` carries a [`Script`] out in a world and keeps what each side got; `judge.rs` holds it against the strict parser
//! and against what was sent.

mod judge;
mod play;

use std::cell::RefCell;

pub use judge::{Heard, Meaning, judge, meaning};
pub use play::{Given, Played, Stage, Upstream};

/// Between the client's bytes and the answer's.
pub const MARK: &[u8] = b"\xff\xfe\xff";

/// What an instance answers when it answers well.
pub const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// Which requests get the answer of the script; the others get [`GOOD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// None.
    Good,
    /// All.
    Given,
    /// The first on each connection.
    FirstGiven,
    /// All but the first on each connection.
    FirstGood,
}

/// How an exchange goes.
#[derive(Debug, Clone, Copy)]
pub struct Script<'a> {
    /// What the client sends.
    pub client: &'a [u8],
    /// What the instance answers with.
    pub answer: &'a [u8],
    /// How the client's bytes are cut into writes: 0 for one.
    pub client_cuts: u8,
    /// How each answer is cut into writes: 0 for one.
    pub answer_cuts: u8,
    /// Which requests get the answer.
    pub answers: Answers,
    /// Whether the instance ends its half behind each answer.
    pub ends: bool,
    /// Whether the instance answers a head, not a whole request.
    pub early: bool,
    /// Whether the client ends its half before the instance does.
    pub client_first: bool,
    /// Whether nobody ends anything, and time passes instead.
    pub time: bool,
}

impl<'a> Script<'a> {
    /// One write, and good answers.
    pub fn plain(client: &'a [u8]) -> Self {
        Self {
            client,
            answer: GOOD,
            client_cuts: 0,
            answer_cuts: 0,
            answers: Answers::Good,
            ends: false,
            early: false,
            client_first: false,
            time: false,
        }
    }

    /// The script of an input; `None` if it is too short.
    pub fn of(data: &'a [u8]) -> Option<Self> {
        let [flags, client_cuts, answer_cuts, rest @ ..] = data else { return None };
        let mark = rest.windows(MARK.len()).position(|three| three == MARK);
        let (client, answer) = match mark {
            Some(at) => (&rest[..at], &rest[at + MARK.len()..]),
            None => (rest, GOOD),
        };
        Some(Self {
            client,
            answer,
            client_cuts: *client_cuts,
            answer_cuts: *answer_cuts,
            answers: match flags & 3 {
                0 => Answers::Given,
                1 => Answers::FirstGiven,
                2 => Answers::FirstGood,
                _ => Answers::Good,
            },
            ends: flags & 4 != 0,
            early: flags & 8 != 0,
            client_first: flags & 16 != 0,
            time: flags & 0xE0 == 0xE0,
        })
    }

    /// The input of this script.
    pub fn bytes(&self) -> Vec<u8> {
        let answers = match self.answers {
            Answers::Given => 0,
            Answers::FirstGiven => 1,
            Answers::FirstGood => 2,
            Answers::Good => 3,
        };
        let flag = |set: bool, bits: u8| if set { bits } else { 0 };
        let flags = answers
            | flag(self.ends, 4)
            | flag(self.early, 8)
            | flag(self.client_first, 16)
            | flag(self.time, 0xE0);
        let head = [flags, self.client_cuts, self.answer_cuts];
        [&head[..], self.client, MARK, self.answer].concat()
    }
}

/// The pieces that `bytes` is written in, by `cuts`: at most sixteen, so that no input takes long.
pub(crate) fn pieces(bytes: &[u8], cuts: u8) -> impl Iterator<Item = &[u8]> {
    let mut state = u32::from(cuts);
    let mut left = bytes;
    let mut cuts = cuts & 15;
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        let length = match cuts {
            0 => left.len(),
            _ => {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Mostly small ones: that is where line ends are torn.
                let most = if state & 1 == 0 { 8 } else { left.len() };
                (1 + (state >> 8) as usize % most).min(left.len())
            }
        };
        cuts = cuts.saturating_sub(1);
        let (piece, rest) = left.split_at(length);
        left = rest;
        Some(piece)
    })
}

thread_local! {
    /// A world costs more than an exchange, so one serves many; whatever an exchange leaves behind is a finding.
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

/// Plays the script of an input, and judges what came of it.
pub fn exchange(data: &[u8]) {
    let Some(script) = Script::of(data) else { return };
    let played = play(&script);
    judge(&script, &played);
}

/// Plays a script in this thread's world.
pub fn play(script: &Script<'_>) -> Played {
    STAGE.with_borrow_mut(|kept| {
        // Taken out, so that a panic leaves no spoilt world behind.
        let mut stage = kept.take().unwrap_or_default();
        let played = stage.play(script);
        // Time goes one way: a world whose time was moved is not used again.
        *kept = (!script.time).then_some(stage);
        played
    })
}
