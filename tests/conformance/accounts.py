"""The accounts, users and keys of the server under test."""

import dataclasses
import json

from opentrail_server import ACCOUNT

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
[outbound]
allow = ["127.0.0.0/8"]
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
