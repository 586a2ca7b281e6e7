//! Whole exchanges over the transport in memory: no socket, no kernel, so instructions are ours alone.
//!
//! `cargo bench --bench exchange` gives time, `perf/instructions` gives instructions, the same on any machine and load.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::net::{Ipv4Addr, SocketAddr};

use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{Address, Plan};
use coregate_data::transport::memory::End;
use coregate_data::world::World;
use criterion::Criterion;

const REQUEST: &[u8] = b"GET /users/7?full=yes HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nContent-Length: 16\r\n\r\n0123456789abcdef";

struct Exchange {
    world: World,
    client: End,
    instance: End,
}

impl Exchange {
    fn new() -> Self {
        let address = Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)));
        let plan = Plan::to_instances(std::slice::from_ref(&address));
        let world = World::new(compile(&plan, 1).unwrap()).unwrap();
        let (client, instance) = (world.client(), world.instance(&address));
        Self { world, client, instance }
    }

    /// One request there, one answer back.
    #[inline(never)]
    fn counted_exchange(&self) {
        self.client.push(REQUEST);
        self.world.run();
        assert!(!self.instance.take().is_empty());
        self.instance.push(ANSWER);
        self.world.run();
        assert!(!self.client.take().is_empty());
    }
}

fn main() {
    let exchange = Exchange::new();
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
    criterion.bench_function("exchange in memory", |bencher| {
        bencher.iter(|| exchange.counted_exchange());
    });
    criterion.final_summary();
}
