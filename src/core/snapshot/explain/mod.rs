//! Why a request goes where it goes, said by the code that serves: the gateway's own parser reads it, [`Snapshot::find`] names
//! the winner, [`judge`] says what is wrong with the others. Nothing is consumed, and nothing is guessed: what depends on more
//! than the request, the snapshot and the buckets of limits (whether an instance is drained, loops through `Via`) is not looked at.
//!
//! - [`inquiry`]: what is asked, and the request that it stands for.
//! - [`action`]: what becomes of a request once a route has it.
//! - [`guard`]: who calls, and what the limits say.
//! - [`refusal`]: how the gateway answers what no route gets.
//! - [`text`]: all of it in lines for people.
//! - [`expect`]: what a test of a configuration expects, held against it.

pub mod action;
pub mod expect;
pub mod guard;
pub mod inquiry;
pub mod quota;
pub mod refusal;
#[cfg(test)]
mod tests;
mod text;

use crate::base::limits;
use crate::http::head::{Head, Request};
use crate::http::parse;
use crate::policy::key_place;
use crate::snapshot::Snapshot;
use crate::snapshot::explain::action::Taken;
use crate::snapshot::explain::guard::{Guarded, Surroundings, guarded};
use crate::snapshot::explain::inquiry::{Inquiry, InquiryError};
use crate::snapshot::explain::refusal::Refused;
use crate::snapshot::plan::{Action, AuthMethod, AuthPlan, Unmet};
use crate::snapshot::router::judge::{PathMiss, Verdict, judge};
use crate::snapshot::router::{Asked, Missed, order};
use crate::snapshot::routes::Route;

/// What becomes of a request, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The generation of the snapshot that was asked.
    pub generation: u64,
    /// The listener on whose terms it was read; none where there is no listener that reads requests.
    pub listener: Option<String>,
    /// The request in normal form; none if it is refused before it has one.
    pub request: Option<NormalForm>,
    /// How many routes there are.
    pub routes: usize,
    /// How many of them are for other hosts. They are not among the candidates. 0 where no candidates are asked for.
    pub other_hosts: usize,
    /// Routes that take its host, in order of precedence: those that came closest, as many as were asked for.
    pub candidates: Vec<Candidate>,
    /// How many others take its host; 0 where no candidates are asked for.
    pub left_out: usize,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// A request as routes see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalForm {
    /// Its method.
    pub method: String,
    /// Its host, without port; empty if it names none.
    pub host: String,
    /// Its path; `/` for `*`, which is about the server as a whole.
    pub path: String,
    /// What stands behind the `?`, if there is one.
    pub query: Option<String>,
}

/// A route that takes the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub route: String,
    /// How it fared.
    pub standing: Standing,
    /// The same in words.
    pub why: String,
}

/// How a candidate fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It takes the request.
    Won,
    /// It would, but comes after the winner.
    Behind,
    /// It does not take it.
    Lost,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The gateway answers it, and no route has a say.
    Refused(Refused),
    /// A route takes it.
    Routed(Routed),
}

/// A request that a route takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Routed {
    /// The route's name.
    pub route: String,
    /// Who calls, and what the limits say.
    pub guard: Box<Guarded>,
    /// What it does, in a line.
    pub action: String,
    /// The most that its body may measure, in bytes.
    pub body_bytes: Option<u64>,
    /// What the route does with it, once nothing refuses it.
    pub taken: Taken,
}

/// Explains what becomes of a request.
///
/// # Errors
/// It cannot be put into a request, or not on the listener that was named.
pub fn explain(
    snapshot: &Snapshot,
    inquiry: &Inquiry,
    around: &Surroundings<'_>,
) -> Result<Explanation, InquiryError> {
    let listener = inquiry.listener(snapshot)?;
    let terms = listener.map(|listener| listener.terms).unwrap_or_default();
    let mut head = Head::default();
    head.page.extend_from_slice(inquiry.text()?.as_bytes());
    let mut explanation = Explanation {
        generation: snapshot.generation(),
        listener: listener.map(|listener| listener.name.to_string()),
        request: None,
        routes: snapshot.routes().count(),
        other_hosts: 0,
        candidates: Vec::new(),
        left_out: 0,
        outcome: Outcome::Refused(Refused::UNFINISHED),
    };
    match parse::request(&mut head, &terms.request) {
        Ok(None) => {}
        Err(fault) => explanation.outcome = Outcome::Refused(Refused::by_parser(&fault)),
        Ok(Some(mut request)) => {
            let asked = Asked::of(&head, &request);
            explanation.request = Some(NormalForm::of(&asked));
            let found = snapshot.find(&asked).map(|id| snapshot.route(id));
            let winner = found.ok().flatten().map(|route| &**route);
            if inquiry.shown > 0 {
                explanation.compare(snapshot, &asked, winner, inquiry.shown);
            }
            explanation.outcome = match (request.max_forwards, found) {
                (Some(0), _) => Outcome::Refused(Refused::max_forwards()),
                (_, Err(Missed::Method)) => {
                    Outcome::Refused(Refused::method(snapshot.router().allowed(&asked)))
                }
                (_, Ok(Some(route))) => {
                    let most = route.plan.terms.body_bytes.or(terms.body_bytes);
                    outcome((snapshot, route), (&mut head, &mut request), most, (inquiry, around))
                }
                (_, Err(Missed::Route) | Ok(None)) => Outcome::Refused(Refused::NO_ROUTE),
            };
            if let Some(auth) = winner.and_then(|route| route.guard.auth.as_ref()) {
                explanation.hide_keys(auth);
            }
        }
    }
    Ok(explanation)
}

