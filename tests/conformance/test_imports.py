"""Imports of log files into event data stores: started, followed, stopped, tried again, listed; and what each refuses."""

import datetime
import json
import uuid

import pytest

from accounts import OTHER, READER
from errors import refused
from importing import ROLE, key_of, log_file, make_role, rights, run_import, source, trust, wait_for_import
from opentrail_server import ACCOUNT, record
from results import run

BUCKET = "import-logs"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
UNKNOWN = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def logs(client):
    """A bucket with three log files of two days, 25 events; one file that is none; and the role that reads it."""
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for number, (day, count) in enumerate([("2026/01/02", 10), ("2026/01/02", 10), ("2026/01/03", 5)]):
        time = f"{day.replace('/', '-')}T00:0{number}:00Z"
        lines = [json.dumps(record(str(uuid.uuid4()), "Imported", time)).encode() for _ in range(count)]
        s3.put_object(Bucket=BUCKET, Key=key_of(number, day), Body=log_file(lines))
    s3.put_object(Bucket=BUCKET, Key=f"AWSLogs/{ACCOUNT}/Config/us-east-1/2026/1/2/ConfigHistory/x.json.gz", Body=b"other service")
    iam = client("iam")
    make_role(iam, BUCKET, region="*")
    yield BUCKET
    iam.delete_role_policy(RoleName=ROLE, PolicyName="read")
    iam.delete_role(RoleName=ROLE)


@pytest.fixture
def store(cloudtrail):
    arn = cloudtrail.create_event_data_store(Name="imported", MultiRegionEnabled=False, TerminationProtectionEnabled=False)
    arn = arn["EventDataStoreArn"]
    yield arn
    try:
        cloudtrail.delete_event_data_store(EventDataStore=arn)
    except cloudtrail.exceptions.InactiveEventDataStoreException:
        pass


@pytest.mark.operation("StartImport", "GetImport", "ListImports", "ListImportFailures")
def test_an_import_brings_every_event_of_a_bucket_into_a_store(cloudtrail, logs, store):
    started = cloudtrail.start_import(Destinations=[store], ImportSource=source(logs))
    assert started["ImportStatus"] == "INITIALIZING"
    assert started["Destinations"] == [store] and started["ImportSource"] == source(logs)
    assert str(uuid.UUID(started["ImportId"])) == started["ImportId"]
    assert abs(datetime.datetime.now(datetime.UTC) - started["CreatedTimestamp"]) < datetime.timedelta(seconds=60)
    assert "StartEventTime" not in started and "EndEventTime" not in started
    found = wait_for_import(cloudtrail, started["ImportId"])
    assert found["ImportStatus"] == "COMPLETED"
    expected = {"PrefixesFound": 2, "PrefixesCompleted": 2, "FilesCompleted": 3, "EventsCompleted": 25, "FailedEntries": 0}
    assert found["ImportStatistics"] == expected
    assert found["CreatedTimestamp"] == started["CreatedTimestamp"] <= found["UpdatedTimestamp"]
    rows = run(cloudtrail, f"SELECT count(*) AS n, count(DISTINCT eventID) AS ids FROM {store.rpartition('/')[2]} WHERE eventName = 'Imported'")
    assert rows == [{"n": "25", "ids": "25"}]
    [listed] = cloudtrail.list_imports(Destination=store)["Imports"]
    assert listed == {name: found[name] for name in ("ImportId", "ImportStatus", "Destinations", "CreatedTimestamp", "UpdatedTimestamp")}
    assert cloudtrail.list_import_failures(ImportId=found["ImportId"])["Failures"] == []


@pytest.mark.operation("StartImport")
def test_a_store_is_named_by_its_id_and_its_selectors_do_not_matter(cloudtrail, logs, store):
    reads = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}, {"Field": "resources.type", "Equals": ["AWS::S3::Object"]}]}]
    cloudtrail.update_event_data_store(EventDataStore=store, AdvancedEventSelectors=reads)
    cloudtrail.stop_event_data_store_ingestion(EventDataStore=store)
    found = run_import(cloudtrail, store.rpartition("/")[2], source(logs, folder="AWSLogs/"))
    assert (found["ImportStatus"], found["ImportStatistics"]["EventsCompleted"]) == ("COMPLETED", 25)
    assert found["Destinations"] == [store]


