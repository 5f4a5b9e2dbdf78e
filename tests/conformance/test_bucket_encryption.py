"""Objects sealed with KMS keys however they are put: by a bucket's default, in parts, by presigned URLs, by copies."""

import hashlib
import json
import urllib.error
import urllib.request
import uuid

import pytest

from accounts import READER
from errors import refused
from opentrail_server import ACCOUNT

HOME = "us-east-1"
PART = 5 << 20


@pytest.fixture
def s3(client):
    return client("s3", HOME)


@pytest.fixture
def key(client) -> str:
    return client("kms", HOME).create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def bucket(s3) -> str:
    name = f"sealed-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def rule(algorithm, key=None, **more):
    default = {"SSEAlgorithm": algorithm} | ({"KMSMasterKeyID": key} if key else {})
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": default, **more}]}


def on_disk(server, bucket, key):
    """The bytes of an object whose key has a dot in its last segment and none before."""
    return (server.data / "objects" / bucket / key).read_bytes()


def allow_all(s3, bucket):
    """READER may do everything with the bucket, and nothing with keys."""
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/reader"}, "Action": "s3:*",
                 "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}  # fmt: skip
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def sealed_with(answer, key):
    return (answer.get("ServerSideEncryption"), answer.get("SSEKMSKeyId")) == ("aws:kms", key)


def test_the_default_encryption_is_s3s_own_until_it_is_set(s3, bucket, key):
    def told():
        return s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]

    plain = rule("AES256", BucketKeyEnabled=False)
    assert told() == plain
    for set_to in (rule("aws:kms", key), rule("aws:kms"), rule("AES256")):
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=set_to)
        assert told()["Rules"][0]["ApplyServerSideEncryptionByDefault"] == set_to["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rule("aws:kms", key))
    s3.delete_bucket_encryption(Bucket=bucket)
    assert told() == plain


@pytest.mark.parametrize(
    "configuration, error, status",
    [
        ({"Rules": []}, "MalformedXML", 400),
        ({"Rules": [{}]}, "MalformedXML", 400),
        (rule("DES"), "MalformedXML", 400),
        ({"Rules": rule("AES256")["Rules"] * 2}, "MalformedXML", 400),
        (rule("AES256", "alias/x"), "InvalidArgument", 400),
        (rule("aws:kms:dsse"), "NotImplemented", 501),
        (rule("aws:kms", BucketKeyEnabled=True), "NotImplemented", 501),
    ],
)
def test_a_bad_default_is_refused(s3, bucket, configuration, error, status):
    with refused(error, status=status):
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=configuration)
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"] == rule("AES256", BucketKeyEnabled=False)


def test_the_default_needs_its_own_rights(s3, client, bucket):
    mine = client("s3", HOME, READER)
    calls = [
        lambda: mine.get_bucket_encryption(Bucket=bucket),
        lambda: mine.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rule("AES256")),
        lambda: mine.delete_bucket_encryption(Bucket=bucket),
    ]
    for call in calls:
        with refused("AccessDenied", status=403):
            call()
    allow_all(s3, bucket)
    for call in calls:
        call()
    with refused("NoSuchBucket", status=404):
        s3.get_bucket_encryption(Bucket="none-" + uuid.uuid4().hex[:8])


