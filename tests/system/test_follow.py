"""A bucket elsewhere is followed as if what a trail there logs were recorded here: Event history, an event data store and a
trail of this server have every record once, byte for byte, in whatever order files come, while the server is killed and the
bucket fails."""

import collections
import gzip
import json
import os
import pathlib
import subprocess
import urllib.request
import uuid

import pytest
import stored
from commands import opentrail, opentrail_offline
from delivered import log_files
from faulty import SLOW_DOWN, Faulty
from following import THERE, Moto, key_at, line_of, now, put_log, s3_notice
from importing import log_file
from opentrail_server import ACCOUNT, REGION, Server, binary, wait_until

DATA = pathlib.Path(os.environ.get("OPENTRAIL_SHARED_DATA", pathlib.Path(__file__).parents[3] / "shared" / "data"))
BUCKET = "their-logs"
HERE = "100000000002"
CONFIG = """
[stores]
flush_age = "200ms"
maintenance_interval = "300ms"
vacuum_age = "5s"
[history]
flush_age = "200ms"
[journal]
segment_bytes = "4MiB"
hold_back = "1s"
[delivery]
max_age = "200ms"
[digest]
interval = "1s"
[[account]]
id = "{here}"
[[destination]]
buckets = ["{bucket}"]
endpoint = "{endpoint}"
access_key_id = "k"
secret_access_key = "s"
[[follow]]
name = "theirs"
bucket = "{bucket}"
account = "{account}"
accounts = ["{there}", "{other}"]
start = "2days"
poll = "100ms"
sweep = "{sweep}"
{more}
"""
OTHER = "888877776666"


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    moto = Moto(tmp_path_factory.mktemp("moto"))
    yield moto
    moto.close()


class World:
    """A bucket there, and here a server that follows it, with a store and a trail."""

    def __init__(self, moto, directory, more="", sweep="300ms"):
        self.moto, self.s3 = moto, moto.client("s3")
        for bucket in self.s3.list_buckets()["Buckets"]:
            if bucket["Name"] == BUCKET:
                for item in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
                    self.s3.delete_object(Bucket=BUCKET, Key=item["Key"])
        self.s3.create_bucket(Bucket=BUCKET)
        self.proxy = Faulty(moto.port, "GET")
        config = CONFIG.format(bucket=BUCKET, endpoint=self.proxy.endpoint, account=ACCOUNT, here=HERE, there=THERE, other=OTHER, more=more, sweep=sweep)
        self.server = Server(directory / "server", config, ["--log", "info"]).start()
        self.put = []

    def put_log(self, key, count=3, **more):
        """A log file of new records; these."""
        lines = [line_of(str(uuid.uuid4()), **more) for _ in range(count)]
        put_log(self.s3, BUCKET, key, lines)
        self.put += lines
        return lines

    def metric(self, name, **labels):
        text = urllib.request.urlopen(f"{self.server.endpoint}/metrics").read().decode()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = [line for line in text.splitlines() if line.startswith(name + "{") and all(label in line for label in wanted)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def close(self):
        if self.server.process is not None:
            assert self.server.stop() == 0
        self.proxy.close()
        opentrail_offline("fsck", "--data-dir", self.server.data)


@pytest.fixture
def world(moto, tmp_path):
    world = World(moto, tmp_path)
    yield world
    world.close()


def create_store(server):
    settings = {"BillingMode": "EXTENDABLE_RETENTION_PRICING", "RetentionPeriod": 3653, "TerminationProtectionEnabled": False}
    return server.client("cloudtrail").create_event_data_store(Name="theirs", **settings)["EventDataStoreArn"]


def probes(lines):
    return sorted(line for line in lines if b'"eventName": "Probe"' in line)


def delivered(server):
    """The records as they stand in this server's log files."""
    texts = [gzip.decompress(path.read_bytes()) for path in log_files(server)]
    found = []
    for text in texts:
        decoder, text, at = json.JSONDecoder(), text.decode(), len('{"Records":[')
        while text[at] != "]":
            _, end = decoder.raw_decode(text, at)
            found.append(text[at:end].encode())
            at = end + (text[end] == ",")
    return found


def history(server):
    pages = server.client("cloudtrail").get_paginator("lookup_events")
    query = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "Probe"}]}
    return [event["CloudTrailEvent"].encode() for page in pages.paginate(**query) for event in page["Events"]]


