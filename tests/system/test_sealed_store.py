"""An event data store with a KMS key: what it holds on disk is sealed, waits for a key that is off, and is all there again."""

import collections
import json
import uuid

import pytest
from botocore.exceptions import ClientError
from commands import opentrail_offline
from importing import key_of, log_file, make_role, run_import, source
from opentrail_server import ACCOUNT, REGION, Server, record, wait_until
from results import RESULTS_POLICY, objects_of, rows_of, run, table, wait_for

CONFIG = """
[stores]
flush_age = "100ms"
maintenance_interval = "200ms"
vacuum_age = "1s"
data_key_age = "0s"
pending_deletion = "1s"
"""
ROOT = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
LAKE = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*"}  # fmt: skip


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


class Sealed:
    """A server with a store that has a key."""

    def __init__(self, directory, config=CONFIG):
        self.server = Server(directory, config, ["--log", "warn"]).start()
        self.kms, self.lake = self.server.client("kms"), self.server.client("cloudtrail")
        self.key = self.kms.create_key(Policy=policy(ROOT, LAKE))["KeyMetadata"]["Arn"]
        self.arn = self.create("sealed", KmsKeyId=self.key)
        self.store = self.arn.rpartition("/")[2]
        self.ids = []

    def create(self, name, **settings):
        settings = {"TerminationProtectionEnabled": False, "MultiRegionEnabled": False} | settings
        return self.lake.create_event_data_store(Name=name, **settings)["EventDataStoreArn"]

    def put(self, number=20, name="Asked"):
        """Records with ids that are found nowhere else."""
        ids = [f"secret-{uuid.uuid4()}" for _ in range(number)]
        report = self.server.put_records(b"\n".join(json.dumps(record(i, name)).encode() for i in ids))
        assert report["Accepted"] == number, report
        self.ids += ids

    def statement(self, store=None):
        return f"SELECT eventID FROM {store or self.store} WHERE eventName = 'Asked'"

    def found(self, store=None):
        return collections.Counter(row["eventID"] for row in run(self.lake, self.statement(store)))

    def failure(self, statement=None):
        """What a query that fails says; None for one that does not fail."""
        query = self.lake.start_query(QueryStatement=statement or self.statement())["QueryId"]
        described = wait_for(self.lake, query)
        return described["ErrorMessage"] if described["QueryStatus"] == "FAILED" else None

    def files(self, store=None):
        directory = self.server.data / "tables/stores" / (store or self.store)
        return [path for path in directory.rglob("*.parquet") if "_delta_log" not in path.parts]

    def fsck(self, code=0):
        return json.loads(opentrail_offline("fsck", "--data-dir", self.server.data, "--output", "json", code=code))


def damage(report):
    return [f"{finding['path']}: {finding['problem']}" for finding in report["findings"] if finding["is_damage"]]


def checked(report, name):
    return sum(area["checked"].get(name, 0) for area in report["areas"])


def with_text(directory, *texts):
    """The files below that have one of the texts in them."""
    found = []
    for path in directory.rglob("*"):
        try:
            body = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue  # it has got its name meanwhile, or was vacuumed
        if any(text.encode() in body for text in texts):
            found.append(path)
    return found


@pytest.fixture
def sealed(tmp_path):
    sealed = Sealed(tmp_path)
    yield sealed
    if sealed.server.process is not None:
        sealed.server.kill()


def test_nothing_of_an_event_is_in_the_table_and_all_of_it_in_answers(sealed):
    for _ in range(3):
        sealed.put()
        before = len(sealed.files())
        wait_until(lambda: len(sealed.files()) > before, "a flush")
    assert sealed.found() == collections.Counter(sealed.ids)
    assert all(".sealed" in path.name for path in sealed.files())
    tables = sealed.server.data / "tables/stores"
    assert with_text(tables, "secret-", "Asked", "PAR1") == []
    sealed.server.stop()
    report = sealed.fsck()
    assert damage(report) == [] and checked(report, "opened files") == checked(report, "sealed files") > 0, report
    sealed.server.start()
    assert sealed.found() == collections.Counter(sealed.ids)
    whole = run(sealed.lake, f"SELECT count(*) AS n, min(eventTime) AS t FROM {sealed.store} WHERE eventName = 'Asked'")
    assert whole[0]["n"] == "60" and whole[0]["t"]


