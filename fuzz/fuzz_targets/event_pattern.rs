//! Any text as an event pattern, asked of any bytes as an event: never panics, and a set of the pattern says what the pattern
//! says, of the event and of one that the bytes are the detail of. The text is also a template, and a path into the event.
//! The pattern ends at the first zero byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentrail_patterns::transform::{Input, InputTransformer, RuleNames};
use opentrail_patterns::{Event, EventPattern, PatternSet, Scratch};

const SAMPLE: &[u8] = br#"{"source":"aws.ec2","detail":{"eventName":"DeleteTrail"}}"#;

fuzz_target!(|data: &[u8]| {
    let split = data.iter().position(|byte| *byte == 0);
    let (text, event) = split.map_or((data, SAMPLE), |at| (&data[..at], &data[at + 1..]));
    let Ok(text) = std::str::from_utf8(text) else { return };
    transform(text, event);
    let pattern = match EventPattern::parse(text) {
        Ok(pattern) => pattern,
        Err(error) => return assert!(error.to_string().starts_with("Event pattern is not valid. Reason: ")),
    };
    let again = EventPattern::parse(pattern.as_str()).expect("what was read once is read again");
    let set: PatternSet<u8> = [(1, pattern.clone()), (2, again)].into_iter().collect();
    let mut scratch = Scratch::default();
    let enveloped = Event::Enveloped {
        id: "1",
        detail_type: "AWS API Call via CloudTrail",
        source: "aws.ec2",
        account: "111122223333",
        time: "2026-01-02T03:04:05Z",
        region: "us-east-1",
        resources: &["a", "b"],
        detail: event,
    };
    for event in [Event::Whole(event), enveloped] {
        let keys: &[u8] = if pattern.matches(&event) { &[1, 2] } else { &[] };
        assert!(set.matches(&event, &mut scratch).eq(keys));
    }
});

fn transform(text: &str, event: &[u8]) {
    let Ok(event) = std::str::from_utf8(event) else { return };
    let rule = RuleNames { arn: "arn:aws:events:us-east-1:111122223333:rule/r", name: "r", ingestion_time: "now" };
    let paths = [("a", "$.detail"), ("b", "$.detail.eventName"), ("c", "$.*[0]")];
    let transformer = InputTransformer { paths: &paths, template: text };
    for input in [Input::of_target(None, Some(text), None), Input::of_target(None, None, Some(transformer))] {
        let _ = input.map(|input| input.apply(event, &rule));
    }
}
