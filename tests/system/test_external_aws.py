"""moto as AWS: S3 and KMS at other endpoints, everything delivered there or sealed with its keys, while each fails in every
way that a network and an AWS service can. The trail concerned says so, the others go on, and in the end everything has
arrived exactly once and validates."""

import collections
import datetime
import gzip
import json
import subprocess
import sys
import urllib.error
import urllib.request
import uuid

import boto3
import pytest
from botocore.exceptions import ClientError
from commands import AWS
from faulty import DENIED, INTERNAL, NO_BUCKET, SLOW_DOWN, Faulty, kms_error
from opentrail_server import ACCOUNT, Server, free_port, record, wait_until

FAR, NEAR, SEALED = "far-logs", "trail-logs", "sealed-logs"
NOBODY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}]}
DECRYPTER = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "kms:Decrypt"], "Resource": "*"}]}
CONFIG = """
[delivery]
max_age = "200ms"
put_timeout = "3s"
[digest]
interval = "2s"
[[destination]]
buckets = ["{bucket}"]
endpoint = "{s3}"
access_key_id = "k"
secret_access_key = "s"
[kms]
endpoint = "{kms}"
access_key_id = "k"
secret_access_key = "s"
timeout = "500ms"
[[account]]
id = "{account}"
[[account.user]]
name = "nobody"
policies = ['''{nobody}''']
[[account.user.access_key]]
id = "AKIANOBODY0000000001"
secret = "nobody-secret"
[[account.user]]
name = "decrypter"
policies = ['''{decrypter}''']
[[account.user.access_key]]
id = "AKIADECRYPTER0000001"
secret = "decrypter-secret"
"""


