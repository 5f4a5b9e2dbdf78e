"""`opentrail tail` and `POST /v1/tail`: events as they become durable."""

import contextlib
import http.client
import json
import re
import signal
import subprocess
import threading
import uuid

import pytest
from an_organization import DELEGATE, MANAGEMENT, MEMBER, STRANGER, Organization, admin_key
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from opentrail_server import Server, binary, record, wait_until


class Tail:
    """`opentrail tail`, watching once it is entered; `lines` are what it has printed."""

    def __init__(self, server, *args, key=None):
        environment = server.cli_environment()
        if key:
            environment |= {"AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}
        command = [binary(), "tail", *args]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)
        self.said, self.lines = [], []
        self.threads = [threading.Thread(target=self.read, args=pair)
                        for pair in ((self.process.stderr, self.said), (self.process.stdout, self.lines))]
        for thread in self.threads:
            thread.start()

    def read(self, stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def __enter__(self):
        wait_until(lambda: self.says("watching"), "the watch")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join()

    def says(self, word):
        return any(word in line for line in self.said)

    def records(self):
        return [json.loads(line) for line in self.lines]

    def ids(self):
        return [record["eventID"] for record in self.records()]

    def end(self):
        code = self.process.wait(30)
        for thread in self.threads:
            thread.join()
        return code


def put(server, *records, key=None):
    body = "\n".join(json.dumps(record) for record in records).encode()
    assert server.put_records(body, key=key)["Accepted"] == len(records)


def probes(count, name="Probe", **more):
    return [record(str(uuid.uuid4()), name, **more) for _ in range(count)]


def refusal(server, *args, key=None):
    environment = server.cli_environment()
    if key:
        environment |= {"AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}
    ran = subprocess.run([binary(), "tail", *args], env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 3 and not ran.stdout, ran
    return ran.stderr


@contextlib.contextmanager
def stream(server, key=None, **given):
    """The answer of `POST /v1/tail`, not read yet."""
    body = json.dumps(given).encode()
    request = AWSRequest("POST", f"{server.endpoint}/v1/tail", data=body, headers={"Content-Type": "application/json"})
    SigV4Auth(Credentials(*(key or server.key())), "cloudtrail", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", "/v1/tail", body, dict(request.headers))
        yield connection.getresponse()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("tail")) as server:
        yield server


def test_a_call_is_a_line_as_soon_as_it_is_durable(server):
    with Tail(server, "--event-name", "CreateTrail", "--event-name", "ConsoleLogin") as tail:
        with pytest.raises(server.client("cloudtrail").exceptions.S3BucketDoesNotExistException):
            server.client("cloudtrail").create_trail(Name="nowhere", S3BucketName="no-such-bucket")
        put(server, *probes(1, "ConsoleLogin", responseElements={"ConsoleLogin": "Failure"}, eventSource="signin.amazonaws.com",
                            userIdentity={"type": "IAMUser", "userName": "al\x1b[2Jice"}))  # fmt: skip
        wait_until(lambda: len(tail.lines) == 2, "both lines")
        first, second = (re.split(" {2,}", line) for line in tail.lines)
        assert first[1:4] == ["root", "cloudtrail:CreateTrail", "127.0.0.1"] and "S3BucketDoesNotExistException" in first
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", first[0])
        assert second[1:3] == ["al\ufffd[2Jice", "signin:ConsoleLogin"] and second[-1] == "Failure"
        assert "\x1b" not in "".join(tail.lines), "no colours where there is no terminal, and nothing that a record smuggles in"


def test_records_come_as_they_came_once_and_in_order(server):
    sent = probes(5000, "Ordered")
    pretty = json.dumps(record("pretty", "Ordered"), indent=2)
    with Tail(server, "--json", "--event-name", "Ordered", "--count", "5001") as tail:
        for at in range(0, 5000, 500):
            put(server, *sent[at : at + 500])
        server.put_records(json.dumps({"Records": "@"}).replace('"@"', f"[{pretty}]").encode())
        assert tail.end() == 0
    assert tail.records() == [*sent, json.loads(pretty)]


def test_each_filter_lets_its_events_through_and_no_others(server):
    events = {
        "plain": record("plain"),
        "denied": record("denied", errorCode="AccessDenied", readOnly=True, awsRegion="eu-west-1"),
        "alice": record("alice", userIdentity={"type": "IAMUser", "userName": "alice", "accessKeyId": "AKIAALICE"}),
        "data": record("data", "GetObject", eventSource="s3.amazonaws.com", eventCategory="Data", managementEvent=False, readOnly=True),
    }  # fmt: skip
    for event in events.values():
        event["additionalEventData"] = {"bytes": len(event["eventID"])}
    cases = [
        (["--filter", '{ $.errorCode = "Access*" }'], ["denied"]),
        (["--filter", "AKIAALICE"], ["alice"]),
        (["--errors"], ["denied"]),
        (["--writes"], ["alice", "plain"]),
        (["--user", "alice"], ["alice"]),
        (["--user", "AKIAALICE", "--user", "nobody"], ["alice"]),
        (["--region", "eu-west-1"], ["denied"]),
        (["--event-source", "s3.amazonaws.com"], ["data"]),
        (["--event-source", "s3.amazonaws.com", "--errors"], []),
        (["--where", "eventCategory = 'Data' OR userIdentity.userName = 'alice'"], ["alice", "data"]),
        (["--where", "element_at(additionalEventData, 'bytes') = '6'"], ["denied"]),
        (["--where", "eventJson LIKE '%AKIAALICE%' -- and nothing else"], ["alice"]),
        (["--where", "readOnly", "--errors"], ["denied"]),
    ]
    last = record("last", errorCode="Access!", readOnly=False, userIdentity={"type": "IAMUser", "userName": "alice",
                  "accessKeyId": "AKIAALICE"}, additionalEventData={"bytes": 6}, eventSource="s3.amazonaws.com",
                  awsRegion="eu-west-1")  # fmt: skip
    with contextlib.ExitStack() as stack:
        tails = [stack.enter_context(Tail(server, "--json", *args)) for args, _ in cases[:-1]]
        put(server, *events.values())
        put(server, last)
        for (args, expected), tail in zip(cases, tails, strict=False):
            wait_until(lambda tail=tail: "last" in tail.ids(), f"{args} {tail.said}")
            known = [event_id for event_id in tail.ids() if event_id in events]
            assert sorted(known) == expected, args


def test_what_is_wrong_is_said_and_ends_it(server):
    assert "FilterPattern" in refusal(server, "--filter", "{ $.a = }")
    assert "column 'nothing' cannot be resolved" in refusal(server, "--where", "nothing = 1")
    assert "Where: " in refusal(server, "--where", "true) OR (true")
    assert "may not watch 999999999999" in refusal(server, "--account", "999999999999")
    assert "administers no organization" in refusal(server, "--organization")
    assert "signature" in refusal(server, key=(server.key()[0], "wrong")).lower()
    with Tail(server, "--where", "1 / (length(eventName) - 6) > 0") as tail:
        put(server, *probes(1, "Zeroes"))
        assert tail.end() == 3 and tail.says("ivide by zero"), tail.said


def test_only_who_may_watches_and_only_as_long(server):
    iam = server.client("iam")
    iam.create_user(UserName="watcher")
    made = iam.create_access_key(UserName="watcher")["AccessKey"]
    key = made["AccessKeyId"], made["SecretAccessKey"]
    assert "opentrail:TailEvents" in refusal(server, key=key)
    statement = {"Effect": "Allow", "Action": "opentrail:TailEvents", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="watcher", PolicyName="watch", PolicyDocument=policy)
    with Tail(server, "--json", "--event-name", "Watched", key=key) as tail:
        put(server, *probes(1, "Watched"))
        wait_until(lambda: len(tail.lines) == 1, "the event")
        iam.delete_user_policy(UserName="watcher", PolicyName="watch")
        assert tail.end() == 3 and tail.says("opentrail:TailEvents"), tail.said
    found = server.client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "TailEvents"}])
    of_watcher = [json.loads(event["CloudTrailEvent"]) for event in found["Events"] if event["Username"] == "watcher"]
    assert [event.get("errorCode") for event in of_watcher] == [None, "AccessDeniedException"], "each call is an event"
    assert of_watcher[0]["requestParameters"]["EventNames"] == ["Watched"] and of_watcher[0]["readOnly"] is True


