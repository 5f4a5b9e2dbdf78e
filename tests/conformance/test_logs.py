"""CloudWatch Logs as the AWS CLI and boto3 use it: groups, events, searches, metric filters, live tail, queries."""

import json
import sys
import time

import pytest
from accounts import READER
from errors import refused
from opentrail_server import ACCOUNT, wait_until



@pytest.fixture
def logs(client, region):
    """CloudWatch Logs as the root user sees it, in the test's Region."""
    return client("logs", region)


@pytest.fixture
def group(logs) -> str:
    """A group with the stream `s`."""
    logs.create_log_group(logGroupName="/test/group", tags={"team": "audit"})
    logs.create_log_stream(logGroupName="/test/group", logStreamName="s")
    return "/test/group"


def now() -> int:
    return int(time.time() * 1000)


def put(logs, group, *messages, stream="s", at=None):
    begin = now() if at is None else at
    events = [{"timestamp": begin + number, "message": message} for number, message in enumerate(messages)]
    answer = logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    assert "rejectedLogEventsInfo" not in answer
    return begin


def test_a_group_is_described_as_it_was_made(logs, group, region):
    [found] = logs.describe_log_groups(logGroupNamePrefix="/test")["logGroups"]
    arn = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}"
    assert (found["arn"], found["logGroupArn"], found["logGroupClass"]) == (f"{arn}:*", arn, "STANDARD")
    assert "retentionInDays" not in found and found["metricFilterCount"] == 0
    logs.put_retention_policy(logGroupName=group, retentionInDays=30)
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 30
    logs.delete_retention_policy(logGroupName=group)
    assert "retentionInDays" not in logs.describe_log_groups()["logGroups"][0]
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "audit"}
    logs.tag_resource(resourceArn=arn, tags={"stage": "test"})
    logs.untag_log_group(logGroupName=group, tags=["team"])
    assert logs.list_tags_log_group(logGroupName=group)["tags"] == {"stage": "test"}
    with refused("ResourceAlreadyExistsException", "The specified log group already exists"):
        logs.create_log_group(logGroupName=group)
    logs.delete_log_group(logGroupName=group)
    with refused("ResourceNotFoundException", "The specified log group does not exist."):
        logs.describe_log_streams(logGroupName=group)


def test_groups_come_in_pages(logs):
    for number in range(5):
        logs.create_log_group(logGroupName=f"page-{number}")
    pages = logs.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 2})
    assert [found["logGroupName"] for page in pages for found in page["logGroups"]] == [f"page-{n}" for n in range(5)]


@pytest.mark.parametrize("settings", [
    {"kmsKeyId": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/x"}, {"logGroupClass": "INFREQUENT_ACCESS"},
    {"logGroupName": "a b"}, {"logGroupName": ""}], ids=str)  # fmt: skip
def test_other_kinds_of_groups_are_refused(logs, settings):
    with refused("InvalidParameterException"):
        logs.create_log_group(**{"logGroupName": "x"} | settings)


def test_operations_that_are_not_there_say_so(logs):
    with refused("InvalidOperationException", "CreateExportTask is not available"):
        logs.create_export_task(logGroupName="x", fromTime=0, to=1, destination="b")


def test_events_are_read_both_ways(logs, group):
    begin = put(logs, group, *[f"m{number}" for number in range(5)])
    newest = logs.get_log_events(logGroupName=group, logStreamName="s", limit=2)
    assert [event["message"] for event in newest["events"]] == ["m3", "m4"]
    older = logs.get_log_events(logGroupName=group, logStreamName="s", limit=2, nextToken=newest["nextBackwardToken"])
    assert [event["message"] for event in older["events"]] == ["m1", "m2"]
    head = logs.get_log_events(logGroupName=group, logStreamName="s", startFromHead=True)
    assert [event["timestamp"] for event in head["events"]] == [begin + number for number in range(5)]
    end = logs.get_log_events(logGroupName=group, logStreamName="s", nextToken=head["nextForwardToken"])
    assert end["events"] == [] and end["nextForwardToken"] == head["nextForwardToken"]


def test_the_rules_of_a_batch(logs, group):
    begin = now()
    for events, told in [
        ([(begin, "b"), (begin - 1, "a")], "chronological order"),
        ([(begin - 25 * 3600_000, "a"), (begin, "b")], "24 hours"),
        ([(begin, "x" * 1_048_576)], "too large"),
    ]:
        with refused("InvalidParameterException", told):
            entries = [{"timestamp": at, "message": message} for at, message in events]
            logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=entries)
    for offset, index in [(-15 * 24 * 3600_000, {"tooOldLogEventEndIndex": 1}), (3 * 3600_000, {"tooNewLogEventStartIndex": 0})]:
        event = {"timestamp": begin + offset, "message": "m"}
        answer = logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])
        assert answer["rejectedLogEventsInfo"] == index
    with refused("ResourceNotFoundException", "The specified log stream does not exist."):
        put(logs, group, "m", stream="none")


def test_searches_find_by_pattern_over_streams(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName="t")
    begin = put(logs, group, '{"eventName":"A"}', '{"eventName":"B"}')
    put(logs, group, '{"eventName":"A","n":2}', stream="t", at=begin + 10)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern="{ $.eventName = A }", interleaved=True, PaginationConfig={"PageSize": 1})
    found = [event for page in pages for event in page["events"]]
    assert [event["logStreamName"] for event in found] == ["s", "t"]
    assert len({event["eventId"] for event in found}) == 2 and len(found[0]["eventId"]) == 56
    only = logs.filter_log_events(logGroupName=group, logStreamNamePrefix="t")["events"]
    assert [event["timestamp"] for event in only] == [begin + 10]
    with refused("InvalidParameterException", "filter pattern"):
        logs.filter_log_events(logGroupName=group, filterPattern="{ $.a = ")


