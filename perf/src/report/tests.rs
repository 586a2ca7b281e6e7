use super::*;
use crate::wrk::Report;

fn sample(peer: &str, kind: Kind, connections: u32, round: u32, both_us: f64) -> Sample {
    let wrk = Report { requests: 1000, seconds: 2.0, ..Report::default() };
    let point = Point {
        wrk,
        proxy_us: both_us / 2.0,
        both_us,
        origin_us: 1.0,
        machine_us: both_us + 1.0,
        resident_kib: 1024,
    };
    Sample { peer: peer.to_owned(), kind, connections, round, point }
}

/// Three rounds of everything the bars need, coregate at the given cost where the others take 40.
fn field(ours: f64) -> Vec<Sample> {
    let mut samples = Vec::new();
    for round in 1..=3 {
        for (connections, _) in BARS {
            samples.push(sample("coregate", Kind::Coregate, connections, round, ours));
            samples.push(sample("nginx", Kind::Nginx, connections, round, 50.0));
            samples.push(sample("haproxy", Kind::Haproxy, connections, round, 40.0));
        }
    }
    samples
}

#[test]
fn bars_hold_against_the_better_of_two() {
    let check = |ours, expected: [bool; 4]| {
        let passed: Vec<bool> =
            verdicts(&rows(&field(ours))).iter().map(|verdict| verdict.passed).collect();
        assert_eq!(passed, expected, "at {ours} µs");
    };
    check(34.0, [true, true, true, true]);
    check(35.0, [true, true, false, true]);
    check(39.0, [true, false, false, true]);
    check(41.0, [false, false, false, true]);
}

#[test]
fn what_was_not_measured_fails() {
    let mut samples = field(30.0);
    samples.retain(|sample| sample.kind != Kind::Nginx || sample.connections != 512);
    let verdicts = verdicts(&rows(&samples));
    let passed: Vec<bool> = verdicts.iter().map(|verdict| verdict.passed).collect();
    assert_eq!(passed, [true, false, true, true]);
    assert!(verdicts[1].text.contains("not measured"));
    assert!(!super::verdicts(&[])[0].passed);
}

#[test]
fn one_error_fails() {
    let mut samples = field(30.0);
    samples[0].point.wrk.timeouts = 1;
    assert!(!verdicts(&rows(&samples))[3].passed);
}

#[test]
fn rows_are_medians_in_order() {
    let samples = [
        sample("b", Kind::Floor, 64, 1, 9.0),
        sample("a", Kind::Nginx, 64, 1, 1.0),
        sample("b", Kind::Floor, 1, 1, 1.0),
        sample("a", Kind::Nginx, 64, 2, 2.0),
        sample("b", Kind::Floor, 64, 2, 7.0),
        sample("b", Kind::Floor, 64, 3, 8.0),
    ];
    let got: Vec<_> = rows(&samples)
        .into_iter()
        .map(|row| (row.connections, row.peer, row.both_us.median, row.rate.median))
        .collect();
    let expected = [(1, "b", 1.0, 500.0), (64, "b", 8.0, 500.0), (64, "a", 1.5, 500.0)]
        .map(|(c, p, b, r)| (c, p.to_owned(), b, r));
    assert_eq!(got, expected);
}

#[test]
fn a_table_is_markdown_with_equal_lines() {
    let table = table(&rows(&field(30.0)));
    let widths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
    assert_eq!(widths.len(), 2 + 9);
    assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    assert!(table.contains("0.75"), "{table}");
}
