//! From the held addresses to the wanted ones: what stays, what is to be bound, what goes. Pure, nothing is opened here.
//!
//! An address is known by what was configured, so that one with port 0 keeps its socket; a port that was given to it may be
//! named later and is found too. An address that stays keeps its meaning, or the step is refused.

use std::net::SocketAddr;

use coregate_config::Listener;
use coregate_core::snapshot::plan::Address;

use super::ListenError;
use super::live::Held;
use super::overlap::{Taken, ipv4_is_apart};

/// An address that is asked for, and where it is to come from.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) listener: &'a str,
    pub(super) address: &'a Address,
    pub(super) source: Source,
}

/// Where a wanted address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// From these held ones, by index.
    Held(usize),
    /// It is bound anew; of TCP: so.
    Fresh(Option<Taken>),
}

/// Finds what each wanted address comes from. Held ones that are not named go.
pub(super) fn sources<'a>(
    held: &[Held],
    new: &'a [Listener],
) -> Result<Vec<Wanted<'a>>, Vec<ListenError>> {
    let mut wanted = all(new);
    keep(held, &mut wanted);
    let taken = taken(held, &wanted);
    let mut errors = Vec::new();
    for at in 0..wanted.len() {
        match fault(held, &wanted, &taken, at) {
            Some(error) => errors.push(error),
            None => {
                if let Source::Fresh(fresh) = &mut wanted[at].source {
                    *fresh = taken[at];
                }
            }
        }
    }
    if errors.is_empty() { Ok(wanted) } else { Err(errors) }
}

fn all<'a>(new: &'a [Listener]) -> Vec<Wanted<'a>> {
    let pairs =
        new.iter().flat_map(|Listener { name, bind }| bind.iter().map(move |at| (name, at)));
    let wanted = |(listener, address): (&'a String, _)| Wanted {
        listener,
        address,
        source: Source::Fresh(None),
    };
    pairs.map(wanted).collect()
}

/// Gives each wanted address the held one that fits it best, if there is one.
fn keep(held: &[Held], wanted: &mut [Wanted<'_>]) {
    let fits: [fn(&Held, &Wanted<'_>) -> bool; 3] = [
        |held, wanted| held.configured == *wanted.address && held.listener == wanted.listener,
        |held, wanted| held.configured == *wanted.address,
        |held, wanted| held.bound == *wanted.address,
    ];
    let mut free = vec![true; held.len()];
    for fits in fits {
        for wanted in wanted.iter_mut() {
            if let Source::Held(_) = wanted.source {
                continue;
            }
            if let Some(at) = (0..held.len()).find(|at| free[*at] && fits(&held[*at], wanted)) {
                free[at] = false;
                wanted.source = Source::Held(at);
            }
        }
    }
}

/// How each wanted TCP address would be taken.
fn taken(held: &[Held], wanted: &[Wanted<'_>]) -> Vec<Option<Taken>> {
    let address = |wanted: &Wanted<'_>| -> Option<SocketAddr> {
        let address = match wanted.source {
            Source::Held(at) => &held[at].bound,
            Source::Fresh(_) => wanted.address,
        };
        match address {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        }
    };
    let addresses: Vec<_> = wanted.iter().map(address).collect();
    let taken = |address: SocketAddr| {
        let ipv6_alone = ipv4_is_apart(addresses.iter().copied().flatten(), address);
        Taken { address, ipv6_alone }
    };
    addresses.iter().map(|address| address.map(taken)).collect()
}

/// What is wrong with one of them.
fn fault(
    held: &[Held],
    wanted: &[Wanted<'_>],
    taken: &[Option<Taken>],
    at: usize,
) -> Option<ListenError> {
    let own = taken[at]?;
    let Wanted { listener, address, source } = &wanted[at];
    let (name, address) = ((*listener).to_owned(), (*address).clone());
    let overlaps = |other: &Option<Taken>| other.is_some_and(|other| own.overlaps(other));
    if let Some(other) = taken[..at].iter().position(overlaps) {
        let (other, others_name) = (wanted[other].address.clone(), wanted[other].listener.into());
        return Some(ListenError::Overlaps { name, address, other, others_name });
    }
    if let Source::Held(at) = source {
        let changed = held[*at].taken().is_some_and(|held| !held.is_the_same(own.ipv6_alone));
        return changed.then_some(ListenError::ChangesFamilies { name, address });
    }
    let stays = |at: usize| wanted.iter().any(|wanted| wanted.source == Source::Held(at));
    let in_the_way =
        held.iter().enumerate().find(|(at, held)| overlaps(&held.taken()) && !stays(*at));
    in_the_way.map(|(_, held)| {
        let (other, others_name) = (held.configured.clone(), held.listener.clone());
        ListenError::OverlapsOld { name, address, other, others_name }
    })
}
