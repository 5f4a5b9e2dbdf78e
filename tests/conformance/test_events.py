"""EventBridge: buses, rules, targets, connections, and events on their way to a webhook, as stock clients see them.

Webhooks are servers of the test on the loopback, which the configuration allows (`[outbound] allow`).
"""

import http.server
import json
import pathlib
import queue
import subprocess
import sys
import threading

import pytest

from accounts import OTHER, READER
from errors import refused
from opentrail_server import ACCOUNT, wait_until

AWS = pathlib.Path(sys.executable).parent / "aws"
IAM_PATTERN = json.dumps({"source": ["aws.iam"], "detail": {"eventName": ["CreateUser", "DeleteUser"]}})


@pytest.fixture
def events(client, region):
    """EventBridge as the root user sees it, in the test's Region."""
    return client("events", region)


class Webhook(http.server.ThreadingHTTPServer):
    """An endpoint that keeps what it is sent; it answers with the statuses that it is told, then with 200."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = queue.Queue()
        self.statuses = queue.SimpleQueue()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def next(self, seconds: float = 60):
        """The next request: method, path, headers, body."""
        return self.requests.get(timeout=seconds)


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            status = self.server.statuses.get_nowait()
        except queue.Empty:
            status = 200
        token = self.path.startswith("/token")
        answer = json.dumps({"access_token": "t0ken", "expires_in": 3600}).encode() if token else b""
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.server.requests.put((self.command, self.path, dict(self.headers.items()), body))

    do_POST = do_PUT = do_GET = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def webhook():
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def api_key() -> dict:
    return {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "s3cret"}}


def destination(events, url: str, kind: str = "API_KEY", parameters: dict | None = None, **more) -> str:
    """The ARN of an API destination at that URL."""
    parameters = parameters or api_key()
    connection = events.create_connection(Name="c", AuthorizationType=kind, AuthParameters=parameters)
    return events.create_api_destination(
        Name="d", ConnectionArn=connection["ConnectionArn"], InvocationEndpoint=url, HttpMethod="POST", **more
    )["ApiDestinationArn"]


def send_to(events, target: dict, pattern: str, **rule):
    """A rule of the default bus with that target."""
    events.put_rule(Name="r", EventPattern=pattern, **rule)
    answer = events.put_targets(Rule="r", Targets=[{"Id": "t"} | target])
    assert answer["FailedEntryCount"] == 0


def test_buses_come_and_go(events, region):
    arn = events.create_event_bus(Name="shop", Description="d")["EventBusArn"]
    assert arn == f"arn:aws:events:{region}:{ACCOUNT}:event-bus/shop"
    assert [bus["Name"] for bus in events.list_event_buses()["EventBuses"]] == ["default", "shop"]
    events.update_event_bus(Name="shop", Description="e")
    assert events.describe_event_bus(Name="shop")["Description"] == "e"
    assert events.describe_event_bus()["Arn"] == f"arn:aws:events:{region}:{ACCOUNT}:event-bus/default"
    with refused("ResourceAlreadyExistsException", "Event bus shop already exists."):
        events.create_event_bus(Name="shop")
    with refused("ValidationException"):
        events.delete_event_bus(Name="default")
    events.delete_event_bus(Name="shop")
    with refused("ResourceNotFoundException", "Event bus shop does not exist."):
        events.describe_event_bus(Name="shop")


def test_another_account_needs_the_buss_permission(events, client, region):
    bus = f"arn:aws:events:{region}:{ACCOUNT}:event-bus/default"
    theirs = client("events", region, OTHER)
    entry = {"Source": "shop", "DetailType": "order", "Detail": "{}"}
    if region.count("-") >= 2:
        # The service model takes ARNs of buses in Regions of three parts only.
        with refused("AccessDeniedException"):
            theirs.put_events(Entries=[entry | {"EventBusName": bus}])
    events.put_permission(StatementId="s", Action="events:PutEvents", Principal="*")
    policy = json.loads(events.describe_event_bus()["Policy"])
    assert [statement["Sid"] for statement in policy["Statement"]] == ["s"]
    with refused("ResourceNotFoundException"):
        events.remove_permission(StatementId="none")
    events.remove_permission(StatementId="s")
    assert "Policy" not in events.describe_event_bus()


def test_a_rule_is_told_of_as_it_was_put(events, region):
    tags = [{"Key": "team", "Value": "audit"}]
    arn = events.put_rule(Name="r", EventPattern=IAM_PATTERN, Description="d", Tags=tags)["RuleArn"]
    assert arn == f"arn:aws:events:{region}:{ACCOUNT}:rule/r"
    told = events.describe_rule(Name="r")
    told.pop("ResponseMetadata")
    assert told == {
        "Name": "r",
        "Arn": arn,
        "EventPattern": IAM_PATTERN,
        "State": "ENABLED",
        "Description": "d",
        "EventBusName": "default",
        "CreatedBy": ACCOUNT,
    }
    events.disable_rule(Name="r")
    assert events.list_rules(NamePrefix="r")["Rules"][0]["State"] == "DISABLED"
    events.enable_rule(Name="r")
    assert events.describe_rule(Name="r")["State"] == "ENABLED"
    events.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "b"}])
    events.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    events.delete_rule(Name="r")
    with refused("ResourceNotFoundException", "Rule r does not exist on EventBus default."):
        events.describe_rule(Name="r")


def test_rules_are_listed_in_pages(events):
    names = [f"rule-{number:03}" for number in range(105)]
    for name in names:
        events.put_rule(Name=name, EventPattern=IAM_PATTERN)
    first = events.list_rules(NamePrefix="rule-")
    second = events.list_rules(NamePrefix="rule-", NextToken=first["NextToken"])
    assert [rule["Name"] for rule in first["Rules"] + second["Rules"]] == names
    assert "NextToken" not in second


def test_patterns_are_judged(events):
    event = {
        "id": "1",
        "account": ACCOUNT,
        "source": "shop",
        "time": "2026-01-02T03:04:05Z",
        "region": "eu-west-1",
        "resources": [],
        "detail-type": "order",
        "detail": {"price": 5},
    }
    pattern = json.dumps({"detail": {"price": [{"numeric": [">", 4]}]}})
    assert events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"] is True
    for bad in ["{", "[]", '{"source":"shop"}']:
        with refused("InvalidEventPatternException"):
            events.put_rule(Name="r", EventPattern=bad)


def test_targets_are_checked_and_told_of(events, webhook):
    arn = destination(events, webhook.url("/hook"))
    events.put_rule(Name="r", EventPattern=IAM_PATTERN)
    with refused("ValidationException", "is not valid"):
        events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": "nonsense"}])
    with refused("ValidationException", "not available"):
        stream = "arn:aws:firehose:eu-west-1:111122223333:deliverystream/a"
        events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": stream}])
    target = {"Id": "t", "Arn": arn, "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60}}
    assert events.put_targets(Rule="r", Targets=[target])["FailedEntries"] == []
    assert events.list_targets_by_rule(Rule="r")["Targets"] == [target]
    assert events.list_rule_names_by_target(TargetArn=arn)["RuleNames"] == ["r"]
    with refused("ValidationException", "Rule can't be deleted since it has targets."):
        events.delete_rule(Name="r")
    with refused("LimitExceededException"):
        events.put_targets(Rule="r", Targets=[{"Id": f"t{number}", "Arn": arn} for number in range(6)])
    assert events.remove_targets(Rule="r", Ids=["t"])["FailedEntryCount"] == 0
    assert events.list_targets_by_rule(Rule="r")["Targets"] == []


def test_connections_keep_their_secrets(events, webhook):
    arn = destination(events, webhook.url("/hook"), InvocationRateLimitPerSecond=10)
    told = events.describe_connection(Name="c")
    assert told["AuthParameters"] == {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key"}}
    assert told["ConnectionState"] == "AUTHORIZED"
    assert "s3cret" not in json.dumps(told, default=str)
    assert [found["Name"] for found in events.list_connections()["Connections"]] == ["c"]
    events.update_connection(Name="c", AuthParameters={"ApiKeyAuthParameters": {"ApiKeyValue": "0ther"}})
    assert events.describe_api_destination(Name="d")["InvocationRateLimitPerSecond"] == 10
    events.update_api_destination(Name="d", HttpMethod="PUT")
    assert events.list_api_destinations()["ApiDestinations"][0]["HttpMethod"] == "PUT"
    assert events.list_api_destinations()["ApiDestinations"][0]["ApiDestinationArn"] == arn
    events.deauthorize_connection(Name="c")
    assert events.describe_api_destination(Name="d")["ApiDestinationState"] == "INACTIVE"
    events.delete_api_destination(Name="d")
    events.delete_connection(Name="c")
    with refused("ResourceNotFoundException"):
        events.describe_connection(Name="c")
    with refused("ValidationException"):
        destination(events, "http://169.254.169.254/latest/meta-data")


def test_an_event_goes_from_a_rule_to_a_webhook(events, webhook, region):
    arn = destination(events, webhook.url("/hooks/*"))
    pattern = json.dumps({"source": ["shop"], "detail": {"price": [{"numeric": [">", 4]}]}})
    http_parameters = {"PathParameterValues": ["a b"], "HeaderParameters": {"X-More": "more"}}
    send_to(events, {"Arn": arn, "HttpParameters": http_parameters}, pattern)
    entry = {"Source": "shop", "DetailType": "order"}
    answer = events.put_events(
        Entries=[entry | {"Detail": json.dumps({"price": price})} for price in (4, 5)] + [entry | {"Detail": "[]"}]
    )
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][2]["ErrorCode"] == "MalformedDetail"
    method, path, headers, body = webhook.next()
    assert (method, path, headers["x-key"], headers["x-more"]) == ("POST", "/hooks/a%20b", "s3cret", "more")
    event = json.loads(body)
    assert event.pop("time")
    assert event == {
        "version": "0",
        "id": answer["Entries"][1]["EventId"],
        "detail-type": "order",
        "source": "shop",
        "account": ACCOUNT,
        "region": region,
        "resources": [],
        "detail": {"price": 5},
    }


def test_a_webhook_that_fails_is_asked_again(events, webhook):
    arn = destination(events, webhook.url("/hook"))
    send_to(events, {"Arn": arn}, json.dumps({"source": ["shop"]}))
    webhook.statuses.put(500)
    events.put_events(Entries=[{"Source": "shop", "DetailType": "order", "Detail": "{}"}])
    first, second = webhook.next(), webhook.next()
    assert first[3] == second[3]


def test_a_token_is_fetched_for_the_webhook(events, webhook):
    client = {"ClientID": "us", "ClientSecret": "s3cret"}
    oauth = {"ClientParameters": client, "AuthorizationEndpoint": webhook.url("/token"), "HttpMethod": "POST"}
    arn = destination(events, webhook.url("/hook"), "OAUTH_CLIENT_CREDENTIALS", {"OAuthParameters": oauth})
    send_to(events, {"Arn": arn}, json.dumps({"source": ["shop"]}))
    events.put_events(Entries=[{"Source": "shop", "DetailType": "order", "Detail": "{}"}])
    _, path, headers, body = webhook.next()
    assert (path, body) == ("/token", b"grant_type=client_credentials")
    assert headers["authorization"].startswith("Basic ")
    _, path, headers, _ = webhook.next()
    assert (path, headers["authorization"]) == ("/hook", "Bearer t0ken")


def test_recorded_calls_reach_the_rules_of_their_region(events, client, webhook, region):
    """The test's own calls are the events."""
    arn = destination(events, webhook.url("/hook"))
    pattern = json.dumps({"source": ["aws.kms"], "detail-type": ["AWS API Call via CloudTrail"]})
    send_to(events, {"Arn": arn}, pattern)
    kms = client("kms", region)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.describe_key(KeyId=key)
    kms.disable_key(KeyId=key)
    got = [json.loads(webhook.next()[3]) for _ in range(2)]
    # Read-only calls come only to rules that ask for them.
    assert sorted(event["detail"]["eventName"] for event in got) == ["CreateKey", "DisableKey"]
    for event in got:
        assert event["id"] == event["detail"]["eventID"]
        assert (event["source"], event["region"], event["account"]) == ("aws.kms", region, ACCOUNT)
        assert event["time"] == event["detail"]["eventTime"]
    events.put_rule(Name="r", EventPattern=pattern, State="ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")
    kms.describe_key(KeyId=key)
    assert json.loads(webhook.next()[3])["detail"]["eventName"] == "DescribeKey"
    # What happens while the rule is off never comes.
    events.disable_rule(Name="r")
    kms.enable_key(KeyId=key)
    events.enable_rule(Name="r")
    kms.disable_key(KeyId=key)
    assert json.loads(webhook.next()[3])["detail"]["eventName"] == "DisableKey"


