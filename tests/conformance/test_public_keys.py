"""The keys that digests are verified with."""

import datetime

import pytest

from errors import refused
from opentrail_server import wait_until


@pytest.mark.operation("ListPublicKeys")
def test_the_key_of_a_delivered_digest_is_listed(cloudtrail, bucket):
    name = cloudtrail.create_trail(Name="signed", S3BucketName=bucket, EnableLogFileValidation=True)["TrailARN"]
    cloudtrail.start_logging(Name=name)
    wait_until(lambda: "LatestDigestDeliveryTime" in cloudtrail.get_trail_status(Name=name), "a digest")
    now = datetime.datetime.now(datetime.UTC)
    [key] = cloudtrail.list_public_keys()["PublicKeyList"]
    assert key["Value"].startswith(b"\x30\x82\x01\x0a\x02\x82\x01\x01\x00"), "PKCS#1 DER of 2048 bits"
    assert len(key["Fingerprint"]) == 32
    assert key["ValidityStartTime"] <= now <= key["ValidityEndTime"]
    hour = datetime.timedelta(hours=1)
    assert cloudtrail.list_public_keys(StartTime=now - hour, EndTime=now + hour)["PublicKeyList"] == [key]
    long_ago = key["ValidityStartTime"] - 2 * hour
    assert cloudtrail.list_public_keys(StartTime=long_ago - hour, EndTime=long_ago)["PublicKeyList"] == []


@pytest.mark.operation("ListPublicKeys")
def test_list_public_keys_refuses(cloudtrail):
    with refused("InvalidTimeRangeException"):
        cloudtrail.list_public_keys(StartTime=2, EndTime=1)
    with refused("InvalidTokenException"):
        cloudtrail.list_public_keys(NextToken="made-up")
