"""From a call to a webhook, with the stock AWS CLI alone: trail, log group, metric filter, alarm, topic; rule, topic."""

import json
import pathlib
import subprocess
import sys
import time

import pytest
from listener import Webhook
from opentrail_server import ACCOUNT, REGION, Server, wait_until

AWS = pathlib.Path(sys.executable).parent / "aws"
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:trail"
# The root user's calls, as the CIS benchmark asks for them.
ROOT_USE = (
    '{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType != "AwsServiceEvent" }'
)


def allow(principal: dict, actions, resource: str = "*", **more) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": resource} | more
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def webhook():
    webhook = Webhook()
    yield webhook
    webhook.close()


@pytest.fixture
def watched(tmp_path):
    with Server(tmp_path, '[outbound]\nallow = ["127.0.0.0/8"]\n') as server:
        yield server


def cli(server, *arguments: str, key: dict | None = None):
    environment = server.cli_environment()
    if key:
        environment |= {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    done = subprocess.run([sys.executable, AWS, *arguments], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout) if done.stdout.strip() else None


def an_administrator(server) -> dict:
    """Root sets up as little as can be: whoever is watched for must not be the one who sets the watch."""
    cli(server, "iam", "create-user", "--user-name", "admin")
    cli(server, "iam", "attach-user-policy", "--user-name", "admin",
        "--policy-arn", "arn:aws:iam::aws:policy/AdministratorAccess")  # fmt: skip
    return cli(server, "iam", "create-access-key", "--user-name", "admin")["AccessKey"]


def a_topic(aws, webhook, service: str) -> str:
    """A topic that a service may publish to, and the webhook's confirmed subscription."""
    topic = aws("sns", "create-topic", "--name", "alerts")["TopicArn"]
    policy = allow({"Service": service}, "sns:Publish", topic)
    aws("sns", "set-topic-attributes", "--topic-arn", topic, "--attribute-name", "Policy", "--attribute-value", policy)
    aws("sns", "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", webhook.url)
    confirmed = lambda: "PendingConfirmation" not in json.dumps(
        aws("sns", "list-subscriptions-by-topic", "--topic-arn", topic)
    )
    wait_until(confirmed, "the confirmation")
    return topic


def is_notification(headers, body) -> bool:
    return headers.get("x-amz-sns-message-type") == "Notification"


def test_a_root_call_becomes_an_alarm_at_a_webhook(watched, webhook):
    key = an_administrator(watched)
    aws = lambda *arguments: cli(watched, *arguments, key=key)
    topic = a_topic(aws, webhook, "cloudwatch.amazonaws.com")

    aws("logs", "create-log-group", "--log-group-name", "trail")
    role = aws("iam", "create-role", "--role-name", "CloudTrail_CloudWatchLogs_Role", "--assume-role-policy-document",
               json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                           "Principal": {"Service": "cloudtrail.amazonaws.com"}}]}))["Role"]["Arn"]  # fmt: skip
    rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": f"{GROUP}:log-stream:*",
              "Action": ["logs:CreateLogStream", "logs:PutLogEvents"]}]}  # fmt: skip
    aws("iam", "put-role-policy", "--role-name", "CloudTrail_CloudWatchLogs_Role", "--policy-name", "logs",
        "--policy-document", json.dumps(rights))  # fmt: skip
    aws("s3api", "create-bucket", "--bucket", "trail-logs")
    aws("s3api", "put-bucket-policy", "--bucket", "trail-logs", "--policy",
        json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
             "Action": ["s3:GetBucketAcl", "s3:PutObject"],
             "Resource": ["arn:aws:s3:::trail-logs", "arn:aws:s3:::trail-logs/*"]}]}))  # fmt: skip
    aws("cloudtrail", "create-trail", "--name", "main", "--s3-bucket-name", "trail-logs", "--is-multi-region-trail",
        "--cloud-watch-logs-log-group-arn", f"{GROUP}:*", "--cloud-watch-logs-role-arn", role)  # fmt: skip
    aws("cloudtrail", "start-logging", "--name", "main")

    aws("logs", "put-metric-filter", "--log-group-name", "trail", "--filter-name", "RootUse", "--filter-pattern",
        ROOT_USE, "--metric-transformations",
        "metricName=RootUse,metricNamespace=CISBenchmark,metricValue=1,defaultValue=0")  # fmt: skip
    aws("cloudwatch", "put-metric-alarm", "--alarm-name", "RootUse", "--namespace", "CISBenchmark", "--metric-name",
        "RootUse", "--statistic", "Sum", "--period", "10", "--evaluation-periods", "1", "--threshold", "1",
        "--comparison-operator", "GreaterThanOrEqualToThreshold", "--treat-missing-data", "notBreaching",
        "--alarm-actions", topic)  # fmt: skip
    state = lambda: aws("cloudwatch", "describe-alarms", "--alarm-names", "RootUse")["MetricAlarms"][0]["StateValue"]
    wait_until(lambda: state() == "OK", "the alarm's first evaluation", pause=0.5)

    cli(watched, "iam", "list-users")
    called = time.monotonic()
    at, body = webhook.wait_for(is_notification)
    message = json.loads(json.loads(body)["Message"])
    assert (message["AlarmName"], message["NewStateValue"], message["OldStateValue"]) == ("RootUse", "ALARM", "OK")
    # The figure is in docs/performance.md; a machine under load may be late.
    print(f"webhook after {at - called:.2f} s")

    events = aws("logs", "filter-log-events", "--log-group-name", "trail", "--filter-pattern", ROOT_USE)["events"]
    assert [json.loads(event["message"])["eventName"] for event in events] == ["ListUsers"]
    assert {event["logStreamName"] for event in events} == {f"{ACCOUNT}_CloudTrail_{REGION}"}
    status = aws("cloudtrail", "get-trail-status", "--name", "main")
    assert status["LatestCloudWatchLogsDeliveryTime"] and "LatestCloudWatchLogsDeliveryError" not in status


