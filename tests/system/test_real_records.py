"""Genuine CloudTrail records, put in every framing and encoding, come back byte for byte: from delivered log files, and from
Event history."""

import gzip
import json
import os
import pathlib

import delivered
import pytest
from opentrail_server import Server, wait_until

DATA = pathlib.Path(os.environ.get("OPENTRAIL_SHARED_DATA", pathlib.Path(__file__).parents[3] / "shared" / "data"))
CONFIG = """
[delivery]
max_age = "300ms"
[history]
retention = "36500days"
"""


def zstd(data):
    """A Zstandard frame (RFC 8878) of raw blocks, since Python 3.11 has no zstd of its own."""
    frame = bytes.fromhex("28b52ffd") + b"\xa0" + len(data).to_bytes(4, "little")
    blocks = [data[at : at + (1 << 17)] for at in range(0, len(data), 1 << 17)]
    for number, block in enumerate(blocks, 1):
        frame += (len(block) << 3 | (number == len(blocks))).to_bytes(3, "little") + block
    return frame


FRAMINGS = {
    "lines": lambda records: b"\n".join(records) + b"\n",
    "array": lambda records: b"[" + b", ".join(records) + b"]",
    "document": lambda records: b'{"Records":[' + b",".join(records) + b"]}",
}
ENCODINGS = {None: bytes, "gzip": gzip.compress, "zstd": zstd}


@pytest.fixture(scope="module")
def records():
    """The records of the shared data, as the bytes that they are."""
    files = sorted(DATA.glob("*.ndjson"))
    if not files:
        pytest.skip(f"no real records at {DATA}; OPENTRAIL_SHARED_DATA names their folder")
    return [line for file in files for line in file.read_bytes().splitlines()]


def raw_records(path):
    """The bytes of each record of a log file."""
    text, decoder, found = gzip.decompress(path.read_bytes()).decode(), json.JSONDecoder(), []
    assert text.startswith('{"Records":[') and text.endswith("]}")
    at = len('{"Records":[')
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end].encode())
        at = end + (text[end] == ",")
    return found


def is_management(record):
    return json.loads(record).get("eventCategory", "Management") == "Management"


def is_real(record):
    """None of the test's own calls, which are of today."""
    return json.loads(record)["eventTime"] < "2025"


def looked_up(server, region):
    """Every event of the Region's history, as its raw record."""
    lookup = server.client("cloudtrail", region).get_paginator("lookup_events")
    return [event["CloudTrailEvent"].encode() for page in lookup.paginate() for event in page["Events"]]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_every_record_comes_back_byte_for_byte(tmp_path, records, framing, encoding):
    with Server(tmp_path, CONFIG, ["--log", "warn"]) as server:
        delivered.trail_of_everything(server)
        body = ENCODINGS[encoding](FRAMINGS[framing](records))
        report = server.put_records(body, encoding)
        assert (report["Accepted"], report["Duplicates"], report["RefusedCount"]) == (len(records), 0, 0), report

        def from_files():
            return [r for path in delivered.log_files(server) for r in raw_records(path) if is_real(r)]

        wait_until(lambda: len(from_files()) >= len(records), "delivery of every record", seconds=30)
        again = server.put_records(body, encoding)
        assert (again["Accepted"], again["Duplicates"], again["RefusedCount"]) == (0, len(records), 0), again
        assert sorted(from_files()) == sorted(records)

        management = [r for r in records if is_management(r)]
        regions = sorted({json.loads(r)["awsRegion"] for r in management})
        history = [event for region in regions for event in looked_up(server, region) if is_real(event)]
        assert sorted(history) == sorted(management)
        assert server.stop() == 0
        assert sorted(from_files()) == sorted(records), "what was put twice was delivered twice"
