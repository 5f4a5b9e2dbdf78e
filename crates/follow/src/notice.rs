//! What messages of a queue say: which objects are new in which bucket.

use serde::Deserialize;
use serde_json::Value;

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Objects, by bucket and key.
    Objects(Vec<(String, String)>),
    /// Nothing is new: a test, a confirmation, an object that was deleted.
    Nothing,
    /// It is no message of a kind that is known.
    Unknown,
}

/// Messages within messages that are looked into: what S3 or CloudTrail says, as SNS passes it on.
const DEEPEST: usize = 2;

impl Notice {
    /// Reads a message's body. S3's event notifications (S3 User Guide, "Event message structure"), CloudTrail's own
    /// notifications, either of them as SNS wraps them (SNS Developer Guide, "Amazon SNS message and JSON formats"),
    /// and EventBridge's `Object Created` (S3 User Guide, "EventBridge event message structure").
    pub(crate) fn read(body: &str) -> Self {
        Self::read_at(body, 0)
    }

    fn read_at(body: &str, depth: usize) -> Self {
        // What CloudTrail says when a topic is given to a trail.
        if body.trim() == "CloudTrail validation message." {
            return Self::Nothing;
        }
        let Ok(message) = serde_json::from_str::<Value>(body) else { return Self::Unknown };
        match (&message["Type"], &message["Message"]) {
            (Value::String(kind), Value::String(inner)) if kind == "Notification" && depth < DEEPEST => {
                return Self::read_at(inner, depth + 1);
            }
            (Value::String(kind), _) if kind == "SubscriptionConfirmation" || kind == "UnsubscribeConfirmation" => {
                return Self::Nothing;
            }
            _ => {}
        }
        if message["Event"] == "s3:TestEvent" {
            return Self::Nothing;
        }
        let found = of_s3(&message).or_else(|| of_cloudtrail(&message)).or_else(|| of_eventbridge(&message));
        match found {
            None => Self::Unknown,
            Some(objects) if objects.is_empty() => Self::Nothing,
            Some(objects) => Self::Objects(objects),
        }
    }
}

fn of_s3(message: &Value) -> Option<Vec<(String, String)>> {
    let records = message.get("Records")?.as_array()?;
    let mut objects = Vec::new();
    for record in records {
        if record["eventSource"].as_str()? != "aws:s3" {
            return None;
        }
        if record["eventName"].as_str()?.trim_start_matches("s3:").starts_with("ObjectCreated:") {
            let bucket = record["s3"]["bucket"]["name"].as_str()?.to_owned();
            objects.push((bucket, decoded(record["s3"]["object"]["key"].as_str()?)?));
        }
    }
    Some(objects)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivered {
    s3_bucket: String,
    s3_object_key: Vec<String>,
}

fn of_cloudtrail(message: &Value) -> Option<Vec<(String, String)>> {
    let Delivered { s3_bucket, s3_object_key } = Delivered::deserialize(message).ok()?;
    Some(s3_object_key.into_iter().map(|key| (s3_bucket.clone(), key)).collect())
}

fn of_eventbridge(message: &Value) -> Option<Vec<(String, String)>> {
    if message["source"].as_str()? != "aws.s3" {
        return None;
    }
    if message["detail-type"].as_str()? != "Object Created" {
        return Some(Vec::new());
    }
    let detail = &message["detail"];
    let (bucket, key) = (detail["bucket"]["name"].as_str()?, detail["object"]["key"].as_str()?);
    Some(vec![(bucket.to_owned(), key.to_owned())])
}

/// A key as S3's event notifications have it: as in a form of the web, a space is a `+`.
fn decoded(key: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn s3(name: &str, key: &str) -> Value {
        json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name,
               "s3": {"bucket": {"name": "logs"}, "object": {"key": key, "size": 9}}}]})
    }

    fn objects(keys: &[&str]) -> Notice {
        Notice::Objects(keys.iter().map(|key| ("logs".to_owned(), (*key).to_owned())).collect())
    }

    fn by_sns(inner: &str) -> String {
        json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": inner}).to_string()
    }

    #[test]
    fn every_shape_of_notification_names_its_objects() {
        let of_s3 = s3("ObjectCreated:Put", "AWSLogs/1/a%2Bb+c%C3%A9.json.gz").to_string();
        let of_trail = json!({"s3Bucket": "logs", "s3ObjectKey": ["AWSLogs/a+b%20.json.gz", "x"]}).to_string();
        for wrap in [|inner: &str| inner.to_owned(), by_sns, |inner: &str| by_sns(&by_sns(inner))] {
            assert_eq!(Notice::read(&wrap(&of_s3)), objects(&["AWSLogs/1/a+b cé.json.gz"]));
            assert_eq!(Notice::read(&wrap(&of_trail)), objects(&["AWSLogs/a+b%20.json.gz", "x"]));
        }
        let event = json!({"version": "0", "source": "aws.s3", "detail-type": "Object Created",
                           "detail": {"bucket": {"name": "logs"}, "object": {"key": "a+b%20"}}});
        assert_eq!(Notice::read(&event.to_string()), objects(&["a+b%20"]));
        assert_eq!(Notice::read(&s3("s3:ObjectCreated:CompleteMultipartUpload", "a").to_string()), objects(&["a"]));
    }

    #[test]
    fn tests_and_confirmations_and_deletions_say_nothing_new() {
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "logs"}).to_string();
        let confirmation = json!({"Type": "SubscriptionConfirmation", "Message": "You have chosen"}).to_string();
        let deleted = json!({"source": "aws.s3", "detail-type": "Object Deleted", "detail": {}}).to_string();
        let removed = s3("ObjectRemoved:Delete", "a").to_string();
        let valid = "CloudTrail validation message.".to_owned();
        for message in [&test, &confirmation, &deleted, &removed, &valid, &by_sns(&test), &by_sns(&valid)] {
            assert_eq!(Notice::read(message), Notice::Nothing, "{message}");
        }
    }

    #[test]
    fn whatever_else_a_message_says_is_unknown() {
        let deep = by_sns(&by_sns(&by_sns("CloudTrail validation message.")));
        let nested = "[".repeat(100_000);
        for message in [
            "",
            "hello",
            "5",
            "[]",
            "{}",
            r#"{"Records":5}"#,
            r#"{"Records":[{}]}"#,
            r#"{"s3Bucket":"b","s3ObjectKey":"k"}"#,
            &s3("ObjectCreated:Put", "a%2").to_string(),
            &s3("ObjectCreated:Put", "a%ff").to_string(),
            &deep,
            &nested,
        ] {
            assert_eq!(Notice::read(message), Notice::Unknown, "{message:.80}");
        }
    }
}
