"""The real server under load, killed at each named step between two changes of the disk (`opentrail crash-points`), then
started again: nothing acknowledged is missing from Event history, the log files or an event data store, nothing is there
twice.

The steps share data directories, as one server would live through all of it; a failure names its step."""

import collections
import dataclasses
import gzip
import hashlib
import json
import pathlib
import signal
import subprocess
import sys
import time
import typing
import uuid

import pytest
from botocore.exceptions import BotoCoreError, ClientError

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(TESTS / "crash"), str(TESTS / "system")]
import stored  # noqa: E402
import watching  # noqa: E402
from commands import opentrail, opentrail_offline  # noqa: E402
from following import FakeQueue, key_at, put_log, s3_notice  # noqa: E402
from test_insight_steps import INSIGHT_STEPS  # noqa: E402
from importing import key_of, log_file, make_role, source, wait_for_import  # noqa: E402
from listener import Webhook  # noqa: E402
from opentrail_server import ACCOUNT, BUCKET_POLICY, REGION, Server, binary, record, wait_until  # noqa: E402
from random_kills import Writer, judge  # noqa: E402
from results import RESULTS_POLICY, objects_of, rows_of, table, verify, wait_for  # noqa: E402
from watching import Watch, topic_of, trail_to_group  # noqa: E402

CONFIG = """
[delivery]
max_age = "200ms"
[digest]
interval = "1s"
[history]
flush_age = "100ms"
maintenance_interval = "300ms"
vacuum_age = "5s"
[stores]
flush_age = "100ms"
maintenance_interval = "300ms"
vacuum_age = "5s"
pending_deletion = "1s"
[queries]
history = "30s"
[imports]
chunk_bytes = "8KiB"
[journal]
segment_bytes = "4MiB"
hold_back = "1s"
"""
CONFIG += watching.CONFIG
DOWN = (BotoCoreError, ClientError, OSError)


class Load:
    """Writers of records, beside whatever a step's own `provoke` does."""

    def __init__(self, server, writers=2):
        self.writers = [Writer(server, uuid.uuid4().int, pause=0.1) for _ in range(writers)]
        for writer in self.writers:
            writer.start()

    def stop(self):
        for writer in self.writers:
            writer.stopping = True
        for writer in self.writers:
            writer.join()
            assert writer.unexpected is None, f"a report that does not fit what was sent: {writer.unexpected}"
        return [i for writer in self.writers for i in writer.acknowledged]


class World:
    """A server with a trail, and everything that it ever acknowledged."""

    def __init__(self, directory):
        self.server = Server(directory, CONFIG, ["--log", "warn"]).start()
        self.server.make_trail(EnableLogFileValidation=True, IsMultiRegionTrail=True)
        s3 = self.server.client("s3")
        s3.create_bucket(Bucket="files")
        s3.create_bucket(Bucket="versions", ObjectLockEnabledForBucket=True)
        policy = BUCKET_POLICY.format(bucket="trail-logs", account=ACCOUNT, prefix="*")  # for the steps' own trails, too
        s3.put_bucket_policy(Bucket="trail-logs", Policy=policy)
        s3.create_bucket(Bucket="results")
        policy = RESULTS_POLICY.format(bucket="results", account=ACCOUNT, region=REGION)
        s3.put_bucket_policy(Bucket="results", Policy=policy)
        self.store = create_store(self, "everything", MultiRegionEnabled=True)
        self.acknowledged, self.calls = [], []
        self.webhook = Webhook()
        self.trails, self.s3 = self.tracked("cloudtrail"), self.server.client("s3")
        assert self.server.stop() == 0

    def tracked(self, service):
        """A client whose answered calls are remembered by their request ids: each must have its event."""
        client = self.server.client(service)

        def note(parsed, **_):
            answer = parsed["ResponseMetadata"]
            if answer["HTTPStatusCode"] < 500:
                self.calls.append(answer["RequestId"])

        client.meta.events.register("after-call", note)
        return client

    def put(self, number=1, name="Probe", **more):
        """Records that are acknowledged, or an error."""
        ids = [str(uuid.uuid4()) for _ in range(number)]
        report = self.server.put_records(b"\n".join(json.dumps(record(i, name, **more)).encode() for i in ids), timeout=10)
        assert report["Accepted"] == number, report
        self.acknowledged += ids
        return ids

    def prepare(self, step):
        if self.server.process is not None:
            self.server.kill()  # a step before failed
        self.server.environment = {}
        if step.prepare is None:
            return None
        self.server.start()
        prepared = step.prepare(self)
        assert self.server.stop() == 0
        return prepared

    def crash(self, step, prepared):
        """Starts the server to die at the step, and does under load what brings it there."""
        self.server.environment = {"OPENTRAIL_CRASH_AT": step.at}
        self.server.start(wait=False)
        load = Load(self.server, step.writers)
        end = time.monotonic() + 40
        try:
            while self.server.process.poll() is None and time.monotonic() < end:
                try:
                    if self.server.is_ready():
                        step.provoke(self, prepared)
                except DOWN:
                    pass  # it died meanwhile, or is about to
                time.sleep(0.02)
            assert self.server.process.poll() == -signal.SIGKILL, (
                f"the server did not come to {step.at}, or died otherwise: {self.server.process.poll()}\n{self.server.log_tail()}")
            self.fsck()
            self.server.environment = {}
            self.server.start()
            time.sleep(0.2)  # the load goes on for a while, from a server that has just recovered
        finally:
            self.acknowledged += load.stop()

    def deliver(self, ids, prefix="AWSLogs"):
        """Waits until the records are in log files under the prefix."""
        wait_until(lambda: set(ids) <= set(delivered(self.server, prefix)[0]), "delivery of every acknowledged record", 30, 0.1)

    def prove(self, since, acknowledged, calls):
        """What was acknowledged since then is exactly once in the log files and in Event history."""
        wait_until(lambda: set(acknowledged) <= set(delivered(self.server)[0]) and set(calls) <= set(delivered(self.server)[1]),
                   "delivery of everything acknowledged", 30, 0.1)  # fmt: skip
        events, requests = delivered(self.server)
        good = judge("log files", events, acknowledged) & judge("log files, by call", requests, calls)
        def stored_all():
            events, requests = in_store(self.server, self.store)
            return set(acknowledged) <= set(events) and set(calls) <= set(requests)

        wait_until(stored_all, "the store's flush of everything acknowledged", 30, 0.1)
        events, requests = in_store(self.server, self.store)
        good &= judge("the store", events, acknowledged) & judge("the store, by call", requests, calls)
        events, requests = looked_up(self.server, since)
        assert good & judge("Event history", events, acknowledged) & judge("Event history, by call", requests, calls)

    def fsck(self):
        """Everything on disk fits together, just after a kill as after a stop."""
        opentrail_offline("fsck", "--data-dir", self.server.data)

    def stop_and_fsck(self):
        assert self.server.stop() == 0
        self.fsck()


