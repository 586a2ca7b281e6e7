//! The proxies that are compared: how each is found, configured and started.
//!
//! The configurations are the files in `perf/conf/`, valid as they stand; a run puts its own ports
//! and CPU in their place. Commands use names relative to the run's own folder, so that results
//! name no path of the machine they were measured on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const COREGATE_TOML: &str = include_str!("../conf/coregate.toml");
const NGINX_CONF: &str = include_str!("../conf/nginx.conf");
const HAPROXY_CFG: &str = include_str!("../conf/haproxy.cfg");
const ENVOY_YAML: &str = include_str!("../conf/envoy.yaml");
/// What stands for ports and CPU in the files.
const LISTEN_PORT: &str = "18080";
const ORIGIN_PORT: &str = "19001";
const CPU_LIST: &str = "\"0-0\"";

/// Which program a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// This project's gateway.
    Coregate,
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Envoy.
    Envoy,
    /// The raw forwarder of this package.
    Floor,
}

impl Kind {
    /// All of them, in the order of the table.
    pub const ALL: [Kind; 5] =
        [Kind::Coregate, Kind::Nginx, Kind::Haproxy, Kind::Envoy, Kind::Floor];

    /// The name of the program.
    pub fn program(self) -> &'static str {
        match self {
            Kind::Coregate => "coregate",
            Kind::Nginx => "nginx",
            Kind::Haproxy => "haproxy",
            Kind::Envoy => "envoy",
            Kind::Floor => "floor",
        }
    }

    fn version_flag(self) -> &'static str {
        match self {
            Kind::Nginx | Kind::Haproxy => "-v",
            Kind::Coregate | Kind::Envoy | Kind::Floor => "--version",
        }
    }
}

/// A proxy that can be started.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its name in the table.
    pub name: String,
    /// Which program it is.
    pub kind: Kind,
    /// Where the program is.
    pub program: PathBuf,
    /// What the program says about its version.
    pub version: String,
}

/// Where a peer runs.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its own folder.
    pub folder: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The origin it forwards to.
    pub origin: SocketAddr,
    /// The CPU it has for itself.
    pub cpu: usize,
}

impl Place {
    /// The place of the `index`-th peer: each has ports of its own, so that connections left in
    /// TIME-WAIT by one do not take ports from the next.
    pub fn new(folder: &Path, index: usize, base_port: u16, cpu: usize) -> Place {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let port = base_port.saturating_add(index as u16);
        Place {
            folder: folder.to_owned(),
            listen: at(port),
            origin: at(port.saturating_add(1000)),
            cpu,
        }
    }
}

impl Peer {
    /// A peer with its version asked.
    pub fn new(name: &str, kind: Kind, program: &Path) -> io::Result<Peer> {
        // Peers are started in folders of their own: a relative path would lead elsewhere.
        let program = program
            .canonicalize()
            .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        let version = version_of(&program, kind.version_flag());
        Ok(Peer { name: name.to_owned(), kind, program, version })
    }

    /// Writes the configuration and returns the command that starts the peer in the foreground.
    pub fn command(&self, place: &Place) -> io::Result<Command> {
        let write = |file: &str, text: &str| fs::write(place.folder.join(file), fill(text, place));
        let mut command = Command::new(&self.program);
        command.current_dir(&place.folder);
        match self.kind {
            Kind::Coregate => {
                write("coregate.toml", COREGATE_TOML)?;
                command.args(["run", "-c", "coregate.toml"]);
            }
            Kind::Nginx => {
                write("nginx.conf", NGINX_CONF)?;
                command.args(["-p", ".", "-c", "nginx.conf", "-e", "stderr"]);
            }
            Kind::Haproxy => {
                write("haproxy.cfg", HAPROXY_CFG)?;
                command.args(["-db", "-f", "haproxy.cfg"]);
            }
            Kind::Envoy => {
                write("envoy.yaml", ENVOY_YAML)?;
                let flags = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"];
                command.args(["-c", "envoy.yaml"]).args(flags);
            }
            Kind::Floor => {
                let (listen, origin) = (place.listen.to_string(), place.origin.to_string());
                command.args(["--listen", &listen, "--to", &origin]);
            }
        }
        Ok(command)
    }
}

