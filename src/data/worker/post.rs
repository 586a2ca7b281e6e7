//! What a worker shares with others: its mailbox and doorbell, its counters, the host's connection permits.
//!
//! One of the files of this package that may clone an `Arc` and write shared words (see `clippy.toml`). Nothing here runs
//! per request; what a worker itself writes is counted as `shared_writes`.

use std::io;
use std::os::fd::OwnedFd;
use std::ptr;
use std::sync::Arc;

use coregate_core::base::cells::{Cells, ConnectionPermits};
use coregate_core::base::counter::Counter;
use coregate_core::base::histogram::Histogram;
use coregate_core::base::ids::{InstanceSlot, ListenerId, ServiceId, SocketId, WorkerId};
use coregate_core::base::limits;
use coregate_core::base::mailbox::{Asked, Desk, Mailbox, Queue, Sent, Ticket};
use coregate_core::base::time::Span;
use coregate_core::policy::queue::Class;
use coregate_core::policy::quota::{Answer, Question};
use coregate_core::snapshot::reader::Reader;

use crate::worker::accounts::Decisions;
use crate::worker::holdings::Holdings;
use crate::worker::slots::PeerText;
use crate::worker::stats::WorkerStats;

/// What a worker can be told.
#[derive(Debug)]
pub enum Message {
    /// Take no more connections, finish what is in flight, return.
    Stop(Stop),
    /// Take connections from one more socket.
    Listen(Listening),
    /// Take no more from this one, and close it.
    Unlisten(SocketId),
    /// There is a new snapshot that was not asked for yet.
    Look,
    /// Answers have come.
    Answered,
    /// Say that messages are heard.
    Ping,
    /// End whatever is on its way to this use of an instance's slot: its time to drain is over.
    Cut(InstanceSlot, u16),
    /// Close idle connections: another worker has none, and needs room.
    Shed,
    /// There may be room for a request that waits for a service.
    Free,
    /// Serve this connection: another worker accepted it and has more to do.
    Adopt(Adopted),
}

/// How a worker stops.
#[derive(Debug, Clone, Copy)]
pub struct Stop {
    /// How long connections that wait for a request are kept for one that may be on its way.
    pub grace: Span,
    /// How long everything may take.
    pub time: Span,
    /// Whether another process goes on with the sockets: then what waits in them is left to it.
    pub handed_over: bool,
}

/// A listening socket of one worker.
#[derive(Debug)]
pub struct Listening {
    /// Which one it is.
    pub id: SocketId,
    /// Which listener it was made for; whose it is now is said by the snapshot
    /// ([`Doors`](coregate_core::snapshot::doors::Doors)).
    pub listener: ListenerId,
    /// The socket: bound, listening, non-blocking.
    pub socket: OwnedFd,
    /// A copy of it, for the task that accepts; the socket itself is for the worker's next life, should it die.
    pub copy: Option<OwnedFd>,
}

/// A connection on its way from one worker to another.
#[derive(Debug)]
pub struct Adopted {
    /// The connection.
    pub socket: OwnedFd,
    /// The listener it came by.
    pub listener: ListenerId,
    /// The client's address.
    pub peer: PeerText,
}

/// A worker as others see it.
#[derive(Debug)]
pub struct Post {
    mailbox: Mailbox<Adopted, Message>,
    answers: Queue<(Ticket, Answer)>,
    bell: OwnedFd,
    /// Its counters.
    pub stats: WorkerStats,
    /// What it has of bulkheads.
    pub holdings: Holdings,
    /// What rates said of requests, by route.
    pub decisions: Decisions,
    /// The pings that it has answered.
    pub pongs: Counter,
    /// The kernel's id of its thread, once it runs.
    pub thread: Counter,
    /// How late its timer fires, in microseconds.
    pub lateness: Histogram,
}

/// What is told by a knock: it says the same however often it comes.
const LOOK: u8 = 1;
const PING: u8 = 2;
const SHED: u8 = 4;
const ANSWERED: u8 = 16;
const FREE: u8 = 8;

