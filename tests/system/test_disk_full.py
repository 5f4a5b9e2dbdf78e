"""A data directory on a disk that fills up: what cannot be kept is refused with an error that clients repeat, reads go on,
nothing acknowledged is lost, and everything works again once there is room."""

import collections
import gzip
import json
import os
import subprocess
import urllib.error
import uuid

import delivered
import pytest
from botocore.exceptions import ClientError
from opentrail_server import Server, record, wait_until

SIZE = 96 << 20
CONFIG = """
[delivery]
max_age = "200ms"
[history]
flush_age = "500ms"
[journal]
segment_bytes = "4MiB"
hold_back = "1h"
"""


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a file system of its own cannot be mounted here (root is needed): {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


class Disk:
    """A server on the small disk, and what it acknowledged."""

    def __init__(self, place):
        self.filler = place / "filler"
        self.server = Server(place / "server", CONFIG, ["--log", "error"])
        self.server.log = place.parent / "opentrail.log"
        self.server.start()
        self.server.make_trail(EnableLogFileValidation=True)
        self.acknowledged, self.refused = [], []

    def fill(self):
        """Takes every byte that is left."""
        with open(self.filler, "ab", buffering=0) as file:
            for block in (1 << 20, 1 << 12):
                while True:
                    try:
                        if file.write(bytes(block)) < block:
                            break
                    except OSError:
                        break

    def put(self, number=100):
        """Whether records were acknowledged; else the answer was an error that the AWS SDKs repeat."""
        ids = [str(uuid.uuid4()) for _ in range(number)]
        body = b"\n".join(json.dumps(record(i, padding="x" * 2000)).encode() for i in ids)
        try:
            report = self.server.put_records(body)
        except urllib.error.HTTPError as error:
            assert error.code in (500, 503), error.read()
            self.refused += ids
            return False
        assert report["Accepted"] == number
        self.acknowledged += ids
        return True

    def read_on(self):
        """What is stored can be read and looked up; a change, which must be recorded before it is answered, is an error
        to repeat."""
        s3 = self.server.client("s3")
        for key in self.server.log_files():
            assert gzip.decompress(s3.get_object(Bucket="trail-logs", Key=key)["Body"].read())
        trails = self.server.client("cloudtrail")
        assert [trail["Name"] for trail in trails.describe_trails()["trailList"]] == ["main"]
        assert trails.lookup_events(MaxResults=1)["Events"]

        def refused():
            try:
                trails.start_logging(Name="main")
            except ClientError as error:
                assert error.response["Error"]["Code"] in ("ServiceUnavailable", "InternalFailure"), error
                return True
            return False

        wait_until(refused, "a refusal once the last bytes of the segment are used up")

    def history(self):
        attributes = [{"AttributeKey": "EventName", "AttributeValue": "Probe"}]
        pages = self.server.client("cloudtrail").get_paginator("lookup_events").paginate(LookupAttributes=attributes)
        return collections.Counter(event["EventId"] for page in pages for event in page["Events"])

    def files(self):
        return collections.Counter(r["eventID"] for r in delivered.records(self.server) if r["eventName"] == "Probe")


@pytest.mark.parametrize("killed", [False, True], ids=["running on", "killed while full"])
def test_a_full_disk_loses_nothing_acknowledged_and_is_got_over(small_disk, killed):
    disk = Disk(small_disk)
    try:
        assert disk.put()
        wait_until(lambda: set(disk.acknowledged) <= set(disk.history()), "the first records in Event history")
        disk.fill()
        # What is left is the room that the journal's segment has already.
        wait_until(lambda: not disk.put(), "a refusal")
        disk.read_on()
        assert not disk.put(), "still no room"
        if killed:
            disk.server.kill()
        os.remove(disk.filler)
        if killed:
            disk.server.start()
        wait_until(disk.put, "a record is taken again")
        wait_until(lambda: set(disk.acknowledged) <= set(disk.files()), "delivery of everything", seconds=60)
        wait_until(lambda: set(disk.acknowledged) <= set(disk.history()), "everything in Event history")
        assert disk.server.stop() == 0
        disk.server.start()
        for place, found in [("history", disk.history()), ("log files", disk.files())]:
            assert set(disk.acknowledged) <= set(found), place
            assert max(found.values()) == 1, f"twice in {place}"
        assert disk.server.stop() == 0
    finally:
        if disk.server.process is not None:
            disk.server.kill()
