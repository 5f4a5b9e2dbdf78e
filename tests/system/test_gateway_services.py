"""AWS services other than a real S3 through the recording gateway: stock boto3, moto as the cloud behind it. Events are
complete, callers are who the configuration says, and secrets are written nowhere."""

import collections
import gzip
import json
import pathlib
import socket
import subprocess
import sys
import urllib.request
from urllib.parse import parse_qsl, urlsplit

import boto3
import delivered
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from opentrail_server import ACCOUNT, Server, free_port, wait_until

ALICE, STRANGER = "AKIADEMOALICE0000001", "AKIASTRANGER00000001"
SIGNING_SECRET = "signing-secret-of-the-callers"
# Each is handed to a service as a secret, or as content; no file of the server may hold one afterwards.
SECRETS = {name: f"do-not-write-{name}" for name in
           ["secret-string", "new-secret-string", "secret-binary", "plaintext", "password", "message", "notification",
            "attribute-value", "parameter", "object-content"]}  # fmt: skip
CONFIG = """
[delivery]
max_age = "300ms"
[[gateway]]
listen = "127.0.0.1:{gateway}"
upstream = "http://127.0.0.1:{cloud}"
account = "{account}"
region = "us-east-1"
s3_domains = ["s3.localhost"]
[[account]]
id = "{account}"
[[account.user]]
name = "alice"
path = "/people/"
[[account.user.access_key]]
id = "{alice}"
"""


class Cloud:
    """Moto, a gateway in front of it, and what clients of both have seen."""

    def __init__(self, directory):
        self.cloud_port, self.gateway_port = free_port(), free_port()
        command = [pathlib.Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(self.cloud_port)]
        with open(directory / "cloud.log", "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self.answers, "the cloud's start", pause=0.1)
        config = CONFIG.format(gateway=self.gateway_port, cloud=self.cloud_port, account=ACCOUNT, alice=ALICE)
        self.server = Server(directory, config, ["--log", "warn"]).start()
        delivered.trail_of_everything(self.server)

    def answers(self):
        assert self.process.poll() is None, "the cloud ended"
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.cloud_port}/moto-api/", timeout=5).status == 200
        except OSError:
            return False

    def client(self, service, key=ALICE, host="127.0.0.1", region="us-east-1", **config):
        return boto3.client(service, endpoint_url=f"http://{host}:{self.gateway_port}", region_name=region,
                            aws_access_key_id=key, aws_secret_access_key=SIGNING_SECRET,
                            config=Config(retries={"total_max_attempts": 1}, **config))  # fmt: skip

    def event(self, answer):
        """The delivered event of the call that gave this answer or error: exactly one."""
        response = answer.response if isinstance(answer, ClientError) else answer
        meta = response["ResponseMetadata"]
        request_id = meta.get("RequestId") or meta["HTTPHeaders"]["x-amz-request-id"]

        def found():
            return [r for r in delivered.records(self.server) if r.get("requestID") == request_id]

        [event] = wait_until(found, f"delivery of the event of request {request_id}", seconds=20)
        return event


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    yield cloud
    cloud.process.terminate()
    cloud.process.wait()
    assert cloud.server.stop() == 0