impl Post {
    /// A post whose doorbell is rung by writing to `bell`.
    pub fn new(bell: OwnedFd) -> Self {
        Self {
            mailbox: Mailbox::new(limits::MAILBOX_MESSAGES, limits::MAILBOX_ORDERS),
            answers: Queue::new(limits::ANSWERS),
            bell,
            stats: WorkerStats::default(),
            holdings: Holdings::default(),
            decisions: Decisions::default(),
            pongs: Counter::default(),
            thread: Counter::default(),
            lateness: Histogram::default(),
        }
    }

    /// Tells the worker something, or gives a message back if there is no room for it, or nobody to hear it: of connections
    /// perhaps another than this one. Shared writes.
    pub fn tell(&self, message: Message) -> Result<(), Message> {
        let sent = match message {
            Message::Look => self.mailbox.knock(LOOK),
            Message::Ping => self.mailbox.knock(PING),
            Message::Shed => self.mailbox.knock(SHED),
            Message::Answered => self.mailbox.knock(ANSWERED),
            Message::Free => self.mailbox.knock(FREE),
            Message::Adopt(adopted) => self.mailbox.send(adopted).map_err(Message::Adopt)?,
            order => self.mailbox.order(order)?,
        };
        if sent == Sent::Ring {
            // A full socket buffer means that the bell is ringing already.
            let _: Result<usize, _> = rustix::io::write(&self.bell, &[1]);
        }
        Ok(())
    }

    /// Answers what the worker has asked under this ticket. Where there is no room for it, who waits finds out in time that no answer
    /// comes. Shared writes.
    pub fn answer(&self, ticket: Ticket, answer: Answer) {
        if self.answers.put((ticket, answer)).is_ok() {
            // A knock is always taken.
            let _ = self.tell(Message::Answered);
        }
    }

    /// The worker's own side: the oldest answer.
    pub fn next_answer(&self) -> Option<(Ticket, Answer)> {
        self.answers.take()
    }

    /// The worker's own side: it goes, and reads no more than what waits now.
    pub fn close(&self) {
        self.mailbox.close();
    }

    /// Says that there may be room for a request that waits there. A shared write.
    pub fn knock_free(&self) {
        // A knock is always taken.
        let _ = self.tell(Message::Free);
    }

    /// Whether the worker has gone, or is going.
    pub fn is_closed(&self) -> bool {
        self.mailbox.is_closed()
    }

    /// Connections that it has, and those that wait for it.
    fn load(&self) -> u64 {
        self.stats.connections_open.get() + self.mailbox.len() as u64
    }

    /// The worker's own side: the next message. What is ordered comes before connections.
    pub fn next(&self) -> Option<Message> {
        let knocks = self.mailbox.knocks();
        if knocks != 0 {
            // One at a time; the others knock again.
            let first = knocks & knocks.wrapping_neg();
            if knocks != first {
                let _ = self.mailbox.knock(knocks & !first);
            }
            return Some(match first {
                LOOK => Message::Look,
                PING => Message::Ping,
                SHED => Message::Shed,
                FREE => Message::Free,
                _ => Message::Answered,
            });
        }
        self.mailbox.next_order().or_else(|| self.mailbox.receive().map(Message::Adopt))
    }

    /// The worker's own side: whether it may sleep now.
    pub fn may_sleep(&self) -> bool {
        self.mailbox.arm()
    }
}

/// All workers of the process and what they share.
#[derive(Debug, Clone)]
pub struct Posts {
    all: Arc<[Post]>,
    readers: Arc<[Reader]>,
    permits: Arc<ConnectionPermits>,
    /// Where they ask; none: nobody answers.
    desk: Option<Arc<Desk<Question>>>,
}

