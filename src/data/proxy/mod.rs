//! The life of a request, in order; each stage's product is what the next demands.
//!
//! [`accept`] takes connections, [`connection`] waits for requests on one, [`exchange`] leads a request through its stages:
//! [`read`], [`route`], [`limit`], [`authenticate`], [`limit`] again, [`act`], which makes it [`outbound`], [`reach`] (by a [`bulkhead`] and a [`pick`]), [`forward`] (which sends with [`pump`] and answers with [`relay`] and [`deliver`],
//! both ways by an [`intake`]; its instance is [`judge`]d by it) and [`record`]; a [`tunnel`] may follow. A [`preface`] may stand before it all, and a [`tcp`]
//! route in its place.
//! Whatever ends a request early is a row of [`reject`], with what a [`refusal`] says beside it; that and what routes answer themselves is written by [`answer`];
//! [`finish`] alone says whether a connection lives on.

pub mod accept;
pub mod act;
pub mod answer;
pub mod authenticate;
pub mod bulkhead;
pub mod connection;
pub mod deliver;
pub mod exchange;
pub mod finish;
pub mod forward;
pub mod intake;
pub mod judge;
pub mod limit;
pub mod outbound;
pub mod pick;
pub mod preface;
pub mod pump;
pub mod quota;
pub mod reach;
pub mod read;
pub mod record;
pub mod refusal;
pub mod reject;
pub mod relay;
pub mod route;
pub mod tcp;
pub mod tunnel;
