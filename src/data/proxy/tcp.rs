//! TCP routes: a listener whose connections are passed to a service as they are.
//!
//! Each connection gets an instance in turn, and a second one if the first takes no connection. From then on it is a
//! [`tunnel`](crate::proxy::tunnel). Nothing is known of what it says, so nothing can be answered: a client that gets no
//! instance is closed.

use std::rc::Rc;

use bytes::BytesMut;
use coregate_core::base::ids::ServiceId;

use crate::proxy::connection::Downstream;
use crate::proxy::judge;
use crate::proxy::preface;
use crate::proxy::reach::{Wanted, reach};
use crate::proxy::record;
use crate::proxy::reject::Reject;
use crate::proxy::tunnel::{self, Tunnel};

/// Passes a connection to an instance of `service`. `early`: what the client has said already.
pub async fn run(downstream: Downstream, service: ServiceId, early: BytesMut) {
    let worker = Rc::clone(downstream.wire.slot.worker());
    let found = worker.with_snapshot(|snapshot| worker.locals.service(snapshot, service));
    let Some(service) = found else {
        return record::rejected(&worker, Reject::NoRoute);
    };
    let terms = service.service.terms;
    let mut wanted = Wanted { fresh: true, ..Wanted::default() };
    for attempt in 1.. {
        let (picked, reject) = match reach(&worker, &service, || terms.connect, &mut wanted).await {
            Ok(upstream) => {
                judge::succeeded(&worker, &upstream.picked);
                let mut to_instance = BytesMut::new();
                if let Some(version) = terms.proxy_protocol {
                    preface::write(&worker, &downstream, version, &mut to_instance);
                }
                to_instance.extend_from_slice(&early);
                let idle = terms.tunnel;
                let to_client = BytesMut::new();
                let tunnel = Tunnel { downstream, upstream, to_client, to_instance, idle };
                // It may last for days: of the service it holds its instance alone, and no buffer.
                drop((service, early));
                return tunnel::run(tunnel).await;
            }
            Err(failed) => failed,
        };
        if picked.is_none() || !reject.row().retry || attempt >= terms.attempts {
            record::rejected(&worker, reject);
            return;
        }
        worker.stats().retries.one();
        wanted.comer.failed = picked;
    }
}
