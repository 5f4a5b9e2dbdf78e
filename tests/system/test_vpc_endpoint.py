"""A gateway as VPC endpoint: stock boto3 through it to moto, callers of two accounts, an endpoint policy; and what trails
with selectors of network activity events deliver of that."""

import gzip
import json
import pathlib
import subprocess
import sys
import urllib.request

import boto3
import delivered
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from opentrail_server import ACCOUNT, Server, free_port, wait_until

ENDPOINT = "vpce-0a1b2c3d4e5f67890"
OTHER_ACCOUNT = "100000000002"
ALICE, BOB, STRANGER = "AKIADEMOALICE0000001", "AKIADEMOBOB000000001", "AKIASTRANGER00000001"
POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
     "Condition": {"StringEquals": {"aws:PrincipalAccount": ACCOUNT, "aws:SourceVpce": ENDPOINT},
                   "Bool": {"aws:SecureTransport": "false"}, "IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}},
    {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:user/bob"}, "Action": "s3:GetObject",
     "Resource": "arn:aws:s3:::open/*"},
    {"Effect": "Deny", "Principal": "*", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
     "Resource": "arn:aws:s3:::open/closed/*"},
    {"Effect": "Deny", "Principal": "*", "Action": "dynamodb:PutItem", "Resource": f"arn:aws:dynamodb:*:{ACCOUNT}:table/Closed"},
    {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": "*"}]}  # fmt: skip
CONFIG = """
[delivery]
max_age = "300ms"
[[gateway]]
listen = "127.0.0.1:{gateway}"
upstream = "http://127.0.0.1:{cloud}"
account = "{account}"
region = "us-east-1"
vpc_endpoint_id = "{endpoint}"
endpoint_policy = {{ file = "endpoint-policy.json" }}
[[account]]
id = "{account}"
[[account.user]]
name = "alice"
[[account.user.access_key]]
id = "{alice}"
[[account]]
id = "{other}"
[[account.user]]
name = "bob"
[[account.user.access_key]]
id = "{bob}"
"""
NETWORK = {"Field": "eventCategory", "Equals": ["NetworkActivity"]}
S3 = {"Field": "eventSource", "Equals": ["s3.amazonaws.com"]}
TRAILS = {
    "by-source": [NETWORK, S3],
    "by-name": [NETWORK, S3, {"Field": "eventName", "Equals": ["PutObject"]}],
    "by-error": [NETWORK, S3, {"Field": "errorCode", "Equals": ["VpceAccessDenied"]}],
    "by-endpoint": [NETWORK, S3, {"Field": "vpcEndpointId", "NotEquals": [ENDPOINT]}],
}
MEMBERS = ["eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress",
           "errorCode", "errorMessage", "requestID", "eventID", "eventType", "recipientAccountId", "sharedEventID",
           "vpcEndpointId", "vpcEndpointAccountId", "eventCategory"]  # fmt: skip


class Cloud:
    """Moto behind a gateway that is a VPC endpoint, and the trails."""

    def __init__(self, directory):
        self.cloud_port, self.gateway_port = free_port(), free_port()
        command = [pathlib.Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(self.cloud_port)]
        with open(directory / "cloud.log", "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self.answers, "the cloud's start", pause=0.1)
        config = CONFIG.format(gateway=self.gateway_port, cloud=self.cloud_port, account=ACCOUNT, alice=ALICE, bob=BOB,
                               other=OTHER_ACCOUNT, endpoint=ENDPOINT)  # fmt: skip
        (directory / "endpoint-policy.json").write_text(json.dumps(POLICY))
        self.server = Server(directory, config, ["--log", "warn"]).start()
        trails = self.server.client("cloudtrail")
        for name, fields in TRAILS.items():
            self.server.make_trail(name, name)
            trails.put_event_selectors(TrailName=name, AdvancedEventSelectors=[{"FieldSelectors": fields}])
        delivered.trail_of_everything(self.server)

    def answers(self):
        assert self.process.poll() is None, "the cloud ended"
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.cloud_port}/moto-api/", timeout=5).status == 200
        except OSError:
            return False

    def client(self, service, key=ALICE, port=None):
        """Through the endpoint, or straight to moto."""
        return boto3.client(service, endpoint_url=f"http://127.0.0.1:{port or self.gateway_port}", region_name="us-east-1",
                            aws_access_key_id=key, aws_secret_access_key="secret",
                            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}))  # fmt: skip

    def upstream(self, service):
        return self.client(service, port=self.cloud_port)

    def activity(self, trail):
        """The network activity events that a trail has delivered."""
        files = (self.server.data / "objects" / trail).glob("**/CloudTrail-NetworkActivity/**/*.json.gz")
        return [r for path in files for r in json.loads(gzip.decompress(path.read_bytes()))["Records"]]

    def activity_of(self, trail, request_id):
        def found():
            return [r for r in self.activity(trail) if r["requestID"] == request_id]

        [record] = wait_until(found, f"delivery of request {request_id} to {trail}", seconds=20)
        return record


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    s3 = cloud.upstream("s3")
    s3.create_bucket(Bucket="open")
    s3.put_object(Bucket="open", Key="k", Body=b"content")
    yield cloud
    cloud.process.terminate()
    cloud.process.wait()
    assert cloud.server.stop() == 0


