//! What live requests say of instances, who is set aside for it, and whose turn it is then.

use coregate_core::base::cells::{Mark, VerdictWord};
use coregate_core::base::ids::ServiceId;
use coregate_core::snapshot::plan::ServicePlan;

use super::*;
use crate::worker::turn::Sought;

/// A service whose instances are played, with one client.
struct Played {
    world: World,
    client: End,
    ends: Vec<Option<End>>,
}

impl Played {
    /// Instances that take a connection each, or refuse all.
    fn of(takes: &[bool], change: impl FnOnce(&mut ServicePlan)) -> Self {
        let addresses: Vec<_> = (0..takes.len() as u16).map(numbered).collect();
        let mut plan = Plan::to_instances(&addresses);
        change(&mut plan.services[0]);
        let world = World::new(compile(&plan, 1).unwrap()).unwrap();
        let one = |(at, takes): (usize, &bool)| takes.then(|| world.instance(&numbered(at as u16)));
        let ends = takes.iter().enumerate().map(one).collect();
        Self { client: world.client(), ends, world }
    }

    fn up(count: usize) -> Self {
        Self::of(&vec![true; count], |_| {})
    }

    /// From now on this one takes one connection more.
    fn takes(&mut self, at: u16) {
        self.ends[usize::from(at)] = Some(self.world.instance(&numbered(at)));
    }

    /// Sends a request; who has got it.
    fn ask(&self) -> Option<usize> {
        self.world.said(&self.client, GET);
        let mut ends = self.ends.iter();
        ends.position(|end| end.as_ref().is_some_and(|end| !text(end).is_empty()))
    }

    /// Has a request answered with this status; who answered it.
    fn answered(&self, status: u16) -> Option<usize> {
        let at = self.ask()?;
        self.says(at, &format!("HTTP/1.1 {status} S\r\nContent-Length: 0\r\n\r\n"));
        assert!(text(&self.client).starts_with(&format!("HTTP/1.1 {status} ")));
        Some(at)
    }

    fn says(&self, at: usize, bytes: &str) {
        self.world.said(self.ends[at].as_ref().unwrap(), bytes);
    }

    /// So many requests; how many of them each instance has got, and how many were refused.
    fn share_out(&self, requests: usize) -> (Vec<usize>, usize) {
        let (mut got, mut refused) = (vec![0; self.ends.len()], 0);
        for _ in 0..requests {
            match self.answered(200) {
                Some(at) => got[at] += 1,
                None => refused += usize::from(text(&self.client).starts_with("HTTP/1.1 50")),
            }
        }
        (got, refused)
    }

    fn cells(&self) -> &Cells {
        &self.world.worker().cells
    }

    fn word(&self, at: u32) -> VerdictWord {
        self.cells().verdict(InstanceSlot(at)).load()
    }

    fn ejected(&self) -> Vec<u32> {
        (0..self.ends.len() as u32).filter(|at| self.word(*at).has(Mark::Ejected)).collect()
    }

    fn set_share(&self, at: u32, share: u16) {
        self.cells().verdict(InstanceSlot(at)).set_share(1, share).unwrap();
    }

    fn mark(&self, at: u32, mark: Mark) {
        self.cells().verdict(InstanceSlot(at)).mark(1, mark).unwrap();
    }

    /// Requests and failures that the worker has counted.
    fn counted(&self, at: u32) -> (u32, u32) {
        let reader = &self.world.worker().posts().readers()[0];
        (reader.requests(InstanceSlot(at)), reader.failures(InstanceSlot(at)))
    }
}

#[test]
fn five_failed_connects_set_an_instance_aside_and_the_other_serves_on() {
    let played = Played::of(&[false, true], |_| {});
    for request in 1..=20 {
        assert_eq!(played.answered(200), Some(1), "the second attempt at the latest");
        let due = played.word(0).failures() == 5;
        assert_eq!(played.ejected(), if due { vec![0] } else { vec![] }, "request {request}");
    }
    let stats = played.world.stats();
    assert_eq!((stats.ejections.get(), stats.upstream_failures.get()), (1, 5));
    assert_eq!((stats.retries.get(), stats.upstream_connect_errors.get()), (5, 5));
    assert_eq!((played.counted(0), played.counted(1)), ((5, 5), (20, 0)));
    assert_eq!(played.cells().ejections(ServiceId(0)).taken(), 1);
}

#[test]
fn who_is_let_in_again_gets_requests() {
    let mut played = Played::of(&[false, true], |_| {});
    assert_eq!(played.share_out(20).0, [0, 20]);
    played.takes(0);
    assert_eq!(played.share_out(20).0, [0, 20]);
    assert!(played.cells().outlier(ServiceId(0), InstanceSlot(0), 1).readmit());
    assert_eq!(played.share_out(20).0, [10, 10]);
    assert_eq!(played.cells().ejections(ServiceId(0)).taken(), 0);
}

