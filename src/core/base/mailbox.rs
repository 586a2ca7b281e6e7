//! Mailboxes: how one thread tells a worker something.
//!
//! A bounded queue of messages and a flag that says whether the reader sleeps. The reader arms the flag before it waits
//! on its doorbell (a socket that this package does not know); a sender that finds it armed must ring the bell, one
//! that does not need not: the reader looks into the queue once more after it armed the flag, so no message is missed.

use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam::queue::ArrayQueue;

/// A bounded queue of `T` for one reader, with the flag of its doorbell.
#[derive(Debug)]
pub struct Mailbox<T> {
    messages: ArrayQueue<T>,
    armed: AtomicBool,
    closed: AtomicBool,
}

/// What a sender must do after its message was taken.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a sleeping reader sees the message only once its bell rings"]
pub enum Sent {
    /// The reader is awake, or another sender rings.
    Awake,
    /// The reader sleeps: ring its bell.
    Ring,
}

impl<T> Mailbox<T> {
    /// A mailbox for at most `capacity` waiting messages.
    pub fn new(capacity: usize) -> Self {
        Self {
            messages: ArrayQueue::new(capacity),
            armed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Puts a message into the box, or gives one back when the box is full or closed: this one, or another that would
    /// otherwise lie there unread.
    pub fn send(&self, message: T) -> Result<Sent, T> {
        self.messages.push(message)?;
        fence(Ordering::SeqCst);
        // The reader closes and then empties the box: what it did not see, it left to us.
        if self.closed.load(Ordering::SeqCst)
            && let Some(unread) = self.messages.pop()
        {
            return Err(unread);
        }
        Ok(if self.armed.swap(false, Ordering::AcqRel) { Sent::Ring } else { Sent::Awake })
    }

    /// Takes the oldest message.
    pub fn receive(&self) -> Option<T> {
        self.messages.pop()
    }

    /// Says that the reader is about to sleep. `false` when a message came meanwhile: then it must not.
    #[must_use = "a reader that sleeps on a full box sleeps for ever"]
    pub fn arm(&self) -> bool {
        self.armed.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        self.messages.is_empty()
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

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
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
        let mailbox = Mailbox::new(2);
        assert_eq!(mailbox.send(1), Ok(Sent::Awake));
        assert!(!mailbox.arm(), "a message waits");
        assert_eq!(mailbox.receive(), Some(1));
        assert!(mailbox.arm());
        assert_eq!(mailbox.send(2), Ok(Sent::Ring));
        assert_eq!(mailbox.send(3), Ok(Sent::Awake));
        assert_eq!(mailbox.send(4), Err(4));
    }

    #[test]
    fn nothing_lies_unread_in_a_closed_box() {
        let mailbox = Mailbox::new(8);
        mailbox.close();
        assert_eq!(mailbox.send(1), Err(1));
        assert!(mailbox.is_empty());
    }
}
