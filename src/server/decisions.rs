//! What rates have said of requests, by route: the sum of what the workers count.

use coregate_control::io::admin::view::DecisionsView;
use coregate_core::base::limits;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::routes::Route;
use coregate_data::worker::accounts::Decision;
use coregate_data::worker::post::Posts;

/// All routes beyond those that are shown.
const OTHER: &str = "_other";

/// Of the routes that are there now and have rates, as many as are shown, and the others together.
pub(crate) fn view(snapshot: &Snapshot, posts: &Posts) -> Vec<DecisionsView> {
    let limited = snapshot.routes().filter(|route| !route.guard.limits.is_empty());
    let mut all: Vec<_> =
        limited.map(|route| (route.name.to_string(), counts(route, posts))).collect();
    if all.len() > limits::DECIDED_ROUTES_SHOWN {
        let others = all.split_off(limits::DECIDED_ROUTES_SHOWN);
        let mut sum = [0; Decision::ALL.len()];
        for (_, counts) in others {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        all.push((OTHER.to_owned(), sum));
    }
    all.into_iter()
        .map(|(route, counts)| DecisionsView { route, decisions: named(counts) })
        .collect()
}

fn counts(route: &Route, posts: &Posts) -> [u64; Decision::ALL.len()] {
    Decision::ALL.map(|(decision, _)| {
        posts.all().iter().map(|post| post.decisions.get(route.id, decision)).sum()
    })
}

fn named(counts: [u64; Decision::ALL.len()]) -> Vec<(&'static str, u64)> {
    Decision::ALL.iter().zip(counts).map(|((_, token), count)| (*token, count)).collect()
}
