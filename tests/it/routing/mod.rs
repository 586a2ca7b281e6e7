//! What routes do with requests, as a configuration file asks for it: forward them, send their clients elsewhere, answer.

mod answers;
mod forwarding;
mod redirects;

use crate::harness::gateway::{Gateway, Setup};
use crate::harness::origin::Origin;

/// One worker, a service of each name before its origin, and these lines under `[routes]`; reasons shown.
#[track_caller]
fn gateway(origins: &[(&str, &Origin)], routes: &str) -> Gateway {
    let services = origins
        .iter()
        .map(|(name, origin)| format!("[services.{name}]\ninstances = [{:?}]\n", origin.address()));
    let services = services.collect::<String>();
    Setup::run(&format!(
        "[runtime]\ncores = 1\n\
         [listeners.default]\nbind = \"127.0.0.1:0\"\nexpose_reasons = true\n\
         {services}[routes]\n{routes}\n"
    ))
    .start()
}
