"""The stock AWS CLI."""

import datetime
import json
import pathlib
import subprocess
import sys

import pytest
from opentrail_server import ACCOUNT, wait_until

AWS = pathlib.Path(sys.executable).parent / "aws"


@pytest.fixture
def aws(server, region):
    """Runs `aws …` against the server as root; what it prints, read as JSON unless `text` is asked for."""

    def run(*arguments: str, region: str = region, text: bool = False, code: int = 0):
        done = subprocess.run(
            [sys.executable, AWS, *arguments],
            env=server.cli_environment(region),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        if text or code != 0:
            return done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


@pytest.mark.operation("CreateTrail", "DescribeTrails", "StartLogging", "GetTrailStatus", "DeleteTrail")
def test_a_trail_lives_and_dies(aws, cloudtrail, bucket, region):
    arn = f"arn:aws:cloudtrail:{region}:{ACCOUNT}:trail/cli"
    created = aws("cloudtrail", "create-trail", "--name", "cli", "--s3-bucket-name", bucket, "--is-multi-region-trail",
                  "--enable-log-file-validation", "--tags-list", "Key=team,Value=audit")  # fmt: skip
    assert (created["TrailARN"], created["LogFileValidationEnabled"]) == (arn, True)
    aws("cloudtrail", "start-logging", "--name", "cli")
    assert aws("cloudtrail", "get-trail-status", "--name", arn)["IsLogging"] is True
    assert [t["Name"] for t in aws("cloudtrail", "describe-trails")["trailList"]] == ["cli"]
    assert aws("cloudtrail", "list-tags", "--resource-id-list", arn)["ResourceTagList"][0]["TagsList"]
    aws("cloudtrail", "delete-trail", "--name", arn)
    told = aws("cloudtrail", "get-trail", "--name", "cli", code=255)
    assert f"(TrailNotFoundException) when calling the GetTrail operation: Unknown trail: {arn}" in told


@pytest.mark.operation("LookupEvents")
def test_events_are_looked_up_in_parts(aws, cloudtrail):
    for _ in range(5):
        cloudtrail.describe_trails()
    arguments = ("cloudtrail", "lookup-events", "--lookup-attributes",
                 "AttributeKey=EventName,AttributeValue=DescribeTrails")  # fmt: skip
    wait_until(lambda: len(aws(*arguments)["Events"]) == 5, "five events")
    first = aws(*arguments, "--max-items", "2")
    rest = aws(*arguments, "--starting-token", first["NextToken"])
    ids = [event["EventId"] for event in first["Events"] + rest["Events"]]
    assert len(set(ids)) == 5


@pytest.mark.operation("ListPublicKeys", "DescribeTrails")
def test_validate_logs_proves_what_was_delivered_and_names_what_was_altered(aws, client, cloudtrail, region):
    s3, name = client("s3"), "conformance-validated"
    s3.create_bucket(Bucket=name)
    allow = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}}
    acl = allow | {"Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{name}"}
    put = allow | {"Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*"}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [acl, put]}))
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
    trail = cloudtrail.create_trail(Name="validated", S3BucketName=name, EnableLogFileValidation=True)["TrailARN"]
    cloudtrail.start_logging(Name=trail)

    def keys(kind: str) -> list[str]:
        prefix = f"AWSLogs/{ACCOUNT}/{kind}/{region}/"
        return [item["Key"] for item in s3.list_objects_v2(Bucket=name, Prefix=prefix).get("Contents", [])]

    cloudtrail.list_trails()
    wait_until(lambda: keys("CloudTrail"), "a log file")
    digests = len(keys("CloudTrail-Digest"))
    wait_until(lambda: len(keys("CloudTrail-Digest")) >= digests + 2, "digests that cover it")

    validate = ("cloudtrail", "validate-logs", "--trail-arn", trail, "--start-time", start.isoformat(), "--verbose")
    report = aws(*validate, text=True)
    assert "INVALID" not in report
    assert f"s3://{name}/{keys('CloudTrail')[0]}\tvalid" in report

    altered = keys("CloudTrail")[0]
    body = s3.get_object(Bucket=name, Key=altered)["Body"].read()
    s3.put_object(Bucket=name, Key=altered, Body=body[:-5] + bytes([body[-5] ^ 1]) + body[-4:])
    report = aws(*validate, text=True, code=1)
    assert [line for line in report.splitlines() if "INVALID:" in line and altered in line], report


@pytest.mark.operation("CreateDashboard", "StartDashboardRefresh", "GetDashboard", "ListDashboards", "DescribeQuery", "UpdateDashboard", "DeleteDashboard")
def test_a_dashboard_is_made_and_refreshed(aws, region):
    store = aws("cloudtrail", "create-event-data-store", "--name", "shown", "--no-multi-region-enabled", "--no-termination-protection-enabled")
    store = store["EventDataStoreArn"]
    view = {"View": "Table", "Title": "Top errors", "Height": "2", "Width": "4"}
    statement = f"SELECT errorCode, COUNT(*) AS n FROM {store.rpartition('/')[2]} WHERE eventTime > '?' AND eventTime < '?' GROUP BY 1"
    widget = {"ViewProperties": view, "QueryStatement": statement, "QueryParameters": ["$StartTime$", "$EndTime$"]}
    made = aws("cloudtrail", "create-dashboard", "--name", "cli", "--widgets", json.dumps([widget]))
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "cloudtrail:StartQuery",
        "Condition": {"StringEquals": {"AWS:SourceArn": made["DashboardArn"], "AWS:SourceAccount": ACCOUNT}},
    }]}  # fmt: skip
    aws("cloudtrail", "put-resource-policy", "--resource-arn", store, "--resource-policy", json.dumps(policy))
    values = json.dumps({"$StartTime$": "2024-11-05T10:45:24.00Z"})
    refresh = aws("cloudtrail", "start-dashboard-refresh", "--dashboard-id", "cli", "--query-parameter-values", values)["RefreshId"]
    alias = aws("cloudtrail", "get-dashboard", "--dashboard-id", "cli")["Widgets"][0]["QueryAlias"]
    described = aws("cloudtrail", "describe-query", "--query-alias", alias, "--refresh-id", refresh)
    assert "eventTime > '2024-11-05T10:45:24.00Z'" in described["QueryString"]
    listed = aws("cloudtrail", "list-dashboards", "--type", "CUSTOM")["Dashboards"]
    assert listed == [{"DashboardArn": f"arn:aws:cloudtrail:{region}:{ACCOUNT}:dashboard/cli", "Type": "CUSTOM"}]
    schedule = json.dumps({"Frequency": {"Unit": "HOURS", "Value": 12}, "TimeOfDay": "15:30", "Status": "ENABLED"})
    updated = aws("cloudtrail", "update-dashboard", "--dashboard-id", "cli", "--refresh-schedule", schedule)
    assert updated["RefreshSchedule"] == json.loads(schedule)
    aws("cloudtrail", "delete-dashboard", "--dashboard-id", "cli")
    refused = aws("cloudtrail", "get-dashboard", "--dashboard-id", "cli", code=255, text=True)
    assert "(ResourceNotFoundException)" in refused
    aws("cloudtrail", "delete-event-data-store", "--event-data-store", store)
