//! What depends on time, with a clock that jumps to the next timer when nothing else is left to do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use coregate_core::base::limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::{Fake, Heard, ROOM};
use crate::io::admin::guard::{Guard, Transport};
use crate::io::admin::report::{Answer, ReloadReport};
use crate::io::admin::routes::{Shared, router};
use crate::io::admin::serve::{Stage, serve};

fn routes(process: &Arc<Fake>) -> Router {
    let shared = Shared::new(Arc::<Fake>::clone(process), ROOM);
    router(Arc::new(shared), Guard::default(), Transport::Unix)
}

/// A connection to a listener with this process, of its own.
fn connect(
    process: &Arc<Fake>,
    buffer: usize,
) -> (DuplexStream, watch::Sender<Stage>, JoinHandle<()>) {
    connect_to(routes(process), buffer)
}

fn connect_to(
    routes: Router,
    buffer: usize,
) -> (DuplexStream, watch::Sender<Stage>, JoinHandle<()>) {
    let (ours, theirs) = duplex(buffer);
    let (stage, stages) = watch::channel(Stage::Accepting);
    let served = tokio::spawn(serve(theirs, routes, stages, ()));
    (ours, stage, served)
}

async fn say(stream: &mut DuplexStream, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("sent");
}

async fn hear(stream: &mut DuplexStream) -> Heard {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    Heard::parse(&text)
}

const LIVE: &str = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// As late as a deadline may be noticed.
const LATE: Duration = limits::ADMIN_LOOK_EVERY;

#[track_caller]
fn took(since: Instant, expected: Duration) {
    let took = since.elapsed();
    assert!(took >= expected && took <= expected + LATE, "{took:?}, expected {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_silent_is_named_after_a_second() {
    let process = Fake::new();
    *process.silent.lock().expect("silent") = vec![1];
    let began = Instant::now();
    let (mut stream, _stage, _) = connect(&process, 4096);
    say(&mut stream, LIVE).await;
    let heard = hear(&mut stream).await;
    assert_eq!(heard.status, 503);
    assert_eq!(heard.body, "no answer within 1 s from worker 1\n");
    took(began, limits::PING_TIME);
}

#[tokio::test(start_paused = true)]
async fn workers_that_answer_late_but_in_time_are_alive() {
    let process = Fake::new();
    *process.silent.lock().expect("silent") = vec![0, 1];
    let (mut stream, _stage, _) = connect(&process, 4096);
    say(&mut stream, LIVE).await;
    let began = Instant::now();
    let slow = Arc::clone(&process);
    tokio::spawn(async move {
        sleep(Duration::from_millis(900)).await;
        slow.silent.lock().expect("silent").clear();
    });
    assert_eq!(hear(&mut stream).await.status, 200);
    assert!(began.elapsed() < limits::PING_TIME);
}

#[tokio::test(start_paused = true)]
async fn probes_in_a_burst_share_a_ping() {
    let process = Fake::new();
    let routes = routes(&process);
    for _ in 0..50 {
        let (mut stream, _stage, _) = connect_to(routes.clone(), 4096);
        say(&mut stream, LIVE).await;
        assert_eq!(hear(&mut stream).await.status, 200);
    }
    assert_eq!(process.pings.load(Ordering::Relaxed), 1);
    sleep(limits::PING_EVERY).await;
    let (mut stream, _stage, _) = connect_to(routes.clone(), 4096);
    say(&mut stream, LIVE).await;
    assert_eq!(hear(&mut stream).await.status, 200);
    assert_eq!(process.pings.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed() {
    let process = Fake::new();
    let (mut silent, _stage, served) = connect(&process, 4096);
    let began = Instant::now();
    assert_eq!(silent.read(&mut [0; 1]).await.ok(), Some(0));
    served.await.expect("served");
    took(began, limits::ADMIN_IDLE);

    let (mut used, _stage, _) = connect(&process, 4096);
    sleep(Duration::from_secs(30)).await;
    say(&mut used, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let began = Instant::now();
    let mut text = String::new();
    used.read_to_string(&mut text).await.expect("an answer");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    took(began, limits::ADMIN_IDLE);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_cut() {
    let process = Fake::new();
    let (mut stream, _stage, served) = connect(&process, 4096);
    sleep(Duration::from_secs(20)).await;
    let began = Instant::now();
    let trickle = async {
        while stream.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(500)).await;
        }
    };
    let (served, ()) = tokio::join!(served, trickle);
    served.expect("served");
    took(began, limits::ADMIN_HEAD_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_refused() {
    let process = Fake::new();
    let (stream, _stage, _) = connect(&process, 4096);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let began = Instant::now();
    let head = "POST /v1/upgrade HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
    writer.write_all(head.as_bytes()).await.expect("sent");
    let trickle = tokio::spawn(async move {
        while writer.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(500)).await;
        }
    });
    let mut text = String::new();
    reader.read_to_string(&mut text).await.expect("an answer");
    Heard::parse(&text).is_problem(408);
    took(began, limits::ADMIN_BODY_TIMEOUT);
    trickle.await.expect("the trickle ends");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_is_cut() {
    let process = Fake::new();
    // The metrics do not fit the pipe.
    let (mut stream, _stage, served) = connect(&process, 64);
    let began = Instant::now();
    say(&mut stream, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    served.await.expect("served");
    took(began, limits::ADMIN_IDLE);
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_is_waited_for_but_not_for_ever() {
    let process = Fake::new();
    let (mut stream, _stage, _) = connect(&process, 4096);
    say(&mut stream, "POST /v1/upgrade HTTP/1.1\r\nHost: x\r\n\r\n").await;
    // Longer than an idle connection lives.
    sleep(limits::ADMIN_IDLE * 2).await;
    let asker = process.waiting.lock().expect("waiting").pop().expect("an asker");
    asker.answer(Answer::Reload(ReloadReport { applied: true, ..ReloadReport::default() }));
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");

    let (mut stream, _stage, _) = connect(&process, 4096);
    let began = Instant::now();
    say(&mut stream, "POST /v1/upgrade HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    hear(&mut stream).await.is_problem(504);
    took(began, limits::ADMIN_ANSWER_TIME);
}
