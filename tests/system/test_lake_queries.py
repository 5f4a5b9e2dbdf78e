"""A question to an event data store from end to end: acknowledged events are found at once, results are delivered and verified,
kills in between change nothing; every sample query runs."""

import json
import pathlib
import time
import tomllib
import uuid

import pytest
from commands import opentrail, opentrail_offline
from opentrail_server import ACCOUNT, REGION, Server, record
from results import RESULTS_POLICY, objects_of, rows_of, run, table, verify, wait_for

CONFIG = """
[queries]
time_limit = "2s"
"""
SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "crates/queries/src/samples/samples.toml"
# Far more work than the time limit allows, most of it without a row.
SLOW = "SELECT count(*) FROM {0} AS a, {0} AS b, {0} AS c, {0} AS d WHERE a.eventID <> b.eventID AND b.eventID <> c.eventID AND c.eventID <> d.eventID"


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path, CONFIG) as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="results")
        s3.put_bucket_policy(Bucket="results", Policy=RESULTS_POLICY.format(bucket="results", account=ACCOUNT, region=REGION))
        yield server
        if server.process is not None:
            assert server.stop() == 0
        opentrail_offline("fsck", "--data-dir", server.data)


@pytest.fixture
def store(server):
    return server.client("cloudtrail").create_event_data_store(Name="asked")["EventDataStoreArn"].rpartition("/")[2]


def put(server, count, name):
    ids = [str(uuid.uuid4()) for _ in range(count)]
    lines = [json.dumps(record(i, name)).encode() for i in ids]
    assert server.put_records(b"\n".join(lines))["Accepted"] == count
    return ids


def test_what_is_acknowledged_is_found_within_a_second_delivered_and_verified(server, store, tmp_path):
    cloudtrail, s3 = server.client("cloudtrail"), server.client("s3")
    ids = put(server, 2500, "Asked")
    acknowledged = time.monotonic()
    statement = f"SELECT eventID FROM {store} WHERE eventName = 'Asked'"
    while len(rows := run(cloudtrail, statement)) < 2500:
        assert time.monotonic() - acknowledged < 1, f"{len(rows)} of 2500"
    assert sorted(row["eventID"] for row in rows) == sorted(ids)

    query = cloudtrail.start_query(QueryStatement=statement, DeliveryS3Uri="s3://results/of/queries")["QueryId"]
    server.kill()
    server.start()
    described = wait_for(cloudtrail, query)
    assert (described["QueryStatus"], described["DeliveryStatus"]) == ("FINISHED", "SUCCESS"), described
    assert sorted(row["eventID"] for row in rows_of(cloudtrail, query)) == sorted(ids)
    files, place = objects_of(s3, "results", query)
    verify(cloudtrail, files)
    assert sorted(row[0] for row in table(files)[2]) == sorted(ids)

    copy = tmp_path / "copy"
    copy.mkdir()
    for name, body in files.items():
        (copy / name).write_bytes(body)
    good = "Successfully validated sign and query result files"
    assert good in opentrail(server, "verify-query-results", "--local-export-path", copy)
    assert good in opentrail(server, "verify-query-results", "--s3-bucket", "results", "--s3-prefix", place)
    keys = tmp_path / "keys.json"
    listed = cloudtrail.list_public_keys()["PublicKeyList"]
    keys.write_text(json.dumps({"PublicKeyList": [key | {"Value": _base64(key["Value"])} for key in listed]}, default=str))
    assert good in opentrail_offline("verify-query-results", "--local-export-path", copy, "--public-keys", keys)

    body = (copy / "result_1.csv.gz").read_bytes()
    (copy / "result_1.csv.gz").write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    told = opentrail(server, "verify-query-results", "--local-export-path", copy, code=1)
    assert "ValidationError: File result_1.csv.gz has inconsistent hash value" in told
    sign = json.loads((copy / "result_sign.json").read_text())
    (copy / "result_1.csv.gz").write_bytes(body)
    (copy / "result_sign.json").write_text(json.dumps(sign | {"hashSignature": "00" * 256}))
    told = opentrail(server, "verify-query-results", "--local-export-path", copy, code=1)
    assert "ValidationError: Invalid signature in sign file" in told
    (copy / "result_sign.json").write_text(json.dumps(sign | {"files": []}))
    told = opentrail(server, "verify-query-results", "--local-export-path", copy, code=1)
    assert "ValidationError: No export file was found in sign file." in told
    told = opentrail(server, "verify-query-results", "--local-export-path", tmp_path / "none", code=3, errors_too=True)
    assert "InformationCollectionError" in told


def _base64(value):
    import base64

    return base64.b64encode(value).decode()


def test_a_query_that_takes_too_long_is_stopped(server, store):
    cloudtrail = server.client("cloudtrail")
    put(server, 400, "Slow")
    query = cloudtrail.start_query(QueryStatement=SLOW.format(store), DeliveryS3Uri="s3://results")["QueryId"]
    described = wait_for(cloudtrail, query)
    assert described["QueryStatus"] == "TIMED_OUT" and "2 seconds" in described["ErrorMessage"], described
    assert described["DeliveryStatus"] == "FAILED", "partial results are not delivered"
    results = cloudtrail.get_query_results(QueryId=query)
    assert (results["QueryStatus"], results["QueryResultRows"]) == ("TIMED_OUT", [])
    assert results["ErrorMessage"] == described["ErrorMessage"]


def test_a_query_that_never_ends_is_given_up_after_three_interruptions(server, store):
    cloudtrail = server.client("cloudtrail")
    put(server, 400, "Slow")
    server.stop()
    server.config.write_text('[queries]\ntime_limit = "1h"')
    server.start()
    query = cloudtrail.start_query(QueryStatement=SLOW.format(store))["QueryId"]
    for _ in range(2):
        server.kill()
        server.start()
        assert cloudtrail.describe_query(QueryId=query)["QueryStatus"] in ("QUEUED", "RUNNING")
    server.kill()
    server.start()
    described = cloudtrail.describe_query(QueryId=query)
    assert described["QueryStatus"] == "FAILED" and "3 restarts" in described["ErrorMessage"]


def test_every_sample_query_runs(server, store):
    cloudtrail = server.client("cloudtrail")
    put(server, 10, "Sampled")
    cloudtrail.describe_trails()
    samples = tomllib.loads(SAMPLES.read_text())["sample"]
    assert len(samples) >= 40
    failures = {}
    for sample in samples:
        try:
            query = cloudtrail.start_query(QueryStatement=sample["sql"].replace("$EDS_ID", store))["QueryId"]
        except cloudtrail.exceptions.InvalidQueryStatementException as error:
            failures[sample["name"]] = str(error)
            continue
        described = wait_for(cloudtrail, query)
        if described["QueryStatus"] != "FINISHED":
            failures[sample["name"]] = described.get("ErrorMessage")
    assert not failures, json.dumps(failures, indent=1)
