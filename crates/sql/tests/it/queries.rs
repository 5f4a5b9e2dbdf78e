//! The structure of queries: headings, joins, unnesting, groups, windows, set operations, text forms.

use opentrail_sql::Statement;
use serde_json::{Value, json};

use crate::support::{Failure, OTHER, Row, STORE, now, query, shared, tables};

fn record(id: u32, name: &str, time: &str, more: Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.09", "eventID": format!("e{id}"), "eventName": name, "eventTime": time,
        "eventSource": "s3.amazonaws.com", "awsRegion": "eu-west-1", "readOnly": id.is_multiple_of(2),
    });
    for (key, value) in more.as_object().unwrap() {
        record[key] = value.clone();
    }
    record
}

fn records() -> Vec<Value> {
    vec![
        record(
            1,
            "CreateBucket",
            "2026-01-01T00:00:00Z",
            json!({
                "userIdentity": {"type": "AssumedRole", "principalId": "AROA1:s", "arn": "arn:aws:sts::1:assumed-role/r/s",
                    "sessionContext": {"attributes": {"creationDate": "2026-01-01T00:00:00Z", "mfaAuthenticated": "true"}}},
                "requestParameters": {"bucketName": "b1", "nested": {"x": [1, 2]}, "flag": true},
                "resources": [{"ARN": "arn:aws:s3:::b1", "accountId": "1", "type": "AWS::S3::Bucket"}, {"ARN": "arn:2"}],
                "eventContext": {"tagContext": {"principalTags": {"operator": "ann"},
                    "resourceTags": [{"arn": "arn:a", "tags": {"k": "v", "s": "x"}}, {"arn": "arn:b", "tags": {"s": "y"}}]}},
                "sessionCredentialFromConsole": "true",
            }),
        ),
        record(
            2,
            "GetObject",
            "2026-01-02T12:30:00.5Z",
            json!({
                "userIdentity": {"type": "Root", "arn": "arn:root"}, "requestParameters": {"bucketName": "b2"},
                "resources": [], "errorCode": "AccessDenied",
                "eventContext": {"tagContext": {"resourceTags": [{"arn": "arn:c", "tags": {"s": "x"}}]}},
            }),
        ),
        record(3, "GetObject", "2026-01-03T00:00:00Z", json!({"requestParameters": {"bucketName": "b1"}})),
    ]
}

async fn rows(sql: &str) -> Vec<Row> {
    match query(sql, &records()).await {
        Ok(table) => table.rows,
        Err(error) => panic!("{sql}: {error}"),
    }
}

fn row(values: &[&str]) -> Row {
    values.iter().map(|value| (*value != "NULL").then(|| (*value).to_owned())).collect()
}

async fn assert_rows(sql: &str, expected: &[&[&str]]) {
    assert_eq!(rows(sql).await, expected.iter().map(|values| row(values)).collect::<Vec<_>>(), "{sql}");
}

async fn assert_headings(sql: &str, expected: &[&str]) {
    match query(sql, &records()).await {
        Ok(table) => assert_eq!(table.columns, expected, "{sql}"),
        Err(error) => panic!("{sql}: {error}"),
    }
}

#[tokio::test]
async fn headings_are_as_typed() {
    assert_headings(
        "SELECT eventName, EVENTTIME, userIdentity.principalid FROM {eds}",
        &["eventName", "EVENTTIME", "principalid"],
    )
    .await;
    assert_headings(
        "SELECT count(*), eventName AS Name, max(eventTime) FROM {eds} GROUP BY 2",
        &["_col0", "Name", "_col2"],
    )
    .await;
    assert_headings("SELECT element_at(resources, 1).arn, a.eventID FROM {eds} AS a", &["arn", "eventID"]).await;
    assert_headings("SELECT eventName, eventName FROM {eds}", &["eventName", "eventName"]).await;
    assert_headings(
        "SELECT a.eventName, b.eventName FROM {eds} a JOIN {other} b ON a.eventID = b.eventID",
        &["eventName", "eventName"],
    )
    .await;
    assert_headings("SELECT 1 AS \"Two Words\"", &["Two Words"]).await;
    assert_headings(
        "SELECT * FROM (SELECT eventName AS EvName, count(*) FROM {eds} GROUP BY \
        1)",
        &["EvName", "_col1"],
    )
    .await;
    assert_headings("SELECT eventID FROM {eds} UNION ALL SELECT eventName FROM {other}", &["eventID"]).await;
    let table = query("SELECT * FROM {eds}", &records()).await.unwrap();
    assert_eq!(table.columns[..5], ["eventVersion", "userIdentity", "eventTime", "eventSource", "eventName"]);
    assert!(table.columns.contains(&"sourceIPAddress".to_owned()));
    let table = query("SELECT eventID AS first, *, eventName FROM {eds}", &records()).await.unwrap();
    assert_eq!((table.columns[0].as_str(), table.columns[1].as_str()), ("first", "eventVersion"));
    assert_eq!(table.columns.last().unwrap(), "eventName");
}

