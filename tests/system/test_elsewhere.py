"""Trails whose log group and topic are elsewhere (moto), behind endpoints that fail, hang, answer late or not at all: nothing
is lost, and the log group has each event once, whenever the server is killed."""

import collections
import json
import uuid

import boto3
import pytest
from botocore.exceptions import ClientError
from faulty import Faulty
from following import Moto
from opentrail_server import ACCOUNT, REGION, Server, record, wait_until

GROUP = "trail"
GROUP_ARN = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}:*"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudTrail_CloudWatchLogs_Role"
STREAM = f"{ACCOUNT}_CloudTrail_{REGION}"
CONFIG = """
[delivery]
max_age = "200ms"
[sns.elsewhere]
endpoint = "{sns}"
access_key_id = "k"
secret_access_key = "s"
timeout = "1s"
[logs.elsewhere]
endpoint = "{logs}"
access_key_id = "k"
secret_access_key = "s"
timeout = "1s"
arns = ["arn:aws:logs:*:{account}:log-group:trail*"]
"""


def json_error(status, name, message="injected"):
    return status, "application/x-amz-json-1.1", json.dumps({"__type": name, "message": message})


def xml_error(status, code):
    text = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>injected</Message></Error></ErrorResponse>"
    return status, "text/xml", text


THROTTLED = json_error(400, "ThrottlingException")
BROKEN = json_error(500, "InternalFailure")
GATEWAY_DOWN = 502, "text/html", "<html>bad gateway</html>"


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    moto = Moto(tmp_path_factory.mktemp("moto"))
    yield moto
    moto.close()


class Cloud:
    """CloudWatch Logs and SNS elsewhere, each behind a proxy that can fail, and the server that has a trail to them."""

    def __init__(self, moto, directory, more=""):
        """`more`: further keys of `[logs.elsewhere]`."""
        self.moto = moto
        self.logs, self.sns, self.sqs = moto.client("logs"), moto.client("sns"), moto.client("sqs")
        self.faulty_logs, self.faulty_sns = Faulty(moto.port, "POST"), Faulty(moto.port, "POST")
        config = CONFIG.format(logs=self.faulty_logs.endpoint, sns=self.faulty_sns.endpoint, account=ACCOUNT) + more
        self.server = Server(directory / "server", config, ["--log", "warn"]).start()
        self.put_ids = []

    def close(self):
        self.faulty_logs.close()
        self.faulty_sns.close()
        if self.server.process is not None:
            self.server.kill()

    def make_trail(self, **settings):
        return self.server.make_trail("main", **settings)

    def log(self, group=GROUP_ARN, role=ROLE):
        return {"CloudWatchLogsLogGroupArn": group, "CloudWatchLogsRoleArn": role}

    def put(self, number=10, **more):
        ids = [str(uuid.uuid4()) for _ in range(number)]
        report = self.server.put_records(b"\n".join(json.dumps(record(i, **more)).encode() for i in ids))
        assert report["Accepted"] == number, report
        self.put_ids += ids
        return ids

    def arrived(self, logs=None):
        """How often each event that was put is in the group."""
        logs = logs or self.logs
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP)
        events = [json.loads(event["message"]) for page in pages for event in page["events"]]
        return collections.Counter(event["eventID"] for event in events if event["eventSource"] == "probe.amazonaws.com")

    def wait_for_all(self, **more):
        wait_until(lambda: set(self.put_ids) <= set(self.arrived(**more)), "all events in the group", seconds=120, pause=0.3)

    def status(self):
        return self.server.client("cloudtrail").get_trail_status(Name="main")

    def wait_for_error(self, name="LatestCloudWatchLogsDeliveryError"):
        return wait_until(lambda: self.status().get(name), "an error in the status", seconds=60)

    def wait_for_no_error(self, name="LatestCloudWatchLogsDeliveryError"):
        wait_until(lambda: not self.status().get(name), "a status without error", seconds=120)


@pytest.fixture
def cloud(moto, tmp_path):
    cloud = Cloud(moto, tmp_path)
    cloud.logs.create_log_group(logGroupName=GROUP)
    yield cloud
    cloud.close()
    cloud.logs.delete_log_group(logGroupName=GROUP)


