//! The shapes of published sample queries on real records, beside a plain evaluation of the same question.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Row, plain, query, real_records};

/// The statement's rows are those of `expected`, in any order.
async fn assert_same(sql: &str, expected: impl Fn(&[Value]) -> Vec<Row>) {
    let records = real_records();
    if records.is_empty() {
        return;
    }
    let mut expected = expected(records);
    expected.sort();
    match query(sql, records).await {
        Ok(table) => {
            assert!(!expected.is_empty(), "no record answers {sql}: the test proves nothing");
            assert_eq!(table.sorted(), expected, "{sql}");
        }
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// The text at a path of members, named without regard to case, as Lake's columns are.
fn at(record: &Value, path: &str) -> Option<String> {
    let value = path.split('.').try_fold(record, |value, name| {
        value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    });
    value.and_then(plain)
}

/// A value of one of the maps: its keys keep their case.
fn member(record: &Value, map: &str, key: &str) -> Option<String> {
    record.get(map)?.as_object()?.get(key).and_then(plain)
}

fn is(record: &Value, path: &str, wanted: &str) -> bool {
    at(record, path).as_deref() == Some(wanted)
}

fn select(records: &[Value], keeps: impl Fn(&Value) -> bool, columns: &[&str]) -> Vec<Row> {
    let row = |record: &Value| columns.iter().map(|path| at(record, path)).collect();
    records.iter().filter(|record| keeps(record)).map(row).collect()
}

/// Counts by key, as rows of the key and the count.
fn counts(keys: impl Iterator<Item = Row>) -> Vec<Row> {
    let mut counts: BTreeMap<Row, u64> = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts.into_iter().map(|(key, count)| key.into_iter().chain([Some(count.to_string())]).collect()).collect()
}

/// `2024-01-02T03:04:05Z` as Lake writes it.
fn time_text(record: &Value) -> Option<String> {
    let time = at(record, "eventTime")?;
    time.parse::<opentrail_model::Timestamp>().ok()?;
    Some(format!("{}.000", time.trim_end_matches('Z').replace('T', " ")))
}

#[tokio::test]
async fn activity_of_an_identity() {
    assert_same(
        "/* who did what */ SELECT eventID, eventName, userIdentity.arn, sourceIPAddress FROM {eds} \
         WHERE userIdentity.type = 'AssumedRole' AND eventTime > '2019-01-01 00:00:00' AND errorCode IS NULL ORDER BY eventTime DESC;",
        |records| {
            let keeps = |record: &Value| {
                is(record, "userIdentity.type", "AssumedRole") && at(record, "errorCode").is_none()
                    && time_text(record).is_some_and(|time| time.as_str() > "2019-01-01 00:00:00.000")
            };
            select(records, keeps, &["eventID", "eventName", "userIdentity.arn", "sourceIPAddress"])
        },
    )
    .await;
    assert_same(
        "SELECT userIdentity.accessKeyId, eventName, count(*) AS n FROM {eds} WHERE userIdentity.accessKeyId IS \
            NOT NULL \
         GROUP BY userIdentity.accessKeyId, eventName ORDER BY n DESC",
        |records| {
            let keyed = records.iter().filter(|record| at(record, "userIdentity.accessKeyId").is_some());
            counts(keyed.map(|record| vec![at(record, "userIdentity.accessKeyId"), at(record, "eventName")]))
        },
    )
    .await;
    assert_same(
        "SELECT recipientAccountId, userIdentity.principalId, count(eventID) FROM {eds} \
         WHERE eventTime BETWEEN '2020-01-01' AND '2025-01-01' GROUP BY 1, 2",
        |records| {
            let within = |record: &&Value| {
                time_text(record)
                    .is_some_and(|time| ("2020-01-01"..="2025-01-01 00:00:00.000").contains(&time.as_str()))
            };
            let rows = records.iter().filter(within);
            counts(rows.map(|record| vec![at(record, "recipientAccountId"), at(record, "userIdentity.principalId")]))
        },
    )
    .await;
}

#[tokio::test]
async fn columns_compared_with_each_other() {
    assert_same(
        "SELECT eventID, userIdentity.accountId FROM {eds} WHERE recipientAccountId <> userIdentity.accountId",
        |records| {
            let keeps = |record: &Value| match (at(record, "recipientAccountId"), at(record, "userIdentity.accountId"))
            {
                (Some(left), Some(right)) => left != right,
                _ => false,
            };
            select(records, keeps, &["eventID", "userIdentity.accountId"])
        },
    )
    .await;
    assert_same(
        "SELECT eventID FROM {eds} WHERE element_at(resources, 1).accountId = userIdentity.accountId",
        |records| {
            let keeps = |record: &Value| {
                let first = record["resources"].get(0).and_then(|resource| at(resource, "accountId"));
                first.is_some() && first == at(record, "userIdentity.accountId")
            };
            select(records, keeps, &["eventID"])
        },
    )
    .await;
}

#[tokio::test]
async fn map_values_and_json_in_them() {
    assert_same(
        "SELECT eventID, element_at(requestParameters, 'bucketName') AS bucket FROM {eds} \
         WHERE eventSource = 's3.amazonaws.com' AND element_at(requestParameters, 'bucketName') LIKE '%a%'",
        |records| {
            let bucket = |record: &Value| member(record, "requestParameters", "bucketName");
            let found = records.iter().filter(|record| is(record, "eventSource", "s3.amazonaws.com"));
            let found = found.filter(|record| bucket(record).is_some_and(|bucket| bucket.contains('a')));
            found.map(|record| vec![at(record, "eventID"), bucket(record)]).collect()
        },
    )
    .await;
    assert_same(
        "SELECT requestParameters, count(*) AS n FROM {eds} WHERE eventName = 'GetObject' GROUP BY \
            requestParameters ORDER BY n DESC",
        |records| {
            let map = |record: &Value| {
                // In the order of their keys: groups do not depend on the order in the record.
                let members: BTreeMap<_, _> = record.get("requestParameters")?.as_object()?.iter().collect();
                let texts = members.iter().filter_map(|(key, value)| Some(format!("{key}={}", plain(value)?)));
                Some(format!("{{{}}}", texts.collect::<Vec<_>>().join(", ")))
            };
            counts(records.iter().filter(|record| is(record, "eventName", "GetObject")).map(|record| vec![map(record)]))
        },
    )
    .await;
    assert_same(
        "SELECT eventID, json_extract_scalar(element_at(responseElements, 'instancesSet'), '$.items[0].instanceId') \
         FROM {eds} WHERE eventName = 'RunInstances'",
        |records| {
            let instance =
                |record: &Value| plain(&record["responseElements"]["instancesSet"]["items"][0]["instanceId"]);
            let runs = records.iter().filter(|record| is(record, "eventName", "RunInstances"));
            runs.map(|record| vec![at(record, "eventID"), instance(record)]).collect()
        },
    )
    .await;
    assert_same(
        "SELECT eventID, json_extract_scalar(eventJson, '$.userIdentity.sessionContext.attributes.mfaAuthenticated') AS mfa \
         FROM {eds} WHERE json_extract_scalar(eventJson, '$.userIdentity.sessionContext.attributes.mfaAuthenticated') = 'false'",
        |records| {
            let mfa = "userIdentity.sessionContext.attributes.mfaAuthenticated";
            select(records, |record| is(record, mfa, "false"), &["eventID", mfa])
        },
    )
    .await;
    assert_same(
        "SELECT eventID, json_extract_scalar(json_array_get(json_extract(eventJson, '$.resources'), 0), '$.ARN') \
         FROM {eds} WHERE json_array_length(json_extract(eventJson, '$.resources')) > 0",
        |records| {
            let some =
                records.iter().filter(|record| record["resources"].as_array().is_some_and(|all| !all.is_empty()));
            some.map(|record| vec![at(record, "eventID"), plain(&record["resources"][0]["ARN"])]).collect()
        },
    )
    .await;
    assert_same(
        "SELECT eventID, cast(json_extract(json_parse(eventJson), '$.userIdentity') AS map(varchar, json)) IS NOT \
            NULL, \
         cardinality(map_values(cast(json_extract(json_parse(eventJson), '$.userIdentity') AS map(varchar, json)))) \
         FROM {eds} WHERE eventName LIKE 'Create%'",
        |records| {
            let created =
                records.iter().filter(|record| at(record, "eventName").is_some_and(|name| name.starts_with("Create")));
            created
                .map(|record| {
                    let members = record["userIdentity"].as_object();
                    vec![
                        at(record, "eventID"),
                        Some(members.is_some().to_string()),
                        members.map(|members| members.len().to_string()),
                    ]
                })
                .collect()
        },
    )
    .await;
    assert_same(
        "SELECT eventID, names FROM (SELECT eventID, transform(filter(map_values(cast(json_extract(json_parse(eventJson), \
         '$.responseElements') AS map(varchar, json))), x -> json_extract_scalar(x, '$.arn') IS NOT NULL), \
         x -> json_extract_scalar(x, '$.arn')) AS names FROM {eds}) WHERE cardinality(names) > 0",
        |records| {
            let names = |record: &Value| {
                let members = record.get("responseElements").and_then(Value::as_object).into_iter().flatten();
                // Members are in order: json_parse sorts them.
                let members: BTreeMap<_, _> = members.collect();
                let arns = members.values().filter_map(|value| value.get("arn").and_then(plain));
                arns.collect::<Vec<_>>()
            };
            let some = records.iter().filter(|record| !names(record).is_empty());
            some.map(|record| vec![at(record, "eventID"), Some(format!("[{}]", names(record).join(", ")))]).collect()
        },
    )
    .await;
}

#[tokio::test]
async fn lists_and_likes() {
    assert_same(
        "SELECT eventName, awsRegion FROM {eds} WHERE eventName IN ('CreateUser', 'RunInstances', 'GetObject', \
            '''CreateVpc') \
         AND awsRegion NOT IN ('eu-west-1', '')",
        |records| {
            let keeps = |record: &Value| {
                ["CreateUser", "RunInstances", "GetObject"].iter().any(|name| is(record, "eventName", name))
                    && at(record, "awsRegion").is_some_and(|region| region != "eu-west-1" && !region.is_empty())
            };
            select(records, keeps, &["eventName", "awsRegion"])
        },
    )
    .await;
    assert_same(
        "SELECT eventID FROM {eds} WHERE (eventName LIKE 'Create%' OR eventName LIKE 'Put%' OR eventName LIKE \
            'Update%' \
         OR eventName LIKE 'Delete%') AND readOnly=False AND userAgent NOT LIKE '%console%'",
        |records| {
            let keeps = |record: &Value| {
                let name = at(record, "eventName").unwrap_or_default();
                ["Create", "Put", "Update", "Delete"].iter().any(|verb| name.starts_with(verb))
                    && is(record, "readOnly", "false")
                    && at(record, "userAgent").is_some_and(|agent| !agent.contains("console"))
            };
            select(records, keeps, &["eventID"])
        },
    )
    .await;
    assert_same(
        "SELECT errorCode, count(*) FROM {eds} WHERE errorCode LIKE '%Denied%' GROUP BY errorCode",
        |records| {
            let denied =
                records.iter().filter(|record| at(record, "errorCode").is_some_and(|code| code.contains("Denied")));
            counts(denied.map(|record| vec![at(record, "errorCode")]))
        },
    )
    .await;
    assert_same("SELECT DISTINCT eventSource, awsRegion FROM {eds} WHERE readOnly = true", |records| {
        let read = select(records, |record| is(record, "readOnly", "true"), &["eventSource", "awsRegion"]);
        read.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    })
    .await;
}

#[tokio::test]
async fn times_in_groups() {
    assert_same(
        "SELECT date(eventTime) AS day, count(*) AS n FROM {eds} GROUP BY date(eventTime) ORDER BY day",
        |records| counts(records.iter().map(|record| vec![time_text(record).map(|time| time[..10].to_owned())])),
    )
    .await;
    assert_same(
        "SELECT day_of_week(eventTime), count(*) FROM {eds} WHERE eventTime IS NOT NULL GROUP BY 1",
        |records| {
            let weekday = |record: &Value| {
                let time: opentrail_model::Timestamp = at(record, "eventTime")?.parse().ok()?;
                // 1970-01-01 was a Thursday.
                Some(vec![Some(((time.as_secs().div_euclid(86_400) + 3).rem_euclid(7) + 1).to_string())])
            };
            counts(records.iter().filter_map(weekday))
        },
    )
    .await;
    assert_same(
        "SELECT eventSource, max_by(eventName, eventTime), max(eventTime) FROM {eds} WHERE eventSource = \
        'none' OR eventID IN (SELECT min(eventID) FROM {eds}) GROUP BY 1",
        |records| {
            let least = records.iter().filter_map(|record| at(record, "eventID")).min();
            let found = records.iter().filter(|record| at(record, "eventID") == least);
            found.map(|record| vec![at(record, "eventSource"), at(record, "eventName"), time_text(record)]).collect()
        },
    )
    .await;
}

#[tokio::test]
async fn tls_and_ranks() {
    assert_same(
        "SELECT eventID, tlsDetails.tlsVersion FROM {eds} WHERE tlsDetails.tlsVersion <> 'TLSv1.3'",
        |records| {
            let keeps =
                |record: &Value| at(record, "tlsDetails.tlsVersion").is_some_and(|version| version != "TLSv1.3");
            select(records, keeps, &["eventID", "tlsDetails.tlsVersion"])
        },
    )
    .await;
    assert_same(
        "SELECT eventSource, tlsDetails.tlsVersion, tlsDetails.cipherSuite, count(*) AS n FROM {eds} \
         WHERE CAST(REPLACE(tlsDetails.tlsVersion, 'TLSv') AS DOUBLE) <= 1.2 \
         GROUP BY eventSource, tlsDetails.tlsVersion, tlsDetails.cipherSuite ORDER BY eventSource, n DESC",
        |records| {
            let old = records.iter().filter(|record| {
                at(record, "tlsDetails.tlsVersion").is_some_and(|version| version[4..].parse::<f64>().unwrap() <= 1.2)
            });
            let key = |record: &Value| {
                vec![
                    at(record, "eventSource"),
                    at(record, "tlsDetails.tlsVersion"),
                    at(record, "tlsDetails.cipherSuite"),
                ]
            };
            counts(old.map(key))
        },
    )
    .await;
    assert_same(
        "SELECT eventSource, eventName FROM (SELECT eventSource, eventName, rank() OVER (PARTITION BY eventSource \
            ORDER BY count(*) DESC, eventName) AS place \
         FROM {eds} GROUP BY eventSource, eventName) WHERE place = 1",
        |records| {
            let mut best: BTreeMap<Option<String>, (std::cmp::Reverse<u64>, Option<String>)> = BTreeMap::new();
            for mut row in counts(records.iter().map(|record| vec![at(record, "eventSource"), at(record, "eventName")]))
            {
                let count: u64 = row.pop().flatten().unwrap().parse().unwrap();
                let (name, source) = (row.pop().unwrap(), row.pop().unwrap());
                let place = (std::cmp::Reverse(count), name);
                let held = best.entry(source).or_insert_with(|| place.clone());
                if place < *held {
                    *held = place;
                }
            }
            best.into_iter().map(|(source, (_, name))| vec![source, name]).collect()
        },
    )
    .await;
}

#[tokio::test]
async fn unions_and_everything_at_once() {
    assert_same(
        "SELECT eventID, eventName FROM {eds} WHERE eventName = 'CreateUser' UNION ALL \
         SELECT eventID, eventName FROM {other} WHERE eventName = 'RunInstances' ORDER BY eventID LIMIT 1000",
        |records| {
            let keeps =
                |record: &Value| is(record, "eventName", "CreateUser") || is(record, "eventName", "RunInstances");
            select(records, keeps, &["eventID", "eventName"])
        },
    )
    .await;
    assert_same(
        "SELECT eventID, r.arn FROM {eds} CROSS JOIN UNNEST(resources) AS r WHERE r.arn LIKE 'arn:aws:s3%'",
        |records| {
            let rows = records.iter().flat_map(|record| {
                let resources = record["resources"].as_array().into_iter().flatten();
                resources.filter_map(|resource| Some(vec![at(record, "eventID"), Some(at(resource, "arn")?)]))
            });
            rows.filter(|row| row[1].as_ref().is_some_and(|arn| arn.starts_with("arn:aws:s3"))).collect()
        },
    )
    .await;
    assert_same(
        "SELECT eventVersion, eventTime AS time, userIdentity.sessionContext.sessionIssuer.userName AS issuer, \
         userIdentity.sessionContext.attributes.creationDate AS created, tlsDetails.clientProvidedHostHeader AS host, \
         element_at(resources, 1).arn AS resource FROM {eds}",
        |records| {
            let row = |record: &Value| {
                let created = at(record, "userIdentity.sessionContext.attributes.creationDate");
                let created = created.filter(|time| time.parse::<opentrail_model::Timestamp>().is_ok());
                vec![
                    at(record, "eventVersion"),
                    time_text(record),
                    at(record, "userIdentity.sessionContext.sessionIssuer.userName"),
                    created.map(|time| format!("{}.000", time.trim_end_matches('Z').replace('T', " "))),
                    at(record, "tlsDetails.clientProvidedHostHeader"),
                    record["resources"].get(0).and_then(|resource| at(resource, "arn")),
                ]
            };
            records.iter().map(row).collect()
        },
    )
    .await;
    assert_same(
        "SELECT * FROM (SELECT eventID FROM {eds} WHERE managementEvent = true) JOIN (SELECT eventID AS \
        other FROM {other}) ON eventID = other",
        |records| {
            let mut times: BTreeMap<Option<String>, usize> = BTreeMap::new();
            for record in records {
                *times.entry(at(record, "eventID")).or_default() += 1;
            }
            let managed = records.iter().filter(|record| is(record, "managementEvent", "true"));
            managed
                .flat_map(|record| {
                    let id = at(record, "eventID");
                    vec![vec![id.clone(), id.clone()]; if id.is_some() { times[&id] } else { 0 }]
                })
                .collect()
        },
    )
    .await;
}

#[tokio::test]
async fn every_column_of_every_record() {
    let records = real_records();
    if records.is_empty() {
        return;
    }
    let table = query("SELECT * FROM {eds}", records).await.unwrap();
    assert_eq!(table.rows.len(), records.len());
    let column = |name: &str| {
        let index = table.columns.iter().position(|column| column == name).unwrap();
        let mut values: Vec<_> = table.rows.iter().map(|row| row[index].clone()).collect();
        values.sort();
        values
    };
    for (heading, path) in [("eventID", "eventID"), ("sourceIPAddress", "sourceIPAddress"), ("awsRegion", "awsRegion")]
    {
        let mut expected: Vec<_> = records.iter().map(|record| at(record, path)).collect();
        expected.sort();
        assert_eq!(column(heading), expected, "{heading}");
    }
}
