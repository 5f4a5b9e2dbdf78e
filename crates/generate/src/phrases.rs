//! Set phrases: what people say of events that is no name, no time and no operation.

use crate::effects::{SUCCEEDED, is_name, service_sql};
use crate::literals::{events_sql, said};
use crate::names::{regex_of, service};
use crate::operations::spelled;
use crate::plan::{About, Plan};
use crate::topics::{DONE, TOPICS};
use crate::words::Words;

pub(crate) const DENIED: &str = "(errorCode LIKE '%AccessDenied%' OR errorCode LIKE '%Unauthorized%')";
const THROTTLED: &str =
    "(errorCode LIKE '%Throttl%' OR errorCode LIKE '%RequestLimitExceeded%' OR errorCode LIKE '%TooManyRequests%')";

const ALL_ADDRESSES: &str = "(element_at(requestParameters, 'ipPermissions') LIKE '%0.0.0.0/0%' \
                             OR element_at(requestParameters, 'ipPermissions') LIKE '%::/0%')";

/// Claims phrases. They come before operations, since "read events" are no events that are read.
pub(crate) fn take(words: &mut Words, plan: &mut Plan) {
    internet(words, plan);
    endpoints(words, plan);
    for (pattern, names) in DONE {
        if words.take(pattern) {
            events(plan, names);
            succeeded(plan);
        }
    }
    topics(words, plan);
    assumed(words, plan);
    logins(words, plan);
    outcomes(words, plan);
    access(words, plan);
    tools(words, plan);
    tls(words, plan);
    for (pattern, category) in [
        ("data events|event", "Data"),
        ("management events|event", "Management"),
        ("network activity events?", "NetworkActivity"),
    ] {
        if words.take(pattern) {
            plan.filter(About::Category, format!("eventCategory = '{category}'"), format!("category {category}"));
        }
    }
}

fn events(plan: &mut Plan, names: &[&str]) {
    let operations: Vec<_> = names.iter().filter_map(|name| spelled(name)).collect();
    plan.filter(About::Event, events_sql(&operations), said(&operations));
}

fn succeeded(plan: &mut Plan) {
    if plan.about(About::Outcome).is_none() {
        plan.filter(About::Outcome, SUCCEEDED, "calls that succeeded");
    }
}

fn internet(words: &mut Words, plan: &mut Plan) {
    let world = "to the? whole? internet|world|everyone|anyone|public";
    let patterns = [
        format!("opened|opening a|any|the? security groups|group up? {world}"),
        format!("security groups|group that? were|was? opened up? {world}"),
        format!("security groups|group rules? open {world}"),
    ];
    if patterns.iter().any(|pattern| words.take(pattern)) {
        events(plan, &["AuthorizeSecurityGroupIngress"]);
        plan.filter(About::Resource, ALL_ADDRESSES, "rules for all addresses");
        succeeded(plan);
    }
}

fn endpoints(words: &mut Words, plan: &mut Plan) {
    for pattern in ["denied by the|a? vpc endpoints|endpoint policies|policy?", "vpc endpoints|endpoint denials|denied"]
    {
        if words.take(pattern) {
            plan.filter(About::Category, "eventCategory = 'NetworkActivity'", "category NetworkActivity");
            plan.filter(About::Outcome, "errorCode = 'VpceAccessDenied'", "error code VpceAccessDenied");
        }
    }
}

fn topics(words: &mut Words, plan: &mut Plan) {
    let made = "that? were|was|have|has|been? been? changed|modified|updated|edited|altered|changes|change|modifications|updates";
    for (topic, names) in TOPICS {
        let patterns = [
            format!("{topic} {made}"),
            format!("changes|change|modifications|updates to|of|in|on our|the|any? {topic}"),
            format!("changed|modified|updated|edited|altered|change|modify the|a|an|any|our? {topic}"),
            format!("touched the|a|any|our? {topic}"),
        ];
        if patterns.iter().any(|pattern| words.take(pattern)) {
            events(plan, names);
            succeeded(plan);
        }
    }
}

