//! Toy services: small origins for `coregate demo`, so that requests flow through the real thing. They are well whatever path
//! they are asked for, and name themselves in `x-instance-id`, as a probe may ask.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use axum::Router;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::IntoResponse;

/// Starts one instance of a toy service on a free loopback port, on a thread of its own; gives its address.
///
/// It answers every request with a line that says who it is and what it was asked, and runs until the process ends.
pub fn start(service: &str, instance: &str) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let who = Who { name: format!("{service} ({instance})"), id: instance.to_owned() };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    thread::Builder::new().name(format!("toy-{instance}")).spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let app = Router::new()
                .fallback(move |method, uri, headers| answer(who.clone(), method, uri, headers));
            axum::serve(listener, app).await
        })
    })?;
    Ok(address)
}

/// Who answers.
#[derive(Clone)]
struct Who {
    name: String,
    id: String,
}

async fn answer(who: Who, method: Method, uri: Uri, headers: HeaderMap) -> impl IntoResponse {
    let Who { name, id } = who;
    let header = |name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned()
    };
    let text = format!(
        "hello from {name}\n  you asked:         {method} {uri}\n  host:              {}\n  x-forwarded-for:   {}\n  via:               {}\n  x-request-id:      {}\n",
        header("host"),
        header("x-forwarded-for"),
        header("via"),
        header("x-request-id"),
    );
    ([("x-instance-id", id)], text)
}
