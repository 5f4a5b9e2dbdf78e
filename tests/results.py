"""Delivered query results, checked as `aws cloudtrail verify-query-results` does, with cryptography of Python's own."""

import csv
import gzip
import hashlib
import io
import json
import time

import rsa

RESULTS_POLICY = """{{"Version": "2012-10-17", "Statement": [
  {{"Effect": "Allow", "Principal": {{"Service": "cloudtrail.amazonaws.com"}}, "Action": ["s3:PutObject*", "s3:Abort*"],
    "Resource": ["arn:aws:s3:::{bucket}", "arn:aws:s3:::{bucket}/*"],
    "Condition": {{"StringLike": {{"aws:SourceAccount": "{account}"}},
                   "ArnLike": {{"aws:SourceArn": "arn:aws:cloudtrail:{region}:{account}:eventdatastore/*"}}}}}},
  {{"Effect": "Allow", "Principal": {{"Service": "cloudtrail.amazonaws.com"}}, "Action": "s3:GetBucketAcl",
    "Resource": "arn:aws:s3:::{bucket}",
    "Condition": {{"StringLike": {{"aws:SourceAccount": "{account}"}},
                   "ArnLike": {{"aws:SourceArn": "arn:aws:cloudtrail:{region}:{account}:eventdatastore/*"}}}}}}]}}"""
FINAL = {"FINISHED", "FAILED", "CANCELLED", "TIMED_OUT"}
TWENTY_DAYS = 20 * 24 * 3600


def wait_for(cloudtrail, query, seconds=60, **more):
    """Polls a query, started by any call of `cloudtrail`, until it has ended and its delivery too; its description."""
    deadline = time.monotonic() + seconds
    while True:
        described = cloudtrail.describe_query(QueryId=query, **more)
        if described["QueryStatus"] in FINAL and described.get("DeliveryStatus") != "PENDING":
            return described
        assert time.monotonic() < deadline, described
        time.sleep(0.02)


def run(cloudtrail, statement, seconds=60, **more):
    """All rows of a query, which must finish, as dicts."""
    query = cloudtrail.start_query(QueryStatement=statement, **more)["QueryId"]
    described = wait_for(cloudtrail, query, seconds)
    assert described["QueryStatus"] == "FINISHED", described
    return rows_of(cloudtrail, query)


def rows_of(cloudtrail, query, **more):
    rows, token = [], {}
    while True:
        page = cloudtrail.get_query_results(QueryId=query, **token, **more)
        rows += [{name: value for column in row for name, value in column.items()} for row in page["QueryResultRows"]]
        if "NextToken" not in page:
            return rows
        token = {"NextToken": page["NextToken"]}


def objects_of(s3, bucket, query):
    """The delivered files of a query, by their names, and what their keys begin with."""
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []) if f"/{query}/" in item["Key"]]
    prefixes = {key.rpartition("/")[0] for key in keys}
    files = {key.rpartition("/")[2]: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    return files, prefixes.pop() if prefixes else None


def verify(cloudtrail, files):
    """The steps of the AWS CLI; the sign file."""
    sign = json.loads(files["result_sign.json"])
    assert sign["files"], "No export file was found in sign file."
    for file in sign["files"]:
        assert hashlib.sha256(files[file["fileName"]]).hexdigest() == file["fileHashValue"]
    complete = time.mktime(time.strptime(sign["queryCompleteTime"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    keys = cloudtrail.list_public_keys(StartTime=complete, EndTime=complete + TWENTY_DAYS)["PublicKeyList"]
    (key,) = [key for key in keys if key["Fingerprint"] == sign["publicKeyFingerprint"]]
    text = " ".join(file["fileHashValue"] for file in sign["files"])
    public = rsa.PublicKey.load_pkcs1(key["Value"], format="DER")
    assert rsa.verify(text.encode(), bytes.fromhex(sign["hashSignature"]), public) == "SHA-256"
    return sign


def table(files):
    """The comment, the headings and the rows of the only file of results."""
    text = gzip.decompress(files["result_1.csv.gz"]).decode()
    comment, _, rest = text.partition("\r\n")
    headings, *rows = csv.reader(io.StringIO(rest, newline=""))
    return comment, headings, rows
