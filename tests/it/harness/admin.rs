//! Asking a running gateway: by its admin listener, and by the commands of the same binary.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::client::Peer;
use super::clock::until;
use super::gateway::{Gateway, binary};
use super::run::{Ended, run};
use coregate_strict::Response;

/// One request to an admin listener and its answer. `fields`: lines that end in CRLF.
#[track_caller]
pub fn ask(address: &str, method: &str, target: &str, fields: &str, body: &str) -> Response {
    let host = if address.starts_with("unix:") { "localhost" } else { address };
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
    };
    let host =
        if fields.starts_with("Host:") { String::new() } else { format!("Host: {host}\r\n") };
    let head = format!("{method} {target} HTTP/1.1\r\n{host}{fields}{length}Connection: close\r\n");
    Peer::connect(address).send(format!("{head}\r\n{body}")).response_to(method)
}

/// The answer as JSON.
#[track_caller]
pub fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body)
        .unwrap_or_else(|error| panic!("{error}: {}", response.text()))
}

impl Gateway {
    /// Where its admin listener is.
    pub fn admin_address(&self) -> String {
        format!("unix:{}", self.folder.path("admin.sock").display())
    }

    /// One request to its admin listener, and the answer, whatever it is.
    #[track_caller]
    pub fn admin(&self, method: &str, target: &str) -> Response {
        ask(&self.admin_address(), method, target, "", "")
    }

    /// The same with a JSON body.
    #[track_caller]
    pub fn admin_with(&self, method: &str, target: &str, body: &Value) -> Response {
        ask(&self.admin_address(), method, target, "", &body.to_string())
    }

    /// What stands there, as JSON.
    #[track_caller]
    pub fn view(&self, target: &str) -> Value {
        let response = self.admin("GET", target);
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        json(&response)
    }

    /// `coregate WORDS --admin` of this gateway, to its end.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> Ended {
        if words[0] == "upgrade" {
            self.asked_to_upgrade.store(true, Ordering::SeqCst);
        }
        let (binary, admin) = (binary().display().to_string(), self.admin_address());
        let mut all = vec![binary.as_str()];
        all.extend(words);
        all.extend(["--admin", &admin]);
        run(&all, &[])
    }

    /// A command that must be done; gives what it printed.
    #[track_caller]
    pub fn done(&self, words: &[&str]) -> String {
        let ended = self.command(words);
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
        ended.output
    }

    /// A command that must be refused; gives what it said on standard error.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) -> String {
        let ended = self.command(words);
        assert_eq!(ended.code, Some(1), "{words:?}: {ended:?}");
        assert_eq!(ended.output, "", "{words:?}: {ended:?}");
        ended.messages
    }

    /// A command with `-o json` and this exit code; gives what it printed.
    #[track_caller]
    pub fn command_json(&self, words: &[&str], code: i32) -> Value {
        let ended = self.command(&[words, &["-o", "json"]].concat());
        assert_eq!(ended.code, Some(code), "{words:?}: {ended:?}");
        serde_json::from_str(&ended.output).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
    }

    /// Puts another configuration in the place of its file: never half of it is there.
    pub fn write(&self, text: &str) {
        let beside = self.folder.write("coregate.toml.new", text);
        std::fs::rename(beside, self.folder.path("coregate.toml")).unwrap();
    }

    /// Reloads this configuration, which must be taken; gives what is said to have changed, a line each.
    #[track_caller]
    pub fn reload(&self, text: &str) -> Vec<String> {
        self.write(text);
        let output = self.done(&["reload"]);
        let mut lines: Vec<_> = output.lines().map(String::from).collect();
        let last = lines.pop().unwrap_or_default();
        assert!(last.contains(" runs on every worker after "), "{output}");
        lines
    }

    /// Where a listener listens now.
    #[track_caller]
    pub fn places(&self, listener: &str) -> Vec<String> {
        let status = self.view("/v1/status");
        let all = status["listeners"].as_array().unwrap().iter();
        let own = all.filter(|one| one["name"] == listener);
        own.map(|one| one["address"].as_str().unwrap().to_owned()).collect()
    }

    /// The only address of a listener.
    #[track_caller]
    pub fn place(&self, listener: &str) -> String {
        let mut places = self.places(listener);
        assert_eq!(places.len(), 1, "{listener}: {places:?}");
        places.remove(0)
    }

    /// The status of `/readyz`, if the admin listener takes connections still.
    #[track_caller]
    pub fn readiness(&self) -> (u16, String) {
        let response = self.admin("GET", "/readyz");
        (response.status, response.text().trim().to_owned())
    }

    /// The generation that was published last.
    #[track_caller]
    pub fn generation(&self) -> u64 {
        self.view("/v1/config")["generation"].as_u64().unwrap()
    }

    /// Waits until a view is as it should be.
    #[track_caller]
    pub fn view_when(&self, what: &str, target: &str, holds: impl Fn(&Value) -> bool) -> Value {
        until(what, || Some(self.view(target)).filter(&holds))
    }
}
