//! What is right and hardly meant: what nothing uses, and limits by addresses that clients do not have.

use std::collections::HashSet;
use std::ops::Range;

use coregate_core::snapshot::plan::RoutePlan;

use super::{Policies, Rate};
use crate::codes;
use crate::item::shown;
use crate::report::{Diagnostic, Faults};

/// Warns of what no route names.
pub(in crate::read) fn unused(policies: &Policies<'_>, routes: &[RoutePlan], faults: &mut Faults) {
    let auths: HashSet<_> =
        routes.iter().filter_map(|route| route.policies.auth.as_deref()).collect();
    let rates: HashSet<_> =
        routes.iter().flat_map(|route| &route.policies.rates).map(String::as_str).collect();
    let quotas: HashSet<_> =
        routes.iter().flat_map(|route| &route.policies.quotas).map(String::as_str).collect();
    let mut warn = |what: &str, name: &str, place: &Range<usize>| {
        let message = format!("{what} {}: no route names it", shown(name));
        faults.push(Diagnostic::warning(codes::UNUSED_POLICY, place.clone(), message));
    };
    let ways = policies.auths.places.iter().filter(|(name, _)| !auths.contains(**name));
    ways.for_each(|(name, place)| warn("auth", name, place));
    let limits = policies.rates.places().filter(|(name, _, _)| !rates.contains(*name));
    limits.for_each(|(name, place, _)| warn("rate", name, place));
    let counts = policies.quotas.places().filter(|(name, _)| !quotas.contains(*name));
    counts.for_each(|(name, place)| warn("quota", name, place));
}

/// Warns of limits by address where every client comes in by a Unix socket, and has none.
pub(in crate::read) fn addresses(policies: &Policies<'_>, own: &[Rate], faults: &mut Faults) {
    let named = policies.rates.places().filter_map(|(_, _, rate)| rate);
    for place in named.chain(own).filter_map(|rate| rate.by_address.as_ref()) {
        let message = "clients come in by Unix sockets alone, where they have no address: all of them share one bucket";
        let fault = Diagnostic::warning(codes::NO_ADDRESSES, place.clone(), message);
        let suggestion =
            "write proxy_protocol = { from = [\"unix\"] } where a proxy before this one sends it";
        faults.push(fault.suggest(suggestion.to_owned()));
    }
}
