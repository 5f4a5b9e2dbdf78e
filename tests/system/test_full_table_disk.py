"""Tables on a disk of their own that fills up: records are still taken, and come into the tables, once, when there is room."""

import collections
import json
import os
import subprocess
import uuid

import pytest
import stored
from commands import opentrail_offline
from deltalake import DeltaTable
from opentrail_server import Server, record, wait_until
from results import run

SIZE = 6 << 20
CONFIG = """
[stores]
flush_age = "100ms"
maintenance_interval = "200ms"
vacuum_age = "2s"
[history]
flush_age = "100ms"
maintenance_interval = "200ms"
vacuum_age = "2s"
"""


@pytest.fixture
def server(tmp_path):
    """A server whose tables are on a file system of a few megabytes."""
    tables = tmp_path / "data/tables"
    tables.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", tables], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a file system of its own cannot be mounted here (root is needed): {mounted.stderr.strip()}")
    server = Server(tmp_path, CONFIG, ["--log", "warn"])
    try:
        yield server.start()
    finally:
        if server.process is not None:
            server.kill()
        subprocess.run(["umount", "--lazy", tables], check=True)


class Disk:
    """What was acknowledged, and the bytes in the tables' way."""

    def __init__(self, server):
        self.server, self.filler = server, server.data / "tables/filler"
        created = server.client("cloudtrail").create_event_data_store(Name="full", TerminationProtectionEnabled=False)
        self.store = created["EventDataStoreArn"]
        self.acknowledged = []

    def put(self, number=50):
        ids = [str(uuid.uuid4()) for _ in range(number)]
        body = b"\n".join(json.dumps(record(i, padding=os.urandom(500).hex())).encode() for i in ids)
        assert self.server.put_records(body)["Accepted"] == number
        self.acknowledged += ids

    def fill(self):
        """Takes every byte that is left."""
        with open(self.filler, "ab", buffering=0) as file:
            for block in (1 << 16, 1 << 12):
                try:
                    while file.write(bytes(block)) == block:
                        pass
                except OSError:
                    pass

    def has_failed(self):
        self.fill()  # what a flush that failed has left again, or a vacuum
        return any("stores/" in line and "will be tried again" in line for line in self.server.log.read_text().splitlines())

    def asked(self):
        sql = f"SELECT eventID FROM {self.store.rpartition('/')[2]} WHERE eventName = 'Probe'"
        return collections.Counter(row["eventID"] for row in run(self.server.client("cloudtrail"), sql))

    def probes(self):
        """What the `deltalake` package reads in the table."""
        rows = stored.rows(self.server, self.store, "eventid", "eventname")
        return collections.Counter(row["eventid"] for row in rows if row["eventname"] == "Probe")

    def strays(self):
        """Files in the table's directory that it does not name."""
        table = stored.table_of(self.server, self.store)
        named = {os.path.basename(path) for path in DeltaTable(str(table)).file_uris()}
        files = {path.name for path in table.glob("*/*.parquet") if path.parent.name != "_delta_log"}
        return (files - named) | {path.name for path in table.glob("_delta_log/*#*")}


@pytest.mark.parametrize("killed", [False, True], ids=["running on", "killed while full"])
def test_tables_on_a_full_disk_lose_nothing_and_catch_up(server, killed):
    disk = Disk(server)
    disk.put()
    wait_until(lambda: set(disk.probes()) == set(disk.acknowledged), "the first records in the table")
    disk.fill()
    disk.put(200)
    wait_until(disk.has_failed, "a flush that fails")
    disk.put()
    if killed:
        server.kill()
    os.remove(disk.filler)
    if killed:
        server.start()
    wait_until(lambda: set(disk.probes()) == set(disk.acknowledged), "everything in the table", seconds=90)
    assert max(disk.probes().values()) == 1
    assert disk.asked() == collections.Counter(disk.acknowledged)
    wait_until(lambda: not disk.strays(), "the vacuum of what failed flushes left")
    assert server.stop() == 0
    opentrail_offline("fsck", "--data-dir", server.data)
