"""A federated store's table in other engines: they read the rows that the store's own queries see, with credentials that can
do nothing else."""

import json
import uuid

import botocore.exceptions
import duckdb
import polars
import pytest
from commands import opentrail, opentrail_offline
from deltalake import DeltaTable
from opentrail_server import ACCOUNT, REGION, Server, record, wait_until
from results import run

CONFIG = """
[stores]
flush_age = "100ms"
maintenance_interval = "200ms"
"""
READER = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "cloudtrail:GetEventDataStoreData", "Resource": "*"}],
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"Service": "lakeformation.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path, CONFIG) as server:
        yield server
        assert server.stop() == 0
        opentrail_offline("fsck", "--data-dir", server.data)


@pytest.fixture
def role(server):
    iam = server.client("iam")
    made = iam.create_role(RoleName="lake-reader", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="lake-reader", PolicyName="read", PolicyDocument=json.dumps(READER))
    iam.create_user(UserName="analyst")
    may_assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": made}
    policy = {"Version": "2012-10-17", "Statement": [may_assume]}
    iam.put_user_policy(UserName="analyst", PolicyName="assume", PolicyDocument=json.dumps(policy))
    return made


def keys_of(server, role):
    """Temporary credentials of the role, for a user who can do nothing but assume it."""
    key = server.client("iam").create_access_key(UserName="analyst")["AccessKey"]
    sts = server.client("sts", key=(key["AccessKeyId"], key["SecretAccessKey"]))
    return sts.assume_role(RoleArn=role, RoleSessionName="engine")["Credentials"]


def options(server, keys):
    return {
        "aws_endpoint_url": server.endpoint,
        "aws_region": REGION,
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
        "aws_allow_http": "true",
    }


def put(server, count, name):
    lines = [json.dumps(record(str(uuid.uuid4()), name)).encode() for _ in range(count)]
    assert server.put_records(b"\n".join(lines))["Accepted"] == count


def test_other_engines_read_the_rows_of_a_federated_store(server, role):
    cloudtrail = server.client("cloudtrail")
    store = cloudtrail.create_event_data_store(Name="shared")["EventDataStoreArn"]
    bucket = store.rpartition("/")[2]
    put(server, 300, "Seen")
    enabled = cloudtrail.enable_federation(EventDataStore=store, FederationRoleArn=role)
    assert (enabled["FederationStatus"], enabled["FederationRoleArn"]) == ("ENABLED", role)
    assert cloudtrail.get_event_data_store(EventDataStore=store)["FederationRoleArn"] == role
    keys = keys_of(server, role)

    def seen(storage):
        return DeltaTable(f"s3://{bucket}", storage_options=storage).to_pyarrow_table(columns=["eventid", "eventname"])

    def flushed():
        return seen(options(server, keys)).column("eventname").to_pylist().count("Seen") == 300

    wait_until(flushed, "the rows in the table")
    for name in ("First", "Second"):
        put(server, 50, name)
        wait_until(lambda name=name: name in seen(options(server, keys)).column("eventname").to_pylist(), f"{name} in the table")

    statement = "SELECT eventName, count(*) AS n FROM {} WHERE eventName IN ('Seen', 'First', 'Second') GROUP BY eventName"
    expected = {row["eventName"]: int(row["n"]) for row in run(cloudtrail, statement.format(bucket))}
    assert expected == {"Seen": 300, "First": 50, "Second": 50}
    frame = polars.scan_delta(f"s3://{bucket}", storage_options=options(server, keys))
    frame = frame.filter(polars.col("eventname").is_in(list(expected))).group_by("eventname").len().collect()
    assert dict(frame.iter_rows()) == expected
    events = DeltaTable(f"s3://{bucket}", storage_options=options(server, keys)).to_pyarrow_dataset()
    counted = duckdb.sql("SELECT eventname, count(*) FROM events WHERE eventname IN ('Seen', 'First', 'Second') GROUP BY 1")
    assert dict(counted.fetchall()) == expected
    [raw] = duckdb.sql("SELECT DISTINCT useridentity.accountid FROM events WHERE eventname = 'Seen'").fetchall()
    assert raw == (ACCOUNT,), "nested columns"

    # It survives a restart, and ends when it is disabled.
    assert server.stop() == 0
    server.start()
    assert seen(options(server, keys_of_again(server, role))).num_rows >= 400
    assert cloudtrail.disable_federation(EventDataStore=store)["FederationStatus"] == "DISABLED"
    with pytest.raises(Exception, match="(?i)not found|no such bucket|404|no files in log segment|denied|403"):
        seen(options(server, keys_of_again(server, role)))
    assert len(run(cloudtrail, f"SELECT eventID FROM {bucket} WHERE eventName = 'Seen'")) == 300, "queries go on"


def keys_of_again(server, role):
    iam = server.client("iam")
    for key in iam.list_access_keys(UserName="analyst")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="analyst", AccessKeyId=key["AccessKeyId"])
    return keys_of(server, role)


