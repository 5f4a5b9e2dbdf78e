"""Insights end to end: a storm of errors is told where Insights events go, explained, and over when it is over. The server's clock runs
so much quicker that the hour that Insights learns from takes a minute or less."""

import concurrent.futures
import datetime
import gzip
import json
import random
import re
import sys
import time
import urllib.request
import uuid

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from commands import opentrail, run
from listener import Webhook
from opentrail_server import ACCOUNT, REGION, Server, record, wait_until

CONFIG = """
[delivery]
max_age = "1m"
[digest]
interval = "10m"
[outbound]
allow = ["127.0.0.0/8"]
# Files have the machine's time: to a quick server they all look old.
[history]
vacuum_age = "100days"
[stores]
vacuum_age = "100days"
"""
TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
BOTH = [{"InsightType": "ApiCallRateInsight"}, {"InsightType": "ApiErrorRateInsight"}]
# Runs the AWS CLI with a clock as quick as the server's, but for the embedded S3, which goes by the machine's.
QUICK_CLI = """
import datetime, sys, time
import awscli.clidriver, awscli.customizations.cloudtrail.validation as validation, botocore.auth as auth
start, rate = float(sys.argv.pop(1)), int(sys.argv.pop(1))
real, sign = auth.get_current_datetime, auth.SigV4Auth.add_auth
quick = lambda *_: datetime.datetime.fromtimestamp(start + (time.time() - start) * rate, datetime.UTC).replace(tzinfo=None)
def add_auth(self, request):
    auth.get_current_datetime = real if self._service_name == "s3" else quick
    sign(self, request)
auth.SigV4Auth.add_auth, validation.get_current_datetime = add_auth, quick
sys.exit(awscli.clidriver.main())
"""


class Quick:
    """A server in quick time, and clients that sign by its clock."""

    def __init__(self, directory, rate):
        self.start, self.rate = int(time.time()), rate
        self.server = Server(directory, CONFIG, ["--log", "warn", "--quick-clock", f"{rate}@{self.start}"])

    def now(self):
        return datetime.datetime.fromtimestamp(self.start + (time.time() - self.start) * self.rate, datetime.UTC)

    def aws(self, *arguments):
        command = [sys.executable, "-c", QUICK_CLI, str(self.start), str(self.rate), *arguments]
        return run(*command, environment=self.server.cli_environment(), errors_too=True)

    def explain(self, event_id):
        headers = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
        request = AWSRequest("GET", f"{self.server.endpoint}/v1/insights/{event_id}", headers=headers)
        signer = botocore.auth.SigV4Auth(Credentials(*self.server.key()), "cloudtrail", REGION)
        signer.payload = lambda _: "UNSIGNED-PAYLOAD"
        signer.add_auth(request)
        call = urllib.request.Request(request.url, headers=dict(request.headers))
        with urllib.request.urlopen(call, timeout=60) as response:
            return json.load(response)

    def restart_in_real_time(self):
        assert self.server.stop() == 0
        self.start, self.rate = time.time(), 1
        self.server.arguments = self.server.arguments[:-2]
        self.server.start()

    def insights(self, state=None):
        events = self.server.client("cloudtrail").lookup_events(EventCategory="insight")["Events"]
        records = [json.loads(event["CloudTrailEvent"]) for event in events]
        return [record for record in records if state in (None, record["insightDetails"]["state"])]


@pytest.fixture
def quick(tmp_path, monkeypatch, request):
    quick = Quick(tmp_path / "server", request.param)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_: quick.now())
    with quick.server:
        yield quick


@pytest.fixture
def webhook():
    hook = Webhook()
    yield hook
    hook.close()


def store_of(cloudtrail, category, name):
    selector = {"FieldSelectors": [{"Field": "eventCategory", "Equals": [category]}]}
    return cloudtrail.create_event_data_store(Name=name, AdvancedEventSelectors=[selector])["EventDataStoreArn"]


def rule_for_insights(server, webhook):
    """A rule on the default bus that tells the webhook of Insights events."""
    sns, events = server.client("sns"), server.client("events")
    topic = sns.create_topic(Name="insights")["TopicArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish", "Resource": topic}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=webhook.url)
    events.put_rule(Name="insights", EventPattern=json.dumps({"detail-type": ["AWS Insight via CloudTrail"]}))
    events.put_targets(Rule="insights", Targets=[{"Id": "topic", "Arn": topic}])


