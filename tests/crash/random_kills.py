#!/usr/bin/env python3
"""Kills the server again and again while records come in, then proves that every acknowledged record is in Event
history and in the trail's log files exactly once.

    OPENTRAIL_BIN=… python tests/crash/random_kills.py --kills 1000
"""

import argparse
import collections
import gzip
import http.client
import json
import pathlib
import random
import sys
import tempfile
import threading
import time
import urllib.error
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from opentrail_server import Server, record, wait_until  # noqa: E402

CONFIG = """
[delivery]
max_age = "300ms"
[digest]
interval = "5s"
[history]
flush_age = "700ms"
[journal]
segment_bytes = "4MiB"
hold_back = "10s"
"""


class Writer(threading.Thread):
    """Puts records until told to stop; remembers which were acknowledged. What a kill left without an answer is put
    again every other time, as a client would, and given up otherwise."""

    def __init__(self, server, seed, pause=0.01):
        super().__init__(daemon=True)
        self.pause = pause
        self.server, self.random = server, random.Random(seed)
        self.key = server.key()
        self.acknowledged, self.sent = [], 0
        self.stopping = False
        self.unexpected = None

    def run(self):
        ids = None
        while not self.stopping:
            again = ids is not None
            if not again:
                ids = [str(uuid.UUID(int=self.random.getrandbits(128), version=4)) for _ in range(self.random.choice([1, 1, 2, 20]))]
                body = b"\n".join(json.dumps(record(i)).encode() for i in ids)
                self.sent += len(ids)
            try:
                report = self.server.put_records(body, key=self.key, timeout=10)
            except (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException, OSError):
                ids = ids if self.random.random() < 0.5 else None
                time.sleep(0.02)  # the server is down: this is the test's own pace, not a wait for a result
                continue
            if report["Accepted"] + report["Duplicates"] != len(ids) or (report["Duplicates"] and not again):
                self.unexpected = report
                return
            self.acknowledged += ids
            ids = None
            time.sleep(self.pause)  # its pace, so that the check at the end stays quick


def everything_in_history(server):
    counts = collections.Counter()
    lookup = server.client("cloudtrail", retries={"total_max_attempts": 5}).get_paginator("lookup_events")
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "Probe"}]
    for page in lookup.paginate(LookupAttributes=attributes):
        counts.update(event["EventId"] for event in page["Events"])
    return counts


def everything_in_log_files(server):
    s3, counts = server.client("s3"), collections.Counter()
    for key in server.log_files():
        body = s3.get_object(Bucket="trail-logs", Key=key)["Body"].read()
        records = json.loads(gzip.decompress(body))["Records"]
        counts.update(r["eventID"] for r in records if r["eventName"] == "Probe")
    return counts


def judge(name, counts, acknowledged):
    lost = [i for i in acknowledged if i not in counts]
    twice = [i for i, n in counts.items() if n > 1]
    print(f"{name}: {len(counts)} records, {len(lost)} acknowledged ones missing, {len(twice)} there twice")
    return not lost and not twice


def run(directory, kills, seed, writers=3, quiet=False):
    """True when nothing acknowledged was lost and nothing is there twice."""
    chance = random.Random(seed)
    server = Server(directory, CONFIG, ["--log", "warn"]).start()
    server.make_trail(EnableLogFileValidation=True)
    threads = [Writer(server, chance.random()) for _ in range(writers)]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    for kill in range(1, kills + 1):
        # From in the middle of the start to well into steady work.
        time.sleep(chance.choice([0.01, 0.05, 0.15, 0.3, 0.6]) * chance.random() * 2)
        server.kill()
        server.start(wait=chance.random() < 0.8)
        if not quiet and kill % 50 == 0:
            acknowledged = sum(len(thread.acknowledged) for thread in threads)
            print(f"{kill} kills, {acknowledged} records acknowledged, {time.monotonic() - started:.0f} s", flush=True)
    server.wait_ready()
    for thread in threads:
        thread.stopping = True
    for thread in threads:
        thread.join()
        assert thread.unexpected is None, f"a report that does not fit what was sent: {thread.unexpected}"
    acknowledged = [i for thread in threads for i in thread.acknowledged]
    assert acknowledged, "nothing was acknowledged, so nothing was tested"
    print(f"{kills} kills (seed {seed}): {len(acknowledged)} of {sum(t.sent for t in threads)} records acknowledged")
    try:
        wait_until(lambda: set(acknowledged) <= set(everything_in_log_files(server)), "delivery of every record", 120, 1)
    except AssertionError as late:
        print(late)
    files = everything_in_log_files(server)
    history = everything_in_history(server)
    good = judge("log files", files, acknowledged) & judge("Event history", history, acknowledged)
    server.stop()
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opentrail-kills-") as directory:
        sys.exit(0 if run(directory, options.kills, options.seed) else 1)


if __name__ == "__main__":
    main()
