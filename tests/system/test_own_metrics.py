"""What the server measures of itself, as metrics of CloudWatch that stock clients read and alarms look at."""

import datetime
import json
import time
import uuid

import pytest
from listener import Webhook
from opentrail_server import ACCOUNT, BUCKET_POLICY, REGION, Server, record, wait_until

CONFIG = """
[metrics]
interval = "1s"
[delivery]
max_age = "200ms"
[outbound]
allow = ["127.0.0.0/8"]
"""


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path, CONFIG, ["--log", "warn"]) as server:
        yield server


@pytest.fixture
def webhook():
    webhook = Webhook()
    yield webhook
    webhook.close()


def total(server, namespace, name, **dimensions):
    """The sum of all that was measured lately; `None` without any."""
    cloudwatch = server.client("cloudwatch")
    now = datetime.datetime.now(datetime.UTC)
    metric = {"Namespace": namespace, "MetricName": name,
              "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()]}  # fmt: skip
    query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    start, end = now - datetime.timedelta(minutes=30), now + datetime.timedelta(minutes=2)
    [result] = cloudwatch.get_metric_data(MetricDataQueries=[query], StartTime=start, EndTime=end)["MetricDataResults"]
    return sum(result["Values"]) if result["Values"] else None


def put(server, number):
    report = server.put_records(b"\n".join(json.dumps(record(str(uuid.uuid4()))).encode() for _ in range(number)))
    assert report["Accepted"] == number


def a_topic(server, webhook, *services):
    sns = server.client("sns")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sns:Publish", "Resource": topic}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    subscription = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=webhook.url, ReturnSubscriptionArn=True)
    attributes = lambda: sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])["Attributes"]
    wait_until(lambda: attributes()["PendingConfirmation"] == "false", "the confirmation")
    return topic


def test_a_failed_delivery_raises_an_alarm(server, webhook):
    trail = server.make_trail()
    topic = a_topic(server, webhook, "cloudwatch.amazonaws.com")
    cloudwatch = server.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="delivery", Namespace="OpenTrail", MetricName="DeliveryFailures", Statistic="Sum", Period=10,
        EvaluationPeriods=1, Threshold=0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
        Dimensions=[{"Name": "Trail", "Value": trail}, {"Name": "Code", "Value": "AccessDenied"}],
        AlarmActions=[topic], OKActions=[topic],
    )  # fmt: skip
    state = lambda: cloudwatch.describe_alarms(AlarmNames=["delivery"])["MetricAlarms"][0]["StateValue"]
    wait_until(lambda: state() == "OK", "the alarm's first evaluation")

    s3 = server.client("s3")
    s3.delete_bucket_policy(Bucket="trail-logs")
    put(server, 5)

    def tells(state):
        def told(headers, body):
            if headers.get("x-amz-sns-message-type") != "Notification":
                return False
            message = json.loads(json.loads(body)["Message"])
            return (message["AlarmName"], message["NewStateValue"], message["OldStateValue"]) == ("delivery", *state)

        return told

    webhook.wait_for(tells(("ALARM", "OK")))
    s3.put_bucket_policy(Bucket="trail-logs", Policy=BUCKET_POLICY.format(bucket="trail-logs", account=ACCOUNT, prefix=""))
    webhook.wait_for(tells(("OK", "ALARM")), seconds=120)
    assert total(server, "OpenTrail", "DeliveryFailures") == total(
        server, "OpenTrail", "DeliveryFailures", Trail=trail, Code="AccessDenied"
    )


def test_the_operator_sees_ingest_lag_and_delivery(server):
    trail = server.make_trail()
    put(server, 25)
    ingested = lambda: total(server, "OpenTrail", "IngestRecords", Outcome="accepted")
    wait_until(lambda: ingested() == 25, "the count of records")
    wait_until(lambda: (total(server, "OpenTrail", "DeliveryRecords", Trail=trail) or 0) >= 25, "delivered records")
    assert total(server, "OpenTrail", "JournalAppendedEntries") >= 25
    names = {metric["MetricName"]: metric["Dimensions"]
             for page in server.client("cloudwatch").get_paginator("list_metrics").paginate(Namespace="OpenTrail")
             for metric in page["Metrics"] if not metric["Dimensions"]}  # fmt: skip
    assert {"IngestRecords", "JournalAppendedBytes", "ProjectionLagEntries", "DeliveryLagSeconds", "DeliveryFiles"} <= set(names)

    # What was counted shortly before the end is there after it, once.
    put(server, 17)
    assert server.stop() == 0
    server.start()
    assert ingested() == 42


def test_what_aws_measures_of_rules_topics_and_groups_is_there(server, webhook):
    topic = a_topic(server, webhook, "events.amazonaws.com")
    events, logs, sns = (server.client(service) for service in ["events", "logs", "sns"])
    events.put_rule(Name="watch", EventPattern=json.dumps({"source": ["mine"]}))
    gone = f"arn:aws:sns:{REGION}:{ACCOUNT}:gone"
    events.put_targets(Rule="watch", Targets=[
        {"Id": "a", "Arn": topic}, {"Id": "b", "Arn": gone, "RetryPolicy": {"MaximumRetryAttempts": 0}}])  # fmt: skip
    events.put_events(Entries=[{"Source": "mine", "DetailType": "t", "Detail": "{}"}] * 2)
    sns.publish(TopicArn=topic, Message="by hand")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    now = int(time.time() * 1000)
    lines = [{"timestamp": now, "message": text} for text in ["a", "bb", "ccc"]]
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=lines)
    for namespace, name, dimensions, wanted in [
        ("AWS/Events", "Invocations", {"RuleName": "watch"}, 4),
        ("AWS/Events", "FailedInvocations", {"RuleName": "watch"}, 2),
        ("AWS/SNS", "NumberOfMessagesPublished", {"TopicName": "alerts"}, 3),
        ("AWS/SNS", "NumberOfNotificationsDelivered", {"TopicName": "alerts"}, 3),
        ("AWS/Logs", "IncomingLogEvents", {"LogGroupName": "g"}, 3),
        ("AWS/Logs", "IncomingBytes", {"LogGroupName": "g"}, 6 + 3 * 26),
    ]:
        found = lambda: total(server, namespace, name, **dimensions) == wanted
        wait_until(found, f"{namespace} {name}", seconds=60)
