"""Sigma rules: loaded, run on what is recorded, listed, removed, hunted with."""

import json
import urllib.error
import uuid

import pytest

from accounts import READER
from opentrail_server import record, wait_until


def call(server, operation, key=None, **given):
    """The answer of `POST /v1/sigma/OPERATION`."""
    return server.post(f"/v1/sigma/{operation}", json.dumps(given).encode(), key=key)


def refusal(server, operation, key=None, **given):
    """Status and name of the error."""
    with pytest.raises(urllib.error.HTTPError) as error:
        call(server, operation, key, **given)
    answer = error.value
    return answer.code, answer.headers.get("x-amzn-errortype", "") or json.loads(answer.read()).get("__type", "")


def rule(rule_id, detection, level="high", **more):
    """YAML is a superset of JSON."""
    return json.dumps({"title": f"title of {rule_id}", "id": rule_id, "level": level, "tags": ["attack.t1136"],
                       "logsource": {"product": "aws", "service": "cloudtrail"}, "detection": detection, **more})  # fmt: skip


def load(server, *texts, **more):
    files = [{"Name": f"rule-{number}.yml", "Text": text} for number, text in enumerate(texts)]
    return call(server, "load", Files=files, **more)


def put(server, *records):
    body = "\n".join(json.dumps(record) for record in records).encode()
    assert server.put_records(body)["Accepted"] == len(records)


def findings(server, **given):
    return call(server, "findings", MaxResults=1000, **given)["Findings"]


@pytest.fixture
def name():
    """A rule's id and an event's name that no other test has."""
    return f"Sigma{uuid.uuid4().hex[:12]}"


@pytest.fixture(autouse=True)
def no_rules_left(server):
    yield
    ids = [rule["Id"] for rule in call(server, "list", MaxResults=1000)["Rules"]]
    if ids:
        call(server, "remove", Ids=ids)


def test_a_rule_finds_what_is_recorded_after_it_was_loaded(server, name):
    put(server, record(f"{name}-before", name))
    loaded = load(server, rule(name, {"selection": {"eventName": name.upper(), "sourceIPAddress|cidr": "192.0.2.0/24"},
                                      "filter_main": {"userAgent|contains": "Console"},
                                      "condition": "selection and not 1 of filter_*"}))  # fmt: skip
    assert [rule["Id"] for rule in loaded["Loaded"]] == [name] and not loaded["Refused"]
    put(server, record(f"{name}-1", name), record(f"{name}-2", name, userAgent="AWS Console"), record(f"{name}-3", "Other"))
    wait_until(lambda: findings(server, Rule=name), "the finding")
    [finding] = findings(server, Rule=name)
    assert finding["EventId"] == f"{name}-1" and finding["Record"]["eventName"] == name
    assert finding["Rule"] == {"Id": name, "Title": f"title of {name}", "Level": "high", "Tags": ["attack.t1136"]}
    assert [found["EventId"] for found in findings(server, Rule=name, Tag="attack.t1136", Level="medium")] == [f"{name}-1"]
    assert not findings(server, Rule=name, Level="critical") and not findings(server, Rule=name, Tag="attack.t9999")


def test_what_does_not_run_is_refused_by_name_and_reason_and_the_rest_is_loaded(server, name):
    windows = json.dumps({"title": "of windows", "logsource": {"product": "windows"},
                          "detection": {"s": {"a": 1}, "condition": "s"}})  # fmt: skip
    broken = rule("broken", {"s": {"a|nosuch": 1}, "condition": "s"})
    loaded = load(server, rule(name, {"s": {"eventName": name}, "condition": "s"}), windows, broken, "title: [")
    assert [rule["Id"] for rule in loaded["Loaded"]] == [name]
    refused = {refused["File"]: refused for refused in loaded["Refused"]}
    assert set(refused) == {"rule-1.yml", "rule-2.yml", "rule-3.yml"}
    assert refused["rule-1.yml"]["Rule"] == "of windows" and "product windows" in refused["rule-1.yml"]["Reason"]
    assert "nosuch" in refused["rule-2.yml"]["Reason"] and "YAML" in refused["rule-3.yml"]["Reason"]


