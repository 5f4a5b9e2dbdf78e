"""moto as another S3 with KMS: a trail's key is sent with every put, and the endpoint seals with it."""

import gzip
import json
import uuid

import boto3
import pytest
from botocore.exceptions import ClientError
from moto_server import moto_server
from opentrail_server import ACCOUNT, Server, record, wait_until

BUCKET = "foreign-logs"


@pytest.fixture
def moto(tmp_path):
    """The endpoint of a moto server."""
    with moto_server(tmp_path) as moto:
        yield moto.endpoint


def client(endpoint, service):
    return boto3.client(service, "us-east-1", endpoint_url=endpoint, aws_access_key_id="k", aws_secret_access_key="s")


def test_a_foreign_bucket_gets_the_trails_key(moto, tmp_path):
    s3, kms = client(moto, "s3"), client(moto, "kms")
    s3.create_bucket(Bucket=BUCKET)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    config = f"""
[delivery]
max_age = "200ms"
[digest]
interval = "2s"
[[destination]]
buckets = ["{BUCKET}"]
endpoint = "{moto}"
access_key_id = "k"
secret_access_key = "s"
"""
    with Server(tmp_path / "server", config, ["--log", "warn"]) as server:
        trails = server.client("cloudtrail")
        with pytest.raises(ClientError, match="InvalidKmsKeyIdException.*give the key's ARN"):
            trails.create_trail(Name="far", S3BucketName=BUCKET, KmsKeyId="alias/logs")
        elsewhere = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
        with pytest.raises(ClientError, match="KmsKeyNotFoundException"):
            trails.create_trail(Name="far", S3BucketName=BUCKET, KmsKeyId=elsewhere)
        made = trails.create_trail(Name="far", S3BucketName=BUCKET, KmsKeyId=key, EnableLogFileValidation=True)
        assert made["KmsKeyId"] == key
        trails.start_logging(Name="far")
        wanted = {str(uuid.uuid4()) for _ in range(5)}
        server.put_records(b"\n".join(json.dumps(record(i)).encode() for i in sorted(wanted)))

        def arrived():
            found = set()
            for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
                if "/CloudTrail/" in item["Key"]:
                    body = s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
                    found |= {r["eventID"] for r in json.loads(gzip.decompress(body))["Records"]}
            return wanted <= found

        wait_until(arrived, "delivery to moto", seconds=60)

        def digested():
            return any("Digest" in item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"])

        wait_until(digested, "a digest in moto", seconds=60)
        for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
            head = s3.head_object(Bucket=BUCKET, Key=item["Key"])
            assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key), item["Key"]