#[tokio::test]
async fn values_have_lakes_text_forms() {
    assert_rows(
        "SELECT eventTime, readOnly, requestParameters FROM {eds} WHERE eventID = 'e2'",
        &[&["2026-01-02 12:30:00.500", "true", "{bucketName=b2}"]],
    )
    .await;
    assert_rows(
        "SELECT resources, element_at(eventContext.tagContext.resourceTags, 1) FROM {eds} WHERE eventID = 'e1'",
        &[&[
            "[{accountid=1, type=AWS::S3::Bucket, arn=arn:aws:s3:::b1, arnprefix=null}, \
         {accountid=null, type=null, arn=arn:2, arnprefix=null}]",
            "{arn=arn:a, tags={k=v, s=x}}",
        ]],
    )
    .await;
    assert_rows("SELECT userIdentity FROM {eds} WHERE eventID = 'e1'", &[&[
        "{type=AssumedRole, principalid=AROA1:s, arn=arn:aws:sts::1:assumed-role/r/s, accountid=null, \
            accesskeyid=null, \
         username=null, sessioncontext={attributes={creationdate=2026-01-01 00:00:00.000, mfaauthenticated=true}, \
         sessionissuer=null, webidfederationdata=null, sourceidentity=null, ec2roledelivery=null, ec2issuedinvpc=null}, \
         onbehalfof=null, inscopeof=null, invokedby=null, identityprovider=null, credentialid=null}",
    ]]).await;
    assert_rows("SELECT userIdentity, errorCode FROM {eds} WHERE eventID = 'e3'", &[&["NULL", "NULL"]]).await;
}

