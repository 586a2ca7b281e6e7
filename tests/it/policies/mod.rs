//! Who is let in, and how much: consumers, keys and rates, as a configuration file asks for them.

mod bulkheads;
mod connections;
mod exact;
mod keys;
mod quotas;
mod rates;
mod whole;

use coregate_strict::Response;

use crate::harness::client::Peer;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::origin::Origin;

/// A key in the way of those that we make: long enough, and of nobody's birthday.
const ANN: &str = "key-of-ann-0123456789";
const BOB: &str = "key-of-bob-0123456789";

/// So many workers, one listener, two consumers, a service `s` before this origin, and the lines behind that.
#[track_caller]
fn gateway(workers: usize, origin: &Origin, lines: &str) -> Gateway {
    gateway_with(workers, origin, lines, &[])
}

/// The same with more variables.
#[track_caller]
fn gateway_with(
    workers: usize,
    origin: &Origin,
    lines: &str,
    variables: &[(&str, &str)],
) -> Gateway {
    let set = |setup: Setup, (name, value): &(&str, &str)| setup.variable(name, value);
    variables.iter().fold(setup(workers, origin, lines), set).start()
}

/// The same before it is started.
fn setup(workers: usize, origin: &Origin, lines: &str) -> Setup {
    let config = format!(
        "[runtime]\ncores = {workers}\n\
         [listeners.default]\nbind = \"127.0.0.1:0\"\nexpose_reasons = true\n\
         [consumers.ann]\nkeys = [{{ env = \"ANN_KEY\" }}]\ngroups = [\"gold\"]\n\
         [consumers.bob]\nkeys = [{{ env = \"BOB_KEY\" }}]\n\
         [services.s]\ninstances = [{:?}]\n{lines}\n",
        origin.address()
    );
    Setup::run(&config).variable("ANN_KEY", ANN).variable("BOB_KEY", BOB)
}

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn with_key(path: &str, key: &str) -> String {
    get(path, &format!("X-Api-Key: {key}\r\n"))
}

#[track_caller]
fn ask(client: &mut Peer, request: String) -> Response {
    client.send(request).response()
}

#[track_caller]
fn reason(response: &Response) -> (u16, Option<&str>) {
    (response.status, response.head.get("x-coregate-reason"))
}

/// The value of a series of `/metrics`; 0 if it is not there.
#[track_caller]
fn metric(gateway: &Gateway, series: &str) -> u64 {
    let text = gateway.admin("GET", "/metrics").text();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}
