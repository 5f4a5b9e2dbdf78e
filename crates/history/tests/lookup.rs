//! What is found, against a plain evaluator.

#![allow(clippy::unwrap_used, reason = "a test whose preparation fails has failed")]

mod common;

use std::time::Duration;

use common::*;
use opentrail_history::{Category, Cursor, History, LookupAttribute, LookupQuery};
use opentrail_journal::Entry;
use opentrail_model::Timestamp;
use opentrail_projection::Projection;
use proptest::prelude::*;

/// An event as the evaluator sees it.
#[derive(Clone, Debug)]
struct Plain {
    account: &'static str,
    region: &'static str,
    category: &'static str,
    minutes_ago: u32,
    name: Option<&'static str>,
    user: Option<&'static str>,
    source: &'static str,
    key: Option<&'static str>,
    read_only: Option<bool>,
    resources: Vec<(&'static str, &'static str)>,
}

fn plain() -> impl Strategy<Value = Plain> {
    let name = prop::option::of(prop::sample::select(vec!["CreateJob", "GetJob", "Übung"]));
    let user = prop::option::of(prop::sample::select(vec!["alice", "bob"]));
    let key = prop::option::of(prop::sample::select(vec!["AKIA1", "AKIA2"]));
    let resource = prop::sample::select(vec![("AWS::A", "x"), ("AWS::A", "y"), ("AWS::B", "x")]);
    (
        (
            prop::sample::select(vec![ACCOUNT, "444455556666"]),
            prop::sample::select(vec!["us-east-1", "eu-west-1"]),
            prop::sample::select(vec!["Management", "Insight", "Data"]),
            // Up to four days, several events in one minute.
            prop_oneof![0u32..20, 0u32..6000],
        ),
        (name, user, prop::sample::select(vec!["glue.amazonaws.com", "batch.amazonaws.com"])),
        (key, any::<Option<bool>>(), prop::collection::vec(resource, 0..3)),
    )
        .prop_map(
            |((account, region, category, minutes_ago), (name, user, source), (key, read_only, resources))| Plain {
                account,
                region,
                category,
                minutes_ago,
                name,
                user,
                source,
                key,
                read_only,
                resources,
            },
        )
}

impl Plain {
    fn time(&self) -> Timestamp {
        NOW - Duration::from_secs(60) * self.minutes_ago
    }

