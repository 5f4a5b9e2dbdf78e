"""Event patterns as stock clients test them: `TestEventPattern`, and the refusals that it shares with `PutRule`."""

import json

import pytest

from errors import refused

EVENT = {
    "id": "1",
    "source": "aws.iam",
    "detail-type": "AWS API Call via CloudTrail",
    "account": "123456789012",
    "region": "us-east-1",
    "time": "2026-01-02T03:04:05Z",
    "resources": ["arn:aws:iam::123456789012:user/alice", "arn:aws:iam::123456789012:user/bob"],
    "detail": {
        "eventName": "CreateAccessKey",
        "sourceIPAddress": "192.0.2.7",
        "readOnly": False,
        "errorCode": None,
        "requestParameters": {"userName": "Alice", "limit": 3.0},
        "tags": [{"key": "team", "value": "red"}, {"key": "stage", "value": "prod"}],
        "additional.data": "x",
    },
}


@pytest.fixture
def events(client, region):
    """EventBridge as the root user sees it, in the test's Region."""
    return client("events", region)


def detail(**tests) -> dict:
    return {"detail": tests}


def matches(events, pattern: dict) -> bool:
    return events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(EVENT))["Result"]


MATCHING = {
    "equal": {"source": ["aws.iam", "aws.sts"]},
    "one of an array": {"resources": ["arn:aws:iam::123456789012:user/bob"]},
    "boolean": detail(readOnly=[False]),
    "null": detail(errorCode=[None]),
    "number by value": detail(requestParameters={"limit": [3]}),
    "prefix": detail(eventName=[{"prefix": "Create"}]),
    "prefix in any case": detail(eventName=[{"prefix": {"equals-ignore-case": "CREATE"}}]),
    "suffix": detail(eventName=[{"suffix": "Key"}]),
    "any case": detail(requestParameters={"userName": [{"equals-ignore-case": "aLICE"}]}),
    "wildcard": {"resources": [{"wildcard": "arn:aws:iam::*:user/a*"}]},
    "anything-but": detail(eventName=[{"anything-but": ["DeleteAccessKey", "UpdateAccessKey"]}]),
    "anything-but prefix": detail(eventName=[{"anything-but": {"prefix": "Get"}}]),
    "anything-but wildcard": detail(eventName=[{"anything-but": {"wildcard": "*Trail*"}}]),
    "numeric": detail(requestParameters={"limit": [{"numeric": [">", 0, "<=", 3]}]}),
    "cidr": detail(sourceIPAddress=[{"cidr": "192.0.2.0/24"}]),
    "exists": detail(errorCode=[{"exists": True}], errorMessage=[{"exists": False}]),
    "or": {"$or": [{"source": ["aws.s3"]}, {"detail": {"$or": [{"eventName": ["x"]}, {"readOnly": [False]}]}}]},
    "one object of an array": detail(tags={"key": ["team"], "value": ["red"]}),
    "dots": detail(additional={"data": ["x"]}),
}

OTHERS = {
    "case": detail(eventName=["createaccesskey"]),
    "two fields": {"source": ["aws.iam"], "detail": {"readOnly": [True]}},
    "anything-but of a missing field": detail(missing=[{"anything-but": "x"}]),
    "exists on an object": detail(requestParameters=[{"exists": True}]),
    "two objects of an array": detail(tags={"key": ["team"], "value": ["prod"]}),
    "a block of other addresses": detail(sourceIPAddress=[{"cidr": "10.0.0.0/8"}]),
}


@pytest.mark.parametrize("pattern", MATCHING.values(), ids=MATCHING.keys())
def test_patterns_match(events, pattern):
    assert matches(events, pattern)


@pytest.mark.parametrize("pattern", OTHERS.values(), ids=OTHERS.keys())
def test_patterns_do_not_match(events, pattern):
    assert not matches(events, pattern)


REFUSED = {
    '{"int": 42}': '"int" must be an object or an array\n at [Source: (String)"{"int": 42}"; line: 1, column: 11]',
    '{"a": []}': "Empty arrays are not allowed",
    '{"a": {}}': "Empty objects are not allowed",
    '{"a": [{"EXISTS": true}]}': "Unrecognized match type EXISTS",
    '{"a": [{"prefix": 5}]}': "prefix match pattern must be a string",
    '{"a": [{"wildcard": "a**b"}]}': "Consecutive wildcard characters at pos 2",
    '{"a": [{"wildcard": "*:*:*:*:*:event-bus/*"}]}': "Rule is too complex - try using fewer wildcard characters",
    '{"a": [{"anything-but": ["x", 1]}]}': "Inside anything but list, either all values are number or string",
    '{"a": [{"cidr": "10.0.0.0"}]}': "Malformed CIDR, one '/' required",
    '["a"]': "Filter is not an object",
}


@pytest.mark.parametrize("pattern", REFUSED.keys())
def test_what_is_no_pattern_is_refused_in_event_bridges_words(events, pattern):
    expected = f"Event pattern is not valid. Reason: {REFUSED[pattern]}"
    with refused("InvalidEventPatternException", expected):
        events.test_event_pattern(EventPattern=pattern, Event=json.dumps(EVENT))
