//! LookupEvents as a client sees it, by each attribute: values that many events have, values that one has, values that none
//! has. The server has what `put` gave it with the same seed and count.

use std::time::Instant;

use serde_json::{Value, json};

use crate::client::{Server, ServerArgs};
use crate::records::{OPERATIONS, RARE, Records};
use crate::stats::Times;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// How many records `put` gave.
    #[arg(long)]
    count: u64,
    /// With which seed.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Lookups by each attribute.
    #[arg(long, default_value_t = 300)]
    samples: u64,
}

const TYPES: [&str; 3] = ["AWS::S3::Bucket", "AWS::EC2::Instance", "AWS::IAM::User"];

/// An attribute's name, what is asked for by it, the value for the n-th lookup.
type Case<'a> = (&'static str, &'static str, Box<dyn Fn(u64) -> String + 'a>);

pub async fn run(args: Args) -> anyhow::Result<()> {
    let records = Records::until_now(args.seed, args.count, 0);
    let mut server = Server::connect(&args.server).await?;
    // Numbers spread over all of history.
    let spread = |sample: u64| sample.wrapping_mul(7_777_777_777) % args.count;
    let rare = |sample: u64| spread(sample) / RARE * RARE;
    let with_bucket = |sample: u64| (spread(sample)..).find(|n| records.operation(*n).2 == "bucketName").unwrap_or(0);
    let operation = |sample: u64| OPERATIONS[sample as usize % OPERATIONS.len()];
    let cases: Vec<Case<'_>> = vec![
        ("", "no attribute", Box::new(|_| String::new())),
        ("EventId", "one event", Box::new(|n| records.event_id(spread(n)))),
        ("EventId", "none", Box::new(|n| records.event_id(args.count + spread(n)))),
        ("Username", "many", Box::new(|n| records.user(spread(n) | 1))),
        ("Username", "one event", Box::new(|n| records.user(rare(n)))),
        ("Username", "none", Box::new(|n| format!("nobody-{n}"))),
        ("EventName", "many", Box::new(|n| operation(n).1.to_owned())),
        ("EventName", "none", Box::new(|n| format!("Nothing{n}"))),
        ("EventSource", "many", Box::new(|n| format!("{}.amazonaws.com", operation(n).0))),
        ("ReadOnly", "many", Box::new(|n| n.is_multiple_of(2).to_string())),
        ("AccessKeyId", "many", Box::new(|n| records.access_key(spread(n) | 1))),
        ("AccessKeyId", "one event", Box::new(|n| records.access_key(rare(n)))),
        ("ResourceType", "many", Box::new(|n| TYPES[n as usize % TYPES.len()].to_owned())),
        ("ResourceName", "many", Box::new(|n| records.resource(with_bucket(n)))),
        ("ResourceName", "none", Box::new(|n| format!("nothing-{n}"))),
    ];
    let mut all = Times::default();
    for (attribute, kind, value) in cases {
        let (mut times, mut found, mut first) = (Times::default(), 0, None);
        for sample in 0..args.samples {
            let mut input = json!({"MaxResults": 50});
            if !attribute.is_empty() {
                input["LookupAttributes"] = json!([{"AttributeKey": attribute, "AttributeValue": value(sample)}]);
            }
            let started = Instant::now();
            let answer: Value = server.lookup(&input).await?;
            times.add(started.elapsed());
            all.add(started.elapsed());
            first.get_or_insert(started.elapsed());
            found += answer["Events"].as_array().map_or(0, Vec::len);
        }
        println!(
            "lookup {attribute:<13} {kind:<13} {}  first {:>8.3} ms  {:>5.1} events each",
            times.line(),
            first.unwrap_or_default().as_secs_f64() * 1000.0,
            found as f64 / args.samples as f64
        );
    }
    println!("lookup {:<13} {:<13} {}", "all cases", "", all.line());
    Ok(())
}
