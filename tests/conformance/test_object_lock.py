"""Versions and Object Lock in the embedded store, as an administrator sets them and as an attacker tries to get round."""

import datetime
import gzip
import json
import pathlib
import subprocess
import sys
import uuid

import pytest

from accounts import OTHER, READER
from errors import refused
from opentrail_server import ACCOUNT, BUCKET_POLICY, Server, record, wait_until

AWS = pathlib.Path(sys.executable).parent / "aws"
KEY = "evidence/a.json.gz"


def soon(seconds=3600):
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(seconds=seconds)


@pytest.fixture
def s3(client):
    return client("s3")


def new_name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def locking(s3):
    """A bucket with Object Lock, and no default retention."""
    name = new_name("locking")
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


@pytest.fixture
def versioned(s3):
    name = new_name("versioned")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def default(mode="GOVERNANCE", **period):
    return {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": mode, **period}}}


def versions(s3, bucket, **more):
    """Key, version id, whether it is the latest, and whether a delete marker."""
    found = [s3.list_object_versions(Bucket=bucket, **more)]
    while found[-1]["IsTruncated"]:
        after = {"KeyMarker": found[-1]["NextKeyMarker"]}
        if "NextVersionIdMarker" in found[-1]:
            after["VersionIdMarker"] = found[-1]["NextVersionIdMarker"]
        found.append(s3.list_object_versions(Bucket=bucket, **more, **after))
    objects = [(v["Key"], v["VersionId"], v["IsLatest"], False) for page in found for v in page.get("Versions", [])]
    markers = [(v["Key"], v["VersionId"], v["IsLatest"], True) for page in found for v in page.get("DeleteMarkers", [])]
    return sorted(objects + markers)


# Versions


def test_a_bucket_has_no_versioning_until_it_is_told(s3, versioned):
    plain = new_name("plain")
    s3.create_bucket(Bucket=plain)
    assert "Status" not in s3.get_bucket_versioning(Bucket=plain)
    assert "VersionId" not in s3.put_object(Bucket=plain, Key=KEY, Body=b"1")
    assert s3.get_bucket_versioning(Bucket=versioned)["Status"] == "Enabled"
    s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"})
    assert s3.get_bucket_versioning(Bucket=versioned)["Status"] == "Suspended"
    with refused("MalformedXML"):
        s3.put_bucket_versioning(Bucket=plain, VersioningConfiguration={"Status": "On"})
    with refused("IllegalVersioningConfigurationException"):
        s3.put_bucket_versioning(Bucket=plain, VersioningConfiguration={})
    with refused("NotImplemented", "MFA", 501):
        s3.put_bucket_versioning(Bucket=plain, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"}, MFA="x 1")
    with refused("NoSuchBucket", status=404):
        s3.put_bucket_versioning(Bucket=new_name("none"), VersioningConfiguration={"Status": "Enabled"})


def test_every_put_is_a_version_that_can_be_read_by_its_id(s3, versioned):
    ids = [s3.put_object(Bucket=versioned, Key=KEY, Body=body)["VersionId"] for body in (b"one", b"two", b"two")]
    assert len(set(ids)) == 3
    assert [s3.get_object(Bucket=versioned, Key=KEY, VersionId=i)["Body"].read() for i in ids] == [b"one", b"two", b"two"]
    latest = s3.get_object(Bucket=versioned, Key=KEY)
    assert (latest["VersionId"], latest["Body"].read()) == (ids[2], b"two")
    assert s3.head_object(Bucket=versioned, Key=KEY, VersionId=ids[0])["ContentLength"] == 3
    listed = [(v["VersionId"], v["IsLatest"]) for v in s3.list_object_versions(Bucket=versioned)["Versions"]]
    assert listed == [(ids[2], True), (ids[1], False), (ids[0], False)], "the newest first"
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=versioned)["Contents"]] == [KEY]
    copy = s3.copy_object(Bucket=versioned, Key=KEY, CopySource={"Bucket": versioned, "Key": KEY, "VersionId": ids[0]})
    assert copy["CopySourceVersionId"] == ids[0] and copy["VersionId"] not in ids
    assert s3.get_object(Bucket=versioned, Key=KEY)["Body"].read() == b"one"


