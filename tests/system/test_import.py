"""`opentrail import`: a layout of log files, from a directory and from a bucket, into Event history; broken off and run again
without work done twice; with an honest summary."""

import gzip
import json
import signal
import subprocess
import time
import uuid

import pytest
from commands import aws, opentrail
from opentrail_server import Server, binary, record, wait_until

FOUND_PROBLEMS, FAILED = 1, 3
AWS_ACCOUNT = "111122223333"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server"), "[history]\nflush_age = \"500ms\"\n", ["--log", "warn"]) as server:
        yield server


def layout(directory, files, records_each, name):
    """Log files as CloudTrail lays them out, of an account that the server does not hold; the ids of their records."""
    ids = []
    for number in range(files):
        day = directory / f"AWSLogs/{AWS_ACCOUNT}/CloudTrail/us-east-1/2026/01/{number % 28 + 1:02}"
        day.mkdir(parents=True, exist_ok=True)
        these = [str(uuid.uuid4()) for _ in range(records_each)]
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60 * number))
        document = {"Records": [record(i, name, when, recipientAccountId=AWS_ACCOUNT) for i in these]}
        file = day / f"{AWS_ACCOUNT}_CloudTrail_us-east-1_202601{number % 28 + 1:02}T0000Z_{number:016}.json.gz"
        file.write_bytes(gzip.compress(json.dumps(document).encode()))
        ids += these
    return ids


def run(server, place, *options, code=0):
    return json.loads(opentrail(server, "import", place, "--output", "json", *options, code=code))


def looked_up(server, name):
    attributes = [{"AttributeKey": "EventName", "AttributeValue": name}]
    pages = server.client("cloudtrail").get_paginator("lookup_events").paginate(LookupAttributes=attributes)
    return sorted(event["EventId"] for page in pages for event in page["Events"])


def test_a_directory_is_imported_once(server, tmp_path):
    ids = layout(tmp_path, files=40, records_each=5, name="FromDirectory")
    first = run(server, tmp_path)
    assert (first["Files"], first["Accepted"], first["Duplicates"], first["RefusedCount"]) == (40, 200, 0, 0)
    wait_until(lambda: looked_up(server, "FromDirectory") == sorted(ids), "every record in Event history")
    again = run(server, tmp_path)
    assert (again["Files"], again["FilesDoneBefore"], again["Accepted"], again["Duplicates"]) == (0, 40, 0, 0)


