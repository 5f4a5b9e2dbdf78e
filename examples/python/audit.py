"""Puts one audit event of an application into its channel."""

import base64
import datetime
import hashlib
import json
import os
import uuid

import boto3

channel = os.environ["CHANNEL_ARN"]
owner = channel.split(":")[4]

event = json.dumps(
    {
        "version": "1.0",
        "UID": str(uuid.uuid4()),
        "userIdentity": {"type": "CustomUserIdentity", "principalId": "alice", "details": {"team": "finance"}},
        "eventTime": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "documents.example.com",
        "eventName": "DocumentDeleted",
        "requestParameters": {"document": "invoice-17"},
        "recipientAccountId": owner,
    }
)
checksum = base64.b64encode(hashlib.sha256(event.encode()).digest()).decode()

answer = boto3.client("cloudtrail-data").put_audit_events(
    channelArn=channel,
    auditEvents=[{"id": "1", "eventData": event, "eventDataChecksum": checksum}],
)
for failed in answer["failed"]:
    raise SystemExit(f"{failed['errorCode']}: {failed['errorMessage']}")
print(answer["successful"][0]["eventID"])
