"""Topics and notifications: boto3 and the AWS CLI against the server, a web server and moto's queues as endpoints."""

import base64
import http.server
import json
import pathlib
import queue
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import boto3
import pytest
from accounts import CONFIG, OTHER, OTHER_ACCOUNT, READER
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from errors import refused
from opentrail_server import ACCOUNT, Server, free_port, wait_until

REGION = "us-east-1"
AWS = pathlib.Path(sys.executable).parent / "aws"

SETTINGS = """
[sns]
public_endpoint = "{endpoint}"

[sqs]
endpoint = "{queues}"
region = "us-east-1"
access_key_id = "AKIAQUEUES"
secret_access_key = "secret"
"""


class Site:
    """A web server that keeps what it receives, and answers each path with a status that can be set."""

    def __init__(self):
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                site.received.put((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                statuses = site.statuses.get(self.path)
                self.send_response(statuses.pop(0) if statuses else 200)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.received, self.statuses = queue.Queue(), {}
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self, path):
        """Headers and body of the next request, which is for that path."""
        got, headers, body = self.received.get(timeout=30)
        assert got == path
        return headers, body


@pytest.fixture
def site():
    site = Site()
    yield site
    site.server.shutdown()


@pytest.fixture(scope="module")
def queues():
    """moto's SQS; its URL."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listening():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listening, "moto's start")
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def sns_server(tmp_path_factory, queues):
    """A server whose endpoints may be on this machine."""
    server = Server(tmp_path_factory.mktemp("sns"), CONFIG)
    server.config.write_text(CONFIG + SETTINGS.format(endpoint=server.endpoint, queues=queues))
    server.start()
    yield server
    assert server.stop() == 0


@pytest.fixture
def sns(sns_server):
    return sns_server.client("sns", REGION, parameter_validation=False)


@pytest.fixture
def as_other(sns_server):
    return sns_server.client("sns", REGION, (OTHER.id, OTHER.secret), parameter_validation=False)


@pytest.fixture
def topic(sns, request):
    """A topic of the test's own; its ARN."""
    arn = sns.create_topic(Name=request.node.name.split("[")[0][:200])["TopicArn"]
    yield arn
    sns.delete_topic(TopicArn=arn)


@pytest.fixture
def sqs(queues):
    return boto3.client("sqs", region_name=REGION, endpoint_url=queues, aws_access_key_id=ACCOUNT,
                        aws_secret_access_key="x")


def make_queue(sqs, name):
    """A queue's URL, and its ARN as moto has it: that account's are subscribed."""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def received(sqs, url):
    def take():
        return sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=1).get("Messages")

    [message] = wait_until(take, "a message in the queue")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return message


def verify(document):
    """As the Developer Guide has receivers do it."""
    names = {"Notification": ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]}.get(
        document["Type"], ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"])
    text = "".join(f"{name}\n{document[name]}\n" for name in names if name in document)
    pem = urllib.request.urlopen(document["SigningCertURL"]).read()
    hash_of = {"1": hashes.SHA1(), "2": hashes.SHA256()}[document["SignatureVersion"]]
    key = x509.load_pem_x509_certificate(pem).public_key()
    key.verify(base64.b64decode(document["Signature"]), text.encode(), padding.PKCS1v15(), hash_of)


def confirmed(sns, site, topic, path, **settings):
    """Subscribes a path of the site and follows the link that it gets; the subscription's ARN."""
    answer = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=site.base + path, **settings)
    assert answer["SubscriptionArn"] == "pending confirmation"
    headers, body = site.next(path)
    document = json.loads(body)
    assert headers["x-amz-sns-message-type"] == document["Type"] == "SubscriptionConfirmation"
    verify(document)
    page = urllib.request.urlopen(document["SubscribeURL"]).read().decode()
    return page.split("<SubscriptionArn>")[1].split("<")[0]


def test_topics_are_made_shown_changed_and_deleted(sns, topic):
    assert sns.create_topic(Name=topic.rsplit(":", 1)[1])["TopicArn"] == topic
    attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert attributes["Owner"] == ACCOUNT and attributes["SubscriptionsConfirmed"] == "0"
    assert json.loads(attributes["Policy"])["Id"] == "__default_policy_ID"
    assert json.loads(attributes["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"]["numRetries"] == 3
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="<A & B>")
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"] == "<A & B>"
    pages = sns.get_paginator("list_topics").paginate()
    assert topic in [entry["TopicArn"] for page in pages for entry in page["Topics"]]
    with refused("InvalidParameter"):
        sns.create_topic(Name="a b")
    with refused("NotFound", status=404):
        sns.get_topic_attributes(TopicArn=topic + "-not")


def test_topics_have_tags(sns, topic):
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    sns.untag_resource(ResourceArn=topic, TagKeys=["a"])
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "b", "Value": ""}]


def test_other_accounts_may_what_the_policy_says(sns, as_other, topic):
    with refused("AuthorizationError", status=403):
        as_other.publish(TopicArn=topic, Message="m")
    sns.add_permission(TopicArn=topic, Label="other", AWSAccountId=[OTHER_ACCOUNT], ActionName=["Publish"])
    assert as_other.publish(TopicArn=topic, Message="m")["MessageId"]
    sns.remove_permission(TopicArn=topic, Label="other")
    with refused("AuthorizationError", status=403):
        as_other.publish(TopicArn=topic, Message="m")


