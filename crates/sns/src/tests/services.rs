use serde_json::json;

use super::world::{ACCOUNT, world};
use crate::endpoint::Protocol;
use crate::subscription::Settings;
use crate::{NewMessage, PublishError, Service};

fn trail() -> Service<'static> {
    Service {
        name: "cloudtrail.amazonaws.com",
        source_arn: "arn:aws:cloudtrail:us-east-1:111122223333:trail/main",
        source_account: ACCOUNT.parse().unwrap(),
    }
}

fn message(text: &str, key: Option<&str>) -> NewMessage {
    NewMessage { message: text.to_owned(), deduplication: key.map(str::to_owned), ..NewMessage::default() }
}

#[tokio::test]
async fn a_service_publishes_where_the_policy_lets_it_and_once_per_key() {
    let world = world().await;
    let mut site = world.site().await;
    let topic = world.topic("alarms").await;
    world.subscribed(&topic, Protocol::Http, &site.base, Settings::default()).await;
    let may = async |service: &Service<'_>| world.sns.may_publish_as_service(service, &topic).await;
    assert!(matches!(may(&trail()).await, Err(PublishError::NotAllowed { .. })), "the default policy is not enough");
    let alarm = Service { name: "cloudwatch.amazonaws.com", ..trail() };
    may(&alarm).await.unwrap();
    let foreign = Service { source_account: "444455556666".parse().unwrap(), ..alarm };
    assert!(may(&foreign).await.is_err(), "another account's alarm");

    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "AWSCloudTrailSNSPolicy20131101", "Effect": "Allow", "Principal": { "Service": "cloudtrail.amazonaws.com" },
        "Action": "SNS:Publish", "Resource": topic,
        "Condition": { "StringEquals": { "aws:SourceArn": trail().source_arn } },
    }] });
    let set = [("TopicArn", &*topic), ("AttributeName", "Policy"), ("AttributeValue", &*policy.to_string())];
    world.call("SetTopicAttributes", &set).await;
    let first = world.sns.publish_as_service(&trail(), &topic, message("1", Some("k"))).await.unwrap();
    let again = world.sns.publish_as_service(&trail(), &topic, message("2", Some("k"))).await.unwrap();
    assert_eq!(first, again);
    world.deliver().await;
    let document = site.next().json();
    assert_eq!((document["Message"].as_str(), document["MessageId"].as_str()), (Some("1"), Some(&*first.to_string())));
    let again = world.sns.publish_as_service(&trail(), &topic, message("3", Some("k"))).await.unwrap();
    assert_eq!(first, again, "delivered, and still known");
    world.deliver().await;
    assert!(site.is_quiet());

    let other = Service { source_arn: "arn:aws:cloudtrail:us-east-1:111122223333:trail/other", ..trail() };
    assert!(matches!(may(&other).await, Err(PublishError::NotAllowed { .. })));
    let nothing = world.sns.may_publish_as_service(&trail(), "arn:aws:sns:us-east-1:111122223333:nothing").await;
    assert!(matches!(nothing, Err(PublishError::NoTopic { .. })));
    let empty = world.sns.publish_as_service(&trail(), &topic, message("", None)).await;
    assert!(matches!(empty, Err(PublishError::Invalid(_))));
}
