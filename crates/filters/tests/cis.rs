//! CIS's patterns over real records, against the same conditions written in Rust.

mod common;

use opentrail_filters::{FilterPattern, FilterSet, Scratch};
use serde_json::{Value, json};

use common::{cis_patterns, real_records};

type Plain = fn(&Value) -> bool;

fn event(record: &Value, names: &[&str]) -> bool {
    names.iter().any(|name| record["eventName"] == *name)
}

fn is_text_other_than(value: &Value, text: &str) -> bool {
    value.as_str().is_some_and(|value| value != text)
}

/// In the order of the patterns.
const PLAINLY: [Plain; 19] = [
    unauthorized,
    |r| {
        unauthorized(r)
            && is_text_other_than(&r["sourceIPAddress"], "delivery.logs.amazonaws.com")
            && is_text_other_than(&r["eventName"], "HeadBucket")
    },
    |r| r["eventName"] == "ConsoleLogin" && is_text_other_than(&r["additionalEventData"]["MFAUsed"], "Yes"),
    |r| {
        r["eventName"] == "ConsoleLogin"
            && is_text_other_than(&r["additionalEventData"]["MFAUsed"], "Yes")
            && r["userIdentity"]["type"] == "IAMUser"
            && r["responseElements"]["ConsoleLogin"] == "Success"
    },
    |r| {
        r["userIdentity"]["type"] == "Root"
            && r["userIdentity"].get("invokedBy").is_none()
            && is_text_other_than(&r["eventType"], "AwsServiceEvent")
    },
    iam_policy,
    |r| r["eventSource"] == "iam.amazonaws.com" && iam_policy(r),
    |r| event(r, &["CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging"]),
    |r| r["eventName"] == "ConsoleLogin" && r["errorMessage"] == "Failed authentication",
    |r| r["eventSource"] == "kms.amazonaws.com" && event(r, &["DisableKey", "ScheduleKeyDeletion"]),
    |r| {
        let policies =
            ["PutBucketAcl", "PutBucketPolicy", "PutBucketCors", "PutBucketLifecycle", "PutBucketReplication"];
        let deleted = ["DeleteBucketPolicy", "DeleteBucketCors", "DeleteBucketLifecycle", "DeleteBucketReplication"];
        r["eventSource"] == "s3.amazonaws.com" && (event(r, &policies) || event(r, &deleted))
    },
    |r| {
        let names =
            ["StopConfigurationRecorder", "DeleteDeliveryChannel", "PutDeliveryChannel", "PutConfigurationRecorder"];
        r["eventSource"] == "config.amazonaws.com" && event(r, &names)
    },
    |r| {
        let rules = ["AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress"];
        event(r, &rules) || event(r, &["RevokeSecurityGroupEgress", "CreateSecurityGroup", "DeleteSecurityGroup"])
    },
    |r| {
        let acls = ["CreateNetworkAcl", "CreateNetworkAclEntry", "DeleteNetworkAcl", "DeleteNetworkAclEntry"];
        event(r, &acls) || event(r, &["ReplaceNetworkAclEntry", "ReplaceNetworkAclAssociation"])
    },
    |r| {
        let internet =
            ["AttachInternetGateway", "CreateInternetGateway", "DeleteInternetGateway", "DetachInternetGateway"];
        event(r, &["CreateCustomerGateway", "DeleteCustomerGateway"]) || event(r, &internet)
    },
    route_table,
    |r| r["eventSource"] == "ec2.amazonaws.com" && route_table(r),
    |r| {
        let peering = ["Accept", "Create", "Delete", "Reject"].map(|verb| format!("{verb}VpcPeeringConnection"));
        let links = ["AttachClassicLinkVpc", "DetachClassicLinkVpc", "DisableVpcClassicLink", "EnableVpcClassicLink"];
        event(r, &["CreateVpc", "DeleteVpc", "ModifyVpcAttribute"])
            || event(r, &peering.each_ref().map(String::as_str))
            || event(r, &links)
    },
    |r| {
        let policies = ["AttachPolicy", "CreatePolicy", "DeletePolicy", "DetachPolicy", "UpdatePolicy"];
        let types = ["DisablePolicyType", "EnablePolicyType", "AcceptHandshake", "DeclineHandshake"];
        let units = ["CreateOrganizationalUnit", "DeleteOrganizationalUnit", "UpdateOrganizationalUnit", "MoveAccount"];
        let accounts = ["CreateAccount", "InviteAccountToOrganization", "RemoveAccountFromOrganization"];
        let whole = ["DeleteOrganization", "LeaveOrganization"];
        r["eventSource"] == "organizations.amazonaws.com"
            && [&policies[..], &types, &units, &accounts, &whole].iter().any(|names| event(r, names))
    },
];

