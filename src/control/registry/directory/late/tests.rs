//! Leases that are over, with signs that are given.

use super::*;
use crate::registry::directory::{Changed, Draft, Registration, What};

const NOW: Duration = Duration::from_secs(1_000);
const TTL: Duration = Duration::from_secs(90);

/// A service `s` with so many instances, which were renewed at `NOW`.
fn directory(count: u16) -> Directory {
    let mut directory = Directory::default();
    for at in 0..count {
        let draft = Draft { ttl: Some(TTL), ..Draft::at(address(at)) };
        directory.register("s", Registration::new(&at.to_string(), draft).unwrap(), NOW);
    }
    directory.take_changes();
    directory
}

fn address(at: u16) -> Address {
    Address::Tcp(([10, 0, 0, 1], 80 + at).into())
}

fn answers() -> Option<Sign> {
    Some(Sign { answers: true, until: None, succeeded: true })
}

fn silent() -> Option<Sign> {
    Some(Sign { answers: false, until: None, succeeded: false })
}

/// Judges at a time after `NOW`; gives how many are left.
fn expire(
    directory: &mut Directory,
    after: Duration,
    sign: impl Fn(&Address) -> Option<Sign>,
) -> (usize, Vec<String>) {
    let expired = directory.expire(NOW + after, 10_000, |_, address, period| {
        assert_eq!(period, TTL);
        sign(address)
    });
    directory.assert_whole();
    (directory.leased(), expired.notices.iter().map(ToString::to_string).collect())
}

#[test]
fn who_answers_is_kept_for_three_periods_more() {
    let mut one = directory(1);
    assert_eq!(expire(&mut one, TTL, |_| answers()).0, 1);
    let changes = one.take_changes();
    assert!(matches!(&changes[..], [Changed { what: What::Health, .. }]), "told once: {changes:?}");
    assert_eq!(expire(&mut one, TTL * 4 - Duration::from_secs(1), |_| answers()).0, 1);
    assert_eq!(expire(&mut one, TTL * 4, |_| answers()).0, 0);
}

#[test]
fn who_does_not_answer_is_gone_at_once() {
    let mut one = directory(1);
    assert_eq!(expire(&mut one, TTL, |_| silent()).0, 0);
    let mut none = directory(1);
    assert_eq!(expire(&mut none, TTL, |_| None).0, 0, "it is no instance of its service");
}

#[test]
fn it_is_judged_anew_when_a_probe_says_otherwise_and_when_a_sign_is_too_old() {
    let mut one = directory(1);
    expire(&mut one, TTL, |_| answers());
    assert_eq!(expire(&mut one, TTL * 2, |_| silent()).0, 1, "nobody has said so");
    one.rejudge("s", &address(0), NOW + TTL * 2);
    assert_eq!(expire(&mut one, TTL * 2, |_| silent()).0, 0);
    let mut one = directory(1);
    let until = Some(NOW + TTL + Duration::from_secs(5));
    expire(&mut one, TTL, |_| Some(Sign { until, ..answers().unwrap() }));
    assert_eq!(one.next_expiry(), until);
    assert_eq!(expire(&mut one, TTL + Duration::from_secs(5), |_| silent()).0, 0);
}

#[test]
fn a_renewal_brings_it_back_in_time() {
    let mut one = directory(1);
    expire(&mut one, TTL, |_| answers());
    one.take_changes();
    assert!(one.renew("s", "0", NOW + TTL * 2));
    one.assert_whole();
    assert!(matches!(&one.take_changes()[..], [Changed { what: What::Health, .. }]));
    let view = one.instance("s", "0", NOW + TTL * 2).unwrap();
    assert_eq!(view.lease.unwrap().late_ms, None);
    assert_eq!(expire(&mut one, TTL * 3 - Duration::from_secs(1), |_| silent()).0, 1);
    assert_eq!(expire(&mut one, TTL * 3, |_| silent()).0, 0);
}

#[test]
fn a_newer_registration_at_its_address_takes_its_place() {
    let mut one = directory(1);
    expire(&mut one, TTL, |_| answers());
    let draft = Draft { ttl: Some(TTL), ..Draft::at(address(0)) };
    one.register("s", Registration::new("other", draft).unwrap(), NOW + TTL);
    one.assert_whole();
    assert!(one.instance("s", "0", NOW + TTL).is_none());
}

/// Of ten, six fall silent at once, of which two answer: these are kept for as long as it lasts, the others go.
#[test]
fn a_service_protects_itself() {
    let mut ten = directory(10);
    let renew = |ten: &mut Directory, from: u16, after| {
        (from..10).for_each(|at| assert!(ten.renew("s", &at.to_string(), NOW + after)));
    };
    renew(&mut ten, 6, TTL - Duration::from_secs(1));
    let two =
        |place: &Address| if [0, 1].map(address).contains(place) { answers() } else { silent() };
    let (left, notices) = expire(&mut ten, TTL, two);
    assert_eq!(left, 6, "two that answer, four that renew");
    assert!(notices[0].contains("protects itself: 6 of 10 leases"), "{notices:?}");
    assert!(ten.is_protected("s") && ten.instances("s", None, 10, NOW).unwrap().protected);
    let mut after = TTL;
    // Those that went are forgotten after a lease period; then it is two of six.
    let (mut protects, mut late) = (0, 0);
    while after < TTL * 8 {
        after += Duration::from_secs(5);
        renew(&mut ten, 6, after);
        let (left, _) = expire(&mut ten, after, two);
        (protects, late) = (protects + u32::from(ten.is_protected("s")), left);
    }
    assert!((17..=19).contains(&protects), "for 90 s: {protects}");
    assert_eq!(late, 4, "beyond that only who renews, or answers in its three periods");
}

/// When nobody renews any more, those that answer are kept for ever.
#[test]
fn those_that_answer_are_kept_when_all_fall_silent() {
    let mut all = directory(4);
    let mut after = TTL;
    while after < TTL * 20 {
        let three = |place: &Address| if *place == address(3) { silent() } else { answers() };
        assert_eq!(expire(&mut all, after, three).0, 3);
        after += Duration::from_secs(10);
    }
    let view = all.instance("s", "0", NOW + after).unwrap();
    assert!(view.lease.unwrap().protected);
    (0..3).for_each(|at| assert!(all.renew("s", &at.to_string(), NOW + after)));
    let (left, notices) = expire(&mut all, after, |_| silent());
    assert_eq!((left, notices.len()), (3, 1));
    assert!(notices[0].contains("protects itself no more"), "{notices:?}");
}

#[test]
fn a_few_are_no_pattern() {
    let mut two = directory(2);
    let (left, notices) = expire(&mut two, TTL, |_| silent());
    assert_eq!((left, notices), (0, Vec::new()));
}
