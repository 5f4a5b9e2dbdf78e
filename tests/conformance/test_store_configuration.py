"""The event configuration of event data stores: how large events may be, and which context is added to them."""

import pytest

from accounts import READER
from errors import refused

TAGS = {"Type": "TagContext", "Equals": ["team", "Kostenstelle/ü"]}
REQUEST = {"Type": "RequestContext", "Equals": ["aws:PrincipalArn", "aws:userid"]}
BOTH = "PutEventConfiguration", "GetEventConfiguration"


@pytest.fixture
def make(cloudtrail):
    """Creates stores that are deleted in the end; answers their ARNs."""

    def create(category: str = "Management") -> str:
        selector = {"FieldSelectors": [{"Field": "eventCategory", "Equals": [category]}]}
        settings = {"MultiRegionEnabled": False, "TerminationProtectionEnabled": False, "AdvancedEventSelectors": [selector]}
        made.append(cloudtrail.create_event_data_store(Name=f"store-{len(made)}", **settings)["EventDataStoreArn"])
        return made[-1]

    made = []
    yield create
    for arn in made:
        if cloudtrail.get_event_data_store(EventDataStore=arn)["Status"] != "PENDING_DELETION":
            cloudtrail.delete_event_data_store(EventDataStore=arn)


def without_metadata(answer: dict) -> dict:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


@pytest.mark.operation(*BOTH)
def test_a_configuration_is_put_changed_and_taken_back(cloudtrail, make):
    arn = make()

    def shown():
        return without_metadata(cloudtrail.get_event_configuration(EventDataStore=arn))

    default = {"EventDataStoreArn": arn, "MaxEventSize": "Standard", "ContextKeySelectors": []}
    assert shown() == default
    for change in (
        {"MaxEventSize": "Large"},
        {"ContextKeySelectors": [TAGS]},
        {"ContextKeySelectors": [REQUEST, TAGS]},
        {"MaxEventSize": "Large", "ContextKeySelectors": [REQUEST]},
        {"MaxEventSize": "Standard", "ContextKeySelectors": []},
    ):
        expected = shown() | change
        put = cloudtrail.put_event_configuration(EventDataStore=arn, **change)
        assert without_metadata(put) == expected
        assert shown() == expected
    assert shown() == default
    by_id = cloudtrail.get_event_configuration(EventDataStore=arn.rpartition("/")[2])
    assert without_metadata(by_id) == default


@pytest.mark.operation("PutEventConfiguration")
@pytest.mark.parametrize(
    "change, error",
    [
        ({}, "InvalidParameterException"),
        ({"MaxEventSize": "Huge"}, "InvalidParameterException"),
        ({"ContextKeySelectors": [TAGS]}, "InvalidParameterCombinationException"),
        ({"MaxEventSize": "Standard", "ContextKeySelectors": [TAGS]}, "InvalidParameterCombinationException"),
        ({"MaxEventSize": "Large", "ContextKeySelectors": [TAGS, TAGS]}, "InvalidParameterException"),
        ({"MaxEventSize": "Large", "ContextKeySelectors": [TAGS, TAGS, REQUEST]}, "InvalidParameterException"),
        ({"MaxEventSize": "Large", "ContextKeySelectors": [TAGS | {"Type": "Other"}]}, "InvalidParameterException"),
        ({"MaxEventSize": "Large", "ContextKeySelectors": [TAGS | {"Equals": []}]}, "InvalidParameterException"),
        ({"MaxEventSize": "Large", "ContextKeySelectors": [TAGS | {"Equals": ["k" * 129]}]}, "InvalidParameterException"),
        ({"MaxEventSize": "Large", "ContextKeySelectors": [TAGS | {"Equals": [f"k{n}" for n in range(51)]}]}, "InvalidParameterException"),
        ({"MaxEventSize": "Large", "ContextKeySelectors": [REQUEST | {"Equals": ["aws:SourceIp"]}]}, "InvalidParameterException"),
        (
            {"AggregationConfigurations": [{"EventCategory": "Data", "Templates": ["API_ACTIVITY"]}]},
            "InvalidParameterCombinationException",
        ),
    ],
)
def test_a_bad_configuration_is_refused_and_changes_nothing(cloudtrail, make, change, error):
    arn = make()
    with refused(error):
        cloudtrail.put_event_configuration(EventDataStore=arn, **change)
    assert cloudtrail.get_event_configuration(EventDataStore=arn)["MaxEventSize"] == "Standard"


@pytest.mark.operation("PutEventConfiguration")
def test_context_keeps_events_large(cloudtrail, make):
    arn = make()
    cloudtrail.put_event_configuration(EventDataStore=arn, MaxEventSize="Large", ContextKeySelectors=[TAGS])
    with refused("InvalidParameterCombinationException", "empty list"):
        cloudtrail.put_event_configuration(EventDataStore=arn, MaxEventSize="Standard")
    assert cloudtrail.get_event_configuration(EventDataStore=arn)["ContextKeySelectors"] == [TAGS]


@pytest.mark.operation(*BOTH)
@pytest.mark.parametrize("operation", ["put_event_configuration", "get_event_configuration"])
def test_what_has_no_configuration(client, cloudtrail, region, make, operation):
    change = {"MaxEventSize": "Large"} if operation == "put_event_configuration" else {}
    call = getattr(cloudtrail, operation)
    for category in ("Insight", "ConfigurationItem", "Evidence", "ActivityAuditLog"):
        with refused("InvalidEventDataStoreCategoryException"):
            call(EventDataStore=make(category), **change)
    gone = make()
    cloudtrail.delete_event_data_store(EventDataStore=gone)
    error = "InactiveEventDataStoreException" if change else "InvalidEventDataStoreStatusException"
    with refused(error):
        call(EventDataStore=gone, **change)
    with refused("EventDataStoreNotFoundException"):
        call(EventDataStore="00000000-0000-4000-8000-000000000000", **change)
    with refused("EventDataStoreARNInvalidException"):
        call(EventDataStore="my-store", **change)
    with refused("InvalidParameterCombinationException"):
        call(EventDataStore=gone, TrailName="main", **change)
    with refused("InvalidParameterException"):
        call(**change)
    with refused("AccessDeniedException", "EventConfiguration"):
        getattr(client("cloudtrail", region, READER), operation)(EventDataStore=make(), **change)
