"""Subjects of a real NATS server as targets of rules: what a JetStream stream stores, and what a subscriber hears."""

import asyncio
import contextlib
import json
import pathlib
import queue
import subprocess
import sys
import threading
import urllib.request

import nats
import pytest
from opentrail_server import Server, free_port, wait_until

BIN = pathlib.Path(sys.executable).parent
# The pair of the NATS documentation, "NKeys".
SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
PUBLIC = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
NATS_CONFIG = """
port: {port}
host: 127.0.0.1
max_payload: 100000
jetstream {{ store_dir: "{store}" }}
authorization {{ users: [
  {{ nkey: {public}, permissions: {{ publish: ["audit.>", "heard.>", "nowhere"], subscribe: "_INBOX.>" }} }}
  {{ user: test, password: test }}
] }}
"""
CONFIG = """
[nats]
url = "nats://127.0.0.1:{port}"
credentials = "{credentials}"
confirmation = "{confirmation}"
subjects = ["audit.>", "heard.>", "nowhere", "forbidden"]
timeout = "2s"
"""


class Nats:
    """A nats-server, and what was asked of it from here."""

    def __init__(self, directory):
        self.directory, self.port = directory, free_port()
        self.config = directory / "nats.conf"
        self.config.write_text(NATS_CONFIG.format(port=self.port, store=directory / "store", public=PUBLIC))
        self.process = None
        self.start()

    def start(self):
        with open(self.directory / "nats.log", "ab") as log:
            self.process = subprocess.Popen([BIN / "nats-server", "-c", self.config], stdout=log, stderr=log)
        wait_until(self.is_up, "NATS's start")

    def is_up(self):
        assert self.process.poll() is None, (self.directory / "nats.log").read_text()
        with contextlib.suppress(Exception):
            self.run(lambda client: client.flush())
            return True

    def stop(self):
        self.process.kill()
        self.process.wait()

    def run(self, work):
        """What `work` gives with a client of `test`."""

        async def go():
            client = await nats.connect(
                f"nats://127.0.0.1:{self.port}", user="test", password="test", allow_reconnect=False, connect_timeout=5
            )
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(go())

    def make_stream(self, name, subject):
        self.run(lambda client: client.jetstream().add_stream(name=name, subjects=[subject]))

    def stored(self, stream):
        """The messages of a stream: subject, headers, JSON."""

        async def read(client):
            stream_of = client.jetstream()
            last = (await stream_of.stream_info(stream)).state.last_seq
            found = [await stream_of.get_msg(stream, number) for number in range(1, last + 1)]
            return [(message.subject, message.headers, json.loads(message.data)) for message in found]

        return self.run(read)


@pytest.fixture
def nats_server(tmp_path):
    server = Nats(tmp_path)
    yield server
    server.stop()


def opentrail(nats_server, tmp_path, confirmation="stored"):
    credentials = tmp_path / "seed"
    credentials.write_text(SEED + "\n")
    config = CONFIG.format(port=nats_server.port, credentials=credentials, confirmation=confirmation)
    return Server(tmp_path / "server", config, ["--log", "warn"])


def rule(events, subject, **target):
    events.put_rule(Name=subject.replace(".", "-"), EventPattern=json.dumps({"source": ["shop"]}))
    arn = f"arn:aws:nats:::{subject}"
    events.put_targets(Rule=subject.replace(".", "-"), Targets=[{"Id": "t", "Arn": arn} | target])


def put(events, detail):
    answer = events.put_events(Entries=[{"Source": "shop", "DetailType": "order", "Detail": json.dumps(detail)}])
    return answer["Entries"][0]["EventId"]


