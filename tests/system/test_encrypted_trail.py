"""A trail with a KMS key: what it delivers is sealed, readable with `kms:Decrypt` only, and waits for a disabled key."""

import collections
import datetime
import gzip
import json
import uuid

import pytest
from botocore.exceptions import ClientError
from commands import AWS, aws, opentrail_offline, run
from opentrail_server import ACCOUNT, Server, record, wait_until

BUCKET = "trail-logs"
READER_MAY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:*", "cloudtrail:*"], "Resource": "*"}]}  # fmt: skip
DECRYPTER_MAY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:*", "cloudtrail:*", "kms:Decrypt"], "Resource": "*"}]}  # fmt: skip
CONFIG = f"""
[delivery]
max_age = "200ms"
[digest]
interval = "2s"
[[account]]
id = "{ACCOUNT}"
[[account.user]]
name = "reader"
policies = ['''{json.dumps(READER_MAY)}''']
[[account.user.access_key]]
id = "AKIAREADER0000000001"
secret = "reader-secret"
[[account.user]]
name = "decrypter"
policies = ['''{json.dumps(DECRYPTER_MAY)}''']
[[account.user.access_key]]
id = "AKIADECRYPTER0000001"
secret = "decrypter-secret"
"""
READER, DECRYPTER = ("AKIAREADER0000000001", "reader-secret"), ("AKIADECRYPTER0000001", "decrypter-secret")


