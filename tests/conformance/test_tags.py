"""Tags of trails."""

import pytest

from errors import refused
from opentrail_server import ACCOUNT


def tags_of(cloudtrail, trail) -> list[dict]:
    [found] = cloudtrail.list_tags(ResourceIdList=[trail])["ResourceTagList"]
    assert found["ResourceId"] == trail
    return found["TagsList"]


@pytest.mark.operation("AddTags", "RemoveTags", "ListTags")
def test_tags_are_added_changed_and_removed(cloudtrail, trail):
    assert tags_of(cloudtrail, trail) == []
    cloudtrail.add_tags(ResourceId=trail, TagsList=[{"Key": "team", "Value": "audit"}, {"Key": "bare"}])
    assert tags_of(cloudtrail, trail) == [{"Key": "team", "Value": "audit"}, {"Key": "bare"}]
    cloudtrail.add_tags(ResourceId=trail, TagsList=[{"Key": "team", "Value": "security"}])
    assert tags_of(cloudtrail, trail) == [{"Key": "team", "Value": "security"}, {"Key": "bare"}]
    cloudtrail.remove_tags(ResourceId=trail, TagsList=[{"Key": "team"}, {"Key": "unknown"}])
    assert tags_of(cloudtrail, trail) == [{"Key": "bare"}]


@pytest.mark.operation("ListTags")
def test_tags_of_several_trails_come_in_the_order_asked_for(cloudtrail, trail, bucket):
    second = cloudtrail.create_trail(Name="second", S3BucketName=bucket)["TrailARN"]
    pages = cloudtrail.get_paginator("list_tags").paginate(ResourceIdList=[second, trail])
    assert [found["ResourceId"] for page in pages for found in page["ResourceTagList"]] == [second, trail]
    with refused("ValidationException", "20"):
        cloudtrail.list_tags(ResourceIdList=[trail] * 21)
    with refused("InvalidTokenException"):
        cloudtrail.list_tags(ResourceIdList=[trail], NextToken="made-up")


@pytest.mark.operation("AddTags")
def test_bad_tags_are_refused(cloudtrail, trail):
    fifty = [{"Key": f"k{n}", "Value": "v"} for n in range(50)]
    cloudtrail.add_tags(ResourceId=trail, TagsList=fifty)
    with refused("TagsLimitExceededException"):
        cloudtrail.add_tags(ResourceId=trail, TagsList=[{"Key": "one-more", "Value": "v"}])
    for bad in (
        [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "1"}],
        [{"Key": "aws:a", "Value": "1"}],
        [{"Key": "a", "Value": "v" * 257}],
        [{"Key": "", "Value": "v"}],
    ):
        with refused("InvalidTagParameterException"):
            cloudtrail.add_tags(ResourceId=trail, TagsList=bad)
    assert tags_of(cloudtrail, trail) == fifty


@pytest.mark.operation("AddTags", "RemoveTags", "ListTags")
@pytest.mark.parametrize("operation", ["add_tags", "remove_tags", "list_tags"])
@pytest.mark.parametrize(
    "resource, error",
    [
        (f"arn:aws:cloudtrail:{{region}}:{ACCOUNT}:trail/absent", "ResourceNotFoundException"),
        (f"arn:aws:cloudtrail:{{region}}:{ACCOUNT}:eventdatastore/e", "ResourceNotFoundException"),
        (f"arn:aws:cloudtrail:{{region}}:{ACCOUNT}:query/q", "ResourceTypeNotSupportedException"),
        ("main", "CloudTrailARNInvalidException"),
        ("arn:aws:s3:::bucket", "CloudTrailARNInvalidException"),
        (f"arn:aws:cloudtrail:{{region}}:{ACCOUNT}:trail/-", "CloudTrailARNInvalidException"),
    ],
)
def test_resources_that_have_no_tags(cloudtrail, region, operation, resource, error):
    resource = resource.format(region=region)
    tags = {"ResourceId": resource, "TagsList": [{"Key": "k", "Value": "v"}]}
    with refused(error):
        getattr(cloudtrail, operation)(**({"ResourceIdList": [resource]} if operation == "list_tags" else tags))


@pytest.mark.operation("AddTags", "RemoveTags")
def test_a_multi_region_trail_is_tagged_at_home(client, cloudtrail, bucket):
    wide = cloudtrail.create_trail(Name="wide", S3BucketName=bucket, IsMultiRegionTrail=True)["TrailARN"]
    elsewhere = client("cloudtrail", "elsewhere-2")
    assert tags_of(elsewhere, wide) == []
    for change in (elsewhere.add_tags, elsewhere.remove_tags):
        with refused("CloudTrailARNInvalidException", "you can only access resources in region elsewhere-2"):
            change(ResourceId=wide, TagsList=[{"Key": "k", "Value": "v"}])
