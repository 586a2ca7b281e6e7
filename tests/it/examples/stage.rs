//! An example as it is served here: where it listens and where its instances are is put in place of what it says, and nothing
//! else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use coregate_config::{Secret, Settings};
use coregate_core::snapshot::plan::{Address, ServicePlan};
use coregate_strict::Request;

use crate::harness::gateway::{Folder, Gateway, Setup};
use crate::harness::origin::{Origin, Reply};

/// What instances answer: the service that they are of, and the target that they were asked for.
pub(super) const SERVICE: &str = "x-service";
pub(super) const PATH: &str = "x-path";

/// What may stand behind an address: nothing, or a weight.
const ENDS: [&str; 2] = ["\"", " weight="];

/// An example that is being served.
pub(super) struct Stage {
    pub(super) gateway: Gateway,
    /// As they are written.
    pub(super) settings: Settings,
    /// The services that nobody can answer for.
    pub(super) without_instances: Vec<String>,
    _origins: Vec<Origin>,
    _sockets: Folder,
}

impl Stage {
    /// Starts the gateway on this file and on what it includes, and an origin for each instance.
    pub(super) fn set(file: &Path, settings: Settings) -> Self {
        let mut places = Places { sockets: Folder::new(), known: BTreeMap::new() };
        let admin = settings.runtime.admin.iter().flatten();
        let binds = settings.listeners.iter().flat_map(|listener| &listener.bind);
        for address in binds.chain(admin) {
            let here = match address {
                Address::Tcp(_) => "127.0.0.1:0".to_owned(),
                Address::Unix(_) => format!("unix:{}", places.socket().display()),
            };
            places.put(address, here);
        }
        let mut origins = Vec::new();
        for service in &settings.plan.services {
            for address in &service.instances {
                let origin = origin(service, address, &places.socket());
                places.put(address, origin.address().to_owned());
                origins.push(origin);
            }
        }
        let empty = settings.plan.services.iter().filter(|service| service.instances.is_empty());
        let without_instances = empty.map(|service| service.name.clone()).collect();
        let gateway = places.start(file, &settings);
        Self { gateway, settings, without_instances, _origins: origins, _sockets: places.sockets }
    }
}

/// What stands for each address, and the folder of the sockets among them.
struct Places {
    sockets: Folder,
    known: BTreeMap<String, String>,
}

impl Places {
    /// A path for a socket that there is not yet.
    fn socket(&self) -> PathBuf {
        self.sockets.path(&format!("{}.sock", self.known.len()))
    }

    fn put(&mut self, address: &Address, here: String) {
        let other = self.known.insert(address.to_string(), here);
        assert_eq!(other, None, "{address} stands twice: nobody could tell who answered");
    }

    fn start(&self, file: &Path, settings: &Settings) -> Gateway {
        let mut setup = Setup::run(&self.moved(file));
        let (folder, inputs) = (file.parent().unwrap(), coregate_config::load(file).inputs.now());
        for included in inputs.iter().skip(1) {
            let copy =
                setup.folder().path(included.strip_prefix(folder).unwrap().to_str().unwrap());
            std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
            std::fs::write(copy, self.moved(included)).unwrap();
        }
        // What stood where it was would listen to the network.
        let texts: String =
            inputs.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        for address in self.known.keys() {
            let written = ENDS.iter().any(|end| texts.contains(&format!("\"{address}{end}")));
            assert!(written, "{address} is written otherwise");
        }
        let grants = settings.grants.values().map(|grant| &grant.token);
        let keys = settings.keys.iter().map(|key| &key.secret);
        let secrets = settings.runtime.admin_token.iter().chain(settings.tokens.values());
        for secret in secrets.chain(grants).chain(keys) {
            let Secret::Env(name) = secret else { panic!("{secret}: no example reads a file") };
            setup = setup.variable(name, &secret_of(name));
        }
        setup.start()
    }

    /// The text of a file with what stands for its addresses.
    fn moved(&self, file: &Path) -> String {
        let text = std::fs::read_to_string(file).unwrap();
        let put = |text: String, (address, here): (&String, &String)| {
            let ends = ENDS.iter();
            ends.fold(text, |text, end| {
                text.replace(&format!("\"{address}{end}"), &format!("\"{here}{end}"))
            })
        };
        self.known.iter().fold(text, put)
    }
}

/// What lies in the environment under this name.
pub(super) fn secret_of(name: &str) -> String {
    format!("{name}-correct-horse-battery-staple")
}

/// An instance of a service; `path` is for its socket, if that is a Unix one.
fn origin(service: &ServicePlan, address: &Address, path: &Path) -> Origin {
    let name = service.name.clone();
    let answer = move |request: &Request| {
        let fields = format!("{SERVICE}: {name}\r\n{PATH}: {}\r\n", request.target);
        Reply::with("200 OK", &fields, "")
    };
    match (address, service.proxy_protocol) {
        (Address::Unix(_), None) => Origin::serving_unix(path, answer),
        (Address::Tcp(_), None) => Origin::serving(answer),
        (_, Some(_)) => Origin::scripted(move |peer, _| {
            peer.told();
            while let Ok(request) = peer.reader.request() {
                let (Reply::Keep(bytes) | Reply::Close(bytes)) = answer(&request);
                peer.send(bytes);
            }
        }),
    }
}
