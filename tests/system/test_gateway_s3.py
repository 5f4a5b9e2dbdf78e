"""S3 through the recording gateway, as stock clients use it: what is stored and read is unchanged, each call is exactly one
event, and the server's memory does not grow with what passes through it."""

import collections
import hashlib
import json
import pathlib
import re

import delivered
import pytest
from commands import AWS, run
from opentrail_server import ACCOUNT, Server, free_port, wait_until

FILES = 1000
BIG = 1 << 30
PART = 8 << 20  # the AWS CLI's default
MEMORY = 400 << 20
CONFIG = """
[delivery]
max_age = "500ms"
"""


class Cloud:
    """An S3 server, a gateway in front of it, and trails of everything on both sides: what the S3 server says that it was
    asked, and what the gateway recorded."""

    def __init__(self, directory):
        self.upstream = Server(directory / "upstream", CONFIG, ["--log", "warn"]).start()
        delivered.trail_of_everything(self.upstream)
        self.gateway = f"http://127.0.0.1:{free_port()}"
        config = CONFIG + f"""
[[gateway]]
listen = "{self.gateway.removeprefix("http://")}"
upstream = "{self.upstream.endpoint}"
account = "{ACCOUNT}"
region = "us-east-1"
"""
        self.recorder = Server(directory / "recorder", config, ["--log", "warn"]).start()
        delivered.trail_of_everything(self.recorder)
        self.directory = directory

    def aws(self, *arguments):
        """The AWS CLI against the S3 server, by way of the gateway."""
        environment = self.upstream.cli_environment() | {"AWS_ENDPOINT_URL": self.gateway}
        return run(AWS, *arguments, environment=environment)

    def events(self, server, bucket):
        """The records that name the bucket, by request id."""
        found = collections.defaultdict(list)
        for record in delivered.records(server):
            if record["eventSource"] == "s3.amazonaws.com" and (record["requestParameters"] or {}).get("bucketName") == bucket:
                found[record["requestID"]].append(record)
        return found

    def both(self, bucket, names):
        """The events of both sides about the bucket, once both have as many of each name as are expected."""

        def complete():
            sides = self.events(self.upstream, bucket), self.events(self.recorder, bucket)
            counts = [collections.Counter(r["eventName"] for records in side.values() for r in records) for side in sides]
            return sides if all(count[name] >= n for count in counts for name, n in names.items()) else None

        try:
            return wait_until(complete, "delivery of every event", seconds=60, pause=0.5)
        except AssertionError:
            return self.events(self.upstream, bucket), self.events(self.recorder, bucket)

    def peak_memory(self):
        status = pathlib.Path(f"/proc/{self.recorder.process.pid}/status").read_text()
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    yield cloud
    assert cloud.recorder.stop() == 0
    assert cloud.upstream.stop() == 0


def exactly_one_event_per_call(upstream, recorded):
    """Each request that the S3 server answered is one event of the gateway, under the same name, and no other is there."""
    assert {i: len(records) for i, records in recorded.items() if len(records) > 1} == {}
    assert set(recorded) == set(upstream)
    names = {i: records[0]["eventName"] for i, records in upstream.items()}
    assert {i: records[0]["eventName"] for i, records in recorded.items()} == names
    return collections.Counter(names.values())


def hashes(directory):
    return {path.relative_to(directory): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in directory.rglob("*") if path.is_file()}  # fmt: skip


def test_syncing_a_thousand_files_is_a_thousand_events(cloud):
    source, back = cloud.directory / "source", cloud.directory / "back"
    for number in range(FILES):
        path = source / f"folder {number % 7}" / f"ä&+{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {number}\n" * (number % 50))
    cloud.aws("s3", "mb", "s3://synced")
    cloud.aws("s3", "sync", "--quiet", source, "s3://synced/deep/er")
    cloud.aws("s3", "sync", "--quiet", "s3://synced/deep/er", back)
    assert hashes(back) == hashes(source)

    upstream, recorded = cloud.both("synced", {"PutObject": FILES, "GetObject": FILES})
    names = exactly_one_event_per_call(upstream, recorded)
    assert names["PutObject"] == names["GetObject"] == FILES
    assert names["CreateBucket"] == 1
    put = {r["requestParameters"]["key"] for [r] in recorded.values() if r["eventName"] == "PutObject"}
    assert put == {f"deep/er/{path.relative_to(source)}" for path in source.rglob("*") if path.is_file()}
    assert cloud.peak_memory() < MEMORY


