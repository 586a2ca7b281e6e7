//! What the admin listener speaks, as an OpenAPI 3.1 document: the door of utoipa.
//!
//! Paths come from the [table of endpoints](super::endpoint), shapes from the very types that are written and read. `derive` is
//! used where those stand, by this module's [`ToSchema`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub(crate) use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::endpoint::Endpoint;
use super::guard::Need;
use super::problem::PROBLEM_JSON;

/// Names of shapes, and the shapes.
type Shapes = Vec<(String, RefOr<Schema>)>;

/// The shape of some JSON.
#[derive(Clone, Copy)]
struct Shape {
    name: fn() -> Cow<'static, str>,
    schema: fn() -> RefOr<Schema>,
    parts: fn(&mut Shapes),
}

impl Shape {
    fn of<T: ToSchema>() -> Self {
        Self { name: T::name, schema: T::schema, parts: T::schemas }
    }

    fn reference(self) -> Value {
        json!({ "$ref": format!("#/components/schemas/{}", (self.name)()) })
    }
}

/// What an answer holds.
#[derive(Clone, Copy)]
enum Holds {
    Nothing,
    Json(Shape),
    /// JSON whose members are documented elsewhere.
    Any,
    Text(&'static str),
}

/// A parameter of a query, or a header field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    place: &'static str,
    name: &'static str,
    about: &'static str,
    kind: &'static str,
}

/// A parameter of the query.
pub(super) const fn query(
    name: &'static str,
    kind: &'static str,
    about: &'static str,
) -> Parameter {
    Parameter { place: "query", name, about, kind }
}

/// A header field.
pub(super) const fn header(name: &'static str, about: &'static str) -> Parameter {
    Parameter { place: "header", name, about, kind: "string" }
}

/// What is said of an endpoint.
pub(super) struct Says {
    summary: &'static str,
    parameters: Vec<Parameter>,
    takes: Option<Shape>,
    gives: Vec<(StatusCode, Holds)>,
    problems: BTreeSet<u16>,
}

impl fmt::Debug for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.summary)
    }
}

/// An endpoint does this.
pub(super) fn says(summary: &'static str) -> Says {
    let (parameters, gives, problems) = (Vec::new(), Vec::new(), BTreeSet::new());
    Says { summary, parameters, takes: None, gives, problems }
}

impl Says {
    /// It has these parameters, besides those of its path.
    pub(super) fn with(mut self, parameters: &[Parameter]) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// It takes this.
    pub(super) fn takes<T: ToSchema>(self) -> Self {
        Self { takes: Some(Shape::of::<T>()), ..self }
    }

    /// It answers this.
    pub(super) fn gives<T: ToSchema>(self, status: StatusCode) -> Self {
        self.holds(status, Holds::Json(Shape::of::<T>()))
    }

    /// It answers with JSON whose members stand in the module's documentation.
    pub(super) fn gives_json(self) -> Self {
        self.holds(StatusCode::OK, Holds::Any)
    }

    /// It answers with text.
    pub(super) fn gives_text(self, status: StatusCode, media: &'static str) -> Self {
        self.holds(status, Holds::Text(media))
    }

    /// It answers without a body.
    pub(super) fn gives_nothing(self, status: StatusCode) -> Self {
        self.holds(status, Holds::Nothing)
    }

    /// These problems are its own, beside those that all have.
    pub(super) fn fails(mut self, statuses: &[u16]) -> Self {
        self.problems.extend(statuses);
        self
    }

    fn holds(mut self, status: StatusCode, holds: Holds) -> Self {
        self.gives.push((status, holds));
        self
    }
}