def test_a_bucket_is_imported_as_a_directory_is(server, tmp_path):
    ids = layout(tmp_path, files=10, records_each=5, name="FromBucket")
    aws(server, "s3", "mb", "s3://archive")
    aws(server, "s3", "sync", "--quiet", tmp_path, "s3://archive/old")
    first = run(server, "s3://archive/old")
    assert (first["Files"], first["Accepted"]) == (10, 50)
    wait_until(lambda: looked_up(server, "FromBucket") == sorted(ids), "every record in Event history")
    assert run(server, "s3://archive/old")["FilesDoneBefore"] == 10
    # The same files from elsewhere: other names, so they are read, but their records are known.
    assert run(server, tmp_path)["Duplicates"] == 50


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_import_that_is_broken_off_goes_on_where_it_was(server, tmp_path, end):
    name, files = f"BrokenOff{end.name}", 400
    ids = layout(tmp_path, files, records_each=5, name=name)
    command = [binary(), "import", str(tmp_path), "--parallel", "1", "--output", "json"]
    process = subprocess.Popen(command, env=server.cli_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lookup = server.client("cloudtrail")
    attributes = [{"AttributeKey": "EventName", "AttributeValue": name}]
    wait_until(lambda: lookup.lookup_events(LookupAttributes=attributes)["Events"], "the first records", pause=0.01)
    process.send_signal(end)
    output, error = process.communicate(timeout=60)
    if end == signal.SIGINT:
        assert json.loads(output)["Stopped"] is True
    rest = run(server, tmp_path)
    assert 0 < rest["FilesDoneBefore"] < files, "the first run must be broken off in the middle"
    assert rest["FilesDoneBefore"] + rest["Files"] == files
    assert rest["Duplicates"] <= 5, "at most the file that was under way is read again"
    wait_until(lambda: looked_up(server, name) == sorted(ids), "every record in Event history, once")


def test_what_is_refused_is_named_with_its_reason_and_the_rest_is_taken(server, tmp_path):
    good = [record(str(uuid.uuid4()), "PartlyGood") for _ in range(3)]
    lines = [json.dumps(good[0]).encode(), b'"no record"', json.dumps(good[1]).encode(), b"[1, 2]"]
    (tmp_path / "mixed.ndjson").write_bytes(b"\n".join(lines))
    (tmp_path / "whole.json").write_text(json.dumps({"Records": [good[2]]}))
    (tmp_path / "broken.json.gz").write_bytes(b"no gzip at all")
    (tmp_path / "README.md").write_text("not a log file")
    summary = run(server, tmp_path, code=FOUND_PROBLEMS)
    assert summary["Accepted"] == 3 and summary["RefusedCount"] == 2
    assert {(r["File"], r["Index"]) for r in summary["Refused"]} == {("mixed.ndjson", 1), ("mixed.ndjson", 3)}
    assert all(r["Reason"] for r in summary["Refused"])
    assert [f["File"] for f in summary["Failed"]] == ["broken.json.gz"] and summary["OtherFiles"] == 1


def test_digests_on_the_way_are_checked(tmp_path):
    """A trail's bucket imported into another server: its digests vouch for it, and for an altered file they do not."""
    config = "[delivery]\nmax_age = \"200ms\"\n[digest]\ninterval = \"1s\"\n"
    with Server(tmp_path / "source", config, ["--log", "warn"]) as source, Server(tmp_path / "target", "", ["--log", "warn"]) as target:
        source.make_trail(EnableLogFileValidation=True)
        source.put_records(json.dumps(record(str(uuid.uuid4()), "Vouched")).encode())
        bucket = source.data / "objects/trail-logs"
        digests = lambda: sorted(bucket.glob("**/CloudTrail-Digest/**/*.json.gz"))  # noqa: E731
        listed = lambda: [f for d in digests() for f in json.loads(gzip.decompress(d.read_bytes()))["logFiles"]]  # noqa: E731
        wait_until(listed, "a digest that lists a log file")
        source.client("cloudtrail").stop_logging(Name="main")
        wait_until(lambda: len(listed()) == len(list(bucket.glob("**/CloudTrail/**/*.json.gz"))), "the last digest")
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        keys = tmp_path / "keys.json"
        keys.write_text(aws(source, "cloudtrail", "list-public-keys", "--start-time", "2026-01-01", "--end-time", end))
        assert source.stop() == 0

        sound = run(target, bucket, "--public-keys", keys)
        assert sound["Digests"]["Checked"] and sound["Digests"]["Findings"] == []
        assert sound["Digests"]["ValidLogFiles"] == sound["Digests"]["LogFiles"] == sound["Files"] > 0
        assert looked_up(target, "Vouched")
        altered = bucket / listed()[0]["s3Object"]
        altered.write_bytes(gzip.compress(gzip.decompress(altered.read_bytes()) + b" "))
        told = run(target, bucket, "--public-keys", keys, code=FOUND_PROBLEMS)
        assert [f for f in told["Digests"]["Findings"] if altered.name in f]


def test_a_server_that_is_not_there_is_said_so(server, tmp_path):
    layout(tmp_path, 1, 1, "Nowhere")
    done = subprocess.run([binary(), "import", str(tmp_path), "--endpoint-url", "http://127.0.0.1:1"], text=True,
                          capture_output=True, env=server.cli_environment(), timeout=60)  # fmt: skip
    assert done.returncode == FAILED and "127.0.0.1:1" in done.stderr, done.stderr