class Cloud:
    """moto behind two proxies, and a server with three trails: to moto's S3 with a key, to the own store with moto's key,
    and to the own store without."""

    def __init__(self, directory):
        self.port = free_port()
        self.log = directory / "moto.log"
        with open(self.log, "wb") as log:
            self.moto = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(self.port)], stdout=log, stderr=log)
        wait_until(self.is_up, "moto's start", seconds=120)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.s3, self.kms = self.client("s3"), self.client("kms")
        self.s3.create_bucket(Bucket=FAR)
        self.key = self.kms.create_key()["KeyMetadata"]["Arn"]
        self.kms.create_alias(AliasName="alias/trails", TargetKeyId=self.key)
        self.faulty_s3, self.faulty_kms = Faulty(self.port, "PUT"), Faulty(self.port, "POST")
        config = CONFIG.format(bucket=FAR, s3=self.faulty_s3.endpoint, kms=self.faulty_kms.endpoint, account=ACCOUNT,
                               nobody=json.dumps(NOBODY), decrypter=json.dumps(DECRYPTER))  # fmt: skip
        self.server = Server(directory / "server", config, ["--log", "error"]).start()
        self.began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
        self.trails = self.server.client("cloudtrail")
        made = self.trails.create_trail(Name="far", S3BucketName=FAR, KmsKeyId="alias/trails", EnableLogFileValidation=True)
        assert made["KmsKeyId"] == self.key
        self.trails.start_logging(Name="far")
        self.server.make_trail("sealed", SEALED, KmsKeyId=self.key, EnableLogFileValidation=True)
        self.server.make_trail("near", NEAR, EnableLogFileValidation=True)
        self.put_ids, self.seen = [], {}

    def close(self):
        self.faulty_s3.close()
        self.faulty_kms.close()
        if self.server.process is not None:
            self.server.kill()
        self.moto.kill()
        self.moto.wait()

    def is_up(self):
        assert self.moto.poll() is None, self.log.read_text()
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/moto-api/data.json", timeout=5).status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def client(self, service):
        return boto3.client(service, "us-east-1", endpoint_url=self.endpoint, aws_access_key_id="k", aws_secret_access_key="s")

    def put(self, number=5):
        ids = [str(uuid.uuid4()) for _ in range(number)]
        report = self.server.put_records(b"\n".join(json.dumps(record(i)).encode() for i in ids))
        assert report["Accepted"] == number, report
        self.put_ids += ids
        return ids

    def arrived(self, trail, anew=False):
        """How often each record put is in the trail's log files; files that were seen before are read again if `anew`."""
        s3, bucket = (self.s3, FAR) if trail == "far" else (self.server.client("s3"), {"near": NEAR, "sealed": SEALED}[trail])
        found = collections.Counter()
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                if "/CloudTrail/" not in item["Key"]:
                    continue
                place = bucket, item["Key"]
                if anew or place not in self.seen:
                    body = gzip.decompress(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
                    self.seen[place] = [r["eventID"] for r in json.loads(body)["Records"] if r["eventName"] == "Probe"]
                found.update(self.seen[place])
        return found

    def wait_for(self, ids, trail, seconds=90):
        wait_until(lambda: set(ids) <= set(self.arrived(trail)), f"delivery by the trail {trail}", seconds, pause=0.3)

    def status(self, trail):
        return self.trails.get_trail_status(Name=trail)

    def wait_for_failure(self, trail):
        """The error in the status once an attempt has failed; time-outs have none."""

        def failed():
            status = self.status(trail)
            return status if status["LatestDeliveryAttemptTime"] > status["LatestDeliveryAttemptSucceeded"] else None

        return wait_until(failed, "a failed attempt in the status", seconds=30).get("LatestDeliveryError")

    def validate(self, trail):
        arn = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/{trail}"
        environment = {**self.server.cli_environment(), "AWS_ENDPOINT_URL_CLOUDTRAIL": self.server.endpoint}
        if trail == "far":
            environment["AWS_ENDPOINT_URL_S3"] = self.endpoint
        done = subprocess.run(
            [AWS, "cloudtrail", "validate-logs", "--trail-arn", arn, "--start-time", self.began.strftime("%Y-%m-%dT%H:%M:%SZ")],
            env=environment, capture_output=True, text=True, timeout=300, check=False)  # fmt: skip
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    first = cloud.put()
    for trail in ("far", "sealed", "near"):
        cloud.wait_for(first, trail)
    yield cloud
    cloud.close()


S3_FAULTS = {
    "slow down": (SLOW_DOWN, "SlowDown"),
    "internal error": (INTERNAL, "InternalError"),
    "reset in the middle of a put": ("cut", "ServiceUnavailable"),
    "reset after the put": ("mute", "ServiceUnavailable"),
    "hang": ("hang", None),
    "access denied": (DENIED, "AccessDenied"),
    "bucket gone": (NO_BUCKET, "NoSuchBucket"),
}


@pytest.mark.parametrize("fault", S3_FAULTS)
def test_a_failing_s3_delays_its_own_trail_only(cloud, fault):
    answer, code = S3_FAULTS[fault]
    cloud.faulty_s3.become(answer)
    ids = cloud.put()
    assert cloud.wait_for_failure("far") == code
    for trail in ("sealed", "near"):
        cloud.wait_for(ids, trail, seconds=30)
        assert not cloud.status(trail).get("LatestDeliveryError")
    assert cloud.faulty_s3.met
    cloud.faulty_s3.become(None)
    cloud.wait_for(ids, "far")
    wait_until(lambda: not cloud.status("far").get("LatestDeliveryError"), "a status without error")


KMS_FAULTS = {
    "internal error": (kms_error(500, "KMSInternalException"), "KMS.KMSInternalException"),
    "throttling": (kms_error(400, "ThrottlingException"), "KMS.ThrottlingException"),
    "hang": ("hang", "KMS.DependencyTimeoutException"),
    "no answer": ("mute", "KMS.DependencyTimeoutException"),
    "key disabled": (kms_error(400, "DisabledException", "arn:aws:kms:x is disabled."), "KMS.DisabledException"),
    "key pending deletion": (kms_error(400, "KMSInvalidStateException", "arn:aws:kms:x is pending deletion."),
                             "KMS.KMSInvalidStateException"),  # fmt: skip
    "access denied": (kms_error(400, "AccessDeniedException"), "AccessDenied"),
}


@pytest.mark.parametrize("fault", KMS_FAULTS)
def test_a_failing_kms_delays_the_trail_that_it_seals_for_only(cloud, fault):
    answer, code = KMS_FAULTS[fault]
    cloud.faulty_kms.become(answer)
    ids = cloud.put()
    assert cloud.wait_for_failure("sealed") == code
    if fault in ("internal error", "throttling", "no answer"):
        assert cloud.faulty_kms.met >= 3, "a passing failure is tried again at once"
    for trail in ("far", "near"):
        cloud.wait_for(ids, trail, seconds=30)
        assert not cloud.status(trail).get("LatestDeliveryError")
    cloud.faulty_kms.become(None)
    cloud.wait_for(ids, "sealed")
    wait_until(lambda: not cloud.status("sealed").get("LatestDeliveryError"), "a status without error")


def test_trails_get_keys_only_of_the_other_kms_that_can_be_used(cloud):
    def create(key, name="other", bucket=NEAR):
        return cloud.trails.create_trail(Name=name, S3BucketName=bucket, KmsKeyId=key)

    own = cloud.server.client("kms")
    with pytest.raises(ClientError, match="UnsupportedOperationException.*kms.endpoint"):
        own.create_key()
    disabled = cloud.kms.create_key()["KeyMetadata"]["KeyId"]
    cloud.kms.disable_key(KeyId=disabled)
    leaving = cloud.kms.create_key()["KeyMetadata"]["KeyId"]
    cloud.kms.schedule_key_deletion(KeyId=leaving)
    for bucket in (NEAR, FAR):
        for key, error in [
            (disabled, "KmsException"),
            (leaving, "KmsException"),
            ("11111111-2222-3333-4444-555555555555", "KmsKeyNotFoundException"),
            ("alias/none", "KmsKeyNotFoundException"),
        ]:
            with pytest.raises(ClientError) as refused:
                create(key, bucket=bucket)
            assert refused.value.response["Error"]["Code"] == error, (key, refused.value)
    cloud.faulty_kms.become(kms_error(400, "AccessDeniedException"))
    with pytest.raises(ClientError, match="InsufficientEncryptionPolicyException"):
        create(cloud.key)
    cloud.faulty_kms.become("hang")
    with pytest.raises(ClientError) as refused:
        create(cloud.key)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    cloud.faulty_kms.become(None)


def test_sealed_objects_are_read_with_the_right_to_decrypt_only(cloud):
    s3 = cloud.server.client("s3")
    key = next(item["Key"] for item in s3.list_objects_v2(Bucket=SEALED)["Contents"] if "/CloudTrail/" in item["Key"])
    head = s3.head_object(Bucket=SEALED, Key=key)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", cloud.key)
    stored = (cloud.server.data / "objects" / SEALED / key).read_bytes()
    assert not stored.startswith(b"\x1f\x8b"), "the bytes on disk are sealed"
    nobody = cloud.server.client("s3", key=("AKIANOBODY0000000001", "nobody-secret"))
    with pytest.raises(ClientError, match="AccessDenied.*kms:Decrypt"):
        nobody.get_object(Bucket=SEALED, Key=key)
    decrypter = cloud.server.client("s3", key=("AKIADECRYPTER0000001", "decrypter-secret"))
    assert decrypter.get_object(Bucket=SEALED, Key=key)["Body"].read().startswith(b"\x1f\x8b")
    with pytest.raises(ClientError, match="AccessDenied.*kms:GenerateDataKey"):
        decrypter.put_object(Bucket=SEALED, Key="mine", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=cloud.key)
    s3.put_object(Bucket=SEALED, Key="mine", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/trails")
    assert decrypter.get_object(Bucket=SEALED, Key="mine")["Body"].read() == b"x"
    cloud.faulty_kms.become(kms_error(400, "DisabledException"))
    with pytest.raises(ClientError, match="KMS.DisabledException"):
        s3.get_object(Bucket=SEALED, Key="mine")
    cloud.faulty_kms.become(None)
    s3.delete_object(Bucket=SEALED, Key="mine")


def test_everything_arrived_exactly_once_and_validates(cloud):
    """After all that, and a restart."""
    assert cloud.server.stop() == 0
    cloud.server.start()
    last = cloud.put()
    for trail in ("far", "sealed", "near"):
        cloud.wait_for(last, trail)
        assert cloud.arrived(trail, anew=True) == collections.Counter(cloud.put_ids), trail
    for item in cloud.s3.list_objects_v2(Bucket=FAR)["Contents"]:
        head = cloud.s3.head_object(Bucket=FAR, Key=item["Key"])
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", cloud.key), item["Key"]
    for trail in ("far", "sealed", "near"):
        wait_until(lambda trail=trail: cloud.status(trail).get("LatestDigestDeliveryTime"), "a digest")
        code, text = cloud.validate(trail)
        assert code == 0 and "log files valid" in text and "INVALID" not in text and "not found" not in text, text