def everywhere(world, arn):
    """Waits until history, store and trail have what was put; each has it once."""
    expected = sorted(world.put)
    for name, found in [("history", lambda: probes(history(world.server))),
                        ("the store", lambda: probes(stored.raw(world.server, arn))),
                        ("the trail", lambda: probes(delivered(world.server)))]:  # fmt: skip
        wait_until(lambda found=found: set(expected) <= set(found()), f"all records in {name}\n{world.server.log_tail()}")
        assert found() == expected, f"once, byte for byte, in {name}"


def test_every_record_comes_once_in_whatever_order_files_come(world):
    arn = create_store(world.server)
    world.server.make_trail()
    world.put_log(key_at("m"))
    world.put_log(key_at("m", region="eu-west-1"))  # of that folder; Event history and the trail are looked at in one Region
    everywhere(world, arn)
    world.put_log(key_at("a"))
    world.put_log(key_at("late", now(hours=20)), 2)
    world.put_log(key_at("insight", kind="CloudTrail-Insight"), 1)
    world.put_log(key_at("member", account=OTHER, organization="o-abcdefghij/"), 2, account=OTHER)
    # The same records in another file, and what holds none.
    put_log(world.s3, BUCKET, key_at("again"), world.put[:3])
    world.s3.put_object(Bucket=BUCKET, Key=key_at("digest", kind="CloudTrail-Digest"), Body=log_file([]))
    world.s3.put_object(Bucket=BUCKET, Key=key_at("x").replace(".json.gz", ".txt"), Body=b"hello")
    everywhere(world, arn)
    # A file with many records, several chunks of them.
    world.put_log(key_at("large"), 3000, requestParameters={"padding": "x" * 2000})
    everywhere(world, arn)
    wait_until(lambda: world.metric("opentrail_follow_files_total", outcome="taken") == 8, "every file's count")
    assert world.metric("opentrail_follow_records_total", outcome="duplicate") == 3


def test_a_broken_file_stops_no_other_and_is_taken_once_it_is_mended(world):
    arn = create_store(world.server)
    world.server.make_trail()
    broken, bomb = key_at("broken"), key_at("bomb")
    world.s3.put_object(Bucket=BUCKET, Key=broken, Body=b"no gzip")
    world.s3.put_object(Bucket=BUCKET, Key=bomb, Body=gzip.compress(b" " * (200 << 20)))
    world.put_log(key_at("good"))
    everywhere(world, arn)
    wait_until(lambda: world.metric("opentrail_follow_files_total", outcome="failed") >= 2, "both failures")
    world.put_log(broken)
    world.server.kill()
    world.server.start()
    everywhere(world, arn)


def test_accounts_of_this_server_are_not_forged(world):
    world.put_log(key_at("forged"), 2, account=HERE)
    world.put_log(key_at("own", account=HERE), 2, account=HERE)
    good = world.put_log(key_at("good"), 2)
    wait_until(lambda: probes(history(world.server)) == sorted(good), "the good records")
    wait_until(lambda: world.metric("opentrail_follow_records_total", outcome="refused") == 2, "the refusal's count")
    assert "may not bring" in world.server.log_tail(500)


def test_a_bucket_that_fails_for_a_while_is_followed_again(world):
    arn = create_store(world.server)
    world.server.make_trail()
    world.put_log(key_at("before"))
    everywhere(world, arn)
    world.proxy.become(SLOW_DOWN)
    world.put_log(key_at("meanwhile"))
    wait_until(lambda: world.metric("opentrail_follow_failed_polls_total") >= 1, "a failed look")
    world.proxy.become(None)
    everywhere(world, arn)


def real_lines():
    files = sorted(DATA.glob("*.ndjson"))
    if not files:
        pytest.skip(f"no real records at {DATA}; OPENTRAIL_SHARED_DATA names their folder")
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    oldest = (now(days=3600)).strftime("%Y-%m-%d")

    def is_wanted(event):
        is_management = event.get("eventCategory", "Management") == "Management" and event.get("managementEvent") in (True, None)
        return is_management and oldest < str(event.get("eventTime")) and event.get("eventType") != "AwsCloudTrailInsight"

    return sorted({line for line in lines if is_wanted(json.loads(line))})


