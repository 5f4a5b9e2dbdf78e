"""Aggregated events of real calls: what a trail's data events are summed up to, beside the events, over a kill."""

import collections
import gzip
import json

import delivered
from opentrail_server import ACCOUNT, REGION, Server, record, wait_until

WINDOW = 2
CONFIG = """
[delivery]
max_age = "200ms"
[aggregation]
window = "2s"
grace = "500ms"
"""
TEMPLATES = ["API_ACTIVITY", "RESOURCE_ACCESS", "USER_ACTIONS"]
DIMENSIONS = {"API_ACTIVITY": "eventName", "RESOURCE_ACCESS": "resourceARN", "USER_ACTIONS": "userIdentity"}


def aggregated(server, bucket):
    """Every aggregated event that a trail has delivered, by the path of its file."""
    root = server.data / "objects" / bucket
    return {path.relative_to(root): json.loads(gzip.decompress(path.read_bytes()))["Records"]
            for path in root.glob("**/CloudTrail-Aggregated/**/*.json.gz")}  # fmt: skip


def totals(files):
    """How often each primary value of each dimension was counted."""
    counts = collections.Counter()
    for records in files.values():
        for event in records:
            primary = event["summary"]["primaryDimension"]
            [statistic] = primary["statistics"]
            counts[primary["dimension"], statistic["name"]] += statistic["value"]
    return counts


def data_events(server, trail):
    """The data events themselves; before its selectors were put, a trail took management events."""
    return [event for event in delivered.records(server, trail) if event["eventCategory"] == "Data"]


def data(event_id, name="GetObject", key="k"):
    return record(event_id, name, eventSource="s3.amazonaws.com", managementEvent=False, eventCategory="Data", readOnly=True,
                  resources=[{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::told/{key}"},
                             {"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::told"}])  # fmt: skip


def put(server, numbers, **more):
    server.put_records("".join(json.dumps(data(f"0000-{n}", **more)) + "\n" for n in numbers).encode())


def test_data_events_are_summed_up_for_the_trail_that_asks_for_it(tmp_path):
    with Server(tmp_path, CONFIG, ["--log", "warn"]) as server:
        cloudtrail = server.client("cloudtrail")
        selector = [{"IncludeManagementEvents": False,
                     "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::told/"]}]}]  # fmt: skip
        for trail in ["summing", "plain"]:
            server.make_trail(trail, trail, EnableLogFileValidation=True)
            cloudtrail.put_event_selectors(TrailName=trail, EventSelectors=selector)
        configuration = [{"EventCategory": "Data", "Templates": TEMPLATES}]
        cloudtrail.put_event_configuration(TrailName="summing", AggregationConfigurations=configuration)

        s3 = server.client("s3")
        s3.create_bucket(Bucket="told")
        for number in range(7):
            s3.put_object(Bucket="told", Key=f"k{number}", Body=b"x")
            s3.get_object(Bucket="told", Key=f"k{number}")
        root, bucket = f"arn:aws:iam::{ACCOUNT}:root", "arn:aws:s3:::told"
        expected = {("eventName", "PutObject"): 7, ("eventName", "GetObject"): 7, ("resourceARN", bucket): 14, ("userIdentity", root): 14}
        wait_until(lambda: totals(aggregated(server, "summing")) == expected, "the windows' end", seconds=20)

        files = aggregated(server, "summing")
        for path, records in files.items():
            folder = f"AWSLogs/{ACCOUNT}/CloudTrail-Aggregated/{REGION}/"
            assert str(path).startswith(folder) and path.name.startswith(f"{ACCOUNT}_CloudTrail-Aggregated_{REGION}_")
            for event in records:
                assert list(event)[:9] == ["eventVersion", "accountId", "eventId", "eventCategory", "eventType", "awsRegion",
                                           "eventSource", "timeWindow", "summary"]  # fmt: skip
                assert (event["eventVersion"], event["accountId"], event["awsRegion"]) == ("1.0", ACCOUNT, REGION)
                assert (event["eventCategory"], event["eventType"]) == ("Aggregated", "AwsAggregatedEvent")
                assert event["timeWindow"]["windowSize"] == f"PT{WINDOW}S"
                assert event["timeWindow"]["windowStart"] < event["timeWindow"]["windowEnd"]
                dimensions = [event["summary"]["primaryDimension"]["dimension"], *(d["dimension"] for d in event["summary"]["details"])]
                assert dimensions[0] in DIMENSIONS.values() and len(set(dimensions)) == len(dimensions)
        assert not aggregated(server, "plain")
        # The events themselves are delivered as ever, to both.
        for trail in ["summing", "plain"]:
            wait_until(lambda trail=trail: len(data_events(server, trail)) == 14, f"delivery to {trail}")
        assert server.stop() == 0


def test_a_kill_in_the_middle_of_a_window_changes_no_count(tmp_path):
    server = Server(tmp_path, CONFIG, ["--log", "warn"])
    with server:
        cloudtrail = server.client("cloudtrail")
        server.make_trail("summing", "summing")
        cloudtrail.put_event_selectors(TrailName="summing", EventSelectors=[
            {"IncludeManagementEvents": False, "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}])  # fmt: skip
        cloudtrail.put_event_configuration(TrailName="summing", AggregationConfigurations=[
            {"EventCategory": "Data", "Templates": ["API_ACTIVITY"]}])  # fmt: skip
        for life in range(6):
            put(server, range(100 * life, 100 * life + 100), key=f"{life}/k")
            if life % 2:
                # Some rounds are written, some on their way.
                wait_until(lambda life=life: totals(aggregated(server, "summing"))["eventName", "GetObject"] >= 100 * life,
                           "a round", seconds=20)  # fmt: skip
            server.kill()
            server.start()
        wait_until(lambda: totals(aggregated(server, "summing"))["eventName", "GetObject"] >= 600, "every round", seconds=20)
        put(server, [9999], name="HeadObject")
        wait_until(lambda: totals(aggregated(server, "summing"))["eventName", "HeadObject"], "a last round", seconds=20)
        files = aggregated(server, "summing")
        assert totals(files)["eventName", "GetObject"] == 600
        ids = [event["eventId"] for records in files.values() for event in records]
        assert len(ids) == len(set(ids))
        assert server.stop() == 0