def test_the_table_can_only_be_read_and_only_by_those_who_may(server, role):
    cloudtrail, root = server.client("cloudtrail"), server.client("s3")
    store = cloudtrail.create_event_data_store(Name="shared")["EventDataStoreArn"]
    bucket = store.rpartition("/")[2]
    put(server, 10, "Seen")
    cloudtrail.enable_federation(EventDataStore=store, FederationRoleArn=role)
    keys = keys_of(server, role)
    reader = server.client("s3", key=(keys["AccessKeyId"], keys["SecretAccessKey"]), token=keys["SessionToken"])

    def log():
        return [item["Key"] for item in reader.list_objects_v2(Bucket=bucket, Prefix="_delta_log/")["Contents"]]

    wait_until(lambda: len(log()) > 1, "a commit of rows")
    first = log()[0]
    assert reader.get_object(Bucket=bucket, Key=first)["Body"].read().startswith(b"{")
    assert reader.head_object(Bucket=bucket, Key=first)["ContentLength"] > 0
    assert reader.get_object(Bucket=bucket, Key=first, Range="bytes=0-0")["Body"].read() == b"{"
    for client in (reader, root):
        for change in (
            lambda s3: s3.put_object(Bucket=bucket, Key=first, Body=b"x"),
            lambda s3: s3.delete_object(Bucket=bucket, Key=first),
            lambda s3: s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": first}]}),
            lambda s3: s3.create_multipart_upload(Bucket=bucket, Key="new"),
            lambda s3: s3.copy_object(Bucket=bucket, Key="new", CopySource={"Bucket": bucket, "Key": first}),
            lambda s3: s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": []})),
            lambda s3: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}),
            lambda s3: s3.delete_bucket(Bucket=bucket),
        ):
            with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
                change(client)
    with pytest.raises(botocore.exceptions.ClientError, match="BucketAlready|AccessDenied"):
        root.create_bucket(Bucket=bucket)
    assert log()[0] == first

    # Whoever has all of S3, but not the store's data, reads nothing.
    iam = server.client("iam")
    iam.create_user(UserName="storage")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="storage", PolicyName="s3", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="storage")["AccessKey"]
    storage = server.client("s3", key=(key["AccessKeyId"], key["SecretAccessKey"]))
    for read in (
        lambda: storage.list_objects_v2(Bucket=bucket),
        lambda: storage.get_object(Bucket=bucket, Key=first),
    ):
        with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
            read()
    with pytest.raises(botocore.exceptions.ClientError, match="EventDataStoreFederationEnabledException"):
        cloudtrail.update_event_data_store(EventDataStore=store, TerminationProtectionEnabled=False)
        cloudtrail.delete_event_data_store(EventDataStore=store)


def test_the_command_line_says_where_the_table_is(server, role):
    cloudtrail = server.client("cloudtrail")
    store = cloudtrail.create_event_data_store(Name="shared")["EventDataStoreArn"]
    assert "No event data store is federated" in opentrail(server, "federation", errors_too=True)
    cloudtrail.enable_federation(EventDataStore=store, FederationRoleArn=role)
    listed = opentrail(server, "federation")
    assert f"s3://{store.rpartition('/')[2]}" in listed and server.endpoint in listed and "lake-reader" in listed
    [told] = json.loads(opentrail(server, "federation", "--output", "json"))
    assert told == {
        "Name": "shared",
        "EventDataStoreArn": store,
        "Location": f"s3://{store.rpartition('/')[2]}",
        "EndpointUrl": server.endpoint,
        "FederationRoleArn": role,
    }


def test_the_table_of_a_store_with_a_key_is_read_by_whom_the_key_lets(server, role):
    cloudtrail, kms, iam, s3 = (server.client(name) for name in ("cloudtrail", "kms", "iam", "s3"))
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
         "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*"}]}  # fmt: skip
    key = kms.create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
    store = cloudtrail.create_event_data_store(Name="sealed", KmsKeyId=key)["EventDataStoreArn"]
    bucket = store.rpartition("/")[2]
    put(server, 300, "Seen")
    cloudtrail.enable_federation(EventDataStore=store, FederationRoleArn=role)

    def files():
        listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {item["Key"]: item["Size"] for item in listed if "_delta_log" not in item["Key"]}

    wait_until(files, "a flush")
    keys = keys_of(server, role)

    def seen():
        return DeltaTable(f"s3://{bucket}", storage_options=options(server, keys)).to_pyarrow_table(columns=["eventname"])

    with pytest.raises(Exception, match="(?i)denied|403|forbidden|kms"):
        seen()
    both = READER | {"Statement": [*READER["Statement"], {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key}]}
    iam.put_role_policy(RoleName="lake-reader", PolicyName="read", PolicyDocument=json.dumps(both))
    wait_until(lambda: seen().column("eventname").to_pylist().count("Seen") == 300, "the rows in the table")
    events = DeltaTable(f"s3://{bucket}", storage_options=options(server, keys)).to_pyarrow_dataset()
    assert duckdb.sql("SELECT count(*) FROM events WHERE eventname = 'Seen'").fetchall() == [(300,)]
    frame = polars.scan_delta(f"s3://{bucket}", storage_options=options(server, keys))
    assert frame.filter(polars.col("eventname") == "Seen").select(polars.len()).collect().item() == 300

    # What is shown is plain and as long as is said; what lies on the disk is not.
    def whole():
        name, size = next(iter(files().items()))
        try:
            answer = s3.get_object(Bucket=bucket, Key=name)
        except s3.exceptions.NoSuchKey:
            return None  # merged meanwhile
        body = answer["Body"].read()
        assert (len(body), answer["SSEKMSKeyId"], answer["ServerSideEncryption"]) == (size, key, "aws:kms")
        assert body.startswith(b"PAR1") and body.endswith(b"PAR1")
        assert s3.get_object(Bucket=bucket, Key=name, Range="bytes=-4")["Body"].read() == b"PAR1"
        return (server.data / "tables/stores" / bucket / name).read_bytes()

    stored = wait_until(whole, "a file")
    assert b"PAR1" not in stored and key.encode() in stored
    kms.disable_key(KeyId=key)
    with pytest.raises(Exception, match="(?i)denied|403|forbidden|kms|disabled"):
        seen()
    with pytest.raises(botocore.exceptions.ClientError, match="KMS.DisabledException"):
        s3.get_object(Bucket=bucket, Key=next(iter(files())))
    kms.enable_key(KeyId=key)
    cloudtrail.disable_federation(EventDataStore=store)
