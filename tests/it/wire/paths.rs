//! Confusing targets: what was matched is what was forwarded, and what has no normal form reaches nobody.

use crate::harness::gateway::Setup;
use crate::harness::origin::{Origin, Reply};

#[path = "../../data/paths/table.rs"]
mod table;

/// Answers with its name, the host and the target that it was asked for, a line each.
fn telling(name: &'static str) -> Origin {
    Origin::serving(move |request| {
        let host = request.head.get("host").unwrap_or_default();
        let forwarded = request.head.get("x-forwarded-host").unwrap_or_default();
        assert_eq!(host, forwarded);
        Reply::ok(format!("{name}\n{host}\n{}", request.target))
    })
}

/// The service that `/admin/*` and `/*` give a target, said apart from the router.
fn expected_service(target: &str) -> &'static str {
    let path = target.split('?').next().unwrap_or_default();
    if path == "/admin" || path.starts_with("/admin/") { "admin" } else { "rest" }
}

#[test]
fn what_is_matched_is_what_is_forwarded() {
    let [admin, rest] = ["admin", "rest"].map(telling);
    let gateway = Setup::run(&format!(
        "listen = \"127.0.0.1:0\"\n\
         [routes]\n\"/admin/*\" = \"admin\"\n\"/*\" = \"rest\"\n\
         [services.admin]\ninstances = [{:?}]\n[services.rest]\ninstances = [{:?}]\n",
        admin.address(),
        rest.address()
    ))
    .start();
    let mut counts = [0, 0, 0];
    for case in table::cases() {
        let mut client = gateway.client();
        let response = client.send(case.request()).response();
        match &case.expected {
            Ok((host, target)) => {
                assert_eq!(response.status, 200, "{}", case.line);
                let service = expected_service(target);
                let expected = format!("{service}\n{host}\n{target}");
                assert_eq!(response.text(), expected, "{}", case.line);
                counts[usize::from(service == "rest")] += 1;
            }
            Err(status) => {
                assert_eq!(response.status, *status, "{}", case.line);
                client.expect_closed();
                counts[2] += 1;
            }
        }
    }
    // Nothing that was refused reached an origin, and the table has some of each.
    assert_eq!([admin.take().len(), rest.take().len()], counts[..2]);
    assert!(counts.iter().all(|count| *count >= 15), "{counts:?}");
}