def test_real_records_come_once_byte_for_byte_while_the_server_is_killed(world):
    arn = create_store(world.server)
    world.server.make_trail(IsMultiRegionTrail=True)
    lines = real_lines()
    groups = collections.defaultdict(list)
    for line in lines:
        groups[json.loads(line).get("awsRegion") or REGION].append(line)
    number = 0
    for region, of_region in groups.items():
        for at in range(0, len(of_region), 40):
            put_log(world.s3, BUCKET, key_at(f"{number:016}", now(minutes=number % 600), region=region), of_region[at : at + 40])
            number += 1
            if number % 25 == 0:
                world.server.kill()
                world.server.start()
    everything = collections.Counter(lines)

    def all_stored():
        found = collections.Counter(raw for raw in stored.raw(world.server, arn) if raw in everything)
        assert not found - everything, "none twice"
        return found == everything

    wait_until(all_stored, "every real record", 120)


def test_a_bucket_that_a_trail_here_delivers_to_is_not_followed(moto, tmp_path):
    world = World(moto, tmp_path)
    try:
        world.put_log(key_at("one"))
        wait_until(lambda: len(probes(history(world.server))) == 3, "what came before")
        cloudtrail = world.server.client("cloudtrail")
        cloudtrail.create_trail(Name="loop", S3BucketName=BUCKET)
        wait_until(lambda: "for ever" in world.server.log_tail(500), "the refusal")
        world.put_log(key_at("two"))
        cloudtrail.start_logging(Name="loop")
        # What the trail delivers into the bucket does not come back.
        wait_until(lambda: len(world.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])) >= 3, "a delivery")
        assert len(probes(history(world.server))) == 3
        cloudtrail.update_trail(Name="loop", S3KeyPrefix="ours")
        wait_until(lambda: len(probes(history(world.server))) == 6, "the trail is out of the way")
    finally:
        world.close()


@pytest.mark.parametrize(("more", "said"), [
    ("[[follow]]\nname = \"theirs\"\nbucket = \"b\"\naccount = \"100000000001\"", "follow[1].name"),
    ("[[follow]]\nname = \"second\"\nbucket = \"b\"\naccount = \"777766665555\"", "follow[1].account"),
    ("[[follow]]\nname = \"second\"\nbucket = \"b\"", "follow[1].account"),
])  # fmt: skip
def test_a_configuration_that_cannot_be_followed_is_refused_by_key(tmp_path, more, said):
    config = CONFIG.format(bucket=BUCKET, endpoint="http://127.0.0.1:1", account=ACCOUNT, here=HERE, there=THERE, other=OTHER, more=more, sweep="1s")
    (tmp_path / "opentrail.toml").write_text(config)
    command = [binary(), "serve", "--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--config", str(tmp_path / "opentrail.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and said in done.stderr, done.stderr


class Notified:
    """The same with a queue there, and no look but at the start."""

    def __init__(self, moto, directory):
        self.sqs = moto.client("sqs")
        self.url = self.sqs.create_queue(QueueName=f"logs-{uuid.uuid4().hex[:8]}")["QueueUrl"]
        self.arn = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.proxy = Faulty(moto.port, "POST")
        queue = (f'[follow.queue]\nurl = "{self.url}"\nendpoint = "{self.proxy.endpoint}"\nwait = "1s"\n'
                 'access_key_id = "k"\nsecret_access_key = "s"\n')  # fmt: skip
        self.world = World(moto, directory, queue, sweep="1h")

    def send(self, body):
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def left(self):
        attributes = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=attributes)["Attributes"]
        return sum(int(found[name]) for name in attributes)


@pytest.fixture
def notified(moto, tmp_path):
    notified = Notified(moto, tmp_path)
    yield notified
    notified.world.close()
    notified.proxy.close()


def test_a_queue_tells_of_files_in_every_shape_and_a_file_comes_once(notified, moto):
    world = notified.world
    arn = create_store(world.server)
    world.server.make_trail()
    # As S3 sends them itself, where moto does.
    configuration = {"QueueConfigurations": [{"QueueArn": notified.arn, "Events": ["s3:ObjectCreated:*"]}]}
    world.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=configuration)
    world.put_log(key_at("by-s3"))
    everywhere(world, arn)
    world.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})

    keys = {name: key_at(name) for name in ["raw", "by-sns", "by-cloudtrail", "by-eventbridge", "missed"]}
    for key in keys.values():
        world.put_log(key, 2)
    missed = world.put[-2:]
    del world.put[-2:]
    by_cloudtrail = json.dumps({"s3Bucket": BUCKET, "s3ObjectKey": [keys["by-cloudtrail"]]})
    by_eventbridge = {"source": "aws.s3", "detail-type": "Object Created",
                      "detail": {"bucket": {"name": BUCKET}, "object": {"key": keys["by-eventbridge"]}}}  # fmt: skip
    messages = [json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}),
                s3_notice(BUCKET, keys["raw"]), s3_notice(BUCKET, keys["raw"]), s3_notice("another-bucket", keys["raw"]),
                json.dumps({"Type": "Notification", "Message": s3_notice(BUCKET, keys["by-sns"])}),
                by_cloudtrail, json.dumps({"Type": "Notification", "Message": by_cloudtrail}), json.dumps(by_eventbridge)]  # fmt: skip
    for message in messages:
        notified.send(message)
    notified.send("hello")
    everywhere(world, arn)
    wait_until(lambda: notified.left() == 1, "the deletion of every message but that which is none")
    assert world.metric("opentrail_follow_records_total", outcome="duplicate") == 0
    # What no message told of is found by a look, here at a start.
    world.server.kill()
    world.server.start()
    world.put += missed
    everywhere(world, arn)


