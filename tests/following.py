"""A cloud elsewhere (moto), whose trail's bucket is followed."""

import datetime
import http.server
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import boto3
from importing import log_file
from opentrail_server import REGION, free_port, record, wait_until

THERE = "999988887777"


class Moto:
    """S3, SNS and SQS elsewhere."""

    def __init__(self, directory):
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log = directory / "moto.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(self.port)], stdout=log, stderr=log)
        wait_until(self.is_up, "moto's start", seconds=120)

    def is_up(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            return urllib.request.urlopen(f"{self.endpoint}/moto-api/data.json", timeout=5).status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def client(self, service):
        return boto3.client(service, "us-east-1", endpoint_url=self.endpoint, aws_access_key_id="k", aws_secret_access_key="s")

    def close(self):
        self.process.kill()
        self.process.wait()


def now(**ago):
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(**ago)


def key_at(unique, when=None, account=THERE, region=REGION, kind="CloudTrail", organization="", prefix=""):
    """The key of a log file as CloudTrail has it."""
    when = when or now()
    return (f"{prefix}AWSLogs/{organization}{account}/{kind}/{region}/{when:%Y/%m/%d}/"
            f"{account}_{kind}_{region}_{when:%Y%m%dT%H%M}Z_{unique}.json.gz")  # fmt: skip


def line_of(event_id, account=THERE, **more):
    """A record of that account, as its bytes are."""
    return json.dumps(record(event_id, recipientAccountId=account, **more)).encode()


def put_log(s3, bucket, key, lines):
    s3.put_object(Bucket=bucket, Key=key, Body=log_file(lines))


def s3_notice(bucket, *keys):
    """What S3 tells of new objects."""
    quoted = [urllib.parse.quote_plus(key, safe="/") for key in keys]
    return json.dumps({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                                    "s3": {"bucket": {"name": bucket}, "object": {"key": key}}} for key in quoted]})  # fmt: skip


class FakeQueue:
    """A queue as SQS has them, which outlives servers; a message that was received is given again at once."""

    def __init__(self):
        self.messages, self.lock, self.sent = {}, threading.Lock(), 0
        queue = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = json.dumps(queue.answer(self.headers["X-Amz-Target"], given)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/{THERE}/logs"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, target, given):
        with self.lock:
            if target == "AmazonSQS.ReceiveMessage":
                return {"Messages": [{"MessageId": i, "ReceiptHandle": i, "Body": body} for i, body in list(self.messages.items())[:10]]}
            if target == "AmazonSQS.DeleteMessageBatch":
                for entry in given["Entries"]:
                    self.messages.pop(entry["ReceiptHandle"], None)
                return {"Successful": given["Entries"], "Failed": []}
            assert target == "AmazonSQS.ChangeMessageVisibility", target
            return {}

    def send(self, body):
        with self.lock:
            self.sent += 1
            self.messages[str(self.sent)] = body

    def close(self):
        self.server.shutdown()
        self.server.server_close()
