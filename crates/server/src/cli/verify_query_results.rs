use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use opentrail_model::Region;
use opentrail_verify::{PublicKeys, ResultsError, ResultsPlace, VerifiedResults, hash_query_results};

use super::client::{self, Server};
use super::output::{green, red};
use super::{FOUND_PROBLEMS, OK, OutputFormat};

/// How long after a query's end its key is looked for, as the AWS CLI does.
const KEY_WINDOW: Duration = Duration::from_secs(20 * 24 * 3600);

/// Check the saved results of a query: that they are those that were signed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  opentrail verify-query-results --local-export-path ./results --endpoint-url http://127.0.0.1:4590
  opentrail verify-query-results --s3-bucket results --s3-prefix AWSLogs/111122223333/CloudTrail-Lake/Query/2026/01/02/ID
  opentrail verify-query-results --local-export-path ./results --public-keys keys.json     # offline")]
pub(super) struct VerifyQueryResultsArgs {
    /// A directory with result_sign.json and the files that it lists.
    #[arg(long, value_name = "DIR", required_unless_present = "s3_bucket", conflicts_with_all = ["s3_bucket", "s3_prefix"])]
    local_export_path: Option<PathBuf>,
    /// The bucket that has them.
    #[arg(long, value_name = "BUCKET")]
    s3_bucket: Option<String>,
    /// What their keys begin with.
    #[arg(long, value_name = "PREFIX", default_value = "", requires = "s3_bucket")]
    s3_prefix: String,
    /// The public keys: what `aws cloudtrail list-public-keys` prints. Without it they are asked from the server.
    #[arg(long, value_name = "FILE")]
    public_keys: Vec<PathBuf>,
    /// The server to ask for public keys, and the endpoint of the bucket. Default: AWS_ENDPOINT_URL, else AWS.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The Region to sign requests to the bucket for.
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    region: Region,
    /// How the verdict is printed.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
}

pub(super) async fn run(args: VerifyQueryResultsArgs) -> anyhow::Result<u8> {
    match verify(&args).await {
        Ok(verified) => {
            match args.output {
                OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&verified)?),
                OutputFormat::Table => {
                    anstream::println!("{}", green("Successfully validated sign and query result files"));
                }
            }
            Ok(OK)
        }
        Err(error) => match error.downcast::<ResultsError>()? {
            wrong @ ResultsError::Validation(_) => {
                match args.output {
                    OutputFormat::Json => println!("{}", serde_json::json!({ "error": wrong.to_string() })),
                    OutputFormat::Table => anstream::println!("{}", red(wrong)),
                }
                Ok(FOUND_PROBLEMS)
            }
            unknown => bail!(unknown),
        },
    }
}

async fn verify(args: &VerifyQueryResultsArgs) -> anyhow::Result<VerifiedResults> {
    let endpoint = client::endpoint(args.endpoint_url.as_deref());
    let place = match (&args.local_export_path, &args.s3_bucket) {
        (Some(directory), _) => ResultsPlace::Directory(directory.clone()),
        (None, Some(bucket)) => ResultsPlace::Bucket {
            store: client::s3(bucket, endpoint.as_deref(), &args.region)?,
            prefix: args.s3_prefix.trim_matches('/').to_owned(),
        },
        (None, None) => bail!("give --local-export-path or --s3-bucket"),
    };
    let hashed = hash_query_results(&place).await?;
    let keys = if args.public_keys.is_empty() {
        asked(endpoint, hashed.region(), hashed.complete()).await?
    } else {
        client::public_keys_in(&args.public_keys)?
    };
    Ok(hashed.verify(&keys)?)
}

/// The keys that the server lists for the time after the query.
async fn asked(
    endpoint: Option<String>,
    region: &str,
    complete: opentrail_model::Timestamp,
) -> anyhow::Result<PublicKeys> {
    let region: Region = region.parse()?;
    let endpoint = endpoint.unwrap_or_else(|| format!("https://cloudtrail.{region}.amazonaws.com"));
    Server::at(endpoint)?.public_keys(&region, complete, complete + KEY_WINDOW).await
}
