//! What an acknowledged append costs: in batches by a few writers at once, and single records by one.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::ValueEnum;
use tokio::task::JoinSet;

use crate::engines::{Engine, journal, nats, postgres};
use crate::records::Records;
use crate::stats::Times;

/// Where records go.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// OpenTrail's journal, in this process.
    Journal,
    /// NATS JetStream: a batch is 500 publishes in flight, each acknowledged.
    Nats,
    /// NATS JetStream: a batch is an atomic batch publish, acknowledged as a whole.
    NatsAtomic,
    /// PostgreSQL: a batch is a COPY in a transaction of its own, a single record an INSERT.
    Postgres,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum)]
    engine: Kind,
    /// The journal's directory, made and left behind.
    #[arg(long, default_value = "bench-journal")]
    dir: PathBuf,
    /// The address of NATS.
    #[arg(long, default_value = "127.0.0.1:4222")]
    address: String,
    /// The connection string of PostgreSQL.
    #[arg(long, default_value = "host=127.0.0.1 user=postgres")]
    dsn: String,
    /// Records in a batch.
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// Writers at once, each with one batch in flight.
    #[arg(long, default_value_t = 1)]
    writers: usize,
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let shared = match args.engine {
        Kind::Journal => Some(journal::open(&args.dir)?),
        _ => None,
    };
    // The same batches over and over, so that making them does not count.
    let batches = batches(args.batch);
    let record_bytes = batches.iter().flatten().map(Bytes::len).sum::<usize>() / (batches.len() * args.batch);
    let mut writers = JoinSet::new();
    let mut engines: Vec<Box<dyn Engine>> = Vec::new();
    for writer in 0..args.writers {
        engines.push(match (args.engine, &shared) {
            (Kind::Journal, Some(journal)) => Box::new(journal::Writer::new(journal)),
            (Kind::NatsAtomic, _) => {
                Box::new(nats::Writer::connect(&args.address, writer, nats::Publish::Atomic).await?)
            }
            (Kind::Postgres, _) => Box::new(postgres::Writer::connect(&args.dsn).await?),
            _ => Box::new(nats::Writer::connect(&args.address, writer, nats::Publish::Pipelined).await?),
        });
    }
    let begun = Instant::now();
    let end = begun + Duration::from_secs(args.seconds);
    for (writer, mut engine) in engines.into_iter().enumerate() {
        let batches = batches.clone();
        writers.spawn(async move {
            let mut times = Times::default();
            let mut next = writer;
            while Instant::now() < end {
                let started = Instant::now();
                engine.append(&batches[next % batches.len()]).await?;
                times.add(started.elapsed());
                next += 1;
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Times::default();
    while let Some(done) = writers.join_next().await {
        times.merge(done??);
    }
    let rate = (times.len() * args.batch) as f64 / begun.elapsed().as_secs_f64();
    println!(
        "append {:<11} batch {:>3} of {record_bytes} bytes  writers {:>2}  {rate:>9.0} records/s  {}",
        format!("{:?}", args.engine).to_lowercase(),
        args.batch,
        args.writers,
        times.line()
    );
    if let Some(journal) = shared {
        journal.close().await;
    }
    Ok(())
}

fn batches(records: usize) -> Vec<Vec<Bytes>> {
    let generator = Records::until_now(7, 32_000, 0);
    let count = (32_000 / records).clamp(1, 256);
    let record = |number: usize| {
        let mut record = Vec::with_capacity(1400);
        generator.write(number as u64, &mut record);
        Bytes::from(record)
    };
    (0..count).map(|batch| (0..records).map(|i| record(batch * records + i)).collect()).collect()
}
