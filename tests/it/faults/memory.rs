//! Thousands of plays with faults everywhere; see `play`. `COREGATE_TEST_SEED` plays one again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::play::Play;
use crate::harness::clock::scale;

/// Plays these seeds; how many exchanges were right, and what was wrong.
fn play_all(seeds: impl Iterator<Item = u64>) -> (usize, Vec<String>) {
    let (mut right, mut wrong) = (0, Vec::new());
    for seed in seeds {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut play = Play::new(seed);
            play.run().map(|()| play.right)
        }));
        match played {
            Ok(Ok(count)) => right += count,
            Ok(Err(what)) => wrong.push(format!("seed {seed}: {what:.2000}")),
            Err(_) => wrong.push(format!("seed {seed}: a panic, above")),
        }
        if wrong.len() == 10 {
            break;
        }
    }
    (right, wrong)
}

#[test]
fn whatever_strikes_nothing_is_wrong_and_nothing_is_left() {
    if let Ok(seed) = std::env::var("COREGATE_TEST_SEED") {
        let (_, wrong) = play_all(std::iter::once(seed.parse().unwrap()));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        return;
    }
    let plays = scale(2_000, 20_000, 500_000);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let played: Vec<_> = thread::scope(|scope| {
        let start = |first| move || play_all((first as u64..plays).step_by(threads));
        let all: Vec<_> = (0..threads).map(|first| scope.spawn(start(first))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let right: usize = played.iter().map(|(right, _)| right).sum();
    let wrong: Vec<_> = played.into_iter().flat_map(|(_, wrong)| wrong).collect();
    assert!(wrong.is_empty(), "COREGATE_TEST_SEED plays one again\n{}", wrong.join("\n"));
    println!("{plays} plays, {right} exchanges answered as they should be");
    assert!(right > plays as usize, "{right} right in {plays} plays: too few");
}
