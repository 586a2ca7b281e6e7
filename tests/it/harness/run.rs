//! Running programs: started with their output caught, and to their end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::clock;

/// Starts a program, its output caught.
#[track_caller]
pub(super) fn spawn(words: &[&str], variables: &[(String, String)]) -> Child {
    Command::new(words[0])
        .args(&words[1..])
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", words.join(" ")))
}

/// Runs a program to its end.
#[track_caller]
pub fn run(words: &[&str], variables: &[(String, String)]) -> Ended {
    to_its_end(spawn(words, variables))
}

#[track_caller]
pub(super) fn to_its_end(mut child: Child) -> Ended {
    let (messages, output) = (Arc::default(), Arc::default());
    let readers = [
        collect(child.stderr.take().unwrap(), &messages),
        collect(child.stdout.take().unwrap(), &output),
    ];
    let status = clock::within(clock::PATIENCE, || child.try_wait().unwrap());
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    let text = |lines: &Mutex<Vec<String>>| lines.lock().unwrap().join("\n");
    let (messages, output) = (text(&messages), text(&output));
    let Some(status) = status else { panic!("it does not end:\n{messages}\n{output}") };
    Ended { code: status.code(), messages, output }
}

/// A command that is over.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub messages: String,
    pub output: String,
}

pub(super) fn collect(
    stream: impl Read + Send + 'static,
    lines: &Arc<Mutex<Vec<String>>>,
) -> std::thread::JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            lines.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}
