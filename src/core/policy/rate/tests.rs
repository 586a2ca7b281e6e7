//! Rates: whose bucket a request draws on, and any play of workers, against what the limit says.

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use proptest::prelude::*;

use super::{Bucket, Buckets, Facts, look, reset};
use crate::base::cells::{BucketTable, Cells};
use crate::http::head::{Field, Head, Span};
use crate::http::hop::Role;
use crate::snapshot::consumers::Consumer;
use crate::snapshot::limits::Limit;
use crate::snapshot::names::Names;
use crate::snapshot::plan::{Cost, Per, RatePlan, RateTerms, Scope};

const SECOND: u64 = 1_000_000_000;

fn plan(count: u64, window: Duration, burst: u64) -> RatePlan {
    let [count, burst] = [count, burst].map(|n| NonZeroU64::new(n).unwrap());
    RatePlan::named("api", RateTerms { count, window, burst })
}

fn limit(plan: &RatePlan) -> Limit {
    Limit::new(plan, &mut Names::default())
}

/// So many a second.
fn a_second(count: u64, burst: u64) -> Limit {
    limit(&plan(count, Duration::from_secs(1), burst))
}

/// A token each so many ns.
fn every(period: u64, burst: u64) -> RatePlan {
    plan(1, Duration::from_nanos(period), burst)
}

/// What is told of a request that nothing tells from others.
fn anybody(head: &Head) -> Facts<'_> {
    Facts { consumer: None, address: None, head, route: "", service: "" }
}

fn head(fields: &[(&str, &str)]) -> Head {
    let mut head = Head::default();
    for (name, value) in fields {
        let start = head.page.len();
        head.page.extend_from_slice(name.as_bytes());
        let middle = head.page.len();
        head.page.extend_from_slice(value.as_bytes());
        let (name, value) = (Span::new(start..middle), Span::new(middle..head.page.len()));
        head.fields.push(Field { name, value, role: Role::EndToEnd });
    }
    head
}

fn consumer(name: &str, groups: &[u16]) -> Consumer {
    Consumer { name: name.into(), groups: groups.into() }
}

#[test]
fn what_a_limit_tells_apart_has_buckets_of_its_own() {
    let cells = Cells::owned(0);
    let of = |per: &[Per], facts: Facts<'_>| {
        let mut plan = plan(1, Duration::from_secs(1), 1);
        plan.per = per.to_vec();
        Bucket::of(&cells, &limit(&plan), &facts)
    };
    let (plain, other) = (head(&[]), head(&[("X-Tenant", "a"), ("x-tenant", "b")]));
    let (mobile, web) = (consumer("mobile", &[]), consumer("web", &[]));
    let base = anybody(&plain);
    let address = |text: &str| Facts { address: Some(text.parse::<IpAddr>().unwrap()), ..base };
    let known = |consumer| Facts { consumer: Some(consumer), ..base };
    let network = [Per::Address { v4: 24, v6: 64 }];
    let tenant = [Per::Header("x-tenant".into())];

    assert_eq!(of(&[], base), of(&[], known(&mobile)));
    assert_ne!(of(&[Per::Consumer], known(&mobile)), of(&[Per::Consumer], known(&web)));
    assert_ne!(of(&[Per::Consumer], known(&mobile)), of(&[Per::Consumer], base));
    assert_eq!(of(&network, address("10.1.2.3")), of(&network, address("::ffff:10.1.2.99")));
    assert_ne!(of(&network, address("10.1.2.3")), of(&network, address("10.1.3.3")));
    assert_eq!(of(&network, address("2001:db8::1")), of(&network, address("2001:db8::ffff:1")));
    assert_ne!(of(&network, address("2001:db8::1")), of(&network, address("2001:db8:0:1::1")));
    assert_ne!(of(&network, base), of(&network, address("0.0.0.0")));
    let all = [Per::Address { v4: 32, v6: 128 }];
    assert_ne!(of(&all, address("10.1.2.3")), of(&all, address("10.1.2.4")));
    assert_ne!(of(&all, address("2001:db8::1")), of(&all, address("2001:db8::2")));
    assert_ne!(of(&tenant, base), of(&tenant, Facts { head: &other, ..base }));
    assert_eq!(
        of(&tenant, Facts { head: &other, ..base }),
        of(&tenant, Facts { head: &head(&[("x-TENANT", "a")]), ..base })
    );
    // The same name, of something else.
    let named = Facts { route: "mobile", service: "mobile", ..known(&mobile) };
    let [by_consumer, by_route, by_service] =
        [Per::Consumer, Per::Route, Per::Service].map(|per| of(&[per], named));
    assert!(by_consumer != by_route && by_route != by_service && by_service != by_consumer);
    assert_eq!(
        (by_route.table, of(&network, base).table),
        (BucketTable::Known, BucketTable::Strangers)
    );
    // Another limit, and another host.
    let mut plan = plan(1, Duration::from_secs(1), 1);
    plan.name = "web".into();
    assert_ne!(Bucket::of(&cells, &limit(&plan), &base).key, of(&[], base).key);
}