@pytest.mark.operation("StartImport")
def test_events_are_taken_by_their_times(cloudtrail, logs, store):
    day = datetime.datetime(2026, 1, 3, tzinfo=datetime.UTC)
    found = run_import(cloudtrail, store, source(logs), StartEventTime=day, EndEventTime=day + datetime.timedelta(hours=1))
    assert (found["StartEventTime"], found["EndEventTime"]) == (day, day + datetime.timedelta(hours=1))
    assert (found["ImportStatistics"]["FilesCompleted"], found["ImportStatistics"]["EventsCompleted"]) == (1, 5)
    with refused("InvalidParameterException"):
        cloudtrail.start_import(Destinations=[store], ImportSource=source(logs), StartEventTime=day,
                                EndEventTime=day - datetime.timedelta(seconds=1))  # fmt: skip


@pytest.mark.operation("StartImport", "ListImportFailures")
def test_what_failed_is_told_and_taken_when_the_import_is_started_again(cloudtrail, client, logs, store, region):
    s3, name = client("s3"), f"mended-{region}"
    s3.create_bucket(Bucket=name)
    role = make_role(client("iam"), name, name, region="*", keys="AWSLogs/*/CloudTrail/us-east-1/2026/01/02/*")
    line = json.dumps(record(str(uuid.uuid4()), "Mended", "2026-01-02T00:00:00Z")).encode()
    plain, forbidden, good = key_of(1), key_of(2, "2026/01/03"), key_of(3)
    s3.put_object(Bucket=name, Key=plain, Body=b'{"Records":[' + line + b"]}")
    for key in (forbidden, good):
        s3.put_object(Bucket=name, Key=key, Body=log_file([line]))
    found = run_import(cloudtrail, store, source(name, role))
    assert (found["ImportStatus"], found["ImportStatistics"]["FailedEntries"]) == ("FAILED", 2)
    listed = cloudtrail.list_import_failures(ImportId=found["ImportId"])["Failures"]
    assert [(failure["Location"], failure["Status"]) for failure in listed] == [(plain, "FAILED"), (forbidden, "FAILED")]
    assert listed[1]["ErrorType"] == "AccessDenied" and "s3:GetObject" in listed[1]["ErrorMessage"]
    assert all(failure["ErrorMessage"] and failure["LastUpdatedTime"] >= found["CreatedTimestamp"] for failure in listed)
    first = cloudtrail.list_import_failures(ImportId=found["ImportId"], MaxResults=1)
    second = cloudtrail.list_import_failures(ImportId=found["ImportId"], MaxResults=1, NextToken=first["NextToken"])
    assert first["Failures"] + second["Failures"] == listed and "NextToken" not in second

    s3.put_object(Bucket=name, Key=plain, Body=log_file([line]))
    client("iam").put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=rights(name))
    again = cloudtrail.start_import(ImportId=found["ImportId"])
    assert (again["ImportId"], again["ImportStatus"], again["Destinations"]) == (found["ImportId"], "INITIALIZING", [store])
    found = wait_for_import(cloudtrail, found["ImportId"])
    assert (found["ImportStatus"], found["ImportStatistics"]["FailedEntries"], found["ImportStatistics"]["EventsCompleted"]) == ("COMPLETED", 0, 3)
    listed = cloudtrail.list_import_failures(ImportId=found["ImportId"])["Failures"]
    assert [failure["Status"] for failure in listed] == ["SUCCEEDED", "SUCCEEDED"]
    with refused("OperationNotPermittedException", "COMPLETED"):
        cloudtrail.start_import(ImportId=found["ImportId"])
    with refused("InvalidNextTokenException"):
        cloudtrail.list_import_failures(ImportId=found["ImportId"], NextToken="abcd")


@pytest.mark.operation("StopImport", "StartImport", "UpdateEventDataStore", "DeleteEventDataStore")
def test_while_an_import_runs_its_store_is_not_changed_and_no_other_starts(cloudtrail, client, logs, store, region):
    s3, name = client("s3"), f"many-{region}"
    s3.create_bucket(Bucket=name)
    role = make_role(client("iam"), name, name, region="*")
    line = json.dumps(record(str(uuid.uuid4()), "Many", "2026-01-02T00:00:00Z")).encode()
    for number in range(5):
        s3.put_object(Bucket=name, Key=key_of(number), Body=log_file([line] * 20_000))
    started = cloudtrail.start_import(Destinations=[store], ImportSource=source(name, role))
    with refused("AccountHasOngoingImportException"):
        cloudtrail.start_import(Destinations=[store], ImportSource=source(logs))
    with refused("AccountHasOngoingImportException"):
        cloudtrail.start_import(ImportId=started["ImportId"])
    with refused("EventDataStoreHasOngoingImportException"):
        cloudtrail.update_event_data_store(EventDataStore=store, Name="renamed")
    with refused("EventDataStoreHasOngoingImportException"):
        cloudtrail.delete_event_data_store(EventDataStore=store)
    assert cloudtrail.get_event_data_store(EventDataStore=store)["Status"] == "ENABLED"
    stopped = cloudtrail.stop_import(ImportId=started["ImportId"])
    assert (stopped["ImportStatus"], stopped["ImportId"], stopped["Destinations"]) == ("STOPPED", started["ImportId"], [store])
    assert stopped["ImportSource"] == source(name, role) and stopped["ImportStatistics"]["FilesCompleted"] < 5
    assert cloudtrail.get_import(ImportId=started["ImportId"])["ImportStatistics"] == stopped["ImportStatistics"]
    cloudtrail.update_event_data_store(EventDataStore=store, Name="renamed")
    with refused("OperationNotPermittedException", "STOPPED"):
        cloudtrail.stop_import(ImportId=started["ImportId"])
    cloudtrail.start_import(ImportId=started["ImportId"])
    found = wait_for_import(cloudtrail, started["ImportId"])
    assert (found["ImportStatus"], found["ImportStatistics"]["EventsCompleted"]) == ("COMPLETED", 100_000)


