//! Waiting for the workers' rings, and saying which driver they got and what was tried for it.

use std::io;
use std::sync::mpsc::Receiver;

use coregate_data::worker::runtime::{self, Rung};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::server::events::Event;
use crate::server::start::Failure;
use crate::server::{Exit, say, threads};

/// Waits until every worker has its ring; gives the driver's name.
pub(crate) fn all_built(hear: &Receiver<Event>, cpus: &[usize]) -> Result<String, Failure> {
    let mut driver = String::new();
    let mut missing = cpus.len();
    while missing > 0 {
        match hear.recv() {
            Ok(Event::Worker(id, threads::Event::Built { rung, tried, pinned })) => {
                missing -= 1;
                if !pinned {
                    say::message(format_args!(
                        "worker {}: could not be pinned to cpu {}",
                        id.index(),
                        cpus[id.index()]
                    ));
                }
                let name = rung.to_string();
                if driver.is_empty() {
                    say_tried(&tried, &name);
                    driver = name;
                } else if driver != name {
                    say_tried(&tried, &name);
                    say::message(format_args!("worker {} is on io {name}", id.index()));
                }
            }
            Ok(Event::Worker(id, threads::Event::NotBuilt(error))) => {
                let hint =
                    runtime::refusal_hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                let why = format!("worker {}: {error}{hint}; try --io epoll", id.index());
                return Err((Exit::Failed, why));
            }
            Ok(Event::Signal(signal)) => match signal.hear() {
                SIGTERM | SIGINT => return Err((Exit::Ok, String::new())),
                _ => {}
            },
            Ok(_) => {}
            Err(_) => return Err((Exit::Failed, "all workers have gone".to_owned())),
        }
    }
    Ok(driver)
}

fn say_tried(tried: &[(Rung, io::Error)], end: &str) {
    for (at, (rung, error)) in tried.iter().enumerate() {
        let next = tried.get(at + 1).map_or(end.to_owned(), |(next, _)| next.to_string());
        say::message(format_args!("io {rung}: {error}; trying {next}"));
    }
    if end == "epoll"
        && !tried.is_empty()
        && let Some(hint) = runtime::refusal_hint()
    {
        say::message(format_args!("io_uring is refused: {hint}"));
    }
}
