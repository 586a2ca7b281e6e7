//! `coregate demo`: two toy services with two instances each, and the gateway before them, in one process on loopback.

use std::env;

use coregate_control::io::toy;
use coregate_core::snapshot::plan::Address;

use crate::server::cli::Options;
use crate::server::configuration::Source;
use crate::server::start::{self, Wish};
use crate::server::{Exit, handover, say};

/// Starts the toys, writes the file that a user would, and serves it.
pub(crate) fn run(listen: &Address, options: &Options) -> Exit {
    if env::var_os(handover::VARIABLE).is_some() {
        // It would take over sockets of which it has no use, and close them.
        let why = "a demo takes nobody's place";
        start::tell_predecessor(why);
        say::message(why);
        return Exit::Failed;
    }
    let text = match configuration(listen) {
        Ok(text) => text,
        Err(error) => {
            say::message(format_args!("the toy services did not start: {error}"));
            return Exit::Failed;
        }
    };
    let loaded = coregate_config::parse("demo.toml", &text);
    let Some(settings) = loaded.settings else {
        say::diagnostics(&loaded.report.render(false));
        return Exit::Config;
    };
    let (source, watch) = (Source::Flags, None);
    let wish = Wish { source, settings, text: text.clone(), watch, options };
    start::serve(wish, |places| {
        say::data(format_args!(
            "This is the whole configuration (the instances end with the demo):\n\n{text}"
        ));
        places.iter().for_each(|address| say::data(invitation(address)));
    })
}

fn configuration(listen: &Address) -> std::io::Result<String> {
    let instances = |service: &str| -> std::io::Result<String> {
        let first = toy::start(service, &format!("{service}-1"))?;
        let second = toy::start(service, &format!("{service}-2"))?;
        Ok(format!("[\"{first}\", \"{second}\"]"))
    };
    Ok(format!(
        "listen = \"{listen}\"\n\n[routes]\n\"/users/*\" = \"users\"\n\"/orders/*\" = \"orders\"\n\n\
         [services.users]\ninstances = {}\n\n[services.orders]\ninstances = {}\n",
        instances("users")?,
        instances("orders")?,
    ))
}

fn invitation(address: &Address) -> String {
    let (option, host) = match address {
        Address::Tcp(address) => (String::new(), address.to_string()),
        Address::Unix(path) => (format!("--unix-socket {} ", path.display()), "localhost".into()),
    };
    format!(
        "Try, in another terminal:\n\n\
         \x20 curl {option}http://{host}/users/7         # a few times: each worker lets the instances take turns\n\
         \x20 curl {option}http://{host}/orders/1?full=yes\n\
         \x20 curl -i {option}http://{host}/nowhere      # no route: 404\n\
         \x20 curl -i {option}--path-as-is http://{host}/users/../../etc   # climbs above the root: 400\n\n\
         Stop with Ctrl-C."
    )
}
