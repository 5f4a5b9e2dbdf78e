"""A bucket that refuses, hangs, disappears or forbids: the trail's status tells the truth, no other trail waits for it, and
once it is back everything arrives exactly once."""

import collections
import json
import uuid

import delivered
import pytest
from opentrail_server import ACCOUNT, BUCKET_POLICY, Server, record, wait_until
from proxy import Proxy

FAR, NEAR = "far-logs", "trail-logs"
CONFIG = """
[delivery]
max_age = "200ms"
put_timeout = "1s"
[[destination]]
buckets = ["far-logs"]
endpoint = "http://127.0.0.1:{port}"
access_key_id = "{key}"
secret_access_key = "{secret}"
"""


class Places:
    """A server with two trails: one delivers to its own store, one through a proxy to another server's."""

    def __init__(self, directory):
        self.far = Server(directory / "far", "", ["--log", "warn"]).start()
        self.far.make_log_bucket(FAR)
        self.proxy = Proxy(self.far.port)
        key, secret = self.far.key()
        config = CONFIG.format(port=self.proxy.port, key=key, secret=secret)
        self.server = Server(directory / "server", config, ["--log", "error"]).start()
        self.server.make_trail("near", NEAR)
        trails = self.server.client("cloudtrail")
        trails.create_trail(Name="far", S3BucketName=FAR)
        trails.start_logging(Name="far")
        self.put_ids = []

    def put(self, number=10):
        ids = [str(uuid.uuid4()) for _ in range(number)]
        report = self.server.put_records(b"\n".join(json.dumps(record(i)).encode() for i in ids))
        assert report["Accepted"] == number, report
        self.put_ids += ids
        return ids

    def arrived(self, trail):
        """How often each record put is in the trail's log files."""
        found = delivered.records(self.far, FAR) if trail == "far" else delivered.records(self.server, NEAR)
        return collections.Counter(r["eventID"] for r in found if r["eventName"] == "Probe")

    def wait_for(self, ids, trail):
        wait_until(lambda: set(ids) <= set(self.arrived(trail)), f"delivery by the trail {trail}", seconds=90)

    def status(self, trail):
        return self.server.client("cloudtrail").get_trail_status(Name=trail)

    def wait_for_failed_attempt(self, trail):
        """A failure that need not have an error code: there is none for time-outs."""

        def failed():
            status = self.status(trail)
            return status["LatestDeliveryAttemptTime"] > status["LatestDeliveryAttemptSucceeded"]

        wait_until(failed, "a failed attempt in the status", seconds=30)

    def wait_for_failure(self, trail):
        return wait_until(lambda: self.status(trail).get("LatestDeliveryError"), "an error in the status", seconds=30)

    def wait_for_success(self, trail):
        wait_until(lambda: not self.status(trail).get("LatestDeliveryError"), "a status without error", seconds=90)

    def check_exactly_once(self, trail, ids):
        assert self.arrived(trail) == collections.Counter(ids)


@pytest.fixture
def places(tmp_path):
    places = Places(tmp_path)
    yield places
    places.proxy.close()
    for server in (places.server, places.far):
        if server.process is not None:
            server.kill()


@pytest.mark.parametrize("failure, code", [("refuse", "ServiceUnavailable"), ("hang", None)])
def test_an_endpoint_that_fails_and_comes_back_gets_everything_once(places, failure, code):
    first = places.put()
    places.wait_for(first, "far")
    assert not places.status("far").get("LatestDeliveryError")
    delivered_at = places.status("far")["LatestDeliveryTime"]

    places.proxy.become(failure)
    second = places.put()
    places.wait_for(second, "near")
    places.wait_for_failed_attempt("far")
    status = places.status("far")
    assert status["IsLogging"] is True
    assert status.get("LatestDeliveryError") == code
    assert status["LatestDeliveryTime"] >= delivered_at
    assert not places.status("near").get("LatestDeliveryError"), "the other trail's status is its own"
    assert not set(second) & set(places.arrived("far"))

    third = places.put()
    places.wait_for(third, "near")
    places.server.kill()
    places.server.start()
    fourth = places.put()
    places.wait_for(fourth, "near")
    places.wait_for_failed_attempt("far")

    places.proxy.become("pass")
    places.wait_for(places.put_ids, "far")
    places.wait_for_success("far")
    assert places.status("far")["LatestDeliveryTime"] > delivered_at
    last = places.put()
    places.wait_for(last, "far")
    places.wait_for(last, "near")
    assert places.server.stop() == 0
    for trail in ("near", "far"):
        places.check_exactly_once(trail, places.put_ids)


def test_a_server_stops_in_time_while_its_bucket_hangs(places):
    places.wait_for(places.put(), "far")
    places.proxy.become("hang")
    ids = places.put()
    places.wait_for(ids, "near")
    assert places.server.stop(timeout=45) == 0
    places.proxy.become("pass")
    places.server.start()
    places.wait_for(ids, "far")
    places.check_exactly_once("far", places.put_ids)


def test_a_policy_taken_away_is_told_and_its_return_noticed(places):
    s3 = places.server.client("s3")
    places.wait_for(places.put(), "near")
    s3.delete_bucket_policy(Bucket=NEAR)
    kept = places.put()
    assert "AccessDenied" in places.wait_for_failure("near")
    assert not set(kept) & set(places.arrived("near"))
    places.wait_for(kept, "far")
    s3.put_bucket_policy(Bucket=NEAR, Policy=BUCKET_POLICY.format(bucket=NEAR, account=ACCOUNT, prefix=""))
    places.wait_for(kept, "near")
    places.wait_for_success("near")
    places.check_exactly_once("near", places.put_ids)


def test_a_bucket_deleted_is_told_and_a_new_one_of_its_name_gets_what_waited(places):
    s3 = places.server.client("s3")
    places.wait_for(places.put(), "near")

    def deleted():
        keys = [{"Key": item["Key"]} for item in s3.list_objects_v2(Bucket=NEAR).get("Contents", [])]
        if keys:
            s3.delete_objects(Bucket=NEAR, Delete={"Objects": keys})
        try:
            s3.delete_bucket(Bucket=NEAR)
        except s3.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "BucketNotEmpty"  # a log file came in between
            return False
        return True

    wait_until(deleted, "an empty bucket")
    kept = places.put()
    assert "NoSuchBucket" in places.wait_for_failure("near")
    places.wait_for(kept, "far")
    places.server.make_log_bucket(NEAR)
    places.wait_for(kept, "near")
    places.wait_for_success("near")
    places.check_exactly_once("near", kept)