def test_a_server_that_goes_away_is_waited_for_and_nothing_is_missed_or_doubled(tmp_path):
    with Server(tmp_path) as server, Tail(server, "--json", "--event-name", "Probe") as tail:
        sent = probes(60)
        put(server, *sent[:20])
        wait_until(lambda: len(tail.lines) == 20, "the first")
        server.kill()
        wait_until(lambda: tail.says("lost"), "that it is noticed")
        # What is taken while nobody watches comes, too.
        tail.process.send_signal(signal.SIGSTOP)
        server.start()
        put(server, *sent[20:40])
        tail.process.send_signal(signal.SIGCONT)
        wait_until(lambda: len(tail.lines) == 40, "those of meanwhile")
        assert server.stop() == 0
        server.start()
        put(server, *sent[40:])
        wait_until(lambda: len(tail.lines) == 60, "the last")
        assert tail.ids() == [event["eventID"] for event in sent]


def test_who_does_not_read_holds_up_nobody(server):
    large = [record(str(uuid.uuid4()), "Large", requestParameters={"text": "x" * 20_000}) for _ in range(200)]
    with contextlib.ExitStack() as stack:
        hung = [stack.enter_context(stream(server)) for _ in range(8)]
        tail = stack.enter_context(Tail(server, "--json", "--event-name", "Large", "--count", "2000"))
        for _ in range(10):
            for event in large:
                event["eventID"] = str(uuid.uuid4())
            put(server, *large)
        assert tail.end() == 0
        assert all(answer.status == 200 for answer in hung)
        metrics = http.client.HTTPConnection("127.0.0.1", server.port)
        metrics.request("GET", "/metrics")
        assert metrics.getresponse().status == 200
        resident = re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{server.process.pid}/status").read())
        assert int(resident[1]) < 1_000_000, "kB"