def role_without_rights(server):
    """Clients' credentials of a session of the role `storm`."""
    server.client("iam").create_role(RoleName="storm", AssumeRolePolicyDocument=json.dumps(TRUST), MaxSessionDuration=12 * 3600)
    iam, sts = server.client("iam"), server.client("sts")
    iam.create_user(UserName="climber")
    key = iam.create_access_key(UserName="climber")["AccessKey"]
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    iam.put_user_policy(UserName="climber", PolicyName="climb", PolicyDocument=json.dumps(allow))
    sts = server.client("sts", key=(key["AccessKeyId"], key["SecretAccessKey"]))
    return sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/storm", RoleSessionName="gust", DurationSeconds=12 * 3600)["Credentials"]


def denied(client):
    """A call that is denied."""
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_trail(Name="main")


def storm(clients, calls):
    """As many denied calls by each client at a time."""
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(lambda client: [denied(client) for _ in range(calls)], clients))
    return len(clients) * calls


def attribution(insight, attribute):
    found = insight["insightDetails"]["insightContext"]["attributions"]
    return next((of["insight"] for of in found if of["attribute"] == attribute), None)


@pytest.mark.parametrize("quick", [60], indirect=True)
def test_a_storm_of_errors_is_found_told_and_over(quick, webhook):
    server = quick.server
    cloudtrail = server.client("cloudtrail")
    trail = server.make_trail(EnableLogFileValidation=True, IsMultiRegionTrail=True)
    cloudtrail.put_insight_selectors(TrailName=trail, InsightSelectors=BOTH)
    source, destination = store_of(cloudtrail, "Management", "calls"), store_of(cloudtrail, "Insight", "insights")
    cloudtrail.put_insight_selectors(EventDataStore=source, InsightsDestination=destination, InsightSelectors=BOTH)
    rule_for_insights(server, webhook)
    credentials = role_without_rights(server)
    key, token = (credentials["AccessKeyId"], credentials["SecretAccessKey"]), credentials["SessionToken"]
    clients = [server.client("cloudtrail", key=key, token=token) for _ in range(4)]

    began = quick.now()
    while quick.now() < began + datetime.timedelta(minutes=65):
        cloudtrail.start_logging(Name="main")
        denied(clients[0])
        time.sleep(1)
    assert quick.insights() == [], "an hour of what is usual is nothing unusual"

    blew = quick.now()
    blown = storm(clients, 400)

    def about(state):
        """The Insights events about the denied calls, once both types have one of that state."""
        found = [insight for insight in quick.insights(state) if insight["insightDetails"]["eventName"] == "DeleteTrail"]
        return found if len(found) == 2 else None

    starts = wait_until(lambda: about("Start"), "the storm is told", seconds=180, pause=0.5)
    by_type = {insight["insightDetails"]["insightType"]: insight for insight in starts}
    rate, errors = by_type["ApiCallRateInsight"], by_type["ApiErrorRateInsight"]
    assert errors["insightDetails"]["errorCode"] == "AccessDenied" and "errorCode" not in rate["insightDetails"]
    for start in starts:
        assert abs(datetime.datetime.fromisoformat(start["eventTime"]) - blew) < datetime.timedelta(minutes=5)
        assert (start["eventType"], start["eventCategory"]) == ("AwsCloudTrailInsight", "Insight")
        assert start["insightDetails"]["eventSource"] == "cloudtrail.amazonaws.com"
        [role] = attribution(start, "userIdentityArn")
        assert role["value"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/storm"
        statistics = start["insightDetails"]["insightContext"]["statistics"]
        assert role["average"] == statistics["insight"]["average"] > 10 * statistics["baseline"]["average"]
    assert [value["value"] for value in attribution(rate, "errorCode")] == ["AccessDenied"]
    assert attribution(errors, "errorCode") is None

    ends = wait_until(lambda: about("End"), "the storm is over", seconds=180, pause=0.5)
    assert {end["sharedEventID"] for end in ends} == {start["sharedEventID"] for start in starts}
    for end in ends:
        statistics = end["insightDetails"]["insightContext"]["statistics"]
        told = statistics["insight"]["average"] * statistics["insightDuration"]
        # A call or two at either end may fall into a minute that is not yet, or no longer, unusual.
        assert told == pytest.approx(blown, rel=0.02)

    # By trail: a file of its own, and digests that hold it.
    folder = server.data / "objects/trail-logs"
    expected = {insight["eventID"] for insight in starts + ends}

    def delivered():
        files = folder.glob(f"AWSLogs/{ACCOUNT}/CloudTrail-Insight/{REGION}/*/*/*/*.json.gz")
        records = [record for file in files for record in json.loads(gzip.decompress(file.read_bytes()))["Records"]]
        ids = [record["eventID"] for record in records if record["insightDetails"]["eventName"] == "DeleteTrail"]
        assert len(ids) == len(set(ids)) <= 4
        return set(ids) == expected

    wait_until(delivered, "the Insights events are delivered")
    file = next(folder.glob(f"AWSLogs/{ACCOUNT}/CloudTrail-Insight/**/*.json.gz"))
    assert re.fullmatch(rf"{ACCOUNT}_CloudTrail-Insight_{REGION}_\d{{8}}T\d{{4}}Z_\w{{16}}\.json\.gz", file.name)

    def digested():
        digests = folder.glob(f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/**/*.json.gz")
        return any(file.name in gzip.decompress(digest.read_bytes()).decode() for digest in digests)

    wait_until(digested, "a digest has the Insights file", seconds=120)
    report = quick.aws("cloudtrail", "validate-logs", "--trail-arn", trail, "--start-time", began.isoformat(), "--verbose")
    assert re.search(rf"Log file\s+s3://trail-logs/\S*{file.name}\s+valid", report), report
    assert "INVALID" not in report

    # By event data store, in its own form.
    def rows():
        names = "insightSource, insightState, insightType, insightErrorCode, insightContext.insightAverage"
        statement = f"SELECT {names} FROM {destination.rpartition('/')[2]} WHERE insightEventName = 'DeleteTrail'"
        query = cloudtrail.start_query(QueryStatement=statement)["QueryId"]
        wait_until(lambda: cloudtrail.describe_query(QueryId=query)["QueryStatus"] == "FINISHED", "the query ends")
        found = cloudtrail.get_query_results(QueryId=query)["QueryResultRows"]
        return [tuple(value for column in row for value in column.values()) for row in found]

    wait_until(lambda: len(rows()) == 4, "the store has the Insights events")
    assert {row[0] for row in rows()} == {source} and "AccessDenied" in {row[3] for row in rows()}

    # By rule.
    for state in ["Start", "End"]:
        def told(headers, body, state=state):
            if headers.get("x-amz-sns-message-type") != "Notification":
                return False
            event = json.loads(json.loads(body)["Message"])
            return event["detail"]["insightDetails"]["state"] == state and event["source"] == "aws.cloudtrail"

        webhook.wait_for(told)

    # What LookupEvents finds it by.
    for key, value in [("EventName", "DeleteTrail"), ("EventSource", "cloudtrail.amazonaws.com"), ("EventId", rate["eventID"])]:
        attribute = [{"AttributeKey": key, "AttributeValue": value}]
        found = cloudtrail.lookup_events(EventCategory="insight", LookupAttributes=attribute)["Events"]
        assert rate["eventID"] in [event["EventId"] for event in found]
    usual = cloudtrail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "DeleteTrail"}])
    assert all(json.loads(event["CloudTrailEvent"])["eventType"] == "AwsApiCall" for event in usual["Events"])

    # Why.
    for event_id in [rate["eventID"], rate["sharedEventID"]]:
        why = quick.explain(event_id)
        assert why["sharedEventID"] == rate["sharedEventID"] and why["awsRegion"] == REGION
        assert sum(point["calls"] for point in why["series"]) > blown and why["usualAtMost"] < 20

    # Hours back in time, and nothing is told again.
    before = [insight["eventID"] for insight in quick.insights()]
    quick.restart_in_real_time()
    printed = opentrail(server, "insights", "explain", rate["eventID"])
    assert "ApiCallRateInsight cloudtrail.amazonaws.com DeleteTrail" in printed and "assumed-role/storm" in printed
    for _ in range(3):
        cloudtrail.start_logging(Name="main")
    assert [insight["eventID"] for insight in quick.insights()] == before