#[test]
fn half_of_a_service_is_set_aside_at_most_and_one_alone_never() {
    for (instances, most) in [(1, 0), (2, 1), (3, 1), (5, 2)] {
        let played = Played::of(&vec![false; instances], |_| {});
        assert_eq!(played.share_out(40).0, vec![0; instances]);
        assert_eq!(played.ejected().len(), most, "of {instances}");
        assert_eq!(played.cells().ejections(ServiceId(0)).taken(), most as u64);
    }
    let played = Played::of(&[false; 4], |service| service.outlier.most_percent = 100);
    played.share_out(40);
    assert_eq!(played.ejected().len(), 4);
}

#[test]
fn a_service_may_ask_for_other_terms() {
    let played = Played::of(&[false, true], |service| service.outlier.failures = 2);
    assert_eq!(played.share_out(20).0, [0, 20]);
    assert_eq!(played.world.stats().upstream_failures.get(), 2);
    let played = Played::of(&[false, true], |service| service.outlier.failures = 0);
    assert_eq!(played.share_out(20).0, [0, 20]);
    assert_eq!((played.ejected(), played.word(0).failures()), (vec![], 0));
    assert_eq!(played.counted(0), (20, 20), "they are counted all the same");
}

/// What an instance answers ten times says this of it.
#[track_caller]
fn judged(status: u16, failures: u16) {
    let played = Played::up(1);
    (0..10).for_each(|_| assert_eq!(played.answered(status), Some(0)));
    assert_eq!(played.word(0).failures(), failures, "{status}");
    assert_eq!(played.counted(0), (10, if failures > 0 { 10 } else { 0 }));
}

#[test]
fn a_gateway_s_errors_are_failures_and_an_application_s_are_not() {
    [502, 503, 504].into_iter().for_each(|status| judged(status, 5));
    [200, 302, 400, 404, 429, 500, 501, 505, 599].into_iter().for_each(|status| judged(status, 0));
}

#[test]
fn a_success_begins_the_count_anew() {
    let played = Played::up(2);
    let answers =
        |count, status| (0..count).for_each(|_| assert!(played.answered(status).is_some()));
    for _ in 0..5 {
        answers(8, 503);
        assert_eq!([0, 1].map(|at| played.word(at).failures()), [4, 4]);
        answers(2, 200);
        assert_eq!([0, 1].map(|at| played.word(at).failures()), [0, 0]);
    }
    assert!(played.ejected().is_empty());
    answers(10, 503);
    assert_eq!(played.ejected().len(), 1, "one of them answers, however badly");
}

/// One request whose instance does this leaves so many failures.
#[track_caller]
fn leaves(what: &str, played: &Played, failures: u16, act: impl FnOnce(&Played, &End)) {
    let at = played.ask().unwrap();
    act(played, played.ends[at].as_ref().unwrap());
    played.world.run();
    assert_eq!(played.word(at as u32).failures(), failures, "{what}");
    assert_eq!(played.counted(at as u32).1, u32::from(failures), "{what}");
}