def test_an_event_goes_on_to_another_bus(events, webhook, region):
    arn = destination(events, webhook.url("/hook"))
    other = events.create_event_bus(Name="other")["EventBusArn"]
    pattern = json.dumps({"source": ["shop"]})
    send_to(events, {"Arn": other}, pattern)
    events.put_rule(Name="on", EventBusName="other", EventPattern=pattern)
    events.put_targets(Rule="on", EventBusName="other", Targets=[{"Id": "t", "Arn": arn}])
    sent = events.put_events(Entries=[{"Source": "shop", "DetailType": "order", "Detail": '{"n": 1}'}])
    assert json.loads(webhook.next()[3])["id"] == sent["Entries"][0]["EventId"]


def test_what_a_target_is_given_is_transformed(events, webhook):
    arn = destination(events, webhook.url("/hook"))
    transformer = {"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": '{"number": <n>}'}
    send_to(events, {"Arn": arn, "InputTransformer": transformer}, json.dumps({"source": ["shop"]}))
    entry = {"Source": "shop", "DetailType": "order", "Detail": '{"n": 1}'}
    events.put_events(Entries=[entry])
    assert json.loads(webhook.next()[3]) == {"number": 1}
    events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": arn, "InputPath": "$.detail"}])
    events.put_events(Entries=[entry])
    assert json.loads(webhook.next()[3]) == {"n": 1}
    with refused("ValidationException"):
        events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": arn, "Input": "{"}])


def test_a_reader_may_not_make_rules(client, region):
    reader = client("events", region, READER)
    with refused("AccessDeniedException", "events:PutRule"):
        reader.put_rule(Name="r", EventPattern=IAM_PATTERN)


def test_calls_are_recorded_without_secrets(events, client, region):
    events.create_connection(Name="c", AuthorizationType="API_KEY", AuthParameters=api_key())
    cloudtrail = client("cloudtrail", region)
    lookup = [{"AttributeKey": "EventName", "AttributeValue": "CreateConnection"}]
    found = lambda: cloudtrail.lookup_events(LookupAttributes=lookup)["Events"]
    wait_until(found, "the call is in Event history")
    record = json.loads(found()[0]["CloudTrailEvent"])
    assert record["eventSource"] == "events.amazonaws.com"
    assert "s3cret" not in found()[0]["CloudTrailEvent"]


def test_the_aws_cli_puts_events(server, events, webhook, region):
    arn = destination(events, webhook.url("/hook"))
    send_to(events, {"Arn": arn}, json.dumps({"source": ["cli"]}))
    entries = json.dumps([{"Source": "cli", "DetailType": "order", "Detail": '{"n": 1}'}])
    done = subprocess.run(
        [AWS, "events", "put-events", "--entries", entries],
        env=server.cli_environment(region),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["FailedEntryCount"] == 0
    assert json.loads(webhook.next()[3])["detail"] == {"n": 1}