#[tokio::test]
async fn conditions_of_all_kinds() {
    let cases = [
        ("eventTime > '2026-01-01 00:00:00'", "e2 e3"),
        ("eventTime >= '2026-01-02' AND eventTime < timestamp '2026-01-03 00:00:00'", "e2"),
        ("eventTime BETWEEN '2026-01-01' AND '2026-01-02T12:30:00.500Z'", "e1 e2"),
        ("eventTime > date_add('month', -1, current_timestamp)", ""),
        ("eventTime > current_timestamp - INTERVAL '32' DAY", "e2 e3"),
        ("date(eventTime) = '2026-01-02'", "e2"),
        ("EVENTNAME IN ('GetObject', 'x') AND \"eventName\" NOT IN ('')", "e2 e3"),
        ("readOnly = True", "e2"),
        ("readonly = false", "e1 e3"),
        ("sessionCredentialFromConsole = true", "e1"),
        ("sessionCredentialFromConsole = 'true'", "e1"),
        ("errorCode IS NULL", "e1 e3"),
        ("errorCode IS NOT NULL OR eventName = 'CreateBucket'", "e1 e2"),
        ("eventName LIKE '%Bucket' OR eventName LIKE 'Nothing%'", "e1"),
        ("eventName NOT LIKE 'Get%'", "e1"),
        ("userIdentity.sessionContext.attributes.mfaAuthenticated = 'true'", "e1"),
        ("useridentity.sessioncontext.attributes.creationdate = '2026-01-01'", "e1"),
        ("element_at(requestParameters, 'bucketName') = 'b1'", "e1 e3"),
        ("element_at(requestParameters, 'bucketname') = 'b1'", ""),
        ("json_extract_scalar(element_at(requestParameters, 'nested'), '$.x[1]') = '2'", "e1"),
        ("element_at(requestParameters, 'nested') LIKE '%\"x\":[1,2]%'", "e1"),
        ("element_at(resources, 1).arn = 'arn:aws:s3:::b1'", "e1"),
        (
            "if(cardinality(resources) > 0, a.resources[1].arn) = 'arn:aws:s3:::b1' AND element_at(a.resources, \
                1).accountId = '1'",
            "e1",
        ),
        ("any_match(eventContext.tagcontext.resourcetags, rt -> element_at(rt.tags, 's') = 'x')", "e1 e2"),
        (
            "any_match(eventContext.tagcontext.resourcetags, rt -> element_at(rt.tags, 's') = 'x' AND rt.arn = \
                eventid)",
            "",
        ),
        ("eventID IN (SELECT eventID FROM {other} WHERE readOnly)", "e2"),
        ("EXISTS (SELECT 1 FROM {other} b WHERE b.eventID = a.eventID AND b.errorCode = 'AccessDenied')", "e2"),
        (
            "EXISTS (SELECT 1 FROM {other} b WHERE b.useridentity.arn = a.userIdentity.arn AND b.eventName LIKE \
                'Get%')",
            "e2",
        ),
        ("eventTime = (SELECT max(eventTime) FROM {other})", "e3"),
        ("errorCode IS DISTINCT FROM 'AccessDenied'", "e1 e3"),
        ("json_extract_scalar(eventJson, '$.requestParameters.nested.x[0]') = '1'", "e1"),
        ("lower(eventName) = 'getobject' -- a comment; 'with' quotes\n /* and ' another */", "e2 e3"),
    ];
    for (condition, expected) in cases {
        let sql = format!("SELECT eventID FROM {{eds}} a WHERE {condition} ORDER BY 1;");
        let found = rows(&sql).await.into_iter().map(|mut row| row.remove(0).unwrap()).collect::<Vec<_>>().join(" ");
        assert_eq!(found, expected, "{condition}");
    }
}

#[tokio::test]
async fn groups_orders_and_limits() {
    assert_rows(
        "SELECT eventName, count(*) AS n FROM {eds} GROUP BY eventName ORDER BY n DESC, eventName LIMIT 1",
        &[&["GetObject", "2"]],
    )
    .await;
    assert_rows(
        "SELECT requestParameters, count(*) FROM {eds} WHERE eventID <> 'e1' GROUP BY requestParameters \
        ORDER BY 2, element_at(requestParameters, 'bucketName')",
        &[&["{bucketName=b1}", "1"], &["{bucketName=b2}", "1"]],
    )
    .await;
    assert_rows("SELECT errorCode FROM {eds} ORDER BY errorCode DESC", &[&["AccessDenied"], &["NULL"], &["NULL"]])
        .await;
    assert_rows("SELECT errorCode FROM {eds} ORDER BY errorCode NULLS FIRST LIMIT 1", &[&["NULL"]]).await;
    assert_rows(
        "SELECT userIdentity.type, count(*) FROM {eds} GROUP BY userIdentity.type ORDER BY userIdentity.type",
        &[&["AssumedRole", "1"], &["Root", "1"], &["NULL", "1"]],
    )
    .await;
    assert_rows(
        "SELECT date(eventTime) AS d, SUM(CASE WHEN readonly = true THEN 1 ELSE 0 END) FROM {eds} GROUP \
        BY 1 ORDER BY 1",
        &[&["2026-01-01", "0"], &["2026-01-02", "1"], &["2026-01-03", "0"]],
    )
    .await;
    assert_rows(
        "SELECT eventName, count(*) FROM {eds} GROUP BY eventName HAVING count(*) > \
        1",
        &[&["GetObject", "2"]],
    )
    .await;
    assert_rows("SELECT DISTINCT eventName FROM {eds} ORDER BY eventName DESC", &[&["GetObject"], &["CreateBucket"]])
        .await;
    assert_rows(
        "SELECT count(DISTINCT element_at(requestParameters, 'bucketName')), approx_distinct(eventName), \
        count_if(readOnly) FROM {eds}",
        &[&["2", "2", "1"]],
    )
    .await;
    assert_rows(
        "SELECT max_by(eventID, eventTime), min_by(eventID, eventTime), arbitrary(errorCode), \
        max_by(eventID, eventTime, 2) FROM {eds}",
        &[&["e3", "e1", "AccessDenied", "[e3, e2]"]],
    )
    .await;
    assert_rows(
        "SELECT element_at(requestParameters, 'bucketName'), max_by(eventID, eventTime) FROM {eds} WHERE \
        eventTime > DATE_ADD('year', -1, CURRENT_TIMESTAMP) GROUP BY element_at(requestParameters, 'bucketName') \
        ORDER BY 1",
        &[&["b1", "e3"], &["b2", "e2"]],
    )
    .await;
    assert_rows(
        "SELECT array_sort(array_agg(DISTINCT eventName)), element_at(map_agg(eventID, readOnly), 'e2'), \
        cardinality(multimap_agg(eventName, eventID)) FROM {eds}",
        &[&[
            "[CreateBucket, \
        GetObject]",
            "true",
            "2",
        ]],
    )
    .await;
    assert_rows(
        "SELECT count(*), sum(1), avg(1), min(eventName) FROM {eds} WHERE eventID = 'none'",
        &[&["0", "NULL", "NULL", "NULL"]],
    )
    .await;
    assert_rows(
        "SELECT count(*) FILTER (WHERE readOnly), bool_or(readOnly), bool_and(readOnly) FROM {eds}",
        &[&["1", "true", "false"]],
    )
    .await;
    assert_rows(
        "SELECT eventName, count(*) FROM {eds} GROUP BY GROUPING SETS ((eventName), ()) ORDER BY 2, 1",
        &[&["CreateBucket", "1"], &["GetObject", "2"], &["NULL", "3"]],
    )
    .await;
    assert_rows(
        "SELECT eventName, count(*) FROM {eds} GROUP BY ROLLUP (eventName) ORDER BY 2 DESC LIMIT 1",
        &[&["NULL", "3"]],
    )
    .await;
}

