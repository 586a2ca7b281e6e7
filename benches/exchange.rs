//! Whole exchanges over the transport in memory: no socket, no kernel, so instructions are ours alone.
//!
//! `cargo bench --bench exchange` gives time, `perf/instructions` gives instructions, the same on any machine and load;
//! `perf/instructions --guarded` those of a request that shows a key and is limited twice.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::time::Duration;

use coregate_core::policy::credential::KeyDigest;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{
    Address, AuthPlan, ConsumerPlan, KeyPlan, Per, Plan, RatePlan, RateTerms,
};
use coregate_data::transport::memory::End;
use coregate_data::world::World;
use criterion::Criterion;

const REQUEST: &[u8] = b"GET /users/7?full=yes HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
const GUARDED: &[u8] = b"GET /users/7?full=yes HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\nX-Api-Key: key-of-ann\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nContent-Length: 16\r\n\r\n0123456789abcdef";

struct Exchange {
    request: &'static [u8],
    world: World,
    client: End,
    instance: End,
}

impl Exchange {
    fn new(guarded: bool) -> Self {
        let address = Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)));
        let mut plan = Plan::to_instances(std::slice::from_ref(&address));
        if guarded {
            guard(&mut plan);
        }
        let world = World::new(compile(&plan, 1).unwrap()).unwrap();
        let (client, instance) = (world.client(), world.instance(&address));
        let request = if guarded { GUARDED } else { REQUEST };
        Self { request, world, client, instance }
    }

    /// One request there, one answer back.
    #[inline(never)]
    fn counted_exchange(&self) {
        self.client.push(self.request);
        self.world.run();
        assert!(!self.instance.take().is_empty());
        self.instance.push(ANSWER);
        self.world.run();
        assert!(!self.client.take().is_empty());
    }
}

/// A key is asked for, and there are two limits that nobody reaches.
fn guard(plan: &mut Plan) {
    let keys = vec![KeyPlan { digest: KeyDigest::of(b"key-of-ann"), expires: None }];
    plan.consumers = vec![ConsumerPlan { name: "ann".into(), groups: Vec::new(), keys }];
    let many = NonZeroU64::new(1_000_000).unwrap();
    let terms = RateTerms { count: many, window: Duration::from_secs(1), burst: many };
    let rate = |name: &str, per| RatePlan { per: vec![per], ..RatePlan::named(name, terms) };
    plan.rates =
        vec![rate("consumer", Per::Consumer), rate("address", Per::Address { v4: 24, v6: 64 })];
    let policies = &mut plan.routes[0].policies;
    policies.auth = Some(AuthPlan::KEY.to_owned());
    policies.rates = vec!["consumer".into(), "address".into()];
}

fn main() {
    let exchange = Exchange::new(std::env::args().any(|argument| argument == "--guarded"));
    for _ in 0..100 {
        exchange.counted_exchange();
    }
    let mut arguments = std::env::args().skip_while(|argument| argument != "--count");
    if let Some(count) = arguments.nth(1) {
        let count: u32 = count.parse().unwrap();
        (0..count).for_each(|_| exchange.counted_exchange());
        println!("{count} exchanges");
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    for (name, guarded) in
        [("exchange in memory", false), ("the same, with a key and limits", true)]
    {
        let exchange = Exchange::new(guarded);
        criterion.bench_function(name, |bencher| bencher.iter(|| exchange.counted_exchange()));
    }
    criterion.final_summary();
}
