//! `coregate explain`.

use clap::Args;
use coregate_control::io::admin::explain::{ExplainBody, explanation};
use coregate_core::snapshot::explain;
use serde_json::Value;

use super::{Load, Of, settings, snapshot};
use crate::server::commands::Call;
use crate::server::{Exit, say};

/// A request, and whose routes it is held against.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The method
    method: String,
    /// The URL: https://shop.example.com/users/7, or a path alone for a request without a host
    url: String,
    /// A header field of the request: "x-beta: 1"; may stand several times
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The listener that it comes in by [default: the first that reads requests]
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
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

impl Explain {
    pub(super) fn run(&self, load: Load<'_>) -> Result<Exit, Exit> {
        let explained = match &self.of.config {
            Some(path) => {
                let snapshot = snapshot(&settings(path, load)?.plan)?;
                let explained = explain::explain(&snapshot, &self.body().into());
                explanation(&explained.map_err(|error| {
                    say::message(error);
                    Exit::Usage
                })?)
            }
            None => {
                let body = serde_json::to_value(self.body()).unwrap_or_default();
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

    fn body(&self) -> ExplainBody {
        ExplainBody {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            listener: self.listener.clone(),
            random: self.random,
            all: self.all,
        }
    }
}