#[tokio::test]
async fn arrays_are_unnested() {
    assert_rows(
        "SELECT element_at(rt.tags, 's'), count(*) FROM {eds}, \
        unnest(eventContext.tagContext.resourceTags) AS rt GROUP BY 1 ORDER BY 2 \
        DESC",
        &[&["x", "2"], &["y", "1"]],
    )
    .await;
    assert_rows(
        "SELECT e.eventID, r.arn FROM {eds} e CROSS JOIN UNNEST(e.resources) AS r ORDER BY 1, 2",
        &[&["e1", "arn:2"], &["e1", "arn:aws:s3:::b1"]],
    )
    .await;
    assert_rows(
        "SELECT eventID, t.r.arn FROM {eds} CROSS JOIN UNNEST(resources) AS t(r) WHERE r.type IS NOT NULL",
        &[&["e1", "arn:aws:s3:::b1"]],
    )
    .await;
    assert_rows(
        "SELECT eventID, t.arn, type FROM {eds} CROSS JOIN UNNEST(resources) AS t(account, type, arn, \
        prefix) ORDER BY arn",
        &[&["e1", "arn:2", "NULL"], &["e1", "arn:aws:s3:::b1", "AWS::S3::Bucket"]],
    )
    .await;
    assert_rows(
        "SELECT eventID, rt FROM {eds} LEFT JOIN UNNEST(resources) AS rt ON TRUE WHERE eventID <> 'e1' ORDER BY 1",
        &[&["e2", "NULL"], &["e3", "NULL"]],
    )
    .await;
    assert_rows(
        "SELECT k, v FROM {eds}, UNNEST(requestParameters) AS t(k, v) WHERE eventID = 'e1' ORDER BY k",
        &[&["bucketName", "b1"], &["flag", "true"], &["nested", "{\"x\":[1,2]}"]],
    )
    .await;
    assert_rows("SELECT x, n FROM UNNEST(ARRAY['a', 'b']) WITH ORDINALITY AS t(x, n)", &[&["a", "1"], &["b", "2"]])
        .await;
    assert_rows(
        "SELECT a.eventID, b.eventName, tag.arn FROM {eds} a, \
        UNNEST(a.eventContext.tagContext.resourceTags) AS tag JOIN {other} b ON b.eventID = a.eventID WHERE \
        tag.arn = 'arn:c'",
        &[&["e2", "GetObject", "arn:c"]],
    )
    .await;
}

