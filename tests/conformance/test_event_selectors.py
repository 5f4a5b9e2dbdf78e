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


def advanced(*fields: dict) -> dict:
    return {"AdvancedEventSelectors": [{"FieldSelectors": list(fields)}]}


def field(name: str, **operators: list[str]) -> dict:
    return {"Field": name} | operators


MANAGEMENT = field("eventCategory", Equals=["Management"])
OBJECTS = (field("eventCategory", Equals=["Data"]), field("resources.type", Equals=["AWS::S3::Object"]))
NETWORK = (field("eventCategory", Equals=["NetworkActivity"]), field("eventSource", Equals=["s3.amazonaws.com"]))


@pytest.mark.operation("PutEventSelectors", "GetEventSelectors")
def test_advanced_selectors_are_kept_as_given_and_take_the_place_of_basic_ones(cloudtrail, trail):
    selectors = [
        {"Name": "Objects that change", "FieldSelectors": [
            OBJECTS[1], OBJECTS[0],
            field("eventName", StartsWith=["Put", "Delete", "Copy"], NotEndsWith=["Tagging", "Acl"]),
            field("resources.ARN", NotStartsWith=["arn:aws:s3:::logs/"]),
        ]},
        {"Name": "", "FieldSelectors": [MANAGEMENT, field("readOnly", Equals=["false"])]},
        {"FieldSelectors": [*NETWORK, field("errorCode", Equals=["VpceAccessDenied"])]},
    ]  # fmt: skip
    cloudtrail.put_event_selectors(TrailName=trail, EventSelectors=[{"ReadWriteType": "ReadOnly"}])
    answer = cloudtrail.put_event_selectors(TrailName="main", AdvancedEventSelectors=selectors)
    assert (answer["TrailARN"], answer["AdvancedEventSelectors"]) == (trail, selectors)
    assert "EventSelectors" not in answer
    answer = cloudtrail.get_event_selectors(TrailName=trail)
    assert (answer["TrailARN"], answer["AdvancedEventSelectors"]) == (trail, selectors)
    assert "EventSelectors" not in answer
    assert has_custom_selectors(cloudtrail, trail)

    cloudtrail.put_event_selectors(TrailName=trail, EventSelectors=[{}])
    answer = cloudtrail.get_event_selectors(TrailName=trail)
    assert answer["EventSelectors"] == [DEFAULT] and "AdvancedEventSelectors" not in answer
    assert not has_custom_selectors(cloudtrail, trail)


@pytest.mark.operation("PutEventSelectors")
def test_advanced_selectors_are_custom_even_if_they_say_what_the_default_says(cloudtrail, trail):
    cloudtrail.put_event_selectors(TrailName=trail, **advanced(MANAGEMENT))
    assert has_custom_selectors(cloudtrail, trail)


@pytest.mark.operation("PutEventSelectors")
def test_data_events_of_many_types_can_be_selected(cloudtrail, trail):
    kinds = ["AWS::S3::Object", "AWS::DynamoDB::Stream", "AWS::SSMMessages::ControlChannel", "AWS::XRay::Trace",
             "AWS::Quite::New"]  # fmt: skip
    selectors = [{"FieldSelectors": [OBJECTS[0], field("resources.type", Equals=[kind])]} for kind in kinds]
    answer = cloudtrail.put_event_selectors(TrailName=trail, AdvancedEventSelectors=selectors)
    assert answer["AdvancedEventSelectors"] == selectors


TABLES = [f"arn:aws:dynamodb:us-east-1:100000000001:table/t{n}" for n in range(251)]
NAMES = [f"Name{n}" for n in range(499)]
OF_BOTH_KINDS = {"EventSelectors": [{}]} | advanced(MANAGEMENT)
LONG_NAME = {"AdvancedEventSelectors": [{"Name": "n" * 1001, "FieldSelectors": [MANAGEMENT]}]}
NO_PATTERN = "Member must satisfy regular expression pattern"


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
        (OF_BOTH_KINDS, "InvalidEventSelectorsException", "not both"),
    ],
)
def test_put_event_selectors_refuses(cloudtrail, trail, arguments, error, message):
    with refused(error, message):
        cloudtrail.put_event_selectors(TrailName=trail, **arguments)
    assert cloudtrail.get_event_selectors(TrailName=trail)["EventSelectors"] == [DEFAULT]


