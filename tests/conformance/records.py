"""Records put straight into the journal."""

import datetime
import json
import urllib.request
import uuid

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from conftest import ACCOUNT, Server


def record(region: str, time: datetime.datetime, **fields) -> dict:
    """A management event of the bootstrap account, otherwise as `fields` say."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {"type": "Root", "accountId": ACCOUNT},
        "eventTime": time.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "example.amazonaws.com",
        "eventName": "ExampleCall",
        "awsRegion": region,
        "sourceIPAddress": "192.0.2.1",
        "requestParameters": None,
        "responseElements": None,
        "eventID": str(uuid.uuid4()),
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    } | fields


def put_records(server: Server, region: str, records: list[dict]) -> None:
    """`POST /v1/records`, as NDJSON; every record must be accepted."""
    body = "".join(json.dumps(r, separators=(",", ":")) + "\n" for r in records).encode()
    key = server.root_key
    request = AWSRequest("POST", f"{server.endpoint}/v1/records", {"Content-Type": "application/x-ndjson"}, body)
    SigV4Auth(Credentials(key.id, key.secret), "opentrail", region).add_auth(request)
    signed = urllib.request.Request(request.url, body, dict(request.headers), method="POST")
    with urllib.request.urlopen(signed, timeout=60) as answer:
        summary = json.load(answer)
    assert summary["accepted"] == len(records), summary