def test_so_many_may_watch_and_one_more_is_told_to_wait(server):
    with contextlib.ExitStack() as stack:
        answers = [stack.enter_context(stream(server)) for _ in range(64)]
        # Those of other tests may not have been missed yet.
        assert {answer.status for answer in answers} <= {200, 400, 429}
        assert [answer.status for answer in answers].count(200) > 50
        refused = stack.enter_context(stream(server))
        assert refused.status in (400, 429) and b"clients watch events already" in refused.read()


def test_an_answer_says_where_it_is(server):
    with stream(server, EventNames=["Placed"]) as answer:
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        first = json.loads(answer.readline())["Position"]
        put(server, *probes(3, "Placed"))
        lines = [json.loads(answer.readline()) for _ in range(3)]
    places = [line["Position"] for line in lines]
    assert first < places[0] < places[1] < places[2]
    with stream(server, EventNames=["Placed"], After=places[0]) as answer:
        answer.readline()
        assert [json.loads(answer.readline()) for _ in range(2)] == lines[1:]
    with stream(server, Colour="red") as answer:
        assert answer.status == 400 and b"Colour" in answer.read()


def test_an_organizations_administrators_watch_its_members(tmp_path):
    organization = Organization(tmp_path)
    with contextlib.ExitStack() as stack:
        server = organization.server
        stack.push(server.__exit__)
        organization.create()
        organization.join(MEMBER)
        organization.join(DELEGATE)
        organization.trust_cloudtrail()
        assert "administers no organization" in refusal(server, "--organization", key=admin_key(DELEGATE))
        assert f"may not watch {STRANGER}" in refusal(server, "--account", STRANGER, key=admin_key(MANAGEMENT))
        organization.delegate(DELEGATE)
        with (
            Tail(server, "--organization", "--event-name", "ListTrails", key=admin_key(MANAGEMENT)) as all_of_them,
            Tail(server, "--account", MEMBER, "--json", "--event-name", "ListTrails", key=admin_key(DELEGATE)) as one,
            Tail(server, "--json", "--event-name", "ListTrails", key=admin_key(MEMBER)) as own,
        ):
            for account in (STRANGER, MANAGEMENT, MEMBER):
                organization.client(account, "cloudtrail").list_trails()
            wait_until(lambda: len(all_of_them.lines) == 2 and one.lines and own.lines, "the calls")
            assert [line.split()[2] for line in all_of_them.lines] == [f"{MANAGEMENT}/root", f"{MEMBER}/root"]
            assert [event["recipientAccountId"] for event in one.records() + own.records()] == [MEMBER, MEMBER]