@pytest.mark.parametrize(
    "fault", ["hang", "mute", "cut", THROTTLED, BROKEN, GATEWAY_DOWN], ids=["hang", "mute", "cut", "throttled", "500", "502"]
)
def test_a_log_group_has_each_event_once_over_outages_and_kills(cloud, fault):
    cloud.make_trail(**cloud.log())
    cloud.put()
    cloud.wait_for_all()
    assert [s["logStreamName"] for s in cloud.logs.describe_log_streams(logGroupName=GROUP)["logStreams"]] == [STREAM]
    before = cloud.status()
    assert before["LatestCloudWatchLogsDeliveryTime"] and not before.get("LatestCloudWatchLogsDeliveryError")

    # The outcome of what was being sent is unknown to a server that is killed then, and to one that lives on.
    cloud.faulty_logs.become(fault)
    cloud.put()
    wait_until(lambda: cloud.faulty_logs.met, "an attempt")
    cloud.server.kill()
    cloud.server.start()
    cloud.put()
    assert "CloudWatch Logs is unavailable" in cloud.wait_for_error()
    assert cloud.status()["LatestCloudWatchLogsDeliveryTime"] >= before["LatestCloudWatchLogsDeliveryTime"]
    cloud.faulty_logs.become(None)
    cloud.wait_for_all()
    cloud.wait_for_no_error()

    cloud.faulty_logs.become(fault)
    cloud.put()
    cloud.wait_for_error()
    cloud.faulty_logs.become(None)
    cloud.wait_for_all()
    cloud.put()
    cloud.wait_for_all()
    assert cloud.server.stop() == 0
    cloud.server.start()
    cloud.put()
    cloud.wait_for_all()
    assert cloud.arrived() == collections.Counter(cloud.put_ids)


def test_a_log_group_has_each_event_once_when_the_server_is_killed_under_load(cloud):
    cloud.make_trail(**cloud.log())
    # Old, new and large events: several batches of each append, and none that the group would reject.
    large = {"requestParameters": {"text": "é" * 30_000}}
    for number in range(3):
        cloud.put(200)
        cloud.put(30, time_text="2020-01-01T00:00:00Z")
        cloud.put(12, **large)
        seen = len(cloud.arrived())
        cloud.put(300)
        wait_until(lambda: len(cloud.arrived()) > seen, "some events in the group", seconds=60, pause=0.01)
        if number == 1:
            cloud.faulty_logs.become("mute")
            cloud.put(50)
            wait_until(lambda: cloud.faulty_logs.met, "an attempt")
        cloud.server.kill()
        cloud.faulty_logs.become(None)
        cloud.server.start()
    cloud.wait_for_all()
    cloud.wait_for_no_error()
    assert cloud.server.stop() == 0
    assert cloud.arrived() == collections.Counter(cloud.put_ids)


def test_what_is_wrong_with_a_group_elsewhere_is_told_as_cloudtrail_does(cloud):
    cloud.server.make_log_bucket()
    trails = cloud.server.client("cloudtrail")
    make = lambda **log: trails.create_trail(Name="main", S3BucketName="trail-logs", **(cloud.log() | log))
    with pytest.raises(ClientError, match=r"InvalidCloudWatchLogsLogGroupArnException.*cannot validate"):
        make(CloudWatchLogsLogGroupArn=GROUP_ARN.replace("trail", "trail-of-nobody"))
    cloud.faulty_logs.become(json_error(400, "AccessDeniedException"))
    with pytest.raises(ClientError, match=r"InvalidCloudWatchLogsLogGroupArnException.*Check the permissions"):
        make()
    cloud.faulty_logs.become("cut")
    with pytest.raises(ClientError, match="CloudWatchLogsDeliveryUnavailableException"):
        make()
    # What no pattern names is a group of this server, and there is none.
    cloud.faulty_logs.become(None)
    with pytest.raises(ClientError, match=r"InvalidCloudWatchLogsLogGroupArnException.*cannot validate"):
        make(CloudWatchLogsLogGroupArn=GROUP_ARN.replace("trail", "here"))
    assert make()["CloudWatchLogsLogGroupArn"] == GROUP_ARN


