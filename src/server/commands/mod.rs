//! Commands that speak to a running process, by its admin listener.
//!
//! What was asked for goes to standard output, as lines or as the JSON that the listener answered with; everything else to
//! standard error. Exit: 0 done, 1 refused, 69 nobody there.

mod consumers;
mod rates;
mod registry;
mod show;

use std::path::PathBuf;
use std::time::Duration;
use std::{env, io};

use clap::{Args, Subcommand};
use coregate_control::io::client::{self, ClientError, Method, Reply, Request};
use coregate_control::io::moment;
use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::server::{Exit, admin, say, upgrade};

/// What can be asked of a running process.
#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    /// Read the configuration file again and apply it, whole or not at all; say what changed
    Reload {
        /// Take it back unless `coregate confirm` comes within this: 60s
        #[arg(long, value_name = "TIME", value_parser = moment::duration)]
        confirm: Option<Duration>,
        #[command(flatten)]
        to: To,
    },
    /// Keep what `coregate reload --confirm` applied
    Confirm {
        #[command(flatten)]
        to: To,
    },
    /// Go back to a configuration of the history, the one before by default; the file stays as it is
    Rollback {
        /// Its number, as `coregate history` shows it
        number: Option<u64>,
        #[command(flatten)]
        to: To,
    },
    /// List the configurations that were applied, the newest first
    History {
        #[command(flatten)]
        to: To,
    },
    /// Show how two configurations of the history differ: the last two by default
    Diff {
        /// The number of the first
        from: Option<u64>,
        /// The number of the second; the one that runs by default
        with: Option<u64>,
        #[command(flatten)]
        to: To,
    },
    /// Show the process, its configuration and its workers
    Status {
        /// Say only whether it is ready, and exit with 1 if not: for probes
        #[arg(long)]
        ready: bool,
        #[command(flatten)]
        to: To,
    },
    /// Replace the running process by a new one, by default from the same path, without losing a request
    Upgrade {
        /// The new binary
        #[arg(long, value_name = "PATH")]
        binary: Option<PathBuf>,
        #[command(flatten)]
        to: To,
    },
    /// Give an instance no new requests; what it still has may finish within the deadline
    Drain {
        /// The service
        service: String,
        /// The instance: ADDRESS:PORT or unix:/PATH
        instance: Address,
        /// How long what it still has may take: 30s
        #[arg(long, value_name = "TIME", value_parser = moment::duration)]
        deadline: Option<Duration>,
        #[command(flatten)]
        to: To,
    },
    /// Show and change which instances have registered
    Registry {
        #[command(subcommand)]
        ask: registry::Ask,
    },
    /// Show and change who may call, and by which keys
    Consumers {
        #[command(subcommand)]
        ask: consumers::Ask,
    },
    /// Show how much is allowed, and how much is left of it
    Limits {
        #[command(subcommand)]
        ask: rates::Ask,
    },
    /// Give an instance that was drained requests again
    Enable {
        /// The service
        service: String,
        /// The instance: ADDRESS:PORT or unix:/PATH
        instance: Address,
        #[command(flatten)]
        to: To,
    },
}

/// Which process, and how its answer is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct To {
    /// The admin listener of the process [default: COREGATE_ADMIN, else the default socket]
    #[arg(long, value_name = "ADDR")]
    admin: Option<Address>,
    /// How to say it
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

/// A question as it goes over the wire.
pub(crate) struct Call {
    method: Method,
    target: String,
    body: Option<Value>,
    within: Duration,
}

