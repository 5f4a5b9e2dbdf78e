"""Trails: created, changed, described, deleted."""

import datetime

import pytest

from accounts import OTHER, READER
from errors import refused
from opentrail_server import ACCOUNT


def arn(region: str, name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:cloudtrail:{region}:{account}:trail/{name}"


def without_metadata(answer: dict) -> dict:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


@pytest.mark.operation("CreateTrail")
def test_a_new_trail_has_the_documented_defaults(cloudtrail, bucket, region):
    answer = cloudtrail.create_trail(Name="defaults", S3BucketName=bucket)
    assert without_metadata(answer) == {
        "Name": "defaults",
        "S3BucketName": bucket,
        "IncludeGlobalServiceEvents": True,
        "IsMultiRegionTrail": False,
        "TrailARN": arn(region, "defaults"),
        "LogFileValidationEnabled": False,
        "IsOrganizationTrail": False,
        "RecursiveLogging": True,
    }
    assert cloudtrail.get_trail_status(Name="defaults")["IsLogging"] is False


@pytest.mark.operation("CreateTrail")
def test_a_new_trail_keeps_what_it_is_given(cloudtrail, bucket, region):
    cloudtrail.create_trail(
        Name="full.trail-1",
        S3BucketName=bucket,
        S3KeyPrefix="a/b",
        IncludeGlobalServiceEvents=True,
        IsMultiRegionTrail=True,
        EnableLogFileValidation=True,
        RecursiveLogging=False,
        IsOrganizationTrail=False,
        SnsTopicName="",
        KmsKeyId="",
        CloudWatchLogsLogGroupArn="",
        CloudWatchLogsRoleArn="",
        TagsList=[{"Key": "team", "Value": "audit"}],
    )
    trail = cloudtrail.get_trail(Name="full.trail-1")["Trail"]
    assert trail == {
        "Name": "full.trail-1",
        "S3BucketName": bucket,
        "S3KeyPrefix": "a/b",
        "IncludeGlobalServiceEvents": True,
        "IsMultiRegionTrail": True,
        "HomeRegion": region,
        "TrailARN": arn(region, "full.trail-1"),
        "LogFileValidationEnabled": True,
        "HasCustomEventSelectors": False,
        "HasInsightSelectors": False,
        "IsOrganizationTrail": False,
        "RecursiveLogging": False,
    }
    tags = cloudtrail.list_tags(ResourceIdList=[trail["TrailARN"]])["ResourceTagList"]
    assert tags == [{"ResourceId": trail["TrailARN"], "TagsList": [{"Key": "team", "Value": "audit"}]}]


BAD_NAMES = {
    "ab": "Trail name too short. Minimum allowed length: 3 characters. Specified name length: 2 characters.",
    "a" * 129: "Trail name too long. Maximum allowed length: 128 characters. Specified name length: 129 characters.",
    "-abc": "Trail name must starts with a letter or number.",
    "abc-": "Trail name must ends with a letter or number.",
    "my trail": "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), "
    "hyphens (-), and underscores (_).",
    "a--b": "Trail name",
    "192.168.5.4": "Trail name",
}


@pytest.mark.operation("CreateTrail")
@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: name[:12])
def test_a_bad_name_is_refused_in_the_words_of_aws(cloudtrail, bucket, name):
    with refused("InvalidTrailNameException", BAD_NAMES[name]):
        cloudtrail.create_trail(Name=name, S3BucketName=bucket)


REFUSED_SETTINGS = [
    ({"IsMultiRegionTrail": True, "IncludeGlobalServiceEvents": False}, "InvalidParameterCombinationException"),
    ({"S3BucketName": "Not-A-Bucket"}, "InvalidS3BucketNameException"),
    ({"S3BucketName": "no-such-bucket"}, "S3BucketDoesNotExistException"),
    ({"S3KeyPrefix": "p" * 201}, "InvalidS3PrefixException"),
    ({"S3KeyPrefix": "p/"}, "InvalidS3PrefixException"),
    ({"SnsTopicName": "no-such-topic"}, "InsufficientSnsTopicPolicyException"),
    ({"SnsTopicName": "t" * 257}, "InvalidSnsTopicNameException"),
    ({"KmsKeyId": "alias/no-such-key"}, "KmsKeyNotFoundException"),
    ({"KmsKeyId": "not a key"}, "InvalidKmsKeyIdException"),
    ({"CloudWatchLogsLogGroupArn": "arn:aws:logs:us-east-1:100000000001:log-group:g:*"},
     "InvalidCloudWatchLogsRoleArnException"),
    ({"CloudWatchLogsRoleArn": "arn:aws:iam::100000000001:role/r"}, "InvalidCloudWatchLogsLogGroupArnException"),
    ({"CloudWatchLogsLogGroupArn": "arn:aws:logs:us-east-1:100000000001:log-group:g:*",
      "CloudWatchLogsRoleArn": "arn:aws:iam::100000000001:role/r"}, "InvalidCloudWatchLogsLogGroupArnException"),
    ({"IsOrganizationTrail": True}, "OrganizationsNotInUseException"),
]


