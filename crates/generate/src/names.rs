//! How people call services and Regions.

use crate::operations;
use crate::words::Words;

/// Spellings that are no `eventSource`, with that.
const SERVICES: &[(&str, &str)] = &[
    ("secrets manager", "secretsmanager"),
    ("systems manager", "ssm"),
    ("session manager", "ssm"),
    ("parameter store", "ssm"),
    ("step functions", "states"),
    ("cloudwatch logs", "logs"),
    ("cloudwatch", "monitoring"),
    ("eventbridge", "events"),
    ("aws organizations", "organizations"),
    ("aws config", "config"),
    ("config", "config"),
    ("api gateway", "apigateway"),
    ("route 53", "route53"),
    ("certificate manager", "acm"),
    ("security hub", "securityhub"),
    ("identity center", "sso"),
    ("iam identity center", "sso"),
    ("elastic beanstalk", "elasticbeanstalk"),
    ("auto scaling", "autoscaling"),
    ("load balancing|balancer", "elasticloadbalancing"),
    ("elb", "elasticloadbalancing"),
    ("elbv2", "elasticloadbalancing"),
    ("efs", "elasticfilesystem"),
    ("emr", "elasticmapreduce"),
    ("opensearch", "es"),
    ("security token service", "sts"),
    ("key management service", "kms"),
    ("dynamo", "dynamodb"),
    ("dynamo db", "dynamodb"),
    ("amazon s3", "s3"),
    ("amazon ec2", "ec2"),
    ("aws lambda", "lambda"),
    ("aws kms", "kms"),
    ("aws iam", "iam"),
    ("aws sts", "sts"),
    ("guard duty", "guardduty"),
    ("cloud formation", "cloudformation"),
    ("cloud trail", "cloudtrail"),
    ("aws cloudtrail", "cloudtrail"),
];

/// Sources that are words of English, and say a service only in the spellings above or with their domain.
const WORDS: &[&str] = &[
    "account",
    "agreement",
    "artifact",
    "batch",
    "billing",
    "budgets",
    "chatbot",
    "config",
    "connect",
    "data",
    "detective",
    "discovery",
    "drs",
    "email",
    "events",
    "forecast",
    "freetier",
    "health",
    "import",
    "inspector",
    "iot",
    "invoicing",
    "logs",
    "macie",
    "monitoring",
    "notifications",
    "organizations",
    "outposts",
    "personalize",
    "pricing",
    "profile",
    "scheduler",
    "schemas",
    "serverlessrepo",
    "shield",
    "sign",
    "signer",
    "snowball",
    "social",
    "states",
    "support",
    "synthetics",
    "tagging",
    "tax",
    "transfer",
    "transform",
    "translate",
    "user",
    "voiceid",
    "wellarchitected",
    "wisdom",
    "workspaces",
    "deadline",
    "evidently",
    "observabilityadmin",
    "partnercentral",
    "resource",
    "transcribe",
    "savingsplans",
];

/// A service at word `at`: its `eventSource` without the domain, and where it ends.
pub(crate) fn service(words: &Words, at: usize) -> Option<(&'static str, usize)> {
    let mut best: Option<(&'static str, usize)> = None;
    for (spelling, source) in SERVICES {
        if let Some(end) = words.matches(at, spelling)
            && best.is_none_or(|(_, longest)| end > longest)
        {
            // "config" alone is a word; capitals make it the service.
            let bare = *spelling == "config" && words.free(at).is_none_or(|word| word.text != "Config");
            if !bare && let Some(source) = operations::source(source) {
                best = Some((source, end));
            }
        }
    }
    if best.is_some() {
        return best;
    }
    let word = words.lower(at);
    if let Some(source) = word.strip_suffix(".amazonaws.com") {
        return operations::source(source).map(|source| (source, at + 1));
    }
    if let Some(end) = words.matches(at, "aws|amazon").map(|_| at + 1)
        && let Some(source) = operations::source(words.lower(end))
    {
        return Some((source, end + 1));
    }
    if WORDS.contains(&word) || word.len() < 2 {
        return None;
    }
    operations::source(word).map(|source| (source, at + 1))
}

/// Regions by what AWS calls them. (AWS General Reference, "Regions and endpoints".)
const REGIONS: &[(&str, &str)] = &[
    ("n. virginia", "us-east-1"),
    ("northern virginia", "us-east-1"),
    ("virginia", "us-east-1"),
    ("ohio", "us-east-2"),
    ("northern california", "us-west-1"),
    ("n. california", "us-west-1"),
    ("oregon", "us-west-2"),
    ("cape town", "af-south-1"),
    ("hong kong", "ap-east-1"),
    ("mumbai", "ap-south-1"),
    ("hyderabad", "ap-south-2"),
    ("tokyo", "ap-northeast-1"),
    ("seoul", "ap-northeast-2"),
    ("osaka", "ap-northeast-3"),
    ("singapore", "ap-southeast-1"),
    ("sydney", "ap-southeast-2"),
    ("jakarta", "ap-southeast-3"),
    ("melbourne", "ap-southeast-4"),
    ("frankfurt", "eu-central-1"),
    ("zurich", "eu-central-2"),
    ("ireland", "eu-west-1"),
    ("dublin", "eu-west-1"),
    ("london", "eu-west-2"),
    ("paris", "eu-west-3"),
    ("milan", "eu-south-1"),
    ("spain", "eu-south-2"),
    ("stockholm", "eu-north-1"),
    ("tel aviv", "il-central-1"),
    ("bahrain", "me-south-1"),
    ("sao paulo", "sa-east-1"),
];

/// A Region at word `at`, and where it ends.
pub(crate) fn region(words: &Words, at: usize) -> Option<(String, usize)> {
    for (name, region) in REGIONS {
        if let Some(end) = words.matches(at, name) {
            return Some(((*region).to_owned(), end));
        }
    }
    let word = words.lower(at);
    let parts: Vec<&str> = word.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let (number, names) = parts.split_last()?;
    let is_region = (3..=5).contains(&parts.len())
        && (2..=5).contains(&parts[0].len())
        && names.iter().all(letters)
        && number.len() == 1
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && ["us", "eu", "ap", "sa", "ca", "me", "af", "il", "cn", "mx"].contains(&parts[0]);
    is_region.then(|| (word.to_owned(), at + 1))
}

/// `text` as a literal of SQL.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `text` so that a regular expression means it as it is, as a literal of SQL.
pub(crate) fn regex_of(before: &str, text: &str, after: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if !letter.is_alphanumeric() && letter != '-' && letter != '_' && letter != '/' {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    quote(&format!("{before}{escaped}{after}"))
}