    fn entry(&self, position: u64) -> Entry {
        let text = |text: Option<&str>| text.map_or("null".into(), |text| format!("{text:?}"));
        let resources: Vec<String> =
            self.resources.iter().map(|(kind, name)| format!(r#"{{"type":"{kind}","ARN":"{name}"}}"#)).collect();
        let body = format!(
            r#"{{"eventID":"id-{position}","eventName":{},"eventTime":"{}","awsRegion":"{}","eventCategory":"{}","eventSource":"{}","readOnly":{},"userIdentity":{{"type":"IAMUser","userName":{},"accessKeyId":{}}},"resources":[{}]}}"#,
            text(self.name),
            self.time(),
            self.region,
            self.category,
            self.source,
            self.read_only.map_or("null".into(), |b| b.to_string()),
            text(self.user),
            text(self.key),
            resources.join(","),
        );
        entry(position, self.account, &body)
    }

    fn has(&self, position: u64, attribute: &LookupAttribute) -> bool {
        match attribute {
            LookupAttribute::EventId(v) => format!("id-{position}") == *v,
            LookupAttribute::EventName(v) => self.name == Some(v),
            LookupAttribute::ReadOnly(v) => self.read_only == Some(*v),
            LookupAttribute::Username(v) => self.user == Some(v),
            LookupAttribute::ResourceType(v) => self.resources.iter().any(|r| r.0 == v),
            LookupAttribute::ResourceName(v) => self.resources.iter().any(|r| r.1 == v),
            LookupAttribute::EventSource(v) => self.source == v,
            LookupAttribute::AccessKeyId(v) => self.key == Some(v),
        }
    }
}

fn attribute() -> impl Strategy<Value = Option<LookupAttribute>> {
    prop::option::weighted(
        0.9,
        prop_oneof![
            (1u64..90).prop_map(|i| LookupAttribute::EventId(format!("id-{i}"))),
            prop::sample::select(vec!["CreateJob", "Übung", "None"])
                .prop_map(|v| LookupAttribute::EventName(v.to_owned())),
            any::<bool>().prop_map(LookupAttribute::ReadOnly),
            prop::sample::select(vec!["alice", "carol"]).prop_map(|v| LookupAttribute::Username(v.to_owned())),
            prop::sample::select(vec!["AWS::A", "AWS::B"]).prop_map(|v| LookupAttribute::ResourceType(v.to_owned())),
            prop::sample::select(vec!["x", "y"]).prop_map(|v| LookupAttribute::ResourceName(v.to_owned())),
            Just(LookupAttribute::EventSource("glue.amazonaws.com".into())),
            Just(LookupAttribute::AccessKeyId("AKIA2".into())),
        ],
    )
}

fn any_query() -> impl Strategy<Value = LookupQuery> {
    let time = prop::option::of((0u32..6000).prop_map(|minutes| NOW - Duration::from_secs(60) * minutes));
    (
        prop::sample::select(vec!["us-east-1", "eu-west-1"]),
        prop::sample::select(vec![Category::Management, Category::Insight]),
        attribute(),
        (time.clone(), time),
        1usize..60,
    )
        .prop_map(|(region, category, attribute, (start, end), max_results)| LookupQuery {
            region: region.parse().unwrap(),
            category,
            attribute,
            start,
            end,
            max_results,
            ..query()
        })
}

fn expected(events: &[Plain], query: &LookupQuery) -> Vec<String> {
    let mut wanted: Vec<(Timestamp, u64)> = (1..)
        .zip(events)
        .filter(|(position, event)| {
            event.account == query.account.to_string()
                && event.region == query.region.as_str()
                && event.category == query.category.as_str()
                && query.attribute.as_ref().is_none_or(|attribute| event.has(*position, attribute))
                && query.start.is_none_or(|start| event.time() >= start)
                && query.end.is_none_or(|end| event.time() <= end)
        })
        .map(|(position, event)| (event.time(), position))
        .collect();
    wanted.sort_unstable_by(|a, b| b.cmp(a));
    names(wanted.into_iter().map(|(_, position)| position))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_query_finds_what_a_plain_evaluator_finds(
        events in prop::collection::vec(plain(), 1..90),
        queries in prop::collection::vec(any_query(), 8),
        cuts in prop::collection::vec((1usize..12, any::<bool>()), 16),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
            let (mut projection, history) = open(dir.path(), &clock).await;
            let entries: Vec<Entry> = (1..).zip(&events).map(|(position, event)| event.entry(position)).collect();
            let mut rest = &entries[..];
            for (n, flush) in cuts.into_iter().cycle() {
                let (now, later) = rest.split_at(n.min(rest.len()));
                projection.apply(&batch(now)).await.unwrap();
                if flush {
                    projection.finish().await.unwrap();
                }
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            for round in ["memory and files", "merged", "files only, merged"] {
                for query in &queries {
                    assert_eq!(ids(&history, query.clone()).await, expected(&events, query), "{round}: {query:?}");
                }
                if round == "merged" {
                    projection.finish().await.unwrap();
                }
                history.maintain().await.unwrap();
            }
        });
    }
}

async fn apply(projection: &mut impl Projection, entries: &[Entry]) {
    projection.apply(&batch(entries)).await.unwrap();
}

#[tokio::test]
async fn raw_records_come_back_byte_for_byte() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let (mut projection, history) = open(dir.path(), &clock).await;
    let bodies = [
        r#" { "eventName" : "A", "eventName":"B", "awsRegion":"us-east-1", "x":1e400, "eventTime":"2026-11-21T10:00:00Z"} "#,
        r#"{"awsRegion":"us-east-1","eventTime":"2026-11-21T09:00:00Z","resources":"not a list","userIdentity":[1]}"#,
        r#"{"awsRegion":"us-east-1","eventTime":"2026-11-21T08:00:00Z","eventName":["list"],"readOnly":"TRUE"}"#,
    ];
    let entries: Vec<Entry> = (1..).zip(bodies).map(|(position, body)| entry(position, ACCOUNT, body)).collect();
    apply(&mut projection, &entries).await;
    for _ in 0..2 {
        let found = walk(&history, query()).await;
        assert_eq!(found.iter().map(|event| &event.raw[..]).collect::<Vec<_>>(), bodies.map(str::as_bytes));
        assert_eq!(found[2].read_only, Some(true));
        projection.finish().await.unwrap();
    }
}