def delivered(server, prefix="AWSLogs", bucket="trail-logs"):
    """How often each event and each request is in the log files under the prefix, read where they lie on disk."""
    events, requests = collections.Counter(), collections.Counter()
    for path in (server.data / "objects" / bucket / prefix).glob("**/CloudTrail/**/*.json.gz"):
        for event in json.loads(gzip.decompress(path.read_bytes()))["Records"]:
            events[event["eventID"]] += 1
            if event["eventSource"] == "cloudtrail.amazonaws.com":
                requests[event["requestID"]] += 1
    return events, requests


def in_store(server, store):
    """The same of an event data store."""
    events, requests = collections.Counter(), collections.Counter()
    for row in stored.rows(server, store, "eventid", "eventsource", "raw"):
        events[row["eventid"]] += 1
        if row["eventsource"] == "cloudtrail.amazonaws.com":
            requests[json.loads(row["raw"])["requestID"]] += 1
    return events, requests


def looked_up(server, since=None):
    """The same of Event history."""
    events, requests = collections.Counter(), collections.Counter()
    pages = server.client("cloudtrail").get_paginator("lookup_events")
    for page in pages.paginate(**({"StartTime": since} if since else {})):
        for event in page["Events"]:
            events[event["EventId"]] += 1
            if event["EventSource"] == "cloudtrail.amazonaws.com":
                requests[json.loads(event["CloudTrailEvent"])["requestID"]] += 1
    return events, requests


def nothing(world, prepared=None):
    """The load alone comes there."""


@dataclasses.dataclass
class Step:
    """How the server comes to a crash point, and what must hold there beside the proof for every step."""

    at: str
    # Before the server that dies is started; gives what the others work with.
    prepare: typing.Callable | None = None
    # Again and again until the server has died.
    provoke: typing.Callable = nothing
    # After the restart.
    after: typing.Callable = nothing
    what: str = ""
    writers: int = 2

    @property
    def name(self):
        return f"{self.at}-{self.what}" if self.what else self.at


# --- what brings the server to its steps ---


def stop(world, _):
    world.server.process.send_signal(signal.SIGTERM)


def put_data_event_and_stop(world, _):
    """An event that no log file takes: only the cursor moves."""
    event = record(str(uuid.uuid4()), "Unselected", eventCategory="Data", managementEvent=False)
    world.server.put_records(json.dumps(event).encode(), timeout=10)
    stop(world, _)


def fill_journal(world, _):
    """Data events, which neither the trail nor Event history takes: several segments of the journal."""
    padding = {"padding": "x" * 200_000}
    lines = [json.dumps(record(str(uuid.uuid4()), "Filler", eventCategory="Data", managementEvent=False, requestParameters=padding))
             for _ in range(24)]  # fmt: skip
    world.server.put_records("\n".join(lines).encode(), timeout=20)


def read(world, _):
    world.trails.get_trail_status(Name="main")


def change_trail(world, _):
    world.trails.add_tags(ResourceId=trail_arn("main"), TagsList=[{"Key": "round", "Value": str(uuid.uuid4())}])


def trail_arn(name):
    return f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{name}"


def call_s3(world, _):
    world.s3.head_bucket(Bucket="files")


def new_name():
    return f"step-{uuid.uuid4().hex[:12]}"


def trail(world):
    """The name of a trail of the step's own, which is also its prefix in the bucket."""
    return new_name()


