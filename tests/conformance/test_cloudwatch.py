"""CloudWatch: metrics that are put and got, alarms that follow them, in each protocol that clients speak."""

import datetime
import json
import pathlib
import subprocess
import sys
import urllib.error
import urllib.request
from xml.etree import ElementTree

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from errors import refused
from opentrail_server import ACCOUNT, wait_until

AWS = pathlib.Path(sys.executable).parent / "aws"
NAMESPACE = "http://monitoring.amazonaws.com/doc/2010-08-01/"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:nobody"


@pytest.fixture
def cloudwatch(client, region):
    """CloudWatch as the root user sees it, in the test's Region. Alarms that the test leaves are deleted."""
    cloudwatch = client("cloudwatch", region)
    yield cloudwatch
    found = cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])
    for alarm in found["CompositeAlarms"]:
        cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"]])
    names = [alarm["AlarmName"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]]
    if names:
        cloudwatch.delete_alarms(AlarmNames=names)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def window() -> dict:
    """A time around now, on full minutes."""
    minute = now().replace(second=0, microsecond=0)
    return {"StartTime": minute - datetime.timedelta(minutes=5), "EndTime": minute + datetime.timedelta(minutes=5)}


def above(name: str, **more) -> dict:
    """An alarm on the sum of App/errors in a minute above 2."""
    return {
        "AlarmName": name,
        "Namespace": "App",
        "MetricName": "errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 2.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    } | more


def state(cloudwatch, name: str) -> str:
    found = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    [alarm] = found["MetricAlarms"] + found["CompositeAlarms"]
    return alarm["StateValue"]


def total(datapoints: list, name: str) -> float:
    """Over the minutes that a test may have lain across."""
    return sum(point[name] for point in datapoints)


def test_what_is_put_is_got(cloudwatch):
    dimensions = [{"Name": "Host", "Value": "a"}]
    datum = {"MetricName": "latency", "Dimensions": dimensions, "Unit": "Milliseconds", "Timestamp": now()}
    cloudwatch.put_metric_data(
        Namespace="App",
        MetricData=[datum | {"Values": [1.0, 3.0], "Counts": [2.0, 1.0]}, datum | {"Value": 5.0}],
    )
    found = cloudwatch.get_metric_statistics(
        Namespace="App", MetricName="latency", Dimensions=dimensions, Period=60, **window(),
        Statistics=["Sum", "SampleCount", "Maximum"])  # fmt: skip
    assert found["Label"] == "latency"
    assert (total(found["Datapoints"], "Sum"), total(found["Datapoints"], "SampleCount")) == (10.0, 4.0)
    assert {point["Unit"] for point in found["Datapoints"]} == {"Milliseconds"}
    found = cloudwatch.get_metric_statistics(
        Namespace="App", MetricName="latency", Dimensions=dimensions, Period=600, **window(), ExtendedStatistics=["p50"])
    assert [point["ExtendedStatistics"] for point in found["Datapoints"]] == [{"p50": 1.0}]
    assert cloudwatch.list_metrics(Namespace="App")["Metrics"] == [
        {"Namespace": "App", "MetricName": "latency", "Dimensions": dimensions}
    ]
    assert cloudwatch.list_metrics(Namespace="Other")["Metrics"] == []


def test_metric_math(cloudwatch):
    cloudwatch.put_metric_data(
        Namespace="App", MetricData=[{"MetricName": "errors", "Value": 5}, {"MetricName": "calls", "Value": 200}]
    )

    def stat(name: str) -> dict:
        return {"Metric": {"Namespace": "App", "MetricName": name}, "Period": 600, "Stat": "Sum"}

    queries = [
        {"Id": "percent", "Expression": "100 * errors / calls", "Label": "percent"},
        {"Id": "errors", "MetricStat": stat("errors"), "ReturnData": False},
        {"Id": "calls", "MetricStat": stat("calls"), "ReturnData": False},
        {"Id": "filled", "Expression": "FILL(errors, 0)"},
    ]
    found = cloudwatch.get_metric_data(MetricDataQueries=queries, **window())
    percent, filled = found["MetricDataResults"]
    assert (percent["Label"], percent["StatusCode"]) == ("percent", "Complete")
    assert percent["Values"] == [2.5]
    assert sum(filled["Values"]) == 5.0
    unknown = [{"Id": "e", "Expression": "ANOMALY_DETECTION_BAND(errors)"}] + queries[1:2]
    with refused("ValidationError", "ANOMALY_DETECTION_BAND"):
        cloudwatch.get_metric_data(MetricDataQueries=unknown, **window())


def test_pages_come_together_in_the_paginators(cloudwatch):
    data = [{"MetricName": f"m{i:03}", "Value": 1.0} for i in range(620)]
    cloudwatch.put_metric_data(Namespace="Many", MetricData=data)
    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace="Many"))
    assert [len(page["Metrics"]) for page in pages] == [500, 120]
    for i in range(5):
        cloudwatch.put_metric_alarm(**above(f"a{i}"))
    pages = cloudwatch.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 2})
    assert [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]] == [f"a{i}" for i in range(5)]