@pytest.mark.operation("CreateTrail")
@pytest.mark.parametrize("settings, error", REFUSED_SETTINGS)
def test_create_trail_refuses(cloudtrail, bucket, settings, error):
    with refused(error):
        cloudtrail.create_trail(**({"Name": "refused", "S3BucketName": bucket} | settings))
    assert cloudtrail.describe_trails()["trailList"] == []


@pytest.mark.operation("UpdateTrail")
@pytest.mark.parametrize("settings, error", REFUSED_SETTINGS)
def test_update_trail_refuses(cloudtrail, trail, settings, error):
    before = cloudtrail.get_trail(Name=trail)["Trail"]
    with refused(error):
        cloudtrail.update_trail(**({"Name": trail} | settings))
    assert cloudtrail.get_trail(Name=trail)["Trail"] == before


@pytest.mark.operation("CreateTrail")
def test_a_bucket_without_the_policy_is_refused(client, cloudtrail):
    client("s3").create_bucket(Bucket="conformance-closed")
    with refused(
        "InsufficientS3BucketPolicyException",
        "Incorrect S3 bucket policy is detected for bucket: conformance-closed",
    ):
        cloudtrail.create_trail(Name="closed", S3BucketName="conformance-closed")


@pytest.mark.operation("CreateTrail")
@pytest.mark.parametrize(
    "tags, error",
    [
        ([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}], "InvalidTagParameterException"),
        ([{"Key": "aws:a", "Value": "1"}], "InvalidTagParameterException"),
        ([{"Key": "a", "Value": "semi;colon"}], "InvalidTagParameterException"),
        ([{"Key": "k" * 129, "Value": "1"}], "InvalidTagParameterException"),
        ([{"Key": f"k{n}", "Value": "1"} for n in range(51)], "TagsLimitExceededException"),
    ],
)
def test_bad_tags_are_refused(cloudtrail, bucket, tags, error):
    with refused(error):
        cloudtrail.create_trail(Name="tagged", S3BucketName=bucket, TagsList=tags)


@pytest.mark.operation("CreateTrail")
def test_a_taken_name_is_refused(cloudtrail, trail, bucket):
    with refused("TrailAlreadyExistsException", f"Trail main already exists for customer: {ACCOUNT}"):
        cloudtrail.create_trail(Name="main", S3BucketName=bucket)


@pytest.mark.operation("CreateTrail")
def test_the_sixth_trail_of_a_region_is_refused(cloudtrail, bucket, region):
    for number in range(5):
        cloudtrail.create_trail(Name=f"trail-{number}", S3BucketName=bucket)
    with refused("MaximumNumberOfTrailsExceededException", f"User: {ACCOUNT} already has 5 trails in {region}."):
        cloudtrail.create_trail(Name="trail-5", S3BucketName=bucket)


@pytest.mark.operation("UpdateTrail")
def test_only_what_is_given_changes(server, cloudtrail, trail, bucket):
    before = cloudtrail.get_trail(Name=trail)["Trail"]
    cloudtrail.update_trail(Name=trail)
    assert cloudtrail.get_trail(Name=trail)["Trail"] == before

    answer = cloudtrail.update_trail(Name="main", S3KeyPrefix="new", EnableLogFileValidation=True)
    assert answer["S3KeyPrefix"] == "new"
    expected = before | {"S3KeyPrefix": "new", "LogFileValidationEnabled": True}
    assert cloudtrail.get_trail(Name=trail)["Trail"] == expected

    server.make_log_bucket("conformance-second")
    cloudtrail.update_trail(Name=trail, S3BucketName="conformance-second", S3KeyPrefix="", RecursiveLogging=False)
    expected = before | {"S3BucketName": "conformance-second", "LogFileValidationEnabled": True}
    assert cloudtrail.get_trail(Name=trail)["Trail"] == expected | {"RecursiveLogging": False}
    cloudtrail.update_trail(Name=trail, S3BucketName=bucket)


