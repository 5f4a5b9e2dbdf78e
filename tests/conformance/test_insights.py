"""Insights: switched on, read back, refused; the counts behind it. What it finds is in tests/system/test_unusual_activity.py."""

import datetime
import uuid

import pytest

from accounts import ACCOUNT, READER
from errors import refused
from opentrail_server import wait_until

CALLS = {"InsightType": "ApiCallRateInsight", "EventCategories": ["Management"]}
ERRORS = {"InsightType": "ApiErrorRateInsight", "EventCategories": ["Management", "Data"]}


def without_metadata(answer: dict) -> dict:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def store_of(cloudtrail, category: str, name: str) -> str:
    selector = {"FieldSelectors": [{"Field": "eventCategory", "Equals": [category]}]}
    answer = cloudtrail.create_event_data_store(
        Name=name, AdvancedEventSelectors=[selector], MultiRegionEnabled=False, TerminationProtectionEnabled=False
    )
    return answer["EventDataStoreArn"]


@pytest.fixture
def stores(cloudtrail):
    """Event data stores of management events and of Insights events."""
    arns = [store_of(cloudtrail, "Management", "events"), store_of(cloudtrail, "Insight", "insights")]
    yield arns
    for arn in arns:
        cloudtrail.delete_event_data_store(EventDataStore=arn)


@pytest.mark.operation("PutInsightSelectors", "GetInsightSelectors")
def test_a_trails_selectors_are_kept_replaced_and_removed(cloudtrail, trail):
    message = f"Trail {trail} does not have Insights enabled. Edit the trail settings to enable Insights, and then try the operation again."
    with refused("InsightNotEnabledException", message):
        cloudtrail.get_insight_selectors(TrailName="main")
    assert cloudtrail.get_trail(Name="main")["Trail"]["HasInsightSelectors"] is False
    for wanted in [[CALLS], [CALLS, ERRORS], [ERRORS]]:
        expected = {"TrailARN": trail, "InsightSelectors": wanted}
        assert without_metadata(cloudtrail.put_insight_selectors(TrailName="main", InsightSelectors=wanted)) == expected
        assert without_metadata(cloudtrail.get_insight_selectors(TrailName=trail)) == expected
        assert cloudtrail.get_trail(Name="main")["Trail"]["HasInsightSelectors"] is True
        assert cloudtrail.describe_trails()["trailList"][0]["HasInsightSelectors"] is True
    assert cloudtrail.put_insight_selectors(TrailName=trail, InsightSelectors=[])["InsightSelectors"] == []
    with refused("InsightNotEnabledException"):
        cloudtrail.get_insight_selectors(TrailName=trail)
    assert cloudtrail.get_trail(Name="main")["Trail"]["HasInsightSelectors"] is False


@pytest.mark.operation("PutInsightSelectors")
def test_a_selector_without_categories_watches_management_events(cloudtrail, trail):
    answer = cloudtrail.put_insight_selectors(TrailName=trail, InsightSelectors=[{"InsightType": "ApiCallRateInsight"}])
    assert answer["InsightSelectors"] == [CALLS]


@pytest.mark.operation("PutInsightSelectors")
def test_selectors_that_say_nothing_valid_are_refused(cloudtrail, trail):
    for selectors in [[{}], [{"InsightType": "NoInsight"}], [CALLS, CALLS], [CALLS | {"EventCategories": ["Network"]}]]:
        with refused("InvalidInsightSelectorsException"):
            cloudtrail.put_insight_selectors(TrailName=trail, InsightSelectors=selectors)
    with refused("InsightNotEnabledException"):
        cloudtrail.get_insight_selectors(TrailName=trail)


@pytest.mark.operation("PutInsightSelectors", "GetInsightSelectors")
def test_exactly_one_target_is_named(cloudtrail, trail, stores):
    put = cloudtrail.put_insight_selectors
    for more in [{"EventDataStore": stores[0]}, {"InsightsDestination": stores[1]}]:
        with refused("InvalidParameterCombinationException", "not both"):
            put(TrailName=trail, InsightSelectors=[CALLS], **more)
    with refused("InvalidParameterCombinationException", "not both"):
        cloudtrail.get_insight_selectors(TrailName=trail, EventDataStore=stores[0])
    for named in [{}, {"InsightsDestination": stores[1]}]:
        with refused("InvalidParameterException", "Specify"):
            put(InsightSelectors=[CALLS], **named)
    with refused("InvalidParameterException", "Specify"):
        cloudtrail.get_insight_selectors()
    with refused("InvalidParameterException", "InsightsDestination"):
        put(EventDataStore=stores[0], InsightSelectors=[CALLS])