def create(world, name):
    try:
        world.trails.create_trail(Name=name, S3BucketName="trail-logs", S3KeyPrefix=name, EnableLogFileValidation=True)
    except world.trails.exceptions.TrailAlreadyExistsException:
        pass


def start(world, name):
    world.trails.start_logging(Name=name)


def delete(world, name):
    world.trails.delete_trail(Name=name)


def created_trail(world):
    name = trail(world)
    create(world, name)
    return name


def logging_trail(world):
    name = created_trail(world)
    start(world, name)
    return name


def can_be_created(world, name):
    """A creation whose answer was lost can be repeated."""
    create(world, name)
    start(world, name)
    logs(world, name)


def logs(world, name):
    """Without being told again. A start whose answer was lost has happened: the catalog had it."""
    assert world.trails.get_trail_status(Name=name)["IsLogging"]
    world.deliver(world.put(3), name)
    delete(world, name)


def is_gone(world, name):
    """A deletion whose answer was lost has happened: nothing more is delivered."""
    with pytest.raises(world.trails.exceptions.TrailNotFoundException):
        delete(world, name)
    ids = world.put(3)
    world.deliver(ids)
    assert not set(ids) & set(delivered(world.server, name)[0])


def region(world):
    """A Region of the step's own, whose digests need a key of their own."""
    return f"{new_name()}-1"


def put_in_region(world, region):
    world.server.put_records(json.dumps(record(str(uuid.uuid4()), awsRegion=region)).encode(), timeout=10)


def region_has_one_key(world, region):
    put_in_region(world, region)
    logs = world.server.data / "objects/trail-logs/AWSLogs"
    wait_until(lambda: list(logs.glob(f"*/CloudTrail-Digest/{region}/**/*.json.gz")), "a digest of the Region")
    keys = world.server.client("cloudtrail", region).list_public_keys()["PublicKeyList"]
    assert len(keys) == 1, keys


def create_store(world, name, **settings):
    """An event data store of management events; its ARN."""
    settings = {"MultiRegionEnabled": False, "TerminationProtectionEnabled": False, **settings}
    return world.server.client("cloudtrail").create_event_data_store(Name=name, **settings)["EventDataStoreArn"]


def store(world):
    """A store of the step's own."""
    return create_store(world, new_name())


def stores(world):
    listed = world.server.client("cloudtrail").list_event_data_stores()["EventDataStores"]
    return {item["Name"]: item["EventDataStoreArn"] for item in listed}


def create_named_store(world, name):
    try:
        create_store(world, name)
    except world.trails.exceptions.EventDataStoreAlreadyExistsException:
        pass


def named_store_takes_events(world, name):
    create_named_store(world, name)
    store_takes_events(world, stores(world)[name])


def store_takes_events(world, arn):
    """What is put now comes into the step's own store, once; then the store makes room for the next."""
    ids = world.put(3)
    wait_until(lambda: set(ids) <= set(in_store(world.server, arn)[0]), "the events in the step's own store", 30, 0.1)
    assert max(in_store(world.server, arn)[0].values()) == 1
    delete_store(world, arn)
    wait_until(lambda: not stored.table_of(world.server, arn).exists(), "the end of the step's own store")


def change_store(world, _):
    days = 100 + uuid.uuid4().int % 200
    world.trails.update_event_data_store(EventDataStore=world.store, RetentionPeriod=days)


def delete_store(world, arn):
    try:
        world.trails.delete_event_data_store(EventDataStore=arn)
    except (world.trails.exceptions.InactiveEventDataStoreException, world.trails.exceptions.EventDataStoreNotFoundException):
        pass


def store_is_gone(world, arn):
    delete_store(world, arn)
    wait_until(lambda: not stored.table_of(world.server, arn).exists(), "the end of the store")
    with pytest.raises(world.trails.exceptions.EventDataStoreNotFoundException):
        world.trails.get_event_data_store(EventDataStore=arn)


def store_of_old_events(world):
    """One with an event of twenty days ago, which it keeps for thirty."""
    arn = create_store(world, new_name(), RetentionPeriod=30)
    ids = [str(uuid.uuid4())]
    then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 20 * 86_400))
    world.server.put_records(json.dumps(record(ids[0], time_text=then)).encode(), timeout=10)
    wait_until(lambda: set(ids) <= set(in_store(world.server, arn)[0]), "the old event in the store", 30, 0.1)
    return arn, ids


def shorten_store(world, prepared):
    world.trails.update_event_data_store(EventDataStore=prepared[0], RetentionPeriod=7)


def old_events_are_gone(world, prepared):
    arn, ids = prepared
    shorten_store(world, prepared)
    wait_until(lambda: not set(ids) & set(in_store(world.server, arn)[0]), "the old event leaving the store", 30, 0.1)
    store_takes_events(world, arn)


