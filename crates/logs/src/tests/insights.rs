use serde_json::{Value, json};

use super::{NOW, World};

/// The rows of a query over the group `g`, once it has ended, without `@ptr`.
async fn ask(world: &World, groups: &[&str], query: &str) -> Vec<Vec<(String, String)>> {
    let input = json!({
        "logGroupNames": groups, "startTime": NOW / 1000 - 60, "endTime": NOW / 1000 + 60, "queryString": query
    });
    let id = world.call("StartQuery", input).await["queryId"].clone();
    loop {
        let answer = world.call("GetQueryResults", json!({ "queryId": id })).await;
        match answer["status"].as_str().unwrap() {
            "Scheduled" | "Running" => tokio::task::yield_now().await,
            "Complete" => return answer["results"].as_array().unwrap().iter().map(row).collect(),
            other => panic!("{query}: {other}"),
        }
    }
}

fn row(row: &Value) -> Vec<(String, String)> {
    let field =
        |field: &Value| (field["field"].as_str().unwrap().to_owned(), field["value"].as_str().unwrap().to_owned());
    row.as_array().unwrap().iter().map(field).filter(|(name, _)| name != "@ptr").collect()
}

async fn world() -> World {
    let world = World::with_stream("g").await;
    world
        .put(
            "g",
            NOW,
            &[
                r#"{"eventName":"A","size":1,"user":{"name":"al"},"tags":["x","y"]}"#,
                r#"{"eventName":"B","size":10,"user":{"name":"bo"}}"#,
                r#"{"eventName":"A","size":5,"error":"Denied","user":{"name":"bo"}}"#,
                "user=eve took 12 ms",
            ],
        )
        .await;
    world
}

fn flat(rows: &[Vec<(String, String)>]) -> Vec<String> {
    rows.iter().map(|row| row.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(",")).collect()
}

#[tokio::test]
async fn commands_work_as_documented() {
    let world = world().await;
    for (query, expected) in [
        ("fields eventName, size | filter size > 1 | sort size", vec!["A,5", "B,10"]),
        ("fields user.name as who | filter ispresent(error)", vec!["bo"]),
        ("filter eventName = 'A' | fields size | limit 1", vec!["5"]),
        ("stats count(*) as n by eventName | sort n desc, eventName", vec!["A,2", "1", "B,1"]),
        (
            "stats count(), sum(size), avg(size), min(size), max(size), pct(size, 50)",
            vec!["4,16,5.333333333333333,1,10,5"],
        ),
        ("stats count_distinct(user.name), earliest(size), latest(size)", vec!["2,1,5"]),
        (
            "filter @message like /took \\d+/ | parse @message \"user=* took * ms\" as who, took | display who, took",
            vec!["eve,12"],
        ),
        ("parse /took (?<took>\\d+)/ | filter took >= 12 | fields took + 1 as more", vec!["13"]),
        ("filter tags.1 = 'y' | fields toupper(eventName)", vec!["A"]),
        ("filter eventName in ['B', 'C'] or size % 5 = 0 and not ispresent(error) | fields size", vec!["10"]),
        ("filter ispresent(eventName) | dedup eventName | fields size", vec!["5", "10"]),
        ("filter eventName not like 'A' and eventName != 'Z' # a comment\n | fields eventName", vec!["B"]),
        ("stats count(*) by bin(1m)", vec!["2026-01-02 03:00:00.000,4"]),
        ("filter eventName = 'none' | stats count(*)", vec!["0"]),
        ("fields strlen(user.name) * 2 ^ 2 as n | filter n > 0 | limit 1", vec!["8"]),
    ] {
        assert_eq!(flat(&ask(&world, &["g"], query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn results_have_their_names_and_a_pointer_to_the_whole_event() {
    let world = world().await;
    let input = json!({
        "logGroupIdentifiers": ["g"], "startTime": NOW - 60_000, "endTime": NOW + 60_000, "queryString": "filter size = 5"
    });
    let id = world.call("StartQuery", input).await["queryId"].clone();
    let answer = loop {
        let answer = world.call("GetQueryResults", json!({ "queryId": id })).await;
        if answer["status"] == "Complete" {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    let fields = answer["results"][0].as_array().unwrap();
    let names: Vec<_> = fields.iter().map(|field| field["field"].as_str().unwrap()).collect();
    assert_eq!(names, ["@timestamp", "@message", "@ptr"]);
    assert_eq!(answer["statistics"]["recordsMatched"], 1.0);
    assert_eq!(answer["statistics"]["recordsScanned"], 4.0);
    let pointer = json!({ "logRecordPointer": fields[2]["value"] });
    let record = world.call("GetLogRecord", pointer).await["logRecord"].clone();
    assert_eq!(
        (&record["error"], &record["user.name"], &record["@logStream"]),
        (&json!("Denied"), &json!("bo"), &json!("s"))
    );
    let found = world.call("GetLogGroupFields", json!({ "logGroupName": "g", "time": NOW / 1000 })).await;
    let size = found["logGroupFields"].as_array().unwrap().iter().find(|field| field["name"] == "size").unwrap();
    assert_eq!(size["percent"], 75);
    let described = world.call("DescribeQueries", json!({ "status": "Complete" })).await;
    assert_eq!(described["queries"][0]["queryId"], id);
    assert_eq!(world.refused("StopQuery", json!({ "queryId": id })).await, "InvalidParameterException");
    assert_eq!(world.refused("GetQueryResults", json!({ "queryId": "none" })).await, "ResourceNotFoundException");
}

#[tokio::test]
async fn several_groups_come_in_one_order() {
    let world = world().await;
    world.call("CreateLogGroup", json!({ "logGroupName": "h" })).await;
    world.call("CreateLogStream", json!({ "logGroupName": "h", "logStreamName": "s" })).await;
    world.put("h", NOW + 1, &["between"]).await;
    let newest = ask(&world, &["h", "g"], "fields @message | limit 4").await;
    assert_eq!(newest.len(), 4);
    assert_eq!(newest[2], [("@message".to_owned(), "between".to_owned())].to_vec(), "{newest:?}");
}

#[tokio::test]
async fn what_is_no_query_is_told_where() {
    let world = world().await;
    for query in [
        "field a",
        "fields",
        "filter",
        "filter a =",
        "filter (a = 1",
        "stats median(a)",
        "limit 0",
        "limit 1.5",
        "sort",
        "fields a | | fields b",
        "parse @message \"*\" as a, b",
        "filter a like /(/",
        "fields 'open",
        "fields nothing(a)",
        "fields bin(5)",
        "parse /x/",
    ] {
        let input = json!({ "logGroupName": "g", "startTime": 0, "endTime": 1, "queryString": query });
        assert_eq!(world.refused("StartQuery", input).await, "MalformedQueryException", "{query}");
    }
    let deep = format!("filter {}a{}", "(".repeat(5000), ")".repeat(5000));
    let input = json!({ "logGroupName": "g", "startTime": 0, "endTime": 1, "queryString": deep });
    assert_eq!(world.refused("StartQuery", input).await, "InvalidParameterException", "longer than 10,000");
    let deep = format!("filter {}a", "not ".repeat(2000));
    let input = json!({ "logGroupName": "g", "startTime": 0, "endTime": 1, "queryString": deep });
    assert_eq!(world.refused("StartQuery", input).await, "MalformedQueryException");
}
