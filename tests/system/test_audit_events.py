"""Applications that audit themselves: their events reach the stores of their channel, at once and over kills."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import uuid

import pytest
import stored
from commands import opentrail_offline
from opentrail_server import ACCOUNT, REGION, Server, wait_until

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
CACHE = pathlib.Path.home() / ".cache/opentrail"
CONFIG = """
[stores]
flush_age = "200ms"
[delivery]
max_age = "500ms"
"""
AUDITS = {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["ActivityAuditLog"]}]}
CALLS = {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]},
                            {"Field": "resources.type", "Equals": ["AWS::CloudTrail::Channel"]}]}  # fmt: skip


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path, CONFIG) as server:
        yield server
        if server.process is not None:
            assert server.stop() == 0
        opentrail_offline("fsck", "--data-dir", server.data)


def create(server, name, selector):
    settings = {"TerminationProtectionEnabled": False, "MultiRegionEnabled": False, "AdvancedEventSelectors": [selector]}
    return server.client("cloudtrail").create_event_data_store(Name=name, **settings)["EventDataStoreArn"]


def channel_into(server, *stores, source="Custom"):
    destinations = [{"Type": "EVENT_DATA_STORE", "Location": store} for store in stores]
    return server.client("cloudtrail").create_channel(Name=f"from-{source}", Source=source, Destinations=destinations)["ChannelArn"]


def event(number: int) -> str:
    # Text that any re-writing would change.
    return (
        f'{{ "version":"1.0",  "UID":"{number}", "userIdentity":{{"type":"App","principalId":"\\u0061lice"}},\n'
        f' "eventTime":"2026-01-02T03:04:05Z","eventName":"Login","eventSource":"app.example.com",'
        f' "recipientAccountId":"{ACCOUNT}", "additionalEventData":{{"n":1.50}} }}'
    )


def put(server, channel, *events):
    entries = [{"id": str(uuid.uuid4()), "eventData": text} for text in events]
    answer = server.client("cloudtrail-data").put_audit_events(channelArn=channel, auditEvents=entries)
    assert answer["failed"] == []
    return [one["eventID"] for one in answer["successful"]]


def wait_for(server, store, ids):
    wait_until(lambda: len(stored.ids(server, store)) >= len(ids), f"{len(ids)} events in {store}")
    assert stored.ids(server, store) == ids


def test_events_go_to_the_stores_of_their_channel_and_nowhere_else(server):
    one, two = create(server, "one", AUDITS), create(server, "two", AUDITS)
    calls = create(server, "calls", CALLS)
    both, github = channel_into(server, one, two), channel_into(server, two, source="GitHub")
    first = put(server, both, event(1), event(2))
    second = put(server, github, event(3))
    wait_for(server, one, first)
    wait_for(server, two, first + second)
    record = stored.raw(server, one)[0]
    assert event(1).encode() in record, "byte for byte"
    parsed = json.loads(record)
    assert (parsed["eventCategory"], parsed["eventType"], parsed["eventID"]) == ("ActivityAuditLog", "ActivityLog", first[0])
    assert (parsed["eventTime"], parsed["recipientAccountId"]) == ("2026-01-02T03:04:05Z", ACCOUNT)
    assert parsed["metadata"]["channelARN"] == both

    server.client("cloudtrail").update_channel(Channel=both, Destinations=[{"Type": "EVENT_DATA_STORE", "Location": two}])
    third = put(server, both, event(4))
    wait_for(server, two, first + second + third)
    # The calls themselves are data events of the channels.
    wait_until(lambda: len(stored.events(server, calls)) >= 3, "the calls")
    recorded = stored.events(server, calls)
    assert [call["eventName"] for call in recorded] == ["PutAuditEvents"] * 3
    assert [call["resources"][0]["ARN"] for call in recorded] == [both, github, both]
    assert {call["resources"][0]["type"] for call in recorded} == {"AWS::CloudTrail::Channel"}
    assert stored.ids(server, one) == first, "no more once the channel led elsewhere"


def test_what_was_answered_is_there_after_a_kill(server):
    store = create(server, "audits", AUDITS)
    channel, ids = channel_into(server, store), []
    for round_ in range(3):
        ids += put(server, channel, *[event(round_ * 100 + number) for number in range(100)])
        server.kill()
        server.start()
    wait_for(server, store, ids)
    status = server.client("cloudtrail").get_channel(Channel=channel)["IngestionStatus"]
    assert status["LatestIngestionSuccessEventID"] == ids[-1]


def python_example():
    return [sys.executable, EXAMPLES / "python/audit.py"]


def typescript_example():
    """Its packages are installed beside the caches, once for each lock file."""
    source = EXAMPLES / "typescript"
    lock = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:12]
    installed = CACHE / f"npm-{lock}"
    if not (installed / "installed").exists():
        shutil.copytree(source, installed, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=installed, check=True, timeout=300)
        (installed / "installed").touch()
    shutil.copy(source / "audit.ts", installed)
    return [installed / "node_modules/.bin/tsx", installed / "audit.ts"]


def rust_example():
    build = ["cargo", "build", "--quiet", "--locked", "--manifest-path", EXAMPLES / "rust/Cargo.toml"]
    target = CACHE / "examples-target"
    subprocess.run(build, env=os.environ | {"CARGO_TARGET_DIR": str(target)}, check=True, timeout=900)
    return [target / "debug/audit-example"]


@pytest.mark.parametrize("example", [python_example, typescript_example, rust_example])
def test_an_example_audits_itself(server, example):
    command = example()
    store = create(server, "audits", AUDITS)
    key, secret = server.key()
    environment = server.cli_environment() | {
        "CHANNEL_ARN": channel_into(server, store), "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: stored.ids(server, store), "the event")
    (record,) = stored.events(server, store)
    assert done.stdout.strip() == record["eventID"]
    assert record["eventData"]["eventName"] == "DocumentDeleted"