def test_a_delete_hides_the_object_behind_a_marker_that_can_be_deleted(s3, versioned):
    kept = s3.put_object(Bucket=versioned, Key=KEY, Body=b"kept")["VersionId"]
    deleted = s3.delete_object(Bucket=versioned, Key=KEY)
    assert deleted["DeleteMarker"] is True
    with pytest.raises(s3.exceptions.NoSuchKey) as gone:
        s3.get_object(Bucket=versioned, Key=KEY)
    headers = gone.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", deleted["VersionId"])
    with refused("MethodNotAllowed", status=405):
        s3.get_object(Bucket=versioned, Key=KEY, VersionId=deleted["VersionId"])
    assert versions(s3, versioned) == sorted([(KEY, kept, False, False), (KEY, deleted["VersionId"], True, True)])
    assert s3.list_objects_v2(Bucket=versioned)["KeyCount"] == 0
    with refused("BucketNotEmpty", status=409):
        s3.delete_bucket(Bucket=versioned)
    undone = s3.delete_object(Bucket=versioned, Key=KEY, VersionId=deleted["VersionId"])
    assert (undone["DeleteMarker"], undone["VersionId"]) == (True, deleted["VersionId"])
    assert s3.get_object(Bucket=versioned, Key=KEY)["Body"].read() == b"kept"
    assert s3.delete_object(Bucket=versioned, Key=KEY, VersionId=kept)["VersionId"] == kept
    with refused("NoSuchVersion", status=404):
        s3.get_object(Bucket=versioned, Key=KEY, VersionId=kept)
    with refused("InvalidArgument", "Invalid version id specified"):
        s3.get_object(Bucket=versioned, Key=KEY, VersionId="nonsense!")
    s3.delete_object(Bucket=versioned, Key=KEY, VersionId=kept)  # a second time is no error
    s3.delete_bucket(Bucket=versioned)


def test_suspended_versions_stay_and_puts_replace_the_null_version(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key=KEY, Body=b"first")["VersionId"]
    s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"})
    for body in (b"second", b"third"):
        s3.put_object(Bucket=versioned, Key=KEY, Body=body)
    assert versions(s3, versioned) == sorted([(KEY, first, False, False), (KEY, "null", True, False)])
    assert s3.get_object(Bucket=versioned, Key=KEY, VersionId="null")["Body"].read() == b"third"
    s3.delete_object(Bucket=versioned, Key=KEY)
    assert versions(s3, versioned) == sorted([(KEY, first, False, False), (KEY, "null", True, True)])


def test_versions_are_listed_in_pages_below_prefixes(s3, versioned):
    for key in ("a/1", "a/2", "b"):
        for _ in range(2):
            s3.put_object(Bucket=versioned, Key=key, Body=b"")
    s3.delete_object(Bucket=versioned, Key="a/2")
    every = versions(s3, versioned)
    assert len(every) == 7
    for size in (1, 2, 3, 7):
        assert versions(s3, versioned, MaxKeys=size) == every
    assert versions(s3, versioned, Prefix="a/", MaxKeys=2) == [v for v in every if v[0].startswith("a/")]
    folded = s3.list_object_versions(Bucket=versioned, Delimiter="/")
    assert [p["Prefix"] for p in folded["CommonPrefixes"]] == ["a/"]
    assert {v["Key"] for v in folded["Versions"]} == {"b"}
    with refused("InvalidArgument", "without a key marker"):
        s3.list_object_versions(Bucket=versioned, VersionIdMarker=every[0][1])


def test_many_versions_are_deleted_at_once(s3, versioned):
    ids = [s3.put_object(Bucket=versioned, Key=KEY, Body=b"x")["VersionId"] for _ in range(3)]
    objects = [{"Key": KEY, "VersionId": i} for i in ids[:2]] + [{"Key": "other"}]
    deleted = s3.delete_objects(Bucket=versioned, Delete={"Objects": objects})["Deleted"]
    assert [d.get("VersionId") for d in deleted] == [*ids[:2], None]
    assert deleted[2]["DeleteMarker"] is True and deleted[2]["DeleteMarkerVersionId"]
    assert [v[1] for v in versions(s3, versioned) if not v[3]] == [ids[2]]


