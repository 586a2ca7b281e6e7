//! The proxies as `slow` runs them: the files in `perf/conf/slow/`, valid as they stand, with the
//! same deadline for a head, between two pieces of a body, and for a reader.

use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::peers::{Kind, Peer, Place, fill};

/// Those that can be measured here.
pub const KINDS: [Kind; 3] = [Kind::Coregate, Kind::Nginx, Kind::Haproxy];

const COREGATE_TOML: &str = include_str!("../../conf/slow/coregate.toml");
const NGINX_CONF: &str = include_str!("../../conf/slow/nginx.conf");
const HAPROXY_CFG: &str = include_str!("../../conf/slow/haproxy.cfg");
/// What stands for the deadline in the files.
const DEADLINE: &str = "120s";
/// What stands for the connections in HAProxy's.
const CONNECTIONS: &str = "maxconn 24000";
/// What keeps coregate from closing bodies that are merely slow.
const ANY_RATE: &str = "limits = { body_rate = 0 }\n";

/// What the deadline is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Everything hangs: no deadline may come.
    Hang,
    /// Everything must be shed.
    Shed,
}

/// What a configuration is made for.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The deadline of a head, between two pieces of a body, and of a reader.
    pub deadline: Duration,
    /// What for.
    pub purpose: Purpose,
    /// Connections that must find room.
    pub connections: usize,
}

/// Writes the configuration and returns the command that starts the peer in the foreground.
pub fn command(peer: &Peer, place: &Place, terms: &Terms) -> io::Result<Command> {
    let write =
        |file: &str, text: &str| fs::write(place.folder.join(file), configured(text, place, terms));
    let mut command = Command::new(&peer.program);
    command.current_dir(&place.folder);
    match peer.kind {
        Kind::Coregate => {
            let file = "coregate.toml";
            write(file, COREGATE_TOML)?;
            if terms.purpose == Purpose::Shed || !accepts(peer, place, file)? {
                write(file, &COREGATE_TOML.replace(ANY_RATE, ""))?;
            }
            command.args(["run", "-c", file]);
        }
        Kind::Nginx => {
            write("nginx.conf", NGINX_CONF)?;
            command.args(["-p", ".", "-c", "nginx.conf", "-e", "stderr"]);
        }
        Kind::Haproxy => {
            write("haproxy.cfg", HAPROXY_CFG)?;
            command.args(["-db", "-f", "haproxy.cfg"]);
        }
        Kind::Envoy | Kind::Floor => {
            return Err(io::Error::other(format!("{}: has no configuration here", peer.name)));
        }
    }
    Ok(command)
}

/// Whether this build knows every key of its file.
fn accepts(peer: &Peer, place: &Place, file: &str) -> io::Result<bool> {
    let mut check = Command::new(&peer.program);
    check.current_dir(&place.folder).args(["check", file]);
    let status = check.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    Ok(status.success())
}

fn configured(text: &str, place: &Place, terms: &Terms) -> String {
    fill(text, place)
        .replace(DEADLINE, &format!("{}s", terms.deadline.as_secs()))
        .replace(CONNECTIONS, &format!("maxconn {}", terms.connections))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_takes_its_deadline() {
        let place = Place::new(Path::new("."), 3, 20_000, 5);
        for text in [COREGATE_TOML, NGINX_CONF, HAPROXY_CFG] {
            let deadline = Duration::from_secs(7);
            let terms = Terms { deadline, purpose: Purpose::Hang, connections: 99 };
            let filled = configured(text, &place, &terms);
            assert!(filled.contains("20003") && filled.contains("21003") && filled.contains("7s"));
            // Comments name the placeholder too.
            assert!(!filled.contains(DEADLINE) && !filled.contains("18080"));
        }
        assert!(COREGATE_TOML.contains(ANY_RATE) && HAPROXY_CFG.contains(CONNECTIONS));
    }
}