@pytest.mark.operation("ListImports")
def test_imports_are_listed_in_pages_by_store_and_state(cloudtrail, client, logs, store):
    ids = [run_import(cloudtrail, store, source(logs))["ImportId"] for _ in range(3)][::-1]
    pages = [cloudtrail.list_imports(MaxResults=2, ImportStatus="COMPLETED")]
    pages.append(cloudtrail.list_imports(MaxResults=2, ImportStatus="COMPLETED", NextToken=pages[0]["NextToken"]))
    assert [one["ImportId"] for page in pages for one in page["Imports"]] == ids
    assert cloudtrail.list_imports(ImportStatus="FAILED")["Imports"] == []
    assert cloudtrail.list_imports(Destination=UNKNOWN)["Imports"] == []
    with refused("InvalidNextTokenException"):
        cloudtrail.list_imports(NextToken=pages[0]["NextToken"], Destination=store)
    with refused("EventDataStoreARNInvalidException"):
        cloudtrail.list_imports(Destination="arn:aws:cloudtrail:us-east-1:1:trail/x")
    for number in (0, 1001):
        with refused("InvalidParameterException"):
            cloudtrail.list_imports(MaxResults=number)
    with refused("InvalidParameterException"):
        cloudtrail.list_imports(ImportStatus="RUNNING")
    assert client("cloudtrail", "elsewhere-1").list_imports()["Imports"] == []


@pytest.mark.operation("StartImport")
@pytest.mark.parametrize(
    "change, error",
    [
        ({"Destinations": None}, "InvalidParameterException"),
        ({"ImportSource": None}, "InvalidParameterException"),
        ({"ImportId": UNKNOWN}, "InvalidParameterException"),
        ({"Destinations": ["{store}", "{store}"]}, "EventDataStoreARNInvalidException"),
        ({"Destinations": ["arn:aws:cloudtrail:us-east-1:1:trail/x"]}, "EventDataStoreARNInvalidException"),
        ({"Destinations": [UNKNOWN]}, "EventDataStoreNotFoundException"),
        ({"ImportSource": {"S3": {"S3LocationUri": "s3://import-logs"}}}, "InvalidImportSourceException"),
        ({"ImportSource": source("UPPER")}, "InvalidImportSourceException"),
        ({"ImportSource": source("there-is-none")}, "InvalidImportSourceException"),
        ({"ImportSource": source(BUCKET, region="eu-west-1")}, "InvalidImportSourceException"),
        ({"ImportSource": source(BUCKET, "not-an-arn")}, "InvalidImportSourceException"),
        ({"ImportSource": source(BUCKET, f"arn:aws:iam::{ACCOUNT}:role/there-is-none")}, "InvalidImportSourceException"),
        ({"ImportSource": source(BUCKET, "arn:aws:iam::200000000002:role/theirs")}, "InvalidImportSourceException"),
    ],
    ids=str,
)
def test_what_start_import_does_not_take(cloudtrail, logs, store, change, error):
    request = {"Destinations": [store], "ImportSource": source(logs)} | change
    if "{store}" in (request["Destinations"] or []):
        request["Destinations"] = [store, store]
    with refused(error):
        cloudtrail.start_import(**{name: value for name, value in request.items() if value is not None})
    assert cloudtrail.list_imports()["Imports"] == []


