"""Dashboards: made, shown, changed, refreshed, deleted; who may; and those that CloudTrail brings along."""

import json
import uuid

import pytest

from accounts import OTHER, READER, Key
from errors import refused
from opentrail_server import ACCOUNT, Server, wait_until
from results import FINAL, rows_of, wait_for

# Of the User Guide's four sample widgets: statement, parameters, how they are drawn.
TOP_ERRORS = (
    "SELECT errorCode, COUNT(*) AS eventCount FROM {0} WHERE eventTime > '?' AND eventTime < '?' AND (errorCode is not null) GROUP BY errorCode ORDER BY eventCount DESC LIMIT 100",
    ["$StartTime$", "$EndTime$"],
    {"View": "Table"},
)
REGIONS = (
    "SELECT awsRegion, COUNT(*) AS eventCount FROM {0} where eventTime > '?' and eventTime < '?' GROUP BY awsRegion ORDER BY eventCount LIMIT 100",
    ["$StartTime$", "$EndTime$"],
    {"View": "PieChart", "LabelColumn": "awsRegion", "ValueColumn": "eventCount", "FilterColumn": "awsRegion"},
)
ACTIVITY = (
    "SELECT DATE_TRUNC('?', eventTime) AS eventDate, IF(readOnly, 'read', 'write') AS readOnly, COUNT(*) as eventCount FROM {0} WHERE eventTime > '?' AND eventTime < '?' GROUP BY DATE_TRUNC('?', eventTime), readOnly ORDER BY DATE_TRUNC('?', eventTime), readOnly",
    ["$Period$", "$StartTime$", "$EndTime$", "$Period$", "$Period$"],
    {"View": "LineChart", "YAxisColumn": "eventCount", "XAxisColumn": "eventDate", "FilterColumn": "readOnly"},
)
SERVICES = (
    "SELECT REPLACE(eventSource, '.amazonaws.com') AS service, COUNT(*) AS eventCount FROM {0} WHERE eventTime > '?' AND eventTime < '?' GROUP BY eventSource ORDER BY eventCount DESC LIMIT 100",
    ["$StartTime$", "$EndTime$"],
    {"View": "BarChart", "LabelColumn": "service", "ValueColumn": "eventCount", "Orientation": "Vertical"},
)
# The eighth power of what it is given: it does not end while a test lasts, and can be cancelled.
ENDLESS = "SELECT count(*) FROM " + ", ".join(f"{{0}} AS {alias}" for alias in "abcdefgh")
ENDLESS += " WHERE " + " AND ".join(f"{one}.eventID <> {other}.eventID" for one, other in zip("abcdefg", "bcdefgh"))
SAMPLES = [TOP_ERRORS, REGIONS, ACTIVITY, SERVICES]
HIGHLIGHTS = "AWSCloudTrail-Highlights"
SIX_HOURS = {"Frequency": {"Unit": "HOURS", "Value": 6}, "Status": "ENABLED"}


@pytest.fixture
def store(cloudtrail):
    """An event data store of the test's Region; its id."""
    arn = cloudtrail.create_event_data_store(Name="shown", MultiRegionEnabled=False, TerminationProtectionEnabled=False)
    arn = arn["EventDataStoreArn"]
    yield arn.rpartition("/")[2]
    try:
        cloudtrail.delete_event_data_store(EventDataStore=arn)
    except cloudtrail.exceptions.InactiveEventDataStoreException:
        pass


def widget(sample, store, **more):
    statement, parameters, view = sample
    view = {"Height": "2", "Width": "4", "Title": "t", **view}
    whole = {"QueryStatement": statement.format(store), "QueryParameters": parameters, "ViewProperties": view} | more
    return {name: value for name, value in whole.items() if value is not None}


