"""Log files in a bucket, a role that may read them, and imports of them into event data stores."""

import gzip
import json
import time

from opentrail_server import ACCOUNT, REGION

ROLE = "lake-import"


def trust(account=ACCOUNT, region=REGION, service="cloudtrail.amazonaws.com"):
    """As the User Guide has it for imports into event data stores."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account},
                      "ArnLike": {"aws:SourceArn": f"arn:aws:cloudtrail:{region}:{account}:eventdatastore/*"}}}]})  # fmt: skip


def rights(bucket, keys="*"):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketAcl"], "Resource": f"arn:aws:s3:::{bucket}"},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/{keys}"}]})  # fmt: skip


def make_role(iam, bucket, name=ROLE, region=REGION, keys="*"):
    """A role that may read the bucket; its ARN."""
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(region=region))
    iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=rights(bucket, keys))
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def key_of(number, day="2026/01/02", region=REGION, account=ACCOUNT, prefix=""):
    """The key of a log file as CloudTrail has it."""
    minute = day.replace("/", "") + f"T{number // 60 % 24:02}{number % 60:02}Z"
    return f"{prefix}AWSLogs/{account}/CloudTrail/{region}/{day}/{account}_CloudTrail_{region}_{minute}_{number:016}.json.gz"


def log_file(lines):
    """A log file of records as they are."""
    return gzip.compress(b'{"Records":[' + b",".join(lines) + b"]}", 1)


def source(bucket, role=f"arn:aws:iam::{ACCOUNT}:role/{ROLE}", folder="", region="us-east-1"):
    return {"S3": {"S3LocationUri": f"s3://{bucket}/{folder}", "S3BucketRegion": region, "S3BucketAccessRoleArn": role}}


def wait_for_import(cloudtrail, import_id, seconds=120):
    """Polls an import until it has ended; what GetImport says."""
    deadline = time.monotonic() + seconds
    while True:
        found = cloudtrail.get_import(ImportId=import_id)
        if found["ImportStatus"] not in ("INITIALIZING", "IN_PROGRESS"):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def run_import(cloudtrail, destination, import_source, **more):
    """An import once it has ended."""
    started = cloudtrail.start_import(Destinations=[destination], ImportSource=import_source, **more)
    return wait_for_import(cloudtrail, started["ImportId"])
