//! `coregate consumers`: who may call, and their keys.
//!
//! A key that was made is the only line on standard output, so that a script can take it; what to do with it is said on standard error.

use clap::Subcommand;
use coregate_control::io::admin::consumers::{
    AddBody, ConsumerReport, KeyBody, KeyReport, RotateBody,
};
use coregate_control::io::client::{ClientError, Method, Reply};
use coregate_control::registry::consumers::{
    ConsumerSource, ConsumerView, ConsumersView, KeyState, KeyView,
};
use serde::Serialize;

use super::show::{self, Shown};
use super::{Call, To, escaped, with};
use crate::server::say;

/// What can be asked of consumers.
#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    /// List the consumers with their groups and keys; of keys the first digits of their SHA-256
    List {
        /// This consumer alone
        name: Option<String>,
        /// Begin after this consumer
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
        #[command(flatten)]
        to: To,
    },
    /// Add a consumer, and print its key, which is never shown again
    Add {
        /// Its name: letters, digits and -_.@:
        name: String,
        /// A group that it is in; may stand several times
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// When the key ends: 90d, or 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        to: To,
    },
    /// Print another key for a consumer; those that it has go on
    Key {
        /// The consumer
        name: String,
        /// When the key ends: 90d, or 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        to: To,
    },
    /// Print a new key for a consumer, whose old ones end after a while
    Rotate {
        /// The consumer
        name: String,
        /// The old key, by the first 8 digits of its digest or more; all by default
        #[arg(long, value_name = "DIGEST")]
        key: Option<String>,
        /// How long the old ones go on: 24h by default, 0 for not at all
        #[arg(long, value_name = "TIME")]
        grace: Option<String>,
        /// When the new key ends: 90d, or 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        to: To,
    },
    /// Refuse a key of a consumer from now on, or all of them; one that stands in the file too
    Revoke {
        /// The consumer
        name: String,
        /// The key, by the first 8 digits of its digest or more
        #[arg(value_name = "DIGEST", required_unless_present = "all")]
        key: Option<String>,
        /// All keys of the consumer
        #[arg(long, conflicts_with = "key")]
        all: bool,
        #[command(flatten)]
        to: To,
    },
    /// Take a consumer away that was added
    Remove {
        /// The consumer
        name: String,
        #[command(flatten)]
        to: To,
    },
}

impl Ask {
    pub(super) fn to(&self) -> &To {
        match self {
            Self::List { to, .. }
            | Self::Add { to, .. }
            | Self::Key { to, .. }
            | Self::Rotate { to, .. }
            | Self::Revoke { to, .. }
            | Self::Remove { to, .. } => to,
        }
    }

    pub(super) fn call(&self) -> Result<Call, ClientError> {
        const ALL: &str = "/v1/consumers";
        let of = |name: &str, what: &str| format!("{ALL}/{}{what}", escaped(name));
        let delete = |target| Call::new(Method::Delete, target);
        Ok(match self {
            Self::List { name, after, .. } => {
                let word = |name, value: &Option<String>| Some((name, escaped(value.as_ref()?)));
                let query = [word("name", name), word("after", after)].into_iter().flatten();
                Call::get(&with(ALL, query))
            }
            Self::Add { name, groups, expires, .. } => {
                let (name, groups) = (name.clone(), groups.clone());
                post(ALL, &AddBody { name, groups, expires: expires.clone() })?
            }
            Self::Key { name, expires, .. } => {
                post(&of(name, "/keys"), &KeyBody { expires: expires.clone() })?
            }
            Self::Rotate { name, key, grace, expires, .. } => {
                let (grace, digest, expires) = (grace.clone(), key.clone(), expires.clone());
                post(&of(name, "/rotate"), &RotateBody { grace, digest, expires })?
            }
            Self::Revoke { name, key, .. } => {
                let key = key.as_ref().map(|key| format!("/{}", escaped(key)));
                delete(of(name, &format!("/keys{}", key.unwrap_or_default())))
            }
            Self::Remove { name, .. } => delete(of(name, "")),
        })
    }