#[test]
fn what_breaks_by_the_instance_s_fault_is_a_failure() {
    let once = || Played::of(&[true], |service| service.attempts = 1);
    leaves("no answer", &once(), 1, |_, instance| instance.end());
    leaves("none in time", &once(), 1, |played, _| {
        played.world.later(limits::FIRST_BYTE_TIMEOUT * 2)
    });
    leaves("no HTTP", &once(), 1, |played, instance| played.world.said(instance, "SSH-2.0-x\r\n"));
    leaves("half an answer", &once(), 1, |played, instance| {
        played.world.said(instance, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
        instance.end();
    });
    leaves("a pause in it", &once(), 1, |played, instance| {
        played.world.said(instance, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
        played.world.later(limits::BODY_TIMEOUT * 2);
    });
}

#[test]
fn what_is_the_client_s_fault_says_nothing() {
    let played = Played::up(1);
    leaves("it left before the answer", &played, 0, |played, instance| {
        played.client.abort();
        played.world.said(instance, "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nab");
        played.world.run();
        instance.push(&[b'x'; 9997]);
    });
    assert_eq!(played.word(0).failures(), 0);
    assert_eq!(played.world.stats().upstream_failures.get(), 0);
    for body in
        ["Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nno chunk", "Content-Length: 5\r\n\r\nab"]
    {
        let played = Played::up(1);
        played.world.said(&played.client, &format!("POST / HTTP/1.1\r\nHost: a\r\n{body}"));
        played.world.later(limits::BODY_TIMEOUT * 2);
        assert!(text(&played.client).starts_with("HTTP/1.1 40"), "{body}");
        assert_eq!((played.word(0).failures(), played.counted(0).1), (0, 0), "{body}");
    }
}

#[test]
fn a_used_connection_that_ends_says_nothing() {
    let mut played = Played::up(1);
    assert_eq!(played.answered(200), Some(0));
    played.world.said(&played.client, GET);
    let used = played.ends[0].take().unwrap();
    played.takes(0);
    used.end();
    played.world.run();
    played.says(0, OK);
    assert_eq!(text(&played.client), RELAYED);
    assert_eq!((played.world.stats().retries.get(), played.counted(0)), (1, (2, 0)));
}

#[test]
fn a_request_has_as_many_attempts_as_its_service_allows() {
    for attempts in [1, 2, 3, 5] {
        let played = Played::of(&[false; 3], |service| service.attempts = attempts);
        assert_eq!(played.ask(), None);
        assert!(text(&played.client).starts_with("HTTP/1.1 502 "));
        let stats = played.world.stats();
        assert_eq!(stats.upstream_connect_errors.get(), u64::from(attempts));
        assert_eq!(stats.retries.get(), u64::from(attempts) - 1);
    }
    let mut played = Played::of(&[true], |service| service.attempts = 1);
    assert_eq!(played.answered(200), Some(0));
    played.world.said(&played.client, GET);
    let used = played.ends[0].take().unwrap();
    played.takes(0);
    used.end();
    played.world.run();
    assert!(text(&played.client).starts_with("HTTP/1.1 502 "), "not even on a fresh connection");
}

#[test]
fn a_tcp_route_judges_connects() {
    let mut plan = Plan::to_instances(&[numbered(0), numbered(1)]);
    plan.listeners[0].tcp = Some("upstream".to_owned());
    plan.services[0].attempts = 3;
    let world = World::new(compile(&plan, 1).unwrap()).unwrap();
    let words = || [0, 1].map(|at| world.worker().cells.verdict(InstanceSlot(at)).load());
    let instances: Vec<_> = (0..20).map(|_| world.instance(&numbered(1))).collect();
    for instance in instances {
        let client = world.client();
        world.said(&client, "hello");
        assert_eq!(text(&instance), "hello");
    }
    assert_eq!(words().map(|word| word.has(Mark::Ejected)), [true, false]);
    assert_eq!(world.stats().upstream_failures.get(), 5);
}

#[test]
fn nobody_but_who_was_set_aside_is_better_than_nobody() {
    let played = Played::of(&[true; 3], |service| service.outlier.most_percent = 100);
    let outlier = |at| played.cells().outlier(ServiceId(0), InstanceSlot(at), 1);
    assert!(outlier(0).eject(3));
    assert_eq!(played.share_out(10), (vec![0, 5, 5], 0));
    played.mark(1, Mark::Draining);
    played.mark(2, Mark::Down);
    assert_eq!(played.share_out(10), (vec![10, 0, 0], 0));
    played.mark(0, Mark::Down);
    assert_eq!(played.share_out(10), (vec![0, 0, 0], 10), "it is down");
    played.cells().verdict(InstanceSlot(2)).clear(1, Mark::Down).unwrap();
    assert!(outlier(2).eject(3));
    assert_eq!(played.share_out(10), (vec![0, 0, 10], 0));
}

/// With these shares the instances get these parts of 100 requests, within two.
#[track_caller]
fn shared(shares: &[u16], expected: &[f64]) {
    const REQUESTS: usize = 20_000;
    let played = Played::up(shares.len());
    shares.iter().zip(0..).for_each(|(share, at)| played.set_share(at, *share));
    let worker = played.world.worker();
    let service =
        worker.with_snapshot(|snapshot| worker.locals.service(snapshot, ServiceId(0))).unwrap();
    let mut got = vec![0; shares.len()];
    for _ in 0..REQUESTS {
        let sought = Sought { current: true, failed: None };
        let next = service.next_instance(&worker.cells, sought, || worker.random());
        got[next.unwrap().instance.slot.index()] += 1;
    }
    for (got, expected) in got.iter().zip(expected) {
        let part = *got as f64 * 100.0 / REQUESTS as f64;
        assert!((part - expected).abs() < 2.0, "{part:.1} %: expected {expected} of {shares:?}");
    }
}

#[test]
fn requests_are_spread_as_shares_are() {
    shared(&[0, 0, 0], &[33.3, 33.3, 33.3]);
    shared(&[0, 32_768], &[66.7, 33.3]);
    shared(&[0, 6_554, 0], &[47.6, 4.8, 47.6]);
    shared(&[0, 16_384, 32_768, 49_152], &[40.0, 10.0, 20.0, 30.0]);
    // Nobody has all, as when all have just come back: still everyone gets some, and more who has more.
    shared(&[3_277; 4], &[25.0; 4]);
    shared(&[1, 1], &[50.0, 50.0]);
    shared(&[3_277, 6_554], &[33.3, 66.7]);
}

#[test]
fn shares_refuse_nobody_and_a_retry_goes_to_whoever_else_there_is() {
    let played = Played::up(2);
    [0, 1].into_iter().for_each(|at| played.set_share(at, 1));
    let (got, refused) = played.share_out(100);
    assert!(refused == 0 && got.iter().all(|got| *got > 20), "{got:?}");
    let played = Played::of(&[false, true], |_| {});
    played.set_share(1, 1);
    assert_eq!(played.share_out(4), (vec![0, 4], 0), "the other has almost no share");
}