/// Asks, and shows the answer.
pub(crate) fn run(ask: &Ask) -> Exit {
    if let Ask::Registry { ask } = ask
        && let Some(exit) = ask.stay()
    {
        return exit;
    }
    let to = ask.to();
    let reply = to.place().and_then(|address| {
        let reply =
            ask.call().map_err(|error| failed(&error)).and_then(|call| to.ask(&address, &call));
        reply.map(|reply| (address, reply))
    });
    let (address, reply) = match reply {
        Ok(reply) => reply,
        Err(exit) => return exit,
    };
    if to.is_json() {
        say::data(String::from_utf8_lossy(&reply.body).trim_end());
        return if reply.is_success() { Exit::Ok } else { Exit::Failed };
    }
    let shown = match ask {
        Ask::Status { ready: true, .. } => {
            say::data(String::from_utf8_lossy(&reply.body).trim_end());
            Ok(())
        }
        Ask::Status { .. } => show::status(&reply, |target| to.get(&address, target)),
        Ask::Reload { .. } | Ask::Confirm { .. } | Ask::Rollback { .. } => show::reload(&reply),
        Ask::History { .. } => show::history(&reply),
        Ask::Diff { .. } => show::diff(&reply),
        Ask::Upgrade { .. } => show::upgrade(&reply),
        Ask::Drain { .. } | Ask::Enable { .. } => show::instance(&reply),
        Ask::Registry { ask } => ask.show(&reply),
        Ask::Consumers { ask } => ask.show(&reply),
        Ask::Limits { ask } => ask.show(&reply),
    };
    match shown {
        Ok(()) if reply.is_success() => Exit::Ok,
        Ok(()) => Exit::Failed,
        Err(error) => failed(&error),
    }
}

fn failed(error: &ClientError) -> Exit {
    match error {
        ClientError::Unreachable { error: cause, .. }
            if cause.kind() == io::ErrorKind::PermissionDenied =>
        {
            say::message(format_args!(
                "{error}; only the user that coregate runs as, and root, may"
            ));
            Exit::Unreachable
        }
        ClientError::Unreachable { .. } => {
            say::message(format_args!("{error}; is coregate running there? see --admin"));
            Exit::Unreachable
        }
        _ => {
            say::message(error);
            Exit::Failed
        }
    }
}

impl Ask {
    fn to(&self) -> &To {
        match self {
            Self::Reload { to, .. }
            | Self::Confirm { to }
            | Self::Rollback { to, .. }
            | Self::History { to }
            | Self::Diff { to, .. }
            | Self::Status { to, .. }
            | Self::Upgrade { to, .. }
            | Self::Drain { to, .. }
            | Self::Enable { to, .. } => to,
            Self::Registry { ask } => ask.to(),
            Self::Consumers { ask } => ask.to(),
            Self::Limits { ask } => ask.to(),
        }
    }

    fn call(&self) -> Result<Call, ClientError> {
        let get = |target: String| Call::new(Method::Get, target);
        let post = |target: String| Call::new(Method::Post, target);
        Ok(match self {
            Self::Reload { confirm, .. } => {
                let confirm = confirm.map(|time| ("confirm", format!("{}ms", time.as_millis())));
                post(with("/v1/config/reload", confirm))
            }
            Self::Confirm { .. } => post("/v1/config/confirm".to_owned()),
            Self::Rollback { number, .. } => {
                post(with("/v1/config/rollback", number.map(|number| ("to", number.to_string()))))
            }
            Self::History { .. } => get("/v1/config/history".to_owned()),
            Self::Diff { from, with: to, .. } => {
                let named = [("from", from), ("to", to)].into_iter();
                let named = named.filter_map(|(name, number)| Some((name, (*number)?.to_string())));
                get(with("/v1/config/diff", named))
            }
            Self::Status { ready: true, .. } => get("/readyz".to_owned()),
            Self::Status { .. } => get("/v1/status".to_owned()),
            Self::Upgrade { binary, .. } => {
                let binary = binary.as_ref().map(std::path::absolute).transpose();
                let binary = binary.map_err(|error| ClientError::Request(error.to_string()))?;
                let body = binary.map(|binary| json!({ "binary": binary.display().to_string() }));
                let call = post("/v1/upgrade".to_owned());
                Call { body, within: upgrade::ANSWER_TIME, ..call }
            }
            Self::Drain { service, instance, deadline, .. } => {
                let deadline = deadline.map(|time| ("deadline", format!("{}ms", time.as_millis())));
                post(with(&format!("{}/drain", path_of(service, &instance.to_string())), deadline))
            }
            Self::Registry { ask } => ask.call()?,
            Self::Consumers { ask } => ask.call()?,
            Self::Limits { ask } => ask.call(),
            Self::Enable { service, instance, .. } => {
                post(format!("{}/enable", path_of(service, &instance.to_string())))
            }
        })
    }
}

