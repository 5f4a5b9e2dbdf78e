"""What is made of a trail's data events beside the events."""

import pytest

from accounts import ACCOUNT
from errors import refused

DATA = [{"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}]
STORE = "11111111-2222-3333-4444-555555555555"


def configuration(*templates: str) -> list[dict]:
    return [{"Templates": list(templates), "EventCategory": "Data"}]


@pytest.fixture
def data_trail(cloudtrail, trail):
    """A trail that logs data events; its ARN."""
    cloudtrail.put_event_selectors(TrailName=trail, EventSelectors=DATA)
    return trail


@pytest.mark.operation("PutEventConfiguration", "GetEventConfiguration")
def test_a_trails_aggregation_is_kept_replaced_and_turned_off(cloudtrail, data_trail):
    answer = cloudtrail.get_event_configuration(TrailName="main")
    assert (answer["TrailARN"], answer["AggregationConfigurations"]) == (data_trail, [])
    assert "EventDataStoreArn" not in answer and "MaxEventSize" not in answer and "ContextKeySelectors" not in answer
    for wanted in [configuration("API_ACTIVITY", "RESOURCE_ACCESS", "USER_ACTIONS"), configuration("USER_ACTIONS"), []]:
        answer = cloudtrail.put_event_configuration(TrailName=data_trail, AggregationConfigurations=wanted)
        assert (answer["TrailARN"], answer["AggregationConfigurations"]) == (data_trail, wanted)
        assert cloudtrail.get_event_configuration(TrailName="main")["AggregationConfigurations"] == wanted


@pytest.mark.operation("PutEventConfiguration", "GetEventConfiguration")
def test_exactly_one_target_is_named(cloudtrail, data_trail):
    for call in [cloudtrail.put_event_configuration, cloudtrail.get_event_configuration]:
        with refused("InvalidParameterCombinationException", "not both"):
            call(TrailName=data_trail, EventDataStore=STORE)
        with refused("InvalidParameterException", "Specify"):
            call()


@pytest.mark.operation("PutEventConfiguration", "GetEventConfiguration")
def test_a_target_that_is_not_there_is_refused(cloudtrail, region):
    for call in [cloudtrail.put_event_configuration, cloudtrail.get_event_configuration]:
        with refused("TrailNotFoundException", f"arn:aws:cloudtrail:{region}:{ACCOUNT}:trail/none"):
            call(TrailName="none")
        with refused("InvalidTrailNameException"):
            call(TrailName="a")
        with refused("CloudTrailARNInvalidException"):
            call(TrailName="arn:aws:cloudtrail")
        with refused("EventDataStoreNotFoundException", STORE):
            call(EventDataStore=STORE)
        with refused("EventDataStoreNotFoundException", STORE):
            call(EventDataStore=f"arn:aws:cloudtrail:{region}:{ACCOUNT}:eventdatastore/{STORE}")
        with refused("EventDataStoreARNInvalidException"):
            call(EventDataStore="no store")


@pytest.mark.operation("PutEventConfiguration")
def test_a_trail_is_configured_at_home_only(cloudtrail, client, data_trail):
    with refused("InvalidHomeRegionException"):
        client("cloudtrail", "elsewhere-1").put_event_configuration(TrailName=data_trail, AggregationConfigurations=[])


@pytest.mark.operation("PutEventConfiguration")
def test_what_trails_cannot_have_is_refused(cloudtrail, trail):
    put = cloudtrail.put_event_configuration
    with refused("InvalidParameterException", "does not log data events"):
        put(TrailName=trail, AggregationConfigurations=configuration("API_ACTIVITY"))
    cloudtrail.put_event_selectors(TrailName=trail, EventSelectors=DATA)
    with refused("InvalidParameterException", "AggregationConfigurations"):
        put(TrailName=trail)
    with refused("InvalidParameterCombinationException", "MaxEventSize"):
        put(TrailName=trail, MaxEventSize="Large")
    with refused("InvalidParameterCombinationException", "ContextKeySelectors"):
        put(TrailName=trail, ContextKeySelectors=[{"Type": "TagContext", "Equals": ["team"]}])
    two = configuration("API_ACTIVITY") + configuration("USER_ACTIONS")
    for bad in [configuration("OTHER"), configuration(), two, [{"Templates": ["API_ACTIVITY"], "EventCategory": "Management"}]]:
        with refused("InvalidParameterException"):
            put(TrailName=trail, AggregationConfigurations=bad)
