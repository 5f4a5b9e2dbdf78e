"""Events flow into event data stores by their selectors, are kept as they came, survive kills, and go with time."""

import json
import time
import uuid

import pytest
import stored
from commands import opentrail_offline
from opentrail_server import REGION, Server, record, wait_until

CONFIG = """
[stores]
flush_age = "200ms"
maintenance_interval = "300ms"
vacuum_age = "1s"
pending_deletion = "3s"
[history]
flush_age = "200ms"
[journal]
segment_bytes = "4MiB"
hold_back = "1s"
"""
MANAGEMENT = {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
OBJECTS = {"FieldSelectors": [
    {"Field": "eventCategory", "Equals": ["Data"]},
    {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
    {"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::mine/"]}]}  # fmt: skip


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path, CONFIG) as server:
        yield server
        if server.process is not None:
            assert server.stop() == 0
        opentrail_offline("fsck", "--data-dir", server.data)


def create(server, name, *selectors, **settings):
    settings = {"TerminationProtectionEnabled": False, "MultiRegionEnabled": False} | settings
    answer = server.client("cloudtrail").create_event_data_store(Name=name, AdvancedEventSelectors=list(selectors), **settings)
    return answer["EventDataStoreArn"]


def put(server, *records):
    """Sends records and answers their lines."""
    lines = [json.dumps(one).encode() for one in records]
    assert server.put_records(b"\n".join(lines))["Accepted"] == len(records)
    return lines


def management(**more):
    return record(str(uuid.uuid4()), **more)


def read_object(key="arn:aws:s3:::mine/k", **more):
    return record(str(uuid.uuid4()), "GetObject", eventCategory="Data", managementEvent=False, eventSource="s3.amazonaws.com",
                  readOnly=True, resources=[{"type": "AWS::S3::Object", "ARN": key}], **more)  # fmt: skip


def probes(server, arn):
    """The stored records that the test put, its own calls left out."""
    return [line for line in stored.raw(server, arn) if b'"probe.amazonaws.com"' in line or b'"s3.amazonaws.com"' in line]


def wait_for(server, arn, lines):
    wait_until(lambda: len(probes(server, arn)) >= len(lines), f"{len(lines)} events in {arn}")
    assert probes(server, arn) == lines


def test_each_store_has_what_its_selectors_take_byte_for_byte(server):
    wide = create(server, "wide", MANAGEMENT, MultiRegionEnabled=True)
    home, objects = create(server, "home", MANAGEMENT), create(server, "objects", OBJECTS)
    [one] = put(server, management())
    [two] = put(server, read_object())
    put(server, read_object("arn:aws:s3:::others/k"))
    [three] = put(server, management(awsRegion="eu-west-1"))
    odd = b'{ "eventTime": 7,  "eventID": "%s", "eventSource":"probe.amazonaws.com", "requestParameters": [1, {"a": null}] }' % uuid.uuid4().hex.encode()
    assert server.put_records(odd)["Accepted"] == 1
    wait_for(server, wide, [one, three, odd])
    wait_for(server, home, [one, odd])
    wait_for(server, objects, [two])
    calls = [event["eventName"] for event in stored.events(server, wide) if event["eventSource"] == "cloudtrail.amazonaws.com"]
    assert calls[:3] == ["CreateEventDataStore"] * 3, "a store has the call that made it"
    [row] = stored.rows(server, objects, "eventtime", "eventname", "recipientaccountid", "awsregion", "readonly", "resources")
    assert (row["eventname"], row["awsregion"], row["readonly"]) == ("GetObject", REGION, True)
    assert row["resources"] == [{"accountid": None, "type": "AWS::S3::Object", "arn": "arn:aws:s3:::mine/k", "arnprefix": None}]
    assert row["eventtime"].strftime("%Y-%m-%dT%H:%M:%SZ") == json.loads(two)["eventTime"]


def test_other_engines_read_the_columns_of_lakes_schema(server):
    arn = create(server, "columns", MANAGEMENT)
    issuer = {"type": "Role", "arn": "arn:aws:iam::111122223333:role/R", "userName": "R"}
    attributes = {"creationDate": "2026-01-02T03:04:05Z", "mfaAuthenticated": "false"}
    identity = {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/R/s", "accountId": "111122223333",
                "sessionContext": {"sessionIssuer": issuer, "attributes": attributes}}  # fmt: skip
    parameters = {"bucketName": "b", "flag": True, "none": None, "items": [{"a": 1}], "x-amz-acl": ""}
    tls = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"}
    lines = put(server, management(userIdentity=identity, requestParameters=parameters, tlsDetails=tls, userAgent="agent", apiVersion=7,
                                   sessionCredentialFromConsole="true"))  # fmt: skip
    wait_for(server, arn, lines)
    names = ["useridentity", "requestparameters", "responseelements", "tlsdetails", "useragent", "apiversion", "eventjson",
             "sessioncredentialfromconsole", "userarn", "raw"]  # fmt: skip
    [row] = [row for row in stored.rows(server, arn, *names) if row["raw"] in lines]
    assert row["useridentity"]["sessioncontext"]["sessionissuer"]["username"] == "R"
    created = row["useridentity"]["sessioncontext"]["attributes"]["creationdate"]
    assert created.strftime("%Y-%m-%dT%H:%M:%SZ") == attributes["creationDate"]
    assert row["useridentity"]["inscopeof"] is None and row["userarn"] == row["useridentity"]["arn"] == identity["arn"]
    assert dict(row["requestparameters"]) == {"bucketName": "b", "flag": "true", "items": '[{"a":1}]', "x-amz-acl": ""}
    assert row["tlsdetails"] == {"tlsversion": "TLSv1.3", "ciphersuite": "TLS_AES_128_GCM_SHA256", "clientprovidedhostheader": None}
    assert (row["useragent"], row["apiversion"], row["sessioncredentialfromconsole"]) == ("agent", None, "true"), "7 is no text"
    assert row["eventjson"] is None, "the record is stored once"


