use std::time::Duration;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::world::{Received, World, element, queues_at, world, world_with};
use crate::endpoint::Protocol;
use crate::signing::tests::public_key_of;
use crate::subscription::{FilterScope, Settings};

const PATIENCE: Duration = Duration::from_secs(15);

/// Verifies a document as receivers do: by its own members and the certificate that it names.
async fn verify(world: &World, document: &Value) {
    let text = |name: &str| document[name].as_str();
    let names: &[&str] = match text("Type").unwrap() {
        "Notification" => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    };
    let given = names.iter().filter_map(|name| text(name).map(|value| format!("{name}\n{value}\n")));
    let (status, pem) = world.follow(text("SigningCertURL").unwrap()).await;
    assert_eq!(status, 200);
    let algorithm = match text("SignatureVersion").unwrap() {
        "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        _ => &RSA_PKCS1_2048_8192_SHA256,
    };
    let signature = STANDARD.decode(text("Signature").unwrap()).unwrap();
    let key = UnparsedPublicKey::new(algorithm, public_key_of(&pem));
    key.verify(given.collect::<String>().as_bytes(), &signature).unwrap();
}

fn is_headed(received: &Received, kind: &str, topic: &str) {
    let document = received.json();
    assert_eq!(received.header("x-amz-sns-message-type"), kind);
    assert_eq!(received.header("x-amz-sns-topic-arn"), topic);
    assert_eq!(received.header("x-amz-sns-message-id"), document["MessageId"].as_str().unwrap());
    assert_eq!(received.header("content-type"), "text/plain; charset=UTF-8");
    assert_eq!(received.header("user-agent"), "Amazon Simple Notification Service Agent");
}

#[tokio::test]
async fn an_endpoint_is_asked_notified_and_asked_again_when_its_link_ended_it() {
    let world = world().await;
    let mut site = world.site().await;
    let topic = world.topic("alarms").await;
    let url = format!("{}/hook", site.base.replace("http://", "http://user:pass@"));
    let params = [("TopicArn", &*topic), ("Protocol", "http"), ("Endpoint", &*url)];
    let body = world.call("Subscribe", &params).await;
    assert_eq!(element(&body, "SubscriptionArn"), "pending confirmation");
    let publish = [("TopicArn", &*topic), ("Message", "before"), ("Subject", "s")];
    world.call("Publish", &publish).await;
    world.deliver().await;

    let asked = site.next();
    is_headed(&asked, "SubscriptionConfirmation", &topic);
    assert_eq!(asked.header("x-amz-sns-subscription-arn"), "");
    assert_eq!(asked.header("authorization"), "Basic dXNlcjpwYXNz");
    verify(&world, &asked.json()).await;
    assert!(site.is_quiet(), "nothing is sent to who has not agreed");
    let (status, body) = world.follow(asked.json()["SubscribeURL"].as_str().unwrap()).await;
    assert_eq!(status, 200);
    let arn = element(&body, "SubscriptionArn");
    assert_eq!(world.follow(asked.json()["SubscribeURL"].as_str().unwrap()).await.0, 200, "followed twice");
    let listed = world.call("ListSubscriptionsByTopic", &[("TopicArn", &topic)]).await;
    assert!(listed.contains(&arn) && listed.contains("user:****@") && !listed.contains("pass@"), "{listed}");

    let message = "Größe \"1\"\nzweite <Zeile>\u{1F600}";
    let id = element(&world.call("Publish", &[("TopicArn", &topic), ("Message", message)]).await, "MessageId");
    world.deliver().await;
    let received = site.next();
    is_headed(&received, "Notification", &topic);
    assert_eq!(received.header("x-amz-sns-subscription-arn"), arn);
    let document = received.json();
    assert_eq!((document["Message"].as_str(), document["MessageId"].as_str()), (Some(message), Some(&*id)));
    assert_eq!(
        (&document["Subject"], document["Timestamp"].as_str()),
        (&Value::Null, Some("2027-01-15T08:00:00.000Z"))
    );
    verify(&world, &document).await;

    assert_eq!(world.follow(document["UnsubscribeURL"].as_str().unwrap()).await.0, 200);
    world.call("Publish", &publish).await;
    world.deliver().await;
    let ended = site.next();
    is_headed(&ended, "UnsubscribeConfirmation", &topic);
    verify(&world, &ended.json()).await;
    assert!(site.is_quiet());
    assert!(!world.call("ListSubscriptions", &[]).await.contains(&arn));
    assert_eq!(world.follow(ended.json()["SubscribeURL"].as_str().unwrap()).await.0, 200);
    world
        .call(
            "SetTopicAttributes",
            &[("TopicArn", &topic), ("AttributeName", "SignatureVersion"), ("AttributeValue", "2")],
        )
        .await;
    world.call("Publish", &publish).await;
    world.deliver().await;
    let again = site.next().json();
    assert_eq!((&again["SignatureVersion"], &again["Subject"]), (&json!("2"), &json!("s")));
    verify(&world, &again).await;
}

