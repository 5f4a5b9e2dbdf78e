use http::{HeaderMap, HeaderName};
use opentrail_wire::cbor;
use opentrail_wire::cloudwatch::Operation;
use serde_json::json;

use super::{NOW, World};
use crate::{Reply, api};

async fn ask(world: &World, headers: &[(&'static str, &str)], uri: &str, body: Vec<u8>) -> Reply {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
    api(&world.monitoring, &world.caller("AKIAROOT"), &uri.parse().unwrap(), &headers, &body.into()).await
}

#[tokio::test]
async fn what_one_protocol_puts_the_others_get() {
    let world = World::new().await;
    let put = b"Action=PutMetricData&Version=2010-08-01&Namespace=App&MetricData.member.1.MetricName=m\
                &MetricData.member.1.Value=4&MetricData.member.1.Dimensions.member.1.Name=Host\
                &MetricData.member.1.Dimensions.member.1.Value=a";
    let reply = ask(&world, &[], "/", put.to_vec()).await;
    let xml = String::from_utf8(reply.response.body().to_vec()).unwrap();
    assert_eq!((reply.response.status().as_u16(), reply.operation), (200, Some("PutMetricData")));
    assert!(
        xml.starts_with("<PutMetricDataResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\">"),
        "{xml}"
    );

    let shape = Operation::GetMetricStatistics.input_shape();
    let input = json!({ "Namespace": "App", "MetricName": "m", "Dimensions": [{ "Name": "Host", "Value": "a" }],
        "StartTime": NOW.as_secs(), "EndTime": NOW.as_secs() + 60, "Period": 60, "Statistics": ["Sum"] });
    let headers = [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")];
    let path = "/service/GraniteServiceVersion20100801/operation/GetMetricStatistics";
    let reply = ask(&world, &headers, path, cbor::encode(shape, &input)).await;
    assert_eq!(reply.response.status(), 200);
    let found = cbor::decode(reply.response.body()).unwrap();
    assert_eq!(found["Datapoints"][0]["Sum"], 4.0);
    assert_eq!(found["Datapoints"][0]["Timestamp"].as_f64(), Some(NOW.as_secs_f64()));
}

#[tokio::test]
async fn an_error_has_the_form_of_its_protocol() {
    let world = World::new().await;
    let reply = ask(&world, &[], "/", b"Action=DescribeAlarms&NextToken=x".to_vec()).await;
    let xml = String::from_utf8(reply.response.body().to_vec()).unwrap();
    assert!(xml.contains("<Code>InvalidNextToken</Code>"), "{xml}");
    let headers = [("smithy-protocol", "rpc-v2-cbor")];
    let path = "/service/GraniteServiceVersion20100801/operation/DeleteAlarms";
    let body = cbor::encode(Operation::DeleteAlarms.input_shape(), &json!({ "AlarmNames": ["gone"] }));
    let reply = ask(&world, &headers, path, body).await;
    assert_eq!(reply.response.status(), 404);
    assert_eq!(reply.response.headers()["x-amzn-query-error"], "ResourceNotFound;Sender");
    assert_eq!(reply.resources[0]["ARN"], "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:gone");
    for (operation, told) in [("PutDashboard", "not available"), ("Nonsense", "Could not find")] {
        let reply = ask(&world, &[], "/", format!("Action={operation}").into_bytes()).await;
        let xml = String::from_utf8(reply.response.body().to_vec()).unwrap();
        assert!(xml.contains("<Code>InvalidAction</Code>") && xml.contains(told), "{xml}");
    }
}

#[tokio::test]
async fn requests_that_are_too_large_are_refused() {
    let world = World::new().await;
    let reply = ask(&world, &[], "/", vec![b'a'; (1 << 20) + 1]).await;
    assert_eq!(reply.response.status(), 413);
    assert_eq!(reply.operation, None);
}
