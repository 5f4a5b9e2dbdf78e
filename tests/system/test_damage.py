"""What the server makes of a damaged journal, a data directory in use, and a wrong configuration: it goes on where nothing
acknowledged can be lost, and else refuses with words that say what and where."""

import json
import os
import re
import socket
import subprocess
import uuid

import pytest
from opentrail_server import Server, binary, free_port, record, wait_until

WRONG_USE, FAILED = 2, 3


def put(server, number):
    ids = [str(uuid.uuid4()) for _ in range(number)]
    report = server.put_records(b"\n".join(json.dumps(record(i)).encode() for i in ids))
    assert report["Accepted"] == number, report
    return ids


def looked_up(server):
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "Probe"}]
    pages = server.client("cloudtrail").get_paginator("lookup_events").paginate(LookupAttributes=attributes)
    return [event["EventId"] for page in pages for event in page["Events"]]


def segment(server):
    """The journal's only file."""
    [path] = (server.data / "journal").glob("*.log")
    return path


def overwrite(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def refusal(server, code):
    """What a server that must not start says."""
    server.start(wait=False)
    assert server.process.wait(timeout=60) == code, server.log_tail()
    server.process = None
    return server.log.read_text()


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path, "", ["--log", "warn"]) as server:
        yield server


@pytest.mark.parametrize("left", ["half a frame", "bytes that were never a frame"])
def test_a_torn_end_is_cut_off_and_everything_before_it_is_there(server, left):
    kept = put(server, 20)
    wait_until(lambda: set(kept) <= set(looked_up(server)), "the records in Event history")
    server.kill()
    path = segment(server)
    end = len(path.read_bytes().rstrip(b"\0"))
    if left == "half a frame":
        server.start()
        put(server, 5)
        server.kill()
        longer = len(path.read_bytes().rstrip(b"\0"))
        assert longer > end
        overwrite(path, longer - 40, bytes(40))
    else:
        overwrite(path, end + 64, os.urandom(1000))
    server.start()
    assert set(kept) <= set(looked_up(server))
    more = put(server, 5)
    server.kill()
    server.start()
    found = wait_until(lambda: (now := looked_up(server)) and set(more) <= set(now) and now, "the new records")
    assert set(kept) <= set(found) and len(found) == len(set(found))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_flipped_byte_in_the_middle_is_refused_by_file_and_offset(server, end):
    ids = put(server, 20)
    put(server, 20)
    getattr(server, end)()
    path = segment(server)
    at = path.read_bytes().index(ids[10].encode())
    overwrite(path, at, b"\xff")
    said = refusal(server, FAILED)
    assert path.name in said, said
    # The frame in which it is begins a little before.
    offsets = [int(number) for number in re.findall(r"(?:offset|byte) (\d+)", said)]
    assert any(0 <= at - offset < 64_000 for offset in offsets), said
    assert path.read_bytes()[at] == 0xFF, "a refused journal is left as it is"


def test_a_second_server_on_the_same_directory_is_refused_by_name(server):
    second = Server(server.directory / "second", "", ["--log", "warn"])
    second.data = server.data
    said = refusal(second, FAILED)
    assert str(server.data) in said and str(server.process.pid) in said, said
    assert put(server, 1), "the first one goes on"


def test_a_port_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = Server(tmp_path)
        server.port = taken.getsockname()[1]
        assert f"127.0.0.1:{server.port}" in refusal(server, FAILED)


def test_all_problems_of_a_configuration_are_told_at_once(tmp_path):
    server = Server(tmp_path, f"""
nonsense = 1
[delivery]
max_age = "soon"
max_bytes = "5 parsecs"
[history]
retentoin = "90days"
[[gateway]]
listen = "here"
upstream = "ftp://127.0.0.1:{free_port()}"
account = "12"
region = "us-east-1"
[[account]]
id = "100000000001"
[[account.user]]
name = "al ice"
policies = ["no policy"]
""", environment={"OPENTRAIL_DIGEST__INTERVAL": "never"})
    said = refusal(server, WRONG_USE)
    for key in ["nonsense", "delivery.max_age", "delivery.max_bytes", "history.retentoin", "gateway[0].listen",
                "gateway[0].upstream", "gateway[0].account", "account[0].user[0].name", "account[0].user[0].policies[0]",
                "digest.interval"]:  # fmt: skip
        assert key in said, f"{key} is missing in:\n{said}"
    assert not server.data.exists(), "nothing is made before the configuration is right"


@pytest.mark.parametrize("arguments", [["serve", "--listen", "nowhere"], ["serve", "--data-dirr", "x"], ["sevre"], []])
def test_a_wrong_command_line_ends_with_its_own_exit_code(arguments):
    done = subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == WRONG_USE
    assert "Usage" in done.stderr or "--help" in done.stderr
