"""STS: who am I, and who else may I be."""

import urllib.parse
import urllib.request
from xml.etree import ElementTree

import pytest

from accounts import READER, Key
from errors import refused
from opentrail_server import ACCOUNT

NAMESPACE = {"sts": "https://sts.amazonaws.com/doc/2011-06-15/"}
AUDITOR = f"arn:aws:iam::{ACCOUNT}:role/auditor"


def key_of(credentials: dict) -> Key:
    return Key(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])


@pytest.fixture
def sts(client):
    return client("sts", key=READER)


def identity(sts) -> tuple[str, str, str]:
    answer = sts.get_caller_identity()
    return answer["Account"], answer["Arn"], answer["UserId"]


def test_the_root_user_and_a_user_learn_who_they_are(client, sts):
    assert identity(client("sts")) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
    account, arn, user_id = identity(sts)
    assert (account, arn) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/reader")
    assert user_id.startswith("AIDA")


def test_a_presigned_request_is_answered(sts):
    url = sts.generate_presigned_url("get_caller_identity", HttpMethod="GET")
    with urllib.request.urlopen(url, timeout=30) as answer:
        document = ElementTree.parse(answer)
    [arn] = document.findall(".//sts:GetCallerIdentityResult/sts:Arn", NAMESPACE)
    assert arn.text == f"arn:aws:iam::{ACCOUNT}:user/reader"
    [request_id] = document.findall(".//sts:ResponseMetadata/sts:RequestId", NAMESPACE)
    assert request_id.text


def test_an_altered_presigned_request_is_refused(sts):
    url = sts.generate_presigned_url("get_caller_identity", HttpMethod="GET")
    altered = url.replace("GetCallerIdentity", "GetSessionToken")
    assert altered != url
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(altered, timeout=30)
    assert caught.value.code == 403
    assert b"<Code>SignatureDoesNotMatch</Code>" in caught.value.read()


def test_an_assumed_role_may_do_what_the_role_may(client, sts, region):
    answer = sts.assume_role(RoleArn=AUDITOR, RoleSessionName="inspection", DurationSeconds=900)
    assumed = answer["AssumedRoleUser"]
    assert assumed["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/auditor/inspection"
    assert assumed["AssumedRoleId"].startswith("AROA") and assumed["AssumedRoleId"].endswith(":inspection")
    key = key_of(answer["Credentials"])
    assert key.id.startswith("ASIA")
    assert identity(client("sts", key=key)) == (ACCOUNT, assumed["Arn"], assumed["AssumedRoleId"])
    client("cloudtrail", region, key).lookup_events()
    with refused("AccessDeniedException", f"User: {assumed['Arn']} is not authorized"):
        client("cloudtrail", region, key).describe_trails()


def test_a_session_policy_narrows_the_role(client, sts, region):
    nothing = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
    answer = sts.assume_role(RoleArn=AUDITOR, RoleSessionName="narrow", Policy=nothing)
    with refused("AccessDeniedException"):
        client("cloudtrail", region, key_of(answer["Credentials"])).lookup_events()


def test_assume_role_refuses(client, sts):
    absent = f"arn:aws:iam::{ACCOUNT}:role/absent"
    with refused("AccessDenied", f"is not authorized to perform: sts:AssumeRole on resource: {absent}", 403):
        sts.assume_role(RoleArn=absent, RoleSessionName="session")
    with refused("AccessDenied", "Roles may not be assumed by root accounts.", 403):
        client("sts").assume_role(RoleArn=AUDITOR, RoleSessionName="session")
    for arguments in (
        {"RoleSessionName": "s"},
        {"RoleSessionName": "with space"},
        {"RoleSessionName": "session", "DurationSeconds": 899},
        {"RoleSessionName": "session", "DurationSeconds": 43201},
        {},
    ):
        with refused("ValidationError"):
            sts.assume_role(RoleArn=AUDITOR, **arguments)


def test_a_session_token_speaks_for_its_user(client, sts, region):
    key = key_of(sts.get_session_token(DurationSeconds=900)["Credentials"])
    assert identity(client("sts", key=key)) == identity(sts)
    client("cloudtrail", region, key).describe_trails()
    with refused("AccessDenied", status=403):
        client("sts", key=key).get_session_token()
    with refused("ValidationError"):
        sts.get_session_token(DurationSeconds=899)


def test_temporary_credentials_need_their_token(client, sts):
    key = key_of(sts.get_session_token()["Credentials"])
    for wrong in (Key(key.id, key.secret), Key(key.id, key.secret, key.token[:-8] + "AAAAAAA=")):
        with refused("InvalidClientTokenId", status=403):
            client("sts", key=wrong).get_caller_identity()


def test_an_unknown_action_is_refused(client, server):
    sts = client("sts")
    with refused("InvalidAction", "GetFederationToken"):
        sts.get_federation_token(Name="federated")
