//! A limit means what it says on this host, however many workers there are: counted at the origin.

use std::time::{Duration, Instant};

use super::{ANN, gateway, with_key};
use crate::harness::origin::Origin;

/// Connections that ask at once: the kernel spreads them over the workers.
const CLIENTS: usize = 12;

#[test]
fn two_workers_admit_no_more_than_one_would() {
    for (workers, rate, burst, time) in [
        (1, 100, 50, Duration::from_millis(1_500)),
        (2, 100, 50, Duration::from_millis(1_500)),
        // Here workers lease slabs.
        (2, 200, 2_000, Duration::from_millis(1_000)),
    ] {
        let origin = Origin::named("s");
        let gateway = gateway(
            workers,
            &origin,
            &format!(
                "[routes]\n\"/*\" = {{ to = \"s\", auth = \"key\", rate = {{ limit = \"{rate}/s\", burst = {burst}, per = \"consumer\" }} }}"
            ),
        );
        let began = Instant::now();
        let counts = std::thread::scope(|scope| {
            let one = || {
                let mut client = gateway.client();
                let (mut admitted, mut refused) = (0_usize, 0_usize);
                while began.elapsed() < time {
                    match client.send(with_key("/a", ANN)).response().status {
                        200 => admitted += 1,
                        429 => refused += 1,
                        status => panic!("{status}"),
                    }
                }
                (admitted, refused)
            };
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(one)).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
        });
        let took = began.elapsed().as_secs_f64();
        let admitted: usize = counts.iter().map(|(admitted, _)| admitted).sum();
        let refused: usize = counts.iter().map(|(_, refused)| refused).sum();
        assert_eq!(origin.take().len(), admitted);
        let most = f64::from(rate) * took + f64::from(burst);
        println!(
            "{workers} workers, {rate}/s, burst {burst}: {admitted} of {most:.0}, {refused} refused"
        );
        assert!(admitted as f64 <= most, "{admitted} of at most {most}");
        let stats = gateway.stats_when("all are counted", |stats| {
            stats.total("rates_admitted") == admitted as u64
                && stats.total("rates_refused") == refused as u64
        });
        assert_eq!(stats.total("authentications.known"), (admitted + refused) as u64);
        // Where one was refused, what there was at once had been taken, but for what workers hold leased.
        if refused > 0 {
            assert!(admitted as f64 >= f64::from(burst) * 0.9, "{admitted} of a burst of {burst}");
        }
    }
}
