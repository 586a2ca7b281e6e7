//! One row of the table of endpoints: where it is, what it needs and takes, what it answers. The router, the guard and the
//! OpenAPI document are all made from these rows, so that none of them can know an endpoint that the others do not.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, delete, get, post, put};

use super::body;
use super::guard::Need;
use super::openapi::Says;
use super::routes::Here;
use super::tokens::Scope;

/// An endpoint.
pub(super) struct Endpoint {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) need: Need,
    pub(super) takes_body: bool,
    pub(super) says: Says,
    handler: MethodRouter<Here>,
}

impl Endpoint {
    fn new(method: Method, path: &'static str, handler: MethodRouter<Here>, says: Says) -> Self {
        Self { method, path, need: Need::Everything, takes_body: false, says, handler }
    }

    /// What is read.
    pub(super) fn get<H: Handler<T, Here>, T: 'static>(
        path: &'static str,
        to: H,
        says: Says,
    ) -> Self {
        Self::new(Method::GET, path, get(to), says)
    }

    /// What is done.
    pub(super) fn post<H: Handler<T, Here>, T: 'static>(
        path: &'static str,
        to: H,
        says: Says,
    ) -> Self {
        Self::new(Method::POST, path, post(to), says)
    }

    /// What something is to be.
    pub(super) fn put<H: Handler<T, Here>, T: 'static>(
        path: &'static str,
        to: H,
        says: Says,
    ) -> Self {
        Self::new(Method::PUT, path, put(to), says)
    }

    /// What is to go.
    pub(super) fn delete<H: Handler<T, Here>, T: 'static>(
        path: &'static str,
        to: H,
        says: Says,
    ) -> Self {
        Self::new(Method::DELETE, path, delete(to), says)
    }

    /// Anybody may ask who can connect.
    pub(super) fn open(self) -> Self {
        Self { need: Need::Nothing, ..self }
    }

    /// A token with this scope for the service in the path is enough.
    pub(super) fn of_service(self, scope: Scope) -> Self {
        Self { need: Need::Service(scope), ..self }
    }

    /// The handler looks at what the token opens.
    pub(super) fn asked(self) -> Self {
        Self { need: Need::Asked, ..self }
    }

    /// It takes a body.
    pub(super) fn with_body(self) -> Self {
        Self { takes_body: true, ..self }
    }

    /// Adds it to a router.
    pub(super) fn add_to(self, router: Router<Here>) -> Router<Here> {
        let Self { path, takes_body, handler, .. } = self;
        router.route(
            path,
            if takes_body { handler } else { handler.route_layer(from_fn(body::refuse)) },
        )
    }
}
