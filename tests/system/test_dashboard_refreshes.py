"""Dashboards from end to end: events that were put in are counted by widgets, by hand and by schedule, kills in between change
nothing; every widget that CloudTrail brings along runs on real records."""

import collections
import contextlib
import datetime
import json
import os
import pathlib
import sqlite3
import uuid

import pytest
from opentrail_server import ACCOUNT, REGION, Server, record, wait_until
from results import FINAL, rows_of

VIEW = {"Height": "2", "Width": "4", "Title": "t"}
DATA = pathlib.Path(os.environ.get("OPENTRAIL_SHARED_DATA", pathlib.Path(__file__).resolve().parents[3] / "shared/data"))


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path) as server:
        yield server
        if server.process is not None:
            assert server.stop() == 0


def allow(cloudtrail, arn, action):
    condition = {"StringEquals": {"AWS:SourceAccount": ACCOUNT}, "StringLike": {"AWS:SourceArn": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:dashboard/*"}}
    statement = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": action, "Condition": condition}
    cloudtrail.put_resource_policy(ResourceArn=arn, ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


@pytest.fixture
def store(server):
    """A store that lets CloudTrail refresh dashboards from it; its id."""
    cloudtrail = server.client("cloudtrail")
    arn = cloudtrail.create_event_data_store(Name="shown")["EventDataStoreArn"]
    allow(cloudtrail, arn, "cloudtrail:StartQuery")
    return arn.rpartition("/")[2]


def ended(cloudtrail, alias, refresh):
    """The description of a widget's query once it has ended."""

    def found():
        described = cloudtrail.describe_query(QueryAlias=alias, RefreshId=refresh)
        return described if described["QueryStatus"] in FINAL else None

    return wait_until(found, f"the end of {alias}")


def put(server, records):
    body = "\n".join(json.dumps(one) for one in records).encode()
    assert server.put_records(body)["Accepted"] == len(records)


def test_widgets_count_what_was_put_in_also_after_a_kill(server, store):
    cloudtrail = server.client("cloudtrail")
    names = ["GetCalled"] * 300 + ["PutCalled"] * 200 + ["DeleteCalled"] * 7
    errors = [None, "AccessDenied", None, "ThrottlingException", None, None, "AccessDenied"]
    hours = datetime.timedelta(hours=1)
    start = datetime.datetime.now(datetime.UTC).replace(minute=30, second=0, microsecond=0) - 20 * hours
    records = []
    for number, name in enumerate(names):
        when = (start + number % 15 * hours).strftime("%Y-%m-%dT%H:%M:%SZ")
        error = errors[number % len(errors)]
        more = {"readOnly": name == "GetCalled"} | ({"errorCode": error} if error else {})
        records.append(record(str(uuid.uuid4()), name, when, **more))
    too_old = record(str(uuid.uuid4()), "GetCalled", (start - 48 * hours).strftime("%Y-%m-%dT%H:%M:%SZ"), readOnly=True)
    put(server, [*records, too_old])

    probe = "eventSource = 'probe.amazonaws.com' AND eventTime > '?' AND eventTime < '?'"
    widgets = [
        ("Table", {}, f"SELECT eventName, COUNT(*) AS n FROM {store} WHERE {probe} GROUP BY eventName", ["$StartTime$", "$EndTime$"]),
        ("BarChart", {"LabelColumn": "errorCode", "ValueColumn": "n"}, f"SELECT errorCode, COUNT(*) AS n FROM {store} WHERE errorCode IS NOT NULL AND {probe} GROUP BY 1", ["$StartTime$", "$EndTime$"]),
        ("LineChart", {"XAxisColumn": "time", "YAxisColumn": "n"}, f"SELECT DATE_TRUNC('?', eventTime) AS time, COUNT(*) AS n FROM {store} WHERE {probe} GROUP BY 1", ["$Period$", "$StartTime$", "$EndTime$"]),
    ]
    asked = [{"ViewProperties": {**VIEW, "View": view, **more}, "QueryStatement": sql, "QueryParameters": names} for view, more, sql, names in widgets]
    aliases = [one["QueryAlias"] for one in cloudtrail.create_dashboard(Name="counted", Widgets=asked)["Widgets"]]

    def hour(one):
        return one["eventTime"].replace("T", " ")[:13] + ":00:00.000"

    expected = [
        collections.Counter(one["eventName"] for one in records),
        collections.Counter(one["errorCode"] for one in records if "errorCode" in one),
        collections.Counter(hour(one) for one in records),
    ]
    refresh = cloudtrail.start_dashboard_refresh(DashboardId="counted")["RefreshId"]
    server.kill()
    server.start()
    for alias, counts in zip(aliases, expected):
        described = ended(cloudtrail, alias, refresh)
        assert described["QueryStatus"] == "FINISHED", described
        rows = rows_of(cloudtrail, described["QueryId"])
        assert {list(row.values())[0]: int(row["n"]) for row in rows} == dict(counts)
    assert cloudtrail.get_dashboard(DashboardId="counted")["LastRefreshId"] == refresh
    cloudtrail.start_dashboard_refresh(DashboardId="counted")

    day = {"$StartTime$": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "$EndTime$": (start + 2 * hours).strftime("%Y-%m-%dT%H:%M:%SZ")}

    def narrow():
        with contextlib.suppress(cloudtrail.exceptions.ServiceQuotaExceededException):
            return cloudtrail.start_dashboard_refresh(DashboardId="counted", QueryParameterValues=day)["RefreshId"]

    described = ended(cloudtrail, aliases[2], wait_until(narrow, "the end of the refresh before"))
    (row,) = rows_of(cloudtrail, described["QueryId"])
    assert int(row["n"]) == expected[2][hour({"eventTime": (start + hours).strftime("%Y-%m-%dT%H:%M:%SZ")})]


def test_a_schedule_makes_up_for_what_the_server_missed(server, store):
    cloudtrail = server.client("cloudtrail")
    put(server, [record(str(uuid.uuid4()), "Seen") for _ in range(5)])
    widget = {"ViewProperties": {**VIEW, "View": "Table"}, "QueryStatement": f"SELECT COUNT(*) AS n FROM {store} WHERE eventName = 'Seen'"}
    schedule = {"Frequency": {"Unit": "HOURS", "Value": 1}, "Status": "ENABLED"}
    made = [cloudtrail.create_dashboard(Name=name, Widgets=[widget], RefreshSchedule=schedule) for name in ("allowed", "not-allowed")]
    allow(cloudtrail, made[0]["DashboardArn"], "cloudtrail:StartDashboardRefresh")
    assert "LastRefreshId" not in cloudtrail.get_dashboard(DashboardId="allowed")
    server.stop()
    # As if they had been made two hours ago, and the server had been down since.
    with contextlib.closing(sqlite3.connect(server.data / "catalog.sqlite")) as catalog:
        documents = catalog.execute("SELECT key, body FROM document WHERE kind = 'dashboards'").fetchall()
        assert len(documents) == 2
        for key, body in documents:
            document = json.loads(body)
            document["schedule"]["since"] -= 2 * 3600 * 1000
            catalog.execute("UPDATE document SET body = ? WHERE kind = 'dashboards' AND key = ?", (json.dumps(document).encode(), key))
        catalog.commit()
    server.start()

    def refreshed(name):
        return wait_until(lambda: cloudtrail.get_dashboard(DashboardId=name).get("LastRefreshId"), f"the refresh of {name}")

    refresh = refreshed("allowed")
    described = ended(cloudtrail, made[0]["Widgets"][0]["QueryAlias"], refresh)
    assert rows_of(cloudtrail, described["QueryId"]) == [{"n": "5"}]
    assert "LastRefreshFailureReason" not in cloudtrail.get_dashboard(DashboardId="allowed")
    refreshed("not-allowed")
    assert "cloudtrail:StartDashboardRefresh" in cloudtrail.get_dashboard(DashboardId="not-allowed")["LastRefreshFailureReason"]
    server.kill()
    server.start()
    assert cloudtrail.get_dashboard(DashboardId="allowed")["LastRefreshId"] == refresh, "it is not made up for twice"


def test_every_managed_widget_runs_on_real_records(server, store):
    cloudtrail = server.client("cloudtrail")
    if DATA.is_dir():
        for path in sorted(DATA.glob("*.ndjson")):
            server.put_records(path.read_bytes())
    insights = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Insight"]}]}]
    of_insights = cloudtrail.create_event_data_store(Name="insights", AdvancedEventSelectors=insights)["EventDataStoreArn"]
    allow(cloudtrail, of_insights, "cloudtrail:StartQuery")
    cloudtrail.create_dashboard(Name="AWSCloudTrail-Highlights")
    dashboards = [one["DashboardArn"] for one in cloudtrail.list_dashboards(Type="MANAGED")["Dashboards"]]
    assert len(dashboards) == 16
    failures = {}
    for arn in dashboards:
        values = {"$StartTime$": "2010-01-01", "$EndTime$": "2100-01-01", "$Period$": "month"}
        if not arn.endswith("Highlights"):
            values["$EventDataStoreId$"] = of_insights if arn.endswith("InsightsEvents") else store
        refresh = cloudtrail.start_dashboard_refresh(DashboardId=arn, QueryParameterValues=values)["RefreshId"]
        for widget in cloudtrail.get_dashboard(DashboardId=arn)["Widgets"]:
            described = ended(cloudtrail, widget["QueryAlias"], refresh)
            if described["QueryStatus"] != "FINISHED":
                failures[widget["QueryAlias"]] = described.get("ErrorMessage")
    assert not failures, json.dumps(failures, indent=1)
