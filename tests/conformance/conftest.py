"""A real server for stock clients.

Tests share the server and keep apart by Region: the fixture `region` is a new one for each test, as a Region is any
name.
"""

import itertools
import json
import os

import pytest
from accounts import CONFIG, Key
from opentrail_server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server that the whole run shares."""
    server = Server(tmp_path_factory.mktemp("server"), CONFIG).start()
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def client(server):
    """Makes boto3 clients: `client("cloudtrail", "us-east-1", key)`; without a key, the root user's. They send what they
    are given, so that the server's own validation is seen."""

    def make(service: str, region: str = "us-east-1", key: Key | None = None):
        secrets = (key.id, key.secret) if key else None
        token = key.token if key else None
        return server.client(service, region, secrets, token, parameter_validation=False)

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
    """A bucket that CloudTrail may deliver to, below any prefix."""
    s3, name = client("s3"), "conformance-logs"
    s3.create_bucket(Bucket=name)
    allow = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}}
    acl = allow | {"Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{name}"}
    put = allow | {"Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*"}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [acl, put]}))
    return name


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