fn unauthorized(record: &Value) -> bool {
    let code = record["errorCode"].as_str();
    code.is_some_and(|code| code.ends_with("UnauthorizedOperation") || code.starts_with("AccessDenied"))
}

fn iam_policy(record: &Value) -> bool {
    let of = ["Group", "Role", "User"];
    of.iter()
        .flat_map(|of| ["Delete", "Put", "Attach", "Detach"].map(|verb| format!("{verb}{of}Policy")))
        .any(|name| record["eventName"] == name)
        || event(record, &["CreatePolicy", "DeletePolicy", "CreatePolicyVersion", "DeletePolicyVersion"])
}

fn route_table(record: &Value) -> bool {
    let tables = ["CreateRouteTable", "ReplaceRouteTableAssociation", "DeleteRouteTable", "DisassociateRouteTable"];
    event(record, &["CreateRoute", "ReplaceRoute", "DeleteRoute"]) || event(record, &tables)
}

/// Real records, and each of them once more as an event that one of the patterns watches: few real ones are.
fn records() -> Vec<Value> {
    let mut watched = Vec::new();
    for (_, pattern) in cis_patterns() {
        let mut source = "ec2.amazonaws.com";
        for condition in pattern.split('$') {
            let words: Vec<&str> =
                condition.split(['=', ' ', '"', '(', ')', '{', '}']).filter(|w| !w.is_empty()).collect();
            match words[..] {
                [".eventSource", of, ..] => source = of,
                [".eventName", name, ..] if !condition.contains("!=") => watched.push((name, source)),
                _ => {}
            }
        }
    }
    assert!(watched.len() > 80, "{watched:?}");
    let real: Vec<Value> = real_records().iter().map(|record| serde_json::from_str(record).expect("JSON")).collect();
    let renamed = real.iter().zip(watched.iter().cycle()).enumerate().map(|(number, (record, (name, source)))| {
        let mut record = record.clone();
        record["eventName"] = json!(name);
        record["eventSource"] = json!(source);
        if *name == "ConsoleLogin" {
            let one_of = |texts: [&str; 2], bit: usize| texts[number >> bit & 1].to_owned();
            record["additionalEventData"] = json!({"MFAUsed": one_of(["Yes", "No"], 0)});
            record["responseElements"] = json!({"ConsoleLogin": one_of(["Success", "Failure"], 1)});
            record["userIdentity"]["type"] = json!(one_of(["IAMUser", "Root"], 2));
            record["errorMessage"] = json!("Failed authentication");
        }
        record
    });
    let renamed: Vec<Value> = renamed.collect();
    [real, renamed].concat()
}

#[test]
fn the_patterns_count_what_plain_conditions_count() {
    let records = records();
    let patterns: Vec<FilterPattern> = cis_patterns().map(|(_, text)| text.parse().expect(text)).collect();
    assert_eq!(patterns.len(), PLAINLY.len());
    let (set, mut scratch) = (FilterSet::new(patterns.clone()), Scratch::default());
    let mut counts = vec![0; patterns.len()];
    for (number, record) in records.iter().enumerate() {
        if number == records.len() / 2 {
            println!("of the real records match {counts:?}");
        }
        let message = record.to_string();
        let plainly: Vec<usize> = (0..PLAINLY.len()).filter(|number| PLAINLY[*number](record)).collect();
        let alone: Vec<usize> = (0..PLAINLY.len()).filter(|number| patterns[*number].matches(&message)).collect();
        assert_eq!(alone, plainly, "{message}");
        assert_eq!(set.matching(&message, &mut scratch), plainly, "{message}");
        plainly.iter().for_each(|number| counts[*number] += 1);
    }
    assert!(records.is_empty() || counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn there_are_fifteen_patterns() {
    let mut numbers: Vec<usize> = cis_patterns().map(|(number, _)| number).collect();
    numbers.dedup();
    assert_eq!(numbers, (1..=15).collect::<Vec<_>>());
}

/// As scanners compare them, blanks left out.
#[test]
fn blanks_around_operators_are_no_matter() {
    for (_, pattern) in cis_patterns() {
        let tight = pattern.replace(' ', "").replace("NOTEXISTS", " NOT EXISTS").replace("Failedauth", "Failed auth");
        let wide = tight.replace("&&", "\n && ").replace("||", " ||\t").replace(')', " ) ").replace('(', " ( ");
        for text in [tight, wide] {
            if let Err(error) = FilterPattern::parse(&text) {
                assert!(text.len() > 1024, "{error}: {text}");
            }
        }
    }
}