def check(event, source, name, read_only, management=True, **more):
    """What every event must have, and more of this one."""
    assert (event["eventSource"], event["eventName"]) == (f"{source}.amazonaws.com", name)
    assert event["readOnly"] is read_only
    assert event["managementEvent"] is management
    assert event["eventCategory"] == ("Management" if management else "Data")
    assert event["eventVersion"] == "1.11" and event["eventType"] == "AwsApiCall"
    assert event["awsRegion"] == "us-east-1" and event["recipientAccountId"] == ACCOUNT
    assert event["sourceIPAddress"] == "127.0.0.1" and "Boto3" in event["userAgent"]
    assert event["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/people/alice"
    assert event["userIdentity"]["userName"] == "alice" and event["userIdentity"]["accessKeyId"] == ALICE
    for key, value in more.items():
        assert event[key] == value, f"{key} of {name}"


def test_dynamodb_tables_are_management_and_items_are_data_without_their_values(cloud):
    dynamodb = cloud.client("dynamodb")
    key = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
           "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}  # fmt: skip
    arn = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/orders"
    table = [{"accountId": ACCOUNT, "type": "AWS::DynamoDB::Table", "ARN": arn}]
    event = cloud.event(dynamodb.create_table(TableName="orders", **key))
    check(event, "dynamodb", "CreateTable", False)
    assert event["requestParameters"]["tableName"] == "orders"
    assert event["requestParameters"]["keySchema"] == [{"attributeName": "id", "keyType": "HASH"}]
    assert event["responseElements"]["tableDescription"]["tableName"] == "orders"

    item = {"id": {"S": "1"}, "note": {"S": SECRETS["attribute-value"]}}
    event = cloud.event(dynamodb.put_item(TableName="orders", Item=item))
    check(event, "dynamodb", "PutItem", False, management=False, resources=table)
    event = cloud.event(dynamodb.get_item(TableName="orders", Key={"id": {"S": "1"}}))
    check(event, "dynamodb", "GetItem", True, management=False, resources=table, responseElements=None)

    with pytest.raises(ClientError) as failure:
        dynamodb.describe_table(TableName="absent")
    event = cloud.event(failure.value)
    check(event, "dynamodb", "DescribeTable", True, errorCode="ResourceNotFoundException")
    assert event["errorMessage"] == failure.value.response["Error"]["Message"]
    assert event["requestParameters"] == {"tableName": "absent"} and event["responseElements"] is None


def test_secrets_are_named_but_not_told(cloud):
    secrets = cloud.client("secretsmanager")
    created = secrets.create_secret(Name="database", SecretString=SECRETS["secret-string"])
    event = cloud.event(created)
    check(event, "secretsmanager", "CreateSecret", False)
    assert event["requestParameters"]["name"] == "database"
    assert event["responseElements"]["arn"] == created["ARN"]
    put = secrets.put_secret_value(SecretId=created["ARN"], SecretString=SECRETS["new-secret-string"])
    named = [{"accountId": created["ARN"].split(":")[4], "type": "AWS::SecretsManager::Secret", "ARN": created["ARN"]}]
    check(cloud.event(put), "secretsmanager", "PutSecretValue", False, resources=named)
    binary = secrets.create_secret(Name="binary", SecretBinary=SECRETS["secret-binary"].encode())
    check(cloud.event(binary), "secretsmanager", "CreateSecret", False)
    got = secrets.get_secret_value(SecretId=created["ARN"])
    assert got["SecretString"] == SECRETS["new-secret-string"]
    check(cloud.event(got), "secretsmanager", "GetSecretValue", True, responseElements=None)


def test_kms_calls_name_the_key_and_not_the_plaintext(cloud):
    kms = cloud.client("kms")
    created = kms.create_key(Description="for tests")
    event = cloud.event(created)
    check(event, "kms", "CreateKey", False)
    assert event["requestParameters"]["description"] == "for tests"
    assert event["responseElements"]["keyMetadata"]["keyId"] == created["KeyMetadata"]["KeyId"]
    key = created["KeyMetadata"]["Arn"]
    encrypted = kms.encrypt(KeyId=key, Plaintext=SECRETS["plaintext"].encode())
    resource = [{"accountId": key.split(":")[4], "type": "AWS::KMS::Key", "ARN": key}]
    check(cloud.event(encrypted), "kms", "Encrypt", True, resources=resource, responseElements=None)
    decrypted = kms.decrypt(CiphertextBlob=encrypted["CiphertextBlob"])
    assert decrypted["Plaintext"].decode() == SECRETS["plaintext"]
    check(cloud.event(decrypted), "kms", "Decrypt", True, responseElements=None)


def test_ssm_parameters_hide_what_is_secure(cloud):
    ssm = cloud.client("ssm")
    event = cloud.event(ssm.put_parameter(Name="/app/token", Value=SECRETS["parameter"], Type="SecureString"))
    check(event, "ssm", "PutParameter", False)
    assert event["requestParameters"]["name"] == "/app/token"


def test_iam_speaks_the_query_protocol(cloud):
    iam = cloud.client("iam")
    event = cloud.event(iam.create_user(UserName="mallory", Path="/x/"))
    check(event, "iam", "CreateUser", False, requestParameters={"userName": "mallory", "path": "/x/"})
    login = cloud.event(iam.create_login_profile(UserName="mallory", Password=SECRETS["password"]))
    check(login, "iam", "CreateLoginProfile", False)
    key = iam.create_access_key(UserName="mallory")
    SECRETS["access-key"] = key["AccessKey"]["SecretAccessKey"]
    check(cloud.event(key), "iam", "CreateAccessKey", False, requestParameters={"userName": "mallory"})
    with pytest.raises(ClientError) as failure:
        iam.get_user(UserName="nobody")
    event = cloud.event(failure.value)
    check(event, "iam", "GetUser", True, errorCode="NoSuchEntityException")
    assert event["requestParameters"] == {"userName": "nobody"}


def test_messages_are_not_looked_up_and_not_written(cloud):
    sqs, sns = cloud.client("sqs"), cloud.client("sns")
    queue = sqs.create_queue(QueueName="jobs")
    check(cloud.event(queue), "sqs", "CreateQueue", False, requestParameters={"queueName": "jobs"})
    topic = sns.create_topic(Name="news")
    check(cloud.event(topic), "sns", "CreateTopic", False, requestParameters={"name": "news"})
    sqs.send_message(QueueUrl=queue["QueueUrl"], MessageBody=SECRETS["message"])
    sns.publish(TopicArn=topic["TopicArn"], Message=SECRETS["notification"])
    # What follows in the journal is delivered later, so these two were recorded by now: in the journal, as data events.
    cloud.event(sqs.list_queues())
    journal = b"".join(path.read_bytes() for path in (cloud.server.data / "journal").rglob("*") if path.is_file())
    assert b'"eventName":"SendMessage"' in journal and b'"eventName":"Publish"' in journal
    names = {r["eventName"] for r in delivered.records(cloud.server)}
    assert not names & {"SendMessage", "Publish"}, "no selector of the trail takes these"


def test_callers_are_who_the_configuration_says_and_unknown_keys_are_recorded_as_they_are(cloud):
    event = cloud.event(cloud.client("sts").get_caller_identity())
    check(event, "sts", "GetCallerIdentity", True)
    event = cloud.event(cloud.client("kms", key=STRANGER).list_keys())
    assert event["userIdentity"]["accessKeyId"] == STRANGER
    assert "alice" not in json.dumps(event["userIdentity"])
    assert event["eventName"] == "ListKeys" and event["recipientAccountId"] == ACCOUNT


def test_the_region_is_that_of_the_signature(cloud):
    answer = cloud.client("sqs", region="eu-central-1").list_queues()
    assert cloud.event(answer)["awsRegion"] == "eu-central-1"


@pytest.mark.parametrize("version, spelled", [("s3v4", "SigV4"), ("s3", "SigV2")])
def test_presigned_urls_are_recorded_without_their_signature(cloud, version, spelled):
    s3 = cloud.client("s3", s3={"addressing_style": "path"}, signature_version=version)
    bucket = f"photos-{version}"
    check(cloud.event(s3.create_bucket(Bucket=bucket)), "s3", "CreateBucket", False)
    s3.put_object(Bucket=bucket, Key="cat.txt", Body=SECRETS["object-content"].encode())
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "cat.txt"}, ExpiresIn=600)
    with urllib.request.urlopen(url) as response:
        assert response.read().decode() == SECRETS["object-content"]

    def found():
        return [r for r in delivered.records(cloud.server) if r["eventName"] == "GetObject"
                and r["requestParameters"]["bucketName"] == bucket]  # fmt: skip

    [event] = wait_until(found, "delivery of the presigned call", seconds=20)
    assert event["requestParameters"]["key"] == "cat.txt"
    assert event["additionalEventData"]["AuthenticationMethod"] == "QueryString"
    assert event["additionalEventData"]["SignatureVersion"] == spelled
    assert event["userIdentity"]["userName"] == "alice"
    [signature] = [value for name, value in parse_qsl(urlsplit(url).query) if name.endswith("Signature")]
    assert signature not in json.dumps(event)


