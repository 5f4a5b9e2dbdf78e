"""KMS keys of event data stores: how they are named, which are refused, and that they stay."""

import json
import uuid

import pytest

from errors import refused
from opentrail_server import ACCOUNT


def statement(principal: dict, actions, **more) -> dict:
    return {"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": "*"} | more


ROOT = statement({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "kms:*")
LAKE = statement({"Service": "cloudtrail.amazonaws.com"}, ["kms:GenerateDataKey", "kms:Decrypt"])


def policy(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def kms(client, region):
    """KMS as the root user sees it, in the test's Region."""
    return client("kms", region)


@pytest.fixture
def key(kms) -> str:
    """The ARN of a key that CloudTrail may use."""
    return kms.create_key(Policy=policy(ROOT, LAKE))["KeyMetadata"]["Arn"]


@pytest.fixture
def make(cloudtrail):
    """Creates stores of one Region that are deleted in the end; answers what CreateEventDataStore does."""

    def create(**settings) -> dict:
        settings = {"MultiRegionEnabled": False, "TerminationProtectionEnabled": False, "Name": str(uuid.uuid4())} | settings
        answer = cloudtrail.create_event_data_store(**settings)
        made.append(answer["EventDataStoreArn"])
        return answer

    made = []
    yield create
    for arn in made:
        cloudtrail.delete_event_data_store(EventDataStore=arn)


@pytest.mark.operation("CreateEventDataStore", "GetEventDataStore", "RestoreEventDataStore")
def test_a_key_is_named_in_four_ways_and_echoed_by_its_arn(cloudtrail, kms, key, make):
    name = f"alias/{uuid.uuid4()}"
    kms.create_alias(AliasName=name, TargetKeyId=key)
    alias = key.replace("key/" + key.rpartition("/")[2], name)
    for given in (key, key.rpartition("/")[2], name, alias):
        created = make(KmsKeyId=given)
        assert created["KmsKeyId"] == key
        assert cloudtrail.get_event_data_store(EventDataStore=created["EventDataStoreArn"])["KmsKeyId"] == key
    cloudtrail.delete_event_data_store(EventDataStore=created["EventDataStoreArn"])
    assert cloudtrail.restore_event_data_store(EventDataStore=created["EventDataStoreArn"])["KmsKeyId"] == key


@pytest.mark.operation("GetEventDataStore")
def test_partition_keys_are_those_of_the_table(cloudtrail, make):
    arn = make()["EventDataStoreArn"]
    got = cloudtrail.get_event_data_store(EventDataStore=arn)
    assert got["PartitionKeys"] == [{"Name": "event_date", "Type": "date"}]
    assert "KmsKeyId" not in got


def wrong_keys(client, kms, region):
    """Keys that cannot be a store's, and what is said of them."""
    closed = kms.create_key()["KeyMetadata"]["Arn"]
    makes = kms.create_key(Policy=policy(ROOT, statement(LAKE["Principal"], "kms:GenerateDataKey")))["KeyMetadata"]["Arn"]
    others = statement(LAKE["Principal"], LAKE["Action"], Condition={"StringEquals": {"aws:SourceAccount": "999999999999"}})
    of_others = kms.create_key(Policy=policy(ROOT, others))["KeyMetadata"]["Arn"]
    off = kms.create_key(Policy=policy(ROOT, LAKE))["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=off)
    gone = kms.create_key(Policy=policy(ROOT, LAKE))["KeyMetadata"]["Arn"]
    kms.schedule_key_deletion(KeyId=gone)
    away = client("kms", f"{region}-away").create_key(Policy=policy(ROOT, LAKE))["KeyMetadata"]["Arn"]
    return [
        ("alias/absent", "KmsKeyNotFoundException", "alias/absent"),
        (str(uuid.uuid4()), "KmsKeyNotFoundException", "does not exist"),
        (away, "KmsKeyNotFoundException", region),
        (f"arn:aws:s3:{region}:{ACCOUNT}:key/{uuid.uuid4()}", "InvalidKmsKeyIdException", "arn:aws:s3"),
        ("a key", "InvalidKmsKeyIdException", "kmsKeyId"),
        ("", "InvalidKmsKeyIdException", "kmsKeyId"),
        ("k" * 351, "InvalidKmsKeyIdException", "350"),
        (closed, "InsufficientEncryptionPolicyException", closed),
        (makes, "InsufficientEncryptionPolicyException", makes),
        (of_others, "InsufficientEncryptionPolicyException", of_others),
        (off, "KmsException", "is disabled"),
        (gone, "KmsException", "is pending deletion"),
    ]


@pytest.mark.operation("CreateEventDataStore", "UpdateEventDataStore")
def test_a_key_that_cannot_be_used_is_refused(client, cloudtrail, kms, region, make):
    plain = make()["EventDataStoreArn"]
    for key, error, told in wrong_keys(client, kms, region):
        with refused(error, told):
            cloudtrail.create_event_data_store(Name="refused", KmsKeyId=key)
        with refused(error, told):
            cloudtrail.update_event_data_store(EventDataStore=plain, KmsKeyId=key)
    listed = cloudtrail.list_event_data_stores()["EventDataStores"]
    assert [store["EventDataStoreArn"] for store in listed] == [plain]
    assert "KmsKeyId" not in cloudtrail.get_event_data_store(EventDataStore=plain)


@pytest.mark.operation("UpdateEventDataStore")
def test_a_key_comes_later_and_then_stays(cloudtrail, kms, key, make):
    arn = make()["EventDataStoreArn"]
    assert cloudtrail.update_event_data_store(EventDataStore=arn, KmsKeyId=key)["KmsKeyId"] == key
    assert cloudtrail.update_event_data_store(EventDataStore=arn, KmsKeyId=key)["KmsKeyId"] == key
    other = kms.create_key(Policy=policy(ROOT, LAKE))["KeyMetadata"]["Arn"]
    with refused("InvalidKmsKeyIdException", "cannot be changed"):
        cloudtrail.update_event_data_store(EventDataStore=arn, KmsKeyId=other)
    assert cloudtrail.update_event_data_store(EventDataStore=arn, RetentionPeriod=30)["KmsKeyId"] == key


@pytest.mark.operation("CreateEventDataStore")
def test_a_key_policy_can_be_for_one_store_alone(cloudtrail, kms, region, make):
    arn = make()["EventDataStoreArn"]

    def key_for(source: str, context: str) -> str:
        conditions = {"StringEquals": {"aws:SourceArn": source, "kms:EncryptionContext:aws:cloudtrail:arn": context}}
        only = statement(LAKE["Principal"], LAKE["Action"], Condition=conditions)
        return kms.create_key(Policy=policy(ROOT, only))["KeyMetadata"]["Arn"]

    right, wrong = key_for(arn, arn), key_for(arn, f"arn:aws:cloudtrail:{region}:{ACCOUNT}:trail/main")
    with refused("InsufficientEncryptionPolicyException", wrong):
        cloudtrail.update_event_data_store(EventDataStore=arn, KmsKeyId=wrong)
    with refused("InsufficientEncryptionPolicyException", right):
        make(KmsKeyId=right)
    assert cloudtrail.update_event_data_store(EventDataStore=arn, KmsKeyId=right)["KmsKeyId"] == right


@pytest.mark.operation("EnableFederation", "UpdateEventDataStore")
def test_a_store_with_a_key_is_federated_as_others(client, cloudtrail, key, make):
    iam = client("iam")
    name = f"reads-{uuid.uuid4()}"
    trust = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lakeformation.amazonaws.com"}, "Action": "sts:AssumeRole"}]})  # fmt: skip
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    sealed, plain = make(KmsKeyId=key)["EventDataStoreArn"], make()["EventDataStoreArn"]
    for arn in (sealed, plain):
        assert cloudtrail.enable_federation(EventDataStore=arn, FederationRoleArn=role)["FederationStatus"] == "ENABLED"
    updated = cloudtrail.update_event_data_store(EventDataStore=plain, KmsKeyId=key)
    assert (updated["KmsKeyId"], updated["FederationStatus"]) == (key, "ENABLED")
    for arn in (sealed, plain):
        cloudtrail.disable_federation(EventDataStore=arn)
    iam.delete_role(RoleName=name)
