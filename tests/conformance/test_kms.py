"""Keys: made, used, switched off, rotated, deleted; and trails that are encrypted with them."""

import base64
import json
import pathlib
import subprocess
import sys

import pytest

from accounts import OTHER, OTHER_ACCOUNT, READER
from errors import refused
from opentrail_server import ACCOUNT, wait_until

HOME = "us-east-1"  # where the bucket is
CONTEXT = {"purpose": "test"}


@pytest.fixture
def kms(client, region):
    """KMS as the root user sees it, in the test's Region."""
    return client("kms", region)


@pytest.fixture
def key(kms) -> str:
    """The ARN of a key."""
    return kms.create_key()["KeyMetadata"]["Arn"]


def statement(principal: dict, actions, **more) -> dict:
    return {"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": "*"} | more


ROOT = statement({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "kms:*")


def policy(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def for_cloudtrail(account: str = ACCOUNT) -> dict:
    """What the User Guide has CloudTrail's statement be."""
    like = {"kms:EncryptionContext:aws:cloudtrail:arn": f"arn:aws:cloudtrail:*:{account}:trail/*"}
    service = {"Service": "cloudtrail.amazonaws.com"}
    return statement(service, "kms:GenerateDataKey*", Condition={"StringLike": like})


def test_a_new_key_has_the_documented_defaults(kms, region):
    key = kms.create_key()["KeyMetadata"]
    material = key.pop("CurrentKeyMaterialId")
    created = key.pop("CreationDate")
    assert len(material) == 64 and created
    assert key == {
        "AWSAccountId": ACCOUNT,
        "KeyId": key["Arn"].rsplit("/", 1)[1],
        "Arn": f"arn:aws:kms:{region}:{ACCOUNT}:key/{key['KeyId']}",
        "Enabled": True,
        "Description": "",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
    }
    default = json.loads(kms.get_key_policy(KeyId=key["KeyId"])["Policy"])
    [only] = default["Statement"]
    assert (only["Principal"], only["Action"]) == ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "kms:*")
    assert kms.list_key_policies(KeyId=key["KeyId"])["PolicyNames"] == ["default"]


@pytest.mark.parametrize("settings", [
    {"KeySpec": "RSA_2048"}, {"KeyUsage": "SIGN_VERIFY"}, {"Origin": "EXTERNAL"}, {"MultiRegion": True}],
    ids=str)  # fmt: skip
def test_other_kinds_of_keys_are_refused(kms, settings):
    with refused("UnsupportedOperationException"):
        kms.create_key(**settings)
    assert kms.list_keys()["Keys"] == []


def test_grants_are_refused(kms, key):
    with refused("UnsupportedOperationException", "grants"):
        kms.create_grant(KeyId=key, GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:user/reader", Operations=["Decrypt"])
    with refused("InvalidGrantTokenException"):
        kms.encrypt(KeyId=key, Plaintext=b"x", GrantTokens=["t"])


def test_a_ciphertext_opens_with_its_context_and_names_its_key(kms, key):
    sealed = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=CONTEXT)
    assert (sealed["KeyId"], sealed["EncryptionAlgorithm"]) == (key, "SYMMETRIC_DEFAULT")
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert (opened["Plaintext"], opened["KeyId"]) == (b"secret", key)
    for wrong in ({}, {"purpose": "other"}, CONTEXT | {"more": "x"}):
        with refused("InvalidCiphertextException"):
            kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=wrong)
    with refused("InvalidCiphertextException"):
        kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"][:-1] + b"\0", EncryptionContext=CONTEXT)
    with refused("InvalidCiphertextException"):
        kms.decrypt(CiphertextBlob=b"no ciphertext")
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    with refused("IncorrectKeyException"):
        kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=CONTEXT, KeyId=other)
    with refused("InvalidKeyUsageException"):
        kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    with refused("DryRunOperationException", status=400):
        kms.encrypt(KeyId=key, Plaintext=b"x", DryRun=True)


def test_a_ciphertext_is_of_its_region(client, kms, key):
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    with refused("AccessDeniedException", "does not exist in this region"):
        client("kms", "elsewhere-1").decrypt(CiphertextBlob=sealed)
    with refused("NotFoundException"):
        client("kms", "elsewhere-1").describe_key(KeyId=key)