def put(quick, number, name, **more):
    """Data events of S3, recorded elsewhere, that come in now."""
    when = quick.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    data = {"eventSource": "s3.amazonaws.com", "readOnly": True, "managementEvent": False, "eventCategory": "Data",
            "resources": [{"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::data/key"}], **more}  # fmt: skip
    lines = [json.dumps(record(str(uuid.uuid4()), name, when, **data)).encode() for _ in range(number)]
    assert quick.server.put_records(b"\n".join(lines))["Accepted"] == number


@pytest.mark.parametrize("quick", [240], indirect=True)
def test_a_burst_of_data_events_is_told_to_the_trail_that_watches_them(quick):
    cloudtrail = quick.server.client("cloudtrail")
    trail, other = (quick.server.make_trail(name, f"logs-of-{name}") for name in ["watching", "other"])
    selector = {"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}
    for name in ["watching", "other"]:
        cloudtrail.put_event_selectors(TrailName=name, EventSelectors=[selector])
    both = [{"InsightType": "ApiCallRateInsight", "EventCategories": ["Data"]}]
    cloudtrail.put_insight_selectors(TrailName=trail, InsightSelectors=both)
    cloudtrail.put_insight_selectors(TrailName=other, InsightSelectors=[{"InsightType": "ApiErrorRateInsight"}])
    began = quick.now()
    while quick.now() < began + datetime.timedelta(minutes=63):
        put(quick, 1, "PutObject")
        time.sleep(0.1)
    put(quick, 6000, "GetObject")

    asked = {"InsightSource": trail, "DataType": "InsightsEvents"}
    listed = wait_until(lambda: cloudtrail.list_insights_data(**asked)["Events"], "the burst is told", seconds=180, pause=0.5)
    insight = json.loads(listed[-1]["CloudTrailEvent"])
    details = insight["insightDetails"]
    assert (listed[-1]["EventName"], listed[-1]["EventSource"]) == ("GetObject", "s3.amazonaws.com")
    assert listed[-1]["EventId"] == insight["eventID"]
    assert (details["state"], details["sourceEventCategory"], details["insightSource"]) == ("Start", "Data", trail)
    assert list(details)[-1] == "insightSource"
    for key, value in [("EventName", "GetObject"), ("EventSource", "s3.amazonaws.com"), ("EventId", insight["eventID"])]:
        found = cloudtrail.list_insights_data(**asked, Dimensions={key: value})["Events"]
        assert insight["eventID"] in [event["EventId"] for event in found]
    assert cloudtrail.list_insights_data(**asked, Dimensions={"EventName": "PutObject"})["Events"] == []
    assert cloudtrail.list_insights_data(InsightSource=other, DataType="InsightsEvents")["Events"] == []
    assert quick.insights() == [], "Event history has Insights on management events only"
    metric = {"TrailName": trail, "EventSource": "s3.amazonaws.com", "EventName": "GetObject", "InsightType": "ApiCallRateInsight"}
    assert sum(cloudtrail.list_insights_metric_data(**metric, Period=60)["Values"]) == 6000

    def folder(name):
        return list((quick.server.data / f"objects/logs-of-{name}").glob("AWSLogs/*/CloudTrail-Insight/**/*.json.gz"))

    wait_until(lambda: folder("watching"), "the Insights event is delivered")
    assert folder("other") == []


def calls_of(start, minutes, name, rate, arn):
    """Records of calls in the minutes from `start` on, some `rate` in each."""
    chance = random.Random(1)
    for minute in range(minutes):
        for _ in range(round(chance.uniform(0.5, 1.5) * rate)):
            at = start + datetime.timedelta(minutes=minute, seconds=chance.randrange(60))
            who = {"type": "IAMUser", "principalId": "AIDA", "arn": arn, "accountId": ACCOUNT}
            yield record(str(uuid.uuid4()), name, at.strftime("%Y-%m-%dT%H:%M:%SZ"), userIdentity=who)


def test_the_past_of_a_store_is_gone_through_again(tmp_path):
    with Server(tmp_path, arguments=["--log", "warn"]) as server:
        cloudtrail = server.client("cloudtrail")
        store = store_of(cloudtrail, "Management", "calls").rpartition("/")[2]
        now = datetime.datetime.now(datetime.UTC).replace(second=0, microsecond=0)
        burst = now - datetime.timedelta(hours=6)
        usual = calls_of(now - datetime.timedelta(hours=60), 59 * 60, "PutProbe", 2, "arn:aws:iam::100000000001:user/usual")
        unusual = calls_of(burst, 12, "PutProbe", 120, "arn:aws:iam::100000000001:user/mallory")
        lines = [json.dumps(call).encode() for call in [*usual, *unusual]]
        for at in range(0, len(lines), 2000):
            part = lines[at : at + 2000]
            assert server.put_records(b"\n".join(part))["Accepted"] == len(part)
        printed = opentrail(server, "insights", "replay", "calls", "--since", "3d", "--output", "json")
        found = [json.loads(json.dumps(insight)) for insight in json.loads(printed)]
        assert [insight["insightDetails"]["state"] for insight in found] == ["Start", "End"]
        start, end = found
        assert abs(datetime.datetime.fromisoformat(start["eventTime"]) - burst) <= datetime.timedelta(minutes=1)
        assert end["insightDetails"]["insightContext"]["statistics"]["insightDuration"] in range(11, 15)
        assert attribution(start, "userIdentityArn")[0]["value"] == "arn:aws:iam::100000000001:user/mallory"
        table = opentrail(server, "insights", "replay", store, "--since", "3d", errors_too=True)
        assert "user/mallory" in table and "2 Insights events in" in table
        assert "there is no event data store none" in opentrail(server, "insights", "replay", "none", code=3, errors_too=True)
        assert "has no Insights event" in opentrail(server, "insights", "explain", str(uuid.uuid4()), code=3, errors_too=True)
