"""The real server as tests run it: on a free port, in a directory of its own, stopped by its process id."""

import configparser
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

ACCOUNT = "100000000001"
REGION = "us-east-1"
BUCKET_POLICY = """{{"Version": "2012-10-17", "Statement": [
  {{"Effect": "Allow", "Principal": {{"Service": "cloudtrail.amazonaws.com"}}, "Action": "s3:GetBucketAcl",
    "Resource": "arn:aws:s3:::{bucket}"}},
  {{"Effect": "Allow", "Principal": {{"Service": "cloudtrail.amazonaws.com"}}, "Action": "s3:PutObject",
    "Resource": "arn:aws:s3:::{bucket}/{prefix}AWSLogs/{account}/*",
    "Condition": {{"StringEquals": {{"s3:x-amz-acl": "bucket-owner-full-control"}}}}}}]}}"""


def binary():
    path = os.environ.get("OPENTRAIL_BIN")
    if not path:
        raise RuntimeError("OPENTRAIL_BIN must name the built opentrail binary; run `make conformance`")
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what, seconds=60, pause=0.05):
    """Polls until the condition gives something true, which is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(pause)


class Server:
    """An `opentrail serve` process. Its port stays the same over restarts."""

    def __init__(self, directory, config="", arguments=(), environment=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data = self.directory / "data"
        self.config = self.directory / "opentrail.toml"
        self.config.write_text(config)
        self.log = self.directory / "opentrail.log"
        self.arguments = list(arguments)
        self.environment = environment or {}
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self, wait=True):
        command = [binary(), "serve", "--data-dir", str(self.data), "--listen", f"127.0.0.1:{self.port}",
                   "--config", str(self.config), *self.arguments]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **self.environment})
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log_tail()}")
            return self.is_ready()
        wait_until(ready, f"readiness ({self.log})", pause=0.01)

    def is_ready(self):
        try:
            return urllib.request.urlopen(f"{self.endpoint}/health/ready", timeout=5).status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def log_tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, timeout=60):
        """SIGTERM, and the exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop within {timeout} s:\n{self.log_tail()}") from None
        finally:
            self.process = None

    def kill(self):
        """SIGKILL."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def key(self, profile="default"):
        credentials = configparser.ConfigParser()
        credentials.read(self.data / "credentials")
        section = credentials[profile]
        return section["aws_access_key_id"], section["aws_secret_access_key"]

    def cli_environment(self, region=REGION):
        """What the AWS CLI needs to speak to this server as root."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return {**clean, "AWS_SHARED_CREDENTIALS_FILE": str(self.data / "credentials"),
                "AWS_CONFIG_FILE": str(self.directory / "no-aws-config"), "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_DEFAULT_REGION": region, "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true"}

    def client(self, service, region=REGION, key=None, token=None, endpoint=None, **config):
        """A boto3 client; as root unless a key is given. Errors are not retried, so that tests see them."""
        access_key, secret = key or self.key()
        settings = {"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, **config}
        return boto3.client(service, region_name=region, endpoint_url=endpoint or self.endpoint,
                            aws_access_key_id=access_key, aws_secret_access_key=secret, aws_session_token=token,
                            config=Config(**settings))

    def put_records(self, body, encoding=None, region=REGION, key=None, timeout=60):
        """POST /v1/records; the parsed report."""
        headers = {"Content-Type": "application/x-ndjson"}
        if encoding:
            headers["Content-Encoding"] = encoding
        return self.post("/v1/records", body, headers, region, key, timeout)

    def post(self, path, body, headers=None, region=REGION, key=None, timeout=60):
        """A signed POST to a path of this server's own API; the parsed answer."""
        headers = headers or {"Content-Type": "application/json"}
        request = AWSRequest("POST", f"{self.endpoint}{path}", data=body, headers=headers)
        SigV4Auth(Credentials(*(key or self.key())), "cloudtrail", region).add_auth(request)
        call = urllib.request.Request(request.url, data=body, headers=dict(request.headers), method="POST")
        with urllib.request.urlopen(call, timeout=timeout) as response:
            return json.load(response)

    def make_log_bucket(self, bucket="trail-logs", prefix=""):
        s3 = self.client("s3")
        s3.create_bucket(Bucket=bucket)
        slashed = f"{prefix}/" if prefix else ""
        s3.put_bucket_policy(Bucket=bucket, Policy=BUCKET_POLICY.format(bucket=bucket, account=ACCOUNT, prefix=slashed))
        return bucket

    def make_trail(self, name="main", bucket="trail-logs", **settings):
        """A bucket and a trail that logs into it; the trail's ARN."""
        self.make_log_bucket(bucket, settings.get("S3KeyPrefix", ""))
        trails = self.client("cloudtrail")
        arn = trails.create_trail(Name=name, S3BucketName=bucket, **settings)["TrailARN"]
        trails.start_logging(Name=name)
        return arn

    def log_files(self, bucket="trail-logs"):
        """The names of the delivered log files (not digests) in the embedded store."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [key for key in keys if re.search(r"/CloudTrail/", key)]


def record(event_id, name="Probe", time_text=None, **more):
    """A small management record of the test account."""
    when = time_text or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"eventVersion": "1.11", "userIdentity": {"type": "Root", "principalId": ACCOUNT,
            "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}, "eventTime": when,
            "eventSource": "probe.amazonaws.com", "eventName": name, "awsRegion": REGION,
            "sourceIPAddress": "192.0.2.1", "userAgent": "test", "requestParameters": None, "responseElements": None,
            "requestID": event_id, "eventID": event_id, "readOnly": False, "eventType": "AwsApiCall",
            "managementEvent": True, "recipientAccountId": ACCOUNT, "eventCategory": "Management", **more}