def test_data_keys(kms, key):
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT)
    assert len(made["Plaintext"]) == 32
    assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)["Plaintext"] == made["Plaintext"]
    assert len(kms.generate_data_key(KeyId=key, NumberOfBytes=100)["Plaintext"]) == 100
    sealed = kms.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_128")
    assert "Plaintext" not in sealed and len(kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"])["Plaintext"]) == 16
    with refused("ValidationException"):
        kms.generate_data_key(KeyId=key)
    assert len(kms.generate_random(NumberOfBytes=24)["Plaintext"]) == 24


def test_re_encrypt_moves_a_ciphertext_to_another_key(kms, key):
    other = kms.create_key()["KeyMetadata"]["Arn"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=CONTEXT)["CiphertextBlob"]
    moved = kms.re_encrypt(CiphertextBlob=sealed, SourceEncryptionContext=CONTEXT, DestinationKeyId=other)
    assert (moved["SourceKeyId"], moved["KeyId"]) == (key, other)
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"secret"


def test_a_disabled_key_and_one_pending_deletion_cannot_be_used(kms, key):
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    with refused("DisabledException", f"{key} is disabled."):
        kms.decrypt(CiphertextBlob=sealed)
    kms.enable_key(KeyId=key)
    with refused("ValidationException"):
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=6)
    answer = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (answer["KeyId"], answer["KeyState"], answer["PendingWindowInDays"]) == (key, "PendingDeletion", 7)
    for call in (lambda: kms.decrypt(CiphertextBlob=sealed), lambda: kms.enable_key(KeyId=key)):
        with refused("KMSInvalidStateException", "pending deletion"):
            call()
    kms.cancel_key_deletion(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    with refused("KMSInvalidStateException"):
        kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"


def test_rotation_keeps_what_was_encrypted(kms, key):
    sealed = kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    before = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
    assert kms.rotate_key_on_demand(KeyId=key)["KeyId"] == key
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] != before
    opened = kms.decrypt(CiphertextBlob=sealed)
    assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"old", before)
    [rotation] = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert rotation["RotationType"] == "ON_DEMAND"
    kms.disable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False


def test_aliases(kms, key):
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/logs", TargetKeyId=key)
    with refused("AlreadyExistsException"):
        kms.create_alias(AliasName="alias/logs", TargetKeyId=other)
    with refused("InvalidAliasNameException"):
        kms.create_alias(AliasName="alias/aws/mine", TargetKeyId=key)
    with refused("ValidationException"):
        kms.create_alias(AliasName="logs", TargetKeyId=key)
    with refused("NotFoundException"):
        kms.create_alias(AliasName="alias/more", TargetKeyId="11111111-2222-3333-4444-555555555555")
    [alias] = kms.list_aliases()["Aliases"]
    assert (alias["AliasName"], alias["TargetKeyId"]) == ("alias/logs", key.rsplit("/", 1)[1])
    for name in ("alias/logs", alias["AliasArn"], key, key.rsplit("/", 1)[1]):
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == key
    kms.update_alias(AliasName="alias/logs", TargetKeyId=other)
    assert kms.describe_key(KeyId="alias/logs")["KeyMetadata"]["KeyId"] == other
    assert kms.list_aliases(KeyId=key)["Aliases"] == []
    kms.delete_alias(AliasName="alias/logs")
    with refused("NotFoundException", "is not found"):
        kms.delete_alias(AliasName="alias/logs")
    with refused("NotFoundException"):
        kms.encrypt(KeyId="alias/logs", Plaintext=b"x")


def test_names_of_keys_that_are_none(kms, region):
    for name, error in [
        ("11111111-2222-3333-4444-555555555555", "NotFoundException"),
        ("logs", "NotFoundException"),
        ("arn:aws:s3:::bucket", "InvalidArnException"),
        (f"arn:aws:kms:elsewhere-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555", "NotFoundException"),
        (f"arn:aws:kms:{region}:{OTHER_ACCOUNT}:key/11111111-2222-3333-4444-555555555555", "AccessDeniedException"),
    ]:
        with refused(error):
            kms.describe_key(KeyId=name)


def test_tags_and_descriptions(kms):
    key = kms.create_key(Description="one", Tags=[{"TagKey": "team", "TagValue": "audit"}])["KeyMetadata"]["KeyId"]
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "team", "TagValue": "red"}, {"TagKey": "stage", "TagValue": ""}])
    tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=key)["Tags"]}
    assert tags == {"team": "red", "stage": ""}
    kms.untag_resource(KeyId=key, TagKeys=["stage"])
    assert [tag["TagKey"] for tag in kms.list_resource_tags(KeyId=key)["Tags"]] == ["team"]
    with refused("TagException"):
        kms.tag_resource(KeyId=key, Tags=[{"TagKey": "aws:x", "TagValue": "y"}])
    kms.update_key_description(KeyId=key, Description="two")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "two"