@pytest.mark.operation("UpdateTrail")
def test_global_service_events_follow_the_conversion(cloudtrail, bucket):
    cloudtrail.create_trail(Name="main", S3BucketName=bucket, IncludeGlobalServiceEvents=False)
    wide = cloudtrail.update_trail(Name="main", IsMultiRegionTrail=True)
    assert (wide["IsMultiRegionTrail"], wide["IncludeGlobalServiceEvents"]) == (True, True)
    narrow = cloudtrail.update_trail(Name="main", IsMultiRegionTrail=False)
    assert (narrow["IsMultiRegionTrail"], narrow["IncludeGlobalServiceEvents"]) == (False, False)
    with refused("InvalidParameterCombinationException", "Multi-Region trail must include global service events."):
        cloudtrail.update_trail(Name="main", IsMultiRegionTrail=True, IncludeGlobalServiceEvents=False)


@pytest.mark.operation("DescribeTrails", "GetTrail", "GetTrailStatus")
def test_a_multi_region_trail_is_seen_everywhere_and_changed_at_home(client, cloudtrail, bucket, region):
    wide = cloudtrail.create_trail(Name="wide", S3BucketName=bucket, IsMultiRegionTrail=True)["TrailARN"]
    elsewhere = client("cloudtrail", "elsewhere-1")
    assert [t["TrailARN"] for t in elsewhere.describe_trails()["trailList"]] == [wide]
    assert elsewhere.describe_trails(includeShadowTrails=False)["trailList"] == []
    assert elsewhere.describe_trails(trailNameList=["wide"])["trailList"] == []
    assert elsewhere.describe_trails(trailNameList=[wide])["trailList"][0]["HomeRegion"] == region
    assert elsewhere.get_trail(Name=wide)["Trail"]["TrailARN"] == wide
    assert elsewhere.get_trail_status(Name=wide)["IsLogging"] is False
    with refused("TrailNotFoundException", f"Unknown trail: {arn('elsewhere-1', 'wide')} for the user: {ACCOUNT}"):
        elsewhere.get_trail(Name="wide")
    for change in (elsewhere.start_logging, elsewhere.stop_logging, elsewhere.delete_trail, elsewhere.update_trail):
        with refused("InvalidHomeRegionException"):
            change(Name=wide)
        with refused("TrailNotFoundException"):
            change(Name="wide")
    with refused("InvalidHomeRegionException"):
        elsewhere.put_event_selectors(TrailName=wide, EventSelectors=[{"ReadWriteType": "All"}])


@pytest.mark.operation("DescribeTrails")
def test_describe_trails_leaves_out_what_it_does_not_know(cloudtrail, trail, region):
    assert cloudtrail.describe_trails(trailNameList=[arn(region, "unknown"), "main", trail])["trailList"] == [
        cloudtrail.get_trail(Name=trail)["Trail"]
    ]
    with refused("InvalidTrailNameException"):
        cloudtrail.describe_trails(trailNameList=["x"])
    with refused("CloudTrailARNInvalidException"):
        cloudtrail.describe_trails(trailNameList=["arn:aws:s3:::bucket"])


@pytest.mark.operation("ListTrails")
def test_list_trails_lists_those_of_every_region(client, cloudtrail, trail, bucket, region):
    there = client("cloudtrail", f"{region}-too")
    there.create_trail(Name="there", S3BucketName=bucket)
    pages = cloudtrail.get_paginator("list_trails").paginate()
    listed = [found for page in pages for found in page["Trails"]]
    assert {"TrailARN": trail, "Name": "main", "HomeRegion": region} in listed
    assert {"TrailARN": arn(f"{region}-too", "there"), "Name": "there", "HomeRegion": f"{region}-too"} in listed
    with refused("ValidationException"):
        cloudtrail.list_trails(NextToken="made-up")


