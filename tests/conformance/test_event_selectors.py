"""What a trail logs."""

import pytest

from errors import refused

DEFAULT = {
    "ReadWriteType": "All",
    "IncludeManagementEvents": True,
    "DataResources": [],
    "ExcludeManagementEventSources": [],
}


def has_custom_selectors(cloudtrail, trail) -> bool:
    return cloudtrail.get_trail(Name=trail)["Trail"]["HasCustomEventSelectors"]


@pytest.mark.operation("GetEventSelectors")
def test_a_new_trail_has_the_default_selector(cloudtrail, trail):
    answer = cloudtrail.get_event_selectors(TrailName=trail)
    assert answer["TrailARN"] == trail
    assert answer["EventSelectors"] == [DEFAULT]
    assert "AdvancedEventSelectors" not in answer


@pytest.mark.operation("PutEventSelectors", "GetEventSelectors")
def test_selectors_are_kept_as_given(cloudtrail, trail):
    selectors = [
        {
            "ReadWriteType": "WriteOnly",
            "IncludeManagementEvents": True,
            "DataResources": [
                {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::bucket/prefix", "arn:aws:s3:::other/"]},
                {"Type": "AWS::DynamoDB::Table", "Values": ["arn:aws:dynamodb:us-east-1:100000000001:table/t"]},
                {"Type": "AWS::Lambda::Function", "Values": ["arn:aws:lambda"]},
            ],
            "ExcludeManagementEventSources": ["kms.amazonaws.com", "rdsdata.amazonaws.com"],
        },
        {"ReadWriteType": "ReadOnly", "IncludeManagementEvents": False},
    ]
    expected = [selectors[0], DEFAULT | selectors[1]]
    answer = cloudtrail.put_event_selectors(TrailName="main", EventSelectors=selectors)
    assert (answer["TrailARN"], answer["EventSelectors"]) == (trail, expected)
    assert "AdvancedEventSelectors" not in answer
    assert cloudtrail.get_event_selectors(TrailName="main")["EventSelectors"] == expected
    assert has_custom_selectors(cloudtrail, trail)


@pytest.mark.operation("PutEventSelectors")
def test_the_default_put_again_counts_as_none(cloudtrail, trail):
    cloudtrail.put_event_selectors(TrailName=trail, EventSelectors=[{"ReadWriteType": "ReadOnly"}])
    assert has_custom_selectors(cloudtrail, trail)
    terraform = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
    cloudtrail.put_event_selectors(TrailName=trail, EventSelectors=[terraform])
    assert not has_custom_selectors(cloudtrail, trail)


def data(kind: str, *values: str) -> dict:
    return {"DataResources": [{"Type": kind, "Values": list(values)}]}


TABLES = [f"arn:aws:dynamodb:us-east-1:100000000001:table/t{n}" for n in range(251)]
ADVANCED = {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}


@pytest.mark.operation("PutEventSelectors")
@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (
            {"EventSelectors": [data("AWS::S3::Object", "arn:aws:s3:::*")]},
            "InvalidEventSelectorsException",
            "Value arn:aws:s3:::* for DataResources.Values is invalid.",
        ),
        (
            {"EventSelectors": [data("AWS::DynamoDB::Table", *TABLES)]},
            "InvalidEventSelectorsException",
            "Specify a valid number of DataResources.Values (0 to 250) for all your selectors",
        ),
        ({"EventSelectors": [data("AWS::SNS::Topic", "arn:aws:sns")]}, "InvalidEventSelectorsException", "Type"),
        ({"EventSelectors": [{}] * 6}, "InvalidEventSelectorsException", "1 to 5"),
        ({"EventSelectors": []}, "InvalidEventSelectorsException", "1 to 5"),
        ({}, "InvalidEventSelectorsException", "1 to 5"),
        ({"EventSelectors": [{"ReadWriteType": "read-only"}]}, "InvalidEventSelectorsException", "readWriteType"),
        (
            {"EventSelectors": [{"ExcludeManagementEventSources": ["s3.amazonaws.com"]}]},
            "InvalidEventSelectorsException",
            "ExcludeManagementEventSources",
        ),
        ({"EventSelectors": [{}], "AdvancedEventSelectors": [ADVANCED]}, "InvalidEventSelectorsException", "not both"),
        ({"AdvancedEventSelectors": [ADVANCED]}, "UnsupportedOperationException", "not built yet"),
    ],
)
def test_put_event_selectors_refuses(cloudtrail, trail, arguments, error, message):
    with refused(error, message):
        cloudtrail.put_event_selectors(TrailName=trail, **arguments)
    assert cloudtrail.get_event_selectors(TrailName=trail)["EventSelectors"] == [DEFAULT]


@pytest.mark.operation("PutEventSelectors", "GetEventSelectors")
def test_selectors_of_a_trail_that_is_not_there(cloudtrail):
    for call in (
        lambda name: cloudtrail.get_event_selectors(TrailName=name),
        lambda name: cloudtrail.put_event_selectors(TrailName=name, EventSelectors=[{}]),
    ):
        with refused("TrailNotFoundException"):
            call("absent")
        with refused("InvalidTrailNameException"):
            call("a")
        with refused("CloudTrailARNInvalidException"):
            call("arn:aws:cloudtrail:us-east-1:100000000001:channel/c")