def request_id(answer):
    meta = (answer.response if isinstance(answer, ClientError) else answer)["ResponseMetadata"]
    return meta.get("RequestId") or meta["HTTPHeaders"]["x-amz-request-id"]


def denied(call, code="AccessDenied", **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    assert error.value.response["Error"]["Code"] == code
    return error.value


def test_a_call_that_passes_is_an_ordinary_event_and_a_network_activity_event(cloud):
    answer = cloud.client("s3").get_object(Bucket="open", Key="k")
    assert answer["Body"].read() == b"content"
    record = cloud.activity_of("by-source", request_id(answer))
    assert list(record) == [name for name in MEMBERS if not name.startswith("error")]
    assert record["eventType"] == "AwsVpceEvent" and record["eventCategory"] == "NetworkActivity"
    assert (record["eventSource"], record["eventName"]) == ("s3.amazonaws.com", "GetObject")
    assert record["vpcEndpointId"] == ENDPOINT and record["sourceIPAddress"] == "127.0.0.1"
    assert record["vpcEndpointAccountId"] == record["recipientAccountId"] == ACCOUNT
    assert record["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"

    def ordinary():
        return [r for r in delivered.records(cloud.server) if r.get("requestID") == request_id(answer)]

    [event] = wait_until(ordinary, "delivery of the ordinary event", seconds=20)
    assert event["eventCategory"] == "Data" and event["vpcEndpointId"] == ENDPOINT
    assert event["vpcEndpointAccountId"] == ACCOUNT and event["eventID"] != record["eventID"]

    missing = denied(cloud.client("s3").get_object, "NoSuchKey", Bucket="open", Key="missing")
    assert "errorCode" not in cloud.activity_of("by-source", request_id(missing)), "what the service says is its own"


def test_a_call_that_the_policy_denies_never_reaches_the_service(cloud):
    error = denied(cloud.client("s3").put_object, Bucket="open", Key="closed/k", Body=b"x" * 3_000_000)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert error.response["Error"]["Message"] == (
        f"User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: s3:PutObject on resource: "
        "arn:aws:s3:::open/closed/k with an explicit deny in a VPC endpoint policy"
    )
    listed = cloud.upstream("s3").list_objects_v2(Bucket="open")["Contents"]
    assert [item["Key"] for item in listed] == ["k"], "moto has nothing of it"
    for trail in ["by-source", "by-name", "by-error"]:
        record = cloud.activity_of(trail, request_id(error))
        assert list(record) == MEMBERS
        assert record["errorCode"] == "VpceAccessDenied"
        assert record["errorMessage"] == "The request was denied due to a VPC endpoint policy"
    assert not [r for r in delivered.records(cloud.server) if r.get("requestID") == request_id(error)]

    # A list of objects to delete is read first; the whole call is denied.
    doomed = {"Objects": [{"Key": "k"}, {"Key": "closed/k"}]}
    denied(cloud.client("s3").delete_objects, Bucket="open", Delete=doomed)
    # HEAD has no body to say it in.
    denied(cloud.client("s3").head_object, "403", Bucket="open", Key="closed/k")
    assert [item["Key"] for item in cloud.upstream("s3").list_objects_v2(Bucket="open")["Contents"]] == ["k"]


def test_each_protocol_hears_of_a_denial_in_its_own_framing(cloud):
    dynamodb, upstream = cloud.client("dynamodb"), cloud.upstream("dynamodb")
    for table in ["Open", "Closed"]:
        upstream.create_table(TableName=table, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                              AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])  # fmt: skip
    item = {"id": {"S": "1"}, "large": {"S": "x" * 300_000}}
    dynamodb.put_item(TableName="Open", Item=item)
    denied(dynamodb.put_item, "AccessDeniedException", TableName="Closed", Item=item)
    entry = {"Put": {"TableName": "Closed", "Item": item}}
    denied(dynamodb.transact_write_items, "AccessDeniedException", TransactItems=[entry])
    assert (upstream.scan(TableName="Open")["Count"], upstream.scan(TableName="Closed")["Count"]) == (1, 0)

    topic = cloud.upstream("sns").create_topic(Name="t")["TopicArn"]
    error = denied(cloud.client("sns").publish, "AccessDenied", TopicArn=topic, Message="m")
    assert "sns:Publish" in error.response["Error"]["Message"]


def test_callers_of_another_account_show_as_that_account_only(cloud):
    answer = cloud.client("s3", BOB).get_object(Bucket="open", Key="k")
    refused = denied(cloud.client("s3", BOB).put_object, Bucket="open", Key="k2", Body=b"")
    assert "because no VPC endpoint policy allows the s3:PutObject action" in refused.response["Error"]["Message"]
    for call, trail in [(answer, "by-source"), (refused, "by-error")]:
        identity = cloud.activity_of(trail, request_id(call))["userIdentity"]
        assert identity == {"type": "AWSAccount", "principalId": identity["principalId"], "accountId": OTHER_ACCOUNT}
        assert identity["principalId"].startswith("AIDA")
    # A key that nobody here knows is named by "*" only.
    stranger = denied(cloud.client("s3", STRANGER).get_object, Bucket="open", Key="k")
    assert cloud.activity_of("by-error", request_id(stranger))["userIdentity"]["type"] == "Unknown"


def test_trails_deliver_what_their_selectors_say_and_the_history_nothing(cloud):
    s3 = cloud.client("s3")
    put = s3.put_object(Bucket="open", Key="new", Body=b"")
    read = s3.get_object(Bucket="open", Key="k")
    for answer in [put, read]:
        cloud.activity_of("by-source", request_id(answer))
    cloud.activity_of("by-name", request_id(put))
    last = denied(s3.get_object, Bucket="open", Key="closed/last")
    cloud.activity_of("by-error", request_id(last))
    assert {r["eventName"] for r in cloud.activity("by-name")} == {"PutObject"}
    assert {r["errorCode"] for r in cloud.activity("by-error")} == {"VpceAccessDenied"}
    assert {r["eventSource"] for r in cloud.activity("by-source")} == {"s3.amazonaws.com"}
    assert not cloud.activity("by-endpoint") and not cloud.activity("trail-logs")
    assert {r["eventCategory"] for r in delivered.records(cloud.server)} == {"Management", "Data"}

    pages = cloud.server.client("cloudtrail").get_paginator("lookup_events").paginate()
    events = [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]
    assert events and {event["eventCategory"] for event in events} == {"Management"}


def test_a_policy_that_is_none_keeps_the_server_from_starting(tmp_path):
    config = CONFIG.format(gateway=free_port(), cloud=free_port(), account=ACCOUNT, alice=ALICE, bob=BOB, other=OTHER_ACCOUNT,
                           endpoint=ENDPOINT)  # fmt: skip
    (tmp_path / "endpoint-policy.json").write_text(json.dumps({"Statement": [{"Effect": "Perhaps"}]}))
    server = Server(tmp_path, config).start(wait=False)
    assert server.process.wait(30) != 0
    assert "gateway[0].endpoint_policy: policy at Statement[0].Effect: must be Allow or Deny" in server.log.read_text()