#[tokio::test]
async fn joins_unions_and_named_queries() {
    assert_rows(
        "SELECT a.eventID, b.eventID FROM {eds} AS a LEFT JOIN {other} AS b ON a.eventId = b.eventId AND \
        b.readOnly WHERE a.eventtime <= '2026-01-02 23:00:00' ORDER BY \
        b.eventID",
        &[&["e2", "e2"], &["e1", "NULL"]],
    )
    .await;
    assert_rows(
        "SELECT eventId, eventName FROM {eds} UNION SELECT eventId, eventName FROM {other} UNION ALL \
        SELECT eventId, eventName FROM {eds} ORDER BY eventId LIMIT \
        3",
        &[&["e1", "CreateBucket"], &["e1", "CreateBucket"], &["e2", "GetObject"]],
    )
    .await;
    assert_rows(
        "SELECT eventID FROM {eds} EXCEPT SELECT eventID FROM {other} WHERE readOnly ORDER BY 1",
        &[&["e1"], &["e3"]],
    )
    .await;
    assert_rows("SELECT eventID FROM {eds} INTERSECT SELECT eventID FROM {other} WHERE readOnly", &[&["e2"]]).await;
    assert_rows(
        "WITH Denied AS (SELECT eventID AS id FROM {eds} WHERE errorCode IS NOT NULL), d(x) AS (SELECT id \
        FROM denied) SELECT x, e.eventName FROM d JOIN {eds} e ON e.eventID = d.x",
        &[&["e2", "GetObject"]],
    )
    .await;
    assert_rows(
        "SELECT n FROM (SELECT eventName AS n FROM {eds}) WHERE n LIKE \
        'Create%'",
        &[&["CreateBucket"]],
    )
    .await;
    assert_rows(
        "SELECT x, y FROM (VALUES (1, 'a'), (2, 'b')) AS t(x, y) ORDER BY x \
        DESC",
        &[&["2", "b"], &["1", "a"]],
    )
    .await;
    assert_rows(
        "SELECT eventID FROM {eds} RIGHT JOIN (VALUES ('e1'), ('e9')) AS t(id) ON id = eventID ORDER BY 1",
        &[&["e1"], &["NULL"]],
    )
    .await;
    assert_rows("SELECT eventID FROM {eds} ORDER BY 1 OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY", &[&["e2"]]).await;
    assert_rows("SELECT eventID FROM {eds} JOIN {other} USING (eventID) ORDER BY 1 OFFSET 2", &[&["e3"]]).await;
}

#[tokio::test]
async fn windows() {
    assert_rows(
        "SELECT eventID, rank() OVER (PARTITION BY eventName ORDER BY eventTime DESC) AS r FROM {eds} ORDER BY \
            eventID",
        &[&["e1", "1"], &["e2", "2"], &["e3", "1"]],
    )
    .await;
    assert_rows(
        "SELECT id FROM (SELECT eventID AS id, row_number() OVER (ORDER BY eventTime DESC) AS n FROM \
        {eds}) WHERE n = 1",
        &[&["e3"]],
    )
    .await;
    assert_rows(
        "SELECT eventID, lag(eventID) OVER (ORDER BY eventTime), sum(1) OVER (ORDER BY eventTime) FROM \
        {eds} ORDER BY 1",
        &[&["e1", "NULL", "1"], &["e2", "e1", "2"], &["e3", "e2", "3"]],
    )
    .await;
    assert_rows(
        "SELECT eventID, count(*) OVER w FROM {eds} WINDOW w AS (PARTITION BY eventName) ORDER BY 1",
        &[&["e1", "1"], &["e2", "2"], &["e3", "2"]],
    )
    .await;
}

