"""boto3's paginator walks a long Event history while new events arrive, newer ones and late ones that belong in between:
nothing that was there when it began is left out, and nothing is there twice."""

import json
import random
import threading
import time
import uuid

import pytest
from opentrail_server import Server, record, wait_until

EVENTS = 10_000
CONFIG = """
[history]
flush_age = "500ms"
"""
HOUR = 3600


def time_text(seconds_ago):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds_ago))


def put(server, ages, key=None):
    """A record of each age in seconds; their ids, once they are acknowledged."""
    ids = [str(uuid.uuid4()) for _ in ages]
    lines = [json.dumps(record(i, time_text=time_text(age))).encode() for i, age in zip(ids, ages)]
    report = server.put_records(b"\n".join(lines), key=key)
    assert report["Accepted"] == len(ids), report
    return ids


class Arrivals(threading.Thread):
    """Puts a few records again and again: of now, and of any time in the last day."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.key = server, server.key()
        self.ids, self.stopping, self.failure = [], threading.Event(), None

    def run(self):
        chance = random.Random(7)
        try:
            while not self.stopping.wait(0.03):  # its pace
                ages = [0, chance.uniform(0, 24 * HOUR), chance.uniform(0, 24 * HOUR)]
                self.ids += put(self.server, ages, self.key)
        except Exception as failure:  # noqa: BLE001 - shown by the test
            self.failure = failure


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A server, and the ids of the ten thousand events that its history holds. Many share a second."""
    with Server(tmp_path_factory.mktemp("history"), CONFIG, ["--log", "warn"]) as server:
        chance = random.Random(2)
        ids = [i for _ in range(EVENTS // 500) for i in put(server, [chance.randrange(0, 24 * HOUR, 20) for _ in range(500)])]
        newest = [{"AttributeKey": "EventId", "AttributeValue": ids[-1]}]
        lookup = server.client("cloudtrail")
        wait_until(lambda: lookup.lookup_events(LookupAttributes=newest)["Events"], "the last event in Event history")
        yield server, ids


@pytest.mark.parametrize("attributes", [[], [{"AttributeKey": "EventName", "AttributeValue": "Probe"}]], ids=["all", "by name"])
def test_a_walk_over_ten_thousand_events_has_no_repeat_and_no_gap_while_new_ones_arrive(history, attributes):
    server, ids = history
    arrivals = Arrivals(server)
    arrivals.start()
    wait_until(lambda: arrivals.ids or arrivals.failure, "the first arrival")
    events, pages = [], 0
    for page in server.client("cloudtrail").get_paginator("lookup_events").paginate(LookupAttributes=attributes):
        events += page["Events"]
        pages += 1
    arrivals.stopping.set()
    arrivals.join()
    assert arrivals.failure is None
    assert len(arrivals.ids) > 30, "too few arrived during the walk to prove anything"
    assert pages >= EVENTS / 50

    seen = [event["EventId"] for event in events]
    assert len(seen) == len(set(seen)), "an event came twice"
    assert set(ids) <= set(seen), f"{len(set(ids) - set(seen))} events are missing"
    times = [event["EventTime"] for event in events]
    assert times == sorted(times, reverse=True), "not newest first"