def key_policy():
    """The policy that the User Guide has for such keys."""
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    trails = {"kms:EncryptionContext:aws:cloudtrail:arn": f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"}
    service = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "kms:GenerateDataKey*",
               "Resource": "*", "Condition": {"StringLike": trails,
               "StringEquals": {"aws:SourceArn": f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/main"}}}  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [root, service]})


class Sealed:
    """A server with a trail that has a key."""

    def __init__(self, directory):
        self.server = Server(directory, CONFIG, ["--log", "error"]).start()
        self.kms, self.s3 = self.server.client("kms"), self.server.client("s3")
        self.trails = self.server.client("cloudtrail")
        self.key = self.kms.create_key(Policy=key_policy())["KeyMetadata"]["Arn"]
        self.began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
        self.arn = self.server.make_trail(KmsKeyId=self.key, EnableLogFileValidation=True)
        self.put_ids = []

    def put(self, number=10):
        ids = [str(uuid.uuid4()) for _ in range(number)]
        report = self.server.put_records(b"\n".join(json.dumps(record(i)).encode() for i in ids))
        assert report["Accepted"] == number, report
        self.put_ids += ids

    def keys(self, folder="CloudTrail"):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        found = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [key for key in found if f"/{folder}/" in key]

    def arrived(self):
        """How often each record put is in the log files, read by somebody who may."""
        found = collections.Counter()
        for key in self.keys():
            body = gzip.decompress(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
            found.update(r["eventID"] for r in json.loads(body)["Records"] if r["eventName"] == "Probe")
        return found

    def wait_for_all(self):
        wait_until(lambda: set(self.put_ids) <= set(self.arrived()), "delivery of every record", seconds=90, pause=0.5)

    def validate(self, key, code):
        environment = self.server.cli_environment() | {
            "AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}  # fmt: skip
        return run(AWS, "cloudtrail", "validate-logs", "--trail-arn", self.arn, "--start-time", self.began.isoformat(),
                   "--verbose", environment=environment, code=code, errors_too=True)  # fmt: skip


@pytest.fixture
def sealed(tmp_path):
    sealed = Sealed(tmp_path)
    yield sealed
    if sealed.server.process is not None:
        sealed.server.kill()


def test_what_is_delivered_is_sealed_and_opens_with_decrypt_alone(sealed):
    sealed.put()
    sealed.wait_for_all()
    wait_until(lambda: sealed.keys("CloudTrail-Digest"), "a digest", seconds=60)
    for key in (sealed.keys()[0], sealed.keys("CloudTrail-Digest")[0]):
        on_disk = (sealed.server.data / "objects" / BUCKET / key).read_bytes()
        assert not on_disk.startswith(b"\x1f\x8b")
        head = sealed.s3.head_object(Bucket=BUCKET, Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", sealed.key)
        whole = sealed.s3.get_object(Bucket=BUCKET, Key=key)
        body = whole["Body"].read()
        assert (whole["ServerSideEncryption"], whole["SSEKMSKeyId"]) == ("aws:kms", sealed.key)
        assert body.startswith(b"\x1f\x8b") and len(body) == head["ContentLength"] < len(on_disk)
        part = sealed.s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=5-20")["Body"].read()
        assert part == body[5:21]
        assert sealed.server.client("s3", key=DECRYPTER).get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
        with pytest.raises(ClientError, match="AccessDenied.*kms:Decrypt"):
            sealed.server.client("s3", key=READER).get_object(Bucket=BUCKET, Key=key)


def test_validate_logs_needs_decrypt(sealed):
    sealed.put()
    sealed.wait_for_all()
    delivered = len(sealed.keys("CloudTrail-Digest"))
    wait_until(lambda: len(sealed.keys("CloudTrail-Digest")) >= delivered + 2, "digests over every file", seconds=60)
    output = sealed.validate(DECRYPTER, 0)
    assert "valid" in output and "INVALID" not in output
    refused = sealed.validate(READER, 255)
    assert "AccessDenied" in refused or "Access Denied" in refused or "kms:Decrypt" in refused, refused
    sealed.server.stop()
    report = json.loads(opentrail_offline("fsck", "--data-dir", sealed.server.data, "--output", "json"))
    assert report["findings"] == [] or not any(finding["is_damage"] for finding in report["findings"]), report


def test_fsck_opens_what_the_key_ring_opens_and_finds_what_was_altered(sealed):
    sealed.put()
    sealed.wait_for_all()
    delivered = len(sealed.keys("CloudTrail-Digest"))
    wait_until(lambda: len(sealed.keys("CloudTrail-Digest")) >= delivered + 2, "digests over every file", seconds=60)
    digested = sealed.keys()[0]
    sealed.server.stop()

    def fsck(code):
        output = opentrail_offline("fsck", "--data-dir", sealed.server.data, "--output", "json", code=code)
        return json.loads(output)

    report = fsck(0)
    checked = {name: number for area in report["areas"] for name, number in area["checked"].items()}
    assert checked["opened seals"] == checked["sealed objects"] > 0
    assert checked["digests"] > 0 and checked["log files in digests"] > 0
    # Another object's bytes, sealed and whole, in its place: the disk's sums agree, and the digest does not.
    path = sealed.server.data / "objects" / BUCKET / digested
    stored = path.read_bytes()
    path.write_bytes(stored[:-1] + bytes([stored[-1] ^ 1]))
    damage = [f"{finding['path']}: {finding['problem']}" for finding in fsck(1)["findings"] if finding["is_damage"]]
    assert any(digested in text and "MD5" in text for text in damage), damage
    assert any(digested in text and "MD5" not in text for text in damage), damage
    path.write_bytes(stored)
    ring = sealed.server.data / "keys" / "ring.json"
    ring.rename(ring.with_suffix(".away"))
    assert any("ring.json" in finding["path"] for finding in fsck(1)["findings"] if finding["is_damage"])
    ring.with_suffix(".away").rename(ring)


@pytest.mark.parametrize("how", ["disabled", "pending deletion", "policy"])
def test_delivery_waits_for_its_key_and_loses_nothing(sealed, how):
    sealed.put()
    sealed.wait_for_all()
    assert not sealed.trails.get_trail_status(Name="main").get("LatestDeliveryError")
    root_only = json.dumps({"Version": "2012-10-17", "Statement": [json.loads(key_policy())["Statement"][0]]})
    stop, code = {
        "disabled": (lambda: sealed.kms.disable_key(KeyId=sealed.key), "KMS.DisabledException"),
        "pending deletion": (lambda: sealed.kms.schedule_key_deletion(KeyId=sealed.key), "KMS.KMSInvalidStateException"),
        "policy": (lambda: sealed.kms.put_key_policy(KeyId=sealed.key, Policy=root_only), "AccessDenied"),
    }[how]
    stop()
    files = sealed.keys()
    sealed.put()

    def error():
        return sealed.trails.get_trail_status(Name="main").get("LatestDeliveryError")

    wait_until(lambda: error() == code, f"the error {code}", seconds=30)
    assert sealed.keys() == files
    sealed.server.stop()
    sealed.server.start()
    wait_until(lambda: error() == code, "the error after a restart", seconds=30)
    if how == "pending deletion":
        sealed.kms.cancel_key_deletion(KeyId=sealed.key)
    if how == "policy":
        sealed.kms.put_key_policy(KeyId=sealed.key, Policy=key_policy())
    else:
        sealed.kms.enable_key(KeyId=sealed.key)
    sealed.wait_for_all()
    wait_until(lambda: not error(), "a status without error", seconds=60)
    assert sealed.arrived() == collections.Counter(sealed.put_ids)


def test_another_key_takes_over_from_a_disabled_one(sealed):
    sealed.kms.disable_key(KeyId=sealed.key)
    sealed.put()
    wait_until(lambda: sealed.trails.get_trail_status(Name="main").get("LatestDeliveryError"), "an error", seconds=30)
    other = sealed.kms.create_key(Policy=key_policy())["KeyMetadata"]["Arn"]
    sealed.trails.update_trail(Name="main", KmsKeyId=other)
    sealed.wait_for_all()
    assert {sealed.s3.head_object(Bucket=BUCKET, Key=key)["SSEKMSKeyId"] for key in sealed.keys()} == {other}
    sealed.trails.update_trail(Name="main", KmsKeyId="")
    sealed.put()
    sealed.wait_for_all()
    assert any("SSEKMSKeyId" not in sealed.s3.head_object(Bucket=BUCKET, Key=key) for key in sealed.keys())


def test_stock_clients_seal_objects_of_their_own(sealed):
    body = bytes(range(256)) * 1000
    made = sealed.s3.put_object(Bucket=BUCKET, Key="mine.bin", Body=body, ServerSideEncryption="aws:kms",
                                SSEKMSKeyId=sealed.key)  # fmt: skip
    assert (made["ServerSideEncryption"], made["SSEKMSKeyId"]) == ("aws:kms", sealed.key)
    assert sealed.s3.get_object(Bucket=BUCKET, Key="mine.bin")["Body"].read() == body
    for first, last in [(0, 0), (65_535, 65_536), (200_000, 255_999)]:
        part = sealed.s3.get_object(Bucket=BUCKET, Key="mine.bin", Range=f"bytes={first}-{last}")["Body"].read()
        assert part == body[first:last + 1]
    on_disk = (sealed.server.data / "objects" / BUCKET / "mine.bin").read_bytes()
    assert body[:64] not in on_disk
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        sealed.server.client("s3", key=READER).put_object(
            Bucket=BUCKET, Key="theirs.bin", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=sealed.key)  # fmt: skip
    # Without a key of one's own it is the one that S3 manages, which needs no rights of the caller's.
    reader = sealed.server.client("s3", key=READER)
    managed = reader.put_object(Bucket=BUCKET, Key="managed.bin", Body=b"x", ServerSideEncryption="aws:kms")["SSEKMSKeyId"]
    described = sealed.kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert (described["Arn"], described["KeyManager"]) == (managed, "AWS")
    assert reader.get_object(Bucket=BUCKET, Key="managed.bin")["Body"].read() == b"x"
    # Copies are opened and sealed as the request says.
    sealed.s3.copy_object(Bucket=BUCKET, Key="plain.bin", CopySource=f"{BUCKET}/mine.bin")
    assert "SSEKMSKeyId" not in sealed.s3.head_object(Bucket=BUCKET, Key="plain.bin")
    assert (sealed.server.data / "objects" / BUCKET / "plain.bin").read_bytes() == body
    sealed.s3.copy_object(Bucket=BUCKET, Key="again.bin", CopySource=f"{BUCKET}/plain.bin",
                          ServerSideEncryption="aws:kms", SSEKMSKeyId=sealed.key)  # fmt: skip
    assert sealed.s3.get_object(Bucket=BUCKET, Key="again.bin")["Body"].read() == body
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.copy_object(Bucket=BUCKET, Key="stolen.bin", CopySource=f"{BUCKET}/mine.bin")
    sealed.kms.disable_key(KeyId=sealed.key)
    with pytest.raises(ClientError, match="KMS.DisabledException"):
        sealed.s3.get_object(Bucket=BUCKET, Key="mine.bin")
    with pytest.raises(ClientError, match="KMS.NotFoundException"):
        sealed.s3.put_object(Bucket=BUCKET, Key="x", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/none")


def test_the_stock_cli_seals_too(sealed, tmp_path):
    file = tmp_path / "file.txt"
    file.write_text("hello")
    aws(sealed.server, "s3", "cp", str(file), f"s3://{BUCKET}/file.txt", "--sse", "aws:kms", "--sse-kms-key-id", sealed.key)
    back = tmp_path / "back.txt"
    aws(sealed.server, "s3", "cp", f"s3://{BUCKET}/file.txt", str(back))
    assert back.read_text() == "hello"
