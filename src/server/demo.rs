//! `coregate demo`: two toy services with two instances each, which announce themselves, and the gateway before them, on loopback.
//!
//! The toys are processes of their own, so that one can be killed as a service is. A thread tells their story on standard output;
//! the main thread serves, as in any other gateway.

mod story;
mod toys;
mod traffic;

use std::path::PathBuf;
use std::time::Duration;
use std::{env, thread};

use coregate_core::snapshot::plan::Address;

use crate::server::cli::{AdminPlace, Options};
use crate::server::configuration::Source;
use crate::server::start::{self, Wish};
use crate::server::{Exit, handover, say};

pub(crate) use toys::play;

/// Writes the file that a user would, serves it, and tells what happens; each scene of that takes so long.
pub(crate) fn run(listen: &Address, scene: Duration, options: &Options) -> Exit {
    if env::var_os(handover::VARIABLE).is_some() {
        // It would take over sockets of which it has no use, and close them.
        let why = "a demo takes nobody's place";
        start::tell_predecessor(why);
        say::message(why);
        return Exit::Failed;
    }
    let Some(place) = Place::choose(options) else {
        say::message("the toys register by a Unix socket: choose it by --admin unix:/PATH");
        return Exit::Usage;
    };
    let text = configuration(listen, &place.admin);
    let loaded = coregate_config::parse("demo.toml", &text);
    let Some(settings) = loaded.settings else {
        say::diagnostics(&loaded.report.render(false));
        return Exit::Config;
    };
    let (source, watch) = (Source::Flags, None);
    let wish = Wish { source, settings, text: text.clone(), watch, options };
    start::serve(wish, |places| {
        say::data(format_args!("This is the whole configuration:\n\n{text}"));
        let Some(gateway) = places.first().cloned() else { return };
        let admin = place.admin.clone();
        let told = thread::Builder::new().name("story".into());
        // The kernel ends the toys with this thread, which lasts as long as the process.
        if let Err(error) = told.spawn(move || story::tell(gateway, admin, scene)) {
            say::message(format_args!("story: no thread: {error}"));
        }
    })
}

/// Where the admin listener is, and which folder was made for it.
struct Place {
    admin: Address,
    folder: Option<PathBuf>,
}

impl Place {
    /// The Unix socket that was asked for; where nobody asked, one that no other gateway on this host has.
    fn choose(options: &Options) -> Option<Self> {
        let asked = options.admin.iter().find_map(|place| match place {
            AdminPlace::At(address @ Address::Unix(_)) => Some(address.clone()),
            AdminPlace::At(Address::Tcp(_)) | AdminPlace::None => None,
        });
        if !options.admin.is_empty() {
            return asked.map(|admin| Self { admin, folder: None });
        }
        let name = format!("coregate-demo-{}", std::process::id());
        let folder = env::temp_dir().join(name);
        // A folder that is there already is somebody else's.
        std::fs::create_dir(&folder).ok()?;
        Some(Self { admin: Address::Unix(folder.join("admin.sock")), folder: Some(folder) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // What cannot be removed is an empty folder among temporary ones.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn configuration(listen: &Address, admin: &Address) -> String {
    format!(
        "listen = \"{listen}\"\n\n[runtime]\nadmin = [\"{admin}\"]\n\n\
         [routes]\n\"/users/*\" = \"users\"\n\"/orders/*\" = \"orders\"\n\n\
         [services.users]\nregister = true\n\n[services.orders]\nregister = true\n"
    )
}