def test_a_correlation_counts_over_time(server, name):
    base = rule(f"{name}-base", {"s": {"eventName": name}, "condition": "s"}, level="low")
    count = json.dumps({"title": "many", "id": name, "level": "critical", "correlation": {
        "type": "value_count", "rules": [f"{name}-base"], "group-by": ["userIdentity.accountId"], "timespan": "10m",
        "condition": {"gte": 3, "field": "sourceIPAddress"}}})  # fmt: skip
    assert not load(server, f"{base}\n---\n{count}")["Refused"]
    put(server, *(record(f"{name}-{n}", name, sourceIPAddress=f"192.0.2.{min(n, 3)}") for n in range(1, 6)))
    wait_until(lambda: findings(server, Rule=name), "the finding")
    [finding] = findings(server, Rule=name)
    assert finding["EventId"] == f"{name}-3" or finding["Correlation"]["Count"] == 3
    assert finding["Correlation"]["Group"][0]["Field"] == "userIdentity.accountId"
    assert not findings(server, Rule=f"{name}-base"), "what is counted is silent"
    assert refusal(server, "remove", Ids=[f"{name}-base"])[0] == 409


def test_rules_are_listed_replaced_and_removed(server, name):
    load(server, rule(name, {"s": {"eventName": "First"}, "condition": "s"}))
    load(server, rule(name, {"s": {"eventName": name}, "condition": "s"}, level="low"))
    [listed] = call(server, "list", IncludeText=True)["Rules"]
    assert (listed["Id"], listed["Level"], listed["Kind"]) == (name, "low", "detection") and name in listed["Text"]
    put(server, record(f"{name}-1", name), record(f"{name}-2", "First"))
    wait_until(lambda: findings(server, Rule=name), "the finding")
    removed = call(server, "remove", Ids=[name, "no such rule"])
    assert (removed["Removed"], removed["NotFound"]) == ([name], ["no such rule"])
    put(server, record(f"{name}-3", name))
    assert [found["EventId"] for found in findings(server, Rule=name)] == [f"{name}-1"]
    assert not call(server, "list")["Rules"]


def test_findings_come_in_pages(server, name):
    load(server, rule(name, {"s": {"eventName": name}, "condition": "s"}))
    put(server, *(record(f"{name}-{n}", name) for n in range(5)))
    wait_until(lambda: len(findings(server, Rule=name)) == 5, "five findings")
    seen, token = [], None
    while True:
        page = call(server, "findings", Rule=name, MaxResults=2, **({"NextToken": token} if token else {}))
        seen += [found["EventId"] for found in page["Findings"]]
        token = page["NextToken"]
        if not token:
            break
    assert seen == [f"{name}-{n}" for n in reversed(range(5))]


def test_requests_that_make_no_sense_and_callers_who_may_not(server):
    for operation, given in [("load", {}), ("load", {"Files": []}), ("list", {"MaxResults": 0}), ("findings", {"Level": "hot"}),
                             ("findings", {"Since": "yesterday"}), ("findings", {"Nosuch": 1})]:  # fmt: skip
        assert refusal(server, operation, **given)[0] == 400, (operation, given)
    assert refusal(server, "load", key=(READER.id, READER.secret), Files=[{"Name": "x", "Text": "title: x"}])[0] == 403
    assert refusal(server, "findings", Account="999988887777")[0] == 403


def test_each_call_is_recorded_without_the_rules_texts(server, client, name):
    secret = f"text-of-{name}"
    load(server, rule(name, {"s": {"eventName": secret}, "condition": "s"}))
    trail = client("cloudtrail")
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "LoadSigmaRules"}]
    wait_until(lambda: trail.lookup_events(LookupAttributes=attributes)["Events"], "the call's event")
    events = [event["CloudTrailEvent"] for event in trail.lookup_events(LookupAttributes=attributes)["Events"]]
    assert all(secret not in event for event in events)
