//! Durable ingest as a client sees it: `POST /v1/records`, acknowledged with the positions of what was kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::{Server, ServerArgs};
use crate::records::Records;
use crate::stats::Times;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// How many records.
    #[arg(long, default_value_t = 200_000)]
    count: u64,
    /// Records in a request.
    #[arg(long, default_value_t = 500)]
    batch: u64,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 4)]
    writers: u64,
    /// Records with the same seed have the same ids.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Spread over so many days that end now.
    #[arg(long, default_value_t = 0)]
    days: u32,
    /// No more records per second than this.
    #[arg(long)]
    rate: Option<f64>,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let records = Records::until_now(args.seed, args.count, args.days);
    let next = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..args.writers {
        let mut server = Server::connect(&args.server).await?;
        let (records, next) = (records.clone(), Arc::clone(&next));
        let (batch, count, rate) = (args.batch, args.count, args.rate);
        writers.spawn(async move {
            let mut times = Times::default();
            loop {
                let first = next.fetch_add(batch, Ordering::Relaxed);
                if first >= count {
                    return anyhow::Ok(times);
                }
                let last = count.min(first + batch);
                let mut body = Vec::with_capacity((last - first) as usize * 1400);
                for number in first..last {
                    records.write(number, &mut body);
                    body.push(b'\n');
                }
                if let Some(rate) = rate {
                    let due = begun + Duration::from_secs_f64(first as f64 / rate);
                    tokio::time::sleep_until(due.into()).await;
                }
                let started = Instant::now();
                let report = server.put(body.into()).await?;
                times.add(started.elapsed());
                anyhow::ensure!(report["Accepted"] == last - first, "not every record was accepted: {report}");
            }
        });
    }
    let mut times = Times::default();
    while let Some(done) = writers.join_next().await {
        times.merge(done??);
    }
    let rate = args.count as f64 / begun.elapsed().as_secs_f64();
    println!(
        "put    batch {:>3}  writers {:>2}  {:>9} records  {rate:>9.0} records/s  {}",
        args.batch,
        args.writers,
        args.count,
        times.line()
    );
    Ok(())
}
