//! A worker in this process.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use coregate_control::registry::thread::Registry;
use coregate_core::base::cells::{Cells, ConnectionPermits};
use coregate_core::base::ids::{ListenerId, SocketId, WorkerId};
use coregate_core::base::time::Span;
use coregate_core::policy::credential::KeyDigest;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{
    Action, Address, AuthPlan, ConsumerPlan, Cost, Forward, HostPattern, KeyPlan, PathPattern, Per,
    Plan, RatePlan, RateTerms, Redirect, Respond, Rewrite, RoutePlan, RoutePolicies, Share,
    Template,
};
use coregate_core::snapshot::reader::Reader;
use coregate_data::worker::context::{Reach, Worker};
use coregate_data::worker::post::{Listening, Message, Post, Posts, Stop, doorbell};
use coregate_data::worker::runtime::{self, Wanted};
use coregate_data::worker::serve::{Sockets, serve};
use coregate_data::worker::stats::WorkerStats;
use socket2::SockRef;

use crate::allocator;

/// Everything goes to one service with these instances.
pub(crate) fn snapshot(instances: &[Address]) -> Snapshot {
    compile(&Plan::to_instances(instances), 1).unwrap()
}

/// The same, and routes that do something else too: `/go` leads elsewhere, `/own` is answered here, `/api` goes on without that
/// and is split between two services, `/as` goes on as another path, `/keyed` is for consumers and limited.
fn plan(origin: SocketAddr) -> Plan {
    let mut plan = Plan::to_instances(&[Address::Tcp(origin)]);
    let mut other = plan.services[0].clone();
    other.name = "other".into();
    let shares = [(&plan.services[0], 6_000), (&other, 4_000)];
    let to = shares.map(|(service, weight)| Share { service: service.name.clone(), weight });
    let split = Forward { to: to.into(), rewrite: Rewrite::Strip("/api".into()) };
    let pattern: PathPattern = "/as/{kind}/{id}".parse().unwrap();
    let as_other = Rewrite::To(Template::path("/{kind}/{id}", &pattern).unwrap());
    let as_other = Forward { rewrite: as_other, ..Forward::to(&plan.services[0].name) };
    let whole: PathPattern = "/go/*".parse().unwrap();
    let location = Template::location("https://{host}/new/{*}", &whole).unwrap();
    let headers = vec![("Content-Type".into(), "text/plain".into())];
    let own = Respond { status: 200, headers, body: b"endoflength".into() };
    plan.services.push(other);
    let keyed =
        Forward { rewrite: Rewrite::Strip("/keyed".into()), ..Forward::to(&plan.services[0].name) };
    guard(&mut plan, keyed);
    for (path, action) in [
        (whole, Action::Redirect(Redirect { status: 307, to: location })),
        ("/own".parse().unwrap(), Action::Respond(own)),
        ("/api/*".parse().unwrap(), Action::Forward(split)),
        (pattern, Action::Forward(as_other)),
    ] {
        let route = RoutePlan::to(HostPattern::Any, path, "");
        plan.routes.push(RoutePlan { action, ..route });
    }
    plan
}

/// `/keyed`: a key is asked for, and two limits are there that nobody reaches.
fn guard(plan: &mut Plan, keyed: Forward) {
    let keys = vec![KeyPlan { digest: KeyDigest::of(b"key-of-ann"), expires: None }];
    plan.consumers = vec![ConsumerPlan { name: "ann".into(), groups: Vec::new(), keys }];
    let many = NonZeroU64::new(1_000_000).unwrap();
    let terms = RateTerms { count: many, window: Duration::from_secs(1), burst: many };
    let rate = |name: &str, per| RatePlan { per: vec![per], ..RatePlan::named(name, terms) };
    plan.rates = vec![
        rate("consumer", Per::Consumer),
        RatePlan {
            cost: Cost::Answer("x-cost".into()),
            ..rate("address", Per::Address { v4: 24, v6: 64 })
        },
    ];
    let route = RoutePlan::to(HostPattern::Any, "/keyed/*".parse().unwrap(), "");
    let policies = RoutePolicies {
        auth: Some(AuthPlan::KEY.to_owned()),
        rates: vec!["consumer".into(), "address".into()],
        ..RoutePolicies::default()
    };
    plan.routes.push(RoutePlan { action: Action::Forward(keyed), policies, ..route });
}

/// A running worker whose allocations count.
pub(crate) struct Gateway {
    address: SocketAddr,
    posts: Posts,
    thread: JoinHandle<()>,
}

impl Gateway {
    pub(crate) fn start(io: Wanted, origin: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        SockRef::from(&listener).set_tcp_nodelay(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (ring, bell) = doorbell().unwrap();
        let cells = Cells::owned(16);
        let readers: Arc<[_]> = [Reader::new(16)].into();
        let permits = ConnectionPermits::new(cells.clone(), 0, 100);
        let posts = Posts::new(vec![Post::new(ring)], Arc::clone(&readers), permits);
        let registry = Registry::new(plan(origin), cells.clone(), readers, None).unwrap();
        let shared = (posts.clone(), cells);
        let thread = thread::spawn(move || {
            let mut built = runtime::build(io).unwrap();
            let reach = Reach::Sockets { blocking: built.rung.wants_blocking() };
            let worker =
                Worker::new(WorkerId(0), shared, registry.pointer(), reach, (7, "coregate"))
                    .unwrap();
            let (id, socket) = (SocketId(0), listener.into());
            let sockets =
                Sockets::new(vec![Listening { id, listener: ListenerId(0), socket, copy: None }]);
            allocator::count_this_thread();
            built.runtime.block_on(serve(Rc::new(worker), &sockets, bell)).unwrap();
        });
        Self { address, posts, thread }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_nodelay(true).unwrap();
        client
    }

    pub(crate) fn stats(&self) -> &WorkerStats {
        &self.posts.all()[0].stats
    }

    pub(crate) fn stop(self) {
        let now = Span::of_ticks(0);
        let stop = Stop { grace: now, time: Span::of_ticks(100), handed_over: false };
        self.posts.all()[0].tell(Message::Stop(stop)).unwrap();
        self.thread.join().unwrap();
    }
}
