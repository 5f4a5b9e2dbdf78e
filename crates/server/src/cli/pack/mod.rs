//! `opentrail pack`: sets of metric filters and alarms for a trail, put up by the API as anybody could.

mod cis;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use opentrail_model::Region;
use serde_json::{Value, json};

use self::cis::{CONTROLS, Control, NAMESPACE};
use super::client::{self, Server};
use super::{FOUND_PROBLEMS, OK, OutputFormat, output};

/// The topic that is made when none is given.
const TOPIC: &str = "CISAlarms";

/// Put up, list or remove a pack: metric filters on a trail's log group, an alarm on each, a topic that they tell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  opentrail pack install cis --trail main --endpoint-url http://127.0.0.1:4590
  aws sns subscribe --topic-arn ARN --protocol https --notification-endpoint https://hooks.example.com/alarms
  opentrail pack list cis --trail main")]
pub(super) struct PackArgs {
    #[command(subcommand)]
    command: PackCommand,
}

#[derive(Debug, Subcommand)]
enum PackCommand {
    /// Put the pack's filters and alarms up; what is there already is brought up to date.
    Install {
        #[command(flatten)]
        place: Place,
        /// The ARN of the topic that the alarms tell. Default: one named CISAlarms, which is made.
        #[arg(long, value_name = "ARN")]
        topic: Option<String>,
        /// Over how many seconds each alarm counts: 10, 20, 30 or a multiple of 60.
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        period: u32,
    },
    /// Say what of the pack is there, and the state of each alarm.
    List {
        #[command(flatten)]
        place: Place,
        /// How it is listed.
        #[arg(long, value_name = "FORMAT", default_value = "table")]
        output: OutputFormat,
    },
    /// Take the pack's filters and alarms away; the topic stays.
    Remove {
        #[command(flatten)]
        place: Place,
    },
}

/// The packs that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Pack {
    /// The monitoring section of the CIS AWS Foundations Benchmark.
    Cis,
}

/// Which pack, and for which trail.
#[derive(Debug, Args)]
struct Place {
    /// The pack.
    pack: Pack,
    /// The trail whose log group is watched: its name or ARN.
    #[arg(long, value_name = "TRAIL")]
    trail: String,
    /// The server. Default: AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The trail's home Region.
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    region: Region,
}

pub(super) async fn run(args: PackArgs) -> anyhow::Result<u8> {
    match args.command {
        PackCommand::Install { place, topic, period } => Watched::of(&place).await?.install(topic, period).await,
        PackCommand::List { place, output } => Watched::of(&place).await?.list(output).await,
        PackCommand::Remove { place } => Watched::of(&place).await?.remove().await,
    }
}

/// A trail with a log group.
struct Watched {
    server: Server,
    region: String,
    trail: Value,
    group: String,
}

impl Watched {
    async fn of(place: &Place) -> anyhow::Result<Self> {
        let Pack::Cis = place.pack;
        let endpoint = client::endpoint(place.endpoint_url.as_deref())
            .context("which server? give --endpoint-url, or set AWS_ENDPOINT_URL")?;
        let (server, region) = (Server::at(endpoint)?, place.region.to_string());
        let found = server.call(&region, "GetTrail", &json!({ "Name": place.trail })).await?;
        let trail = found["Trail"].clone();
        let group = trail["CloudWatchLogsLogGroupArn"].as_str().and_then(group_of).with_context(|| {
            format!(
                "trail {} has no log group; give it one: aws cloudtrail update-trail --name {} \
                 --cloud-watch-logs-log-group-arn ARN --cloud-watch-logs-role-arn ARN",
                place.trail, place.trail
            )
        })?;
        Ok(Self { server, region, group, trail })
    }

    async fn install(&self, topic: Option<String>, period: u32) -> anyhow::Result<u8> {
        let topic = match topic {
            Some(topic) => topic,
            None => self.server.create_topic(&self.region, TOPIC).await?,
        };
        for control in CONTROLS {
            self.put(control, &topic, period).await.with_context(|| control.name)?;
        }
        anstream::println!("{} filters and alarms of the CIS benchmark watch {}.", CONTROLS.len(), self.group);
        println!("Alarms tell {topic}; subscribe somebody: aws sns subscribe --topic-arn {topic} …");
        Ok(if self.warn().await? { FOUND_PROBLEMS } else { OK })
    }

