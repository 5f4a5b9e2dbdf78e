"""A real server for stock clients, and what they need to talk to it.

Every test starts from a server that `OPENTRAIL_BIN` names, on a free port and in a temporary directory. Tests share the
server and keep apart by Region: the fixture `region` is a new one for each test, as a Region is any name.
"""

import dataclasses
import itertools
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import botocore.config
import pytest

ACCOUNT = "100000000001"
OTHER_ACCOUNT = "200000000002"

READER_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["cloudtrail:Describe*", "cloudtrail:List*"], "Resource": "*"},
        {"Effect": "Allow", "Action": "sts:*", "Resource": "*"},
    ],
}
AUDITOR_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"},
    ],
}
AUDITOR_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "cloudtrail:LookupEvents", "Resource": "*"}],
}

CONFIG = f"""
[delivery]
max_age = "1s"
[digest]
interval = "5s"

[[account]]
id = "{ACCOUNT}"
[[account.user]]
name = "reader"
policies = ['''{json.dumps(READER_POLICY)}''']
[[account.user.access_key]]
id = "AKIAREADER0000000001"
secret = "reader-secret"
[[account.role]]
name = "auditor"
trust_policy = '''{json.dumps(AUDITOR_TRUST)}'''
policies = ['''{json.dumps(AUDITOR_POLICY)}''']

[[account]]
id = "{OTHER_ACCOUNT}"
[[account.user]]
name = "other-admin"
policies = ['''{json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})}''']
[[account.user.access_key]]
id = "AKIAOTHER00000000001"
secret = "other-secret"
"""


@dataclasses.dataclass(frozen=True)
class Key:
    """An access key."""

    id: str
    secret: str
    token: str | None = None


READER = Key("AKIAREADER0000000001", "reader-secret")
OTHER = Key("AKIAOTHER00000000001", "other-secret")


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server."""

    endpoint: str
    data_dir: Path
    process: subprocess.Popen

    @property
    def root_key(self) -> Key:
        """The access key that the first start made."""
        text = (self.data_dir / "credentials").read_text()
        found = dict(re.findall(r"^(aws_\w+)\s*=\s*(\S+)$", text, re.MULTILINE))
        return Key(found["aws_access_key_id"], found["aws_secret_access_key"])

    def environment(self, region: str) -> dict[str, str]:
        """Variables with which `aws` talks to this server as the root user."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return kept | {
            "AWS_SHARED_CREDENTIALS_FILE": str(self.data_dir / "credentials"),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }

    def stop(self) -> int:
        """Asks the server to stop and waits until it has."""
        self.process.terminate()
        return self.process.wait(timeout=60)


def wait_for(condition, timeout: float = 30.0, what: str = "the condition"):
    """Polls until `condition()` is true, and returns what it returned."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(0.05)


def start_server(directory: Path, *arguments: str, config: str = CONFIG) -> Server:
    """Starts a server on a free port, and returns once it is ready."""
    binary = os.environ.get("OPENTRAIL_BIN")
    assert binary, "OPENTRAIL_BIN must name the opentrail binary"
    directory.mkdir(parents=True, exist_ok=True)
    config_file = directory / "opentrail.toml"
    config_file.write_text(config)
    data_dir = directory / "data"
    log = (directory / "server.log").open("a")
    process = subprocess.Popen(
        [binary, "serve", "--data-dir", data_dir, "--listen", "127.0.0.1:0", "--config", config_file, *arguments],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    endpoint = None
    for line in process.stdout:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            endpoint = found.group()
            break
    if endpoint is None:
        process.wait(timeout=10)
        raise AssertionError(f"the server did not start:\n{(directory / 'server.log').read_text()}")
    wait_for(lambda: is_ready(endpoint), what="readiness")
    return Server(endpoint, data_dir, process)


def is_ready(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/health/ready", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server that the whole run shares."""
    server = start_server(tmp_path_factory.mktemp("server"))
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def client(server):
    """Makes boto3 clients: `client("cloudtrail", "us-east-1", key)`; without a key, the root user's."""

    def make(service: str, region: str = "us-east-1", key: Key | None = None, server: Server = server, **config):
        key = key or server.root_key
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=server.endpoint,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            aws_session_token=key.token,
            config=botocore.config.Config(
                retries={"max_attempts": 0},
                parameter_validation=config.pop("parameter_validation", False),
                s3={"addressing_style": "path"},
                **config,
            ),
        )

    return make


REGION_NUMBERS = itertools.count(1)


@pytest.fixture
def region() -> str:
    """A Region of the test's own."""
    return f"test-{next(REGION_NUMBERS)}"


@pytest.fixture
def cloudtrail(client, region):
    """CloudTrail as the root user sees it, in the test's Region. Trails that the test leaves are deleted."""
    cloudtrail = client("cloudtrail", region)
    yield cloudtrail
    for trail in cloudtrail.list_trails()["Trails"]:
        client("cloudtrail", trail["HomeRegion"]).delete_trail(Name=trail["TrailARN"])


@pytest.fixture(scope="session")
def bucket(client):
    """A bucket that CloudTrail may deliver to."""
    make_bucket(client("s3"), "conformance-logs")
    return "conformance-logs"


def make_bucket(s3, name: str) -> None:
    """Makes a bucket with the policy of the User Guide, open to every trail."""
    s3.create_bucket(Bucket=name)
    cloudtrail = {"Service": "cloudtrail.amazonaws.com"}
    statements = [
        {
            "Sid": "AWSCloudTrailAclCheck20150319",
            "Effect": "Allow",
            "Principal": cloudtrail,
            "Action": "s3:GetBucketAcl",
            "Resource": f"arn:aws:s3:::{name}",
        },
        {
            "Sid": "AWSCloudTrailWrite20150319",
            "Effect": "Allow",
            "Principal": cloudtrail,
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{name}/*",
            "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}},
        },
    ]
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))


@pytest.fixture
def trail(cloudtrail, bucket):
    """A trail that does not log yet; its ARN."""
    return cloudtrail.create_trail(Name="main", S3BucketName=bucket)["TrailARN"]


def pytest_configure(config):
    config.addinivalue_line("markers", "operation(*names): operations that the test proves, for the compatibility table")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Writes what each test proves to the file that OPENTRAIL_CONFORMANCE_RESULTS names, as JSON lines."""
    report = yield
    path = os.environ.get("OPENTRAIL_CONFORMANCE_RESULTS")
    if path and (report.when == "call" or report.failed):
        with open(path, "a") as results:
            for marker in item.iter_markers("operation"):
                for operation in marker.args:
                    case = item.callspec.params.get("case", item.name) if hasattr(item, "callspec") else item.name
                    outcome = "passed" if report.passed else "failed"
                    results.write(json.dumps({"operation": operation, "case": str(case), "outcome": outcome}) + "\n")
    return report
