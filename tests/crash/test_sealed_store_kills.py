"""An event data store with a KMS key, killed between the steps of its flushes, merges and changes, and while its key is off:
every acknowledged event is there once, read with the key, and nothing of it lies in the table as it came."""

import collections
import json
import pathlib
import signal
import sys
import time
import uuid

import pytest
from botocore.exceptions import BotoCoreError, ClientError

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(TESTS / "system")]
from commands import opentrail_offline  # noqa: E402
from opentrail_server import ACCOUNT, Server, record, wait_until  # noqa: E402
from results import run  # noqa: E402

CONFIG = """
[stores]
flush_age = "100ms"
maintenance_interval = "200ms"
vacuum_age = "1s"
data_key_age = "0s"
[journal]
hold_back = "1s"
"""
POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"},
    {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
     "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*"}]}  # fmt: skip
DOWN = (BotoCoreError, ClientError, OSError)


class World:
    def __init__(self, directory):
        self.server = Server(directory, CONFIG, ["--log", "warn"]).start()
        self.kms, self.lake = self.server.client("kms"), self.server.client("cloudtrail")
        self.key = self.kms.create_key(Policy=json.dumps(POLICY))["KeyMetadata"]["Arn"]
        created = self.lake.create_event_data_store(Name="sealed", KmsKeyId=self.key)
        self.arn = created["EventDataStoreArn"]
        self.store = self.arn.rpartition("/")[2]
        self.acknowledged, self.days = [], 30

    def put(self):
        ids = [f"secret-{uuid.uuid4()}" for _ in range(5)]
        report = self.server.put_records(b"\n".join(json.dumps(record(i, "Sealed")).encode() for i in ids), timeout=10)
        assert report["Accepted"] == len(ids)
        self.acknowledged += ids

    def change(self):
        self.days += 1
        self.lake.update_event_data_store(EventDataStore=self.arn, RetentionPeriod=self.days)

    def die_at(self, step, provoke):
        self.server.stop()
        self.server.environment = {"OPENTRAIL_CRASH_AT": step}
        self.server.start(wait=False)
        end = time.monotonic() + 60
        while self.server.process.poll() is None and time.monotonic() < end:
            try:
                if self.server.is_ready():
                    self.put()
                    provoke(self)
            except DOWN:
                pass  # it died meanwhile, or is about to
            time.sleep(0.02)
        assert self.server.process.poll() == -signal.SIGKILL, f"the server did not come to {step}: {self.server.log_tail()}"
        opentrail_offline("fsck", "--data-dir", self.server.data)
        self.server.environment = {}
        self.server.start()

    def prove(self):
        def found():
            rows = run(self.lake, f"SELECT eventID FROM {self.store} WHERE eventName = 'Sealed'")
            return collections.Counter(row["eventID"] for row in rows)

        def all_there():
            self.rows = found()
            return set(self.acknowledged) <= set(self.rows)

        wait_until(all_there, "every acknowledged event in the store")
        # What was not acknowledged may be there all the same: once.
        assert max(self.rows.values()) == 1
        tables = self.server.data / "tables/stores" / self.store
        for path in tables.rglob("*"):
            try:
                assert not path.is_file() or b"secret-" not in path.read_bytes(), path
            except FileNotFoundError:
                pass  # it was merged and vacuumed meanwhile


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("sealed"))
    yield world
    if world.server.process is not None:
        world.server.kill()


STEPS = [
    *[(step, lambda _: None) for step in
      ["tables.written:2", "tables.committed:2", "tables.merged", "tables.replaced", "lake.staged:3", "lake.committed:3"]],
    *[(step, World.change) for step in ["tables.obey", "tables.obeyed"]],
]  # fmt: skip


@pytest.mark.parametrize(("step", "provoke"), STEPS, ids=[step for step, _ in STEPS])
def test_a_kill_loses_nothing_of_a_sealed_store(world, step, provoke):
    world.die_at(step, provoke)
    world.put()
    world.prove()


def test_a_kill_while_the_key_is_off_loses_nothing(world):
    world.put()
    world.kms.disable_key(KeyId=world.key)
    world.put()
    world.server.kill()
    world.server.start()
    world.put()
    world.server.kill()
    opentrail_offline("fsck", "--data-dir", world.server.data)
    world.server.start()
    world.kms.enable_key(KeyId=world.key)
    world.put()
    world.prove()