@pytest.mark.operation("PutInsightSelectors", "GetInsightSelectors")
def test_a_target_that_is_not_there_is_refused(cloudtrail, region, stores):
    for call in [lambda **named: cloudtrail.put_insight_selectors(InsightSelectors=[CALLS], **named), cloudtrail.get_insight_selectors]:
        with refused("TrailNotFoundException", f"arn:aws:cloudtrail:{region}:{ACCOUNT}:trail/none"):
            call(TrailName="none")
        with refused("InvalidTrailNameException"):
            call(TrailName="a")
        with refused("CloudTrailARNInvalidException"):
            call(TrailName="arn:aws:cloudtrail")
        with refused("InvalidParameterException"):
            call(EventDataStore=str(uuid.uuid4()))
        with refused("InvalidParameterException"):
            call(EventDataStore="no store")
    with refused("InvalidParameterException"):
        cloudtrail.put_insight_selectors(EventDataStore=stores[0], InsightsDestination=str(uuid.uuid4()), InsightSelectors=[CALLS])


@pytest.mark.operation("PutInsightSelectors")
def test_a_trail_is_changed_at_home_only(client, cloudtrail, trail):
    cloudtrail.update_trail(Name=trail, IsMultiRegionTrail=True)
    with refused("InvalidHomeRegionException"):
        client("cloudtrail", "elsewhere-1").put_insight_selectors(TrailName=trail, InsightSelectors=[CALLS])


@pytest.mark.operation("PutInsightSelectors", "GetInsightSelectors")
def test_a_stores_selectors_are_kept_with_their_destination(cloudtrail, stores):
    source, destination = stores
    with refused("InsightNotEnabledException", source):
        cloudtrail.get_insight_selectors(EventDataStore=source)
    expected = {"EventDataStoreArn": source, "InsightsDestination": destination, "InsightSelectors": [CALLS]}
    put = cloudtrail.put_insight_selectors(EventDataStore=source, InsightsDestination=destination, InsightSelectors=[CALLS])
    assert without_metadata(put) == expected
    assert without_metadata(cloudtrail.get_insight_selectors(EventDataStore=source)) == expected
    with refused("InsightNotEnabledException", destination):
        cloudtrail.get_insight_selectors(EventDataStore=destination)
    cloudtrail.put_insight_selectors(EventDataStore=source, InsightSelectors=[])
    with refused("InsightNotEnabledException", source):
        cloudtrail.get_insight_selectors(EventDataStore=source)


@pytest.mark.operation("PutInsightSelectors")
def test_a_pair_of_stores_that_does_not_fit_is_refused(cloudtrail, stores):
    source, destination = stores
    for pair, selectors, part in [
        ((source, source), [CALLS], "does not collect Insights events"),
        ((destination, destination), [CALLS], "does not collect CloudTrail events"),
        ((source, destination), [ERRORS], "data events"),
    ]:
        with refused("InvalidInsightSelectorsException", part):
            cloudtrail.put_insight_selectors(EventDataStore=pair[0], InsightsDestination=pair[1], InsightSelectors=selectors)


@pytest.mark.operation("PutInsightSelectors", "GetInsightSelectors", "ListInsightsData", "ListInsightsMetricData")
def test_who_may_not_is_refused(client, region, trail):
    reader = client("cloudtrail", region, READER)
    with refused("AccessDeniedException", "cloudtrail:PutInsightSelectors"):
        reader.put_insight_selectors(TrailName=trail, InsightSelectors=[CALLS])