class Object:
    """An object of a client's own: what it was when last acknowledged, and what was put since without an answer."""

    def __init__(self, world):
        self.s3, self.place = world.s3, {"Bucket": "files", "Key": f"{new_name()}/object.txt"}
        self.acknowledged, self.doubtful = None, []

    def becomes(self, body, work):
        self.doubtful.append(body)
        work()
        self.acknowledged, self.doubtful = body, []

    def body(self):
        try:
            found = self.s3.get_object(**self.place)
        except self.s3.exceptions.NoSuchKey:
            return None
        body = found["Body"].read()
        assert "-" in found["ETag"] or found["ETag"].strip('"') == hashlib.md5(body).hexdigest()
        return body


def put_object(_, mine):
    body = uuid.uuid4().bytes * 100
    mine.becomes(body, lambda: mine.s3.put_object(**mine.place, Body=body))


def put_and_delete_object(world, mine):
    put_object(world, mine)
    mine.becomes(None, lambda: mine.s3.delete_object(**mine.place))


def object_is_whole(world, mine):
    """As it was acknowledged, or as it was about to be; and it can be put again."""
    assert mine.body() in [mine.acknowledged, *mine.doubtful]
    put_object(world, mine)
    assert mine.body() == mine.acknowledged


def upload_object(_, mine):
    body, mine.parts = uuid.uuid4().bytes * 100, []
    mine.doubtful.append(body)
    mine.upload = mine.s3.create_multipart_upload(**mine.place)["UploadId"]
    upload_part(mine)
    complete_upload(mine)


def upload_part(mine):
    upload = {**mine.place, "UploadId": mine.upload, "PartNumber": 1}
    mine.parts = [{"PartNumber": 1, "ETag": mine.s3.upload_part(**upload, Body=mine.doubtful[-1])["ETag"]}]


def complete_upload(mine):
    mine.s3.complete_multipart_upload(**mine.place, UploadId=mine.upload, MultipartUpload={"Parts": mine.parts})


def upload_can_be_completed(_, mine):
    """What was acknowledged of it stands, the rest can be repeated, and nothing of it stays behind."""
    if not mine.parts:
        upload_part(mine)
    complete_upload(mine)
    assert mine.body() == mine.doubtful[-1]
    assert not mine.s3.list_multipart_uploads(Bucket=mine.place["Bucket"]).get("Uploads")


class LogEvents:
    """A log stream, the messages that were acknowledged, and those that were about to be."""

    def __init__(self, world):
        self.place = {"logGroupName": f"g-{uuid.uuid4()}", "logStreamName": "s"}
        self.acknowledged, self.doubtful = [], set()
        self.logs = world.server.client("logs")
        self.logs.create_log_group(logGroupName=self.place["logGroupName"])
        self.logs.create_log_stream(**self.place)

    def put(self):
        message = str(uuid.uuid4())
        self.doubtful.add(message)
        event = {"timestamp": int(time.time() * 1000), "message": message}
        self.logs.put_log_events(**self.place, logEvents=[event])
        self.doubtful.remove(message)
        self.acknowledged.append(message)


def put_log_event(_, mine):
    mine.put()


def log_events_are_there_once(_, mine):
    mine.put()
    pages = mine.logs.get_paginator("filter_log_events").paginate(logGroupName=mine.place["logGroupName"])
    found = collections.Counter(event["message"] for page in pages for event in page["events"])
    assert set(mine.acknowledged) <= set(found) <= {*mine.acknowledged, *mine.doubtful}
    assert max(found.values()) == 1


class LoggedAndNotified:
    """A trail with a log group and a topic, and what was acknowledged since it logs."""

    def __init__(self, world):
        self.name = f"w-{uuid.uuid4().hex[:12]}"
        topic_of(world.server, self.name, "cloudtrail")
        trail_to_group(world.server, self.name, SnsTopicName=self.name)
        self.since = len(world.acknowledged)


def group_and_topic_have_everything(world, mine):
    world.put()
    wanted = set(world.acknowledged[mine.since:])
    logs = world.server.client("logs")

    def found():
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=mine.name)
        return collections.Counter(json.loads(event["message"])["eventID"] for page in pages for event in page["events"])

    wait_until(lambda: wanted <= set(found()), "the log group's events")
    assert max(found().values()) == 1, "an event twice in the log group"
    status = lambda: world.trails.get_trail_status(Name=mine.name)
    wait_until(lambda: status().get("LatestNotificationTime"), "a notification")
    assert "LatestNotificationError" not in status() and "LatestCloudWatchLogsDeliveryError" not in status()
    world.trails.delete_trail(Name=mine.name)


def watch(world):
    return Watch(world.server, world.webhook)


def put_watched(_, watch):
    watch.put_record()


def publish(_, watch):
    watch.publish()


def put_events(_, watch):
    watch.put_events()


def change_rule(_, watch):
    """Another version of the Sigma rule, and something for it to find."""
    watch.load_rule(f"watched {uuid.uuid4()}")
    watch.put_record()


def all_are_told(world, watch):
    """Of what was acknowledged, and of what comes now."""
    for put in [watch.publish, watch.put_events]:
        put()
    watch.prove()
    watch.end()


class Versions(Object):
    """An object in a bucket with versions: those that were acknowledged, and those that may be gone."""

    def __init__(self, world):
        super().__init__(world)
        self.place["Bucket"], self.kept, self.leaving = "versions", {}, set()

    def put(self):
        body = uuid.uuid4().bytes * 100
        self.becomes(body, lambda: self.kept.update({self.s3.put_object(**self.place, Body=body)["VersionId"]: body}))