def allow(cloudtrail, arn, action, dashboard="*"):
    """A policy that lets CloudTrail do it for dashboards."""
    region = cloudtrail.meta.region_name
    source = f"arn:aws:cloudtrail:{region}:{ACCOUNT}:dashboard/{dashboard}"
    condition = {"StringLike": {"AWS:SourceArn": source, "AWS:SourceAccount": ACCOUNT}}
    statement = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": action, "Condition": condition}
    cloudtrail.put_resource_policy(ResourceArn=arn, ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def arn_of(cloudtrail, store):
    return f"arn:aws:cloudtrail:{cloudtrail.meta.region_name}:{ACCOUNT}:eventdatastore/{store}"


def ended(cloudtrail, **which):
    """The description of a query named by its alias once it has ended."""

    def found():
        described = cloudtrail.describe_query(**which)
        return described if described["QueryStatus"] in FINAL else None

    return wait_until(found, f"the end of {which}")


@pytest.mark.operation("CreateDashboard", "GetDashboard", "UpdateDashboard", "DeleteDashboard")
def test_a_dashboard_lives_and_dies(cloudtrail, store, region):
    schedule = {"Frequency": {"Unit": "DAYS", "Value": 1}, "Status": "ENABLED", "TimeOfDay": "05:30"}
    asked = [widget(sample, store) for sample in SAMPLES]
    tags = [{"Key": "team", "Value": "audit"}]
    made = cloudtrail.create_dashboard(Name="My-board_1", Widgets=asked, TagsList=tags, RefreshSchedule=schedule)
    arn = f"arn:aws:cloudtrail:{region}:{ACCOUNT}:dashboard/My-board_1"
    assert (made["DashboardArn"], made["Name"], made["Type"], made["TagsList"]) == (arn, "My-board_1", "CUSTOM", tags)
    assert (made["RefreshSchedule"], made["TerminationProtectionEnabled"]) == (schedule, False)
    aliases = [one.pop("QueryAlias") for one in made["Widgets"]]
    assert made["Widgets"] == asked and len(set(aliases)) == 4
    with refused("ConflictException", "My-board_1"):
        cloudtrail.create_dashboard(Name="My-board_1")

    got = cloudtrail.get_dashboard(DashboardId="My-board_1")
    assert (got["DashboardArn"], got["Type"], got["Status"]) == (arn, "CUSTOM", "CREATED")
    assert [one["QueryAlias"] for one in got["Widgets"]] == aliases
    assert (got["RefreshSchedule"], got["CreatedTimestamp"]) == (schedule, got["UpdatedTimestamp"])
    assert not {"LastRefreshId", "LastRefreshFailureReason"} & set(got)

    changed = cloudtrail.update_dashboard(DashboardId=arn, Widgets=[asked[3], widget(REGIONS, store, QueryStatement=f"SELECT eventName FROM {store}", QueryParameters=None)])
    kept, new = (one["QueryAlias"] for one in changed["Widgets"])
    assert kept == aliases[3] and new not in aliases, "a widget that asks the same keeps its alias"
    assert "QueryParameters" not in changed["Widgets"][1]
    assert (changed["Name"], changed["Type"], changed["RefreshSchedule"]) == ("My-board_1", "CUSTOM", schedule)
    off = cloudtrail.update_dashboard(DashboardId=arn, RefreshSchedule={"Status": "DISABLED"}, TerminationProtectionEnabled=True)
    assert off["RefreshSchedule"] == schedule | {"Status": "DISABLED"} and off["TerminationProtectionEnabled"] is True
    assert off["UpdatedTimestamp"] >= changed["UpdatedTimestamp"] >= off["CreatedTimestamp"]
    assert cloudtrail.get_dashboard(DashboardId=arn)["Status"] == "UPDATED"

    with refused("ConflictException", "Termination protection"):
        cloudtrail.delete_dashboard(DashboardId=arn)
    cloudtrail.update_dashboard(DashboardId=arn, TerminationProtectionEnabled=False)
    cloudtrail.delete_dashboard(DashboardId="My-board_1")
    for call in (cloudtrail.get_dashboard, cloudtrail.delete_dashboard, cloudtrail.start_dashboard_refresh):
        with refused("ResourceNotFoundException", "My-board_1"):
            call(DashboardId=arn)
    with refused("ResourceNotFoundException"):
        cloudtrail.update_dashboard(DashboardId=arn, Widgets=[])


@pytest.mark.operation("CreateDashboard", "UpdateDashboard")
@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"QueryStatement": "SELECT FROM {store}", "QueryParameters": None}, "InvalidQueryStatementException", "Widget 1"),
        ({"QueryStatement": "SELECT nothing FROM {store}", "QueryParameters": None}, "InvalidQueryStatementException", "nothing"),
        ({"QueryStatement": "SELECT 1", "QueryParameters": None}, "InvalidQueryStatementException", "FROM"),
        ({"QueryStatement": "DELETE FROM {store}", "QueryParameters": None}, "InvalidQueryStatementException", None),
        ({"QueryStatement": f"SELECT eventID FROM {uuid.UUID(int=1)}", "QueryParameters": None}, "EventDataStoreNotFoundException", None),
        ({"QueryParameters": ["$StartTime$"]}, "ValidationException", "2 question marks"),
        ({"QueryParameters": ["$StartTime$", "$Stop$"]}, "ValidationException", "$Stop$"),
        ({"QueryParameters": ["$StartTime$", "$EventDataStoreId$"]}, "ValidationException", "$EventDataStoreId$"),
        ({"ViewProperties": {"View": "Table"}}, "ValidationException", "Height"),
        ({"ViewProperties": {"View": "Cube", "Height": "2", "Width": "2", "Title": "t"}}, "ValidationException", "Cube"),
        ({"ViewProperties": {"View": "Table", "Height": "2", "Width": "2", "Title": "a/b"}}, "ValidationException", None),
        ({"QueryStatement": ""}, "ValidationException", None),
        ({"QueryParameters": []}, "ValidationException", None),
    ],
    ids=str,
)
def test_widgets_that_are_refused(cloudtrail, store, change, error, words):
    change = {name: value.replace("{store}", store) if isinstance(value, str) else value for name, value in change.items()}
    wrong = [widget(TOP_ERRORS, store, **change)]
    with refused(error, words):
        cloudtrail.create_dashboard(Name="wrong", Widgets=wrong)
    cloudtrail.create_dashboard(Name="right")
    with refused(error, words):
        cloudtrail.update_dashboard(DashboardId="right", Widgets=wrong)