#[test]
fn a_ruling_says_how_much_is_left_and_when_to_come_again() {
    let (buckets, head) = (Buckets::new(Cells::owned(0), 2), head(&[]));
    let (limit, facts, now) = (a_second(10, 3), anybody(&head), 5 * SECOND);
    let before = buckets.check(&limit, &facts, now);
    assert!(before.admitted && before.remaining == 2 && before.reset == Duration::ZERO);
    let seen = [(); 4].map(|()| buckets.spend(&limit, &facts, || now));
    let numbers = seen.map(|ruling| (ruling.admitted, ruling.remaining, ruling.reset.as_millis()));
    assert_eq!(numbers, [(true, 2, 100), (true, 1, 200), (true, 0, 300), (false, 0, 300)]);
    assert_eq!((seen[3].limit, seen[3].wait), (3, Some(Duration::from_millis(100))));
    assert_eq!(look(&buckets.cells, &limit, &facts, now + 100_000_000).wait, None);
    buckets.owe(&limit, seen[0].bucket, 2, now);
    assert_eq!(buckets.check(&limit, &facts, now).wait, Some(Duration::from_millis(300)));
    assert!(reset(&buckets.cells, seen[0].bucket, now));
    assert!(buckets.check(&limit, &facts, now).admitted);
}

#[test]
fn ten_a_minute_with_a_burst_of_one_are_exact() {
    let (cells, head) = (Cells::owned(0), head(&[]));
    let limit = limit(&plan(10, Duration::from_secs(60), 1));
    let workers: Vec<_> = (0..16).map(|_| Buckets::new(cells.clone(), 16)).collect();
    let admitted = (0..600_000_u64).filter(|milli| {
        let worker = &workers[(milli % 16) as usize];
        worker.spend(&limit, &anybody(&head), || milli * 1_000_000).admitted
    });
    assert_eq!(admitted.count(), 100, "ten minutes");
}

#[test]
fn consumers_of_a_group_have_its_terms() {
    let (buckets, head) = (Buckets::new(Cells::owned(0), 1), head(&[]));
    let mut plan = plan(1, Duration::from_secs(1), 1);
    plan.per = vec![Per::Consumer];
    let [count, burst] = [5; 2].map(|n| NonZeroU64::new(n).unwrap());
    plan.groups = vec![("gold".into(), RateTerms { count, window: Duration::from_secs(1), burst })];
    let mut names = Names::default();
    let limit = Limit::new(&plan, &mut names);
    let (gold, tin) = (consumer("a", &[names.known("gold").unwrap()]), consumer("b", &[]));
    let taken = [&gold, &tin].map(|consumer| {
        let facts = Facts { consumer: Some(consumer), ..anybody(&head) };
        (0..10).filter(|_| buckets.spend(&limit, &facts, || SECOND).admitted).count()
    });
    assert_eq!(taken, [5, 1]);
}

#[test]
fn a_limit_of_scope_worker_is_each_workers_own() {
    let (cells, head) = (Cells::owned(0), head(&[]));
    let workers = [(); 3].map(|()| Buckets::new(cells.clone(), 3));
    let mut plan = plan(1, Duration::from_secs(1), 1_000);
    plan.scope = Scope::Worker;
    let limit = limit(&plan);
    for worker in &workers {
        let taken = (0..2_000).filter(|_| worker.spend(&limit, &anybody(&head), || 1).admitted);
        assert_eq!(taken.count(), 1_000);
    }
    assert!(look(&cells, &limit, &anybody(&head), 1).admitted);
    assert_eq!(cells.keys(BucketTable::Known).in_use(1, 1), 0);
}

#[test]
fn a_rate_changes_without_a_reset() {
    let (buckets, head) = (Buckets::new(Cells::owned(0), 1), head(&[]));
    let facts = anybody(&head);
    let spend = |limit: &Limit, now| buckets.spend(limit, &facts, || now).admitted;
    let (slow, fast) = (a_second(10, 10), a_second(1_000, 1_000));
    assert_eq!((0..20).filter(|_| spend(&slow, SECOND)).count(), 10);
    // The bucket is one second from full under either; what comes now comes at the new rate.
    assert!(!spend(&fast, SECOND));
    let taken = (0..1_000).filter(|milli| spend(&fast, SECOND + milli * 1_000_000)).count();
    // But for the slabs that are kept back of its burst.
    assert!((975..=1_000).contains(&taken), "{taken}");
    assert!(!spend(&slow, 2 * SECOND));
}