def test_events_are_stored_by_a_stream_over_outages_of_both(nats_server, tmp_path):
    nats_server.make_stream("AUDIT", "audit.>")
    with opentrail(nats_server, tmp_path) as server:
        events = server.client("events")
        rule(events, "audit.orders")
        rule(events, "audit.numbers", InputPath="$.detail.n")
        wanted = [put(events, {"n": 0})]
        wait_until(lambda: len(nats_server.stored("AUDIT")) == 2, "the first event in the stream")
        by_subject = {subject: (headers, body) for subject, headers, body in nats_server.stored("AUDIT")}
        headers, body = by_subject["audit.orders"]
        assert (body["id"], body["detail"]) == (wanted[0], {"n": 0})
        assert by_subject["audit.numbers"][1] == 0
        assert len(headers["Nats-Msg-Id"]) == 64

        nats_server.stop()
        wanted += [put(events, {"n": n}) for n in range(1, 4)]
        server.kill()
        server.start()
        nats_server.start()
        wait_until(lambda: len(nats_server.stored("AUDIT")) >= 8, "every event in the stream")
        found = [body["id"] for subject, _, body in nats_server.stored("AUDIT") if subject == "audit.orders"]
        assert sorted(found) == sorted(wanted)
        assert server.stop() == 0


def test_a_subject_without_a_stream_waits_for_one(nats_server, tmp_path):
    with opentrail(nats_server, tmp_path) as server:
        events = server.client("events")
        rule(events, "audit.later")
        event_id = put(events, {})
        wait_until(lambda: retried(server), "a try that fails")
        nats_server.make_stream("AUDIT", "audit.>")
        found = wait_until(lambda: nats_server.stored("AUDIT"), "the event in the stream")
        assert [body["id"] for _, _, body in found] == [event_id]


def retried(server):
    """How often a target was tried again, by the server's own metrics."""
    text = urllib.request.urlopen(f"{server.endpoint}/metrics", timeout=10).read().decode()
    lines = [line for line in text.splitlines() if line.startswith("opentrail_events_retried_total")]
    return float(lines[0].split()[-1]) if lines else 0


def test_who_listens_hears_what_the_server_has_taken(nats_server, tmp_path):
    heard, ready, done = queue.Queue(), threading.Event(), threading.Event()

    async def listen(client):
        async def hear(message):
            heard.put(json.loads(message.data))

        await client.subscribe("heard.*", cb=hear)
        await client.flush()
        ready.set()
        while not done.is_set():
            await asyncio.sleep(0.05)

    listener = threading.Thread(target=nats_server.run, args=[listen])
    listener.start()
    try:
        assert ready.wait(60)
        with opentrail(nats_server, tmp_path, "taken") as server:
            events = server.client("events")
            rule(events, "heard.orders")
            event_id = put(events, {"n": 1})
            assert heard.get(timeout=60)["id"] == event_id
    finally:
        done.set()
        listener.join()


def test_subjects_are_checked_and_permissions_are_the_servers(nats_server, tmp_path):
    with opentrail(nats_server, tmp_path) as server:
        events = server.client("events")
        events.put_rule(Name="r", EventPattern=json.dumps({"source": ["shop"]}))
        for bad in ["audit.*", "$JS.API.STREAM.DELETE.AUDIT", "_INBOX.a", "elsewhere", "audit..x"]:
            with pytest.raises(events.exceptions.ClientError, match="ValidationException"):
                events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": f"arn:aws:nats:::{bad}"}])
        with pytest.raises(events.exceptions.ClientError, match="ValidationException"):
            events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": "arn:aws:nats:us-east-1:100000000001:audit.x"}])
        # The configuration allows it, the NATS server does not: it waits, and is tried again.
        rule(events, "forbidden")
        put(events, {})
        wait_until(lambda: retried(server), "a refused try")


def test_wrong_credentials_are_reported_at_the_start(nats_server, tmp_path):
    server = opentrail(nats_server, tmp_path)
    (tmp_path / "seed").write_text(SEED[:-1] + "A")
    server.start(wait=False)
    assert server.process.wait(60) != 0
    assert "nats.credentials" in server.log_tail()
    assert SEED[:-1] not in server.log.read_text()