@pytest.mark.operation("ListInsightsMetricData")
def test_calls_are_counted_from_the_moment_it_is_switched_on(cloudtrail, trail):
    cloudtrail.start_logging(Name=trail)
    cloudtrail.put_insight_selectors(TrailName=trail, InsightSelectors=[CALLS, ERRORS])
    asked = {"EventSource": "cloudtrail.amazonaws.com", "EventName": "StopLogging", "InsightType": "ApiCallRateInsight"}
    assert cloudtrail.list_insights_metric_data(**asked)["Values"] == []
    for _ in range(3):
        cloudtrail.stop_logging(Name=trail)
        cloudtrail.start_logging(Name=trail)
    for _ in range(2):
        with refused("TrailNotFoundException"):
            cloudtrail.stop_logging(Name="none")

    def counted():
        answer = cloudtrail.list_insights_metric_data(**asked, Period=60)
        assert all(at.second == 0 for at in answer["Timestamps"]) and len(answer["Timestamps"]) == len(answer["Values"])
        return sum(answer["Values"]) == 5

    # Stopped, the trail sees its own StopLogging; what came while it was off is not counted.
    wait_until(counted, "the counts")
    errors = asked | {"InsightType": "ApiErrorRateInsight", "ErrorCode": "TrailNotFoundException"}
    answer = cloudtrail.list_insights_metric_data(**errors, Period=60)
    assert sum(answer["Values"]) == 2
    assert (answer["EventSource"], answer["EventName"], answer["ErrorCode"]) == (
        "cloudtrail.amazonaws.com", "StopLogging", "TrailNotFoundException")  # fmt: skip
    by_hour = cloudtrail.list_insights_metric_data(**asked)
    assert sum(by_hour["Values"]) == 5 and all(at.minute == 0 for at in by_hour["Timestamps"])
    filled = cloudtrail.list_insights_metric_data(**asked, DataType="FillWithZeros", Period=300)
    assert sum(filled["Values"]) == 5 and len(filled["Values"]) > 288
    pages, token = [], {}
    while True:
        page = cloudtrail.list_insights_metric_data(**asked, DataType="FillWithZeros", Period=300, MaxResults=10_000, **token)
        pages.append(page["Values"])
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert len(pages) == 2 and len(pages[0]) == 10_000 and sum(map(sum, pages)) == 5
    token = cloudtrail.list_insights_metric_data(**asked, DataType="FillWithZeros", Period=300, MaxResults=1)["NextToken"]
    with refused("InvalidParameterException", "NextToken"):
        cloudtrail.list_insights_metric_data(**asked, Period=300, NextToken=token)


@pytest.mark.operation("ListInsightsMetricData")
def test_metric_data_that_cannot_be_asked_for_is_refused(cloudtrail, trail):
    asked = {"EventSource": "cloudtrail.amazonaws.com", "EventName": "StopLogging", "InsightType": "ApiCallRateInsight"}
    now = datetime.datetime.now(datetime.timezone.utc)
    for wrong in [
        {"InsightType": "ApiErrorRateInsight"},
        {"ErrorCode": "AccessDenied"},
        {"Period": 120},
        {"Period": 30},
        {"EventSource": "CloudTrail"},
        {"EventName": "Stop-Logging"},
        {"DataType": "Zeros"},
        {"MaxResults": 0},
        {"StartTime": now, "EndTime": now - datetime.timedelta(hours=1)},
        {"TrailName": "none"},
        {"NextToken": "made up"},
    ]:
        with refused("InvalidParameterException"):
            cloudtrail.list_insights_metric_data(**(asked | wrong))
    assert cloudtrail.list_insights_metric_data(**asked, TrailName="main")["TrailARN"] == trail


@pytest.mark.operation("ListInsightsData")
def test_data_of_a_trail_without_any_is_empty(cloudtrail, trail, region):
    asked = {"InsightSource": trail, "DataType": "InsightsEvents"}
    assert cloudtrail.list_insights_data(**asked)["Events"] == []
    assert cloudtrail.list_insights_data(**asked, Dimensions={"EventName": "GetObject"}, MaxResults=50)["Events"] == []
    for wrong in [
        {"InsightSource": "main"},
        {"InsightSource": f"arn:aws:cloudtrail:{region}:{ACCOUNT}:trail/none"},
        {"DataType": "Events"},
        {"Dimensions": {"Username": "root"}},
        {"Dimensions": {"EventName": "a", "EventSource": "b"}},
        {"MaxResults": 51},
        {"NextToken": "made up"},
    ]:
        with refused("InvalidParameterException"):
            cloudtrail.list_insights_data(**(asked | wrong))