impl Call {
    /// A question that changes nothing.
    pub(crate) fn get(target: &str) -> Self {
        Self::new(Method::Get, target.to_owned())
    }

    /// A question with a body.
    pub(crate) fn post(target: &str, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::Post, target.to_owned()) }
    }

    fn new(method: Method, target: String) -> Self {
        Self { method, target, body: None, within: limits::COMMAND_TIME }
    }

    fn with_token<'a>(&'a self, token: Option<&'a str>) -> Request<'a> {
        let Self { method, target, body, within } = self;
        Request { method: *method, target, body: body.as_ref(), token, within: *within }
    }
}

fn token() -> Option<String> {
    env::var("COREGATE_ADMIN_TOKEN").ok()
}

/// A path with a query.
fn with(path: &str, query: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let pairs: Vec<_> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

fn path_of(service: &str, instance: &str) -> String {
    format!("/v1/services/{}/instances/{}", escaped(service), escaped(instance))
}

/// A segment of a path: whatever is not plainly allowed in one is escaped (RFC 3986 §2.1).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    let each = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(each).collect()
}

impl To {
    /// Whether the answer is shown as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.output == "json"
    }

    /// Asks, and reads the answer. Where there is none, or it says no, that was said.
    pub(crate) fn read<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Exit> {
        let reply = self.ask(&self.place()?, call)?;
        if !reply.is_success() {
            say::message(reply.detail());
            return Err(if reply.status == 400 { Exit::Usage } else { Exit::Failed });
        }
        reply.json().map_err(|error| failed(&error))
    }

    /// Where the admin listener is.
    fn place(&self) -> Result<Address, Exit> {
        self.address().map_err(|why| {
            say::message(why);
            Exit::Unreachable
        })
    }

    /// Asks, and waits for an answer, whatever it says.
    fn ask(&self, address: &Address, call: &Call) -> Result<Reply, Exit> {
        let reply = self.request(address, call).map_err(|error| failed(&error))?;
        if reply.status == 401 {
            say::message("the admin listener asks for its token: set COREGATE_ADMIN_TOKEN");
            return Err(Exit::Failed);
        }
        Ok(reply)
    }

    fn address(&self) -> Result<Address, String> {
        if let Some(address) = &self.admin {
            return Ok(address.clone());
        }
        match env::var("COREGATE_ADMIN") {
            Ok(text) if !text.is_empty() => {
                text.parse().map_err(|error| format!("COREGATE_ADMIN: {error}"))
            }
            _ => admin::default_address().ok_or_else(|| {
                "XDG_RUNTIME_DIR is not set, so there is no default socket; see --admin".to_owned()
            }),
        }
    }

    fn request(&self, address: &Address, call: &Call) -> Result<Reply, ClientError> {
        let token = token();
        client::request(address, &call.with_token(token.as_deref()))
    }

    /// Asks, and gives each event of an answer that does not end to `on`; the answer, if it is another.
    fn follow(
        &self,
        address: &Address,
        call: &Call,
        on: impl FnMut(client::Event),
    ) -> Result<Option<Reply>, ClientError> {
        let (token, silence) = (token(), 3 * limits::WATCH_HEARTBEAT);
        client::follow(address, &call.with_token(token.as_deref()), silence, on)
    }

    fn get(&self, address: &Address, target: &str) -> Result<Reply, ClientError> {
        self.request(address, &Call::get(target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_escaped() {
        assert_eq!(escaped("unix:/run/a b.sock"), "unix:%2Frun%2Fa%20b.sock");
        assert_eq!(escaped("[::1]:80"), "%5B::1%5D:80");
        assert_eq!(
            with("/a", [("from", "1".to_owned()), ("to", "2".to_owned())]),
            "/a?from=1&to=2"
        );
    }
}
