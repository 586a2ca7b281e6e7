//! The sockets of the admin listener: where they are, who may connect, and what becomes of them in an upgrade.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::{env, io};

use coregate_config::{Listener, RuntimeSettings};
use coregate_control::io::admin::guard::Guard;
use coregate_control::io::admin::room::Room;
use coregate_control::io::admin::{self, Admin, AdminSocket};
use coregate_control::registry::directory::admission::TokenCheck;
use coregate_core::snapshot::plan::Address;
use rustix::fs::Mode;

use crate::server::facts::Facts;
use crate::server::listen::live::{Handed, Live};
use crate::server::say;

/// What its addresses are called among listeners.
const NAME: &str = "admin";

/// A running admin listener with its sockets.
#[derive(Debug)]
pub(crate) struct Office {
    pub(crate) admin: Admin,
    pub(crate) live: Live,
}

/// Where the admin listener is unless it is said: in the folder that systemd made for the service (`RuntimeDirectory=`), else
/// `/run/coregate/admin.sock` for root, else below `$XDG_RUNTIME_DIR`.
pub(crate) fn default_address() -> Option<Address> {
    let set = |name| env::var_os(name).filter(|value: &OsString| !value.is_empty());
    // Several folders are separated by colons (systemd.exec(5)).
    let own = set("RUNTIME_DIRECTORY").and_then(|folders| env::split_paths(&folders).next());
    let folder = match own {
        Some(own) => own,
        None if rustix::process::geteuid().is_root() => PathBuf::from("/run/coregate"),
        None => PathBuf::from(set("XDG_RUNTIME_DIR")?).join("coregate"),
    };
    Some(Address::Unix(folder.join("admin.sock")))
}

/// Sockets that are bound and not served yet.
#[derive(Debug)]
pub(crate) struct Bound {
    live: Live,
    sockets: Vec<OwnedFd>,
    guard: Guard,
    room: Room,
}

/// Binds the addresses that were asked for, or takes over those of a predecessor; none: there is to be no admin listener.
///
/// Where nobody asked, the default is tried, and that it cannot be had is said. With `must`, that is an error too: a process that
/// is to be spoken to by commands would else be another one's.
pub(crate) fn bind(
    asked: Option<&[Address]>,
    must: bool,
    handed: Vec<Handed>,
) -> Result<Option<Bound>, String> {
    let default = default_address();
    let addresses = match (asked, &default) {
        (Some(asked), _) => asked,
        (None, Some(default)) => std::slice::from_ref(default),
        (None, None) if must => {
            return Err(
                "XDG_RUNTIME_DIR is not set: choose a place by --admin, or --admin none".into()
            );
        }
        (None, None) => {
            say::message("no admin listener: XDG_RUNTIME_DIR is not set; see --admin");
            return Ok(None);
        }
    };
    if addresses.is_empty() {
        return Ok(None);
    }
    match bind_these(addresses, asked.is_none(), handed) {
        Ok(bound) => Ok(Some(bound)),
        Err(why) if asked.is_some() || must => {
            Err(format!("{why}\ncoregate: choose another place by --admin, or --admin none"))
        }
        Err(why) => {
            say::message(format_args!("no admin listener: {why}"));
            Ok(None)
        }
    }
}

fn bind_these(
    addresses: &[Address],
    make_folder: bool,
    handed: Vec<Handed>,
) -> Result<Bound, String> {
    if let (true, Some(Address::Unix(path))) = (make_folder, addresses.first())
        && let Some(folder) = path.parent()
    {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(folder);
        made.map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let listener = Listener { name: NAME.to_owned(), bind: addresses.to_vec() };
    // Who can connect to a Unix socket may do everything: only the user may, from its first moment on.
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = Live::bind(&[listener], 1, handed);
    rustix::process::umask(before);
    let lines = |errors: Vec<_>| {
        let lines = errors.iter().map(ToString::to_string).collect::<Vec<_>>();
        lines.join("\ncoregate: ")
    };
    let (mut live, sockets) = bound.map_err(lines)?;
    live.open().map_err(|error| lines(vec![error]))?;
    let sockets = sockets.into_iter().flatten().map(|socket| socket.socket).collect();
    Ok(Bound { live, sockets, guard: Guard::default(), room: Room::of(0) })
}

impl Bound {
    /// Where they are.
    pub(crate) fn places(&self) -> Vec<Address> {
        self.live.places().map(|(_, address)| address.clone()).collect()
    }

    /// The same, with so much room, guarded by the token that the configuration names. One that cannot be had is an error: the commands that need it
    /// would find out when it is too late.
    pub(crate) fn guarded(self, runtime: &RuntimeSettings, room: Room) -> Result<Self, String> {
        let token = runtime.admin_token.as_ref().map(coregate_config::Secret::resolve).transpose();
        let token = token.map_err(|error| format!("runtime.admin_token: {error}"))?;
        let token = token.map(|token| TokenCheck::new(move |given| token.matches(given)));
        Ok(Self { guard: Guard { token, ..self.guard }, room, ..self })
    }

    /// Serves them.
    pub(crate) fn start(self, facts: Arc<Facts>) -> Result<Office, String> {
        let guard = Guard { tokens: facts.tokens.clone(), ..self.guard };
        let kinds = self.live.places().map(|(_, address)| matches!(address, Address::Unix(_)));
        let sockets = self.sockets.into_iter().zip(kinds.collect::<Vec<_>>());
        let sockets = sockets.map(|(socket, is_unix)| match is_unix {
            true => AdminSocket::Unix(UnixListener::from(socket)),
            false => AdminSocket::Tcp(TcpListener::from(socket)),
        });
        let admin = admin::start(sockets.collect(), guard, facts, self.room);
        let admin = admin.map_err(|error: io::Error| format!("admin listener: {error}"))?;
        Ok(Office { admin, live: self.live })
    }
}