fn outcome(
    (snapshot, route): (&Snapshot, &Route),
    (head, request): (&mut Head, &mut Request),
    body_bytes: Option<u64>,
    (inquiry, around): (&Inquiry, &Surroundings<'_>),
) -> Outcome {
    if let Some(refused) = Refused::by_length(request.body, body_bytes) {
        return Outcome::Refused(refused);
    }
    let service = action::chosen(snapshot, route, inquiry.random);
    let whence = (inquiry.from, service.as_deref());
    let guard = guarded(snapshot, route, &Asked::of(head, request), whence, around);
    let names_no_host = request.host(head).is_empty();
    if let (Action::Redirect(redirect), true) = (&route.plan.action, names_no_host)
        && redirect.to.needs_host()
        && guard.refused.is_none()
    {
        return Outcome::Refused(Refused::NO_HOST);
    }
    // As the gateway does before a request goes on.
    if let (Some(auth), Action::Forward(_)) = (&route.guard.auth, &route.plan.action) {
        let AuthMethod::Key(key) = &auth.method;
        if !key.forward {
            key_place::take_off(&key.places, head, request);
        }
    }
    Outcome::Routed(Routed {
        route: route.name.to_string(),
        guard: Box::new(guard),
        action: route.plan.action.to_string(),
        body_bytes,
        taken: Taken::of(snapshot, route, head, request, inquiry.random),
    })
}

impl Explanation {
    /// Shows keys in a query as dots.
    fn hide_keys(&mut self, auth: &AuthPlan) {
        let AuthMethod::Key(key) = &auth.method;
        if let Some(query) = self.request.as_mut().and_then(|request| request.query.as_mut()) {
            *query = guard::without_keys(query, &key.places);
        }
        if let Outcome::Routed(Routed { taken: Taken::Forward(forwarded), .. }) = &mut self.outcome
            && let Some((path, query)) = forwarded.target.split_once('?')
        {
            forwarded.target = format!("{path}?{}", guard::without_keys(query, &key.places));
        }
        if let Outcome::Routed(Routed { taken: Taken::Redirect { location, .. }, .. }) =
            &mut self.outcome
            && let Some((before, query)) = location.split_once('?')
        {
            *location = format!("{before}?{}", guard::without_keys(query, &key.places));
        }
    }

    /// Holds every route against the request and lists those that came closest.
    fn compare(
        &mut self,
        snapshot: &Snapshot,
        asked: &Asked<'_>,
        winner: Option<&Route>,
        shown: usize,
    ) {
        let judged = snapshot.routes().map(|route| (&**route, judge(&route.plan, asked)));
        let mut near: Vec<_> =
            judged.filter(|(_, verdict)| !matches!(verdict, Verdict::Host)).collect();
        self.other_hosts = self.routes - near.len();
        self.left_out = near.len().saturating_sub(shown);
        // Routes that never take the same request stand in the order of their ids.
        let before = |a: &Route, b: &Route| {
            order::precedence(&a.plan, &b.plan).then_with(|| a.id.cmp(&b.id))
        };
        let is_winner = |route: &Route| winner.is_some_and(|winner| winner.id == route.id);
        if self.left_out > 0 {
            // There may be tens of thousands: those that are not shown need no order.
            near.select_nth_unstable_by(shown, |(a, said_of_a), (b, said_of_b)| {
                let key = |route, said: &Verdict| (is_winner(route), closeness(*said));
                let by_closeness = key(b, said_of_b).cmp(&key(a, said_of_a));
                by_closeness.then_with(|| before(a, b))
            });
            near.truncate(shown);
        }
        near.sort_unstable_by(|(a, _), (b, _)| before(a, b));
        let candidate = |(route, verdict): (&Route, Verdict)| {
            let (standing, why) = match verdict {
                _ if is_winner(route) => (Standing::Won, "takes it".to_owned()),
                Verdict::Takes => {
                    (Standing::Behind, "would take it, but comes after the winner".to_owned())
                }
                verdict => (Standing::Lost, verdict.describe(&route.plan, asked)),
            };
            Candidate { route: route.name.to_string(), standing, why: cut(why) }
        };
        self.candidates = near.into_iter().map(candidate).collect();
    }
}

/// How close a route came to taking a request; more is closer.
fn closeness(verdict: Verdict) -> (u8, usize) {
    match verdict {
        Verdict::Takes => (4, 0),
        Verdict::When(Unmet::Method) => (3, 0),
        Verdict::When(Unmet::Header(_) | Unmet::Query(_)) => (2, 0),
        Verdict::Path(
            PathMiss::Literal(at) | PathMiss::Empty(at) | PathMiss::Ends(at) | PathMiss::GoesOn(at),
        ) => (1, at),
        Verdict::Path(PathMiss::Regex) => (1, 0),
        Verdict::Host => (0, 0),
    }
}

/// Words of a bounded length: a request's path may be quoted in them.
fn cut(mut words: String) -> String {
    if let Some((at, _)) = words.char_indices().nth(limits::EXPLAIN_WORDS) {
        words.truncate(at);
        words.push('…');
    }
    words
}

impl NormalForm {
    fn of(asked: &Asked<'_>) -> Self {
        Self {
            method: lossy(asked.method),
            host: lossy(asked.host),
            path: lossy(asked.path),
            query: asked.query.map(lossy),
        }
    }
}

/// Bytes that were checked to be ASCII.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