@pytest.mark.parametrize("datum, error", [
    ({}, "MissingParameter"),
    ({"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination"),
    ({"Value": 1e200}, "InvalidParameterValue"),
    ({"Value": 1.0, "StorageResolution": 7}, "InvalidParameterValue"),
    ({"Value": 1.0, "Timestamp": datetime.datetime(2020, 1, 1)}, "InvalidParameterValue"),
    ({"Value": 1.0, "Unit": "Furlongs"}, "ValidationError"),
], ids=str)  # fmt: skip
def test_bad_data_are_refused(cloudwatch, datum, error):
    with refused(error):
        cloudwatch.put_metric_data(Namespace="App", MetricData=[{"MetricName": "m"} | datum])


def test_an_alarm_rises_with_its_data_and_tells_why(cloudwatch):
    cloudwatch.put_metric_alarm(**above("high", AlarmActions=[TOPIC], AlarmDescription="too many"))
    wait_until(lambda: state(cloudwatch, "high") == "OK", "the first look at the alarm")
    cloudwatch.put_metric_data(Namespace="App", MetricData=[{"MetricName": "errors", "Value": 3.0}])
    wait_until(lambda: state(cloudwatch, "high") == "ALARM", "the alarm")
    [alarm] = cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]
    assert alarm["StateReason"].startswith("Threshold Crossed: 1 datapoint [3.0 (")
    assert alarm["StateReason"].endswith(")] was greater than the threshold (2.0).")
    data = json.loads(alarm["StateReasonData"])
    assert (data["statistic"], data["period"], data["recentDatapoints"]) == ("Sum", 60, [3.0])
    items = cloudwatch.describe_alarm_history(AlarmName="high", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert [item["HistorySummary"] for item in items] == [
        "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
    ]
    moved = json.loads(items[0]["HistoryData"])
    assert (moved["oldState"]["stateValue"], moved["newState"]["stateValue"]) == ("OK", "ALARM")


def test_an_alarm_is_described_as_it_was_put(cloudwatch, region):
    put = above("high", Dimensions=[{"Name": "Host", "Value": "a"}], DatapointsToAlarm=1, AlarmActions=[TOPIC])
    cloudwatch.put_metric_alarm(**put, Tags=[{"Key": "team", "Value": "one"}])
    [alarm] = cloudwatch.describe_alarms()["MetricAlarms"]
    assert {name: alarm[name] for name in put} == put
    assert alarm["AlarmArn"] == f"arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:high"
    tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "one"}]
    metric = {"Namespace": "App", "MetricName": "errors", "Dimensions": put["Dimensions"]}
    assert len(cloudwatch.describe_alarms_for_metric(**metric)["MetricAlarms"]) == 1
    cloudwatch.disable_alarm_actions(AlarmNames=["high"])
    assert cloudwatch.describe_alarms()["MetricAlarms"][0]["ActionsEnabled"] is False


def test_a_composite_alarm(cloudwatch):
    cloudwatch.put_metric_alarm(**above("a"))
    cloudwatch.put_metric_alarm(**above("b", MetricName="other"))
    with refused("ValidationError", "gone"):
        cloudwatch.put_composite_alarm(AlarmName="c", AlarmRule="ALARM(gone)")
    cloudwatch.put_composite_alarm(AlarmName="c", AlarmRule='ALARM(a) AND NOT ALARM("b")')
    wait_until(lambda: state(cloudwatch, "c") == "OK", "the first look at the alarm")
    cloudwatch.put_metric_data(Namespace="App", MetricData=[{"MetricName": "errors", "Value": 3.0}])
    wait_until(lambda: state(cloudwatch, "c") == "ALARM", "the composite alarm")
    with refused("ValidationError", "depend on itself"):
        cloudwatch.put_composite_alarm(AlarmName="c", AlarmRule="ALARM(c)")