def put_versions(_, mine):
    mine.put()
    mine.put()


def put_and_hide(_, mine):
    mine.put()
    mine.becomes(None, lambda: mine.s3.delete_object(**mine.place))


def put_versions_and_delete_the_last(_, mine):
    put_versions(_, mine)
    (before, body), (last, _) = mine.kept.items()
    mine.leaving.add(last)
    mine.becomes(body, lambda: mine.s3.delete_object(**mine.place, VersionId=last))
    del mine.kept[last]


def versions_are_whole(_, mine):
    """Every acknowledged version is there with its bytes, the current one is what it was or was to be, and each can be
    deleted, the last one too."""
    place, prefix = mine.place, {"Bucket": mine.place["Bucket"], "Prefix": mine.place["Key"]}
    assert mine.body() in [mine.acknowledged, *mine.doubtful]
    listed = mine.s3.list_object_versions(**prefix)
    found = {v["VersionId"]: mine.s3.get_object(**place, VersionId=v["VersionId"])["Body"].read() for v in listed.get("Versions", [])}
    for version, body in mine.kept.items():
        assert found.get(version) == body or (version in mine.leaving and version not in found)
    assert set(found.values()) <= {*mine.kept.values(), mine.acknowledged, *mine.doubtful}
    mine.doubtful = []
    mine.put()
    assert mine.body() == mine.acknowledged
    listed = mine.s3.list_object_versions(**prefix)
    for version in [*listed["Versions"], *listed.get("DeleteMarkers", [])]:
        mine.s3.delete_object(**place, VersionId=version["VersionId"])
    listed = mine.s3.list_object_versions(**prefix)
    assert "Versions" not in listed and "DeleteMarkers" not in listed and mine.body() is None


def create_bucket(world, mine):
    mine.place["Bucket"] = new_name()
    mine.s3.create_bucket(Bucket=mine.place["Bucket"])


def bucket_can_be_created(world, mine):
    mine.s3.create_bucket(Bucket=mine.place["Bucket"])
    object_is_whole(world, mine)


class Files:
    """Files to import, and the ids of their records."""

    def __init__(self, world):
        self.directory = world.server.directory / new_name()
        self.directory.mkdir()
        self.event_name, self.ids = f"Imported{uuid.uuid4().hex[:8]}", [str(uuid.uuid4()) for _ in range(20)]
        for number in range(4):
            lines = [json.dumps(record(i, self.event_name)) for i in self.ids[number * 5 :][:5]]
            (self.directory / f"{number}.ndjson").write_text("\n".join(lines))


def import_files(world, files):
    command = [binary(), "import", files.directory, "--parallel", "1"]
    subprocess.run(command, env=world.server.cli_environment(), capture_output=True, timeout=60, check=False)


def files_are_imported_once(world, files):
    def run():
        summary = json.loads(opentrail(world.server, "import", files.directory, "--output", "json"))
        return summary["FilesDoneBefore"], summary["Files"]

    assert sum(run()) == 4
    assert run() == (4, 0), "done is done"
    attributes = [{"AttributeKey": "EventName", "AttributeValue": files.event_name}]
    lookup = world.server.client("cloudtrail").get_paginator("lookup_events")

    def found():
        return sorted(event["EventId"] for page in lookup.paginate(LookupAttributes=attributes) for event in page["Events"])

    wait_until(lambda: found() == sorted(files.ids), "every record in Event history, once")


class Asked:
    """Queries that were acknowledged, with their results on the way to a bucket."""

    def __init__(self, world):
        store = world.store.rpartition("/")[2]
        self.statement = f"SELECT eventID, eventName FROM {store} WHERE eventName = 'CreateEventDataStore'"
        self.queries = []

    def start(self, world):
        started = world.trails.start_query(QueryStatement=self.statement, DeliveryS3Uri="s3://results/crash")
        self.queries.append(started["QueryId"])


def ask(world, asked):
    asked.start(world)
    wait_for(world.trails, asked.queries[-1])


def queries_are_answered(world, asked):
    """Each has its rows, in the bucket too, signed; an interrupted one has run again."""
    assert asked.queries
    for query in asked.queries:
        described = wait_for(world.trails, query)
        assert (described["QueryStatus"], described["DeliveryStatus"]) == ("FINISHED", "SUCCESS"), described
        rows = rows_of(world.trails, query)
        assert [row["eventName"] for row in rows] == ["CreateEventDataStore"] * len(rows)
        files, _ = objects_of(world.server.client("s3"), "results", query)
        assert set(files) == {"result_1.csv.gz", "result_sign.json"}
        verify(world.trails, files)
        assert table(files)[2] == [list(row.values()) for row in rows]
        assert not (world.server.data / "queries" / f"{query}.part").exists()


class Import:
    """A bucket of log files, and an import of them into a store of its own once it was acknowledged."""

    def __init__(self, world):
        name = new_name()
        self.source = source(name, make_role(world.server.client("iam"), name, name))
        world.server.client("s3").create_bucket(Bucket=name)
        self.lines = []
        for number in range(6):
            lines = [json.dumps(record(str(uuid.uuid4()), "Imported")).encode() for _ in range(20)]
            world.server.client("s3").put_object(Bucket=name, Key=key_of(number), Body=log_file(lines))
            self.lines += lines
        self.store = create_store(world, name)
        self.id = None