#[tokio::test]
async fn what_does_not_fit_is_named() {
    let cases = [
        ("SELECT nosuch FROM {eds}", "line 1:8: column 'nosuch' cannot be resolved"),
        ("SELECT userIdentity.nosuch FROM {eds}", "column 'nosuch' cannot be resolved"),
        ("SELECT a.eventName FROM {eds}", "cannot be resolved"),
        ("SELECT requestParameters.bucketName FROM {eds}", "element_at(map, key)"),
        ("SELECT eventName FROM {eds} JOIN {other} ON true", "ambiguous"),
        ("SELECT eventName, count(*) FROM {eds}", "eventname"),
        ("SELECT eventName FROM {eds} WHERE count(*) > 1", ""),
        ("SELECT eventName + 1 FROM {eds}", "operator + cannot be applied to varchar and bigint"),
        ("SELECT x FROM UNNEST(1) AS t(x)", "UNNEST takes arrays and maps"),
        ("SELECT a FROM UNNEST(ARRAY[1]) AS t(a, b)", "UNNEST gives 1 columns"),
        ("SELECT eventID FROM {eds} UNION SELECT eventID, eventName FROM {eds}", ""),
        ("SELECT lower(DISTINCT eventName) FROM {eds}", "'lower' is not"),
    ];
    for (sql, expected) in cases {
        match query(sql, &records()).await {
            Err(Failure::Statement(error)) => assert!(error.to_string().contains(expected), "{sql}: {error}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

/// As the published queries about patches read a configuration item.
#[tokio::test]
async fn json_of_configuration_items_goes_through_lambdas() {
    let patches = json!({
        "p1": {"Id": "KB1", "Status": "NON_COMPLIANT"}, "p2": {"Id": "KB2", "Status": "COMPLIANT"},
        "p3": {"Id": "KB3", "Status": "NON_COMPLIANT"},
    });
    let item = json!({"configuration": {"AWS:ComplianceItem": {"Content": {"Patch": patches}}}});
    let records = [record(1, "Item", "2026-01-01T00:00:00Z", json!({"eventData": item}))];
    let sql = "SELECT eventID, transform(filter(patches, p -> json_extract_scalar(p, '$.Status') = 'NON_COMPLIANT'), \
        p -> json_extract_scalar(p, '$.Id')) AS missing FROM (SELECT eventID, map_values(cast(json_extract(json_parse(eventJson), \
        '$.eventData.configuration.AWS:ComplianceItem.Content.Patch') AS map(varchar, json))) AS patches FROM {eds})";
    let table = query(sql, &records).await.unwrap();
    assert_eq!(
        (table.columns, table.rows),
        (vec!["eventID".into(), "missing".into()], vec![row(&["e1", "[KB1, KB3]"])])
    );
}

#[tokio::test]
async fn events_matched_are_those_that_pass_the_conditions() {
    for (sql, expected) in [
        ("SELECT eventName, count(*) FROM {eds} WHERE eventName = 'GetObject' GROUP BY eventName", 2),
        ("SELECT eventID FROM {eds} WHERE eventID LIKE 'e%'", 3),
        // Rows in memory are not counted by what reads them.
        ("SELECT eventID FROM {eds}", 3),
        ("SELECT eventID FROM {eds} UNION ALL SELECT eventID FROM {other} WHERE eventName = 'GetObject'", 5),
        (
            "SELECT a.eventID FROM {eds} a JOIN {other} b ON a.eventID = b.eventID WHERE a.readOnly AND \
                b.errorCode IS NOT NULL",
            2,
        ),
    ] {
        let statement = Statement::parse(&sql.replace("{eds}", STORE).replace("{other}", OTHER)).unwrap();
        let mut running = shared().plan(&statement, tables(&statement, &records()), now()).unwrap().run();
        while running.next().await.unwrap().is_some() {}
        assert_eq!(running.statistics().events_matched, expected, "{sql}");
    }
}

#[tokio::test]
async fn aggregates() {
    let of = "(VALUES (1, 'a'), (2, 'b'), (3, 'a'), (NULL, NULL)) AS t(n, s)";
    for (expression, expected) in [
        ("count(*)", "4"),
        ("count(n)", "3"),
        ("count(DISTINCT s)", "2"),
        ("sum(n)", "6"),
        ("avg(n)", "2.0"),
        ("min(s) || max(s)", "ab"),
        ("stddev_pop(n)", "0.816496580927726"),
        ("variance(n)", "1.0"),
        // Of whole numbers, too, it is a double here.
        ("approx_percentile(n, 0.5)", "2.0"),
        ("approx_percentile(n, ARRAY[0.0, 0.5, 1.0])", "[1.0, 2.0, 3.0]"),
        ("approx_distinct(s)", "2"),
        ("bool_or(n > 2)", "true"),
        ("every(n > 2)", "false"),
        ("count_if(n > 1)", "2"),
        ("arbitrary(s) IN ('a', 'b')", "true"),
        ("max_by(s, n)", "a"),
        ("min_by(n, n, 2)", "[1, 2]"),
        ("array_agg(s ORDER BY n DESC)", "[a, b, a, null]"),
        ("array_agg(n ORDER BY n) FILTER (WHERE s = 'a')", "[1, 3]"),
        ("listagg(s, ',') WITHIN GROUP (ORDER BY n DESC)", "a,b,a"),
        ("element_at(histogram(s), 'a')", "2"),
        ("cardinality(set_agg(s))", "3"),
        ("array_sort(element_at(multimap_agg(s, n), 'a'))", "[1, 3]"),
        ("element_at(map_agg(n, s), 2)", "b"),
    ] {
        assert_rows(&format!("SELECT {expression} FROM {of}"), &[&[expected]]).await;
    }
}

#[tokio::test]
async fn the_row_with_the_most_is_found_in_each_partition() {
    let of = "(VALUES (1, 'a', 'p'), (3, 'b', 'p'), (NULL, 'c', 'p'), (2, NULL, 'q'), (1, 'd', 'q'), (NULL, 'e', 'r')) \
              AS t(n, s, p)";
    for (expression, expected) in [
        ("max_by(s, n) OVER (PARTITION BY p)", ["b", "b", "b", "NULL", "NULL", "NULL"]),
        ("min_by(s, n) OVER (PARTITION BY p)", ["a", "a", "a", "d", "d", "NULL"]),
        ("max_by(s, n) OVER ()", ["b", "b", "b", "b", "b", "b"]),
    ] {
        let expected = expected.map(|value| [value]);
        let expected: Vec<&[&str]> = expected.iter().map(|row| &row[..]).collect();
        assert_rows(&format!("SELECT {expression} FROM {of} ORDER BY p, s"), &expected).await;
    }
    for refused in
        ["max_by(s, n) OVER (ORDER BY n)", "max_by(s, n, 2) OVER ()", "max_by(s, n) FILTER (WHERE n > 1) OVER ()"]
    {
        let error = query(&format!("SELECT {refused} FROM {of}"), &[]).await.unwrap_err().to_string();
        assert!(error.contains("with OVER is not supported"), "{refused}: {error}");
    }
}

#[tokio::test]
async fn maps_are_equal_in_any_order() {
    let records = [
        record(1, "A", "2026-01-01T00:00:00Z", json!({"requestParameters": {"x": "1", "y": "2"}})),
        record(2, "A", "2026-01-01T00:00:00Z", json!({"requestParameters": {"y": "2", "x": "1"}})),
        record(3, "A", "2026-01-01T00:00:00Z", json!({"requestParameters": null})),
    ];
    for (sql, expected) in [
        (
            "SELECT requestParameters, count(*) FROM {eds} GROUP BY requestParameters ORDER BY 2 DESC",
            vec![row(&["{x=1, y=2}", "2"]), row(&["NULL", "1"])],
        ),
        ("SELECT count(*) FROM (SELECT DISTINCT requestParameters FROM {eds})", vec![row(&["2"])]),
        (
            "SELECT count(*) FROM (SELECT a.requestParameters FROM {eds} a UNION SELECT requestParameters FROM {other})",
            vec![row(&["2"])],
        ),
        (
            "SELECT p, max(n) FROM (SELECT requestParameters AS p, eventName AS n FROM {eds}) GROUP BY 1 HAVING p IS NOT NULL",
            vec![row(&["{x=1, y=2}", "A"])],
        ),
    ] {
        match query(sql, &records).await {
            Ok(table) => assert_eq!(table.rows, expected, "{sql}"),
            Err(error) => panic!("{sql}: {error}"),
        }
    }
}