impl Posts {
    /// The posts and what the workers say of snapshots, by worker id, and the connection permits of the host.
    pub fn new(all: Vec<Post>, readers: Arc<[Reader]>, permits: ConnectionPermits) -> Self {
        debug_assert_eq!(all.len(), readers.len());
        Self { all: all.into(), readers, permits: Arc::new(permits), desk: None }
    }

    /// The same workers, who ask at this desk.
    #[must_use]
    pub fn asking(self, desk: Arc<Desk<Question>>) -> Self {
        Self { desk: Some(desk), ..self }
    }

    /// Asks for a worker; `false`: there is no room, or nobody to hear it. Two shared writes.
    #[must_use = "what is not asked is not answered"]
    pub fn ask(&self, by: WorkerId, ticket: Option<Ticket>, question: Question) -> bool {
        self.all[by.index()].stats.shared_writes.add(2);
        let asked = Asked { by, ticket, question };
        self.desk.as_ref().is_some_and(|desk| desk.ask(asked).is_ok())
    }

    /// What each worker says of the snapshots that it reads, by worker id.
    pub fn readers(&self) -> &[Reader] {
        &self.readers
    }

    /// All posts, by worker id.
    pub fn all(&self) -> &[Post] {
        &self.all
    }

    /// Takes a connection permit of the host for a worker; `false`: there is none left. Two shared writes.
    #[must_use = "a permit that was taken must be released"]
    pub fn acquire(&self, worker: WorkerId) -> bool {
        self.all[worker.index()].stats.shared_writes.add(2);
        self.permits.acquire()
    }

    /// Gives permits back. Two shared writes.
    pub fn release(&self, worker: WorkerId, count: u64) {
        self.all[worker.index()].stats.shared_writes.add(2);
        self.permits.release(count);
    }

    /// How many permits are taken.
    pub fn permits_taken(&self) -> u64 {
        self.permits.open()
    }

    /// Who is to have room that came free in a service on this worker: of all that wait in the highest class, one by chance. `None`:
    /// one of this worker's own, or nobody. `random`: 64 bits.
    pub fn next_of_others(
        &self,
        this: WorkerId,
        service: ServiceId,
        random: impl FnOnce() -> u64,
    ) -> Option<&Post> {
        let count = |post: &Post, class| u64::from(post.holdings.waiting(service, class));
        let all = |class| self.all.iter().map(|post| count(post, class)).sum();
        let (class, all): (_, u64) =
            Class::ALL.into_iter().map(|class| (class, all(class))).find(|(_, all)| *all > 0)?;
        let mut drawn = random() % all;
        let post = self.all.iter().find(|post| {
            let waiting = count(post, class);
            let found = drawn < waiting;
            drawn = drawn.saturating_sub(waiting);
            found
        });
        post.filter(|post| !ptr::eq(*post, &self.all[this.index()]))
    }

    /// Gives back what a worker that died had of bulkheads, and tells those who wait for that.
    pub fn bury(&self, worker: WorkerId, cells: &Cells) {
        self.all[worker.index()].holdings.give_back(cells);
        self.all.iter().for_each(Post::knock_free);
    }

    /// The worker with the most idle connections, but for this one, if any has some.
    pub fn idlest_but(&self, this: WorkerId) -> Option<&Post> {
        let others = self.all.iter().enumerate().filter(|(at, _)| *at != this.index());
        let idle = |post: &&Post| post.stats.connections_idle.get();
        others.map(|(_, post)| post).max_by_key(idle).filter(|post| idle(post) > 0)
    }

    /// The worker with the fewest connections, waiting ones included, and how many it has.
    pub fn least_busy(&self) -> Option<(usize, u64)> {
        self.all.iter().map(Post::load).enumerate().min_by_key(|(_, load)| *load)
    }
}

/// A pair of sockets for a doorbell: who rings writes to the first, the worker waits on the second.
pub fn doorbell() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ring, hear) = std::os::unix::net::UnixStream::pair()?;
    ring.set_nonblocking(true)?;
    hear.set_nonblocking(true)?;
    Ok((ring.into(), hear.into()))
}