#[tokio::test]
async fn an_endpoint_confirmed_with_a_signature_can_forbid_the_link() {
    let world = world().await;
    let mut site = world.site().await;
    let topic = world.topic("alarms").await;
    let url = format!("{}/hook", site.base);
    world.call("Subscribe", &[("TopicArn", &topic), ("Protocol", "http"), ("Endpoint", &url)]).await;
    world.deliver().await;
    let token = site.next().json()["Token"].as_str().unwrap().to_owned();
    let confirm = [("TopicArn", &*topic), ("Token", &*token), ("AuthenticateOnUnsubscribe", "true")];
    let arn = element(&world.call("ConfirmSubscription", &confirm).await, "SubscriptionArn");
    let link = format!("https://trail.example.com/?Action=Unsubscribe&SubscriptionArn={arn}");
    assert_eq!(world.follow(&link).await.0, 403);
    world.call("Unsubscribe", &[("SubscriptionArn", &arn)]).await;
    assert_eq!(world.follow(&link).await.0, 404);
}

#[tokio::test]
async fn raw_messages_are_as_they_were_published() {
    let world = world().await;
    let mut site = world.site().await;
    let topic = world.topic("alarms").await;
    let policy = r#"{"requestPolicy":{"headerContentType":"application/json"}}"#.to_owned();
    let settings = Settings { raw: true, delivery_policy: Some(policy), ..Settings::default() };
    world.subscribed(&topic, Protocol::Http, &site.base, settings).await;
    let structured = r#"{"default":"d","http":"{\"a\":1}"}"#;
    world.call("Publish", &[("TopicArn", &topic), ("Message", structured), ("MessageStructure", "json")]).await;
    world.deliver().await;
    let received = site.next();
    assert_eq!((received.body.as_str(), received.header("content-type")), ("{\"a\":1}", "application/json"));
    assert_eq!(received.header("x-amz-sns-rawdelivery"), "true");
}