#[test]
fn a_lone_worker_of_many_gets_what_there_is() {
    let head = head(&[]);
    for (workers, rate, burst) in
        [(1, 1_000, 1_000), (8, 10_000, 10_000), (64, 100_000, 50_000), (4, 1_000, 10)]
    {
        let buckets = Buckets::new(Cells::owned(0), workers);
        let limit = a_second(rate, burst);
        // Twice as often as tokens come.
        let (mut admitted, tokens) = (0_u64, 5 * burst + 5_000);
        for turn in 0..2 * tokens {
            let now = SECOND + turn * (SECOND / rate / 2);
            admitted += u64::from(buckets.spend(&limit, &anybody(&head), || now).admitted);
        }
        let (most, least) = (tokens + burst, tokens * 99 / 100);
        assert!((least..=most).contains(&admitted), "{workers} {rate} {burst}: {admitted}");
    }
}

#[test]
fn a_million_addresses_leave_a_consumer_as_it_is() {
    let (cells, head) = (Cells::owned(0), head(&[]));
    let buckets = Buckets::new(cells.clone(), 1);
    let by = |per: Per| {
        let mut plan = plan(1, Duration::from_secs(60), 5);
        plan.per = vec![per];
        limit(&plan)
    };
    let (address, own) = (by(Per::Address { v4: 32, v6: 128 }), by(Per::Consumer));
    let mobile = consumer("mobile", &[]);
    let known = Facts { consumer: Some(&mobile), ..anybody(&head) };
    let (mut admitted, mut shared) = (0, 0);
    for number in 0..1_000_000_u32 {
        let now = SECOND + u64::from(number) * 60_000;
        let stranger =
            Facts { address: Some(IpAddr::from(number.to_be_bytes())), ..anybody(&head) };
        shared += usize::from(buckets.spend(&address, &stranger, || now).shared);
        admitted += usize::from(buckets.spend(&own, &known, || now).admitted);
    }
    // A minute: the burst, and what came in it.
    assert_eq!(admitted, 5);
    assert_eq!(cells.keys(BucketTable::Known).in_use(SECOND, 1), 1);
    let ruling = look(&cells, &own, &known, 61 * SECOND);
    assert!(ruling.admitted && !ruling.shared && ruling.remaining == 0);
    assert!(shared > 0 && shared < 200_000, "{shared} of a million shared a bucket");
}

#[test]
fn strangers_who_fill_the_table_lock_nobody_out_who_shows_a_key() {
    let (buckets, head) = (Buckets::new(Cells::owned(0), 1), head(&[]));
    let from = |number: u64| {
        let address = IpAddr::from((u128::from(number) << 64).to_be_bytes());
        Facts { address: Some(address), ..anybody(&head) }
    };
    let failures = Limit::of_failures();
    let fail = || buckets.spend(&failures, &from(0), || SECOND);
    assert!((0..20).all(|_| fail().throttles().is_none()));
    assert_eq!(fail().throttles(), Some(Duration::from_millis(50)), "who has failed itself waits");
    let mut daily = plan(1, Duration::from_secs(86_400), 1);
    daily.per = vec![Per::Address { v4: 32, v6: 128 }];
    let daily = limit(&daily);
    for number in 1..300_000 {
        let _spent = buckets.spend(&daily, &from(number), || SECOND);
    }
    // What some sets share is not free again before tomorrow.
    let ruling = |number| buckets.check(&failures, &from(number), SECOND);
    let crowded = |number: &u64| !ruling(*number).admitted;
    let number = (1_000_000..5_000_000).find(crowded).unwrap();
    assert!(ruling(number).wait.is_some_and(|wait| wait > Duration::from_secs(80_000)));
    assert_eq!(ruling(number).throttles(), None);
}

/// Spends in the order of their clocks, of one token each: in every span at most what the terms allow.
fn within(limit: &Limit, mut spent: Vec<u64>) -> Result<(), String> {
    spent.sort_unstable();
    let period = i128::from(limit.terms.period().get());
    let ahead = period * i128::from(limit.terms.burst());
    let mut least = i128::MAX;
    for (count, at) in spent.iter().enumerate() {
        let level = count as i128 * period - i128::from(*at);
        least = least.min(level);
        if level + period - least > ahead {
            return Err(format!("the {count}th, at {at}, is one too many"));
        }
    }
    Ok(())
}

