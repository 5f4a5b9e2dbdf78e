//! Reads against a naive model: a sorted list.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{NOW, World, event, messages, place};
use crate::ServiceBatch;

#[derive(Clone, Debug)]
struct Put {
    stream: u8,
    times: Vec<i64>,
}

fn puts() -> impl Strategy<Value = Vec<Put>> {
    let put = (0u8..3, prop::collection::vec(0i64..40, 1..12)).prop_map(|(stream, times)| Put { stream, times });
    prop::collection::vec(put, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_page_is_what_a_sorted_list_has(
        puts in puts(),
        limit in 1usize..9,
        window in (0i64..40, 0i64..40),
        maintained in any::<bool>(),
        newest in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::with_stream("g").await;
            let (mut model, mut number) = (Vec::new(), 0);
            for (position, put) in (1..).zip(&puts) {
                let mut events = Vec::new();
                for time in &put.times {
                    number += 1;
                    let message = format!("{} {number}", put.stream);
                    model.push((NOW + time, number, message.clone()));
                    events.push(event(NOW + time, message));
                }
                let batch = ServiceBatch { group: place("g"), stream: format!("s{}", put.stream), events };
                world.logs.append("model", position, vec![batch]).await.unwrap();
            }
            if maintained {
                world.logs.maintain().await.unwrap();
            }
            let (from, through) = (NOW + window.0, NOW + window.1);
            model.retain(|(time, ..)| (from..=through).contains(time));
            model.sort();
            if newest {
                model.reverse();
            }
            let input = json!({
                "logGroupName": "g", "startTime": from, "endTime": through, "limit": limit, "startFromHead": !newest
            });
            let expected: Vec<String> = model.iter().map(|(.., message)| message.clone()).collect();
            assert_eq!(world.search(input.clone()).await, expected);
            let of_one = |wanted: &str| -> Vec<String> {
                expected.iter().filter(|message| message.starts_with(wanted)).cloned().collect()
            };
            let mut pattern = input.clone();
            pattern["filterPattern"] = json!("1");
            pattern["logStreamNamePrefix"] = json!("s1");
            assert_eq!(world.search(pattern).await, of_one("1 "));
            if puts.iter().any(|put| put.stream == 2) {
                let mut forward = of_one("2 ");
                if newest {
                    forward.reverse();
                }
                assert_eq!(walk(&world, from, through, limit).await, forward);
            }
        });
    }
}

/// All of a stream by GetLogEvents.
async fn walk(world: &World, from: i64, through: i64, limit: usize) -> Vec<String> {
    let mut input = json!({
        "logGroupName": "g", "logStreamName": "s2", "startTime": from, "endTime": through + 1, "limit": limit,
        "startFromHead": true
    });
    let mut found = Vec::new();
    loop {
        let page = world.call("GetLogEvents", input.clone()).await;
        let token: &Value = &page["nextForwardToken"];
        if input.get("nextToken") == Some(token) {
            assert!(messages(&page).is_empty());
            return found;
        }
        found.extend(messages(&page));
        input["nextToken"] = token.clone();
    }
}