@pytest.mark.operation("StartImport")
def test_the_role_must_trust_cloudtrail_and_may_read_the_bucket(cloudtrail, client, logs, store):
    iam = client("iam")

    def role(name, trust_policy, rights_policy):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy)
        iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=rights_policy)
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    listless = rights(logs).replace("s3:ListBucket", "s3:ListBucketVersions")
    for name, trust_policy, rights_policy in [
        ("trusts-another-service", trust(region="*", service="config.amazonaws.com"), rights(logs)),
        ("trusts-for-another-account", trust(account="200000000002", region="*"), rights(logs)),
        ("reads-another-bucket", trust(region="*"), rights("another")),
        ("does-not-list", trust(region="*"), listless),
        ("knows-no-acl", trust(region="*"), rights(logs).replace("s3:GetBucketAcl", "s3:GetBucketCORS")),
    ]:
        with refused("InvalidImportSourceException"):
            cloudtrail.start_import(Destinations=[store], ImportSource=source(logs, role(name, trust_policy, rights_policy)))
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{logs}"}
    client("s3").put_bucket_policy(Bucket=logs, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    with refused("InvalidImportSourceException", "s3:ListBucket"):
        cloudtrail.start_import(Destinations=[store], ImportSource=source(logs))
    client("s3").delete_bucket_policy(Bucket=logs)


@pytest.mark.operation("StartImport")
def test_only_stores_of_cloudtrail_events_that_are_not_deleted_take_imports(cloudtrail, logs, store):
    audits = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["ActivityAuditLog"]}]}]
    audits = cloudtrail.create_event_data_store(Name="audits", AdvancedEventSelectors=audits, MultiRegionEnabled=False,
                                                TerminationProtectionEnabled=False)  # fmt: skip
    with refused("InvalidEventDataStoreCategoryException"):
        cloudtrail.start_import(Destinations=[audits["EventDataStoreArn"]], ImportSource=source(logs))
    cloudtrail.delete_event_data_store(EventDataStore=audits["EventDataStoreArn"])
    found = run_import(cloudtrail, store, source(logs))
    cloudtrail.delete_event_data_store(EventDataStore=store)
    with refused("InactiveEventDataStoreException"):
        cloudtrail.start_import(Destinations=[store], ImportSource=source(logs))
    with refused("InactiveEventDataStoreException"):
        cloudtrail.start_import(ImportId=found["ImportId"])


@pytest.mark.operation("StartImport", "GetImport", "StopImport", "ListImports", "ListImportFailures")
def test_imports_that_are_not_there_and_callers_who_may_not(cloudtrail, client, logs, store, region):
    for call in (cloudtrail.get_import, cloudtrail.stop_import, cloudtrail.start_import):
        with refused("ImportNotFoundException"):
            call(ImportId=UNKNOWN)
    with refused("InvalidParameterException"):
        cloudtrail.list_import_failures(ImportId=UNKNOWN)
    for call in (cloudtrail.get_import, cloudtrail.stop_import, cloudtrail.list_import_failures, cloudtrail.start_import):
        for bad in ("short", "X" * 36, "-" * 36):
            with refused("InvalidParameterException"):
                call(ImportId=bad)
    found = run_import(cloudtrail, store, source(logs))
    other, reader = client("cloudtrail", region, OTHER), client("cloudtrail", region, READER)
    with refused("ImportNotFoundException"):
        other.get_import(ImportId=found["ImportId"])
    assert other.list_imports()["Imports"] == []
    assert reader.list_imports()["Imports"][0]["ImportId"] == found["ImportId"]
    with refused("AccessDeniedException", "cloudtrail:StartImport"):
        reader.start_import(Destinations=[store], ImportSource=source(logs))
    for call, action in [(reader.get_import, "GetImport"), (reader.stop_import, "StopImport"), (reader.start_import, "StartImport")]:
        with refused("AccessDeniedException", f"cloudtrail:{action}"):
            call(ImportId=found["ImportId"])


@pytest.mark.operation("StartImport")
def test_who_starts_an_import_must_be_allowed_to_pass_its_role(client, cloudtrail, logs, store, region):
    iam, name = client("iam"), f"importer-{region}"
    iam.create_user(UserName=name)
    start = {"Effect": "Allow", "Action": "cloudtrail:*", "Resource": "*"}
    put = lambda *statements: iam.put_user_policy(  # noqa: E731
        UserName=name, PolicyName="import", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))  # fmt: skip
    put(start)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    importer = client("cloudtrail", region, type(READER)(made["AccessKeyId"], made["SecretAccessKey"]))
    pass_role = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": ROLE_ARN}
    to = lambda service: {"Condition": {"StringEquals": {"iam:PassedToService": service}}}  # noqa: E731
    for statements in [(start,), (start, pass_role | to("config.amazonaws.com"))]:
        put(*statements)
        with refused("AccessDeniedException", "iam:PassRole"):
            importer.start_import(Destinations=[store], ImportSource=source(logs))
    put(start, pass_role | to("cloudtrail.amazonaws.com"))
    assert run_import(importer, store, source(logs))["ImportStatus"] == "COMPLETED"