    /// Says what keeps the benchmark from being met; whether anything does.
    async fn warn(&self) -> anyhow::Result<bool> {
        let status =
            self.server.call(&self.region, "GetTrailStatus", &json!({ "Name": self.trail["TrailARN"] })).await?;
        let problems = [
            (self.trail["IsMultiRegionTrail"] != true, "the trail is not multi-Region, which the benchmark asks for"),
            (status["IsLogging"] != true, "the trail does not log; aws cloudtrail start-logging begins it"),
        ];
        let problems: Vec<_> = problems.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
        for problem in &problems {
            anstream::eprintln!("{} {problem}", output::yellow("note:"));
        }
        Ok(!problems.is_empty())
    }

    async fn put(&self, control: Control, topic: &str, period: u32) -> anyhow::Result<()> {
        let filter = json!({
            "logGroupName": self.group,
            "filterName": control.name,
            "filterPattern": control.pattern,
            "metricTransformations": [{
                "metricName": control.name, "metricNamespace": NAMESPACE, "metricValue": "1", "defaultValue": 0.0,
            }],
        });
        self.logs("PutMetricFilter", &filter).await?;
        // (AWS Security Hub, "CloudWatch controls", remediation of CloudWatch.1 to 14.)
        let alarm = json!({
            "AlarmName": control.name,
            "AlarmDescription": format!("CIS AWS Foundations Benchmark {}: {}", control.number, control.meaning),
            "Namespace": NAMESPACE, "MetricName": control.name, "Statistic": "Sum", "Period": period,
            "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching", "AlarmActions": [topic],
        });
        self.cloudwatch("PutMetricAlarm", &alarm).await?;
        Ok(())
    }

    async fn list(&self, format: OutputFormat) -> anyhow::Result<u8> {
        let mut found = Vec::new();
        for control in CONTROLS {
            let asked = json!({ "logGroupName": self.group, "filterNamePrefix": control.name });
            let filters = self.logs("DescribeMetricFilters", &asked).await?;
            let filters = filters["metricFilters"].as_array().cloned().unwrap_or_default();
            let filter = filters.iter().find(|filter| filter["filterName"] == control.name);
            let is = match filter.map(|filter| filter["filterPattern"] == control.pattern) {
                Some(true) => "there",
                Some(false) => "changed",
                None => "missing",
            };
            let alarms = self.cloudwatch("DescribeAlarms", &json!({ "AlarmNames": [control.name] })).await?;
            let state = alarms["MetricAlarms"][0]["StateValue"].as_str().unwrap_or("missing").to_owned();
            found.push(json!({
                "control": control.number, "name": control.name, "filter": is, "alarm": state,
                "meaning": control.meaning,
            }));
        }
        match format {
            OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&found)?),
            OutputFormat::Table => {
                let mut table = output::table(&["control", "name", "filter", "alarm", "meaning"]);
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                for row in &found {
                    table.add_row(["control", "name", "filter", "alarm", "meaning"].map(|name| text(&row[name])));
                }
                println!("{table}");
            }
        }
        let whole = found.iter().all(|row| row["filter"] == "there" && row["alarm"] != "missing");
        Ok(if whole { OK } else { FOUND_PROBLEMS })
    }

    async fn remove(&self) -> anyhow::Result<u8> {
        for control in CONTROLS {
            let filter = json!({ "logGroupName": self.group, "filterName": control.name });
            match self.logs("DeleteMetricFilter", &filter).await {
                Err(error) if !error.to_string().contains("ResourceNotFoundException") => bail!(error),
                _ => {}
            }
        }
        let names: Vec<_> = CONTROLS.iter().map(|control| control.name).collect();
        let alarms = self.cloudwatch("DescribeAlarms", &json!({ "AlarmNames": names })).await?;
        let there: Vec<&Value> =
            alarms["MetricAlarms"].as_array().into_iter().flatten().map(|alarm| &alarm["AlarmName"]).collect();
        if !there.is_empty() {
            self.cloudwatch("DeleteAlarms", &json!({ "AlarmNames": there })).await?;
        }
        println!("The filters and alarms of the CIS benchmark are gone from {}; the topic is left.", self.group);
        Ok(OK)
    }

    async fn logs(&self, operation: &str, input: &Value) -> anyhow::Result<Value> {
        self.server.json(&self.region, "logs", "1.1", &format!("Logs_20140328.{operation}"), input).await
    }

    async fn cloudwatch(&self, operation: &str, input: &Value) -> anyhow::Result<Value> {
        let target = format!("GraniteServiceVersion20100801.{operation}");
        self.server.json(&self.region, "monitoring", "1.0", &target, input).await
    }
}

/// The name in a log group's ARN.
fn group_of(arn: &str) -> Option<String> {
    let name = arn.split_once(":log-group:")?.1;
    Some(name.strip_suffix(":*").unwrap_or(name).to_owned())
}