def test_buckets_in_host_names_are_buckets(cloud, monkeypatch):
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **named: resolve(
        "127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **named))  # fmt: skip
    s3 = cloud.client("s3", host="s3.localhost", s3={"addressing_style": "virtual"})
    event = cloud.event(s3.create_bucket(Bucket="pictures"))
    check(event, "s3", "CreateBucket", False)
    assert event["requestParameters"]["bucketName"] == "pictures"
    event = cloud.event(s3.put_object(Bucket="pictures", Key="a/b c.txt", Body=b"x"))
    check(event, "s3", "PutObject", False, management=False)
    assert event["requestParameters"]["bucketName"] == "pictures" and event["requestParameters"]["key"] == "a/b c.txt"
    assert event["requestParameters"]["Host"].startswith("pictures.s3.localhost")


def test_no_file_of_the_server_holds_a_secret(cloud):
    """Last: everything above has handed its secrets over by now."""
    assert "access-key" in SECRETS
    cloud.event(cloud.client("kms").list_keys())
    assert cloud.server.stop() == 0  # writes everything out
    files = [path for path in cloud.server.data.rglob("*") if path.is_file()]
    told = collections.defaultdict(list)
    for path in files + [cloud.server.log]:
        data = path.read_bytes()
        if path.name.endswith(".gz"):
            data = gzip.decompress(data)
        for secret in [*SECRETS.values(), SIGNING_SECRET]:
            if secret.encode() in data:
                told[secret].append(path.name)
    assert dict(told) == {}
    journal = b"".join(path.read_bytes() for path in files if "journal" in path.parts)
    assert b"arn:aws:secretsmanager" in journal, "the journal is no longer plain, so nothing was proven"
    cloud.server.start()