def import_logs(world, one):
    if one.id is None:
        # One of which nobody was told may be under way.
        listed = world.trails.list_imports(Destination=one.store)["Imports"]
        started = listed[0] if listed else world.trails.start_import(Destinations=[one.store], ImportSource=one.source)
        one.id = started["ImportId"]
    wait_for_import(world.trails, one.id)


def logs_are_imported_once(world, one):
    import_logs(world, one)
    found = world.trails.get_import(ImportId=one.id)
    assert (found["ImportStatus"], found["ImportStatistics"]["EventsCompleted"]) == ("COMPLETED", len(one.lines)), found
    rows = stored.rows(world.server, one.store, "raw")
    assert sorted(row["raw"] for row in rows if row["position"] < 0) == sorted(one.lines)
    world.trails.delete_event_data_store(EventDataStore=one.store)


def answered_query(world):
    asked = Asked(world)
    ask(world, asked)
    return asked


def query_expires(world, asked):
    """Its rows went first; then it is gone."""
    (query,) = asked.queries

    def is_gone():
        try:
            world.trails.describe_query(QueryId=query)
        except world.trails.exceptions.QueryIdNotFoundException:
            return True

    wait_until(is_gone, "the query's end", 60)
    assert not list((world.server.data / "queries").glob(f"{query}*"))


class Board:
    """A dashboard of three widgets, and its refreshes that were acknowledged."""

    def __init__(self, world):
        statement = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "cloudtrail:StartQuery"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        world.trails.put_resource_policy(ResourceArn=world.store, ResourcePolicy=policy)
        view = {"View": "Table", "Title": "t", "Height": "2", "Width": "2"}
        sql = f"SELECT count(*) AS n FROM {world.store.rpartition('/')[2]} WHERE eventName = 'CreateEventDataStore'"
        widgets = [{"QueryStatement": sql, "ViewProperties": view}] * 3
        made = world.trails.create_dashboard(Name=new_name(), Widgets=widgets)
        self.name, self.aliases = made["Name"], [widget["QueryAlias"] for widget in made["Widgets"]]
        self.refreshes = []


def refresh(world, board):
    try:
        board.refreshes.append(world.trails.start_dashboard_refresh(DashboardId=board.name)["RefreshId"])
    except world.trails.exceptions.ServiceQuotaExceededException:
        pass  # the one before runs


def last_refresh_is_whole(world, board):
    """Whether it was acknowledged or not: all of its queries are there, and end; the next can be started."""
    last = world.trails.get_dashboard(DashboardId=board.name).get("LastRefreshId")
    # Others commit, too: a step that is counted may have come before the refresh's own, which is not there then.
    assert not board.refreshes or int(last) >= int(board.refreshes[-1])
    for alias in board.aliases if last else []:
        query = world.trails.describe_query(QueryAlias=alias, RefreshId=last)["QueryId"]
        assert wait_for(world.trails, query)["QueryStatus"] == "FINISHED"
        (row,) = rows_of(world.trails, query)
        assert int(row["n"]) >= 1
    refresh(world, board)
    assert int(board.refreshes[-1]) > int(last or 0)


FOLLOW = """
[[follow]]
name = "followed"
bucket = "followed"
account = "{account}"
start = "1day"
poll = "100ms"
sweep = "100ms"
look_back = "3s"
"""


def followed(world):
    """A bucket that the server follows from its next start on; what is put there is acknowledged."""
    s3 = world.server.client("s3")
    if "followed" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket="followed")
    world.server.config.write_text(CONFIG + FOLLOW.format(account=ACCOUNT))


def put_followed(world, queue):
    ids, key = [str(uuid.uuid4()) for _ in range(3)], key_at(new_name().replace("-", ""), account=ACCOUNT)
    put_log(world.s3, "followed", key, [json.dumps(record(i, "Followed")).encode() for i in ids])
    world.acknowledged += ids
    if queue is not None:
        queue.send(s3_notice("followed", key))


def notified(world):
    """The same with a queue that tells of the files, and no look between."""
    followed(world)
    queue = FakeQueue()
    section = f'[follow.queue]\nurl = "{queue.url}"\nwait = "0s"\naccess_key_id = "k"\nsecret_access_key = "s"\n'
    config = world.server.config.read_text()
    world.server.config.write_text(config.replace('poll = "100ms"\nsweep = "100ms"\n', 'poll = "100ms"\n') + section)
    return queue


def every_message_is_done_with(world, queue):
    wait_until(lambda: not queue.messages, "the deletion of every message")
    nothing_is_followed_any_more(world)
    queue.close()


def nothing_is_followed_any_more(world, _=None):
    """What was put is taken by the server that was started after the kill; the steps of others do without."""
    expected = {i for path in (world.server.data / "objects/followed").glob("**/*.json.gz")
                for i in (event["eventID"] for event in json.loads(gzip.decompress(path.read_bytes()))["Records"])}  # fmt: skip
    world.deliver(expected & set(world.acknowledged))
    world.server.config.write_text(CONFIG)