def test_users_need_a_policy_of_their_own(sns_server, topic):
    reader = sns_server.client("sns", REGION, (READER.id, READER.secret))
    with refused("AuthorizationError", status=403):
        reader.publish(TopicArn=topic, Message="m")


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_endpoint_gets_signed_notifications(sns, site, topic, version):
    sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue=version)
    arn = confirmed(sns, site, topic, "/hook")
    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [(one["SubscriptionArn"], one["Endpoint"]) for one in listed] == [(arn, site.base + "/hook")]
    assert arn in [one["SubscriptionArn"] for one in sns.list_subscriptions()["Subscriptions"]]
    message = 'Größe "1"\n<zwei> 😀'
    published = sns.publish(TopicArn=topic, Message=message, Subject="Überschrift", MessageAttributes={
        "kind": {"DataType": "String", "StringValue": "alarm"}, "bytes": {"DataType": "Binary", "BinaryValue": b"\0\1"}})
    headers, body = site.next("/hook")
    document = json.loads(body)
    verify(document)
    assert document["SignatureVersion"] == version
    assert (document["Message"], document["Subject"]) == (message, "Überschrift")
    assert document["MessageId"] == published["MessageId"] == headers["x-amz-sns-message-id"]
    assert headers["x-amz-sns-subscription-arn"] == arn and headers["x-amz-sns-topic-arn"] == topic
    assert document["MessageAttributes"] == {"kind": {"Type": "String", "Value": "alarm"},
                                             "bytes": {"Type": "Binary", "Value": "AAE="}}
    with pytest.raises(Exception):
        verify(document | {"Message": "another"})


def test_links_end_and_restore_a_subscription(sns, site, topic):
    confirmed(sns, site, topic, "/hook")
    sns.publish(TopicArn=topic, Message="m")
    link = json.loads(site.next("/hook")[1])["UnsubscribeURL"]
    assert urllib.request.urlopen(link).status == 200
    document = json.loads(site.next("/hook")[1])
    assert document["Type"] == "UnsubscribeConfirmation"
    verify(document)
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
    arn = sns.confirm_subscription(TopicArn=topic, Token=document["Token"],
                                   AuthenticateOnUnsubscribe="true")["SubscriptionArn"]
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(link)
    assert answer.value.code == 403
    sns.unsubscribe(SubscriptionArn=arn)
    with refused("InvalidParameter"):
        sns.confirm_subscription(TopicArn=topic, Token="0" * 96)


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[fd00::1]/"])
def test_endpoints_inside_are_refused(sns, topic, url):
    with refused("InvalidParameter"):
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url)


def test_filters_decide_and_failures_are_retried(sns, site, topic):
    arn = confirmed(sns, site, topic, "/hook", Attributes={"FilterPolicy": json.dumps({"kind": [{"prefix": "al"}]})})
    policy = {"healthyRetryPolicy": {"numRetries": 2, "minDelayTarget": 1, "maxDelayTarget": 1}}
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="DeliveryPolicy", AttributeValue=json.dumps(policy))
    attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert attributes["FilterPolicyScope"] == "MessageAttributes" and attributes["PendingConfirmation"] == "false"
    assert json.loads(attributes["EffectiveDeliveryPolicy"])["healthyRetryPolicy"]["numRetries"] == 2
    with refused("InvalidParameter"):
        sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue='{"a":1}')
    site.statuses["/hook"] = [500, 503]
    for kind in ["other", "alarm"]:
        sns.publish(TopicArn=topic, Message=kind, MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}})
    for _ in range(3):
        assert json.loads(site.next("/hook")[1])["Message"] == "alarm"


def test_batches_reach_queues_and_what_is_refused_the_dead_letter_queue(sns, sqs, site, topic):
    url, arn = make_queue(sqs, "notifications")
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"},
                                 ReturnSubscriptionArn=True)["SubscriptionArn"]
    if sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]["PendingConfirmation"] == "true":
        # moto's queues are another account's: it is asked in the queue.
        token = json.loads(received(sqs, url)["Body"])["Token"]
        assert sns.confirm_subscription(TopicArn=topic, Token=token)["SubscriptionArn"] == subscription
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[
        {"Id": "good", "Message": "m", "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "7"}}},
        {"Id": "empty", "Message": ""}])
    assert [one["Id"] for one in answer["Successful"]] == ["good"]
    assert [(one["Id"], one["Code"], one["SenderFault"]) for one in answer["Failed"]] == [
        ("empty", "InvalidParameter", True)]
    message = received(sqs, url)
    assert message["Body"] == "m" and message["MessageAttributes"]["n"]["StringValue"] == "7"


def test_what_was_published_before_a_kill_is_delivered(sns_server, site):
    sns = sns_server.client("sns", REGION)
    topic = sns.create_topic(Name="killed")["TopicArn"]
    arn = confirmed(sns, site, topic, "/hook")
    policy = {"healthyRetryPolicy": {"numRetries": 10, "minDelayTarget": 1, "maxDelayTarget": 1}}
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="DeliveryPolicy", AttributeValue=json.dumps(policy))
    site.statuses["/hook"] = [503]
    ids = {sns.publish(TopicArn=topic, Message=str(n))["MessageId"] for n in range(20)}
    sns_server.kill()
    sns_server.start()
    delivered = set()
    while delivered != ids:
        delivered.add(json.loads(site.next("/hook")[1])["MessageId"])
    sns_server.client("sns", REGION).delete_topic(TopicArn=topic)


def test_the_cli_publishes(sns_server, topic):
    answer = subprocess.run([sys.executable, AWS, "sns", "publish", "--topic-arn", topic, "--message", "m"],
                            env=sns_server.cli_environment(REGION), capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["MessageId"]