/// The document: what all these endpoints do.
pub(super) fn document(endpoints: &[Endpoint]) -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut shapes = Shapes::new();
    for endpoint in endpoints {
        let item = paths.entry(endpoint.path).or_default();
        item.insert(endpoint.method.as_str().to_lowercase(), operation(endpoint, &mut shapes));
    }
    let schemas: BTreeMap<String, Value> = shapes
        .into_iter()
        .map(|(name, schema)| (name, plain(&schema)))
        .chain([("Problem".to_owned(), problem())])
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "coregate admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Over the Unix socket nothing is asked for; over TCP a token is. Readers ignore members that they do not know.",
            "license": { "name": "see the project", "url": "about:blank" },
        },
        "servers": [{ "url": "http://127.0.0.1:9900", "description": "a loopback address of runtime.admin" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(endpoint: &Endpoint, shapes: &mut Shapes) -> Value {
    let Says { summary, parameters, takes, gives, problems } = &endpoint.says;
    let in_path =
        endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Value> = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    all.extend(parameters.iter().map(|Parameter { place, name, about, kind }| {
        json!({ "name": name, "in": place, "required": false, "description": about, "schema": { "type": kind } })
    }));
    let mut responses = Map::new();
    for (status, holds) in gives {
        responses.insert(status.as_str().to_owned(), answer(*status, *holds, shapes));
    }
    let common: &[u16] =
        if endpoint.need == Need::Nothing { &[400, 421] } else { &[400, 401, 403, 421, 503] };
    for status in problems.iter().chain(common) {
        // Some of these mean what an answer already means.
        responses.entry(status.to_string()).or_insert_with(refusal);
    }
    let mut operation = json!({
        "summary": summary,
        "operationId": id(endpoint),
        "parameters": all,
        "responses": responses,
        "security": if endpoint.need == Need::Nothing { json!([{}]) } else { json!([{ "token": [] }, {}]) },
    });
    if let Some(shape) = takes {
        collect(*shape, shapes);
        operation["requestBody"] =
            json!({ "content": { "application/json": { "schema": shape.reference() } } });
    }
    operation
}

/// One name for each: what stands in its path, and how it is asked.
fn id(endpoint: &Endpoint) -> String {
    let words = endpoint.path.split(['/', '.', '{', '}']).filter(|word| !word.is_empty());
    let words: Vec<_> = words.collect();
    format!("{}_{}", endpoint.method.as_str().to_lowercase(), words.join("_"))
}

fn answer(status: StatusCode, holds: Holds, shapes: &mut Shapes) -> Value {
    let said = status.canonical_reason().unwrap_or("an answer");
    match holds {
        Holds::Nothing => json!({ "description": said }),
        Holds::Any => {
            json!({ "description": said, "content": { "application/json": { "schema": {} } } })
        }
        Holds::Text(media) => {
            json!({ "description": said, "content": { media: { "schema": { "type": "string" } } } })
        }
        Holds::Json(shape) => {
            collect(shape, shapes);
            json!({ "description": said, "content": { "application/json": { "schema": shape.reference() } } })
        }
    }
}

fn refusal() -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({ "description": "what is wrong, and what would be right", "content": { PROBLEM_JSON: { "schema": schema } } })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457; a report that says no has the report's members as well.",
        "required": ["title", "status", "detail"],
        "properties": {
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
        },
    })
}

fn collect(shape: Shape, shapes: &mut Shapes) {
    shapes.push(((shape.name)().into_owned(), (shape.schema)()));
    (shape.parts)(shapes);
}

fn plain(schema: &impl Serialize) -> Value {
    // None that is known: what is written are texts and numbers.
    serde_json::to_value(schema).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::routes;
    use super::*;

    /// Both ways: each endpoint stands in the document with what its path names, and nothing else does.
    #[test]
    fn every_endpoint_stands_in_the_document() {
        let endpoints = routes::endpoints();
        let document = document(&endpoints);
        let paths = document["paths"].as_object().expect("paths");
        let written: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().expect("an item").keys();
                methods.map(move |method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let served: BTreeSet<_> =
            endpoints.iter().map(|one| (one.path.to_owned(), one.method.to_string())).collect();
        assert_eq!(written, served);
        assert_eq!(served.len(), endpoints.len(), "each once");
        for endpoint in &endpoints {
            let says = &endpoint.says;
            assert!(!says.gives.is_empty(), "{} gives nothing", endpoint.path);
            assert_eq!(says.takes.is_some(), endpoint.takes_body, "{}", endpoint.path);
        }
    }

    #[test]
    fn no_two_shapes_have_one_name() {
        let mut shapes = Shapes::new();
        for endpoint in routes::endpoints() {
            operation(&endpoint, &mut shapes);
        }
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        for (name, schema) in shapes {
            let schema = plain(&schema);
            let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(*first, schema, "{name}");
        }
    }

    #[test]
    fn every_shape_that_is_named_is_there() {
        let document = document(&routes::endpoints());
        let text = document.to_string();
        let named = text.split("#/components/schemas/").skip(1);
        let named: BTreeSet<_> = named.filter_map(|rest| rest.split('"').next()).collect();
        let there = document["components"]["schemas"].as_object().expect("schemas");
        let missing: Vec<_> = named.iter().filter(|name| !there.contains_key(**name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