@pytest.mark.operation("GetTrail", "GetTrailStatus", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging")
@pytest.mark.parametrize(
    "operation", ["get_trail", "get_trail_status", "update_trail", "delete_trail", "start_logging", "stop_logging"]
)
def test_a_trail_that_is_not_there(cloudtrail, region, operation):
    call = getattr(cloudtrail, operation)
    with refused("TrailNotFoundException", f"Unknown trail: {arn(region, 'absent')} for the user: {ACCOUNT}"):
        call(Name="absent")
    with refused("TrailNotFoundException"):
        call(Name=arn(region, "absent", "999999999999"))
    with refused("InvalidTrailNameException", "Trail name too short."):
        call(Name="a")
    with refused("CloudTrailARNInvalidException"):
        call(Name="arn:aws:cloudtrail:us-east-1:trail/absent")
    with refused("ValidationException", "Value null at 'name' failed to satisfy constraint: Member must not be null"):
        call()


@pytest.mark.operation("StartLogging", "StopLogging", "GetTrailStatus")
def test_logging_starts_and_stops(cloudtrail, trail):
    before = cloudtrail.get_trail_status(Name=trail)
    assert before["TimeLoggingStarted"] == before["TimeLoggingStopped"] == ""
    assert before["LatestDeliveryAttemptTime"] == before["LatestNotificationAttemptTime"] == ""
    assert before["LatestDeliveryAttemptSucceeded"] == before["LatestNotificationAttemptSucceeded"] == ""
    assert "StartLoggingTime" not in before and "StopLoggingTime" not in before

    cloudtrail.start_logging(Name="main")
    cloudtrail.start_logging(Name=trail)
    started = cloudtrail.get_trail_status(Name=trail)
    assert started["IsLogging"] is True
    assert "StopLoggingTime" not in started
    text = started["StartLoggingTime"].astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert started["TimeLoggingStarted"] == text

    cloudtrail.stop_logging(Name=trail)
    cloudtrail.stop_logging(Name=trail)
    stopped = cloudtrail.get_trail_status(Name=trail)
    assert stopped["IsLogging"] is False
    assert stopped["StopLoggingTime"] >= stopped["StartLoggingTime"]
    assert stopped["TimeLoggingStopped"]


@pytest.mark.operation("DeleteTrail")
def test_a_deleted_trail_is_gone_and_its_name_is_free(cloudtrail, trail, bucket):
    cloudtrail.delete_trail(Name=trail)
    assert cloudtrail.describe_trails(trailNameList=[trail])["trailList"] == []
    with refused("TrailNotFoundException"):
        cloudtrail.delete_trail(Name=trail)
    cloudtrail.create_trail(Name="main", S3BucketName=bucket)
    assert cloudtrail.get_trail_status(Name=trail)["IsLogging"] is False


@pytest.mark.operation("CreateTrail", "GetTrail", "DeleteTrail", "DescribeTrails")
def test_what_the_policies_do_not_allow_is_denied_before_anything_else(client, trail, region):
    reader = client("cloudtrail", region, READER)
    assert [t["TrailARN"] for t in reader.describe_trails()["trailList"]] == [trail]
    why = "because no identity-based policy allows the cloudtrail:{0} action"
    user = f"User: arn:aws:iam::{ACCOUNT}:user/reader is not authorized to perform: cloudtrail:{{0}}"
    for name in ("main", "absent"):
        on = f" on resource: {arn(region, name)} "
        with refused("AccessDeniedException", user.format("GetTrail") + on + why.format("GetTrail")):
            reader.get_trail(Name=name)
        with refused("AccessDeniedException", user.format("DeleteTrail") + on + why.format("DeleteTrail")):
            reader.delete_trail(Name=name)
    with refused("AccessDeniedException"):
        reader.create_trail(Name="mine", S3BucketName="any")
    with refused("AccessDeniedException", user.format("LookupEvents") + " " + why.format("LookupEvents")):
        reader.lookup_events()


@pytest.mark.operation("GetTrail", "DescribeTrails")
def test_trails_of_another_account_are_not_seen(client, trail, region):
    other = client("cloudtrail", region, OTHER)
    assert other.describe_trails()["trailList"] == []
    assert other.describe_trails(trailNameList=[trail])["trailList"] == []
    with refused("TrailNotFoundException", f"Unknown trail: {trail} for the user: 200000000002"):
        other.get_trail(Name=trail)
