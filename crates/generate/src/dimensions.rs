//! What events can be counted by, as people call it.

use crate::plan::{About, Dimension, Plan};
use crate::words::Words;

const USERS: Dimension = Dimension { columns: &[("userIdentity.arn", "who")], said: "caller", always: true };
/// Whoever signs in is known by the name that was typed: a sign-in that fails may have no ARN.
const SIGNED: Dimension = Dimension {
    columns: &[("userIdentity.userName", "user_name"), ("userIdentity.arn", "who")],
    said: "user who signs in",
    always: false,
};
const SERVICES: Dimension = Dimension { columns: &[("eventSource", "eventSource")], said: "service", always: false };
const OPERATIONS: Dimension = Dimension {
    columns: &[("eventSource", "eventSource"), ("eventName", "eventName")],
    said: "operation",
    always: false,
};
const REGIONS: Dimension = Dimension { columns: &[("awsRegion", "awsRegion")], said: "Region", always: false };
const ACCOUNTS: Dimension =
    Dimension { columns: &[("recipientAccountId", "recipientAccountId")], said: "account", always: false };
const ADDRESSES: Dimension =
    Dimension { columns: &[("sourceIPAddress", "sourceIPAddress")], said: "source address", always: true };
const ERRORS: Dimension = Dimension { columns: &[("errorCode", "errorCode")], said: "error code", always: true };
const KEYS: Dimension =
    Dimension { columns: &[("userIdentity.accessKeyId", "accessKeyId")], said: "access key", always: true };
const AGENTS: Dimension = Dimension { columns: &[("userAgent", "userAgent")], said: "user agent", always: false };
const ASSUMED: Dimension =
    Dimension { columns: &[("element_at(requestParameters, 'roleArn')", "role")], said: "assumed role", always: true };
const ROLES: Dimension = Dimension {
    columns: &[("userIdentity.sessionContext.sessionIssuer.arn", "role")],
    said: "calling role",
    always: true,
};
const BUCKETS: Dimension =
    Dimension { columns: &[("element_at(requestParameters, 'bucketName')", "bucket")], said: "bucket", always: true };
const SECRETS: Dimension =
    Dimension { columns: &[("element_at(requestParameters, 'secretId')", "secret")], said: "secret", always: true };
const TABLES: Dimension =
    Dimension { columns: &[("element_at(requestParameters, 'tableName')", "table_name")], said: "table", always: true };
const CATEGORIES: Dimension =
    Dimension { columns: &[("eventCategory", "eventCategory")], said: "event category", always: false };
const TYPES: Dimension = Dimension { columns: &[("eventType", "eventType")], said: "event type", always: false };
const IDENTITIES: Dimension =
    Dimension { columns: &[("userIdentity.type", "identity_type")], said: "type of identity", always: true };
const TLS: Dimension =
    Dimension { columns: &[("tlsDetails.tlsVersion", "tls_version")], said: "TLS version", always: true };
const HOURS: Dimension =
    Dimension { columns: &[("date_trunc('hour', eventTime)", "hour")], said: "hour", always: false };
const DAYS: Dimension = Dimension { columns: &[("date(eventTime)", "day")], said: "day", always: false };
const WEEKS: Dimension =
    Dimension { columns: &[("date_trunc('week', eventTime)", "week")], said: "week", always: false };
const MONTHS: Dimension =
    Dimension { columns: &[("date_trunc('month', eventTime)", "month")], said: "month", always: false };

const NAMES: &[(&str, Dimension)] = &[
    ("iam? users|user", USERS),
    ("principals|principal|callers|caller|identities|identity|people|person|actors|actor", USERS),
    ("iam principals|identities", USERS),
    ("aws? services|service", SERVICES),
    ("event sources|source", SERVICES),
    ("event names|name", OPERATIONS),
    ("operations|operation|actions|action|apis|api", OPERATIONS),
    ("api calls|operations|actions|call|operation|action", OPERATIONS),
    ("aws? regions|region", REGIONS),
    ("aws? accounts|account", ACCOUNTS),
    ("source? ips|ip|addresses|address", ADDRESSES),
    ("source? ip addresses|address", ADDRESSES),
    ("error codes|code|types|type", ERRORS),
    ("errors|error", ERRORS),
    ("access keys|key", KEYS),
    ("user agents|agent", AGENTS),
    ("roles|role", ROLES),
    ("iam roles|role", ROLES),
    ("s3? buckets|bucket", BUCKETS),
    ("secrets|secret", SECRETS),
    ("dynamodb? tables|table", TABLES),
    ("event? categories|category", CATEGORIES),
    ("event types|type", TYPES),
    ("identity types|type", IDENTITIES),
    ("tls versions|version", TLS),
    ("hour", HOURS),
    ("day|date", DAYS),
    ("week", WEEKS),
    ("month", MONTHS),
];

/// The longest name of a dimension at word `at`, and where it ends.
pub(crate) fn at(words: &Words, at: usize, plan: &Plan) -> Option<(Dimension, usize)> {
    let named = NAMES.iter().filter_map(|(name, dimension)| Some((*dimension, words.matches(at, name)?)));
    let (dimension, end) = named.max_by_key(|(_, end)| *end)?;
    let about =
        |event: &str| plan.about(About::Event).is_some_and(|events| events.sql == format!("eventName = '{event}'"));
    let dimension = match dimension {
        ROLES if about("AssumeRole") => ASSUMED,
        USERS if about("ConsoleLogin") => SIGNED,
        other => other,
    };
    Some((dimension, end))
}

/// Whether it is a time, by which rows are in order.
pub(crate) fn is_time(dimension: &Dimension) -> bool {
    [HOURS, DAYS, WEEKS, MONTHS].contains(dimension)
}