def test_a_queue_that_fails_is_asked_again_and_its_messages_are_kept_until_their_files_are_durable(notified):
    world = notified.world
    arn = create_store(world.server)
    world.server.make_trail()
    for name, fault in [("slow", SLOW_DOWN), ("mute", "mute")]:
        notified.proxy.become(fault)
        key = key_at(name)
        world.put_log(key)
        notified.send(s3_notice(BUCKET, key))
        wait_until(lambda: notified.proxy.met >= 1, "the fault")
        notified.proxy.become(None)
        if fault == "mute":
            # Received there, and never heard of here: the look at the start finds the file.
            world.server.kill()
            world.server.start()
        everywhere(world, arn)


def listed(server, code=0):
    return json.loads(opentrail(server, "follow", "--output", "json", code=code))["Sources"]


def test_the_command_line_says_how_a_bucket_is_doing(world):
    wait_until(lambda: listed(world.server)[0]["State"] == "Following", "the first look")
    world.put_log(key_at("good"))
    world.put_log(key_at("forged"), 2, account=HERE)
    broken = key_at("broken")
    world.s3.put_object(Bucket=BUCKET, Key=broken, Body=b"no gzip")
    wait_until(lambda: listed(world.server)[0]["Files"] == 2 and listed(world.server)[0]["Failures"], "both files and the failure")
    (source,) = listed(world.server)
    assert (source["Name"], source["Bucket"], source["Records"], source["Refused"], source["Folders"]) == ("theirs", BUCKET, 3, 2, 1)
    assert source["LagSeconds"] < 600 and source["Error"] is None
    (failure,) = source["Failures"]
    assert (failure["Key"], failure["Kind"], failure["SetAside"]) == (broken, "InvalidFile", False)
    table = opentrail(world.server, "follow")
    assert "theirs" in table and "following" in table and broken in table
    world.proxy.become(SLOW_DOWN)
    wait_until(lambda: "Failing" in opentrail(world.server, "follow", "--output", "json", code=None), "the failure")
    assert listed(world.server, code=1)[0]["Error"]
    world.proxy.become(None)


def test_only_who_may_is_told_of_followed_buckets(world):
    iam = world.server.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    environment = {**world.server.cli_environment(), "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    command = [binary(), "follow", "--output", "json"]
    denied = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert denied.returncode == 3 and "not authorized to perform: opentrail:ListFollowedBuckets" in denied.stderr, denied.stderr
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "opentrail:ListFollowedBuckets", "Resource": "*"}]}
    iam.put_user_policy(UserName="nobody", PolicyName="may", PolicyDocument=json.dumps(policy))
    allowed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert allowed.returncode == 0 and json.loads(allowed.stdout)["Sources"][0]["Name"] == "theirs", allowed.stderr
