//! Mailboxes: how one thread tells a worker something.
//!
//! Three ways in, and a flag that says whether the reader sleeps: *orders*, which must not be lost and have room of their own;
//! *messages*, of which a flood may come, and whose senders can go on without; *knocks*, a bit each, which say the same however often
//! they come, so that a reader who does not look is not filled up with them. The reader arms the flag before it waits on its
//! doorbell (a socket that this package does not know); a sender that finds it armed must ring the bell, one that does not need not:
//! the reader looks once more after it armed the flag, so nothing is missed.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};

use crossbeam::queue::ArrayQueue;

use crate::base::ids::WorkerId;

/// Ways to tell one reader something, with the flag of its doorbell.
#[derive(Debug)]
pub struct Mailbox<M, O> {
    messages: ArrayQueue<M>,
    orders: ArrayQueue<O>,
    knocks: AtomicU8,
    armed: AtomicBool,
    closed: AtomicBool,
}

/// What a sender must do after what it sent was taken.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a sleeping reader sees it only once its bell rings"]
pub enum Sent {
    /// The reader is awake, or another sender rings.
    Awake,
    /// The reader sleeps: ring its bell.
    Ring,
}

impl<M, O> Mailbox<M, O> {
    /// A mailbox for so many waiting messages, and orders.
    pub fn new(messages: usize, orders: usize) -> Self {
        Self {
            messages: ArrayQueue::new(messages),
            orders: ArrayQueue::new(orders),
            knocks: AtomicU8::new(0),
            armed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Puts a message into the box, or gives one back when the box is full or closed: this one, or another that would
    /// otherwise lie there unread.
    pub fn send(&self, message: M) -> Result<Sent, M> {
        self.messages.push(message)?;
        fence(Ordering::SeqCst);
        // The reader closes and then empties the box: what it did not see, it left to us.
        if self.closed.load(Ordering::SeqCst)
            && let Some(unread) = self.messages.pop()
        {
            return Err(unread);
        }
        Ok(self.sent())
    }

    /// Gives an order, or has it back when there is no room for more, or nobody to read it.
    pub fn order(&self, order: O) -> Result<Sent, O> {
        if self.is_closed() {
            return Err(order);
        }
        self.orders.push(order)?;
        fence(Ordering::SeqCst);
        Ok(self.sent())
    }

    /// Knocks, in these ways; each is heard once, however often it comes before that.
    pub fn knock(&self, ways: u8) -> Sent {
        self.knocks.fetch_or(ways, Ordering::SeqCst);
        self.sent()
    }

    fn sent(&self) -> Sent {
        if self.armed.swap(false, Ordering::AcqRel) { Sent::Ring } else { Sent::Awake }
    }

    /// Takes the knocks since the last time.
    pub fn knocks(&self) -> u8 {
        match self.knocks.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.knocks.swap(0, Ordering::SeqCst),
        }
    }

    /// Takes the oldest order.
    pub fn next_order(&self) -> Option<O> {
        self.orders.pop()
    }

    /// Takes the oldest message.
    pub fn receive(&self) -> Option<M> {
        self.messages.pop()
    }

    /// Says that the reader is about to sleep. `false` when something came meanwhile: then it must not.
    #[must_use = "a reader that sleeps on a full box sleeps for ever"]
    pub fn arm(&self) -> bool {
        self.armed.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        let nothing = self.messages.is_empty() && self.orders.is_empty();
        nothing && self.knocks.load(Ordering::SeqCst) == 0
    }

    /// Closes the box: the reader empties it once more and goes.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Whether the box is closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

/// Where questions to one thread lie, of any number of askers; none of them waits for room.
///
/// The reader says before it sleeps that it will ([`arm`](Self::arm)), as with a [`Mailbox`]; its bell is a function, which whoever asks
/// calls, so it must not wait. The answer comes by a way of the asker's own, under the ticket of the question: a number that
/// it never gives again, so that a late answer is nobody's.
pub struct Desk<Q> {
    mailbox: Mailbox<Asked<Q>, ()>,
    bell: Box<dyn Fn() + Send + Sync>,
}

/// A question on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<Q> {
    /// Who asks.
    pub by: WorkerId,
    /// What its answer is known by; none: nobody waits for it.
    pub ticket: Option<Ticket>,
    /// What is asked.
    pub question: Q,
}

/// What an answer is known by: never given twice by one asker, nor by another one in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

impl<Q> Desk<Q> {
    /// A desk for so many questions that wait; `bell` wakes its reader.
    pub fn new(questions: usize, bell: impl Fn() + Send + Sync + 'static) -> Self {
        Self { mailbox: Mailbox::new(questions, 1), bell: Box::new(bell) }
    }