def test_states_set_by_hand_and_alarms_that_are_not_there(cloudwatch):
    with refused("ResourceNotFound", status=404):
        cloudwatch.set_alarm_state(AlarmName="gone", StateValue="OK", StateReason="test")
    with refused("ResourceNotFound", status=404):
        cloudwatch.delete_alarms(AlarmNames=["gone"])
    cloudwatch.put_metric_alarm(**above("high"))
    with refused("InvalidFormat"):
        cloudwatch.set_alarm_state(AlarmName="high", StateValue="OK", StateReason="test", StateReasonData="{")
    cloudwatch.set_alarm_state(AlarmName="high", StateValue="ALARM", StateReason="test")
    summaries = [item["HistorySummary"] for item in cloudwatch.describe_alarm_history()["AlarmHistoryItems"]]
    assert any(summary.endswith("to ALARM") for summary in summaries)


def test_anomaly_detection_alarms_are_refused_by_name(cloudwatch):
    with refused("ValidationError", "anomaly detection"):
        cloudwatch.put_metric_alarm(**above("high", ComparisonOperator="GreaterThanUpperThreshold"))


def signed(server, region: str, body: bytes, headers: dict, path: str = "/") -> tuple[int, bytes]:
    """Posts as no SDK of today does, with botocore's signature."""
    request = botocore.awsrequest.AWSRequest("POST", server.endpoint + path, headers, body)
    credentials = botocore.credentials.Credentials(*server.key())
    botocore.auth.SigV4Auth(credentials, "monitoring", region).add_auth(request)
    prepared = urllib.request.Request(server.endpoint + path, body, dict(request.headers.items()), method="POST")
    try:
        with urllib.request.urlopen(prepared, timeout=60) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
JSON = {"Content-Type": "application/x-amz-json-1.0", "X-Amzn-Query-Mode": "true"}


def test_old_clients_speak_the_query_protocol(server, cloudwatch, region):
    body = (
        b"Action=PutMetricData&Version=2010-08-01&Namespace=Old&MetricData.member.1.MetricName=m"
        b"&MetricData.member.1.Value=4.5&MetricData.member.1.Unit=Count"
    )
    status, answer = signed(server, region, body, FORM)
    assert (status, ElementTree.fromstring(answer).tag) == (200, f"{{{NAMESPACE}}}PutMetricDataResponse")
    status, answer = signed(server, region, b"Action=ListMetrics&Version=2010-08-01&Namespace=Old", FORM)
    names = ElementTree.fromstring(answer).iter(f"{{{NAMESPACE}}}MetricName")
    assert (status, [name.text for name in names]) == (200, ["m"])
    status, answer = signed(server, region, b"Action=DescribeAlarms&Version=2010-08-01&NextToken=x", FORM)
    [code] = ElementTree.fromstring(answer).iter(f"{{{NAMESPACE}}}Code")
    assert (status, code.text) == (400, "InvalidNextToken")
    assert [metric["MetricName"] for metric in cloudwatch.list_metrics(Namespace="Old")["Metrics"]] == ["m"]


def test_others_speak_json(server, region):
    target = {"X-Amz-Target": "GraniteServiceVersion20100801.DescribeAlarms"}
    status, answer = signed(server, region, b"{}", JSON | target)
    assert (status, json.loads(answer)["MetricAlarms"]) == (200, [])


def test_compressed_data_are_read(client, region):
    """botocore compresses what is long enough."""
    cloudwatch = client("cloudwatch", region)
    data = [{"MetricName": f"a-long-name-of-a-metric-{i:04}", "Value": 1.0} for i in range(1000)]
    cloudwatch.put_metric_data(Namespace="Zipped", MetricData=data)
    assert len(cloudwatch.list_metrics(Namespace="Zipped")["Metrics"]) == 500


def test_the_cli(server, cloudwatch, region):
    def aws(*words: str):
        command = [sys.executable, AWS, "cloudwatch", *words, "--output", "json"]
        environment = server.cli_environment(region)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    aws("put-metric-data", "--namespace", "Cli", "--metric-name", "m", "--value", "2", "--dimensions", "Host=a")
    listed = aws("list-metrics", "--namespace", "Cli")
    assert [metric["MetricName"] for metric in listed["Metrics"]] == ["m"]
    aws(
        "put-metric-alarm", "--alarm-name", "cli", "--namespace", "Cli", "--metric-name", "m", "--statistic", "Sum",
        "--period", "60", "--evaluation-periods", "1", "--threshold", "1", "--comparison-operator",
        "GreaterThanThreshold", "--dimensions", "Name=Host,Value=a",
    )  # fmt: skip
    assert aws("describe-alarms", "--alarm-names", "cli")["MetricAlarms"][0]["AlarmName"] == "cli"
    aws("delete-alarms", "--alarm-names", "cli")