def test_a_default_key_seals_whatever_does_not_say_otherwise(server, s3, client, bucket, key):
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rule("aws:kms", key))
    body = b"secret" * 1000
    put = s3.put_object(Bucket=bucket, Key="a.bin", Body=body)
    assert sealed_with(put, key)
    assert body[:100] not in on_disk(server, bucket, "a.bin")
    assert put["ETag"].strip('"') != hashlib.md5(body).hexdigest()
    assert sealed_with(s3.head_object(Bucket=bucket, Key="a.bin"), key)
    assert s3.get_object(Bucket=bucket, Key="a.bin", ChecksumMode="ENABLED")["Body"].read() == body
    s3.put_object(Bucket=bucket, Key="plain.bin", Body=body, ServerSideEncryption="AES256")
    assert on_disk(server, bucket, "plain.bin") == body
    copied = s3.copy_object(Bucket=bucket, Key="copy.bin", CopySource=f"{bucket}/plain.bin")
    assert sealed_with(copied, key) and body[:100] not in on_disk(server, bucket, "copy.bin")
    s3.copy_object(Bucket=bucket, Key="plain.bin", CopySource=f"{bucket}/plain.bin", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert body[:100] not in on_disk(server, bucket, "plain.bin"), "sealed in place"
    allow_all(s3, bucket)
    mine = client("s3", HOME, READER)
    with refused("AccessDenied", "kms:Decrypt", 403):
        mine.get_object(Bucket=bucket, Key="a.bin")
    with refused("AccessDenied", "kms:GenerateDataKey", 403):
        mine.put_object(Bucket=bucket, Key="mine.bin", Body=body)


def test_uploads_in_parts_are_sealed_from_the_first_byte(server, s3, client, bucket, key):
    parts = [bytes([65 + number]) * size for number, size in enumerate([PART, PART + 12_345, 678])]
    made = s3.create_multipart_upload(Bucket=bucket, Key="big.bin", ServerSideEncryption="aws:kms", SSEKMSKeyId=key,
                                      ChecksumAlgorithm="CRC32")  # fmt: skip
    assert sealed_with(made, key)
    upload, done = {"Bucket": bucket, "Key": "big.bin", "UploadId": made["UploadId"]}, []
    for number, body in enumerate(parts, 1):
        put = s3.upload_part(**upload, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32")
        assert sealed_with(put, key)
        done.append({"PartNumber": number, "ETag": put["ETag"], "ChecksumCRC32": put["ChecksumCRC32"]})
    waiting = [path.read_bytes() for path in (server.data / "objects/.opentrail/uploads" / bucket).glob("*/0000*")]
    assert len(waiting) == 6 and not any(body[:64] in stored for stored in waiting for body in parts)
    assert [part["Size"] for part in s3.list_parts(**upload)["Parts"]] == [len(body) for body in parts]
    whole = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
    assert sealed_with(whole, key) and whole["ETag"].endswith('-3"')
    stored = on_disk(server, bucket, "big.bin")
    assert not any(body[:64] in stored for body in parts)
    found = s3.get_object(Bucket=bucket, Key="big.bin", ChecksumMode="ENABLED")
    assert sealed_with(found, key) and found["Body"].read() == b"".join(parts)
    start = PART - 10
    part = s3.get_object(Bucket=bucket, Key="big.bin", Range=f"bytes={start}-{start + 99}")["Body"].read()
    assert part == b"".join(parts)[start:][:100]
    second = s3.get_object(Bucket=bucket, Key="big.bin", PartNumber=2)
    assert second["Body"].read() == parts[1]
    allow_all(s3, bucket)
    with refused("AccessDenied", "kms:Decrypt", 403):
        client("s3", HOME, READER).get_object(Bucket=bucket, Key="big.bin")


def test_parts_need_the_key_to_be_there(s3, client, bucket, key):
    upload = {"Bucket": bucket, "Key": "big.bin"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)["UploadId"]
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
    kms = client("kms", HOME)
    kms.disable_key(KeyId=key)
    done = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    with refused("KMS.DisabledException"):
        s3.upload_part(**upload, PartNumber=2, Body=b"x")
    with refused("KMS.DisabledException"):
        s3.complete_multipart_upload(**upload, MultipartUpload=done)
    with refused("KMS.DisabledException"):
        s3.create_multipart_upload(Bucket=bucket, Key="other", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    kms.enable_key(KeyId=key)
    s3.complete_multipart_upload(**upload, MultipartUpload=done)
    assert s3.get_object(Bucket=bucket, Key="big.bin")["Body"].read() == b"x"


def test_parts_are_copied_out_of_and_into_sealed_objects(s3, bucket, key):
    body = b"0123456789" * 1000
    s3.put_object(Bucket=bucket, Key="from.bin", Body=body, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    for target, how in [("sealed.bin", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}), ("plain.bin", {})]:
        upload = {"Bucket": bucket, "Key": target}
        upload["UploadId"] = s3.create_multipart_upload(**upload, **how)["UploadId"]
        part = s3.upload_part_copy(**upload, PartNumber=1, CopySource=f"{bucket}/from.bin", CopySourceRange="bytes=5-4999")
        done = {"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]}
        s3.complete_multipart_upload(**upload, MultipartUpload=done)
        assert s3.get_object(Bucket=bucket, Key=target)["Body"].read() == body[5:5000]


def test_presigned_urls_say_how_to_seal(server, s3, bucket, key):
    signing = server.client("s3", HOME, signature_version="s3v4")
    url = signing.generate_presigned_url(
        "put_object", {"Bucket": bucket, "Key": "a.bin", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key})  # fmt: skip
    headers = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": key}
    hoisted = "server-side-encryption=" in url.lower()
    request = urllib.request.Request(url, b"secret" * 100, {} if hoisted else headers, method="PUT")
    assert urllib.request.urlopen(request).status == 200
    assert sealed_with(s3.head_object(Bucket=bucket, Key="a.bin"), key)
    assert b"secret" not in on_disk(server, bucket, "a.bin")
    url = signing.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a.bin"})
    assert urllib.request.urlopen(url).read() == b"secret" * 100


def test_a_url_with_its_headers_in_the_query_says_so_too(server, s3, bucket, key):
    """As the SDKs for Go and JavaScript make them."""
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    def url(**params):
        request = AWSRequest("PUT", f"{server.endpoint}/{bucket}/a.bin", params=params)
        S3SigV4QueryAuth(Credentials(*server.key()), "s3", HOME, 60).add_auth(request)
        return request.prepare().url

    sealing = {"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": key}
    put = urllib.request.Request(url(**sealing), b"secret" * 100, method="PUT")
    assert urllib.request.urlopen(put).status == 200
    assert sealed_with(s3.head_object(Bucket=bucket, Key="a.bin"), key)
    # What is not available is refused there as in a header, and what is under no signature is not taken.
    put = urllib.request.Request(url(**{"X-Amz-Tagging": "a=b"}), b"x", method="PUT")
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(put)
    assert answer.value.code == 501
    put = urllib.request.Request(url() + "&X-Amz-Object-Lock-Legal-Hold=ON", b"x", method="PUT")
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(put)
    assert answer.value.code == 403


def test_bucket_keys_and_double_sealing_are_refused(s3, bucket, key):
    with refused("NotImplemented", status=501):
        s3.put_object(Bucket=bucket, Key="a.bin", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId=key, BucketKeyEnabled=True)
    with refused("NotImplemented", status=501):
        s3.put_object(Bucket=bucket, Key="a.bin", Body=b"", ServerSideEncryption="aws:kms:dsse", SSEKMSKeyId=key)
    with refused("InvalidArgument"):
        s3.put_object(Bucket=bucket, Key="a.bin", Body=b"", ServerSideEncryption="AES256", SSEKMSKeyId=key)
