//! What tells by its form what it is: addresses, ARNs, keys, accounts, Regions, ids, error codes, names of events.

use std::net::IpAddr;

use crate::names::{quote, regex_of, region};
use crate::operations::{self, Operation};
use crate::plan::{About, Plan};
use crate::words::Words;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Address,
    AccessKey,
    Principal,
    Account,
    Region,
    Endpoint,
    ResourceId,
    EventId,
    ErrorCode,
}

/// Claims all of them.
pub(crate) fn take(words: &mut Words, plan: &mut Plan) {
    arns(words, plan);
    let mut at = 0;
    while at < words.len() {
        let Some((kind, first, mut end)) = literal(words, at) else {
            at += 1;
            continue;
        };
        let mut values = vec![first];
        while let Some((_, value, after)) =
            next_of_list(words, end).and_then(|next| literal(words, next)).filter(|(next, _, _)| *next == kind)
        {
            values.push(value);
            end = after;
        }
        let from = lead(words, at, kind);
        let outside = outside(words, from);
        let said_before: Vec<String> = (from..at).map(|word| words.any(word).to_owned()).collect();
        let by = ["by", "from"].contains(&words.any(from.wrapping_sub(1)));
        let by_at = (by && words.lower(from.wrapping_sub(1)) == "by").then(|| from - 1);
        words.claim(outside.or(by_at).unwrap_or(from)..end);
        add(plan, kind, &values, outside.is_some(), by, &said_before);
        at = end;
    }
    event_names(words, plan);
}

/// Behind "and", "or" or a comma.
pub(crate) fn next_of_list(words: &Words, at: usize) -> Option<usize> {
    words.matches(at, ", and|or").or_else(|| words.matches(at, ",|and|or"))
}

/// Where the words begin that only say of what kind the literal is.
fn lead(words: &Words, at: usize, kind: Kind) -> usize {
    let before: &[&str] = match kind {
        Kind::Address => &["source", "ip", "ips", "address", "addresses", "the"],
        Kind::AccessKey => &["access", "key", "keys", "id", "the"],
        Kind::Principal => &["principal", "id", "the"],
        Kind::Account => &["aws", "account", "accounts", "id", "the"],
        Kind::Region => &["aws", "region", "regions", "the"],
        Kind::Endpoint => &["vpc", "endpoint", "the"],
        Kind::ResourceId => &[
            "ec2",
            "instance",
            "volume",
            "snapshot",
            "subnet",
            "vpc",
            "image",
            "ami",
            "security",
            "group",
            "resource",
            "network",
            "interface",
            "id",
            "the",
        ],
        Kind::EventId => &["event", "with", "id", "the"],
        Kind::ErrorCode => &["error", "code", "errors", "the", "with"],
    };
    let mut from = at;
    while from > 0 && before.contains(&words.lower(from - 1)) {
        from -= 1;
    }
    from
}

/// Where "outside [of]" or "not in" begins, if one of them stands before `at`.
fn outside(words: &Words, at: usize) -> Option<usize> {
    [("outside", 1), ("outside of", 2), ("not in", 2)].into_iter().find_map(|(pattern, length)| {
        let from = at.checked_sub(length)?;
        (words.matches(from, pattern) == Some(at)).then_some(from)
    })
}

fn literal(words: &Words, at: usize) -> Option<(Kind, String, usize)> {
    if let Some((region, mut end)) = region(words, at) {
        end = words.matches(end, "region|regions").unwrap_or(end);
        return Some((Kind::Region, region, end));
    }
    let word = words.free(at)?;
    let text = word.text.as_str();
    let upper = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let kind = if text.parse::<IpAddr>().is_ok() && (text.contains('.') || text.contains(':')) {
        Kind::Address
    } else if text.len() >= 16 && (text.starts_with("AKIA") || text.starts_with("ASIA")) && upper(text) {
        Kind::AccessKey
    } else if text.len() >= 12
        && ["AROA", "AIDA"].iter().any(|prefix| text.starts_with(prefix))
        && upper(text.split(':').next().unwrap_or_default())
    {
        Kind::Principal
    } else if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Kind::Account
    } else if is_id(text, "vpce-") {
        Kind::Endpoint
    } else if ["i-", "vol-", "sg-", "snap-", "vpc-", "subnet-", "eni-", "ami-", "rtb-", "nat-", "igw-", "acl-"]
        .iter()
        .any(|prefix| is_id(text, prefix))
    {
        Kind::ResourceId
    } else if uuid::Uuid::try_parse(text).is_ok() && text.len() == 36 {
        // Without the word it may be a store, a request, anything.
        let mut before = at;
        while before > 0 && ["id", "the", "with"].contains(&words.lower(before - 1)) {
            before -= 1;
        }
        if before == 0 || words.lower(before - 1) != "event" {
            return None;
        }
        Kind::EventId
    } else if is_error_code(text) {
        Kind::ErrorCode
    } else {
        return None;
    };
    Some((kind, text.to_owned(), at + 1))
}