def test_a_rule_tells_a_webhook_of_a_deleted_trail(watched, webhook):
    aws = lambda *arguments: cli(watched, *arguments)
    topic = a_topic(aws, webhook, "events.amazonaws.com")
    watched.make_log_bucket()
    aws("cloudtrail", "create-trail", "--name", "main", "--s3-bucket-name", "trail-logs")
    pattern = {"source": ["aws.cloudtrail"], "detail-type": ["AWS API Call via CloudTrail"],
               "detail": {"eventName": ["DeleteTrail", "StopLogging"]}}  # fmt: skip
    aws("events", "put-rule", "--name", "tampering", "--event-pattern", json.dumps(pattern))
    added = aws("events", "put-targets", "--rule", "tampering", "--targets", f"Id=topic,Arn={topic}")
    assert added["FailedEntryCount"] == 0

    aws("cloudtrail", "delete-trail", "--name", "main")
    called = time.monotonic()
    at, body = webhook.wait_for(is_notification)
    event = json.loads(json.loads(body)["Message"])
    assert (event["source"], event["detail-type"]) == ("aws.cloudtrail", "AWS API Call via CloudTrail")
    assert (event["account"], event["region"]) == (ACCOUNT, REGION)
    assert event["detail"]["eventName"] == "DeleteTrail"
    print(f"webhook after {at - called:.2f} s")


def test_the_topic_of_a_trail_is_told_of_its_log_files(tmp_path, webhook):
    quick = '[outbound]\nallow = ["127.0.0.0/8"]\n[delivery]\nmax_age = "1s"\n'
    with Server(tmp_path, quick) as server:
        aws = lambda *arguments: cli(server, *arguments)
        topic = a_topic(aws, webhook, "cloudtrail.amazonaws.com")
        bucket = server.make_log_bucket()
        trail = aws("cloudtrail", "create-trail", "--name", "main", "--s3-bucket-name", bucket, "--sns-topic-name", "alerts")
        assert (trail["SnsTopicName"], trail["SnsTopicARN"]) == ("alerts", topic)
        _, body = webhook.wait_for(is_notification)
        assert json.loads(body)["Message"] == "CloudTrail validation message."
        aws("cloudtrail", "start-logging", "--name", "main")
        told = lambda headers, body: is_notification(headers, body) and b"s3ObjectKey" in body
        _, body = webhook.wait_for(told)
        message = json.loads(json.loads(body)["Message"])
        assert message["s3Bucket"] == bucket and message["s3ObjectKey"][0] in server.log_files()
        status = lambda: aws("cloudtrail", "get-trail-status", "--name", "main")
        wait_until(lambda: status().get("LatestNotificationTime"), "the status")
        assert "LatestNotificationError" not in status()


def test_a_topic_that_cloudtrail_may_not_publish_to_is_refused(client, bucket):
    trails, sns = client("cloudtrail"), client("sns")
    topic = sns.create_topic(Name="closed")["TopicArn"]
    with pytest.raises(trails.exceptions.InsufficientSnsTopicPolicyException, match="topic policy is incorrect"):
        trails.create_trail(Name="closed-topic", S3BucketName=bucket, SnsTopicName=topic)
