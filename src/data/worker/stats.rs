//! Counters: one block a worker, written by it alone, read by anyone.

use coregate_core::base::counter::Counter;

use crate::proxy::authenticate::Identified;
use crate::proxy::reject::Reject;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// A worker's counters.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct WorkerStats {
            $($(#[doc = $doc])+ pub $name: Counter,)*
            /// Requests that ended without the upstream's answer, by reason.
            pub rejected: [Counter; Reject::COUNT],
            /// Requests that were asked who calls, by what came of it.
            pub authentications: [Counter; Identified::COUNT],
        }

        impl WorkerStats {
            /// Every plain counter: its name, what it counts, its value.
            fn plain(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), concat!($($doc),+), self.$name.get()),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Connections accepted from clients.
    connections_accepted,
    /// Connections from clients that are open now.
    connections_open,
    /// Those of them that wait for a request.
    connections_idle,
    /// Connections refused because the limit of the host was reached.
    connections_refused,
    /// Connections refused because their listener, or their client's address, had as many as it may.
    connections_limited,
    /// Connections whose address shared its count with others, because more are in use than are counted each by itself.
    address_counts_shared,
    /// Idle connections closed to make room for new ones.
    connections_shed,
    /// Connections handed to a less busy worker.
    connections_handed_over,
    /// Times that accepting stopped because descriptors had run out.
    accept_emfile,
    /// Other errors of accept.
    accept_errors,
    /// Connections closed because a trusted peer did not begin with a PROXY protocol header.
    proxy_header_errors,
    /// Requests whose head was read.
    requests,
    /// Final responses with a status of 1xx that is not interim; none, if upstreams behave.
    responses_1xx,
    /// Responses sent, by class, local answers included.
    responses_2xx,
    /// Redirects and the like.
    responses_3xx,
    /// Client errors.
    responses_4xx,
    /// Server errors.
    responses_5xx,
    /// Requests that their routes answered themselves: redirects and fixed responses.
    answered_by_route,
    /// Requests that rates let pass.
    rates_admitted,
    /// Requests that a rate refused.
    rates_refused,
    /// Requests that passed though a rate that only counts would have refused them.
    rates_dry_run,
    /// Rates that were looked up in a bucket that several share, because the table is full where theirs would be.
    rate_buckets_shared,
    /// Requests that a quota refused.
    quota_refused,
    /// Requests that a quota would have refused that only counts.
    quota_dry_run,
    /// Questions to the registry: for more of a quota.
    questions,
    /// Connections made to instances.
    upstream_connects,
    /// Connects that failed.
    upstream_connect_errors,
    /// Requests sent on a connection that had been used before.
    upstream_reused,
    /// Idle upstream connections found dead or talking when they were wanted.
    upstream_stale,
    /// Responses with more bytes than their head said.
    upstream_excess,
    /// Responses cut off by their upstream.
    upstream_truncated,
    /// Attempts that failed by their instance's fault: no connection, no whole answer, or status 502, 503 or 504.
    upstream_failures,
    /// Instances set aside because of failures in a row.
    ejections,
    /// Further attempts at requests.
    retries,
    /// Requests that had to wait for a service that had as many as it may.
    bulkhead_waits,
    /// Responses that could not be sent to their end because the client went away or stopped reading.
    client_aborts,
    /// Tunnels opened: after a 101, and for TCP routes.
    tunnels,
    /// Tunnels that are open now.
    tunnels_open,
    /// Bytes from clients, through tunnels.
    tunnel_bytes_in,
    /// Bytes to clients, through tunnels.
    tunnel_bytes_out,
    /// Bytes read from clients' bodies.
    body_bytes_in,
    /// Bytes of bodies sent to clients.
    body_bytes_out,
    /// Writes to words that other workers write too: per connection and per snapshot, never per request (rule 2).
    shared_writes,
    /// Panics that ended one connection.
    panics,
    /// Panics that ended the worker, which was begun anew.
    worker_deaths,
}

/// Counters that say how many there are now, and go down too.
const GAUGES: [&str; 3] = ["connections_open", "connections_idle", "tunnels_open"];

impl WorkerStats {
    /// Every plain counter with its name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.plain().map(|(name, _, value)| (name, value))
    }

    /// Every plain counter: its name, what it counts in a sentence, its value, and whether it goes down too.
    pub fn explained(&self) -> impl Iterator<Item = (&'static str, &'static str, u64, bool)> {
        self.plain().map(|(name, help, value)| (name, help.trim(), value, GAUGES.contains(&name)))
    }

    /// Counts a response by its class.
    pub fn response(&self, status: u16) {
        match status {
            ..200 => &self.responses_1xx,
            200..300 => &self.responses_2xx,
            300..400 => &self.responses_3xx,
            400..500 => &self.responses_4xx,
            500.. => &self.responses_5xx,
        }
        .one();
    }

    /// What came of asking who calls, by token.
    pub fn authentications(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Identified::ALL
            .iter()
            .map(|result| (result.token(), self.authentications[*result as usize].get()))
    }

    /// The rejects counted, by token.
    pub fn rejects(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Reject::ALL
            .iter()
            .map(|reject| (reject.row().reason, self.rejected[*reject as usize].get()))
    }
}
