use serde_json::json;

use super::world::{ACCOUNT, element, queues_at, world, world_with};
use crate::subscription::TOKEN_LIFE;

const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:alarms";

#[tokio::test]
async fn a_topic_is_made_once_and_has_the_documented_attributes() {
    let world = world().await;
    assert_eq!(world.topic("alarms").await, TOPIC);
    assert_eq!(world.topic("alarms").await, TOPIC, "it is there already");
    let other = [("Name", "alarms"), ("Attributes.entry.1.key", "DisplayName"), ("Attributes.entry.1.value", "x")];
    assert_eq!(world.refused("CreateTopic", &other).await.0, "InvalidParameter");
    let body = world.call("GetTopicAttributes", &[("TopicArn", TOPIC)]).await;
    for (name, value) in [("Owner", ACCOUNT), ("SubscriptionsConfirmed", "0"), ("SubscriptionsDeleted", "0")] {
        assert!(body.contains(&format!("<entry><key>{name}</key><value>{value}</value></entry>")), "{name}: {body}");
    }
    assert!(body.contains("__default_policy_ID") && !body.contains("SignatureVersion"));
    let set = |name, value| [("TopicArn", TOPIC), ("AttributeName", name), ("AttributeValue", value)];
    world.call("SetTopicAttributes", &set("SignatureVersion", "2")).await;
    world.call("SetTopicAttributes", &set("DisplayName", "A & B")).await;
    let body = world.call("GetTopicAttributes", &[("TopicArn", TOPIC)]).await;
    assert!(body.contains("<key>SignatureVersion</key><value>2</value>") && body.contains("A &amp; B"), "{body}");
    for (name, value) in [
        ("SignatureVersion", "3"),
        ("Policy", "{"),
        ("DeliveryPolicy", "x"),
        ("DisplayName", "a\r\nBcc: x"),
        ("KmsMasterKeyId", "alias/aws/sns"),
        ("HTTPSuccessFeedbackRoleArn", "arn:aws:iam::111122223333:role/a"),
        ("TracingConfig", "Active"),
        ("Nothing", "x"),
    ] {
        assert_eq!(world.refused("SetTopicAttributes", &set(name, value)).await.0, "InvalidParameter", "{name}");
    }
    world.call("DeleteTopic", &[("TopicArn", TOPIC)]).await;
    world.call("DeleteTopic", &[("TopicArn", TOPIC)]).await;
    assert_eq!(world.refused("GetTopicAttributes", &[("TopicArn", TOPIC)]).await.0, "NotFound");
}

#[tokio::test]
async fn what_is_not_built_is_refused_in_words() {
    let world = world().await;
    let topic = world.topic("alarms").await;
    for (name, told) in [("a.fifo", "FIFO"), ("a b", "Topic Name"), ("", "Topic Name")] {
        let (code, message) = world.refused("CreateTopic", &[("Name", name)]).await;
        assert!(code == "InvalidParameter" && message.contains(told), "{name}: {message}");
    }
    for (protocol, endpoint, told) in [
        ("lambda", "arn:aws:lambda:us-east-1:111122223333:function:f", "not available"),
        ("sms", "+15555550100", "not available"),
        ("carrier", "x", "Does not support"),
        ("sqs", "arn:aws:sqs:us-east-1:111122223333:q", "no SQS endpoint is configured"),
        ("email", "a@example.com", "no mail server is configured"),
    ] {
        let params = [("TopicArn", &*topic), ("Protocol", protocol), ("Endpoint", endpoint)];
        let (code, message) = world.refused("Subscribe", &params).await;
        assert!(code == "InvalidParameter" && message.contains(told), "{protocol}: {message}");
    }
    let sms = [("PhoneNumber", "+15555550100"), ("Message", "m")];
    assert!(world.refused("Publish", &sms).await.1.contains("not available"));
    assert_eq!(world.refused("SetSMSAttributes", &[]).await.0, "InvalidAction");
    assert_eq!(world.refused("Nothing", &[]).await.0, "InvalidAction");
    assert_eq!(world.refused("Publish", &[("TopicArn", &topic)]).await.0, "ValidationError");
}