def test_a_gigabyte_in_parts_and_back_in_ranges_is_unchanged(cloud):
    big, back, piece = (cloud.directory / name for name in ("big", "big-back", "piece"))
    block = hashlib.shake_256(b"big").digest(PART - 1)  # does not line up with parts, so no two parts are alike
    with open(big, "wb") as file:
        for _ in range(BIG // len(block)):
            file.write(block)
        file.write(block[: BIG - file.tell()])
    parts = BIG // PART
    cloud.aws("s3", "mb", "s3://big")
    cloud.aws("s3", "cp", "--quiet", big, "s3://big/one/gigabyte")
    cloud.aws("s3", "cp", "--quiet", "s3://big/one/gigabyte", back)
    with open(big, "rb") as sent, open(back, "rb") as received:
        assert hashlib.file_digest(sent, "sha256").digest() == hashlib.file_digest(received, "sha256").digest()
    back.unlink()
    first, last = 123_456_789, 223_456_788
    answer = json.loads(cloud.aws("s3api", "get-object", "--bucket", "big", "--key", "one/gigabyte", "--range",
                                  f"bytes={first}-{last}", piece))  # fmt: skip
    assert answer["ContentRange"] == f"bytes {first}-{last}/{BIG}"
    with open(big, "rb") as sent:
        sent.seek(first)
        assert piece.read_bytes() == sent.read(last - first + 1)
    big.unlink()

    upstream, recorded = cloud.both("big", {"UploadPart": parts, "GetObject": parts + 1, "CompleteMultipartUpload": 1})
    names = exactly_one_event_per_call(upstream, recorded)
    assert names["CreateMultipartUpload"] == names["CompleteMultipartUpload"] == 1
    assert names["UploadPart"] == parts
    assert names["GetObject"] == parts + 1
    events = [record for [record] in recorded.values()]
    uploaded = [r for r in events if r["eventName"] == "UploadPart"]
    assert sorted(int(r["requestParameters"]["partNumber"]) for r in uploaded) == list(range(1, parts + 1))
    assert sum(r["additionalEventData"]["bytesTransferredIn"] for r in uploaded) == BIG
    read = sum(r["additionalEventData"]["bytesTransferredOut"] for r in events if r["eventName"] == "GetObject")
    assert read == BIG + last - first + 1
    assert cloud.peak_memory() < MEMORY


def test_each_object_of_a_bulk_deletion_is_an_event_on_both_sides(cloud):
    secret = "arn:aws:s3:::doomed/secret/"
    cloud.recorder.make_trail("secrets", "secret-logs")
    fields = {"eventCategory": {"Equals": ["Data"]}, "resources.type": {"Equals": ["AWS::S3::Object"]},
              "resources.ARN": {"StartsWith": [secret]}}  # fmt: skip
    selector = {"FieldSelectors": [{"Field": name} | how for name, how in fields.items()]}
    cloud.recorder.client("cloudtrail").put_event_selectors(TrailName="secrets", AdvancedEventSelectors=[selector])
    keys = ["secret/1", "plain & simple", "kept"]
    cloud.aws("s3", "mb", "s3://doomed")
    for key in keys:
        cloud.aws("s3api", "put-object", "--bucket", "doomed", "--key", key)
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::doomed/kept"}
    cloud.aws("s3api", "put-bucket-policy", "--bucket", "doomed", "--policy",
              json.dumps({"Version": "2012-10-17", "Statement": [deny]}))  # fmt: skip
    doomed = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
    answer = json.loads(cloud.aws("s3api", "delete-objects", "--bucket", "doomed", "--delete", json.dumps(doomed)))
    assert [error["Key"] for error in answer["Errors"]] == ["kept"]

    sides = cloud.both("doomed", {"DeleteObjects": 1, "DeleteObject": len(keys)})
    told = []
    for side in sides:
        (call,) = [records for records in side.values() if len(records) > 1]
        assert [r["eventType"] for r in call if r["eventName"] == "DeleteObjects"] == ["AwsApiCall"]
        each = [r for r in call if r["eventName"] == "DeleteObject"]
        assert {r["eventType"] for r in each} == {"AwsServiceEvent"}
        told.append({r["requestParameters"]["key"]: (r.get("errorCode"), r["resources"][0]["ARN"]) for r in each})
    arn = "arn:aws:s3:::doomed/"
    assert told[0] == told[1] == {key: ("AccessDenied" if key == "kept" else None, arn + key) for key in keys}

    def watched():
        return [r["eventName"] for r in delivered.records(cloud.recorder, "secret-logs") if r["eventCategory"] == "Data"]

    wait_until(lambda: "DeleteObject" in watched(), "delivery to the trail of the prefix", seconds=30)
    assert sorted(watched()) == ["DeleteObject", "PutObject"]