    pub(super) fn show(&self, reply: &Reply) -> Shown {
        if !reply.is_success() {
            return show::refused(reply);
        }
        match self {
            Self::List { .. } => list(&reply.json()?),
            Self::Add { .. } | Self::Key { .. } | Self::Rotate { .. } => made(&reply.json()?),
            Self::Revoke { name, .. } | Self::Remove { name, .. } => changed(name, &reply.json()?),
        }
        Ok(())
    }
}

fn post(target: &str, body: &impl Serialize) -> Result<Call, ClientError> {
    let body = serde_json::to_value(body);
    Ok(Call::post(target, body.map_err(|error| ClientError::Request(error.to_string()))?))
}

fn list(view: &ConsumersView) {
    let widest = |cell: fn(&ConsumerView) -> usize, least: usize| {
        view.consumers.iter().map(cell).chain([least]).max().unwrap_or(least)
    };
    let name = widest(|one| one.name.len(), 8);
    let groups = widest(|one| one.groups.join(",").len(), 6);
    say::data(format_args!(
        "{:<name$}  {:<groups$}  {:<6}  {:<8}  {:<7}  ENDS",
        "CONSUMER", "GROUPS", "SOURCE", "KEY", "STATE"
    ));
    for one in &view.consumers {
        let row = |source, key: &str, state: &str, ends: &str| {
            let (own, groups_of) = (&one.name, one.groups.join(","));
            say::data(format_args!(
                "{own:<name$}  {groups_of:<groups$}  {:<6}  {key:<8}  {state:<7}  {ends}",
                source_word(source)
            ));
        };
        for key in &one.keys {
            let ends = key.expires.as_ref().map_or("-", |at| at.text.as_str());
            row(key.source, &key.digest, state_word(key), ends);
        }
        if one.keys.is_empty() {
            row(one.source, "-", "-", "-");
        }
    }
    if let Some(next) = &view.next {
        say::message(format_args!("{} in all; for more: --after {next}", view.count));
    }
}

fn source_word(source: ConsumerSource) -> &'static str {
    match source {
        ConsumerSource::File => "file",
        ConsumerSource::Added => "added",
    }
}

fn state_word(key: &KeyView) -> &'static str {
    match key.state {
        KeyState::Valid => "valid",
        KeyState::Expired => "expired",
        KeyState::Revoked => "revoked",
    }
}

fn made(KeyReport { key, digest, consumer, durable, notes }: &KeyReport) {
    say::data(&key.0);
    let name = &consumer.name;
    say::message(format_args!(
        "this key of {name} is shown once: hand it to whoever calls, who sends it where `auth` looks for it (x-api-key by default)"
    ));
    say::message(format_args!("to refuse it later: coregate consumers revoke {name} {digest}"));
    for old in consumer.keys.iter().filter(|old| old.digest != *digest) {
        if let (KeyState::Valid, Some(at)) = (old.state, &old.expires) {
            say::message(format_args!("key {} ends at {}", old.digest, at.text));
        }
    }
    remarks(*durable, notes);
}

fn changed(name: &str, ConsumerReport { consumer, durable, notes }: &ConsumerReport) {
    match consumer {
        None => say::data(format_args!("consumer {name} is gone")),
        Some(consumer) => {
            let valid = consumer.keys.iter().filter(|key| key.state == KeyState::Valid).count();
            let keys = if valid == 1 { "key" } else { "keys" };
            say::data(format_args!("consumer {name} has {valid} valid {keys}"));
        }
    }
    remarks(*durable, notes);
}

fn remarks(durable: bool, notes: &[String]) {
    notes.iter().for_each(say::message);
    if !durable {
        say::message(
            "this is kept in memory alone, and forgotten at a restart: see --state, and coregate status",
        );
    }
}