#[tokio::test]
async fn addresses_of_this_network_cannot_be_subscribed() {
    let world = world().await;
    let topic = world.topic("alarms").await;
    for url in [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::1]:4590/",
        "http://[fd00::1]/",
        "http://user:password@192.168.1.1/",
        "http://0x0a000001/",
        "http:///",
        "http://a b/",
    ] {
        let params = [("TopicArn", &*topic), ("Protocol", "http"), ("Endpoint", url)];
        assert_eq!(world.refused("Subscribe", &params).await.0, "InvalidParameter", "{url}");
    }
}

#[tokio::test]
async fn others_may_what_the_policy_says() {
    let world = world().await;
    let topic = world.topic("alarms").await;
    let publish = [("TopicArn", &*topic), ("Message", "m")];
    let (status, body) = world.call_as("AKIAALICE", "Publish", &publish).await;
    assert_eq!((status, element(&body, "Code").as_str()), (403, "AuthorizationError"));
    assert!(body.contains("because no identity-based policy allows the SNS:Publish action"), "{body}");
    let (status, body) = world.call_as("AKIAOTHER", "Publish", &publish).await;
    assert_eq!(status, 403);
    assert!(body.contains("no resource-based policy allows"), "{body}");
    let permission = [
        ("TopicArn", &*topic),
        ("Label", "other"),
        ("AWSAccountId.member.1", "444455556666"),
        ("ActionName.member.1", "Publish"),
    ];
    world.call("AddPermission", &permission).await;
    assert_eq!(world.call_as("AKIAOTHER", "Publish", &publish).await.0, 200);
    assert_eq!(world.call_as("AKIAOTHER", "DeleteTopic", &[("TopicArn", &topic)]).await.0, 403);
    world.call("RemovePermission", &[("TopicArn", &topic), ("Label", "other")]).await;
    assert_eq!(world.call_as("AKIAOTHER", "Publish", &publish).await.0, 403);
    // Nobody is told whether another account's topic is there.
    let nothing = [("TopicArn", "arn:aws:sns:us-east-1:111122223333:nothing"), ("Message", "m")];
    assert_eq!(world.call_as("AKIAOTHER", "Publish", &nothing).await.0, 403);
}

#[tokio::test]
async fn lists_have_pages_of_a_hundred() {
    let world = world().await;
    for number in 0..101 {
        world.topic(&format!("t{number:03}")).await;
    }
    let first = world.call("ListTopics", &[]).await;
    assert_eq!(first.matches("<TopicArn>").count(), 100);
    let next = world.call("ListTopics", &[("NextToken", &element(&first, "NextToken"))]).await;
    assert!(next.contains(":t100</TopicArn>") && !next.contains("NextToken"), "{next}");
    assert_eq!(world.refused("ListTopics", &[("NextToken", "?")]).await.0, "InvalidParameter");
}

#[tokio::test]
async fn tags_are_kept_within_their_limits() {
    let world = world().await;
    let topic = world.topic("alarms").await;
    let tag = |key: &'static str| [("ResourceArn", TOPIC), ("Tags.member.1.Key", key), ("Tags.member.1.Value", "v&")];
    let body = world.call("TagResource", &tag("k")).await;
    assert!(body.contains("<TagResourceResult></TagResourceResult>"), "SDKs look for it: {body}");
    assert!(world.call("ListTagsForResource", &[("ResourceArn", &topic)]).await.contains("<Value>v&amp;</Value>"));
    assert_eq!(world.refused("TagResource", &tag("aws:k")).await.0, "InvalidParameter");
    world.call("UntagResource", &[("ResourceArn", TOPIC), ("TagKeys.member.1", "k")]).await;
    assert!(!world.call("ListTagsForResource", &[("ResourceArn", &topic)]).await.contains("<Key>"));
    let nothing = [("ResourceArn", "arn:aws:sns:us-east-1:111122223333:nothing")];
    assert_eq!(world.refused("ListTagsForResource", &nothing).await.0, "ResourceNotFound");
    let many: Vec<(String, String)> = (0..51)
        .flat_map(|n| {
            [
                (format!("Tags.member.{}.Key", n + 1), format!("k{n}")),
                (format!("Tags.member.{}.Value", n + 1), String::new()),
            ]
        })
        .collect();
    let mut params: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    params.push(("ResourceArn", TOPIC));
    assert_eq!(world.refused("TagResource", &params).await.0, "TagLimitExceeded");
}