#[tokio::test]
async fn filters_decide_who_receives() {
    let world = world().await;
    let mut site = world.site().await;
    let topic = world.topic("alarms").await;
    for (path, filter, scope) in [
        ("kind", r#"{"kind":["alarm"]}"#, FilterScope::MessageAttributes),
        ("body", r#"{"detail":{"level":[{"numeric":[">",3]}]}}"#, FilterScope::MessageBody),
    ] {
        let settings = Settings { filter: Some(filter.to_owned()), scope, ..Settings::default() };
        world.subscribed(&topic, Protocol::Http, &format!("{}/{path}", site.base), settings).await;
    }
    let publish = async |message: &str, kind: &str| {
        let attribute = [
            ("TopicArn", &*topic),
            ("Message", message),
            ("MessageAttributes.entry.1.Name", "kind"),
            ("MessageAttributes.entry.1.Value.DataType", "String"),
            ("MessageAttributes.entry.1.Value.StringValue", kind),
        ];
        world.call("Publish", &attribute).await;
        world.deliver().await;
    };
    publish(r#"{"detail":{"level":5}}"#, "other").await;
    let received = site.next();
    assert_eq!(received.uri.path(), "/body");
    assert_eq!(received.json()["MessageAttributes"], json!({ "kind": { "Type": "String", "Value": "other" } }));
    publish("plain", "alarm").await;
    assert_eq!(site.next().uri.path(), "/kind");
    publish("plain", "other").await;
    assert!(site.is_quiet());
}

#[tokio::test]
async fn failures_are_retried_by_the_policy_and_then_given_up() {
    let world = world().await;
    let mut site = world.site().await;
    let topic = world.topic("alarms").await;
    world.subscribed(&topic, Protocol::Http, &format!("{}/hook", site.base), Settings::default()).await;
    site.answer("/hook", &[500, 429, 503]);
    world.call("Publish", &[("TopicArn", &topic), ("Message", "m")]).await;
    for attempt in 0..4 {
        world.deliver().await;
        site.next();
        world.clock.advance(Duration::from_secs(19));
        world.deliver().await;
        assert!(site.is_quiet(), "attempt {attempt}: not before its time");
        world.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(world.sns.waiting().await.unwrap(), 0, "delivered the fourth time");
    // One time too often, and at the first that is the endpoint's last word.
    for (statuses, attempts) in [(&[500, 500, 500, 500, 500][..], 4), (&[404], 1), (&[302], 1)] {
        site.answer("/hook", statuses);
        world.call("Publish", &[("TopicArn", &topic), ("Message", "m")]).await;
        for _ in 0..6 {
            world.deliver().await;
            world.clock.advance(Duration::from_secs(20));
        }
        let mut made = 0;
        while !site.is_quiet() {
            made += 1;
        }
        assert_eq!((made, world.sns.waiting().await.unwrap()), (attempts, 0), "{statuses:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_given_up_in_time_and_its_backlog_expires() {
    let world = world_with(Default::default(), Duration::from_millis(50)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let topic = world.topic("alarms").await;
    let url = format!("http://{}/", listener.local_addr().unwrap());
    world.subscribed(&topic, Protocol::Http, &url, Settings::default()).await;
    for _ in 0..40 {
        world.call("Publish", &[("TopicArn", &topic), ("Message", "m")]).await;
    }
    world.deliver().await;
    assert_eq!(world.sns.waiting().await.unwrap(), 40);
    world.clock.advance(Duration::from_secs(3601));
    world.deliver().await;
    assert_eq!(world.sns.waiting().await.unwrap(), 0, "none is kept for longer than its retries last");
}

#[tokio::test]
async fn queues_get_documents_or_raw_messages_and_what_others_refuse() {
    let outside = super::world::site(&opentrail_runtime::TaskGroup::new(opentrail_runtime::Shutdown::new())).await;
    let mut sqs = outside;
    let world = world_with(queues_at(&sqs.base), PATIENCE).await;
    let site = world.site().await;
    let topic = world.topic("alarms").await;
    let queue = |name: &str| format!("arn:aws:sqs:us-east-1:111122223333:{name}");
    let redrive = json!({ "deadLetterTargetArn": queue("dead") }).to_string();
    world.subscribed(&topic, Protocol::Sqs, &queue("plain"), Settings::default()).await;
    let publish = [
        ("TopicArn", &*topic),
        ("Message", "m"),
        ("MessageGroupId", "g"),
        ("MessageAttributes.entry.1.Name", "bytes"),
        ("MessageAttributes.entry.1.Value.DataType", "Binary"),
        ("MessageAttributes.entry.1.Value.BinaryValue", "AAE="),
    ];
    world.call("Publish", &publish).await;
    world.deliver().await;
    let sent = sqs.next();
    assert_eq!(sent.header("x-amz-target"), "AmazonSQS.SendMessage");
    assert_eq!(sent.header("content-type"), "application/x-amz-json-1.0");
    assert!(sent.header("authorization").contains("/us-east-1/sqs/aws4_request"));
    let input = sent.json();
    assert_eq!(input["QueueUrl"], format!("{}/111122223333/plain", sqs.base));
    assert_eq!(input["MessageGroupId"], "g");
    let document: Value = serde_json::from_str(input["MessageBody"].as_str().unwrap()).unwrap();
    verify(&world, &document).await;
    assert_eq!(document["MessageAttributes"]["bytes"], json!({ "Type": "Binary", "Value": "AAE=" }));

    let raw = Settings { raw: true, ..Settings::default() };
    let other = world.topic("raw").await;
    world.subscribed(&other, Protocol::Sqs, &queue("raw"), raw).await;
    world.call("Publish", &[&[("TopicArn", &*other)], &publish[1..]].concat()).await;
    world.deliver().await;
    let input = sqs.next().json();
    assert_eq!(input["MessageBody"], "m");
    assert_eq!(input["MessageAttributes"], json!({ "bytes": { "DataType": "Binary", "BinaryValue": "AAE=" } }));

    let third = world.topic("third").await;
    let settings = Settings { redrive: Some(redrive), ..Settings::default() };
    world.subscribed(&third, Protocol::Http, &format!("{}/gone", site.base), settings).await;
    site.answer("/gone", &[410]);
    sqs.answer("/", &[503]);
    world.call("Publish", &[("TopicArn", &third), ("Message", "m")]).await;
    world.deliver().await;
    world.clock.advance(Duration::from_secs(1));
    world.deliver().await;
    sqs.next();
    let input = sqs.next().json();
    assert_eq!(input["QueueUrl"], format!("{}/111122223333/dead", sqs.base), "tried again after the queue's failure");
    assert_eq!(input["MessageAttributes"]["ErrorMessage"]["StringValue"], "status 410 Gone");
    assert!(input["MessageBody"].as_str().unwrap().contains("\"Type\" : \"Notification\""));
    assert_eq!(world.sns.waiting().await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_published_before_a_kill_is_delivered_after_it() {
    let world = world().await;
    let mut site = world.site().await;
    let topic = world.topic("alarms").await;
    world.subscribed(&topic, Protocol::Http, &format!("{}/hook", site.base), Settings::default()).await;
    for message in ["1", "2", "3"] {
        world.call("Publish", &[("TopicArn", &topic), ("Message", message)]).await;
    }
    let world = world.restarted().await;
    world.deliver().await;
    let mut messages = Vec::new();
    while let Ok(received) = site.received.try_recv() {
        messages.push(received.json()["Message"].as_str().unwrap().to_owned());
    }
    messages.sort();
    assert_eq!(messages, ["1", "2", "3"]);
    let world = world.restarted().await;
    world.deliver().await;
    assert!(site.is_quiet(), "what was settled is not delivered again");
}

#[tokio::test]
async fn what_waited_while_the_server_was_off_is_attempted_once_more() {
    let world = world().await;
    let mut site = world.site().await;
    let topic = world.topic("alarms").await;
    world.subscribed(&topic, Protocol::Http, &format!("{}/hook", site.base), Settings::default()).await;
    site.answer("/hook", &[503]);
    world.call("Publish", &[("TopicArn", &topic), ("Message", "1")]).await;
    world.deliver().await;
    world.call("Publish", &[("TopicArn", &topic), ("Message", "2")]).await;
    world.clock.advance(Duration::from_secs(48 * 3600));
    let world = world.restarted().await;
    world.deliver().await;
    let mut messages = Vec::new();
    while let Ok(received) = site.received.try_recv() {
        messages.push(received.json()["Message"].as_str().unwrap().to_owned());
    }
    messages.sort();
    assert_eq!(messages, ["1", "1", "2"], "the endpoint answers again, and gets both");
}

#[tokio::test]
async fn what_this_server_cannot_sign_uses_up_no_attempts() {
    let world = world().await;
    let mut site = world.site().await;
    let topic = world.topic("alarms").await;
    world.subscribed(&topic, Protocol::Http, &format!("{}/hook", site.base), Settings::default()).await;
    world.call("Publish", &[("TopicArn", &topic), ("Message", "m")]).await;
    world.deliver().await;
    site.next();
    // The ring that sealed the signing key is gone for a while.
    let world = world.restarted_with_another_ring().await;
    world.call("Publish", &[("TopicArn", &topic), ("Message", "m")]).await;
    for _ in 0..10 {
        assert!(world.sns.0.try_what_is_due().await.is_err());
        world.clock.advance(Duration::from_secs(20));
    }
    let world = world.restarted().await;
    world.deliver().await;
    site.next();
}

#[tokio::test]
async fn a_deleted_topic_takes_its_backlog_along() {
    let world = world().await;
    let mut site = world.site().await;
    let topic = world.topic("alarms").await;
    world.subscribed(&topic, Protocol::Http, &site.base, Settings::default()).await;
    world.call("Publish", &[("TopicArn", &topic), ("Message", "m")]).await;
    world.call("DeleteTopic", &[("TopicArn", &topic)]).await;
    world.deliver().await;
    assert!(site.is_quiet());
    assert_eq!(world.sns.waiting().await.unwrap(), 0);
}
