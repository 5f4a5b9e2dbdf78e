"""Log events that were answered are there after kills, once each, also where chunks were merged in between."""

import time

import pytest
from opentrail_server import Server

ROUNDS, BATCHES = 4, 12


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path) as server:
        yield server


def messages(server):
    pages = server.client("logs").get_paginator("filter_log_events").paginate(logGroupName="g")
    return [(event["message"], event["eventId"]) for page in pages for event in page["events"]]


def test_what_was_answered_is_there_once_after_each_kill(server):
    logs = server.client("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    begin, answered, ids = int(time.time() * 1000), [], {}
    for _ in range(ROUNDS):
        logs = server.client("logs")
        for _ in range(BATCHES):
            batch = [f"m{len(answered) + number}" for number in range(5)]
            events = [{"timestamp": begin + len(answered) + number, "message": text} for number, text in enumerate(batch)]
            logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)
            answered += batch
        server.kill()
        server.start()
        found = messages(server)
        assert [message for message, _ in found] == answered
        # An event keeps its id, whatever became of its chunk.
        assert all(ids.get(message, event_id) == event_id for message, event_id in found)
        ids |= dict(found)


def test_groups_filters_and_deletions_outlive_a_kill(server):
    logs = server.client("logs")
    for name in ["kept", "gone"]:
        logs.create_log_group(logGroupName=name)
    metric = {"metricName": "M", "metricNamespace": "N", "metricValue": "1"}
    logs.put_metric_filter(logGroupName="kept", filterName="f", filterPattern="", metricTransformations=[metric])
    logs.put_retention_policy(logGroupName="kept", retentionInDays=7)
    logs.delete_log_group(logGroupName="gone")
    server.kill()
    server.start()
    [group] = server.client("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"], group["metricFilterCount"]) == ("kept", 7, 1)
