//! What a worker keeps of snapshots, and how it gives that back.
//!
//! A worker shares routes, services and listeners with the snapshot that it found them in, and keeps them as long as a request
//! needs them. It never frees one: the last to hold ten thousand instances would make its clients wait. What it needs no more
//! goes back to control by a queue ([`coregate_core::snapshot::reader`]).
//!
//! One of the files of this package that may clone an `Arc` (see `clippy.toml`).

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use coregate_core::base::ids::WorkerId;
use coregate_core::snapshot::listeners::Listener;
use coregate_core::snapshot::reader::{Reader, Returned};
use coregate_core::snapshot::routes::Route;
use coregate_core::snapshot::services::Service;

use crate::worker::post::Posts;
use crate::worker::stats::WorkerStats;

/// A worker's word on the snapshots that it reads.
#[derive(Debug)]
pub struct Reads {
    posts: Posts,
    worker: WorkerId,
}

impl Reads {
    /// That of this worker.
    pub fn new(posts: Posts, worker: WorkerId) -> Self {
        Self { posts, worker }
    }

    /// Where it is written.
    #[inline]
    pub fn reader(&self) -> &Reader {
        &self.posts.readers()[self.worker.index()]
    }

    fn stats(&self) -> &WorkerStats {
        &self.posts.all()[self.worker.index()].stats
    }
}

/// What can be kept of a snapshot.
pub trait Part: Sized {
    /// It goes back to control.
    fn returned(part: Arc<Self>) -> Returned;
}

impl Part for Route {
    fn returned(part: Arc<Self>) -> Returned {
        Returned::Route(part)
    }
}

impl Part for Service {
    fn returned(part: Arc<Self>) -> Returned {
        Returned::Service(part)
    }
}

impl Part for Listener {
    fn returned(part: Arc<Self>) -> Returned {
        Returned::Listener(part)
    }
}

/// A part of a snapshot, kept; given back to control when this is dropped.
#[derive(Debug)]
pub struct Kept<T: Part> {
    /// Always there, until it is dropped.
    part: Option<Arc<T>>,
    reads: Rc<Reads>,
}

impl<T: Part> Kept<T> {
    /// Keeps a part: when a worker first touches it, never per request.
    pub fn new(part: &Arc<T>, reads: &Rc<Reads>) -> Self {
        reads.stats().shared_writes.one();
        Self { part: Some(Arc::clone(part)), reads: Rc::clone(reads) }
    }

    /// Whether it is this very part, not a newer one.
    #[inline]
    pub fn is(&self, part: &Arc<T>) -> bool {
        self.part.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, part))
    }
}

impl<T: Part> Deref for Kept<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.part {
            Some(part) => part,
            None => unreachable!("only dropping takes it"),
        }
    }
}

impl<T: Part> Drop for Kept<T> {
    fn drop(&mut self) {
        let Some(part) = self.part.take() else { return };
        self.reads.stats().shared_writes.one();
        // Where control has not looked for long, it is freed here after all.
        drop(self.reads.reader().give_back(T::returned(part)));
    }
}
