"""The Event history."""

import datetime
import json

import pytest

from accounts import OTHER, READER
from errors import refused
from opentrail_server import ACCOUNT, wait_until
from records import put_records, record


def lookup(cloudtrail, key: str | None = None, value: str | None = None, **arguments) -> list[dict]:
    if key is not None:
        arguments["LookupAttributes"] = [{"AttributeKey": key, "AttributeValue": value}]
    pages = cloudtrail.get_paginator("lookup_events").paginate(**arguments)
    return [event for page in pages for event in page["Events"]]


def find(cloudtrail, name: str) -> dict:
    """The newest event of that name, once it is visible."""
    return wait_until(lambda: lookup(cloudtrail, "EventName", name), f"a {name} event")[0]


@pytest.mark.operation("LookupEvents")
def test_a_call_is_found_as_a_complete_event(server, cloudtrail, trail, bucket, region):
    event = find(cloudtrail, "CreateTrail")
    raw = json.loads(event["CloudTrailEvent"])
    assert event["EventId"] == raw["eventID"]
    assert event["EventSource"] == raw["eventSource"] == "cloudtrail.amazonaws.com"
    assert event["ReadOnly"] == "false"
    assert event["Username"] == "root"
    assert event["AccessKeyId"] == server.key()[0]
    assert event["EventTime"].astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ") == raw["eventTime"]
    assert {"ResourceType": "AWS::CloudTrail::Trail", "ResourceName": trail} in event["Resources"] or {
        "ResourceType": "AWS::CloudTrail::Trail",
        "ResourceName": "main",
    } in event["Resources"]
    assert raw["awsRegion"] == region
    assert raw["recipientAccountId"] == ACCOUNT
    assert raw["userIdentity"]["type"] == "Root"
    assert raw["requestParameters"]["name"] == "main"
    assert raw["requestParameters"]["s3BucketName"] == bucket
    assert raw["responseElements"]["trailARN"] == trail
    assert raw["managementEvent"] is True
    assert raw["eventType"] == "AwsApiCall"


@pytest.mark.operation("LookupEvents")
def test_a_refused_call_is_found_too(cloudtrail, client, region):
    with refused("TrailNotFoundException"):
        cloudtrail.start_logging(Name="absent")
    raw = json.loads(find(cloudtrail, "StartLogging")["CloudTrailEvent"])
    assert raw["errorCode"] == "TrailNotFoundException"
    assert "absent" in raw["errorMessage"]
    with refused("AccessDeniedException"):
        client("cloudtrail", region, READER).get_trail(Name="main")
    raw = json.loads(find(cloudtrail, "GetTrail")["CloudTrailEvent"])
    assert raw["errorCode"] == "AccessDenied"
    assert raw["userIdentity"]["userName"] == "reader"


@pytest.mark.operation("LookupEvents")
def test_the_event_carries_the_request_id_that_the_client_got(cloudtrail):
    request_id = cloudtrail.list_public_keys()["ResponseMetadata"]["RequestId"]
    assert json.loads(find(cloudtrail, "ListPublicKeys")["CloudTrailEvent"])["requestID"] == request_id


@pytest.mark.operation("LookupEvents")
def test_every_attribute_finds_its_events(server, cloudtrail, region):
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    wanted = record(
        region,
        now,
        eventName="WantedCall",
        eventSource="wanted.amazonaws.com",
        readOnly=True,
        userIdentity={"type": "IAMUser", "accountId": ACCOUNT, "userName": "wanted", "accessKeyId": "AKIAWANTED"},
        resources=[{"type": "AWS::Wanted::Thing", "ARN": "arn:aws:wanted:::thing", "accountId": ACCOUNT}],
    )
    other = record(region, now, readOnly=False)
    put_records(server, region, [wanted, other])
    wait_until(lambda: lookup(cloudtrail, "EventId", other["eventID"]), "the events")
    attributes = {
        "EventId": wanted["eventID"],
        "EventName": "WantedCall",
        "ReadOnly": "true",
        "Username": "wanted",
        "ResourceType": "AWS::Wanted::Thing",
        "ResourceName": "arn:aws:wanted:::thing",
        "EventSource": "wanted.amazonaws.com",
        "AccessKeyId": "AKIAWANTED",
    }
    for key, value in attributes.items():
        # The lookups of this test are events themselves, with `ReadOnly` true.
        found = [event for event in lookup(cloudtrail, key, value) if event["EventName"] != "LookupEvents"]
        assert [event["EventId"] for event in found] == [wanted["eventID"]], key
        assert found[0]["CloudTrailEvent"] == json.dumps(wanted, separators=(",", ":"))


@pytest.mark.operation("LookupEvents")
def test_times_are_inclusive(server, cloudtrail, region):
    noon = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - datetime.timedelta(days=1)
    records = [record(region, noon + datetime.timedelta(seconds=second)) for second in range(3)]
    put_records(server, region, records)
    ids = [r["eventID"] for r in records]
    wait_until(lambda: len(lookup(cloudtrail, EndTime=noon + datetime.timedelta(hours=1))) == 3, "the events")

    def between(start, end):
        second = datetime.timedelta(seconds=1)
        return [e["EventId"] for e in lookup(cloudtrail, StartTime=noon + start * second, EndTime=noon + end * second)]

    assert between(0, 2) == ids[::-1]
    assert between(1, 1) == [ids[1]]
    assert between(3, 9) == []