fn is_id(text: &str, prefix: &str) -> bool {
    let id = text.strip_prefix(prefix);
    id.is_some_and(|id| id.len() >= 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()))
}

/// Error codes are words in camel case with an ending of theirs, or the codes of EC2 with dots.
fn is_error_code(text: &str) -> bool {
    const ENDS: &[&str] = &[
        "Exception",
        "Denied",
        "Error",
        "Exceeded",
        "NotFound",
        "UnauthorizedOperation",
        "Fault",
        "Unauthorized",
        "Throttling",
        "InvalidParameterValue",
        "OptInRequired",
        "AlreadyExists",
        "NoSuchBucket",
        "NoSuchKey",
        "NoSuchEntity",
        "NoSuchBucketPolicy",
        "DryRunOperation",
        "DeleteConflict",
        "InvalidClientTokenId",
    ];
    let camel = text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().skip(1).any(|letter| letter.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
    let capitals = text.chars().filter(char::is_ascii_uppercase).count() > 1;
    camel
        && operations::spelled(text).is_none()
        && (ENDS.iter().any(|end| text.ends_with(end) && capitals)
            || ["Client.", "Server."].iter().any(|start| text.starts_with(start)))
}

/// `column` is one of `values`, or none of them.
pub(crate) fn one_of(column: &str, values: &[String], not: bool) -> String {
    let quoted: Vec<String> = values.iter().map(|value| quote(value)).collect();
    match (quoted.as_slice(), not) {
        ([one], false) => format!("{column} = {one}"),
        ([one], true) => format!("{column} <> {one}"),
        (_, false) => format!("{column} IN ({})", quoted.join(", ")),
        (_, true) => format!("{column} NOT IN ({})", quoted.join(", ")),
    }
}

fn add(plan: &mut Plan, kind: Kind, values: &[String], outside: bool, by: bool, led: &[String]) {
    let said = values.join(" or ");
    let mut is = |about, column: &str, what: &str| {
        let not = if outside { "not " } else { "" };
        plan.filter(about, one_of(column, values, outside), format!("{what} {not}{said}"));
    };
    match kind {
        Kind::Address => is(About::Address, "sourceIPAddress", "source address"),
        Kind::AccessKey => is(About::Key, "userIdentity.accessKeyId", "access key"),
        Kind::Principal => is(About::Caller, "userIdentity.principalId", "caller with the principal ID"),
        Kind::Account if by => is(About::CallersAccount, "userIdentity.accountId", "caller's account"),
        Kind::Account => is(About::Account, "recipientAccountId", "account"),
        Kind::Region => is(About::Region, "awsRegion", "Region"),
        Kind::Endpoint => is(About::Endpoint, "vpcEndpointId", "VPC endpoint"),
        Kind::EventId => is(About::Id, "eventID", "event ID"),
        Kind::ErrorCode => is(About::Outcome, "errorCode", "error code"),
        Kind::ResourceId => {
            let word =
                |id: &String| format!("regexp_like(eventJson, {})", regex_of("(^|[^a-z0-9-])", id, "([^a-z0-9-]|$)"));
            let sql: Vec<String> = values.iter().map(word).collect();
            let sql = if sql.len() == 1 { sql[0].clone() } else { format!("({})", sql.join(" OR ")) };
            plan.filter(About::Resource, sql, format!("events that mention {said}"));
        }
    }
    if outside && !matches!(kind, Kind::Region | Kind::Account | Kind::Address) {
        plan.contradiction = Some(format!("\"outside\" does not go with {} {said}", led.join(" ")));
    }
}

/// ARNs: of callers where IAM or STS made them and nothing says that they were called upon, of resources otherwise.
fn arns(words: &mut Words, plan: &mut Plan) {
    for at in 0..words.len() {
        let Some(arn) = words.free(at).map(|word| word.text.clone()).filter(|text| text.starts_with("arn:")) else {
            continue;
        };
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, service, _, _, resource] = parts[..] else { continue };
        let mut from = at;
        while from > 0
            && [
                "the",
                "user",
                "role",
                "principal",
                "identity",
                "caller",
                "resource",
                "bucket",
                "arn",
                "function",
                "key",
                "table",
                "queue",
                "topic",
                "secret",
            ]
            .contains(&words.lower(from - 1))
        {
            from -= 1;
        }
        let before = from.checked_sub(1).map(|before| words.lower(before).to_owned()).unwrap_or_default();
        let touched = ["touched", "on", "to", "affected", "against", "resource", "changed", "deleted", "modified"];
        let caller = matches!(service, "iam" | "sts") && !touched.contains(&before.as_str());
        if caller && before == "by" {
            from -= 1;
        }
        if before == "touched" || before == "affected" {
            from -= 1;
        }
        words.claim(from..at + 1);
        if !caller {
            let sql = format!("any_match(resources, r -> r.arn = {})", quote(&arn));
            plan.filter(About::Resource, sql, format!("resource {arn}"));
        } else if resource.starts_with("role/") {
            let sql = format!("userIdentity.sessionContext.sessionIssuer.arn = {}", quote(&arn));
            plan.filter(About::Caller, sql, format!("sessions of the role {arn}"));
        } else {
            plan.filter(About::Caller, format!("userIdentity.arn = {}", quote(&arn)), format!("caller {arn}"));
        }
    }
}

