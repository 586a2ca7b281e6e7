use std::time::Duration;

use super::*;
use crate::slow::Manner;
use crate::slow::phase::Polite;

const COUNTS: Counts = Counts { head: 10, body: 10, read: 10 };

fn sample(kind: Kind, name: &'static str, each_kib: u64, p999: f64) -> Sample {
    let shed = name == "shed";
    let (_, counts) =
        *COUNTS.split().iter().find(|(phase, _)| *phase == name).unwrap_or(&("", COUNTS));
    let held = counts.total();
    let ends = Ends {
        clients: 30,
        earliest: Some(Duration::from_secs(10)),
        latest: Some(Duration::from_millis(10_800)),
        ..Ends::default()
    };
    Sample {
        peer: kind.program().into(),
        kind,
        phase: Phase {
            name,
            counts,
            deadline: Duration::from_secs(10),
            purpose: if shed { Purpose::Shed } else { Purpose::Hang },
            seconds: 10,
        },
        outcome: Outcome {
            held: if shed { 0 } else { held },
            failed: 0,
            resident_before: 1000,
            resident: 1000 + each_kib * held as u64,
            proportional_before: 900,
            proportional: 900 + each_kib * held as u64,
            polite: Polite { p999, scheduled: 1000, ..Polite::default() },
            others: 0.0,
            ends: if shed { vec![(Manner::Head, ends)] } else { Vec::new() },
        },
    }
}

/// A run in which every bar holds.
fn good() -> Vec<Sample> {
    let mut samples: Vec<Sample> = ["head", "body", "read", "all", "shed"]
        .map(|phase| sample(Kind::Coregate, phase, 5, 4.0))
        .to_vec();
    samples.push(sample(Kind::Haproxy, "all", 50, 2.0));
    samples
}

fn check(samples: &[Sample], failed: &[&str]) {
    let verdicts = verdicts(samples, COUNTS, 10);
    let texts: Vec<&String> =
        verdicts.iter().filter(|verdict| !verdict.passed).map(|verdict| &verdict.text).collect();
    assert_eq!(texts.len(), failed.len(), "{texts:?}");
    for (text, part) in texts.iter().zip(failed) {
        assert!(text.contains(part), "{text}: expected {part}");
    }
}

#[test]
fn bars_hold() {
    check(&good(), &[]);
    assert_eq!(verdicts(&good(), COUNTS, 10).len(), 8);
}

#[test]
fn bars_do_not_hold() {
    check(&[], &["not measured"]);
    let with = |at: usize, sample: Sample| {
        let mut samples = good();
        samples[at] = sample;
        samples
    };
    check(
        &with(1, sample(Kind::Coregate, "body", 6, 4.0)),
        &["(body): resident memory 6144 bytes"],
    );
    check(&with(3, sample(Kind::Coregate, "all", 5, 4.1)), &["beside haproxy's 4.10 of 2.00"]);
    let slow = sample(Kind::Coregate, "all", 5, 10.0);
    check(&with(3, slow), &["p99.9 (all) 10.00 ms", "beside haproxy's"]);
    let nothing = sample(Kind::Coregate, "all", 5, f64::NAN);
    check(&with(3, nothing), &["p99.9 (all)", "beside haproxy's"]);

    let mut some_left = good();
    some_left[0].outcome.held -= 1;
    some_left[0].outcome.resident -= 100;
    check(&some_left, &["not all were held"]);
    let change = |change: fn(&mut Ends)| {
        let mut samples = good();
        change(&mut samples[4].outcome.ends[0].1);
        samples
    };
    check(&change(|ends| ends.open = 1), &["1 of 30 never"]);
    check(&change(|ends| ends.latest = Some(Duration::from_millis(11_001))), &["to 11.00 s"]);
    check(&change(|ends| ends.earliest = Some(Duration::from_secs(3))), &["from 3.00"]);
}

#[test]
fn others_are_named() {
    let mut samples = good();
    assert_eq!(disturbance(&samples), None);
    samples[2].outcome.others = 0.8;
    assert!(disturbance(&samples).is_some_and(|note| note.contains("0.80 CPUs")));
}

#[test]
fn lines_say_what_was_found() {
    let hang = line(&good()[0]);
    assert!(hang.contains("held    10 of    10") && hang.contains("5120 bytes each"), "{hang}");
    let shed = line(&good()[4]);
    assert!(shed.contains("30 shed after 10.00 to 10.80 s"), "{shed}");
}
