//! Which connections have been silent for too long. hyper knows one timer, from the end of an answer to the end of the next
//! head; idle connections, slow heads and readers that stop are told apart here, by what moves on the socket.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use coregate_core::base::limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What is known of a connection's pace.
#[derive(Debug)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When a byte moved last, or an answer was ready.
    moved: Instant,
    /// When the head that is not whole yet began.
    head_since: Option<Instant>,
    /// Requests that are being answered: a body's and an answer's time are bounded where they are waited for.
    answering: u32,
}

impl Pace {
    pub(super) fn new() -> Arc<Self> {
        let state = State { moved: Instant::now(), head_since: None, answering: 0 };
        Arc::new(Self(Mutex::new(state)))
    }

    /// A head is whole and its request is being answered, until what this gives is dropped.
    pub(super) fn answering(self: &Arc<Self>) -> Answering {
        let mut state = self.state();
        state.answering += 1;
        state.head_since = None;
        drop(state);
        Answering(Arc::clone(self))
    }

    /// Whether the connection has been silent, or its head unfinished, for too long.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        let slow = |since: Instant| since.elapsed() >= limits::ADMIN_HEAD_TIMEOUT;
        state.answering == 0
            && (state.moved.elapsed() >= limits::ADMIN_IDLE || state.head_since.is_some_and(slow))
    }

    fn came(&self) {
        let mut state = self.state();
        state.moved = Instant::now();
        if state.answering == 0 && state.head_since.is_none() {
            state.head_since = Some(state.moved);
        }
    }

    fn went(&self) {
        self.state().moved = Instant::now();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request is being answered.
#[derive(Debug)]
pub(super) struct Answering(Arc<Pace>);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.answering = state.answering.saturating_sub(1);
        state.moved = Instant::now();
    }
}

/// A stream whose pace is kept.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Arc<Pace>) -> Self {
        Self { stream, pace }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pace.came();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if matches!(polled, Poll::Ready(Ok(1..))) {
            self.pace.went();
        }
        polled
    }

    /// So that texts which many share are not copied for each.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        if matches!(polled, Poll::Ready(Ok(1..))) {
            self.pace.went();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
