"""Queues and functions of another cloud as targets of rules: moto judges what it is sent."""

import datetime
import http.server
import io
import json
import threading
import urllib.error
import urllib.request
import zipfile

import pytest
from moto_server import CONFIG, moto_server
from opentrail_server import REGION, Server, wait_until

THERE = "123456789012"
PATTERN = json.dumps({"source": ["shop"]})
KEYS = ["RULE_ARN", "TARGET_ARN", "ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS"]


class Passing(http.server.ThreadingHTTPServer):
    """Passes requests on to moto, and keeps their paths, headers, bodies and the answers' statuses."""

    def __init__(self, to):
        super().__init__(("127.0.0.1", 0), PassingHandler)
        self.to, self.passed = to, []
        self.url = f"http://127.0.0.1:{self.server_port}"


class PassingHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        onward = urllib.request.Request(self.server.to + self.path, body, dict(self.headers.items()), method="POST")
        try:
            answer = urllib.request.urlopen(onward, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.server.passed.append((self.path, self.headers, body, answer.status))

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    with moto_server(tmp_path_factory.mktemp("moto")) as moto:
        yield moto


@pytest.fixture(scope="module")
def passing(moto):
    with Passing(moto.endpoint) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(moto, passing, tmp_path_factory):
    config = CONFIG.format(service="sqs", endpoint=moto.endpoint)
    config += CONFIG.format(service="lambda", endpoint=passing.url) + "[events]\nmost_waiting = 1000\n"
    with Server(tmp_path_factory.mktemp("server"), config, ["--log", "warn"]) as server:
        yield server
        assert server.stop() == 0


@pytest.fixture
def events(server):
    """EventBridge. Rules that the test leaves are deleted."""
    events = server.client("events")
    yield events
    for rule in events.list_rules()["Rules"]:
        targets = [target["Id"] for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]]
        if targets:
            events.remove_targets(Rule=rule["Name"], Ids=targets)
        events.delete_rule(Name=rule["Name"])


def queue(moto, name, **attributes):
    """The URL and the ARN of a new queue."""
    sqs = moto.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def send(events, **target):
    """One event of the shop to that target alone; its id."""
    events.put_rule(Name="r", EventPattern=PATTERN)
    assert events.put_targets(Rule="r", Targets=[{"Id": "t"} | target])["FailedEntryCount"] == 0
    return put(events)


def put(events, detail="{}"):
    answer = events.put_events(Entries=[{"Source": "shop", "DetailType": "order", "Detail": detail}])
    return answer["Entries"][0]["EventId"]


def message(moto, url):
    """The queue's next message, which is deleted."""
    sqs = moto.client("sqs")
    ask = {"MessageAttributeNames": ["All"], "AttributeNames": ["All"], "WaitTimeSeconds": 1}
    found = wait_until(lambda: sqs.receive_message(QueueUrl=url, **ask).get("Messages"), "a message")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=found[0]["ReceiptHandle"])
    return found[0]


def test_an_event_is_a_message_of_a_queue(events, moto):
    url, arn = queue(moto, "standard")
    event_id = send(events, Arn=arn)
    found = message(moto, url)
    event = json.loads(found["Body"])
    assert (event["id"], event["detail-type"], event["source"]) == (event_id, "order", "shop")
    assert "MessageAttributes" not in found


