//! A worker in this process.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread::{self, JoinHandle};

use coregate_control::registry::publish::Publisher;
use coregate_core::base::cells::{Cells, ConnectionPermits};
use coregate_core::base::ids::{ListenerId, WorkerId};
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{Address, Plan};
use coregate_data::worker::context::{Reach, Worker};
use coregate_data::worker::post::{Message, Post, Posts, doorbell};
use coregate_data::worker::runtime::{self, Wanted};
use coregate_data::worker::serve::{Listening, serve};
use coregate_data::worker::stats::WorkerStats;
use socket2::SockRef;

use crate::allocator;

/// Everything goes to one service with these instances.
pub(crate) fn snapshot(instances: &[Address]) -> Snapshot {
    compile(&Plan::to_instances(instances), 1).unwrap()
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
        let permits = ConnectionPermits::new(Cells::owned(0), 0, 100);
        let posts = Posts::new(vec![Post::new(ring, 16)], permits);
        let publisher = Publisher::new(&Plan::to_instances(&[Address::Tcp(origin)])).unwrap();
        let shared = posts.clone();
        let thread = thread::spawn(move || {
            let mut built = runtime::build(io).unwrap();
            let reach = Reach::Sockets { blocking: built.rung.wants_blocking() };
            let worker =
                Worker::new(WorkerId(0), shared, publisher.pointer(), reach, (7, "coregate"))
                    .unwrap();
            let socket = Listening { listener: ListenerId(0), socket: listener.into() };
            let sockets = RefCell::new(vec![socket]);
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
        self.posts.all()[0].tell(Message::Stop).unwrap();
        self.thread.join().unwrap();
    }
}
