//! The core's pieces, one by one: parse and validate, normal form, encode, chunks, PROXY headers.
//!
//! Run with `cargo bench --bench core`. Instruction counts of whole exchanges stand in `benches/exchange.rs`.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::hint::black_box;
use std::time::Duration;

use bytes::BytesMut;
use coregate_core::http::chunked::Decoder;
use coregate_core::http::encode::{self, BodyOut, Persistence, RequestExtras, ResponseExtras};
use coregate_core::http::head::Head;
use coregate_core::http::parse::{self, RequestLimits};
use coregate_core::http::path;
use coregate_core::proxy_protocol::{self, ProxyVersion};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const SMALL: &str = "GET /users/7?full=yes HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
const BROWSER: &str = "GET /users/7/orders/12?page=2&sort=date HTTP/1.1\r\nHost: shop.example.com\r\nConnection: keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\nReferer: https://shop.example.com/users/7\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nContent-Length: 128\r\nCache-Control: no-store\r\n\r\n";

fn head_of(text: &str) -> Head {
    let mut head = Head::with_capacity(4096);
    head.page.extend_from_slice(text.as_bytes());
    head
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse and validate");
    for (name, text) in [("small request", SMALL), ("browser's request", BROWSER)] {
        let mut head = head_of(text);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher
                .iter(|| parse::request(black_box(&mut head), &RequestLimits::default()).unwrap());
        });
    }
    let mut head = head_of(ANSWER);
    group.bench_function("response", |bencher| {
        bencher.iter(|| parse::response(black_box(&mut head), false).unwrap());
    });
    group.finish();
}

fn normal_form(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("normal form");
    let mut side = Vec::with_capacity(256);
    for (name, target) in
        [("plain", "/users/7/orders?page=2"), ("rewritten", "/users/./%37/a/../orders?page=2")]
    {
        group.bench_function(name, |bencher| {
            bencher.iter(|| path::normal_target(black_box(target.as_bytes()), &mut side).unwrap());
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let mut out = BytesMut::with_capacity(4096);
    for (name, text) in [("small request", SMALL), ("browser's request", BROWSER)] {
        let mut head = head_of(text);
        let request = parse::request(&mut head, &RequestLimits::default()).unwrap().unwrap();
        let extras = RequestExtras {
            client: b"10.0.0.9",
            instance: b"10.1.1.1:9000",
            scheme: b"http",
            request_id: b"01932d2a-4c4f-7e7a-8f0e-0123456789ab",
            via: b"coregate-01234567",
            consumer: b"",
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                encode::request(&mut out, black_box(&head), &request, &extras);
            });
        });
    }
    let mut head = head_of(ANSWER);
    let response = parse::response(&mut head, false).unwrap().unwrap();
    let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
    let extras = ResponseExtras { date, via: b"coregate-01234567", rate: None };
    group.bench_function("response", |bencher| {
        bencher.iter(|| {
            out.clear();
            let body = BodyOut::Length(128);
            encode::response(
                &mut out,
                black_box(&head),
                &response,
                body,
                Persistence::Default,
                &extras,
            );
        });
    });
    group.bench_function("request id", |bencher| {
        let mut text = [0; 36];
        bencher.iter(|| {
            encode::new_request_id(black_box(Duration::from_secs(1)), 1, 2, &mut text);
        });
    });
    group.finish();
}

fn chunks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunks");
    let mut wire = Vec::new();
    for _ in 0..4 {
        wire.extend_from_slice(b"1000\r\n");
        wire.extend_from_slice(&[b'x'; 4096]);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    group.bench_function("decode 16 KiB in place", |bencher| {
        bencher.iter_batched_ref(
            || wire.clone(),
            |wire| Decoder::default().decode(wire).unwrap(),
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn proxy_headers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("PROXY protocol");
    let client = "192.0.2.7:51234".parse().unwrap();
    let server = "198.51.100.1:443".parse().unwrap();
    for (name, version) in [("version 1", ProxyVersion::V1), ("version 2", ProxyVersion::V2)] {
        let mut out = BytesMut::with_capacity(128);
        group.bench_function(format!("write, {name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                proxy_protocol::write(version, black_box(client), server, &mut out);
            });
        });
        group.bench_function(format!("parse, {name}"), |bencher| {
            bencher.iter(|| proxy_protocol::parse(black_box(&out)).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, parse, normal_form, encode, chunks, proxy_headers);
criterion_main!(benches);