def test_a_change_takes_effect_at_its_place(server):
    cloudtrail = server.client("cloudtrail")
    arn = create(server, "changing", MANAGEMENT)
    kept = put(server, management(), management())
    put(server, read_object())
    cloudtrail.update_event_data_store(EventDataStore=arn, AdvancedEventSelectors=[OBJECTS])
    put(server, management())
    kept += put(server, read_object())
    cloudtrail.stop_event_data_store_ingestion(EventDataStore=arn)
    put(server, read_object())
    cloudtrail.start_event_data_store_ingestion(EventDataStore=arn)
    kept += put(server, read_object())
    cloudtrail.delete_event_data_store(EventDataStore=arn)
    put(server, read_object())
    cloudtrail.restore_event_data_store(EventDataStore=arn)
    kept += put(server, read_object())
    wait_for(server, arn, kept)


def test_nothing_is_lost_or_doubled_over_kills_and_stops(server):
    home, objects = create(server, "home", MANAGEMENT), create(server, "objects", OBJECTS)
    kept = {home: [], objects: []}
    for restart in (server.kill, server.kill, server.stop, server.kill):
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            kept[home] += put(server, *[management() for _ in range(20)])
            kept[objects] += put(server, *[read_object() for _ in range(5)])
        restart()
        opentrail_offline("fsck", "--data-dir", server.data)
        server.start()
    for arn, lines in kept.items():
        wait_for(server, arn, lines)
    merged = list(stored.table_of(server, home).glob("event_date=*/merge-*.parquet"))
    assert merged, "small files were merged meanwhile"


def test_lowering_the_retention_lets_old_events_go(server):
    arn = create(server, "short", MANAGEMENT, RetentionPeriod=30)
    ago = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days * 86_400)) for days in (40, 20, 1)]
    lines = put(server, *[management(time_text=when) for when in ago])
    wait_for(server, arn, lines[1:])
    server.client("cloudtrail").update_event_data_store(EventDataStore=arn, RetentionPeriod=7)
    wait_until(lambda: probes(server, arn) == lines[2:], "old events going")
    old = stored.table_of(server, arn) / f"event_date={ago[1][:10]}"
    wait_until(lambda: not old.exists(), "their file going")


def test_a_deleted_store_and_its_events_are_gone_in_the_end(server):
    cloudtrail = server.client("cloudtrail")
    arn, other = create(server, "gone", MANAGEMENT), create(server, "stays", MANAGEMENT)
    lines = put(server, management())
    wait_for(server, arn, lines)
    cloudtrail.delete_event_data_store(EventDataStore=arn)
    assert stored.table_of(server, arn).exists()

    def gone():
        try:
            cloudtrail.get_event_data_store(EventDataStore=arn)
        except cloudtrail.exceptions.EventDataStoreNotFoundException:
            return not stored.table_of(server, arn).exists()

    wait_until(gone, "the end of the store")
    lines += put(server, management())
    wait_for(server, other, lines)
    server.kill()
    server.start()
    assert not stored.table_of(server, arn).exists()
    wait_for(server, other, lines)


def test_an_idle_store_does_not_hold_the_journal(server):
    create(server, "idle", OBJECTS)
    filler = {"padding": "x" * 200_000}
    for _ in range(3):
        put(server, *[management(requestParameters=filler) for _ in range(20)])
    first = server.data / "journal" / f"{1:020}.log"

    def passed():
        put(server, management())  # positions of supervisors are saved with what comes in, every half a minute
        return not first.exists()

    wait_until(passed, "the first segment going", pause=0.5)


def test_events_get_context_and_are_cut_as_configured(server):
    cloudtrail, iam = server.client("cloudtrail"), server.client("iam")
    iam.create_user(UserName="tagged", Tags=[{"Key": "team", "Value": "blue"}, {"Key": "other", "Value": "x"}])
    user = iam.get_user(UserName="tagged")["User"]
    plain, rich = create(server, "plain", MANAGEMENT), create(server, "rich", MANAGEMENT)
    selectors = [{"Type": "RequestContext", "Equals": ["aws:username", "aws:PrincipalOrgID"]}, {"Type": "TagContext", "Equals": ["team"]}]
    cloudtrail.put_event_configuration(EventDataStore=rich, MaxEventSize="Large", ContextKeySelectors=selectors)
    identity = {"type": "IAMUser", "principalId": user["UserId"], "arn": user["Arn"], "userName": "tagged"}
    parameters = {"a": "x" * 300_000}
    lines = put(server, management(userIdentity=identity), management(requestParameters=parameters))
    wait_for(server, plain, lines)
    wait_for(server, rich, lines)

    def shown(arn):
        rows = stored.rows(server, arn, "raw", "eventjson")
        return [row["eventjson"] and json.loads(row["eventjson"]) for row in rows if row["raw"] in lines]

    untouched, cut = shown(plain)
    assert untouched is None
    assert cut["requestParameters"] == {"omitted": True} and cut["eventID"] == json.loads(lines[1])["eventID"]
    enriched, whole = shown(rich)
    context = {"requestContext": {"aws:username": "tagged"}, "tagContext": {"resourceTags": [], "principalTags": {"team": "blue"}}}
    assert enriched == json.loads(lines[0]) | {"eventContext": context}
    assert whole is None, "a large event may be as large as that, and nothing is known of its caller"