/// Names of operations, spelled as they are, alone or in a list.
fn event_names(words: &mut Words, plan: &mut Plan) {
    let mut at = 0;
    while at < words.len() {
        let Some(first) = event_name(words, at) else {
            at += 1;
            continue;
        };
        let mut names = vec![first];
        let mut end = at + 1;
        while let Some(next) = next_of_list(words, end)
            && let Some(name) = event_name(words, next)
        {
            names.push(name);
            end = next + 1;
        }
        let mut from = at;
        while from > 0 && ["the", "event", "name", "operation", "api"].contains(&words.lower(from - 1)) {
            from -= 1;
        }
        if from > 0 && words.lower(from - 1) == "called" {
            from -= 1;
        }
        // "top 10 buckets by GetObject requests": what is counted.
        if from > 0 && words.lower(from - 1) == "by" {
            from -= 1;
        }
        words.claim(from..end);
        if let Some(after) =
            words.matches(end, "api? calls|call|requests|request|events|event|operations|operation|api")
        {
            words.claim(end..after);
        }
        plan.filter(About::Event, events_sql(&names), said(&names));
        at = end;
    }
}

fn event_name(words: &Words, at: usize) -> Option<Operation> {
    let word = words.free(at)?;
    let operation = operations::spelled(&word.text)?;
    let humps = word.text.chars().skip(1).any(|letter| letter.is_ascii_uppercase());
    // `Decrypt`, `Query`, `Publish` are words, too.
    let called = words.matches(at + 1, "calls|call|requests|request|events|event|operations|operation").is_some()
        || (at > 0 && words.any(at - 1) == "called");
    (humps || word.quoted || called).then_some(operation)
}

/// The condition that an event is one of these.
pub(crate) fn events_sql(operations: &[Operation]) -> String {
    let (versioned, plain): (Vec<&Operation>, Vec<&Operation>) = operations.iter().partition(|one| one.is_versioned());
    let mut parts: Vec<String> = Vec::new();
    let names: Vec<String> = plain.iter().map(|operation| operation.name.to_owned()).collect();
    if !names.is_empty() {
        parts.push(one_of("eventName", &names, false));
    }
    for operation in versioned {
        // A date, and sometimes a number after it.
        parts.push(format!("regexp_like(eventName, '^{}([0-9_]{{8,10}}(v[0-9]+)?)?$')", operation.name));
    }
    if parts.len() == 1 { parts.remove(0) } else { format!("({})", parts.join(" OR ")) }
}

/// How a list of events is said.
pub(crate) fn said(operations: &[Operation]) -> String {
    let names: Vec<&str> = operations.iter().map(|operation| operation.name).collect();
    format!("events {}", names.join(" or "))
}
