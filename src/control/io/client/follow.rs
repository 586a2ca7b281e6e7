//! An answer that does not end: server-sent events, as they come.

use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{ClientError, Reply, Request, message, runtime, send};

/// Lines of an event, put together from the pieces that come.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
    event: Event,
}

/// A server-sent event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// What it is called; `message` if that is not said.
    pub name: String,
    /// What it says.
    pub data: String,
}

impl Lines {
    /// Takes a piece; gives the events that are whole with it. None: a line is too long to be one.
    fn take(&mut self, piece: &[u8]) -> Option<Vec<Event>> {
        self.rest.extend_from_slice(piece);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            match line.split_once(':') {
                Some(("event", name)) => self.event.name = name.trim_start().to_owned(),
                Some(("data", data)) => self.event.data.push_str(data.trim_start()),
                _ if line.is_empty() && !self.event.data.is_empty() => {
                    events.push(std::mem::take(&mut self.event));
                }
                // Comments, and what we have no use for.
                _ => {}
            }
        }
        let held = self.rest.len() + self.event.data.len();
        (held <= limits::ADMIN_ANSWER_BYTES).then_some(events)
    }
}

/// Asks, and gives each event of the answer to `on` as it comes, until the other side ends it, or is silent for longer than `silence`.
/// Gives the answer, if it is none of events.
///
/// # Errors
/// Nobody is there, no head came in time, or what came is no answer.
pub fn follow(
    address: &Address,
    request: &Request<'_>,
    silence: Duration,
    mut on: impl FnMut(Event),
) -> Result<Option<Reply>, ClientError> {
    let message = message(address, request)?;
    runtime()?.block_on(async {
        let late = |_| ClientError::TimedOut(request.within);
        let began = tokio::time::timeout(request.within, send(address, message)).await;
        let response = began.map_err(late)??;
        let status = response.status().as_u16();
        if status != 200 {
            let read = tokio::time::timeout(request.within, super::read(response.into_body()));
            return Ok(Some(Reply { status, body: read.await.map_err(late)?? }));
        }
        events(response.into_body(), silence, &mut on).await.map(|()| None)
    })
}

async fn events(
    mut body: Incoming,
    silence: Duration,
    on: &mut impl FnMut(Event),
) -> Result<(), ClientError> {
    let mut lines = Lines::default();
    // A stream that breaks off is one that ends: who follows comes again.
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(silence, body.frame()).await {
        let Some(piece) = frame.data_ref() else { continue };
        let too_long = || ClientError::Answer("an event is too long".to_owned());
        lines.take(piece).ok_or_else(too_long)?.into_iter().for_each(&mut *on);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together() {
        let text =
            b":\n\nid: 7\nevent: instance\ndata: {\"a\":1}\n\n:\n\ndata: x\r\n\r\nevent: none\n\n";
        let event = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
        let expected = [event("instance", "{\"a\":1}"), event("", "x")];
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let each = text.chunks(size).flat_map(|piece| lines.take(piece).expect("short"));
            assert_eq!(each.collect::<Vec<_>>(), expected, "{size}");
        }
    }
}