def test_lists_come_in_pages(kms):
    made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Keys"]) for page in pages] == [2, 2, 1]
    assert {key["KeyId"] for page in pages for key in page["Keys"]} == made
    with refused("InvalidMarkerException"):
        kms.list_keys(Marker="forged")


def test_a_key_policy_decides_who_may_use_a_key(client, kms, key, region):
    reader, other = client("kms", region, READER), client("kms", region, OTHER)
    with refused("AccessDeniedException", "no identity-based policy allows the kms:DescribeKey action"):
        reader.describe_key(KeyId=key)
    user = f"arn:aws:iam::{ACCOUNT}:user/reader"
    only = {"StringEquals": {"kms:EncryptionContext:purpose": "test"}}
    kms.put_key_policy(KeyId=key, Policy=policy(ROOT, statement({"AWS": user}, ["kms:Decrypt"], Condition=only)))
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    assert reader.decrypt(CiphertextBlob=sealed, EncryptionContext=CONTEXT)["Plaintext"] == b"x"
    plain = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    with refused("AccessDeniedException"):
        reader.decrypt(CiphertextBlob=plain)
    # Another account needs both its own policy and the key's.
    with refused("AccessDeniedException", "no resource-based policy allows"):
        other.encrypt(KeyId=key, Plaintext=b"x")
    theirs = statement({"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}, ["kms:Encrypt"])
    kms.put_key_policy(KeyId=key, Policy=policy(ROOT, theirs))
    assert other.encrypt(KeyId=key, Plaintext=b"x")["KeyId"] == key
    with refused("AccessDeniedException"):
        other.disable_key(KeyId=key)
    for bad in ("{", policy(), policy(statement({"AWS": user}, "kms:*"))):
        with refused("MalformedPolicyDocumentException"):
            kms.put_key_policy(KeyId=key, Policy=bad)
    with refused("LimitExceededException"):
        kms.put_key_policy(KeyId=key, Policy=" " * 32769)
    shut = policy(statement({"AWS": user}, "kms:Decrypt"))
    kms.put_key_policy(KeyId=key, Policy=shut, BypassPolicyLockoutSafetyCheck=True)
    with refused("AccessDeniedException", "no resource-based policy allows the kms:GetKeyPolicy action"):
        kms.get_key_policy(KeyId=key)


def test_calls_are_recorded_without_their_secrets(server, client, kms, key, region):
    kms.create_alias(AliasName="alias/recorded", TargetKeyId=key)
    sealed = kms.encrypt(KeyId="alias/recorded", Plaintext=b"a secret", EncryptionContext=CONTEXT)["CiphertextBlob"]
    kms.decrypt(CiphertextBlob=sealed, EncryptionContext=CONTEXT)
    with refused("AccessDeniedException"):
        client("kms", region, READER).decrypt(CiphertextBlob=sealed, EncryptionContext=CONTEXT)
    def recorded():
        events = client("cloudtrail", region).lookup_events(
            LookupAttributes=[{"AttributeKey": "EventSource", "AttributeValue": "kms.amazonaws.com"}])["Events"]  # fmt: skip
        records = {}
        for event in reversed(events):
            records.setdefault(event["EventName"], []).append(json.loads(event["CloudTrailEvent"]))
        # Event history shows a call soon after its answer, and not with it.
        return records if len(records.get("Decrypt", [])) == 2 else None

    records = wait_until(recorded, "that both are seen")
    resource = {"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key}
    [encrypt] = records["Encrypt"]
    assert encrypt["eventSource"] == "kms.amazonaws.com" and encrypt["readOnly"] is True
    assert encrypt["requestParameters"] == {"keyId": "alias/recorded", "encryptionContext": CONTEXT}
    assert encrypt["responseElements"] is None
    assert encrypt["resources"] == [resource]
    [decrypt, denied] = records["Decrypt"]
    assert decrypt["resources"] == denied["resources"] == [resource]
    assert denied["errorCode"] == "AccessDenied" and denied["userIdentity"]["userName"] == "reader"
    [create] = records["CreateKey"]
    assert create["resources"] == [resource] and create["responseElements"]["keyMetadata"]["arn"] == key
    text = json.dumps(records)
    assert "a secret" not in text and base64.b64encode(b"a secret").decode() not in text
    assert base64.b64encode(sealed).decode() not in text


def test_the_stock_cli(server, region, tmp_path):
    def aws(*arguments):
        command = [pathlib.Path(sys.executable).parent / "aws", "kms", *arguments, "--output", "json"]
        done = subprocess.run(command, env=server.cli_environment(region), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    key = aws("create-key", "--description", "from the command line")["KeyMetadata"]["KeyId"]
    aws("create-alias", "--alias-name", "alias/cli", "--target-key-id", key)
    plain, blob = tmp_path / "plain", tmp_path / "blob"
    plain.write_bytes(b"hello")
    sealed = aws("encrypt", "--key-id", "alias/cli", "--plaintext", f"fileb://{plain}")
    blob.write_bytes(base64.b64decode(sealed["CiphertextBlob"]))
    opened = aws("decrypt", "--ciphertext-blob", f"fileb://{blob}")
    assert base64.b64decode(opened["Plaintext"]) == b"hello"
    aws("disable-key", "--key-id", key)
    assert aws("describe-key", "--key-id", key)["KeyMetadata"]["KeyState"] == "Disabled"


# Trails


@pytest.fixture
def home_kms(client):
    """KMS where the bucket is."""
    return client("kms", HOME)


@pytest.fixture
def trail_key(home_kms) -> str:
    """The ARN of a key that CloudTrail may use."""
    return home_kms.create_key(Policy=policy(ROOT, for_cloudtrail()))["KeyMetadata"]["Arn"]


@pytest.mark.operation("CreateTrail", "UpdateTrail", "GetTrail", "DescribeTrails")
def test_a_trail_takes_a_key_in_every_form_and_answers_its_arn(cloudtrail, bucket, home_kms, trail_key, region):
    alias = f"alias/trail-{region}"
    home_kms.create_alias(AliasName=alias, TargetKeyId=trail_key)
    [alias_arn] = [found["AliasArn"] for found in home_kms.list_aliases()["Aliases"] if found["AliasName"] == alias]
    made = cloudtrail.create_trail(Name="sealed", S3BucketName=bucket, KmsKeyId=alias)
    assert made["KmsKeyId"] == trail_key
    for form in (alias_arn, trail_key, trail_key.rsplit("/", 1)[1], alias):
        assert cloudtrail.update_trail(Name="sealed", KmsKeyId=form)["KmsKeyId"] == trail_key
    assert cloudtrail.get_trail(Name="sealed")["Trail"]["KmsKeyId"] == trail_key
    assert cloudtrail.describe_trails(trailNameList=["sealed"])["trailList"][0]["KmsKeyId"] == trail_key
    assert "KmsKeyId" not in cloudtrail.update_trail(Name="sealed", KmsKeyId="")
    assert "KmsKeyId" not in cloudtrail.get_trail(Name="sealed")["Trail"]


@pytest.mark.operation("CreateTrail", "UpdateTrail")
@pytest.mark.parametrize("case", ["absent", "elsewhere", "malformed", "closed", "other trails", "disabled", "deleted"])
def test_a_key_that_cannot_be_used_is_refused(client, cloudtrail, bucket, home_kms, trail_key, trail, case):
    key, error = trail_key, None
    match case:
        case "absent":
            key, error = "11111111-2222-3333-4444-555555555555", "KmsKeyNotFoundException"
        case "elsewhere":
            elsewhere = client("kms", "eu-elsewhere-1")
            key = elsewhere.create_key(Policy=policy(ROOT, for_cloudtrail()))["KeyMetadata"]["Arn"]
            error = "KmsKeyNotFoundException"
        case "malformed":
            key, error = "arn:aws:s3:::no-key", "InvalidKmsKeyIdException"
        case "closed":
            key, error = home_kms.create_key()["KeyMetadata"]["Arn"], "InsufficientEncryptionPolicyException"
        case "other trails":
            home_kms.put_key_policy(KeyId=key, Policy=policy(ROOT, for_cloudtrail(OTHER_ACCOUNT)))
            error = "InsufficientEncryptionPolicyException"
        case "disabled":
            home_kms.disable_key(KeyId=key)
            error = "KmsException"
        case "deleted":
            home_kms.schedule_key_deletion(KeyId=key)
            error = "KmsException"
    with refused(error):
        cloudtrail.create_trail(Name="refused", S3BucketName=bucket, KmsKeyId=key)
    with refused(error):
        cloudtrail.update_trail(Name=trail, KmsKeyId=key)
    assert "KmsKeyId" not in cloudtrail.get_trail(Name=trail)["Trail"]
    assert [found["Name"] for found in cloudtrail.list_trails()["Trails"]] == ["main"]