@pytest.mark.operation("PutEventSelectors")
@pytest.mark.parametrize(
    "arguments, message",
    [
        # Sizes and forms, as the service model has them.
        (advanced(), "'advancedEventSelectors.1.member.fieldSelectors'"),
        (LONG_NAME, "less than or equal to 1000"),
        (advanced(field("", Equals=["x"])), "greater than or equal to 1"),
        (advanced(field("event-name", Equals=["x"])), NO_PATTERN),
        (advanced(field("eventCategory", Equals=[])), ".equals'"),
        (advanced(*OBJECTS, field("eventName", Equals=[""])), "greater than or equal to 1"),
        (advanced(*OBJECTS, field("eventName", Equals=["n" * 2049])), "less than or equal to 2048"),
        (advanced(*OBJECTS, field("eventName", Equals=NAMES)), "(1 to 500)"),
        # Fields.
        (advanced(field("eventSource", NotEquals=["kms.amazonaws.com"])), "eventCategory is required"),
        (advanced(field("eventCategory", Equals=["Management", "Data"])), "exactly one value"),
        (advanced(field("eventCategory", StartsWith=["Man"])), "takes Equals only, not StartsWith"),
        (advanced(field("eventCategory", Equals=["Insight"])), "Management, Data or NetworkActivity"),
        (advanced(OBJECTS[0]), "resources.type is required"),
        (advanced(NETWORK[0]), "eventSource is required"),
        (advanced(MANAGEMENT, field("userName", Equals=["alice"])), '"userName" is no field'),
        (advanced(MANAGEMENT, MANAGEMENT), "given more than once"),
        (advanced(MANAGEMENT, field("readOnly")), "has no values"),
        *[
            (advanced(MANAGEMENT, field(name, Equals=["true"])), f"{name} cannot be used where eventCategory is Manage")
            for name in ("eventName", "eventType", "resources.ARN", "resources.type", "userIdentity.arn", "errorCode",
                         "sessionCredentialFromConsole", "vpcEndpointId")
        ],
        *[
            (advanced(*OBJECTS, field(name, Equals=["VpceAccessDenied"])), f"{name} cannot be used")
            for name in ("errorCode", "vpcEndpointId")
        ],
        *[
            (advanced(*NETWORK, field(name, Equals=["true"])), f"{name} cannot be used")
            for name in ("eventType", "readOnly", "resources.ARN", "resources.type", "userIdentity.arn",
                         "sessionCredentialFromConsole")
        ],
        # Operators and values.
        (advanced(MANAGEMENT, field("readOnly", NotEquals=["true"])), "takes Equals only"),
        (advanced(MANAGEMENT, field("readOnly", Equals=["yes"])), "true or false"),
        (advanced(MANAGEMENT, field("eventSource", Equals=["kms.amazonaws.com"])), "takes NotEquals only"),
        (advanced(MANAGEMENT, field("eventSource", NotEquals=["s3.amazonaws.com"])), "kms.amazonaws.com and rdsdata"),
        (advanced(OBJECTS[0], field("resources.type", StartsWith=["AWS::S3"])), "takes Equals only"),
        (advanced(OBJECTS[0], field("resources.type", Equals=["AWS::S3::object"])), "AWS::S3::object"),
        (advanced(*OBJECTS, field("resources.ARN", Equals=["bucket/key"])), "whole ARNs"),
        (advanced(*OBJECTS, field("resources.ARN", NotEquals=[TABLES[0]])), "not the ARN of a resource of resources"),
        (advanced(*OBJECTS, field("sessionCredentialFromConsole", EndsWith=["e"])), "takes Equals and NotEquals only"),
        (advanced(*OBJECTS, field("sessionCredentialFromConsole", Equals=["false"])), "for the others use NotEquals"),
        (advanced(*OBJECTS, field("eventName", Equals=["A"], NotEquals=["A"])), "both included by Equals and excluded"),
        (advanced(NETWORK[0], field("eventSource", NotEquals=["s3.amazonaws.com"])), "takes Equals only"),
        (advanced(NETWORK[0], field("eventSource", Equals=["nothing.amazonaws.com"])), "nothing.amazonaws.com"),
        (advanced(*NETWORK, field("errorCode", Equals=["AccessDenied"])), "VpceAccessDenied"),
    ],
)  # fmt: skip
def test_put_event_selectors_refuses_advanced_ones(cloudtrail, trail, arguments, message):
    with refused("InvalidEventSelectorsException", message):
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
