//! What systemd is told: sd_notify(3), over a socket that the test has.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use crate::harness::clock::PATIENCE;
use crate::harness::gateway::{Folder, Setup, config};
use crate::harness::origin::Origin;

fn next(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).expect("a state is told");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn systemd_is_told_of_every_turn() {
    let folder = Folder::new();
    let socket = UnixDatagram::bind(folder.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let origin = Origin::named("o");
    let place = format!("NOTIFY_SOCKET={}", folder.path("notify").display());
    let setup = Setup::run(&config("", "", &[origin.address()])).under(&["env", &place]);
    let mut gateway = setup.start();
    assert_eq!(next(&socket).trim(), "READY=1");
    gateway.signal(Signal::HUP);
    let reloading = next(&socket);
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading:?}");
    assert_eq!(next(&socket).trim(), "READY=1");
    gateway.signal(Signal::TERM);
    assert_eq!(next(&socket).trim(), "STOPPING=1");
    assert_eq!(gateway.wait().code(), Some(0));
}
