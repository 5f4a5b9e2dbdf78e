//! The same S3 requests straight to an upstream and through proxies before it, in turns, so that a machine whose speed drifts
//! does so for all.

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use opentrail_runtime::{Clock, SystemClock};
use opentrail_wire::sigv4::{Credentials, UNSIGNED_PAYLOAD, sign_headers};
use tokio::task::JoinSet;

use crate::client::{Connection, Keep};
use crate::records::REGION;
use crate::stats::Times;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to call and how to name it: `gateway=http://127.0.0.1:4591`. The first is what others are compared with.
    #[arg(required = true, value_name = "NAME=URL", value_parser = target)]
    targets: Vec<(String, String)>,
    /// GET or PUT.
    #[arg(long, default_value = "GET")]
    method: Method,
    /// An object's size.
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Turns that each target gets.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn is.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

fn target(text: &str) -> Result<(String, String), String> {
    let (name, url) = text.split_once('=').ok_or("must be NAME=URL")?;
    Ok((name.to_owned(), url.to_owned()))
}

#[derive(Debug, Default)]
struct Measured {
    times: Times,
    busy: Duration,
    bytes: usize,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut measured: Vec<Measured> = args.targets.iter().map(|_| Measured::default()).collect();
    for round in 0..=args.rounds {
        for (target, sum) in args.targets.iter().zip(&mut measured) {
            let turn = turn(&args, &target.1).await.with_context(|| target.0.clone())?;
            // The first round warms up.
            if round > 0 {
                sum.times.merge(turn.times);
                sum.busy += turn.busy;
                sum.bytes += turn.bytes;
            }
        }
    }
    let base = [50.0, 99.0].map(|percent| measured[0].times.percentile(percent));
    for ((name, _), sum) in args.targets.iter().zip(&mut measured) {
        let added = [(50.0, base[0]), (99.0, base[1])]
            .map(|(percent, base)| (sum.times.percentile(percent).as_secs_f64() - base.as_secs_f64()) * 1e6);
        println!(
            "proxy {:<3} {:>8} B  conns {:>2}  {name:<8} {:>8.0} requests/s  {:>7.1} MB/s  {}  added p50 {:>6.0} us  p99 {:>6.0} us",
            args.method,
            args.bytes,
            args.connections,
            sum.times.len() as f64 / sum.busy.as_secs_f64(),
            sum.bytes as f64 / sum.busy.as_secs_f64() / 1e6,
            sum.times.line(),
            added[0],
            added[1],
        );
    }
    Ok(())
}

async fn turn(args: &Args, url: &str) -> anyhow::Result<Measured> {
    let body = Bytes::from(vec![b'x'; if args.method == Method::PUT { args.bytes } else { 0 }]);
    let mut clients = JoinSet::new();
    let begun = Instant::now();
    let end = begun + Duration::from_secs_f64(args.seconds);
    for _ in 0..args.connections {
        let mut connection = Connection::open(url).await?;
        let (method, bytes, body) = (args.method.clone(), args.bytes, body.clone());
        clients.spawn(async move {
            let mut measured = Measured::default();
            while Instant::now() < end {
                let request = request(&method, bytes, body.clone(), connection.authority())?;
                let started = Instant::now();
                let answer = connection.send(request, Keep::Length).await?;
                measured.times.add(started.elapsed());
                measured.bytes += answer.length + body.len();
            }
            anyhow::Ok(measured)
        });
    }
    let mut sum = Measured::default();
    while let Some(done) = clients.join_next().await {
        let done = done??;
        sum.times.merge(done.times);
        sum.bytes += done.bytes;
    }
    sum.busy = begun.elapsed();
    Ok(sum)
}

/// Signed as a client of S3 signs; the upstream does not look.
fn request(method: &Method, bytes: usize, body: Bytes, host: &str) -> anyhow::Result<Request<Full<Bytes>>> {
    let credentials = Credentials {
        access_key_id: "AKIABENCH00000000001".into(),
        secret: "the upstream does not ask for it".into(),
        session_token: None,
    };
    let request = Request::builder()
        .method(method)
        .uri(format!("/bench-bucket/{bytes}"))
        .header(http::header::HOST, host)
        .header(http::header::USER_AGENT, "aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux#6.8");
    let (mut head, ()) = request.body(())?.into_parts();
    sign_headers(&mut head, &credentials, REGION, "s3", UNSIGNED_PAYLOAD, SystemClock.now())?;
    Ok(Request::from_parts(head, Full::new(body)))
}