STEPS = [
    *[Step(at) for at in ["journal.write:9", "journal.written:9", "journal.synced:9", "journal.published:9"]],
    *[Step(at) for at in ["ingest.append:5", "ingest.appended:5"]],
    *[Step(at, provoke=read) for at in ["server.call-append:3", "server.call-appended:3"]],
    *[Step(at) for at in ["catalog.commit:2", "catalog.committed:4"]],
    *[Step(at) for at in ["server.reconcile", "server.reconciled"]],
    *[Step(at, provoke=call_s3) for at in ["server.queue-append", "server.queue-appended"]],
    *[Step(at, provoke=stop) for at in ["server.drained", "journal.close", "journal.closed"]],
    Step("delivery.saved", provoke=put_data_event_and_stop, writers=0),  # a log file would move the cursor, too
    *[Step(at, provoke=fill_journal) for at in ["journal.segment-staged", "journal.segment-named", "journal.trim",
                                                "journal.trimmed"]],  # fmt: skip
    *[Step(at, trail, create, can_be_created, "create") for at in
      ["server.change-append", "server.change-appended", "delivery.worker", "delivery.worker-made"]],  # fmt: skip
    *[Step(at, created_trail, start, logs, "start") for at in ["server.change-append", "server.change-appended"]],
    *[Step(at, logging_trail, delete, is_gone, "delete") for at in
      ["server.change-append", "server.change-appended", "delivery.end", "delivery.ended"]],  # fmt: skip
    *[Step(at, provoke=change_trail) for at in ["delivery.obey", "delivery.obeyed"]],
    *[Step(at) for at in ["delivery.cut", "delivery.intended", "delivery.put", "delivery.was-put", "delivery.all-put",
                          "delivery.delivered"]],  # fmt: skip
    *[Step(at) for at in ["delivery.digest-signed", "delivery.digest-fixed", "delivery.digest-put",
                          "delivery.digest-delivered"]],  # fmt: skip
    *[Step(at, region, put_in_region, region_has_one_key) for at in ["delivery.key-made", "delivery.key-kept"]],
    *[Step(at) for at in ["history.written:2", "history.committed:2", "history.merged", "history.replaced"]],
    *[Step(at) for at in ["lake.staged:3", "lake.committed:3"]],
    *[Step(at) for at in ["lake.checkpoint-staged", "lake.checkpoint-placed", "lake.swept"]],
    *[Step(at, lambda _: new_name(), create_named_store, named_store_takes_events) for at in
      ["tables.table", "tables.table-made"]],  # fmt: skip
    *[Step(at, provoke=change_store) for at in ["tables.obey", "tables.obeyed"]],
    *[Step(at) for at in ["tables.written:3", "tables.committed:3", "tables.merged", "tables.replaced"]],
    Step("tables.expired", store_of_old_events, shorten_store, old_events_are_gone),
    *[Step(at, store, delete_store, store_is_gone) for at in ["tables.drop", "tables.dropped", "tables.removed"]],
    *[Step(at, Asked, ask, queries_are_answered) for at in
      ["queries.staged", "queries.placed", "queries.finished", "queries.put", "queries.signed"]],  # fmt: skip
    *[Step(at, Import, import_logs, logs_are_imported_once) for at in
      ["imports.started", "imports.intended", "imports.intended:2", "imports.landed", "imports.landed:2", "imports.settled",
       "imports.end", "imports.ended", "tables.import-written", "tables.imported:2"]],  # fmt: skip
    *[Step(at, Board, refresh, last_refresh_is_whole, "refresh", 0) for at in
      ["catalog.committed:3", "queries.staged:2", "queries.placed:2", "queries.finished"]],  # fmt: skip
    Step("queries.expired", answered_query, nothing, query_expires),
    *[Step(at, LoggedAndNotified, after=group_and_topic_have_everything) for at in ["delivery.logged", "delivery.notified"]],
    *[Step(at, LogEvents, put_log_event, log_events_are_there_once) for at in
      ["logs.commit:3", "logs.committed:3", "logs.merge"]],  # fmt: skip
    *[Step(at, watch, put_watched, all_are_told, "watch") for at in
      ["delivery.logged:2", "logs.commit:2", "logs.committed:2", "logs.counted", "logs.counted:2",
       "monitoring.fold", "monitoring.fold:2", "monitoring.folded", "monitoring.folded:2", "monitoring.change", "monitoring.changed",
       "monitoring.performed", "monitoring.performed:2", "monitoring.settled", "monitoring.settled:2",
       "events.commit", "events.commit:3", "events.committed", "events.committed:3", "events.sent", "events.settled",
       "sns.commit", "sns.committed", "sns.committed:3", "sns.sent", "sns.settled",
       "sigma.save", "sigma.saved", "sigma.handed-on", "server.finding-told"]],  # fmt: skip
    *[Step(at, watch, publish, all_are_told, "publish", 0) for at in ["sns.commit", "sns.committed", "sns.sent", "sns.settled"]],
    *[Step(at, watch, put_events, all_are_told, "put-events", 0) for at in
      ["events.commit", "events.committed", "events.sent", "events.settled"]],  # fmt: skip
    Step("sigma.changed", watch, change_rule, all_are_told),
    *[Step(at) for at in ["objects.staged", "objects.described", "objects.placed"]],
    *[Step(at, Object, put_object, object_is_whole, "client") for at in
      ["objects.staged:2", "objects.described:2", "objects.placed:2"]],  # fmt: skip
    Step("objects.deleted", Object, put_and_delete_object, object_is_whole),
    Step("objects.kept", Versions, put_versions, versions_are_whole),
    Step("objects.marked", Versions, put_and_hide, versions_are_whole),
    *[Step(at, Versions, put_versions_and_delete_the_last, versions_are_whole) for at in
      ["objects.brought-back", "objects.version-deleted"]],  # fmt: skip
    Step("objects.bucket-directory", Object, create_bucket, bucket_can_be_created),
    *[Step(at, Object, upload_object, upload_can_be_completed) for at in
      ["objects.part-placed", "objects.completed"]],  # fmt: skip
    *[Step(at, Files, import_files, files_are_imported_once) for at in ["server.import-mark:2", "server.import-marked:2"]],
    *[Step(at, followed, put_followed, nothing_is_followed_any_more) for at in
      ["follow.take", "follow.take:2", "follow.taken", "follow.taken:2", "follow.fold", "follow.folded", "follow.folded:2", "follow.pass",
       "follow.passed", "follow.passed:3"]],  # fmt: skip
    *[Step(at, notified, put_followed, every_message_is_done_with, "queue") for at in
      ["follow.taken:2", "follow.notified", "follow.notified:2"]],  # fmt: skip
]