/// Which peers a run has.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// The names asked for; without them, all that are found.
    pub wanted: Option<&'a [String]>,
    /// Builds of coregate, PATH or NAME=PATH; without one, the one that is built beside this program.
    pub coregate: &'a [String],
    /// Where envoy is, if not on the search path.
    pub envoy: Option<&'a Path>,
    /// The programs that the run can measure.
    pub kinds: &'a [Kind],
}

/// The peers asked for, or all that are found; what is left out is said.
#[allow(clippy::print_stderr)] // For the user of the program.
pub fn choose(choice: &Choice<'_>) -> io::Result<Vec<Peer>> {
    let mut found: Vec<Peer> = Vec::new();
    for given in choice.coregate {
        let (name, path) = given.split_once('=').unwrap_or(("coregate", given));
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(io::Error::other(format!("{given}: a name is letters, digits and `-`")));
        }
        found.push(Peer::new(name, Kind::Coregate, Path::new(path))?);
    }
    for kind in choice.kinds {
        let program = match kind {
            Kind::Coregate if !choice.coregate.is_empty() => continue,
            Kind::Coregate | Kind::Floor => sibling(kind.program()),
            Kind::Envoy if choice.envoy.is_some() => choice.envoy.map(Path::to_owned),
            Kind::Nginx | Kind::Haproxy | Kind::Envoy => find(kind.program()),
        };
        match program {
            Some(program) => found.push(Peer::new(kind.program(), *kind, &program)?),
            None => eprintln!("{}: not found, left out", kind.program()),
        }
    }
    let Some(wanted) = choice.wanted else { return unlike(found) };
    let pick = |name: &String| {
        let peer = found.iter().find(|peer| peer.name == *name);
        peer.cloned().ok_or_else(|| io::Error::other(format!("{name}: no such peer here")))
    };
    unlike(wanted.iter().map(pick).collect::<io::Result<_>>()?)
}

/// A command as the results show it: the program by its name alone.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// A program on the search path, or where Debian keeps daemons.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// A program that is built beside this one.
pub fn sibling(program: &str) -> Option<PathBuf> {
    Some(env::current_exe().ok()?.with_file_name(program)).filter(|path| path.is_file())
}

/// The first line that a program prints when asked for its version, with its name where it says its whole path: results
/// are published, and where a program lies is nobody's business.
pub fn version_of(program: &Path, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else {
        return "unknown".to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    line.unwrap_or("unknown").replace(&*program.to_string_lossy(), &name)
}

/// Refuses two peers of one name.
fn unlike(peers: Vec<Peer>) -> io::Result<Vec<Peer>> {
    for (at, peer) in peers.iter().enumerate() {
        if peers[..at].iter().any(|other| other.name == peer.name) {
            return Err(io::Error::other(format!("{}: two peers of this name", peer.name)));
        }
    }
    Ok(peers)
}

/// A configuration with a place's ports and CPU in it.
pub(crate) fn fill(text: &str, place: &Place) -> String {
    text.replace(LISTEN_PORT, &place.listen.port().to_string())
        .replace(ORIGIN_PORT, &place.origin.port().to_string())
        .replace(CPU_LIST, &format!("\"{0}-{0}\"", place.cpu))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_takes_its_ports() {
        let place = Place::new(Path::new("."), 3, 20_000, 5);
        for text in [COREGATE_TOML, NGINX_CONF, HAPROXY_CFG, ENVOY_YAML] {
            assert!(text.contains(LISTEN_PORT) && text.contains(ORIGIN_PORT));
            let filled = fill(text, &place);
            assert!(filled.contains("20003") && filled.contains("21003"));
            assert!(!filled.contains(LISTEN_PORT) && !filled.contains(ORIGIN_PORT));
        }
        assert!(fill(COREGATE_TOML, &place).contains("cores = \"5-5\""));
    }

    #[test]
    fn commands_are_shown_without_paths() {
        let mut command = Command::new("/somewhere/far/proxy");
        command.args(["-c", "proxy.conf"]);
        assert_eq!(shown(&command), "proxy -c proxy.conf");
    }
}
