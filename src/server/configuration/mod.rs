//! The configuration of the running process: where it comes from, what was applied, what can be gone back to.
//!
//! Here is what is remembered and decided; [`reload`](crate::server::reload) carries it out.
//!
//! - [`history`]: the last configurations that were applied, with their texts.
//! - [`watch`]: whether the files have changed.

pub(crate) mod history;
pub(crate) mod watch;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use coregate_config::{Inputs, Loaded, Settings};
use coregate_control::io::admin::report::{Origin, Verdict};

use self::history::{Applied, History};

/// Where a configuration comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A file, which can be read again.
    File(PathBuf),
    /// The command line, which cannot.
    Flags,
}

/// A configuration that is to be applied, or why it cannot be.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// What it says; none if there is any error.
    pub(crate) settings: Option<Settings>,
    /// Its text, with that of all the files that it includes.
    pub(crate) text: String,
    /// What it is called.
    pub(crate) source: String,
    /// What is wrong with it, as it is shown to people.
    pub(crate) report: String,
    /// Its number in the history, if it comes from there.
    pub(crate) again: Option<u64>,
    /// The files that it was read from, unless it comes from there.
    pub(crate) inputs: Option<Inputs>,
}

impl Candidate {
    /// What was loaded.
    pub(crate) fn new(source: String, loaded: Loaded) -> Self {
        let Loaded { settings, report, text, inputs } = loaded;
        let report = match report.diagnostics().is_empty() {
            true => String::new(),
            false => report.render(false),
        };
        let (text, inputs) = (text.unwrap_or_default(), Some(inputs));
        Self { settings, text, source, report, again: None, inputs }
    }
}

/// What must be confirmed, else it is taken back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unconfirmed {
    /// The number of the one that comes back.
    pub(crate) back_to: u64,
    /// When.
    pub(crate) until: Instant,
    /// The same, by the clock on the wall.
    pub(crate) until_wall: SystemTime,
}

impl Unconfirmed {
    /// Unless it is confirmed within this.
    pub(crate) fn within(time: Duration, back_to: u64) -> Self {
        Self { back_to, until: Instant::now() + time, until_wall: SystemTime::now() + time }
    }
}

/// The configuration of the running process.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) source: Source,
    /// What runs.
    pub(crate) settings: Settings,
    pub(crate) history: History,
    pub(crate) unconfirmed: Option<Unconfirmed>,
    /// How the last reload went; the start, if there was none.
    pub(crate) last: Verdict,
}

impl Configuration {
    /// What the process starts with, published as this generation. `history`: that of the process before, if there was one.
    pub(crate) fn new(
        source: Source,
        settings: Settings,
        text: String,
        generation: u64,
        history: Option<History>,
    ) -> Self {
        let origin = if history.is_some() { Origin::Upgrade } else { Origin::Start };
        let mut history = history.unwrap_or_default();
        // Where the file says what ran, nothing was applied.
        if history.current().is_none_or(|entry| entry.text != text) {
            history.add(Applied { text, generation, origin, again: None }, None);
        }
        let last = Verdict {
            at: SystemTime::now().into(),
            origin,
            applied: true,
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        Self { source, settings, history, unconfirmed: None, last }
    }

    /// Reads the configuration again.
    pub(crate) fn load(&self) -> Result<Candidate, &'static str> {
        match &self.source {
            Source::File(path) => {
                Ok(Candidate::new(path.display().to_string(), coregate_config::load(path)))
            }
            Source::Flags => {
                Err("this process was started without a file: there is nothing to reload")
            }
        }
    }

    /// A configuration of the history, to be applied again: as it was, whatever its files hold now.
    pub(crate) fn recall(&self, number: u64) -> Option<Candidate> {
        let entry = self.history.get(number)?;
        let source = format!("number {number} of the history");
        let loaded = coregate_config::parse(&source, &entry.text);
        let candidate = Candidate::new(source, loaded);
        Some(Candidate { again: Some(number), inputs: None, ..candidate })
    }
}