@pytest.mark.operation("CreateDashboard", "UpdateDashboard")
def test_requests_that_are_refused(cloudtrail, store):
    for more, error in [
        ({"Name": "ab"}, "ValidationException"),
        ({"Name": "a.b"}, "ValidationException"),
        ({"Name": "AWSCloudTrail-Overview"}, "ValidationException"),
        ({"TagsList": [{"Key": "aws:mine", "Value": "1"}]}, "InvalidTagParameterException"),
        ({"TagsList": [{"Key": str(n), "Value": ""} for n in range(51)]}, "InvalidTagParameterException"),
        ({"RefreshSchedule": {"Frequency": {"Unit": "HOURS", "Value": 2}}}, "ValidationException"),
        ({"RefreshSchedule": {"Frequency": {"Unit": "WEEKS", "Value": 1}}}, "ValidationException"),
        ({"RefreshSchedule": {"Status": "ENABLED"}}, "ValidationException"),
        ({"RefreshSchedule": SIX_HOURS | {"TimeOfDay": "24:00"}}, "ValidationException"),
        ({"Widgets": [widget(TOP_ERRORS, store)] * 11}, "ServiceQuotaExceededException"),
    ]:
        with refused(error):
            cloudtrail.create_dashboard(**({"Name": "wrong"} | more))
    cloudtrail.create_dashboard(Name="right", Widgets=[widget(TOP_ERRORS, store)] * 10)
    with refused("ServiceQuotaExceededException", "10 widgets"):
        cloudtrail.update_dashboard(DashboardId="right", Widgets=[widget(TOP_ERRORS, store)] * 11)
    with refused("ValidationException", "Widgets"):
        cloudtrail.update_dashboard(DashboardId="right")
    cloudtrail.delete_event_data_store(EventDataStore=store)
    for call, name in ((cloudtrail.create_dashboard, "Name"), (cloudtrail.update_dashboard, "DashboardId")):
        with refused("InactiveEventDataStoreException"):
            call(**{name: "right", "Widgets": [widget(TOP_ERRORS, store)]})
    allow(cloudtrail, f"arn:aws:cloudtrail:{cloudtrail.meta.region_name}:{ACCOUNT}:dashboard/right", "cloudtrail:StartDashboardRefresh")
    with refused("InactiveEventDataStoreException"):
        cloudtrail.start_dashboard_refresh(DashboardId="right")


