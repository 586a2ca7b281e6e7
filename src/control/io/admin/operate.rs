//! What is done to instances by others than themselves: drained, enabled, weighed; and many at once.

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use coregate_core::base::limits;
use serde::{Deserialize, Serialize};

use super::asking::{answer, ask, duration, query, refused, respond};
use super::body;
use super::endpoint::Endpoint;
use super::expected::Terms;
use super::openapi::{self, ToSchema, says};
use super::problem::Problem;
use super::question::Question;
use super::registry::{
    BODY, OrderedView, RegisterBody, TERMS, may_lead_to, named, order, registration,
};
use super::report::{Answer, InstanceReport, Refusal};
use super::routes::{Here, Instance};
use super::tokens::{Access, Scope};
use crate::registry::order::{Expected, Order, Ordered, What};

const DRAIN: &str = "/v1/services/{service}/instances/{instance}/drain";
const ENABLE: &str = "/v1/services/{service}/instances/{instance}/enable";
const WEIGHT: &str = "/v1/services/{service}/instances/{instance}/weight";
const BULK: &str = "/v1/registry/bulk";

/// The weight that an instance is to have: `{"weight": 5}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightBody {
    /// The weight, until the instance registers with another.
    pub weight: u32,
}

/// Many instances at once, at most 1,000 entries in all. First are those that register, then those that renew, then those that go,
/// each in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkBody {
    /// Those that register.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub register: Vec<BulkRegister>,
    /// Those that renew their leases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renew: Vec<BulkInstance>,
    /// Those that go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deregister: Vec<BulkInstance>,
}

/// An instance of many that registers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkRegister {
    /// Its service.
    pub service: String,
    /// Its id.
    pub id: String,
    /// What it says.
    #[serde(default)]
    pub instance: RegisterBody,
}

/// An instance of many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkInstance {
    /// Its service.
    pub service: String,
    /// Its id.
    pub id: String,
}

/// What became of many. Where some were refused it is a problem (409) with these members; the others hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkReport {
    /// How many were done.
    pub done: usize,
    /// How many were refused.
    pub refused: usize,
    /// Each, in the order in which they were carried out.
    pub results: Vec<BulkResult>,
}

/// What became of one of many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkResult {
    /// The status that it would have had alone.
    pub code: u16,
    /// The instance's revision, if it was done.
    pub revision: Option<u64>,
    /// Whether that outlives the process.
    #[serde(default)]
    pub durable: bool,
    /// Why it was refused.
    pub reason: Option<String>,
}

