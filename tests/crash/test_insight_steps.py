"""A server killed while it tells of a storm of errors: the storm is told once, with every call in it. The server's clock runs so quickly
that the hour that Insights learns from takes a quarter of a minute."""

import collections
import datetime
import json
import signal
import time
import uuid

import botocore.auth
import pytest
from opentrail_server import Server, record, wait_until

INSIGHT_STEPS = ["insights.append", "insights.appended"]
RATE = 240
# Files have the machine's time: to the server they all look old.
CONFIG = """
[history]
vacuum_age = "100days"
[stores]
vacuum_age = "100days"
"""
CALLS = 6000


@pytest.fixture
def now(monkeypatch):
    """The server's time. Clients sign by it."""
    start = int(time.time())
    now = lambda *_: datetime.datetime.fromtimestamp(start + (time.time() - start) * RATE, datetime.UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", now)
    now.clock = f"{RATE}@{start}"
    return now


def put(server, now, name, number, **more):
    when = now().strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [json.dumps(record(str(uuid.uuid4()), name, when, **more)).encode() for _ in range(number)]
    assert server.put_records(b"\n".join(lines))["Accepted"] == number


def insights(server):
    """The details of the Insights events that Event history has."""
    events = server.client("cloudtrail").get_paginator("lookup_events").paginate(EventCategory="insight")
    records = [json.loads(event["CloudTrailEvent"]) for page in events for event in page["Events"]]
    return [record["insightDetails"] for record in records if record["insightDetails"]["eventName"] == "Storm"]


def test_a_storm_is_told_once_over_kills(tmp_path, now):
    server = Server(tmp_path, CONFIG, ["--log", "warn", "--quick-clock", now.clock], {"OPENTRAIL_CRASH_AT": INSIGHT_STEPS[0]})
    with server:
        trail = server.make_trail()
        both = [{"InsightType": "ApiCallRateInsight"}, {"InsightType": "ApiErrorRateInsight"}]
        server.client("cloudtrail").put_insight_selectors(TrailName=trail, InsightSelectors=both)
        began = now()
        while now() < began + datetime.timedelta(minutes=63):
            put(server, now, "Usual", 1)
            time.sleep(0.1)
        put(server, now, "Storm", CALLS, errorCode="AccessDenied", errorMessage="no")
        for next_step in [INSIGHT_STEPS[1], None]:
            assert server.process.wait(180) == -signal.SIGKILL, server.log_tail()
            server.environment = {"OPENTRAIL_CRASH_AT": next_step} if next_step else {}
            server.start()
        expected = {(kind, state): 1 for kind in ["ApiCallRateInsight", "ApiErrorRateInsight"] for state in ["Start", "End"]}
        wait_until(lambda: len(insights(server)) >= len(expected), "the storm is over", seconds=180, pause=0.5)
        found = insights(server)
        assert collections.Counter((insight["insightType"], insight["state"]) for insight in found) == expected, found
        for insight in found:
            statistics = insight["insightContext"]["statistics"]
            told = statistics["insight"]["average"] * statistics["insightDuration"]
            assert told == pytest.approx(CALLS), insight
            assert statistics["baseline"]["average"] == 0
        server.kill()
        server.start()
        put(server, now, "Usual", 1)
        assert len(insights(server)) == len(expected)
        assert server.stop() == 0
