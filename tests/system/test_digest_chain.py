"""A long chain of digests over restarts, kills and pauses of logging: `validate-logs` and `opentrail verify` find it whole,
and name every file that is altered, deleted or replaced afterwards."""

import datetime
import gzip
import json
import re
import shutil
import uuid

import pytest
from commands import aws, opentrail, opentrail_offline
from opentrail_server import ACCOUNT, REGION, Server, record, wait_until

BUCKET = "trail-logs"
CONFIG = """
[delivery]
max_age = "200ms"
[digest]
interval = "1s"
"""
INTERVALS = 48
LOGS, DIGESTS = f"AWSLogs/{ACCOUNT}/CloudTrail/", f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/"


class Chain:
    """A server with a trail, and what has been put into it."""

    def __init__(self, directory):
        self.server = Server(directory, CONFIG, ["--log", "warn"]).start()
        self.began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
        self.arn = self.server.make_trail(EnableLogFileValidation=True)
        self.put = []

    def keys(self, prefix):
        pages = self.server.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def put_records(self):
        ids = [str(uuid.uuid4()) for _ in range(3)]
        report = self.server.put_records(b"\n".join(json.dumps(record(i)).encode() for i in ids))
        assert report["Accepted"] == 3, report
        self.put += ids

    def write_until_digests(self, number):
        """Puts records until the bucket holds that many digests."""

        def enough():
            self.put_records()
            return len(self.keys(DIGESTS)) >= number

        wait_until(enough, f"digest {number}", seconds=120, pause=0.2)

    def body(self, key):
        return self.server.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def validate(self, code):
        """The lines of `aws cloudtrail validate-logs` about files that it holds to be valid, and to be invalid."""
        output = aws(self.server, "cloudtrail", "validate-logs", "--trail-arn", self.arn, "--start-time",
                     self.began.isoformat(), "--verbose", code=code, errors_too=True)  # fmt: skip
        files = re.findall(r"^(?:Log|Digest) file\ts3://[^/]+/(\S+)\t(valid|INVALID.*)", output, re.MULTILINE)
        return {key for key, verdict in files if verdict == "valid"}, {key for key, verdict in files if verdict != "valid"}

    def delivered_ids(self):
        files = [json.loads(gzip.decompress(self.body(key))) for key in self.keys(LOGS)]
        return [r["eventID"] for file in files for r in file["Records"] if r["eventName"] == "Probe"]


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A closed chain of at least 48 digests, made across stops, kills and a pause of logging."""
    chain = Chain(tmp_path_factory.mktemp("chain"))
    server, trails = chain.server, lambda: chain.server.client("cloudtrail")
    for digests, interrupt in [(8, server.stop), (16, server.kill), (24, server.kill), (32, server.stop)]:
        chain.write_until_digests(digests)
        interrupt()
        server.start()
    chain.write_until_digests(38)
    trails().stop_logging(Name="main")
    wait_until(lambda: chain_is_closed(chain), "the last digest before the pause")
    trails().start_logging(Name="main")
    chain.write_until_digests(44)
    server.kill()
    server.start()
    chain.write_until_digests(INTERVALS)
    trails().stop_logging(Name="main")
    wait_until(lambda: chain_is_closed(chain), "the last digest")
    yield chain
    if server.process is not None:
        assert server.stop() == 0


def chain_is_closed(chain):
    """Whether every delivered log file is in a digest, and everything that was put is in a log file."""
    listed = {file["s3Object"] for key in chain.keys(DIGESTS) for file in json.loads(gzip.decompress(chain.body(key)))["logFiles"]}
    return listed == set(chain.keys(LOGS)) and set(chain.put) <= set(chain.delivered_ids())


def test_a_chain_over_restarts_kills_and_a_pause_is_valid(chain):
    digests, logs = set(chain.keys(DIGESTS)), set(chain.keys(LOGS))
    assert len(digests) >= INTERVALS
    valid, invalid = chain.validate(code=0)
    assert invalid == set()
    assert valid == digests | logs

    documents = sorted((json.loads(gzip.decompress(chain.body(key))) for key in digests), key=lambda d: d["digestEndTime"])
    starts = [d for d in documents if d["previousDigestS3Object"] is None]
    assert len(starts) == 2, "one for each StartLogging, none for a restart"
    for before, after in zip(documents, documents[1:]):
        if after not in starts:
            assert after["previousDigestS3Object"] == before["digestS3Object"]
            assert after["digestStartTime"] == before["digestEndTime"], "no gap and no overlap"
    listed = [file["s3Object"] for d in documents for file in d["logFiles"]]
    assert len(listed) == len(set(listed)), "a log file in two digests"

    report = json.loads(opentrail(chain.server, "verify", f"s3://{BUCKET}", "--output", "json"))
    [verdict] = report["chains"]
    assert (verdict["valid_digests"], verdict["digests"]) == (len(digests), len(digests))
    assert (verdict["valid_log_files"], verdict["log_files"]) == (len(logs), len(logs))
    assert verdict["starting_digests"] == 2


def test_what_was_put_while_the_trail_logged_is_delivered_exactly_once(chain):
    delivered = chain.delivered_ids()
    assert len(delivered) == len(set(delivered)), "something is there twice"
    assert set(delivered) == set(chain.put)


def test_every_file_altered_deleted_or_replaced_is_named(chain):
    s3, server = chain.server.client("s3"), chain.server
    documents = sorted((json.loads(gzip.decompress(chain.body(key))) for key in chain.keys(DIGESTS)),
                       key=lambda d: d["digestEndTime"])  # fmt: skip
    with_files = [d for d in documents if d["logFiles"]]
    altered, deleted, replaced, other = (with_files[i]["logFiles"][0]["s3Object"] for i in (5, 12, 20, 21))
    digest = documents[30]["digestS3Object"]

    body = chain.body(altered)
    s3.put_object(Bucket=BUCKET, Key=altered, Body=gzip.compress(gzip.decompress(body).replace(b"Probe", b"Prove", 1)))
    s3.delete_object(Bucket=BUCKET, Key=deleted)
    s3.put_object(Bucket=BUCKET, Key=replaced, Body=chain.body(other))
    stored = s3.get_object(Bucket=BUCKET, Key=digest)
    document = json.loads(gzip.decompress(stored["Body"].read()))
    document["logFiles"] = document["logFiles"][1:]
    s3.put_object(Bucket=BUCKET, Key=digest, Body=gzip.compress(json.dumps(document).encode()), Metadata=stored["Metadata"])
    unlisted = {file["s3Object"] for file in documents[30]["logFiles"]}

    damaged = {altered, deleted, replaced, digest}
    _, invalid = chain.validate(code=1)
    assert invalid == damaged

    # Verify looks at the log files, too, that only an invalid digest speaks for.
    report = json.loads(opentrail(server, "verify", f"s3://{BUCKET}", "--output", "json", code=1))
    problems = {finding["name"]: finding["problem"] for finding in report["findings"]}
    assert set(problems) - unlisted == damaged
    assert problems[altered] == problems[replaced] == "hash-mismatch"
    assert problems[deleted] == "not-found"
    assert problems[digest] == "signature-failed"

    keys = server.directory / "keys.json"
    window = ("--start-time", chain.began.isoformat(), "--end-time", datetime.datetime.now(datetime.UTC).isoformat())
    keys.write_text(aws(server, "cloudtrail", "list-public-keys", *window))
    copy = server.directory / "copy"
    assert server.stop() == 0
    shutil.copytree(server.data / "objects" / BUCKET, copy)
    offline = json.loads(opentrail_offline("verify", copy, "--public-keys", keys, "--output", "json", code=1))
    told = {finding["name"]: finding["problem"] for finding in offline["findings"]}
    # Plain files carry no metadata: the signature of a digest is in the one after it, which the last before a pause and
    # the very last do not have. That is a remark, not damage.
    unknown = {name for name, problem in told.items() if problem == "signature-unknown"}
    assert {name: problem for name, problem in told.items() if name not in unknown} == problems
    assert len(unknown) == 2 and not unknown & damaged
