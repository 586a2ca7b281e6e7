//! Hostile requests: every row of the table gets its right answer, and nothing but well-formed requests reaches an upstream.
//!
//! The table lives beside the strict parser, because the tests in memory use it too. What is not answered with 200 must not
//! reach the origin as a whole request; what does reach it is read by the strict parser, whose complaint fails the test.

use coregate_strict::hostile::{self, How, Row};
use coregate_strict::{Fault, Request, latin1};

use crate::harness::client::Peer;
use crate::harness::gateway::Gateway;
use crate::harness::origin::{Origin, Reply};

mod answers;

/// What is wrong with the answer to a row, if anything.
fn check(row: &Row, gateway: &Gateway, origin: &Origin) -> Result<(), String> {
    let (statuses, closes) = match row.right.strip_suffix(" + close") {
        Some(statuses) => (statuses, true),
        None => (row.right, false),
    };
    nothing_of(&origin.take()).map_err(|late| format!("from the row before: {late}"))?;
    let mut client = gateway.client();
    let sent = match row.how {
        How::Drip => row.bytes.iter().try_for_each(|byte| client.try_send([*byte])),
        How::Plain | How::Answers(_) | How::Head => client.try_send(&row.bytes),
    };
    let mut answers = match client.reader.response(matches!(row.how, How::Head)) {
        Ok(first) => vec![first],
        Err(fault) if fault.is_cut() && statuses.split('/').any(|word| word == "close") => {
            return nothing_of(&origin.take());
        }
        Err(fault) => return Err(format!("no answer: {fault:?} (sent: {sent:?})")),
    };
    let status = answers[0].status;
    if !statuses.split('/').any(|word| word == status.to_string()) {
        return Err(format!("answered {}", answers[0].head.text()));
    }
    if status != 200 {
        nothing_of(&origin.take())?;
    } else if let How::Answers(more) = row.how {
        for _ in 1..more {
            answers.push(client.try_response().map_err(|fault| format!("then {fault:?}"))?);
        }
    }
    if closes {
        is_closed(&mut client)?;
    }
    let seen = origin.take();
    if status == 200 && seen.len() != answers.len() {
        return Err(format!("{} answers, {} requests at the origin", answers.len(), seen.len()));
    }
    match row.holds {
        Some(holds) if status == 200 && !holds(&answers, &seen) => {
            let texts: Vec<_> = seen.iter().map(|request| request.head.text()).collect();
            Err(format!("at the origin {texts:?}"))
        }
        _ => Ok(()),
    }
}

fn nothing_of(seen: &[Request]) -> Result<(), String> {
    match seen {
        [] => Ok(()),
        [first, ..] => Err(format!("it reached the origin: {:?}", first.head.text())),
    }
}

fn is_closed(client: &mut Peer) -> Result<(), String> {
    match client.reader.rest() {
        Ok(rest) if rest.is_empty() => Ok(()),
        Ok(rest) => Err(format!("more bytes before the end: {:?}", latin1(&rest))),
        Err(fault) if fault.is_cut() => Ok(()),
        Err(Fault::Io(error)) => Err(format!("not closed: {error}")),
        Err(fault) => Err(format!("not closed: {fault:?}")),
    }
}

#[test]
fn every_hostile_input_has_its_right_answer() {
    let origin = Origin::serving(|_| Reply::ok("fine"));
    let gateway = Gateway::before(&[origin.address()]);
    let rows = hostile::rows();
    assert_eq!(rows.len(), 117);
    let wrong: Vec<_> = rows
        .iter()
        .filter_map(|row| {
            let fault = check(row, &gateway, &origin).err()?;
            Some(format!("{} (right: {}): {fault}", row.name, row.right))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert_eq!(gateway.client().get("/").status, 200, "it still serves");
    assert_eq!(origin.take().len(), 1, "nothing came late");
}