/// Roles that were assumed, and one of them by its name.
fn assumed(words: &mut Words, plan: &mut Plan) {
    let Some((at, end)) = words.find("assumed|assume|assuming the|a|any? role|roles").or_else(|| {
        words.find("that? were|was|been? assumed").filter(|(at, _)| {
            // "roles that were assumed": the roles are what is asked for.
            at.checked_sub(1).is_some_and(|before| matches!(words.lower(before), "role" | "roles"))
        })
    }) else {
        return;
    };
    let with_role = matches!(words.lower(end - 1), "role" | "roles");
    let tried = (at >= 2).then(|| words.matches(at - 2, "tried|attempted|failed to")).flatten() == Some(at);
    let name = words.free(end).filter(|word| with_role && is_name(word, false)).map(|word| word.text.clone());
    words.claim(at..end);
    events(plan, &["AssumeRole"]);
    if let Some(name) = name {
        words.claim(end..end + 1);
        let role = "element_at(requestParameters, 'roleArn')";
        let sql = format!("regexp_like({role}, {})", regex_of(":role/(.*/)?", &name, "$"));
        plan.filter(About::Resource, sql, format!("assumed role {name}"));
    }
    if tried && words.lower(at - 2) != "failed" {
        words.claim(at - 2..at);
    } else if !tried && words.find("denied|failed|errors").is_none() {
        succeeded(plan);
    }
}

/// Sign-ins: what failed is told by their answer, not by an error code.
fn logins(words: &mut Words, plan: &mut Plan) {
    let named = "aws? console logins|login|sign-ins|sign-in|signins|logons|log-ins attempts|events?";
    let short = "logins|sign-ins|signins|logons|login|sign-in attempts|events?";
    let verb = "signed|logged in|into to|on? the|our|aws? management? console?";
    let found = |pattern: &str| words.find(pattern);
    let noun = found(named).or_else(|| found("console sign ins|in")).or_else(|| found(short));
    let signed_in = found(verb).filter(|(at, _)| words.matches(*at, "signed|logged in|on").is_some());
    let failed = found("failed to log|sign in|into to? the? console?");
    let already = plan.about(About::Event).is_some_and(|events| events.sql == "eventName = 'ConsoleLogin'");
    match (noun, failed, signed_in) {
        (Some((at, end)), _, _) | (None, None, Some((at, end))) => words.claim(at..end),
        // "failed" is looked at below.
        (None, Some((at, end)), _) => words.claim(at + 1..end),
        (None, None, None) if already => {}
        (None, None, None) => return,
    }
    events(plan, &["ConsoleLogin"]);
    let answer = |plan: &mut Plan, is: &str, said: &str| {
        plan.filter(About::Outcome, format!("element_at(responseElements, 'ConsoleLogin') = '{is}'"), said);
    };
    let unsuccessful = ["that|which? failed", "failed|failing|unsuccessful|failures", "with errors"];
    if unsuccessful.iter().any(|pattern| words.take(pattern)) {
        answer(plan, "Failure", "sign-ins that failed");
    } else if noun.is_none() && !already || words.take("successful") || words.take("that? succeeded") {
        answer(plan, "Success", "sign-ins that succeeded");
    }
    if words.take("without an|any? mfa") || words.take("without multi-factor authentication") {
        plan.filter(About::Mfa, "element_at(additionalEventData, 'MFAUsed') = 'No'", "without MFA");
    } else if words.take("with mfa") {
        plan.filter(About::Mfa, "element_at(additionalEventData, 'MFAUsed') = 'Yes'", "with MFA");
    }
}

fn outcomes(words: &mut Words, plan: &mut Plan) {
    let denied = [
        "access denied errors|error|events|exceptions?",
        "that? were|was|got? denied access?",
        "denied|unauthorized errors|error?",
        "were|was? unauthorized",
        "denials",
    ];
    let mut found = false;
    for pattern in denied {
        while words.take(pattern) {
            found = true;
        }
    }
    if found {
        plan.filter(About::Outcome, DENIED, "calls that were denied");
        return;
    }
    if words.take("that|which? were|was|got|get|being? throttled errors?") || words.take("throttling errors|events?") {
        plan.filter(About::Outcome, THROTTLED, "calls that were throttled");
        return;
    }
    if words.take("successful") || words.take("that? succeeded") {
        plan.filter(About::Outcome, SUCCEEDED, "calls that succeeded");
        return;
    }
    // "failed with ThrottlingException": the code says it.
    let coded = plan.about(About::Outcome).is_some();
    let failed = words.take("and|that|which? failed|failing|unsuccessful with?") || words.take("that|which? fail");
    let failures = words.take("failures|failure");
    let errored = !failed && !failures && error_events(words);
    if (failed || failures || errored) && !coded {
        plan.filter(About::Outcome, "errorCode IS NOT NULL", "calls that failed");
    }
}

