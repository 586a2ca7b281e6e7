//! Delivery: an answer's bytes on their way to the client, at the client's pace.
//!
//! Every wait for a client is armed with its patience and taken off its account (see [`Pace`]); a client that cannot be
//! written to, or not in time, is gone.

use std::future::Future;

use bytes::BytesMut;
use coregate_core::base::pace::Pace;
use coregate_core::base::time::Tick;
use futures_util::FutureExt;

use crate::proxy::forward::Sides;
use crate::proxy::reject::Reject;
use crate::proxy::relay::Relay;
use crate::transport::{Ways, Writer};
use crate::worker::slots::Wait;

impl Relay<'_, '_> {
    /// Waits until the client takes more.
    pub(super) async fn until_taken(
        &self,
        writer: &mut Writer,
        pace: &mut Pace,
    ) -> Result<(), Reject> {
        let since = self.arm_client_write(pace);
        let ready = writer.ready().await;
        self.client_wrote(since, pace, 0);
        match self.sides.worker.slots.expired(self.sides.client, Wait::Write) || ready.is_err() {
            true => Err(self.client_gone()),
            false => Ok(()),
        }
    }

    /// Writes a page to the client and gives it back to the worker.
    pub(super) fn write(
        &self,
        writer: &mut Writer,
        page: BytesMut,
        pace: &mut Pace,
    ) -> impl Future<Output = Result<(), Reject>> {
        self.send(writer, page, 0, pace).map(|(sent, page)| {
            self.sides.worker.buffers.give(page);
            sent
        })
    }

    /// Writes `buf[from..]` to the client. Its deadline is the client's patience with each part that it takes: who takes
    /// something goes on, as long as it keeps its pace.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    pub(super) fn send(
        &self,
        writer: &mut Writer,
        mut buf: BytesMut,
        from: usize,
        pace: &mut Pace,
    ) -> impl Future<Output = (Result<(), Reject>, BytesMut)> {
        async move {
            let mut sent = from;
            while sent < buf.len() {
                let since = self.arm_client_write(pace);
                let (result, written) = writer.write_some(buf, sent).await;
                buf = written;
                let Ok(length @ 1..) = result else {
                    self.sides.worker.slots.disarm(self.sides.client, Wait::Write);
                    return (Err(self.client_gone()), buf);
                };
                sent += length;
                self.client_wrote(since, pace, length);
            }
            (Ok(()), buf)
        }
    }

    /// Sets the deadline of a write to the client; since when it waits.
    fn arm_client_write(&self, pace: &Pace) -> Tick {
        let Sides { worker, client, .. } = *self.sides;
        worker.arm(client, Wait::Write, pace.patience(), Ways::Both);
        worker.clock.now()
    }

    /// The client has taken so many bytes.
    fn client_wrote(&self, since: Tick, pace: &mut Pace, length: usize) {
        let Sides { worker, client, .. } = *self.sides;
        worker.slots.disarm(client, Wait::Write);
        pace.waited(worker.clock.refresh().since(since));
        pace.moved(length);
    }

    fn client_gone(&self) -> Reject {
        self.sides.worker.stats().client_aborts.one();
        Reject::ClientGone
    }
}