# Those of a directory's very first start.
FIRST_STEPS = ["keys.staged", "keys.made", "catalog.commit", "catalog.committed", "server.root-key",
               "server.credentials-staged", "server.credentials", "journal.segment-staged", "journal.segment-named",
               "lake.staged", "lake.committed"]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server that lives through every step; at the end, everything that it ever acknowledged is looked for."""
    world = World(tmp_path_factory.mktemp("world"))
    yield world
    if world.server.process is not None:
        world.server.kill()
    world.webhook.close()


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_kill_at_a_step_loses_and_doubles_nothing(world, step):
    before, calls, since = len(world.acknowledged), len(world.calls), time.time() - 1
    prepared = world.prepare(step)
    world.crash(step, prepared)
    step.after(world, prepared)
    world.prove(since, world.acknowledged[before:], world.calls[calls:])
    world.stop_and_fsck()


def test_everything_acknowledged_over_all_steps_is_there_once(world):
    """Looked for in the end, in what is left after all of the steps, by the product's own checks too."""
    world.server.start()
    world.trails.stop_logging(Name="main")
    world.prove(None, world.acknowledged, world.calls)

    def all_listed():
        bucket = world.server.data / "objects/trail-logs"
        digests = [json.loads(gzip.decompress(path.read_bytes())) for path in bucket.glob("AWSLogs/**/CloudTrail-Digest/**/*.json.gz")]
        listed = collections.Counter(file["s3Object"] for digest in digests for file in digest["logFiles"])
        assert max(listed.values()) == 1, "a log file in two digests"
        return set(listed) == {str(path.relative_to(bucket)) for path in bucket.glob("AWSLogs/**/CloudTrail/**/*.json.gz")}

    wait_until(all_listed, "the last digest")
    opentrail(world.server, "verify", "s3://trail-logs")
    world.stop_and_fsck()


@pytest.mark.parametrize("at", FIRST_STEPS)
def test_a_kill_at_a_step_of_the_first_start_leaves_a_directory_that_starts(tmp_path, at):
    server = Server(tmp_path, CONFIG, ["--log", "warn"], {"OPENTRAIL_CRASH_AT": at}).start(wait=False)
    assert server.process.wait(30) == -signal.SIGKILL, server.log_tail()
    keys = server.key() if (server.data / "credentials").exists() else None
    server.environment = {}
    server.start()
    assert keys in (None, server.key()), "a key that was shown is kept"
    ids = [str(uuid.uuid4()) for _ in range(3)]
    assert server.put_records(b"\n".join(json.dumps(record(i)).encode() for i in ids))["Accepted"] == 3
    server.kill()
    server.start()
    assert set(ids) <= set(looked_up(server)[0])
    assert server.stop() == 0
    opentrail_offline("fsck", "--data-dir", server.data)


def test_every_crash_point_of_the_server_has_a_test():
    lines = subprocess.run([binary(), "crash-points"], capture_output=True, text=True, check=True).stdout.splitlines()
    tested = {step.at.split(":")[0] for step in STEPS} | set(FIRST_STEPS) | set(INSIGHT_STEPS)
    assert {line.split()[0] for line in lines} == tested


def test_a_step_that_is_none_is_refused_by_name(tmp_path):
    server = Server(tmp_path, environment={"OPENTRAIL_CRASH_AT": "journal.sinced"}).start(wait=False)
    assert server.process.wait(30) == 2
    assert "journal.sinced" in server.log_tail()
    assert not server.data.exists()