def test_metric_filters_are_put_listed_tested_and_deleted(logs, group):
    metric = {"metricName": "Deleted", "metricNamespace": "LogMetrics", "metricValue": "1", "defaultValue": 0.0}
    pattern = '{ $.eventName = "Delete*" }'
    settings = {"logGroupName": group, "filterName": "f", "filterPattern": pattern, "metricTransformations": [metric]}
    logs.put_metric_filter(**settings)
    [found] = logs.describe_metric_filters(metricName="Deleted", metricNamespace="LogMetrics")["metricFilters"]
    assert (found["filterPattern"], found["metricTransformations"], found["logGroupName"]) == (pattern, [metric], group)
    messages = ['{"eventName":"CreateTrail"}', '{"eventName":"DeleteTrail"}']
    [match] = logs.test_metric_filter(filterPattern=pattern, logEventMessages=messages)["matches"]
    assert (match["eventNumber"], match["extractedValues"]) == (2, {"$.eventName": "DeleteTrail"})
    for wrong in [{"metricValue": "many"}, {"dimensions": {"a": "$.a"}}, {"metricNamespace": "AWS/Logs"}]:
        with refused("InvalidParameterException"):
            logs.put_metric_filter(**settings | {"metricTransformations": [metric | wrong]})
    logs.delete_metric_filter(logGroupName=group, filterName="f")
    with refused("ResourceNotFoundException"):
        logs.delete_metric_filter(logGroupName=group, filterName="f")


def ask(logs, group, query):
    started = logs.start_query(logGroupName=group, startTime=int(time.time()) - 600, endTime=int(time.time()) + 600, queryString=query)
    answers = []

    def ended():
        answers.append(logs.get_query_results(queryId=started["queryId"]))
        return answers[-1]["status"] not in ("Scheduled", "Running")

    wait_until(ended, "the query")
    assert answers[-1]["status"] == "Complete"
    return [{field["field"]: field["value"] for field in row} for row in answers[-1]["results"]]


def test_queries_answer(logs, group):
    put(logs, group, *[json.dumps({"eventName": name, "size": size}) for name, size in [("A", 1), ("B", 5), ("A", 3)]])
    rows = ask(logs, group, "stats count(*) as n, sum(size) as total by eventName | sort eventName")
    assert rows == [{"eventName": "A", "n": "2", "total": "4"}, {"eventName": "B", "n": "1", "total": "5"}]
    [row] = ask(logs, group, "fields @timestamp, @message | filter eventName = 'B'")
    record = logs.get_log_record(logRecordPointer=row["@ptr"])["logRecord"]
    assert (record["eventName"], record["@logStream"]) == ("B", "s")
    with refused("MalformedQueryException", "character"):
        logs.start_query(logGroupName=group, startTime=0, endTime=1, queryString="fields @message | nonsense")


def test_live_tail_shows_what_comes_in(server, logs, group, region):
    arn = logs.describe_log_groups()["logGroups"][0]["logGroupArn"]
    # The SDK would put `stream-` before the host's name, which is an address here.
    streaming = server.client("logs", region, inject_host_prefix=False)
    answer = streaming.start_live_tail(logGroupIdentifiers=[arn], logEventFilterPattern="ERROR")
    stream, seen = answer["responseStream"], []
    events = iter(stream)
    start = next(events)["sessionStart"]
    assert start["logGroupIdentifiers"] == [arn] and start["sessionId"]
    put(logs, group, "ERROR one", "fine", "ERROR two")
    while len(seen) < 2:
        update = next(events)["sessionUpdate"]
        assert update["sessionMetadata"]["sampled"] is False
        seen += [result["message"] for result in update["sessionResults"]]
    stream.close()
    assert seen == ["ERROR one", "ERROR two"]
    with refused("InvalidParameterException"):
        streaming.start_live_tail(logGroupIdentifiers=[f"{arn}:*"])


def test_a_tail_follows_as_the_cli_does(logs, group):
    """`aws logs tail --follow` of the AWS CLI 2 asks for events from the time of the last one on, and leaves out those whose
    ids it has shown. (CLI 2 is in no package registry; this is what it sends.)"""
    since, shown, lines = 0, set(), []

    def poll():
        nonlocal since
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since, interleaved=True)
        for event in (event for page in pages for event in page["events"]):
            since = max(since, event["timestamp"])
            if event["eventId"] not in shown:
                shown.add(event["eventId"])
                lines.append(event["message"])
        return lines

    put(logs, group, "before")
    assert poll() == ["before"] and poll() == ["before"]
    put(logs, group, "after")
    assert poll() == ["before", "after"]


def test_others_are_refused(client, logs, group, region):
    with refused("AccessDeniedException", "logs:DescribeLogStreams on resource: arn:aws:logs"):
        client("logs", region, READER).describe_log_streams(logGroupName=group)


def test_policies_for_services(logs):
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "logs:PutLogEvents", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    logs.put_resource_policy(policyName="p", policyDocument=document)
    [found] = logs.describe_resource_policies()["resourcePolicies"]
    assert (found["policyName"], found["policyDocument"]) == ("p", document)
    logs.delete_resource_policy(policyName="p")
    assert logs.describe_resource_policies()["resourcePolicies"] == []