#[tokio::test]
async fn batches_are_judged_whole_and_entry_by_entry() {
    let world = world().await;
    let topic = world.topic("alarms").await;
    async fn publish(world: &super::world::World, topic: &str, entries: &[(&str, &str)]) -> (u16, String) {
        let mut params = vec![("TopicArn".to_owned(), topic.to_owned())];
        for (index, (id, message)) in entries.iter().enumerate() {
            let name = format!("PublishBatchRequestEntries.member.{}", index + 1);
            params.push((format!("{name}.Id"), (*id).to_owned()));
            params.push((format!("{name}.Message"), (*message).to_owned()));
        }
        let params: Vec<(&str, &str)> = params.iter().map(|(name, value)| (&**name, &**value)).collect();
        world.call_as("AKIAROOT", "PublishBatch", &params).await
    }
    let (status, body) = publish(&world, &topic, &[("a", "m"), ("b", "")]).await;
    assert_eq!(status, 200, "{body}");
    let (successful, failed) = body.split_once("<Failed>").unwrap();
    assert!(successful.contains("<Id>a</Id><MessageId>"), "{body}");
    assert!(
        failed.contains("<Id>b</Id><Code>InvalidParameter</Code>") && failed.contains("<SenderFault>true"),
        "{body}"
    );
    let half = "x".repeat(140_000);
    let eleven: Vec<(String, &str)> = (0..11).map(|n| (n.to_string(), "m")).collect();
    let eleven: Vec<(&str, &str)> = eleven.iter().map(|(id, message)| (&**id, *message)).collect();
    for (entries, code) in [
        (vec![("a", "m"), ("a", "m")], "BatchEntryIdsNotDistinct"),
        (vec![("a b", "m")], "InvalidBatchEntryId"),
        (vec![("a", &*half), ("b", &*half)], "BatchRequestTooLong"),
        (eleven, "TooManyEntriesInBatchRequest"),
    ] {
        assert_eq!(element(&publish(&world, &topic, &entries).await.1, "Code"), code);
    }
}

#[tokio::test]
async fn a_subscription_has_its_attributes_and_its_owner() {
    let world = world_with(queues_at("http://127.0.0.1:9"), std::time::Duration::from_secs(1)).await;
    let topic = world.topic("alarms").await;
    let queue = "arn:aws:sqs:us-east-1:111122223333:q";
    let params = [
        ("TopicArn", &*topic),
        ("Protocol", "sqs"),
        ("Endpoint", queue),
        ("Attributes.entry.1.key", "FilterPolicy"),
        ("Attributes.entry.1.value", "{\"a\":[\"b\"]}"),
        ("Attributes.entry.2.key", "RawMessageDelivery"),
        ("Attributes.entry.2.value", "true"),
    ];
    let arn = element(&world.call("Subscribe", &params).await, "SubscriptionArn");
    assert!(arn.starts_with(&format!("{topic}:")), "a queue of the caller's account is confirmed at once: {arn}");
    assert_eq!(element(&world.call("Subscribe", &params).await, "SubscriptionArn"), arn, "again");
    let body = world.call("GetSubscriptionAttributes", &[("SubscriptionArn", &arn)]).await;
    for (name, value) in [
        ("RawMessageDelivery", "true"),
        ("FilterPolicyScope", "MessageAttributes"),
        ("PendingConfirmation", "false"),
        ("ConfirmationWasAuthenticated", "true"),
        ("Owner", ACCOUNT),
    ] {
        assert!(body.contains(&format!("<key>{name}</key><value>{value}</value>")), "{name}: {body}");
    }
    let set = |name, value| [("SubscriptionArn", &*arn), ("AttributeName", name), ("AttributeValue", value)];
    let redrive = json!({ "deadLetterTargetArn": queue }).to_string();
    world.call("SetSubscriptionAttributes", &set("RedrivePolicy", &redrive)).await;
    let stolen = json!({ "deadLetterTargetArn": "arn:aws:sqs:us-east-1:444455556666:q" }).to_string();
    for (name, value) in [
        ("RedrivePolicy", &*stolen),
        ("RedrivePolicy", "{}"),
        ("FilterPolicy", "{\"a\":{\"b\":[1]}}"),
        ("FilterPolicyScope", "Body"),
        ("RawMessageDelivery", "maybe"),
        ("DeliveryPolicy", "{}"),
        ("SubscriptionRoleArn", "x"),
    ] {
        assert_eq!(
            world.refused("SetSubscriptionAttributes", &set(name, value)).await.0,
            "InvalidParameter",
            "{value}"
        );
    }
    let (status, _) = world.call_as("AKIAOTHER", "GetSubscriptionAttributes", &[("SubscriptionArn", &arn)]).await;
    assert_eq!(status, 403);
    assert!(world.call("ListSubscriptions", &[]).await.contains(&arn));
    assert!(world.call("ListSubscriptionsByTopic", &[("TopicArn", &topic)]).await.contains(&arn));
    world.call("Unsubscribe", &[("SubscriptionArn", &arn)]).await;
    assert!(!world.call("ListSubscriptions", &[]).await.contains(&arn));
    let body = world.call("GetTopicAttributes", &[("TopicArn", &topic)]).await;
    assert!(body.contains("<key>SubscriptionsDeleted</key><value>1</value>"), "{body}");
}

