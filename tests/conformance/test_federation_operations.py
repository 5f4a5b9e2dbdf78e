"""EnableFederation and DisableFederation, as stock clients call them."""

import json

import pytest

from accounts import OTHER, READER
from errors import refused
from opentrail_server import ACCOUNT

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lakeformation.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def role(client):
    iam = client("iam")
    yield iam.create_role(RoleName="federation", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.delete_role(RoleName="federation")


@pytest.fixture
def store(cloudtrail):
    settings = {"MultiRegionEnabled": False, "TerminationProtectionEnabled": False}
    return cloudtrail.create_event_data_store(Name="federated", **settings)["EventDataStoreArn"]


@pytest.mark.operation("EnableFederation", "DisableFederation", "GetEventDataStore")
def test_a_store_is_federated_with_a_role_until_it_is_not(cloudtrail, store, role):
    got = cloudtrail.get_event_data_store(EventDataStore=store)
    assert got["FederationStatus"] == "DISABLED" and "FederationRoleArn" not in got
    enabled = cloudtrail.enable_federation(EventDataStore=store.rpartition("/")[2], FederationRoleArn=role)
    del enabled["ResponseMetadata"]
    assert enabled == {"EventDataStoreArn": store, "FederationStatus": "ENABLED", "FederationRoleArn": role}
    for got in (
        cloudtrail.get_event_data_store(EventDataStore=store),
        cloudtrail.update_event_data_store(EventDataStore=store, RetentionPeriod=30),
    ):
        assert (got["FederationStatus"], got["FederationRoleArn"]) == ("ENABLED", role)
    with refused("EventDataStoreFederationEnabledException", "already"):
        cloudtrail.enable_federation(EventDataStore=store, FederationRoleArn=role)
    with refused("EventDataStoreFederationEnabledException", "disable it first"):
        cloudtrail.delete_event_data_store(EventDataStore=store)
    disabled = cloudtrail.disable_federation(EventDataStore=store)
    del disabled["ResponseMetadata"]
    assert disabled == {"EventDataStoreArn": store, "FederationStatus": "DISABLED"}
    with refused("InvalidParameterException", "not enabled"):
        cloudtrail.disable_federation(EventDataStore=store)
    cloudtrail.delete_event_data_store(EventDataStore=store)


@pytest.mark.operation("EnableFederation", "DisableFederation")
def test_what_does_not_fit_is_refused(cloudtrail, client, region, store, role):
    for absent in ("role/absent", "user/federation"):
        with refused("InvalidParameterException", "is no role"):
            cloudtrail.enable_federation(EventDataStore=store, FederationRoleArn=f"arn:aws:iam::{ACCOUNT}:{absent}")
    with refused("InvalidParameterException"):
        cloudtrail.enable_federation(EventDataStore=store, FederationRoleArn="ab")
    with refused("InvalidParameterException"):
        cloudtrail.enable_federation(EventDataStore=store)
    for call in (
        lambda cloudtrail, name: cloudtrail.enable_federation(EventDataStore=name, FederationRoleArn=role),
        lambda cloudtrail, name: cloudtrail.disable_federation(EventDataStore=name),
    ):
        with refused("EventDataStoreARNInvalidException"):
            call(cloudtrail, "no-store")
        with refused("EventDataStoreNotFoundException"):
            call(cloudtrail, "00000000-0000-4000-8000-000000000000")
        with refused("AccessDeniedException", "is not authorized to perform: cloudtrail:"):
            call(client("cloudtrail", region, READER), store)
        with refused("AccessDeniedException"):
            call(client("cloudtrail", region, OTHER), store)
    cloudtrail.delete_event_data_store(EventDataStore=store)
    with refused("InactiveEventDataStoreException"):
        cloudtrail.enable_federation(EventDataStore=store, FederationRoleArn=role)


@pytest.mark.operation("EnableFederation")
def test_the_role_must_be_one_that_the_caller_may_pass(client, region, store, role):
    iam = client("iam")
    iam.create_user(UserName="federator")
    allowed = {"Effect": "Allow", "Action": "cloudtrail:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="federator", PolicyName="lake", PolicyDocument=policy)
    made = iam.create_access_key(UserName="federator")["AccessKey"]
    key = type(READER)(made["AccessKeyId"], made["SecretAccessKey"])
    with refused("AccessDeniedException", "iam:PassRole"):
        client("cloudtrail", region, key).enable_federation(EventDataStore=store, FederationRoleArn=role)


@pytest.mark.operation("EnableFederation")
def test_a_bucket_of_the_name_stands_in_the_way(cloudtrail, client, store, role):
    s3, bucket = client("s3"), store.rpartition("/")[2]
    s3.create_bucket(Bucket=bucket)
    with refused("OperationNotPermittedException", "bucket"):
        cloudtrail.enable_federation(EventDataStore=store, FederationRoleArn=role)
    s3.delete_bucket(Bucket=bucket)
    cloudtrail.enable_federation(EventDataStore=store, FederationRoleArn=role)
    cloudtrail.disable_federation(EventDataStore=store)