#[tokio::test]
async fn a_time_that_is_none_or_far_ahead_gives_way_to_the_arrival() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let (mut projection, history) = open(dir.path(), &clock).await;
    let body = |time: &str| format!(r#"{{"eventID":"x","awsRegion":"us-east-1","eventTime":{time}}}"#);
    let times = [r#""soon""#, "17", r#""9999-12-31T23:59:59Z""#, "null"];
    let entries: Vec<Entry> = (1..).zip(times).map(|(i, time)| entry(i, ACCOUNT, &body(time))).collect();
    apply(&mut projection, &entries).await;
    projection.finish().await.unwrap();
    let found = walk(&history, query()).await;
    assert_eq!(found.iter().map(|event| event.event_time).collect::<Vec<_>>(), [NOW; 4]);
}

#[tokio::test]
async fn a_walk_repeats_nothing_and_skips_nothing_while_events_arrive() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let (mut projection, history) = open(dir.path(), &clock).await;
    let old: Vec<Entry> = (1..=3000).map(|i| event(i, Duration::from_secs(100 + i % 700), "a")).collect();
    for chunk in old.chunks(500) {
        apply(&mut projection, chunk).await;
        projection.finish().await.unwrap();
    }
    let (mut seen, mut cursor, mut next_position) = (Vec::new(), None, 3001);
    loop {
        let page = history.lookup(&LookupQuery { before: cursor, ..query() }).await.unwrap();
        seen.extend(page.events.into_iter().map(|event| event.event_id.unwrap()));
        let Some(next) = page.next else { break };
        cursor = Some(next);
        // Newer events arrive between the pages, some flushed, some merged.
        apply(&mut projection, &[event(next_position, Duration::from_secs(1), "a")]).await;
        next_position += 1;
        if next_position % 3 == 0 {
            projection.finish().await.unwrap();
        }
        if next_position % 10 == 0 {
            history.maintain().await.unwrap();
        }
    }
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), seen.len(), "no event twice");
    let mut expected = names(1..=3000);
    expected.sort_unstable();
    assert_eq!(sorted, expected);
}

#[tokio::test]
async fn start_and_end_are_inclusive_and_a_last_full_page_has_no_cursor() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let (mut projection, history) = open(dir.path(), &clock).await;
    let events: Vec<Entry> = (1..=5).map(|i| event(i, Duration::from_secs(10 * i), "a")).collect();
    apply(&mut projection, &events).await;
    let at = |i: u64| Some(NOW - Duration::from_secs(10 * i));
    assert_eq!(ids(&history, LookupQuery { start: at(4), end: at(2), ..query() }).await, names([2, 3, 4]));
    assert!(ids(&history, LookupQuery { start: at(2), end: at(4), ..query() }).await.is_empty());
    let page = history.lookup(&LookupQuery { max_results: 5, ..query() }).await.unwrap();
    assert_eq!((page.events.len(), page.next), (5, None));
}

#[tokio::test]
async fn a_cursor_from_anywhere_is_harmless() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let (mut projection, history): (_, History) = open(dir.path(), &clock).await;
    apply(&mut projection, &[event(1, Duration::from_secs(5), "a")]).await;
    for (millis, found) in [(i64::MIN, 0), (0, 0), (i64::MAX, 1)] {
        let event_time = Timestamp::from_millis(millis);
        let before = Some(Cursor { event_time, position: opentrail_model::Position(u64::MAX) });
        assert_eq!(history.lookup(&LookupQuery { before, ..query() }).await.unwrap().events.len(), found);
    }
}