/// "errors" as what happened; as what is counted by ("most frequent errors", "error codes") they are a dimension.
fn error_events(words: &mut Words) -> bool {
    let Some((at, end)) = words.find("all|the|any? errors|error") else {
        return words.find("error codes|code|types").is_some();
    };
    if matches!(words.lower(end), "code" | "codes" | "types" | "type") {
        return true;
    }
    let rank = (at.saturating_sub(2)..at)
        .any(|before| ["frequent", "common", "top"].contains(&words.lower(before)) || (words.lower(before) == "most"));
    if !rank {
        words.claim(at..end);
    }
    true
}

fn access(words: &mut Words, plan: &mut Plan) {
    let write = [
        "write|mutating|modifying events|event|actions|action|calls|operations|requests|activity|api? calls?",
        "changes|modifications|writes",
        "that|which? changed|modified anything|something",
        "made any? changes",
    ];
    let read = ["read|read-only events|event|actions|action|calls|operations|requests|activity", "reads"];
    if write.iter().any(|pattern| words.take(pattern)) {
        words.take("made");
        plan.filter(About::Access, "readOnly = false", "calls that change something");
    }
    if read.iter().any(|pattern| words.take(pattern)) {
        plan.filter(About::Access, "readOnly = true", "calls that only read");
    }
}

fn tools(words: &mut Words, plan: &mut Plan) {
    for pattern in ["through|via|in|from|using|with|on the aws? management? console", "in the? aws? console"] {
        if words.take(pattern) {
            let sql = "sessionCredentialFromConsole = 'true'";
            plan.filter(About::Console, sql, "calls from the management console");
        }
    }
    for (tool, agent) in [("aws? cli", "aws-cli"), ("boto3", "boto3"), ("terraform", "terraform")] {
        if words.take(&format!("with|through|via|using|from the? {tool}")) {
            let sql = format!("lower(userAgent) LIKE '%{agent}%'");
            plan.filter(About::Agent, sql, format!("user agent with {agent}"));
        }
    }
    if words.take("without mfa") {
        let sql = "userIdentity.sessionContext.attributes.mfaAuthenticated = 'false'";
        plan.filter(About::Mfa, sql, "sessions without MFA");
    }
}

fn tls(words: &mut Words, plan: &mut Plan) {
    let version = |text: &str| match text {
        "1.0" | "1" => Some(&["TLSv1", "TLSv1.0"][..]),
        "1.1" => Some(&["TLSv1.1"][..]),
        "1.2" => Some(&["TLSv1.2"][..]),
        "1.3" => Some(&["TLSv1.3"][..]),
        _ => None,
    };
    let Some((at, mut end)) = words.find("over|with|using? tls version?") else { return };
    let mut versions: Vec<&str> = Vec::new();
    while let Some(found) = version(words.lower(end)) {
        versions.extend(found);
        end += 1;
        match words.matches(end, "or|and|, tls?") {
            Some(next) if version(words.lower(next)).is_some() => end = next,
            _ => break,
        }
    }
    if versions.is_empty() {
        return;
    }
    words.claim(at..end);
    versions.sort_unstable();
    let quoted: Vec<String> = versions.iter().map(|version| format!("'{version}'")).collect();
    plan.filter(
        About::Tls,
        format!("tlsDetails.tlsVersion IN ({})", quoted.join(", ")),
        format!("TLS {}", versions.join(" or ")),
    );
}

/// Claims services that are named by themselves: "in S3", "EC2 calls".
pub(crate) fn take_services(words: &mut Words, plan: &mut Plan) {
    let mut at = 0;
    while at < words.len() {
        let Some((first, mut end)) = service(words, at) else {
            at += 1;
            continue;
        };
        let mut sources = vec![first];
        while let Some(next) = crate::literals::next_of_list(words, end)
            && let Some((source, after)) = service(words, next)
        {
            sources.push(source);
            end = after;
        }
        let from = if at > 0 && words.lower(at - 1) == "called" { at - 1 } else { at };
        words.claim(from..end);
        at = end;
        if sources.len() == 1 {
            plan.filter(About::Service, service_sql(sources[0]), format!("service {}", sources[0]));
        } else {
            let list: Vec<String> = sources.iter().map(|source| format!("'{source}.amazonaws.com'")).collect();
            let sql = format!("eventSource IN ({})", list.join(", "));
            plan.filter(About::Service, sql, format!("service {}", sources.join(" or ")));
        }
    }
}