def test_a_group_deleted_is_told_and_a_new_one_gets_what_waited(cloud):
    cloud.make_trail(**cloud.log())
    cloud.put()
    cloud.wait_for_all()
    cloud.logs.delete_log_group(logGroupName=GROUP)
    cloud.put_ids = []
    cloud.put()
    assert "cannot validate the specified log group" in cloud.wait_for_error()
    cloud.logs.create_log_group(logGroupName=GROUP)
    cloud.wait_for_all()
    cloud.wait_for_no_error()
    assert cloud.arrived() == collections.Counter(cloud.put_ids)


def test_roles_of_trails_are_assumed_elsewhere(moto, tmp_path):
    cloud = Cloud(moto, tmp_path, f'sts_endpoint = "{moto.endpoint}"')
    try:
        # The group is in the role's account there, which the configured key's is not.
        session = moto.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
        theirs = boto3.client("logs", REGION, endpoint_url=moto.endpoint, aws_access_key_id=session["AccessKeyId"],
                              aws_secret_access_key=session["SecretAccessKey"], aws_session_token=session["SessionToken"])  # fmt: skip
        theirs.create_log_group(logGroupName=GROUP)
        cloud.make_trail(**cloud.log())
        cloud.put()
        cloud.wait_for_all(logs=theirs)
        assert cloud.arrived(theirs) == collections.Counter(cloud.put_ids)
    finally:
        cloud.close()


def files_told(cloud, queue):
    """What the topic's queue has got: log files and how often, and other messages."""
    files, others = collections.Counter(), []
    while messages := cloud.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            text = json.loads(message["Body"])["Message"]
            if text.startswith("{"):
                notice = json.loads(text)
                files.update((notice["s3Bucket"], key) for key in notice["s3ObjectKey"])
            else:
                others.append(text)
            cloud.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return files, others


def test_a_topic_is_told_of_each_file_over_outages_and_kills(cloud):
    topic = cloud.sns.create_topic(Name="files")["TopicArn"]
    queue = cloud.sqs.create_queue(QueueName="files")["QueueUrl"]
    arn = cloud.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    cloud.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    cloud.make_trail(SnsTopicName=topic)
    told, others = files_told(cloud, queue)
    assert others == ["CloudTrail validation message."]

    def all_told():
        more, others = files_told(cloud, queue)
        assert others == []
        told.update(more)
        return {("trail-logs", key) for key in cloud.server.log_files()} <= set(told)

    error = "LatestNotificationError"
    for fault, code in [("hang", "ServiceUnavailable"), (xml_error(403, "AuthorizationError"), "AuthorizationError"),
                        (xml_error(503, "ServiceUnavailable"), "ServiceUnavailable"), ("cut", "ServiceUnavailable")]:  # fmt: skip
        cloud.faulty_sns.become(fault)
        files = len(cloud.server.log_files())
        cloud.put()
        wait_until(lambda: len(cloud.server.log_files()) > files, "a log file, whatever the topic does")
        assert cloud.wait_for_error(error) == code
        cloud.server.kill()
        cloud.server.start()
        cloud.faulty_sns.become(None)
        wait_until(all_told, "all files told of", seconds=120)
        cloud.wait_for_no_error(error)
    assert cloud.status()["LatestNotificationTime"]
    assert set(told.values()) == {1}, "no answer of a message that was published was lost"

    # One whose answer is lost is published again.
    cloud.faulty_sns.become("mute")
    cloud.put()
    cloud.wait_for_error(error)
    cloud.faulty_sns.become(None)
    cloud.wait_for_no_error(error)
    wait_until(all_told, "all files told of", seconds=120)
    assert set(told.values()) > {1}


def test_what_is_wrong_with_a_topic_elsewhere_is_told_as_cloudtrail_does(cloud):
    cloud.server.make_log_bucket()
    trails = cloud.server.client("cloudtrail")
    make = lambda topic: trails.create_trail(Name="main", S3BucketName="trail-logs", SnsTopicName=topic)
    with pytest.raises(ClientError, match="InsufficientSnsTopicPolicyException"):
        make("none")
    topic = cloud.sns.create_topic(Name="mine")["TopicArn"]
    cloud.faulty_sns.become(xml_error(403, "AuthorizationError"))
    with pytest.raises(ClientError, match="InsufficientSnsTopicPolicyException"):
        make(topic)
    cloud.faulty_sns.become("cut")
    with pytest.raises(ClientError, match="SNS is unavailable"):
        make(topic)
    cloud.faulty_sns.become(None)
    assert make(topic)["SnsTopicARN"] == topic