@pytest.mark.parametrize("how", ["disabled", "pending deletion", "policy"])
def test_a_store_waits_for_its_key_and_loses_nothing(sealed, how):
    other = sealed.create("plain").rpartition("/")[2]
    sealed.put()
    wait_until(sealed.files, "a flush")
    stop, told = {
        "disabled": (lambda: sealed.kms.disable_key(KeyId=sealed.key), "is disabled"),
        "pending deletion": (lambda: sealed.kms.schedule_key_deletion(KeyId=sealed.key), "is pending deletion"),
        "policy": (lambda: sealed.kms.put_key_policy(KeyId=sealed.key, Policy=policy(ROOT)), "Insufficient permissions"),
    }[how]
    stop()
    for statement in (sealed.statement(), f"SELECT count(*) FROM {sealed.store}"):
        message = sealed.failure(statement)
        assert message and told in message and sealed.key in message, message
    flushed = {path.name for path in sealed.files() if path.name.startswith("flush-")}
    sealed.put()
    # Neither another store nor Event history waits.
    assert sealed.found(other) == collections.Counter(sealed.ids)
    assert sealed.failure()
    sealed.server.kill()
    sealed.server.start()
    sealed.put()
    assert sealed.failure()
    assert {path.name for path in sealed.files() if path.name.startswith("flush-")} <= flushed
    assert sealed.server.stop() == 0
    assert damage(sealed.fsck()) == []
    sealed.server.start()
    if how == "pending deletion":
        sealed.kms.cancel_key_deletion(KeyId=sealed.key)
    if how == "policy":
        sealed.kms.put_key_policy(KeyId=sealed.key, Policy=policy(ROOT, LAKE))
    else:
        sealed.kms.enable_key(KeyId=sealed.key)
    assert sealed.found() == collections.Counter(sealed.ids)


def test_rows_of_queries_are_sealed_delivered_and_not_had_without_the_key(sealed):
    s3 = sealed.server.client("s3")
    s3.create_bucket(Bucket="results")
    s3.put_bucket_policy(Bucket="results", Policy=RESULTS_POLICY.format(bucket="results", account=ACCOUNT, region=REGION))
    plain = sealed.create("plain").rpartition("/")[2]
    sealed.put(2500)
    expected = collections.Counter(sealed.ids)
    zstd = b"\x28\xb5\x2f\xfd"
    queries = {}
    for store in (plain, sealed.store):
        statement = sealed.statement(store)
        queries[store] = sealed.lake.start_query(QueryStatement=statement, DeliveryS3Uri="s3://results/")["QueryId"]
        described = wait_for(sealed.lake, queries[store])
        assert (described["QueryStatus"], described["DeliveryStatus"]) == ("FINISHED", "SUCCESS"), described
        assert collections.Counter(row["eventID"] for row in rows_of(sealed.lake, queries[store])) == expected
        files, _ = objects_of(s3, "results", queries[store])
        assert collections.Counter(row[0] for row in table(files)[2]) == expected
    kept = sealed.server.data / "queries"
    assert (kept / queries[plain] / "rows").read_bytes().startswith(zstd)
    rows = (kept / queries[sealed.store] / "rows").read_bytes()
    assert zstd not in rows and b"secret-" not in rows
    assert sealed.key in (kept / queries[sealed.store] / "index.json").read_text()
    # Both in one statement: the rows need the key as well.
    both = f"SELECT a.eventID FROM {plain} AS a, {sealed.store} AS b WHERE a.eventID = b.eventID AND a.eventName = 'Asked'"
    query = sealed.lake.start_query(QueryStatement=both)["QueryId"]
    assert wait_for(sealed.lake, query)["QueryStatus"] == "FINISHED"
    sealed.kms.disable_key(KeyId=sealed.key)
    for asked in (queries[sealed.store], query):
        with pytest.raises(ClientError, match="InsufficientEncryptionPolicyException.*is disabled"):
            sealed.lake.get_query_results(QueryId=asked)
    assert len(rows_of(sealed.lake, queries[plain])) == 2500
    sealed.kms.enable_key(KeyId=sealed.key)
    assert len(rows_of(sealed.lake, query)) == 2500


