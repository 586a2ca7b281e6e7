//! `coregate explain`.

use clap::Args;
use coregate_control::io::admin::explain::{ExplainBody, explanation};
use coregate_core::snapshot::explain;
use coregate_core::snapshot::explain::inquiry::{Inquiry, Whence, WhenceError};
use serde_json::Value;

use super::{Load, Of, plan, settings, snapshot, unspent};
use crate::server::commands::Call;
use crate::server::{Exit, say};

/// A request, and whose routes it is held against.
#[derive(Debug, Args)]
#[command(override_usage = "coregate explain [OPTIONS] [METHOD] <URL>")]
pub(crate) struct Explain {
    /// The method; GET where the URL stands alone
    #[arg(value_name = "METHOD")]
    first: String,
    /// The URL: https://shop.example.com/users/7, or a path alone for a request without a host
    #[arg(value_name = "URL")]
    second: Option<String>,
    /// Nothing: it is there for what is said of it
    #[arg(hide = true)]
    third: Option<String>,
    /// A header field of the request: "x-beta: 1"; may stand several times
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The listener that it comes in by [default: the first that reads requests]
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The address that it comes from, or unix; limits by address are not looked at without it
    #[arg(long, value_name = "ADDRESS", value_parser = whence)]
    from: Option<String>,
    /// Show which service of a split this random number chooses
    #[arg(long, value_name = "N")]
    random: Option<u64>,
    /// List more of the routes that do not take it
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    of: Of,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME:VALUE")?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn whence(text: &str) -> Result<String, WhenceError> {
    text.parse::<Whence>().map(|_| text.to_owned())
}

impl Explain {
    pub(super) fn run(&self, load: Load<'_>) -> Result<Exit, Exit> {
        let (method, url) = self.asked().map_err(|why| {
            say::message(why);
            Exit::Usage
        })?;
        let body = self.body(method, url);
        let explained = match &self.of.config {
            Some(path) => {
                let snapshot = snapshot(&plan(&settings(path, load)?))?;
                let inquiry = Inquiry::try_from(body).map_err(|_| Exit::Usage)?;
                let explained = explain::explain(&snapshot, &inquiry, &unspent());
                explanation(&explained.map_err(|error| {
                    say::message(error);
                    Exit::Usage
                })?)
            }
            None => {
                let body = serde_json::to_value(body).unwrap_or_default();
                self.of.to.read(&Call::post("/v1/explain", body))?
            }
        };
        if self.of.to.is_json() {
            say::data(&explained);
        } else {
            let lines = explained.get("lines").and_then(Value::as_array);
            lines.into_iter().flatten().filter_map(Value::as_str).for_each(say::data);
        }
        let is_taken = explained.get("route").is_some_and(|route| !route.is_null());
        Ok(if is_taken { Exit::Ok } else { Exit::Failed })
    }

    /// The method and the URL, or what to write instead of what stands there.
    fn asked(&self) -> Result<(&str, &str), String> {
        let rest = [self.second.as_deref(), self.third.as_deref()];
        let said: Vec<_> = rest.into_iter().flatten().collect();
        let is_file = std::path::Path::new(&self.first).extension().is_some_and(|it| it == "toml");
        match said.as_slice() {
            rest if is_file && !self.first.contains("://") && self.of.config.is_none() => {
                let rest = if rest.is_empty() { "GET /".to_owned() } else { rest.join(" ") };
                Err(format!("write coregate explain -c {} {rest}", self.first))
            }
            [] if self.first.contains(['/', '.', ':']) => Ok(("GET", &self.first)),
            [] => Err(format!("no URL: write coregate explain {} /users/7", self.first)),
            [url] => Ok((&self.first, url)),
            _ => Err("expected a method and a URL: a file stands behind -c".to_owned()),
        }
    }

    fn body(&self, method: &str, url: &str) -> ExplainBody {
        ExplainBody {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: self.headers.clone(),
            listener: self.listener.clone(),
            from: self.from.clone(),
            random: self.random,
            all: self.all,
        }
    }
}