@pytest.mark.operation("CreateDashboard", "ListDashboards")
def test_a_hundred_dashboards_are_enough_and_come_in_pages(cloudtrail):
    for number in range(100):
        cloudtrail.create_dashboard(Name=f"mine-{number:02}")
    with refused("ServiceQuotaExceededException", "100"):
        cloudtrail.create_dashboard(Name="one-more")
    cloudtrail.create_dashboard(Name=HIGHLIGHTS)
    listed, token = [], {}
    while True:
        page = cloudtrail.list_dashboards(MaxResults=30, **token)
        assert len(page["Dashboards"]) <= 30
        listed += page["Dashboards"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    names = [one["DashboardArn"].rpartition("/")[2] for one in listed]
    assert names == sorted(set(names)) and len(names) == 116
    assert {one["Type"] for one in listed if "/mine-" in one["DashboardArn"]} == {"CUSTOM"}
    assert {one["Type"] for one in listed if "/AWSCloudTrail-" in one["DashboardArn"]} == {"MANAGED"}
    assert len(cloudtrail.list_dashboards(Type="MANAGED")["Dashboards"]) == 16
    assert len(cloudtrail.list_dashboards(NamePrefix="mine-0")["Dashboards"]) == 10
    for more in ({"NextToken": "abcd"}, {"NextToken": token["NextToken"], "Type": "CUSTOM"}, {"MaxResults": 0}, {"Type": "MINE"}, {"NamePrefix": "a"}):
        with refused("ValidationException"):
            cloudtrail.list_dashboards(**more)


@pytest.mark.operation("StartDashboardRefresh", "GetDashboard", "DescribeQuery", "StartQuery", "GetQueryResults")
def test_a_refresh_runs_each_widget_and_its_results_are_found_by_alias(cloudtrail, store, region):
    made = cloudtrail.create_dashboard(Name="board", Widgets=[widget(sample, store) for sample in SAMPLES])
    with refused("AccessDeniedException", arn_of(cloudtrail, store)):
        cloudtrail.start_dashboard_refresh(DashboardId="board")
    allow(cloudtrail, arn_of(cloudtrail, store), "cloudtrail:StartQuery", "other")
    with refused("AccessDeniedException", "cloudtrail:StartQuery"):
        cloudtrail.start_dashboard_refresh(DashboardId="board")
    allow(cloudtrail, arn_of(cloudtrail, store), "cloudtrail:StartQuery", "board")
    values = {"$StartTime$": "2024-11-05T10:45:24.00Z", "$EndTime$": "2124-11-05T10:45:24Z", "$Period$": "DAY"}
    refresh = cloudtrail.start_dashboard_refresh(DashboardId=made["DashboardArn"], QueryParameterValues=values)["RefreshId"]
    assert refresh.isdigit() and 10 <= len(refresh) <= 20
    aliases = [one["QueryAlias"] for one in made["Widgets"]]
    tables = []
    for alias in aliases:
        described = ended(cloudtrail, QueryAlias=alias, RefreshId=refresh)
        assert described["QueryStatus"] == "FINISHED", described
        assert "?" not in described["QueryString"] and described["EventDataStoreOwnerAccountId"] == ACCOUNT
        tables.append(rows_of(cloudtrail, described["QueryId"]))
    assert [set(row) for row in tables[1]] == [{"awsRegion", "eventCount"}] and tables[1][0]["awsRegion"] == region
    assert {row["readOnly"] for row in tables[2]} <= {"read", "write"}
    assert tables[3][0]["service"] == "cloudtrail"
    got = cloudtrail.get_dashboard(DashboardId="board")
    assert got["LastRefreshId"] == refresh and "LastRefreshFailureReason" not in got

    again = cloudtrail.start_dashboard_refresh(DashboardId="board")["RefreshId"]
    assert int(again) > int(refresh)
    of_refresh = ended(cloudtrail, QueryAlias=aliases[0], RefreshId=again)["QueryId"]
    assert cloudtrail.describe_query(QueryAlias=aliases[0])["QueryId"] == of_refresh, "the latest"
    assert cloudtrail.describe_query(QueryAlias=aliases[0], RefreshId=refresh)["QueryId"] != of_refresh
    for which in ({"RefreshId": "1234567890"}, {"QueryAlias": "widget.board.none"}):
        with refused("QueryIdNotFoundException"):
            cloudtrail.describe_query(**({"QueryAlias": aliases[0]} | which))

    asked = cloudtrail.start_query(QueryAlias=aliases[1], QueryParameters=["2024-01-01", "2124-01-01"])["QueryId"]
    described = wait_for(cloudtrail, asked)
    assert described["QueryStatus"] == "FINISHED" and "eventTime > '2024-01-01' and eventTime < '2124-01-01'" in described["QueryString"].replace("where ", "")
    assert cloudtrail.describe_query(QueryAlias=aliases[1])["QueryId"] == asked
    for parameters in ([], ["2024-01-01"], ["1", "2", "3"]):
        more = {"QueryParameters": parameters} if parameters else {}
        with refused("InvalidParameterException"):
            cloudtrail.start_query(QueryAlias=aliases[1], **more)
    with refused("InvalidQueryStatementException"):
        cloudtrail.start_query(QueryAlias=aliases[1], QueryParameters=["2024-01-01'", "2124-01-01"])


@pytest.mark.operation("StartDashboardRefresh", "DescribeQuery")
def test_one_refresh_runs_at_a_time_and_its_queries_are_among_the_ten(tmp_path):
    """On a server of its own, of which one query at a time takes a thread."""
    with Server(tmp_path, "[queries]\nrunning = 1") as server:
        cloudtrail = server.client("cloudtrail")
        arn = cloudtrail.create_event_data_store(Name="shown")["EventDataStoreArn"]
        allow(cloudtrail, arn, "cloudtrail:StartQuery")
        for _ in range(20):
            cloudtrail.describe_trails()
        store = arn.rpartition("/")[2]
        board = [widget(TOP_ERRORS, store, QueryStatement=ENDLESS.format(store), QueryParameters=None)] * 6
        made = cloudtrail.create_dashboard(Name="endless", Widgets=board)
        cloudtrail.create_dashboard(Name="quick", Widgets=[widget(TOP_ERRORS, store)] * 5)
        refresh = cloudtrail.start_dashboard_refresh(DashboardId="endless")["RefreshId"]
        with refused("ServiceQuotaExceededException", "A refresh of"):
            cloudtrail.start_dashboard_refresh(DashboardId="endless")
        with refused("ServiceQuotaExceededException", "10 queries"):
            cloudtrail.start_dashboard_refresh(DashboardId="quick")
        for number, one in enumerate(reversed(made["Widgets"])):
            described = cloudtrail.describe_query(QueryAlias=one["QueryAlias"], RefreshId=refresh)
            assert described["QueryStatus"] in ("QUEUED", "RUNNING"), f"{number} cancelled queries are not this one's"
            cloudtrail.cancel_query(QueryId=described["QueryId"])
        assert int(cloudtrail.start_dashboard_refresh(DashboardId="quick")["RefreshId"]) > 0
        assert "LastRefreshFailureReason" not in cloudtrail.get_dashboard(DashboardId="endless"), "nobody scheduled it"


@pytest.mark.operation("StartDashboardRefresh")
def test_values_that_are_refused(cloudtrail, store):
    cloudtrail.create_dashboard(Name="board", Widgets=[widget(TOP_ERRORS, store)])
    allow(cloudtrail, arn_of(cloudtrail, store), "cloudtrail:StartQuery")
    for values in [
        {"$Start$": "2024-01-01"},
        {"$StartTime$": "yesterday"},
        {"$StartTime$": "2024-01-02", "$EndTime$": "2024-01-01"},
        {"$Period$": "fortnight"},
        {"$EventDataStoreId$": store},
        {"$StartTime$": "2024-01-01 00:00:00"},
    ]:
        with refused("ValidationException"):
            cloudtrail.start_dashboard_refresh(DashboardId="board", QueryParameterValues=values)


@pytest.mark.operation("StartDashboardRefresh", "CreateDashboard", "GetDashboard", "UpdateDashboard", "DeleteDashboard")
def test_managed_dashboards_show_a_store_and_cannot_be_changed(cloudtrail, store):
    name = "AWSCloudTrail-Overview"
    got = cloudtrail.get_dashboard(DashboardId=name)
    assert (got["Type"], got["Status"], len(got["Widgets"])) == ("MANAGED", "CREATED", 6)
    assert "RefreshSchedule" not in got
    refresh = cloudtrail.start_dashboard_refresh(DashboardId=name, QueryParameterValues={"$EventDataStoreId$": store})["RefreshId"]
    for one in got["Widgets"]:
        assert one["QueryParameters"].count("$EventDataStoreId$") == 1
        assert ended(cloudtrail, QueryAlias=one["QueryAlias"], RefreshId=refresh)["QueryStatus"] == "FINISHED"
    assert cloudtrail.get_dashboard(DashboardId=name)["LastRefreshId"] == refresh
    for values in ({}, {"$EventDataStoreId$": "mine"}):
        with refused("ValidationException", "$EventDataStoreId$"):
            cloudtrail.start_dashboard_refresh(DashboardId=name, QueryParameterValues=values)
    with refused("EventDataStoreNotFoundException"):
        cloudtrail.start_dashboard_refresh(DashboardId=name, QueryParameterValues={"$EventDataStoreId$": str(uuid.uuid4())})
    with refused("UnsupportedOperationException", "Insights events"):
        cloudtrail.start_dashboard_refresh(DashboardId="AWSCloudTrail-InsightsEvents", QueryParameterValues={"$EventDataStoreId$": store})
    with refused("UnsupportedOperationException", name):
        cloudtrail.update_dashboard(DashboardId=name, Widgets=[])
    with refused("UnsupportedOperationException", name):
        cloudtrail.delete_dashboard(DashboardId=name)


@pytest.mark.operation("CreateDashboard", "UpdateDashboard", "StartDashboardRefresh", "DeleteDashboard")
def test_highlights_are_turned_on_and_off(cloudtrail, store):
    with refused("ResourceNotFoundException"):
        cloudtrail.get_dashboard(DashboardId=HIGHLIGHTS)
    for more in (
        {"Widgets": [widget(TOP_ERRORS, store)]},
        {"RefreshSchedule": {"Frequency": {"Unit": "HOURS", "Value": 1}, "Status": "ENABLED"}},
        {"RefreshSchedule": SIX_HOURS | {"Status": "DISABLED"}},
    ):
        with refused("ValidationException"):
            cloudtrail.create_dashboard(Name=HIGHLIGHTS, **more)
    made = cloudtrail.create_dashboard(Name=HIGHLIGHTS, RefreshSchedule=SIX_HOURS)
    assert made["RefreshSchedule"] == SIX_HOURS | {"TimeOfDay": "00:00"}
    assert made["Widgets"] and all(store in one["QueryStatement"] for one in made["Widgets"])
    with refused("AccessDeniedException", store):
        cloudtrail.start_dashboard_refresh(DashboardId=HIGHLIGHTS)
    allow(cloudtrail, arn_of(cloudtrail, store), "cloudtrail:StartQuery", HIGHLIGHTS)
    refresh = cloudtrail.start_dashboard_refresh(DashboardId=HIGHLIGHTS)["RefreshId"]
    for one in made["Widgets"]:
        assert ended(cloudtrail, QueryAlias=one["QueryAlias"], RefreshId=refresh)["QueryStatus"] == "FINISHED"
    with refused("ValidationException", "Widgets"):
        cloudtrail.update_dashboard(DashboardId=HIGHLIGHTS, Widgets=[widget(TOP_ERRORS, store)])
    off = cloudtrail.update_dashboard(DashboardId=HIGHLIGHTS, RefreshSchedule={"Status": "DISABLED"})
    assert off["RefreshSchedule"]["Status"] == "DISABLED"
    cloudtrail.delete_dashboard(DashboardId=HIGHLIGHTS)
    cloudtrail.create_dashboard(Name=HIGHLIGHTS)
    cloudtrail.delete_event_data_store(EventDataStore=store)
    with refused("ResourceNotFoundException", "no event data store"):
        cloudtrail.start_dashboard_refresh(DashboardId=HIGHLIGHTS)


@pytest.mark.operation("AddTags", "RemoveTags", "ListTags", "PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy")
def test_dashboards_have_tags_and_policies(cloudtrail):
    arn = cloudtrail.create_dashboard(Name="tagged", TagsList=[{"Key": "a", "Value": "1"}])["DashboardArn"]
    cloudtrail.add_tags(ResourceId=arn, TagsList=[{"Key": "b", "Value": "2"}])
    cloudtrail.remove_tags(ResourceId=arn, TagsList=[{"Key": "a"}])
    (listed,) = cloudtrail.list_tags(ResourceIdList=[arn])["ResourceTagList"]
    assert listed == {"ResourceId": arn, "TagsList": [{"Key": "b", "Value": "2"}]}
    assert cloudtrail.get_dashboard(DashboardId=arn)["Status"] == "CREATED", "tags are no update"
    with refused("ResourcePolicyNotFoundException"):
        cloudtrail.get_resource_policy(ResourceArn=arn)
    allow(cloudtrail, arn, "cloudtrail:StartDashboardRefresh", "tagged")
    assert "StartDashboardRefresh" in cloudtrail.get_resource_policy(ResourceArn=arn)["ResourcePolicy"]
    with refused("ResourcePolicyNotValidException", "cloudtrail:StartQuery"):
        allow(cloudtrail, arn, "cloudtrail:StartQuery", "tagged")
    cloudtrail.delete_resource_policy(ResourceArn=arn)
    allow(cloudtrail, arn, "cloudtrail:StartDashboardRefresh", "tagged")
    cloudtrail.delete_dashboard(DashboardId=arn)
    cloudtrail.create_dashboard(Name="tagged")
    with refused("ResourcePolicyNotFoundException"):
        cloudtrail.get_resource_policy(ResourceArn=arn)
    managed = arn.replace("tagged", "AWSCloudTrail-Overview")
    for call in (lambda: cloudtrail.add_tags(ResourceId=managed, TagsList=[{"Key": "a"}]), lambda: allow(cloudtrail, managed, "cloudtrail:StartDashboardRefresh")):
        with refused("ResourceNotFoundException"):
            call()


@pytest.mark.operation("CreateDashboard", "GetDashboard", "ListDashboards", "UpdateDashboard", "StartDashboardRefresh", "DeleteDashboard")
def test_rights_are_needed(cloudtrail, client, store, region):
    cloudtrail.create_dashboard(Name="mine", Widgets=[widget(TOP_ERRORS, store)])
    reader, other = client("cloudtrail", region, READER), client("cloudtrail", region, OTHER)
    assert len(reader.list_dashboards()["Dashboards"]) == 16
    for call in (reader.get_dashboard, reader.update_dashboard, reader.start_dashboard_refresh, reader.delete_dashboard):
        with refused("AccessDeniedException", f"arn:aws:cloudtrail:{region}:{ACCOUNT}:dashboard/mine"):
            call(DashboardId="mine")
    with refused("AccessDeniedException", "cloudtrail:CreateDashboard"):
        reader.create_dashboard(Name="theirs")
    arn = cloudtrail.get_dashboard(DashboardId="mine")["DashboardArn"]
    assert len(other.list_dashboards()["Dashboards"]) == 15
    with refused("AccessDeniedException"):
        other.get_dashboard(DashboardId=arn)
    with refused("ResourceNotFoundException"):
        other.get_dashboard(DashboardId="mine")
    with refused("EventDataStoreNotFoundException"):
        other.create_dashboard(Name="mine", Widgets=[widget(TOP_ERRORS, store)])


@pytest.mark.operation("CreateDashboard", "UpdateDashboard", "StartDashboardRefresh")
def test_side_rights_are_needed(cloudtrail, client, store, region):
    """StartQuery on the stores of widgets and of managed dashboards, StartDashboardRefresh for a schedule."""
    iam, name = client("iam", "us-east-1"), f"boards-{region}"
    iam.create_user(UserName=name)
    actions = ["CreateDashboard", "UpdateDashboard", "GetDashboard"]

    def grant(*more):
        actions.extend(more)
        statement = {"Effect": "Allow", "Action": [f"cloudtrail:{action}" for action in actions], "Resource": "*"}
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    grant()
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = client("cloudtrail", region, Key(key["AccessKeyId"], key["SecretAccessKey"]))
    with refused("AccessDeniedException", "cloudtrail:ListDashboards"):
        user.list_dashboards()
    user.create_dashboard(Name="empty")
    asked = [widget(TOP_ERRORS, store)]
    with refused("AccessDeniedException", "cloudtrail:StartQuery"):
        user.create_dashboard(Name="asking", Widgets=asked)
    with refused("AccessDeniedException", "cloudtrail:StartQuery"):
        user.update_dashboard(DashboardId="empty", Widgets=asked)
    with refused("AccessDeniedException", "cloudtrail:StartDashboardRefresh"):
        user.create_dashboard(Name="scheduled", RefreshSchedule=SIX_HOURS)
    with refused("AccessDeniedException", "cloudtrail:StartDashboardRefresh"):
        user.update_dashboard(DashboardId="empty", RefreshSchedule=SIX_HOURS)
    with refused("AccessDeniedException", "cloudtrail:AddTags"):
        user.create_dashboard(Name="tagged", TagsList=[{"Key": "a", "Value": "b"}])
    grant("StartDashboardRefresh")
    user.update_dashboard(DashboardId="empty", RefreshSchedule=SIX_HOURS)
    with refused("AccessDeniedException", "cloudtrail:StartQuery"):
        user.start_dashboard_refresh(DashboardId="AWSCloudTrail-Overview", QueryParameterValues={"$EventDataStoreId$": store})
    with refused("AccessDeniedException", "cloudtrail:StartQuery"):
        user.create_dashboard(Name=HIGHLIGHTS)
    grant("StartQuery")
    user.create_dashboard(Name="asking", Widgets=asked)
    user.start_dashboard_refresh(DashboardId="AWSCloudTrail-Overview", QueryParameterValues={"$EventDataStoreId$": store})
    user.create_dashboard(Name=HIGHLIGHTS)


@pytest.mark.operation("CreateDashboard", "StartDashboardRefresh")
def test_calls_are_events(cloudtrail, store):
    cloudtrail.create_dashboard(Name="recorded")
    cloudtrail.start_dashboard_refresh(DashboardId="recorded")

    def looked_up():
        events = cloudtrail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "StartDashboardRefresh"}])
        return events["Events"]

    (event,) = wait_until(looked_up, "the event")
    told = json.loads(event["CloudTrailEvent"])
    assert told["requestParameters"] == {"dashboardId": "recorded"} and told["readOnly"] is False
    assert told["responseElements"]["refreshId"].isdigit()
