//! Broken answers: every row of the table over real sockets, and the strict parser on what the client gets.

use coregate_strict::answers::{Answer, Right, Then, answers};
use coregate_strict::{Fault, Framing, Response};

use crate::harness::clock::until;
use crate::harness::gateway::Gateway;
use crate::harness::origin::Origin;

/// Answers `/N` with the Nth answer. The connection that brought an oddity is not used again: that would be a fault here.
fn origin(rows: Vec<Answer>) -> Origin {
    Origin::scripted(move |peer, _| {
        while let Ok(request) = peer.reader.request() {
            let at: usize = request.target[1..].parse().unwrap();
            let row = &rows[at];
            // The gateway may close before it has read everything.
            let _ = peer.try_send(&row.bytes);
            match (row.then, row.right) {
                (Then::Resets, _) => return peer.reset_on_close(),
                (Then::Closes, _) => return,
                (Then::Stays, Right::Fine(..)) => {}
                (Then::Stays, Right::Bad | Right::Cut | Right::Whole(..)) => {
                    match peer.reader.request() {
                        Err(Fault::Closed | Fault::Io(_)) => return,
                        other => panic!("used again after {:?}: {other:?}", row.name),
                    }
                }
            }
        }
    })
}

/// The final answer.
fn ask(gateway: &Gateway, row: &Answer, at: usize) -> Result<Response, Fault> {
    let mut client = gateway.client();
    client.send(format!("{} /{at} HTTP/1.1\r\nHost: a\r\n\r\n", row.method));
    loop {
        let response = client.reader.response(row.method == "HEAD")?;
        if response.status >= 200 {
            return Ok(response);
        }
    }
}

/// What is wrong with what the client got, if anything.
fn fault(row: &Answer, got: &Result<Response, Fault>) -> Option<String> {
    let response = match got {
        Err(fault) if fault.is_cut() && row.right == Right::Cut => return None,
        Err(fault) => return Some(format!("{fault}")),
        Ok(response) => response,
    };
    let right = match row.right {
        Right::Bad | Right::Cut => response.status == 502 && response.head.has("x-coregate-reason"),
        Right::Whole(status, body) | Right::Fine(status, body) => {
            response.status == status && response.text() == body
        }
    };
    let framed = response.framing != Framing::Close;
    (!right || !framed).then(|| format!("{}{}", response.head.text(), response.text()))
}

#[test]
fn every_broken_answer_is_made_right() {
    let rows = answers();
    assert!(rows.len() >= 120, "{}", rows.len());
    let origin = origin(rows.clone());
    let gateway = Gateway::before(&[origin.address()]);
    let mut wrong = Vec::new();
    let mut over = 0;
    for (at, row) in rows.iter().enumerate() {
        let got = ask(&gateway, row, at);
        if let Some(fault) = fault(row, &got) {
            wrong.push(format!("{} ({:?}): {fault}", row.name, row.right));
        }
        if !matches!(row.right, Right::Fine(..)) {
            over += 1;
            until("its connection is closed", || (origin.closed() >= over).then_some(()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    // One for each oddity; the others share the one that was made last.
    assert_eq!((origin.connections(), origin.closed()), (over, over));
    assert_eq!(gateway.client().get("/0").status, 502, "it still serves");
}