    /// Asks, or gives the question back where there is no room for it.
    pub fn ask(&self, asked: Asked<Q>) -> Result<(), Asked<Q>> {
        if self.mailbox.send(asked)? == Sent::Ring {
            (self.bell)();
        }
        Ok(())
    }

    /// The reader's: the oldest question.
    pub fn next(&self) -> Option<Asked<Q>> {
        self.mailbox.receive()
    }

    /// The reader's: it is about to sleep. `false` when something came meanwhile: then it must not.
    #[must_use = "a reader that sleeps on a full desk sleeps for ever"]
    pub fn arm(&self) -> bool {
        self.mailbox.arm()
    }
}

impl<Q> fmt::Debug for Desk<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("waiting", &self.mailbox.len()).finish_non_exhaustive()
    }
}

/// A bounded queue without a bell, for what may wait until somebody looks.
#[derive(Debug)]
pub struct Queue<T>(ArrayQueue<T>);

impl<T> Queue<T> {
    /// A queue for at most `capacity` things.
    pub fn new(capacity: usize) -> Self {
        Self(ArrayQueue::new(capacity))
    }

    /// Puts one in, or gives it back when the queue is full.
    pub fn put(&self, one: T) -> Result<(), T> {
        self.0.push(one)
    }

    /// Takes the oldest one out.
    pub fn take(&self) -> Option<T> {
        self.0.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_once_for_a_sleeping_reader() {
        let mailbox = Mailbox::<_, ()>::new(2, 1);
        assert_eq!(mailbox.send(1), Ok(Sent::Awake));
        assert!(!mailbox.arm(), "a message waits");
        assert_eq!(mailbox.receive(), Some(1));
        assert!(mailbox.arm());
        assert_eq!(mailbox.send(2), Ok(Sent::Ring));
        assert_eq!(mailbox.send(3), Ok(Sent::Awake));
        assert_eq!(mailbox.send(4), Err(4));
    }

    #[test]
    fn orders_have_room_of_their_own() {
        let mailbox = Mailbox::new(1, 2);
        assert_eq!(mailbox.send('m'), Ok(Sent::Awake));
        assert_eq!(mailbox.send('n'), Err('n'));
        assert_eq!(mailbox.order(1), Ok(Sent::Awake));
        assert!(!mailbox.arm());
        assert_eq!(mailbox.order(2), Ok(Sent::Ring));
        assert_eq!(mailbox.order(3), Err(3));
        assert_eq!([mailbox.next_order(), mailbox.next_order()], [Some(1), Some(2)]);
        mailbox.close();
        assert_eq!(mailbox.order(4), Err(4), "nobody reads it");
    }

    #[test]
    fn a_thousand_knocks_are_one() {
        let mailbox = Mailbox::<(), ()>::new(1, 1);
        assert!(mailbox.arm());
        assert_eq!(mailbox.knock(0b01), Sent::Ring);
        (0..1_000).for_each(|_| drop(mailbox.knock(0b10)));
        assert!(!mailbox.arm());
        assert_eq!((mailbox.knocks(), mailbox.knocks()), (0b11, 0));
        assert!(mailbox.arm());
    }

    #[test]
    fn a_desk_rings_for_a_reader_that_sleeps_and_refuses_what_it_has_no_room_for() {
        use std::sync::Arc;
        use std::sync::atomic::AtomicU32;

        let rung = Arc::new(AtomicU32::new(0));
        let bell = Arc::clone(&rung);
        let desk = Desk::new(2, move || {
            bell.fetch_add(1, Ordering::SeqCst);
        });
        let asked = |question| Asked { by: WorkerId(1), ticket: Some(Ticket(9)), question };
        assert!(desk.arm());
        assert_eq!(desk.ask(asked('a')), Ok(()));
        assert_eq!(desk.ask(asked('b')), Ok(()));
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        assert_eq!(desk.ask(asked('c')), Err(asked('c')));
        assert!(!desk.arm());
        assert_eq!(
            [desk.next(), desk.next(), desk.next()],
            [Some(asked('a')), Some(asked('b')), None]
        );
        assert!(desk.arm());
    }

    #[test]
    fn nothing_lies_unread_in_a_closed_box() {
        let mailbox = Mailbox::<_, ()>::new(8, 1);
        mailbox.close();
        assert_eq!(mailbox.send(1), Err(1));
        assert!(mailbox.is_empty());
    }
}