def test_uploads_in_parts_make_versions(s3, versioned):
    upload = s3.create_multipart_upload(Bucket=versioned, Key=KEY)["UploadId"]
    part = s3.upload_part(Bucket=versioned, Key=KEY, UploadId=upload, PartNumber=1, Body=b"part")
    done = s3.complete_multipart_upload(Bucket=versioned, Key=KEY, UploadId=upload,
                                        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})  # fmt: skip
    assert s3.get_object(Bucket=versioned, Key=KEY, VersionId=done["VersionId"])["Body"].read() == b"part"


# Object Lock: configuration


def test_a_bucket_made_with_object_lock_keeps_versions_for_good(s3, locking):
    assert s3.get_bucket_versioning(Bucket=locking)["Status"] == "Enabled"
    assert s3.get_object_lock_configuration(Bucket=locking)["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
    with refused("InvalidBucketState", status=409):
        s3.put_bucket_versioning(Bucket=locking, VersioningConfiguration={"Status": "Suspended"})
    assert s3.get_bucket_versioning(Bucket=locking)["Status"] == "Enabled"


@pytest.mark.parametrize("rule", [default("GOVERNANCE", Days=3), default("COMPLIANCE", Years=2)])
def test_the_default_retention_is_echoed_and_can_be_removed(s3, locking, rule):
    s3.put_object_lock_configuration(Bucket=locking, ObjectLockConfiguration=rule)
    assert s3.get_object_lock_configuration(Bucket=locking)["ObjectLockConfiguration"] == rule
    s3.put_object_lock_configuration(Bucket=locking, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    assert "Rule" not in s3.get_object_lock_configuration(Bucket=locking)["ObjectLockConfiguration"]


def test_object_lock_needs_versions_and_can_come_later(s3, versioned):
    plain = new_name("plain")
    s3.create_bucket(Bucket=plain)
    with refused("ObjectLockConfigurationNotFoundError", status=404):
        s3.get_object_lock_configuration(Bucket=plain)
    with refused("InvalidBucketState", status=409):
        s3.put_object_lock_configuration(Bucket=plain, ObjectLockConfiguration=default(Days=1))
    s3.put_object_lock_configuration(Bucket=versioned, ObjectLockConfiguration=default(Days=1))
    assert s3.get_object_lock_configuration(Bucket=versioned)["ObjectLockConfiguration"] == default(Days=1)
    with refused("NoSuchBucket", status=404):
        s3.get_object_lock_configuration(Bucket=new_name("none"))


@pytest.mark.parametrize(
    "configuration, error",
    [
        ({"ObjectLockEnabled": "Disabled"}, "MalformedXML"),
        ({}, "MalformedXML"),
        (default(), "MalformedXML"),
        (default(Days=1, Years=1), "MalformedXML"),
        (default("FOREVER", Days=1), "MalformedXML"),
        (default(Days=0), "InvalidArgument"),
        (default(Days=-1), "InvalidArgument"),
        (default(Days=36501), "InvalidArgument"),
        (default(Years=101), "InvalidArgument"),
    ],
)
def test_a_bad_configuration_is_refused(s3, locking, configuration, error):
    with refused(error):
        s3.put_object_lock_configuration(Bucket=locking, ObjectLockConfiguration=configuration)
    assert "Rule" not in s3.get_object_lock_configuration(Bucket=locking)["ObjectLockConfiguration"]


# Retention


def test_retention_is_put_and_told(s3, locking):
    until = soon()
    version = s3.put_object(Bucket=locking, Key=KEY, Body=b"x", ObjectLockMode="GOVERNANCE",
                            ObjectLockRetainUntilDate=until, ObjectLockLegalHoldStatus="ON")["VersionId"]  # fmt: skip
    for answer in (s3.head_object(Bucket=locking, Key=KEY), s3.get_object(Bucket=locking, Key=KEY, VersionId=version)):
        assert answer["ObjectLockMode"] == "GOVERNANCE"
        assert answer["ObjectLockRetainUntilDate"] == until
        assert answer["ObjectLockLegalHoldStatus"] == "ON"
    retention = s3.get_object_retention(Bucket=locking, Key=KEY)["Retention"]
    assert retention == {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    assert s3.get_object_legal_hold(Bucket=locking, Key=KEY)["LegalHold"] == {"Status": "ON"}


def test_what_has_no_lock_says_so(s3, locking, versioned):
    s3.put_object(Bucket=locking, Key=KEY, Body=b"x")
    for ask in (s3.get_object_retention, s3.get_object_legal_hold):
        with refused("NoSuchObjectLockConfiguration", status=404):
            ask(Bucket=locking, Key=KEY)
        with refused("NoSuchKey", status=404):
            ask(Bucket=locking, Key="none")
        with refused("InvalidRequest", "Bucket is missing Object Lock Configuration"):
            ask(Bucket=versioned, Key=KEY)
    s3.put_object_legal_hold(Bucket=locking, Key=KEY, LegalHold={"Status": "OFF"})
    assert s3.get_object_legal_hold(Bucket=locking, Key=KEY)["LegalHold"] == {"Status": "OFF"}


def test_bad_locks_are_refused(s3, locking, versioned):
    put = dict(Bucket=locking, Key=KEY, Body=b"x")
    with refused("InvalidArgument", "must both be supplied"):
        s3.put_object(**put, ObjectLockMode="GOVERNANCE")
    with refused("InvalidArgument", "must be in the future"):
        s3.put_object(**put, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=soon(-60))
    with refused("InvalidArgument", "wormMode"):
        s3.put_object(**put, ObjectLockMode="FOREVER", ObjectLockRetainUntilDate=soon())
    with refused("InvalidArgument", "Legal Hold"):
        s3.put_object(**put, ObjectLockLegalHoldStatus="MAYBE")
    with refused("InvalidRequest", "missing Object Lock"):
        s3.put_object(Bucket=versioned, Key=KEY, Body=b"x", ObjectLockLegalHoldStatus="ON")
    with refused("InvalidRequest", "missing Object Lock"):
        s3.create_multipart_upload(Bucket=versioned, Key=KEY, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=soon())
    assert versions(s3, locking) == []
    s3.put_object(**put)
    with refused("InvalidArgument", "must be in the future"):
        s3.put_object_retention(Bucket=locking, Key=KEY, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": soon(-60)})
    for retention in ({"Mode": "GOVERNANCE"}, {"RetainUntilDate": soon()}, {"Mode": "FOREVER", "RetainUntilDate": soon()}):
        with refused("MalformedXML"):
            s3.put_object_retention(Bucket=locking, Key=KEY, Retention=retention)
    with refused("MalformedXML"):
        s3.put_object_legal_hold(Bucket=locking, Key=KEY, LegalHold={"Status": "MAYBE"})
    marker = s3.delete_object(Bucket=locking, Key=KEY)["VersionId"]
    with refused("MethodNotAllowed", status=405):
        s3.put_object_legal_hold(Bucket=locking, Key=KEY, VersionId=marker, LegalHold={"Status": "ON"})


def test_a_put_that_is_to_be_locked_needs_a_checksum(server, s3, locking):
    careless = server.client("s3", request_checksum_calculation="when_required")
    s3.put_object_lock_configuration(Bucket=locking, ObjectLockConfiguration=default(Days=1))
    with refused("InvalidRequest", "Content-MD5"):
        careless.put_object(Bucket=locking, Key=KEY, Body=b"x")
    s3.put_object(Bucket=locking, Key=KEY, Body=b"x")


def test_uploads_and_copies_are_locked(s3, locking):
    until = soon()
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    upload = s3.create_multipart_upload(Bucket=locking, Key=KEY, **lock)["UploadId"]
    part = s3.upload_part(Bucket=locking, Key=KEY, UploadId=upload, PartNumber=1, Body=b"part")
    s3.complete_multipart_upload(Bucket=locking, Key=KEY, UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})  # fmt: skip
    s3.copy_object(Bucket=locking, Key="copy", CopySource={"Bucket": locking, "Key": KEY})
    with refused("NoSuchObjectLockConfiguration", status=404):
        s3.get_object_retention(Bucket=locking, Key="copy")  # a lock is not copied
    s3.copy_object(Bucket=locking, Key="copy", CopySource={"Bucket": locking, "Key": KEY}, **lock)
    for key in (KEY, "copy"):
        assert s3.get_object_retention(Bucket=locking, Key=key)["Retention"]["RetainUntilDate"] == until
        version = s3.head_object(Bucket=locking, Key=key)["VersionId"]
        with refused("AccessDenied", "object lock", 403):
            s3.delete_object(Bucket=locking, Key=key, VersionId=version)


# The attacker


def attempts(s3, bucket, key, version):
    """Everything that an attacker with all rights, the root user's included, can try on a compliance lock."""
    sooner, later = soon(60), soon(7200)
    yield "AccessDenied", lambda: s3.delete_object(Bucket=bucket, Key=key, VersionId=version)
    yield "AccessDenied", lambda: s3.delete_object(Bucket=bucket, Key=key, VersionId=version, BypassGovernanceRetention=True)
    for retention in ({}, {"Mode": "COMPLIANCE", "RetainUntilDate": sooner}, {"Mode": "GOVERNANCE", "RetainUntilDate": later}):
        yield "AccessDenied", lambda retention=retention: s3.put_object_retention(
            Bucket=bucket, Key=key, VersionId=version, Retention=retention, BypassGovernanceRetention=True)  # fmt: skip
    yield "InvalidBucketState", lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    yield "MalformedXML", lambda: s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={})
    yield "BucketNotEmpty", lambda: s3.delete_bucket(Bucket=bucket)


def test_nobody_gets_round_compliance_retention(s3, locking):
    version = s3.put_object(Bucket=locking, Key=KEY, Body=b"evidence", ObjectLockMode="COMPLIANCE",
                            ObjectLockRetainUntilDate=soon())["VersionId"]  # fmt: skip
    status = {"AccessDenied": 403, "MalformedXML": 400}
    for error, attempt in attempts(s3, locking, KEY, version):
        with refused(error, status=status.get(error, 409)):
            attempt()
    many = s3.delete_objects(Bucket=locking, Delete={"Objects": [{"Key": KEY, "VersionId": version}]},
                             BypassGovernanceRetention=True)  # fmt: skip
    assert [e["Code"] for e in many["Errors"]] == ["AccessDenied"] and "Deleted" not in many
    # What S3 lets everybody do leaves the version where it is.
    s3.put_object(Bucket=locking, Key=KEY, Body=b"forged")
    s3.copy_object(Bucket=locking, Key=KEY, CopySource={"Bucket": locking, "Key": KEY}, MetadataDirective="REPLACE")
    s3.delete_object(Bucket=locking, Key=KEY)
    s3.delete_objects(Bucket=locking, Delete={"Objects": [{"Key": KEY}]})
    s3.put_object_lock_configuration(Bucket=locking, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    assert s3.get_object(Bucket=locking, Key=KEY, VersionId=version)["Body"].read() == b"evidence"
    longer = soon(7200)
    s3.put_object_retention(Bucket=locking, Key=KEY, VersionId=version,
                            Retention={"Mode": "COMPLIANCE", "RetainUntilDate": longer})  # fmt: skip
    assert s3.get_object_retention(Bucket=locking, Key=KEY, VersionId=version)["Retention"]["RetainUntilDate"] == longer


def test_a_legal_hold_keeps_a_version_until_it_is_taken_off(s3, locking):
    version = s3.put_object(Bucket=locking, Key=KEY, Body=b"x", ObjectLockLegalHoldStatus="ON")["VersionId"]
    for bypass in (False, True):
        with refused("AccessDenied", "legal hold", 403):
            s3.delete_object(Bucket=locking, Key=KEY, VersionId=version, BypassGovernanceRetention=bypass)
    s3.put_object_legal_hold(Bucket=locking, Key=KEY, VersionId=version, LegalHold={"Status": "OFF"})
    s3.delete_object(Bucket=locking, Key=KEY, VersionId=version)
    assert versions(s3, locking) == []


def test_governance_retention_yields_to_the_bypass_only(s3, locking):
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": soon()}
    version = s3.put_object(Bucket=locking, Key=KEY, Body=b"x", **lock)["VersionId"]
    place = {"Bucket": locking, "Key": KEY, "VersionId": version}
    shorter, longer = soon(60), soon(7200)
    with refused("AccessDenied", "governance", 403):
        s3.delete_object(**place)
    for retention in ({}, {"Mode": "GOVERNANCE", "RetainUntilDate": shorter}):
        with refused("AccessDenied", "governance", 403):
            s3.put_object_retention(**place, Retention=retention)
    s3.put_object_retention(**place, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": longer})
    s3.put_object_retention(**place, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": shorter}, BypassGovernanceRetention=True)
    assert s3.get_object_retention(**place)["Retention"]["RetainUntilDate"] == shorter
    s3.delete_object(**place, BypassGovernanceRetention=True)
    assert versions(s3, locking) == []


def test_each_step_needs_its_own_right(s3, client, locking):
    """READER has no right to the bucket but those that the bucket's policy gives."""
    version = s3.put_object(Bucket=locking, Key=KEY, Body=b"x", ObjectLockMode="GOVERNANCE",
                            ObjectLockRetainUntilDate=soon())["VersionId"]  # fmt: skip
    mine = client("s3", key=READER)
    place = {"Bucket": locking, "Key": KEY, "VersionId": version}

    def allow(*actions):
        resource = [f"arn:aws:s3:::{locking}", f"arn:aws:s3:::{locking}/*"]
        statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/reader"},
                     "Action": [f"s3:{action}" for action in actions], "Resource": resource}  # fmt: skip
        s3.put_bucket_policy(Bucket=locking, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    until = soon(7200)
    steps = [
        ("GetObjectVersion", lambda: mine.get_object(**place)),
        ("GetObjectRetention", lambda: mine.get_object_retention(**place)),
        ("PutObjectRetention", lambda: mine.put_object_retention(**place, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})),
        ("PutObjectLegalHold", lambda: mine.put_object_legal_hold(**place, LegalHold={"Status": "OFF"})),
        ("GetObjectLegalHold", lambda: mine.get_object_legal_hold(**place)),
        ("GetBucketObjectLockConfiguration", lambda: mine.get_object_lock_configuration(Bucket=locking)),
        ("PutBucketObjectLockConfiguration", lambda: mine.put_object_lock_configuration(
            Bucket=locking, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})),
        ("GetBucketVersioning", lambda: mine.get_bucket_versioning(Bucket=locking)),
        ("PutBucketVersioning", lambda: mine.put_bucket_versioning(Bucket=locking, VersioningConfiguration={"Status": "Enabled"})),
        ("ListBucketVersions", lambda: mine.list_object_versions(Bucket=locking)),
    ]  # fmt: skip
    rights = [right for right, _ in steps]
    for right, call in steps:
        allow(*[other for other in rights if other != right], "GetObject", "DeleteObject")
        with refused("AccessDenied", status=403):
            call()
        allow(right)
        call()
    allow("GetObject")
    head = mine.head_object(Bucket=locking, Key=KEY)
    assert "ObjectLockMode" not in head, "the lock is told only to those who may know"
    allow("PutObject")
    for lock in ({"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}, {"ObjectLockLegalHoldStatus": "ON"}):
        with refused("AccessDenied", status=403):
            mine.put_object(Bucket=locking, Key="mine", Body=b"x", **lock)
    allow("DeleteObjectVersion")
    with refused("AccessDenied", status=403):
        mine.delete_object(**place, BypassGovernanceRetention=True)
    allow("BypassGovernanceRetention")
    with refused("AccessDenied", status=403):
        mine.delete_object(**place, BypassGovernanceRetention=True)
    allow("DeleteObjectVersion", "BypassGovernanceRetention")
    mine.delete_object(**place, BypassGovernanceRetention=True)
    with refused("AccessDenied", status=403):
        client("s3", key=OTHER).list_object_versions(Bucket=locking)


def test_the_aws_cli_shows_and_sets_locks(server, s3, locking):
    def aws(*arguments):
        done = subprocess.run([AWS, "s3api", *arguments], env=server.cli_environment(), capture_output=True, text=True, check=True)
        return json.loads(done.stdout) if done.stdout else None

    s3.put_object(Bucket=locking, Key=KEY, Body=b"x")
    place = ["--bucket", locking, "--key", KEY]
    aws("put-object-retention", *place, "--retention", json.dumps({"Mode": "COMPLIANCE", "RetainUntilDate": soon().isoformat()}))
    assert aws("get-object-retention", *place)["Retention"]["Mode"] == "COMPLIANCE"
    aws("put-object-legal-hold", *place, "--legal-hold", "Status=ON")
    assert aws("get-object-legal-hold", *place)["LegalHold"]["Status"] == "ON"
    assert len(aws("list-object-versions", "--bucket", locking)["Versions"]) == 1
    assert aws("delete-object", *place)["DeleteMarker"] is True


# Trails


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    """A server that has delivered log files and digests into a bucket with a default retention, and the bucket's client."""
    config = '[delivery]\nmax_age = "200ms"\n[digest]\ninterval = "2s"\n'
    server = Server(tmp_path_factory.mktemp("locked"), config, ["--log", "error"]).start()
    s3, trails = server.client("s3"), server.client("cloudtrail")
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration=default("COMPLIANCE", Days=1))
    s3.put_bucket_policy(Bucket="locked", Policy=BUCKET_POLICY.format(bucket="locked", account=ACCOUNT, prefix=""))
    arn = trails.create_trail(Name="main", S3BucketName="locked", EnableLogFileValidation=True)["TrailARN"]
    trails.start_logging(Name="main")
    for _ in range(3):
        lines = [json.dumps(record(str(uuid.uuid4()))).encode() for _ in range(20)]
        assert server.put_records(b"\n".join(lines))["Accepted"] == 20

    def digests():
        found = s3.list_objects_v2(Bucket="locked").get("Contents", [])
        return len([item for item in found if "/CloudTrail-Digest/" in item["Key"]]) >= 2

    wait_until(digests, "digests", seconds=30)
    yield server, s3, arn
    assert server.stop() == 0


def validate(server, arn):
    start = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    done = subprocess.run([AWS, "cloudtrail", "validate-logs", "--trail-arn", arn, "--start-time", start],
                          env=server.cli_environment(), capture_output=True, text=True, check=False)  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_delivered_files_are_locked_and_validate_logs_is_green(delivered):
    server, s3, arn = delivered
    assert not server.client("cloudtrail").get_trail_status(Name="main").get("LatestDeliveryError")
    files = [version for version in s3.list_object_versions(Bucket="locked")["Versions"] if version["Size"]]
    assert len({f["Key"] for f in files}) == len(files), "each file was put once"
    for file in files:
        place = {"Bucket": "locked", "Key": file["Key"], "VersionId": file["VersionId"]}
        assert s3.get_object_retention(**place)["Retention"]["Mode"] == "COMPLIANCE"
        with refused("AccessDenied", status=403):
            s3.delete_object(**place, BypassGovernanceRetention=True)
    code, text = validate(server, arn)
    assert code == 0 and "digest files valid" in text, text
    assert "INVALID" not in text and "not found" not in text, text


def proven_file(s3):
    """The key of a log file that a digest names."""
    listed = s3.list_objects_v2(Bucket="locked")["Contents"]
    for key in [item["Key"] for item in listed if "/CloudTrail-Digest/" in item["Key"]]:
        digest = json.loads(gzip.decompress(s3.get_object(Bucket="locked", Key=key)["Body"].read()))
        if digest["logFiles"]:
            return digest["logFiles"][0]["s3Object"]
    raise AssertionError("no digest names a log file")


def test_a_forged_log_file_is_noticed_and_taken_back(delivered):
    server, s3, arn = delivered
    key = proven_file(s3)
    forged = s3.put_object(Bucket="locked", Key=key, Body=b"forged")["VersionId"]
    marker = s3.delete_object(Bucket="locked", Key=key)["VersionId"]
    code, text = validate(server, arn)
    assert "INVALID" in text or "not found" in text, text
    s3.delete_object(Bucket="locked", Key=key, VersionId=marker)
    code, text = validate(server, arn)
    assert "INVALID" in text, text
    with refused("AccessDenied", status=403):  # by default, the forgery is locked too, as it is on S3
        s3.delete_object(Bucket="locked", Key=key, VersionId=forged)
    true = [v["VersionId"] for v in s3.list_object_versions(Bucket="locked", Prefix=key)["Versions"]]
    source = {"Bucket": "locked", "Key": key, "VersionId": next(v for v in true if v != forged)}
    s3.copy_object(Bucket="locked", Key=key, CopySource=source)
    code, text = validate(server, arn)
    assert code == 0 and "INVALID" not in text, text