def test_a_deleted_store_goes_without_its_key(sealed):
    sealed.put()
    wait_until(sealed.files, "a flush")
    sealed.kms.disable_key(KeyId=sealed.key)
    sealed.put()
    sealed.lake.delete_event_data_store(EventDataStore=sealed.arn)
    directory = sealed.server.data / "tables/stores" / sealed.store
    wait_until(lambda: not directory.exists(), "the end of the table")


def test_a_key_that_comes_later_seals_what_is_there_and_what_is_imported(sealed):
    arn = sealed.create("later")
    store = arn.rpartition("/")[2]
    sealed.put()
    wait_until(lambda: with_text(sealed.server.data / "tables/stores" / store, "PAR1"), "a flush")
    sealed.lake.update_event_data_store(EventDataStore=arn, KmsKeyId=sealed.key)
    sealed.put()
    s3, events = sealed.server.client("s3"), [f"secret-{uuid.uuid4()}" for _ in range(50)]
    s3.create_bucket(Bucket="old-logs")
    s3.put_object(Bucket="old-logs", Key=key_of(1), Body=log_file([json.dumps(record(i, "Asked")).encode() for i in events]))
    make_role(sealed.server.client("iam"), "old-logs")
    imported = run_import(sealed.lake, arn, source("old-logs", folder=f"AWSLogs/{ACCOUNT}/CloudTrail/"))
    assert imported["ImportStatus"] == "COMPLETED", imported
    sealed.ids += events
    assert sealed.found(store) == collections.Counter(sealed.ids)

    def all_sealed():
        files = sealed.files(store)
        return files and all(".sealed" in path.name for path in files)

    wait_until(all_sealed, "the upkeep sealing what was there before")
    assert with_text(sealed.server.data / "tables/stores" / store, "secret-", "PAR1") == []
    assert sealed.found(store) == collections.Counter(sealed.ids)


def test_fsck_finds_what_was_altered_and_files_of_other_stores(sealed):
    other = sealed.create("other", KmsKeyId=sealed.key).rpartition("/")[2]
    sealed.put()
    wait_until(lambda: sealed.files() and sealed.files(other), "flushes of both")
    assert sealed.found() == sealed.found(other) == collections.Counter(sealed.ids)
    sealed.server.stop()
    assert damage(sealed.fsck()) == []
    mine, theirs = sealed.files()[0], sealed.files(other)[0]
    stored = mine.read_bytes()
    mine.write_bytes(stored[:-1] + bytes([stored[-1] ^ 1]))
    assert any("SHA-256" in text for text in damage(sealed.fsck(1)))
    mine.write_bytes(theirs.read_bytes())
    assert any("does not open" in text for text in damage(sealed.fsck(1)))
    sealed.server.start()
    assert sealed.failure(), "no row of another store is shown"
    sealed.server.stop()
    mine.write_bytes(stored)
    assert damage(sealed.fsck()) == []
    # Without the key ring nothing can be opened.
    ring = sealed.server.data / "keys" / "ring.json"
    ring.rename(ring.with_suffix(".away"))
    assert damage(sealed.fsck(1))
    ring.with_suffix(".away").rename(ring)