/// What operators ask for.
pub(super) fn endpoints() -> Vec<Endpoint> {
    const OK: StatusCode = StatusCode::OK;
    let fails = [404, 409, 412, 504];
    vec![
        Endpoint::post(
            DRAIN,
            drain,
            says("Give an instance, by its id or else its address, no new requests")
                .with(&TERMS[..2])
                .with(&[openapi::query("deadline", "string", "what it still has is cut after this, 30s by default")])
                .gives::<InstanceReport>(OK)
                .fails(&fails),
        )
        .of_service(Scope::Operate),
        Endpoint::post(
            ENABLE,
            enable,
            says("Give it requests again").with(&TERMS[..2]).gives::<InstanceReport>(OK).fails(&fails),
        )
        .of_service(Scope::Operate),
        Endpoint::put(
            WEIGHT,
            weight,
            says("Weigh an instance anew")
                .with(&TERMS)
                .takes::<WeightBody>()
                .gives::<OrderedView>(OK)
                .gives_nothing(StatusCode::NO_CONTENT)
                .fails(&fails)
                .fails(&BODY),
        )
        .of_service(Scope::Operate)
        .with_body(),
        Endpoint::post(
            BULK,
            bulk,
            says("Many instances register, renew and go; 409 where some are refused, with all results")
                .takes::<BulkBody>()
                .gives::<BulkReport>(OK)
                .fails(&[409, 504])
                .fails(&BODY),
        )
        .asked()
        .with_body(),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainQuery {
    deadline: Option<String>,
}

async fn drain(
    State(here): State<Here>,
    Extension(access): Extension<Access>,
    path: Instance,
    terms: Terms,
    uri: Uri,
) -> Result<Response, Problem> {
    let DrainQuery { deadline } = query(&uri)?;
    let deadline = duration("deadline", deadline.as_deref())?.unwrap_or(limits::SHUTDOWN_TIME);
    operate(&here, &access, path, terms, What::Drain { deadline }).await
}

async fn enable(
    State(here): State<Here>,
    Extension(access): Extension<Access>,
    path: Instance,
    terms: Terms,
) -> Result<Response, Problem> {
    operate(&here, &access, path, terms, What::Enable).await
}

async fn operate(
    here: &Here,
    access: &Access,
    path: Instance,
    Terms { expected, .. }: Terms,
    what: What,
) -> Result<Response, Problem> {
    let (service, id) = named(path)?.0;
    let by = access.caller(Scope::Operate, &service);
    let order = Order { service, id, by, expected, what };
    ask(here, Question::Operate(Box::new(order))).await
}

async fn weight(
    State(here): State<Here>,
    Extension(access): Extension<Access>,
    path: Instance,
    terms: Terms,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let named = named(path)?.0;
    let WeightBody { weight } = body::json(&bytes)?;
    order(&here, &access, named, terms, What::Weight(weight)).await
}

async fn bulk(
    State(here): State<Here>,
    Extension(access): Extension<Access>,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let BulkBody { register, renew, deregister } = body::json(&bytes)?;
    let (count, most) = (register.len() + renew.len() + deregister.len(), limits::MEMBERSHIP_BATCH);
    if !(1..=most).contains(&count) {
        let detail = format!("{count} entries: expected 1 to {most} in one request");
        return Err(Problem::bad(detail));
    }
    let register = register.into_iter().map(|BulkRegister { service, id, instance }| {
        let registration = registration(&id, instance)?;
        may_lead_to(registration.address(), here.transport)?;
        Ok((service, id, What::Register(Box::new(registration))))
    });
    let plain = |entries: Vec<BulkInstance>, what: What| {
        entries.into_iter().map(move |one| Ok((one.service, one.id, what.clone())))
    };
    let wanted =
        register.chain(plain(renew, What::Renew)).chain(plain(deregister, What::Deregister));
    let mut orders = Vec::with_capacity(count);
    let places: Vec<Result<(), Problem>> = wanted
        .map(|one| {
            orders.push(admitted(&access, one?)?);
            Ok(())
        })
        .collect();
    let done = match orders.is_empty() {
        true => Vec::new(),
        false => match answer(&here, Question::Orders(orders)).await? {
            Answer::OrderedAll(results) => results,
            other => return respond(other),
        },
    };
    let mut done = done.into_iter().map(|result| result.map_err(refused));
    // What was asked for stands in the places without a fault.
    let each =
        places.into_iter().map(|place| place.and_then(|()| done.next().unwrap_or_else(lost)));
    report(each.map(result).collect())
}

/// An order by who asks, if they may.
fn admitted(
    access: &Access,
    (service, id, what): (String, String, What),
) -> Result<Order, Problem> {
    // Of a service's own token the registry has the last word, as it has where one instance is meant.
    if !access.is_unknown() {
        access.check(Scope::Register, &service)?;
    }
    let by = access.caller(Scope::Register, &service);
    Ok(Order { service, id, by, expected: Expected::Anything, what })
}

fn lost() -> Result<Ordered, Problem> {
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no answer"))
}

/// What became of many orders.
pub(super) fn ordered_all(results: Vec<Result<Ordered, Refusal>>) -> Result<Response, Problem> {
    report(results.into_iter().map(|one| result(one.map_err(refused))).collect())
}

fn result(result: Result<Ordered, Problem>) -> BulkResult {
    match result {
        Ok(Ordered { is_new, durable, instance }) => BulkResult {
            code: if is_new { 201 } else { 200 },
            revision: Some(instance.revision),
            durable,
            reason: None,
        },
        Err(problem) => BulkResult {
            code: problem.status().as_u16(),
            revision: None,
            durable: false,
            reason: Some(problem.detail().to_owned()),
        },
    }
}

fn report(results: Vec<BulkResult>) -> Result<Response, Problem> {
    let refused = results.iter().filter(|one| one.reason.is_some()).count();
    let report = BulkReport { done: results.len() - refused, refused, results };
    if refused == 0 {
        return Ok(Json(report).into_response());
    }
    let problem = Problem::new(StatusCode::CONFLICT, "some entries were refused, the others hold");
    Err(problem.with_report(&report))
}
