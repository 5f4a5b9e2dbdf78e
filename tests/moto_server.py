"""moto as another cloud, in a process of its own."""

import contextlib
import json
import subprocess
import sys
import urllib.error
import urllib.request

import boto3
from opentrail_server import REGION, free_port, wait_until

CONFIG = """
[{service}]
endpoint = "{endpoint}"
access_key_id = "k"
secret_access_key = "s"
"""


class Moto:
    """Where it is, and clients for it."""

    def __init__(self, port):
        self.endpoint = f"http://127.0.0.1:{port}"

    def client(self, service, region=REGION):
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
        return boto3.client(service, region, endpoint_url=self.endpoint, **keys)

    def configure(self, **settings):
        body = json.dumps(settings).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/moto-api/config", body, method="POST")).read()


@contextlib.contextmanager
def moto_server(directory):
    """A moto server that listens; its log is in the directory."""
    port, log = free_port(), directory / "moto.log"
    with open(log, "wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=output, stderr=output)
    moto = Moto(port)

    def is_up():
        assert process.poll() is None, log.read_text()
        try:
            return urllib.request.urlopen(f"{moto.endpoint}/moto-api/data.json", timeout=5).status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    try:
        wait_until(is_up, "moto's start", seconds=120)
        yield moto
    finally:
        process.kill()
        process.wait()