def test_a_fifo_queue_gets_its_message_group(events, moto):
    url, arn = queue(moto, "ordered.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    send(events, Arn=arn, SqsParameters={"MessageGroupId": "orders"}, InputPath="$.detail-type")
    found = message(moto, url)
    assert (found["Body"], found["Attributes"]["MessageGroupId"]) == ('"order"', "orders")


def test_what_a_queue_that_is_not_there_does_not_get_is_a_dead_letter(events, moto):
    url, dead = queue(moto, "dead")
    gone = f"arn:aws:sqs:{REGION}:{THERE}:none"
    event_id = send(events, Arn=gone, DeadLetterConfig={"Arn": dead})
    found = message(moto, url)
    assert json.loads(found["Body"])["id"] == event_id
    told = {name: found["MessageAttributes"][name]["StringValue"] for name in KEYS}
    assert told["ERROR_MESSAGE"]
    assert (told["ERROR_CODE"], told["TARGET_ARN"], told["RETRY_ATTEMPTS"]) == ("NO_RESOURCE", gone, "0")
    assert told["RULE_ARN"].endswith(":rule/r")


def function(moto, name):
    """The ARN of a new function."""
    role = {"Version": "2012-10-17", "Statement": []}
    role = moto.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(role))["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", "def handler(event, context):\n    return event\n")
    made = moto.client("lambda").create_function(
        FunctionName=name, Runtime="python3.13", Role=role, Handler="f.handler", Code={"ZipFile": code.getvalue()}
    )
    return made["FunctionArn"]


def test_a_function_is_invoked_with_the_event(events, moto, passing):
    moto.configure(**{"lambda": {"use_docker": False}})
    arn = function(moto, "works")
    event_id = send(events, Arn=arn)
    path, headers, body, status = wait_until(lambda: passing.passed and passing.passed.pop(), "the invocation")
    assert path == f"/2015-03-31/functions/{arn.replace(':', '%3A').replace('-', '%2D')}/invocations"
    assert (headers["x-amz-invocation-type"], status) == ("Event", 202)
    assert "SignedHeaders=" in headers["authorization"]
    assert f"/{REGION}/lambda/aws4_request" in headers["authorization"]
    assert json.loads(body)["id"] == event_id


def test_a_function_that_is_not_there_is_told_of_in_a_dead_letter(events, moto, passing):
    moto.configure(**{"lambda": {"use_docker": True}})
    url, dead = queue(moto, "dead-functions")
    gone = f"arn:aws:lambda:{REGION}:{THERE}:function:none"
    send(events, Arn=gone, DeadLetterConfig={"Arn": dead})
    found = message(moto, url)
    assert passing.passed.pop()[3] == 404
    assert found["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"


def test_a_target_that_takes_nothing_leaves_room_and_what_finds_none_is_a_dead_letter(events, server, moto):
    """1,000 invocations may wait. A topic without the permission keeps its own waiting; a queue goes on."""
    url, dead = queue(moto, "dead-overflow")
    works_url, works = queue(moto, "goes-on")
    topic = server.client("sns").create_topic(Name="forbidden")["TopicArn"]
    events.put_rule(Name="stuck", EventPattern=json.dumps({"source": ["elsewhere"]}))
    events.put_targets(Rule="stuck", Targets=[{"Id": "t", "Arn": topic, "DeadLetterConfig": {"Arn": dead}}])
    entry = {"Source": "elsewhere", "DetailType": "order", "Detail": "{}"}
    for _ in range(101):
        assert events.put_events(Entries=[entry] * 10)["FailedEntryCount"] == 0
    told = message(moto, url)["MessageAttributes"]
    assert (told["ERROR_CODE"]["StringValue"], told["TARGET_ARN"]["StringValue"]) == ("THROTTLING", topic)
    event_id = send(events, Arn=works)
    assert json.loads(message(moto, works_url)["Body"])["id"] == event_id

    metrics = server.client("cloudwatch")

    def failed():
        query = {"Namespace": "AWS/Events", "MetricName": "FailedInvocations"}
        query["Dimensions"] = [{"Name": "RuleName", "Value": "stuck"}]
        stat = {"Metric": query, "Period": 60, "Stat": "Sum"}
        now, hour = datetime.datetime.now(datetime.UTC), datetime.timedelta(hours=1)
        answer = metrics.get_metric_data(
            MetricDataQueries=[{"Id": "f", "MetricStat": stat}], StartTime=now - hour, EndTime=now + hour
        )
        return sum(answer["MetricDataResults"][0]["Values"])

    assert wait_until(failed, "the metric") == 10
