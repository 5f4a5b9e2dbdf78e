//! How long after its acknowledgement an event is found by LookupEvents. The lookup that finds it counts whole.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use crate::client::{Server, ServerArgs};
use crate::records::Records;
use crate::stats::Times;

const GIVE_UP: Duration = Duration::from_secs(1800);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[arg(long, default_value_t = 200)]
    samples: u64,
    /// Another seed than that of the records that are there.
    #[arg(long, default_value_t = 1_000_003)]
    seed: u64,
    /// Milliseconds between lookups.
    #[arg(long, default_value_t = 0)]
    pause: u64,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut server = Server::connect(&args.server).await?;
    let (mut puts, mut lags) = (Times::default(), Times::default());
    for number in 0..args.samples {
        let records = Records::until_now(args.seed, args.samples, 0);
        let mut body = Vec::new();
        records.write(number, &mut body);
        let started = Instant::now();
        let report = server.put(body.into()).await?;
        puts.add(started.elapsed());
        ensure!(report["Accepted"] == 1, "the record was not accepted (choose another --seed): {report}");
        let acknowledged = Instant::now();
        let id = records.event_id(number);
        let input = json!({"LookupAttributes": [{"AttributeKey": "EventId", "AttributeValue": id}]});
        while server.lookup(&input).await?["Events"].as_array().is_none_or(Vec::is_empty) {
            ensure!(acknowledged.elapsed() < GIVE_UP, "event {id} is not visible after {GIVE_UP:?}");
            tokio::time::sleep(Duration::from_millis(args.pause)).await;
        }
        lags.add(acknowledged.elapsed());
    }
    println!("single put      {}", puts.line());
    println!("ack to visible  {}", lags.line());
    Ok(())
}