@pytest.mark.operation("LookupEvents")
def test_pages_walk_10_000_events_without_repeat_or_gap_while_new_ones_arrive(server, cloudtrail, region):
    start = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - datetime.timedelta(hours=5)
    records = [
        record(region, start + datetime.timedelta(seconds=number // 3), eventName="Walked") for number in range(10_000)
    ]
    for first in range(0, len(records), 1000):
        put_records(server, region, records[first : first + 1000])
    wait_until(lambda: lookup(cloudtrail, "EventId", records[-1]["eventID"]), "the events")
    seen = []
    pages = cloudtrail.get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "Walked"}]
    )
    for number, page in enumerate(pages):
        assert len(page["Events"]) <= 50
        seen += page["Events"]
        if number % 20 == 0:
            put_records(server, region, [record(region, datetime.datetime.now(datetime.UTC), eventName="Walked")])
    ids = [event["EventId"] for event in seen]
    assert len(ids) == len(set(ids)), "no event comes twice"
    assert set(ids) >= {r["eventID"] for r in records}, "no event is missing"
    times = [event["EventTime"] for event in seen]
    assert times == sorted(times, reverse=True), "newest first"


@pytest.mark.operation("LookupEvents")
def test_a_page_has_as_many_events_as_asked_for(server, cloudtrail, client, region):
    now = datetime.datetime.now(datetime.UTC)
    put_records(server, region, [record(region, now, eventName="Paged") for _ in range(60)])
    wanted = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "Paged"}]}
    wait_until(lambda: len(lookup(cloudtrail, "EventName", "Paged")) == 60, "the events")
    assert len(cloudtrail.lookup_events(**wanted)["Events"]) == 50
    first = cloudtrail.lookup_events(**wanted, MaxResults=7)
    assert len(first["Events"]) == 7
    token = first["NextToken"]
    assert cloudtrail.lookup_events(**wanted, MaxResults=7, NextToken=token)["Events"]
    assert "NextToken" not in cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "NoSuchCall"}]
    )
    for bad in ("made-up", token[:-4] + "AAA=", ""):
        with refused("InvalidNextTokenException"):
            cloudtrail.lookup_events(**wanted, NextToken=bad)
    with refused("InvalidNextTokenException"):
        cloudtrail.lookup_events(NextToken=token)
    with refused("InvalidNextTokenException"):
        client("cloudtrail", f"{region}-too").lookup_events(**wanted, NextToken=token)
    with refused("InvalidNextTokenException"):
        client("cloudtrail", region, OTHER).lookup_events(**wanted, NextToken=token)


@pytest.mark.operation("LookupEvents")
def test_insights_are_empty_for_now(cloudtrail):
    cloudtrail.list_trails()
    find(cloudtrail, "ListTrails")
    answer = cloudtrail.lookup_events(EventCategory="insight")
    assert answer["Events"] == []
    assert "NextToken" not in answer


def attribute(key: str, value: str) -> dict:
    return {"AttributeKey": key, "AttributeValue": value}


@pytest.mark.operation("LookupEvents")
@pytest.mark.parametrize(
    "arguments, error",
    [
        ({"LookupAttributes": [attribute("EventName", "A"), attribute("EventName", "B")]},
         "InvalidLookupAttributesException"),
        ({"LookupAttributes": [attribute("eventname", "A")]}, "InvalidLookupAttributesException"),
        ({"LookupAttributes": [attribute("EventName", "")]}, "InvalidLookupAttributesException"),
        ({"LookupAttributes": [attribute("EventName", "a" * 2001)]}, "InvalidLookupAttributesException"),
        ({"LookupAttributes": [attribute("EventName", "_" * 1001)]}, "InvalidLookupAttributesException"),
        ({"LookupAttributes": [attribute("ReadOnly", "maybe")]}, "InvalidLookupAttributesException"),
        ({"LookupAttributes": [attribute("Username", "u")], "EventCategory": "insight"},
         "InvalidLookupAttributesException"),
        ({"EventCategory": "management"}, "InvalidEventCategoryException"),
        ({"MaxResults": 0}, "InvalidMaxResultsException"),
        ({"MaxResults": 51}, "InvalidMaxResultsException"),
        ({"StartTime": 2, "EndTime": 1}, "InvalidTimeRangeException"),
    ],
)
def test_lookup_events_refuses(cloudtrail, arguments, error):
    with refused(error):
        cloudtrail.lookup_events(**arguments)


@pytest.mark.operation("LookupEvents")
def test_events_of_other_accounts_and_regions_are_not_seen(client, cloudtrail, region):
    cloudtrail.list_trails()
    find(cloudtrail, "ListTrails")
    assert lookup(client("cloudtrail", f"{region}-too"), "EventName", "ListTrails") == []
    assert lookup(client("cloudtrail", region, OTHER), "EventName", "ListTrails") == []
