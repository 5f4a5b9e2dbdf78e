"""Records put straight into the journal."""

import datetime
import json
import uuid

from opentrail_server import ACCOUNT, Server


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
    """Puts them in as NDJSON; every one must be accepted."""
    body = "".join(json.dumps(r, separators=(",", ":")) + "\n" for r in records).encode()
    report = server.put_records(body, region=region)
    assert report["Accepted"] == len(records), report
