use anyhow::Context as _;
use clap::Args;
use opentrail_model::Region;
use serde_json::{Value, json};

use super::client::{self, Server};
use super::{OK, OutputFormat, output};

/// Say where other engines read the tables of federated event data stores.
///
/// Federation is enabled with `aws cloudtrail enable-federation`. Whoever may do cloudtrail:GetEventDataStoreData to a store
/// reads its Delta table from a bucket of the store's id, which can only be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  aws cloudtrail enable-federation --event-data-store my-store-id --role arn:aws:iam::111122223333:role/lake-reader
  opentrail federation --endpoint-url http://127.0.0.1:4590")]
pub(super) struct FederationArgs {
    /// The server. Default: AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The Region of the stores.
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    region: Region,
    /// How the tables are listed.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
}

pub(super) async fn run(args: FederationArgs) -> anyhow::Result<u8> {
    let endpoint = client::endpoint(args.endpoint_url.as_deref())
        .context("which server? give --endpoint-url, or set AWS_ENDPOINT_URL")?;
    let server = Server::at(endpoint.clone())?;
    let mut federated = Vec::new();
    for store in client::event_data_stores(&server, &args.region).await? {
        let arn = store["EventDataStoreArn"].as_str().context("an event data store without an ARN")?;
        let got = server.call(args.region.as_str(), "GetEventDataStore", &json!({ "EventDataStore": arn })).await?;
        if got["FederationStatus"] == "ENABLED" {
            let id = arn.rsplit('/').next().unwrap_or_default();
            federated.push(json!({
                "Name": got["Name"],
                "EventDataStoreArn": arn,
                "Location": format!("s3://{id}"),
                "EndpointUrl": endpoint,
                "FederationRoleArn": got["FederationRoleArn"],
            }));
        }
    }
    match args.output {
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&federated)?),
        OutputFormat::Table if federated.is_empty() => {
            println!("No event data store is federated here; aws cloudtrail enable-federation does that.");
        }
        OutputFormat::Table => {
            let mut table = output::table(&["name", "location", "role"]);
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            for store in &federated {
                table.add_row(["Name", "Location", "FederationRoleArn"].map(|name| text(&store[name])));
            }
            println!("{table}\nDelta tables, at the S3 endpoint {endpoint} (path style), Region {}.", args.region);
        }
    }
    Ok(OK)
}
