//! The other end of the admin listener, for the commands: one request, one answer, one connection.
//!
//! It blocks its caller, on a runtime of its own, and for no longer than it is told.

mod follow;

use std::fmt;
use std::io;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

pub use follow::{Event, follow};

/// What is asked.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// How.
    pub method: Method,
    /// The path, and behind a `?` the query; both escaped.
    pub target: &'a str,
    /// What goes with it, as JSON.
    pub body: Option<&'a Value>,
    /// The token. It is sent over TCP only: a Unix socket needs none.
    pub token: Option<&'a str>,
    /// How long all of it may take.
    pub within: Duration,
}

impl<'a> Request<'a> {
    /// A look at something, without a token.
    pub const fn get(target: &'a str, within: Duration) -> Self {
        Self { method: Method::Get, target, body: None, token: None, within }
    }
}

impl fmt::Debug for Request<'_> {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// To read.
    Get,
    /// To change something.
    Post,
    /// To say what something is to be.
    Put,
    /// To take something away.
    Delete,
}

/// An answer, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// Whether what was asked for was done.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Its body as JSON.
    ///
    /// # Errors
    /// It is not what was expected: [`ClientError::Answer`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| ClientError::Answer(format!("status {}: {error}", self.status)))
    }

    /// What an error says: the `detail` of a problem, else the body as text.
    pub fn detail(&self) -> String {
        let problem: Option<Value> = serde_json::from_slice(&self.body).ok();
        let detail = problem.as_ref().and_then(|problem| problem.get("detail")?.as_str());
        detail.map_or_else(|| String::from_utf8_lossy(&self.body).trim().to_owned(), str::to_owned)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there, or they may not be spoken to (exit 69).
    #[error("{address}: {error}")]
    Unreachable {
        /// Where it was tried.
        address: Address,
        /// What the kernel said.
        error: io::Error,
    },
    /// No answer came in time. What was asked for may still be done.
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// What came is no answer.
    #[error("what answers is no admin listener: {0}")]
    Answer(String),
    /// It cannot be asked like this.
    #[error("{0}")]
    Request(String),
    /// This process cannot ask anything.
    #[error("no runtime: {0}")]
    Runtime(io::Error),
}

/// Asks an admin listener, and waits for its answer.
///
/// # Errors
/// There is no answer; a status that says no is none of them.
pub fn request(address: &Address, request: &Request<'_>) -> Result<Reply, ClientError> {
    let message = message(address, request)?;
    runtime()?.block_on(async {
        tokio::time::timeout(request.within, exchange(address, message))
            .await
            .unwrap_or(Err(ClientError::TimedOut(request.within)))
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, ClientError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io().enable_time().build().map_err(ClientError::Runtime)
}

fn message(
    address: &Address,
    request: &Request<'_>,
) -> Result<hyper::Request<Full<Bytes>>, ClientError> {
    let host = match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    let method = match request.method {
        Method::Get => hyper::Method::GET,
        Method::Post => hyper::Method::POST,
        Method::Put => hyper::Method::PUT,
        Method::Delete => hyper::Method::DELETE,
    };
    let body = request.body.map(ToString::to_string).unwrap_or_default();
    let mut message = hyper::Request::builder()
        .method(method)
        .uri(request.target)
        .header(HOST, host)
        .header(CONNECTION, "close");
    if request.body.is_some() {
        message = message.header(CONTENT_TYPE, "application/json");
    }
    if let (Address::Tcp(_), Some(token)) = (address, request.token) {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| ClientError::Request("the token holds bytes that no header can".into()))?;
        value.set_sensitive(true);
        message = message.header(AUTHORIZATION, value);
    }
    message
        .body(Full::from(body))
        .map_err(|error| ClientError::Request(format!("{}: {error}", request.target)))
}

async fn exchange(
    address: &Address,
    message: hyper::Request<Full<Bytes>>,
) -> Result<Reply, ClientError> {
    let response = send(address, message).await?;
    let status = response.status().as_u16();
    Ok(Reply { status, body: read(response.into_body()).await? })
}

async fn send(
    address: &Address,
    message: hyper::Request<Full<Bytes>>,
) -> Result<hyper::Response<Incoming>, ClientError> {
    let unreachable = |error| ClientError::Unreachable { address: address.clone(), error };
    match address {
        Address::Tcp(to) => {
            speak(TcpStream::connect(to).await.map_err(unreachable)?, message).await
        }
        Address::Unix(path) => {
            speak(UnixStream::connect(path).await.map_err(unreachable)?, message).await
        }
    }
}

async fn speak<S>(
    stream: S,
    message: hyper::Request<Full<Bytes>>,
) -> Result<hyper::Response<Incoming>, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let no_answer = |error: hyper::Error| ClientError::Answer(error.to_string());
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(no_answer)?;
    // It ends with the runtime; how it ended is seen by who waits for the answer.
    tokio::spawn(connection);
    sender.send_request(message).await.map_err(no_answer)
}

async fn read(body: Incoming) -> Result<Bytes, ClientError> {
    let most = limits::ADMIN_ANSWER_BYTES;
    match Limited::new(body, most).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ClientError::Answer(format!("its answer has more than {most} bytes")))
        }
        Err(error) => Err(ClientError::Answer(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