#[tokio::test]
async fn a_stranger_is_asked_a_bounded_number_of_times_and_for_two_days() {
    let world = world().await;
    let mut site = world.site().await;
    let topic = world.topic("alarms").await;
    let url = format!("{}/hook", site.base);
    let params = [("TopicArn", &*topic), ("Protocol", "http"), ("Endpoint", &*url)];
    for _ in 0..15 {
        world.call("Subscribe", &params).await;
        world.deliver().await;
    }
    let mut asked = Vec::new();
    while let Ok(received) = site.received.try_recv() {
        asked.push(received.json()["Token"].as_str().unwrap().to_owned());
    }
    assert_eq!(asked.len(), 10);
    let old = [("TopicArn", &*topic), ("Token", &*asked[0])];
    assert_eq!(world.refused("ConfirmSubscription", &old).await.0, "InvalidParameter", "only the last token is good");
    world.clock.advance(TOKEN_LIFE);
    let last = [("TopicArn", &*topic), ("Token", &*asked[9])];
    assert_eq!(world.refused("ConfirmSubscription", &last).await.0, "InvalidParameter", "past its time");
    assert!(!world.call("ListSubscriptions", &[]).await.contains("PendingConfirmation"));

    // At one site a hundred may wait, whoever subscribes them.
    for number in 0..100 {
        let url = format!("{}/{number}", site.base);
        world.call("Subscribe", &[("TopicArn", &topic), ("Protocol", "http"), ("Endpoint", &url)]).await;
    }
    assert_eq!(world.refused("Subscribe", &params).await.0, "SubscriptionLimitExceeded");
}

#[tokio::test]
async fn links_lead_to_nothing_else() {
    let world = world().await;
    let topic = world.topic("alarms").await;
    for path in [
        "/",
        "/console/",
        "/?Action=Publish&TopicArn=x",
        "/?Action=DeleteTopic",
        "/?Action=Unsubscribe&X-Amz-Signature=x",
        "/bucket?Action=Unsubscribe",
        "/?Action=%FF",
        &format!("/?Action=Unsubscribe&SubscriptionArn={}", "x".repeat(5000)),
    ] {
        assert!(world.sns.unsigned(path, "id").await.is_none(), "{path}");
    }
    for (path, status) in [
        ("/?Action=Unsubscribe", 400),
        ("/?Action=ConfirmSubscription&TopicArn=x&Token=y", 400),
        ("/SimpleNotificationService-.pem", 404),
        ("/SimpleNotificationService-../../x.pem", 404),
        ("/SimpleNotificationService-0123.pem", 404),
    ] {
        assert_eq!(world.sns.unsigned(path, "id").await.unwrap().status().as_u16(), status, "{path}");
    }
    let guess = format!("/?Action=ConfirmSubscription&TopicArn={topic}&Token={}", "0".repeat(96));
    assert_eq!(world.sns.unsigned(&guess, "id").await.unwrap().status().as_u16(), 400);
}
