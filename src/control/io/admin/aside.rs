//! Work that looks at every route: done beside the admin listener's thread, which goes on to answer probes meanwhile.
//!
//! One piece of it is done at a time, so that whoever asks a lot takes one core and no more; others wait for their turn, and
//! not for ever. A piece that was begun is finished, whether its client is still there or not: until then the next waits.

use std::sync::Arc;
use std::thread;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use coregate_core::base::limits;
use serde::Serialize;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::problem::Problem;

/// Where such work is done.
#[derive(Debug)]
pub(super) struct Aside {
    turn: Arc<Semaphore>,
}

impl Default for Aside {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Aside {
    /// Answers with what the work makes, as JSON; that is written there too.
    ///
    /// Cancel safety: dropped while it waits for its turn, it has done nothing; later, the work is still done.
    pub(super) async fn json<T: Serialize>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let written = move || {
            serde_json::to_vec(&work()?)
                .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
        };
        let made = self.made(written).await?;
        Ok(([(CONTENT_TYPE, "application/json")], Bytes::from(made)).into_response())
    }

    /// What the work makes. Cancel safety: as of [`json`](Self::json).
    pub(super) async fn made<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = timeout(limits::ADMIN_TURN_TIME, Arc::clone(&self.turn).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let within = limits::ADMIN_TURN_TIME.as_secs();
            return Err(unavailable(format!("others ask the same, and no turn in {within} s")));
        };
        let (tell, told) = oneshot::channel();
        let there = move || {
            let made = work();
            // The next may begin before this one is told.
            drop(turn);
            // Nobody hears it if the client has left.
            let _ = tell.send(made);
        };
        thread::Builder::new()
            .name("look".into())
            .spawn(there)
            .map_err(|error| unavailable(format!("no thread: {error}")))?;
        told.await.unwrap_or_else(|_| {
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "it broke on the way"))
        })
    }
}

fn unavailable(detail: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_retry()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_and_others_do_not_wait_for_ever() {
        let aside = Arc::new(Aside::default());
        let (release, held) = mpsc::channel::<()>();
        let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let first = Arc::clone(&aside);
        let first = tokio::spawn(async move {
            let work = move || {
                begin.send(()).expect("heard");
                held.recv().expect("released");
                Ok(1)
            };
            first.json(work).await
        });
        begun.recv().await.expect("it has begun");
        // This thread is free meanwhile.
        let refused = aside.json(|| -> Result<(), _> { panic!("it is not its turn") }).await;
        assert_eq!(refused.into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
        release.send(()).expect("it waits");
        assert_eq!(first.await.expect("no panic").into_response().status(), StatusCode::OK);
        let bad = aside.json(|| -> Result<(), _> { Err(Problem::bad("no")) }).await;
        assert_eq!(bad.into_response().status(), StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn who_leaves_does_not_take_the_turn_with_him() {
        let aside = Aside::default();
        let (release, held) = mpsc::channel::<()>();
        let left = aside.json(move || {
            held.recv().expect("released");
            Ok(1)
        });
        let soon = std::time::Duration::from_millis(1);
        assert!(timeout(soon, left).await.is_err(), "he leaves");
        release.send(()).expect("it goes on without him");
        assert!(aside.json(|| Ok(2)).await.is_ok());
    }
}