#[test]
fn sixteen_threads_on_one_key_stay_within_the_bound() {
    let (cells, head) = (Cells::owned(0), head(&[]));
    let start = std::time::Instant::now();
    for (rate, burst) in [(100_000, 50), (100_000, 16_000)] {
        let mut plan = plan(rate, Duration::from_secs(1), burst);
        plan.name = format!("of {burst}");
        let limit = limit(&plan);
        let threads = 16;
        let spent: Vec<u64> = std::thread::scope(|scope| {
            let run = || {
                let buckets = Buckets::new(cells.clone(), threads);
                let clock = || SECOND + start.elapsed().as_nanos() as u64;
                let end = clock() + SECOND / 5;
                let mut own = Vec::new();
                for mut now in std::iter::from_fn(|| Some(clock())).take_while(|now| *now < end) {
                    let read = std::cell::Cell::new(now);
                    let seen = || {
                        read.set(clock());
                        read.get()
                    };
                    if buckets.spend(&limit, &anybody(&head), seen).admitted {
                        now = read.get();
                        own.push(now);
                    }
                }
                own
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert!(spent.len() as u64 >= burst / 2, "{} were admitted", spent.len());
        within(&limit, spent).unwrap();
    }
}

/// One request: of which worker, and how much later than the one before.
type Step = (usize, u64);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// From one to 64 workers, each with a clock that lags by as much as it likes, and bursts that are leased and ones that are not: within
    /// what the limit says in every span. Each worker's requests count for what its own clock shows.
    #[test]
    fn any_play_of_workers_is_within_the_limit(
        lags in prop::collection::vec(0_u64..2_000, 1..=64), period in 1_u64..50, slabs in 0_u64..4, more in 1_u64..300,
        steps in prop::collection::vec((0_usize..64, 0_u64..60), 1..2_000),
    ) {
        let (cells, head) = (Cells::owned(0), head(&[]));
        let workers: Vec<_> = lags.iter().map(|_| Buckets::new(cells.clone(), lags.len())).collect();
        let limit = limit(&every(period, slabs * 100 * lags.len() as u64 + more));
        let (mut clock, mut spent) = (10_000, Vec::new());
        for (worker, later) in steps {
            let worker = worker % lags.len();
            clock += later / 10;
            let now = clock - lags[worker];
            if workers[worker].spend(&limit, &anybody(&head), || now).admitted {
                spent.push(now);
            }
        }
        prop_assert_eq!(within(&limit, spent), Ok(()));
    }

    /// In an upgrade the workers of two processes draw on a bucket, and those of one are gone at some time.
    #[test]
    fn two_processes_are_within_the_limit(
        workers in 1_usize..8, period in 1_u64..50, slab in 2_u64..20, gone in 0_usize..2_000,
        steps in prop::collection::vec((0_usize..16, 0_u64..60), 1..2_000),
    ) {
        let (cells, head) = (Cells::owned(0), head(&[]));
        let all: Vec<_> = (0..2 * workers)
            .map(|at| Buckets::new(cells.clone().in_epoch((at % 2) as u64), workers))
            .collect();
        let limit = limit(&every(period, slab * 100 * workers as u64));
        let (mut clock, mut spent) = (10_000, Vec::new());
        for (turn, (worker, later)) in steps.into_iter().enumerate() {
            let worker = worker % all.len();
            clock += later / 10;
            let living = turn < gone || worker % 2 == 1;
            if living && all[worker].spend(&limit, &anybody(&head), || clock).admitted {
                spent.push(clock);
            }
        }
        prop_assert_eq!(within(&limit, spent), Ok(()));
    }

    /// What a check says of a moment is what a spend does in it, leased or not.
    #[test]
    fn a_check_says_what_a_spend_does(burst in 1_u64..1_000, cost in 1_u64..5, steps in prop::collection::vec(any::<Step>(), 1..300)) {
        let (cells, head) = (Cells::owned(0), head(&[]));
        let workers = [(); 2].map(|()| Buckets::new(cells.clone(), 2));
        let mut plan = every(20, burst);
        plan.cost = Cost::Fixed(NonZeroU64::new(cost).unwrap());
        let (limit, mut now) = (limit(&plan), 1_000);
        for (worker, later) in steps {
            now += later % 50;
            let worker = &workers[worker % 2];
            let checked = worker.check(&limit, &anybody(&head), now);
            let spent = worker.spend(&limit, &anybody(&head), || now);
            prop_assert_eq!((checked.admitted, checked.wait), (spent.admitted, spent.wait));
        }
    }
}
