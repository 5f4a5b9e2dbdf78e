"""What `opentrail fsck` says of damaged files of Watch: which, and what does not fit. A sound directory it finds sound."""

import json
import pathlib
import shutil
import sqlite3
import sys
import uuid

import pytest
from commands import opentrail_offline

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "crash"))
from listener import Webhook  # noqa: E402
from opentrail_server import Server, record, wait_until  # noqa: E402
from watching import CONFIG, Watch  # noqa: E402


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A data directory with something in every file; a webhook that is gone, so that some of it is on its way still."""
    webhook = Webhook()
    with Server(tmp_path_factory.mktemp("watch"), CONFIG, ["--log", "warn"]) as server:
        server.make_log_bucket(prefix="*")
        watch = Watch(server, webhook)
        watch.put_record()
        watch.prove()
        webhook.close()
        # A target that nobody answers for: its invocation stays in the outbox.
        events = server.client("events")
        connection = events.create_connection(Name="c", AuthorizationType="API_KEY", AuthParameters={
            "ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}})["ConnectionArn"]  # fmt: skip
        destination = events.create_api_destination(Name="d", ConnectionArn=connection, InvocationEndpoint="https://127.0.0.1:1/",
                                                    HttpMethod="POST")["ApiDestinationArn"]  # fmt: skip
        rights = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                             "Principal": {"Service": "events.amazonaws.com"}}]})  # fmt: skip
        role = server.client("iam").create_role(RoleName="invoke", AssumeRolePolicyDocument=rights)["Role"]["Arn"]
        events.put_targets(Rule=watch.name, Targets=[{"Id": "gone", "Arn": destination, "RoleArn": role}])
        watch.publish()
        watch.put_events()
        assert server.stop() == 0
        yield server


@pytest.fixture
def data(stopped, tmp_path):
    return shutil.copytree(stopped.data, tmp_path / "data", ignore=shutil.ignore_patterns("LOCK"))


def fsck(data, code):
    """The findings that are damage, as `path: problem`."""
    report = json.loads(opentrail_offline("fsck", "--data-dir", data, "--output", "json", code=code))
    found = [finding for finding in report["findings"] if finding["is_damage"]]
    assert all(finding["area"] == "watch" for finding in found), found
    [area] = [area for area in report["areas"] if area["area"] == "watch"]
    return area["checked"], [f"{finding['path']}: {finding['problem']}" for finding in found]


def change(data, file, *statements):
    """As something wrote that should not have; one row at least is another."""
    database = sqlite3.connect(data / file)
    for statement in statements:
        assert database.execute(statement).rowcount > 0, f"{statement} changed nothing"
    database.commit()
    database.close()


def test_a_sound_directory_has_no_damage(data):
    checked, damage = fsck(data, 0)
    assert not damage
    for what in ["files", "chunks", "log events", "log groups", "findings", "Sigma rules", "messages", "deliveries", "invocations",
                 "metrics", "alarms", "positions"]:  # fmt: skip
        assert checked[what] > 0, f"no {what} in {checked}: nothing of them was tested"


DAMAGES = {
    "a chunk with a flipped byte": ("logs.sqlite", "UPDATE chunk SET body = CAST(substr(body, 1, 40) || x'00' || substr(body, 42) AS BLOB)",
                                    "does not have its checksum"),
    "a chunk of other times": ("logs.sqlite", "UPDATE chunk SET last = last + 1", "of other times than its row says"),
    "a chunk past the last": ("logs.sqlite", "UPDATE meta SET value = 0 WHERE name = 'sequence'", "has a number past the last one, 0"),
    "a lost log group": ("logs.sqlite", "DELETE FROM log_group", "is of a log group that is not there"),
    "a lost log stream": ("logs.sqlite", "DELETE FROM log_stream", "is of a log stream that is not there"),
    "a torn metric filter": ("logs.sqlite", "UPDATE metric_filter SET body = substr(body, 2)", "cannot be understood"),
    "a trail ahead of the journal": ("logs.sqlite", "UPDATE source SET position = 1000000", "is past the journal's end"),
    "findings ahead of the journal": ("findings.sqlite", "UPDATE state SET value = 1000000 WHERE name = 'position'",
                                      "is past the journal's end"),
    "findings that were never found": ("findings.sqlite", "UPDATE state SET value = 99 WHERE name = 'announced'",
                                       "findings up to 99 were handed on"),
    "a torn finding": ("findings.sqlite", "UPDATE finding SET body = substr(body, 2)", "cannot be understood"),
    "a lost message": ("sns.sqlite", "DELETE FROM message", "is of a message that is not there"),
    "a lost lane": ("sns.sqlite", "DELETE FROM lane", "waits in a lane that is not there"),
    "a lane that miscounts": ("sns.sqlite", "UPDATE lane SET waiting = waiting + 1", "deliveries, and has"),
    "a lane that sleeps": ("sns.sqlite", "UPDATE lane SET due = 9223372036854775807", "is never due"),
    "a lost event": ("events.sqlite", "DELETE FROM event", "is of an event that is not there"),
    "a torn target": ("events.sqlite", "UPDATE invocation SET target = x'7b'", "cannot be understood"),
    "rules ahead of the journal": ("events.sqlite", "UPDATE position SET position = 1000000", "is past the journal's end"),
    "a lost metric": ("metrics.sqlite", "DELETE FROM series", "that is not there"),
    "an alarm of another name": ("metrics.sqlite", "UPDATE alarm SET name = 'other'", "the alarm other cannot be understood"),
    "counts of chunks that never were": ("metrics.sqlite", "UPDATE source SET position = 1000000 WHERE name = 'metric-filters'",
                                         "its position is chunk 500000"),
    "counts of findings that never were": ("metrics.sqlite", "UPDATE source SET position = 77 WHERE name = 'sigma-findings'",
                                           "its position is finding 77"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGES)
def test_what_does_not_fit_is_named(data, what):
    file, statement, problem = DAMAGES[what]
    change(data, file, statement)
    _, damage = fsck(data, 1)
    assert any(finding.startswith(file) and problem in finding for finding in damage), damage


@pytest.mark.parametrize("file", ["logs.sqlite", "findings.sqlite", "sns.sqlite", "events.sqlite", "metrics.sqlite"])
def test_a_damaged_page_and_a_missing_file_are_named(data, file):
    path = data / file
    with open(path, "r+b") as opened:
        # From the second page on; the first says what the file is.
        opened.seek(int.from_bytes(path.read_bytes()[16:18], "big"))
        opened.write(bytes(8))
    assert all(finding.startswith(file) for finding in fsck(data, 1)[1])
    path.unlink()
    _, damage = fsck(data, 1)
    assert len(damage) == 1 and damage[0].startswith(f"{file}: the file is missing"), damage


def test_after_a_kill_the_logs_are_read_and_left_alone(tmp_path):
    with Server(tmp_path, CONFIG, ["--log", "warn"]) as server:
        logs = server.client("logs")
        logs.create_log_group(logGroupName="g")
        server.put_records(json.dumps(record(str(uuid.uuid4()))).encode())
        wait_until(lambda: (server.data / "logs.sqlite-wal").stat().st_size, "something in the log")
        server.kill()
        before = {path.name: path.read_bytes() for path in server.data.glob("*.sqlite*")}
        checked, damage = fsck(server.data, 0)
        assert not damage and checked["log groups"] == 1
        assert {path.name: path.read_bytes() for path in server.data.glob("*.sqlite*")} == before
