"""IAM with stock clients: an administrator needs no configuration file. Tests share the account and keep apart by names."""

import datetime
import itertools
import json
import pathlib
import subprocess
import sys

import pytest
from accounts import CONFIG, OTHER, OTHER_ACCOUNT, Key
from errors import refused
from opentrail_server import ACCOUNT, Server, wait_until

AWS = pathlib.Path(sys.executable).parent / "aws"
NUMBERS = itertools.count(1)


def allow(*actions, resource="*", **more) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource} | more
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(principal: str, action="sts:AssumeRole", **more) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action} | more
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"test-{next(NUMBERS)}"


@pytest.fixture
def iam(client):
    """IAM as the root user sees it."""
    return client("iam")


@pytest.fixture
def user(iam, name) -> str:
    """A new user."""
    iam.create_user(UserName=name)
    return name


def new_key(iam, user: str) -> Key:
    made = iam.create_access_key(UserName=user)["AccessKey"]
    return Key(made["AccessKeyId"], made["SecretAccessKey"])


def records_of(client, event_name: str, region="us-east-1", key=None, having=lambda record: True) -> list[dict]:
    """Records of an operation in Event history, the newest first."""
    pages = client("cloudtrail", region, key).get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": event_name}])
    records = [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]
    return [record for record in records if having(record)]


def record_of(client, event_name: str, **how) -> dict:
    return wait_until(lambda: records_of(client, event_name, **how), f"the record of {event_name}")[0]


# Users and keys


def test_a_user_lives_from_creation_to_deletion(client, iam, name, region):
    made = iam.create_user(UserName=name, Path="/staff/", Tags=[{"Key": "team", "Value": "blue"}])["User"]
    arn = f"arn:aws:iam::{ACCOUNT}:user/staff/{name}"
    assert (made["Arn"], made["Path"], made["UserName"]) == (arn, "/staff/", name)
    assert made["UserId"].startswith("AIDA") and len(made["UserId"]) == 21
    assert abs(made["CreateDate"] - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=5)
    assert made["Tags"] == [{"Key": "team", "Value": "blue"}]
    assert iam.get_user(UserName=name.upper())["User"] == made
    assert name in [user["UserName"] for user in iam.list_users(PathPrefix="/staff/")["Users"]]
    assert name not in [user["UserName"] for user in iam.list_users(PathPrefix="/elsewhere/")["Users"]]
    with refused("EntityAlreadyExists", f"User with name {name.upper()} already exists.", 409):
        iam.create_user(UserName=name.upper())

    key = new_key(iam, name)
    assert key.id.startswith("AKIA") and len(key.id) == 20 and len(key.secret) == 40
    sts = client("sts", key=key)
    assert sts.get_caller_identity()["Arn"] == arn
    trails = client("cloudtrail", region, key)
    with refused("AccessDeniedException", "no identity-based policy allows the cloudtrail:DescribeTrails action"):
        trails.describe_trails()
    policy = "arn:aws:iam::aws:policy/AWSCloudTrail_ReadOnlyAccess"
    iam.attach_user_policy(UserName=name, PolicyArn=policy)
    trails.describe_trails()
    iam.detach_user_policy(UserName=name, PolicyArn=policy)
    with refused("AccessDeniedException"):
        trails.describe_trails()

    with refused("DeleteConflict", "must delete access keys first", 409):
        iam.delete_user(UserName=name)
    iam.delete_access_key(UserName=name, AccessKeyId=key.id)
    with refused("InvalidClientTokenId", status=403):
        sts.get_caller_identity()
    iam.delete_user(UserName=name)
    with refused("NoSuchEntity", f"The user with name {name} cannot be found.", 404):
        iam.get_user(UserName=name)


def test_access_keys_are_at_most_two_and_can_be_switched_off(client, iam, user):
    first, second = new_key(iam, user), new_key(iam, user)
    with refused("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", 409):
        iam.create_access_key(UserName=user)
    listed = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    assert {key["AccessKeyId"]: key["Status"] for key in listed} == {first.id: "Active", second.id: "Active"}
    assert all(key["UserName"] == user and "SecretAccessKey" not in key for key in listed)

    never = iam.get_access_key_last_used(AccessKeyId=first.id)
    assert never["UserName"] == user
    assert (never["AccessKeyLastUsed"]["ServiceName"], never["AccessKeyLastUsed"]["Region"]) == ("N/A", "N/A")
    client("sts", "eu-west-1", first).get_caller_identity()
    used = iam.get_access_key_last_used(AccessKeyId=first.id)["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("sts", "eu-west-1")

    iam.update_access_key(UserName=user, AccessKeyId=first.id, Status="Inactive")
    with refused("InvalidClientTokenId", status=403):
        client("sts", key=first).get_caller_identity()
    client("sts", key=second).get_caller_identity()
    iam.update_access_key(UserName=user, AccessKeyId=first.id, Status="Active")
    client("sts", key=first).get_caller_identity()
    with refused("NoSuchEntity", status=404):
        iam.delete_access_key(UserName=user, AccessKeyId="AKIANOSUCHKEY00000001")
    with refused("ValidationError"):
        iam.update_access_key(UserName=user, AccessKeyId=first.id, Status="Sleeping")
    with refused("UnmodifiableEntity", "root user"):
        iam.create_access_key()
    assert client("iam").list_access_keys()["AccessKeyMetadata"][0]["Status"] == "Active"


def test_a_user_is_renamed_with_its_keys(client, iam, user):
    key = new_key(iam, user)
    before = iam.get_user(UserName=user)["User"]
    iam.update_user(UserName=user, NewUserName=f"{user}-new", NewPath="/moved/")
    after = iam.get_user(UserName=f"{user}-new")["User"]
    assert (after["UserId"], after["Path"]) == (before["UserId"], "/moved/")
    assert client("sts", key=key).get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/moved/{user}-new"
    with refused("NoSuchEntity", status=404):
        iam.get_user(UserName=user)


def test_a_user_may_be_let_to_manage_its_own_keys_only(client, iam, user):
    other = f"{user}-other"
    iam.create_user(UserName=other)
    own = f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"
    document = allow("iam:*AccessKey*", "iam:GetUser", resource=own)
    iam.put_user_policy(UserName=user, PolicyName="keys", PolicyDocument=document)
    mine = client("iam", key=new_key(iam, user))
    assert mine.get_user()["User"]["UserName"] == user
    second = mine.create_access_key()["AccessKey"]
    assert second["UserName"] == user
    assert len(mine.list_access_keys()["AccessKeyMetadata"]) == 2
    mine.delete_access_key(AccessKeyId=second["AccessKeyId"])
    arn = f"arn:aws:iam::{ACCOUNT}:user/{other}"
    text = f"not authorized to perform: iam:CreateAccessKey on resource: {arn} because no identity-based policy allows"
    with refused("AccessDenied", text, 403):
        mine.create_access_key(UserName=other)
    with refused("AccessDenied", status=403):
        mine.list_users()
    with refused("AccessDenied", status=403):
        mine.delete_user(UserName="no-such-user")


def test_tags_have_no_case_in_their_keys(iam, user):
    iam.tag_user(UserName=user, Tags=[{"Key": "Team", "Value": "blue"}, {"Key": "level", "Value": ""}])
    iam.tag_user(UserName=user, Tags=[{"Key": "team", "Value": "red"}])
    tags = iam.list_user_tags(UserName=user)
    assert {tag["Key"]: tag["Value"] for tag in tags["Tags"]} == {"team": "red", "level": ""}
    iam.untag_user(UserName=user, TagKeys=["LEVEL"])
    assert iam.get_user(UserName=user)["User"]["Tags"] == [{"Key": "team", "Value": "red"}]
    twice = [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]
    for tags in (twice, [{"Key": "aws:x", "Value": "1"}]):
        with refused("InvalidInput"):
            iam.tag_user(UserName=user, Tags=tags)
    many = [{"Key": f"k{n}", "Value": "v"} for n in range(50)]
    with refused("LimitExceeded", status=409):
        iam.tag_user(UserName=user, Tags=many)


def test_passwords(client, iam, user):
    with refused("NoSuchEntity", f"Login Profile for User {user} cannot be found.", 404):
        iam.get_login_profile(UserName=user)
    with refused("PasswordPolicyViolation"):
        iam.create_login_profile(UserName=user, Password="short1!")
    made = iam.create_login_profile(UserName=user, Password="Correct-horse-1", PasswordResetRequired=True)
    assert made["LoginProfile"]["PasswordResetRequired"] is True
    with refused("EntityAlreadyExists", status=409):
        iam.create_login_profile(UserName=user, Password="Correct-horse-1")
    iam.update_login_profile(UserName=user, PasswordResetRequired=False)
    assert iam.get_login_profile(UserName=user)["LoginProfile"]["PasswordResetRequired"] is False

    iam.attach_user_policy(UserName=user, PolicyArn="arn:aws:iam::aws:policy/IAMUserChangePassword")
    mine = client("iam", key=new_key(iam, user))
    with refused("AccessDenied", "The old password was incorrect.", 403):
        mine.change_password(OldPassword="Correct-horse-2", NewPassword="Other-horse-1")
    mine.change_password(OldPassword="Correct-horse-1", NewPassword="Other-horse-1")
    mine.change_password(OldPassword="Other-horse-1", NewPassword="Third-horse-1")
    with refused("InvalidUserType"):
        iam.change_password(OldPassword="Correct-horse-1", NewPassword="Other-horse-1")
    with refused("DeleteConflict", status=409):
        iam.delete_user(UserName=user)
    iam.delete_login_profile(UserName=user)
    with refused("NoSuchEntity", status=404):
        iam.delete_login_profile(UserName=user)
    password = lambda record: record["requestParameters"]["userName"] == user
    record = record_of(client, "CreateLoginProfile", having=lambda r: password(r) and "errorCode" not in r)
    assert record["requestParameters"] == {"userName": user, "passwordResetRequired": True}
    assert "horse" not in json.dumps(record)
    assert record_of(client, "ChangePassword")["requestParameters"] is None


# Policies


def test_inline_policies(client, iam, user, region):
    document = allow("cloudtrail:ListTrails")
    iam.put_user_policy(UserName=user, PolicyName="lister", PolicyDocument=document)
    assert iam.list_user_policies(UserName=user)["PolicyNames"] == ["lister"]
    assert iam.get_user_policy(UserName=user, PolicyName="lister")["PolicyDocument"] == json.loads(document)
    trails = client("cloudtrail", region, new_key(iam, user))
    trails.list_trails()
    iam.put_user_policy(UserName=user, PolicyName="lister", PolicyDocument=document.replace("Allow", "Deny"))
    with refused("AccessDeniedException", "with an explicit deny in an identity-based policy"):
        trails.list_trails()
    iam.delete_user_policy(UserName=user, PolicyName="lister")
    with refused("NoSuchEntity", "The user policy with name lister cannot be found.", 404):
        iam.get_user_policy(UserName=user, PolicyName="lister")
    for text in ("{", "[]", '{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps","Action":"*","Resource":"*"}]}'):
        with refused("MalformedPolicyDocument"):
            iam.put_user_policy(UserName=user, PolicyName="bad", PolicyDocument=text)
    with refused("LimitExceeded", "Maximum policy size of 2048 bytes exceeded", 409):
        long = allow(*[f"s3:Get{n:06}" for n in range(200)])
        iam.put_user_policy(UserName=user, PolicyName="long", PolicyDocument=long)
    with refused("NoSuchEntity", status=404):
        iam.put_user_policy(UserName="nobody", PolicyName="p", PolicyDocument=document)


def test_a_managed_policy_and_its_versions(client, iam, user, region, name):
    made = iam.create_policy(PolicyName=name, Path="/own/", PolicyDocument=allow("cloudtrail:ListTrails"),
                             Description="lists", Tags=[{"Key": "a", "Value": "b"}])["Policy"]
    arn = f"arn:aws:iam::{ACCOUNT}:policy/own/{name}"
    assert (made["Arn"], made["DefaultVersionId"], made["AttachmentCount"]) == (arn, "v1", 0)
    assert made["PolicyId"].startswith("ANPA") and made["IsAttachable"] is True
    with refused("EntityAlreadyExists", status=409):
        iam.create_policy(PolicyName=name, PolicyDocument=allow("s3:*"))
    iam.attach_user_policy(UserName=user, PolicyArn=arn)
    got = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (got["Description"], got["AttachmentCount"], got["Tags"]) == ("lists", 1, [{"Key": "a", "Value": "b"}])
    assert [p["PolicyArn"] for p in iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]] == [arn]
    assert iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"][0]["UserName"] == user
    trails = client("cloudtrail", region, new_key(iam, user))
    trails.list_trails()

    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("s3:*"))["PolicyVersion"]
    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", False)
    trails.list_trails()
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    with refused("AccessDeniedException"):
        trails.list_trails()
    document = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
    assert document["Document"] == json.loads(allow("cloudtrail:ListTrails"))
    with refused("DeleteConflict", "Cannot delete the default version of a policy.", 409):
        iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    for _ in range(3):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("s3:*"), SetAsDefault=True)
    with refused("LimitExceeded", "up to 5 versions", 409):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("s3:*"))
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    assert iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("s3:*"))["PolicyVersion"]["VersionId"] == "v6"
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [v["VersionId"] for v in versions] == ["v6", "v5", "v4", "v3", "v2"]
    with refused("DeleteConflict", "Cannot delete a policy attached to entities.", 409):
        iam.delete_policy(PolicyArn=arn)
    iam.detach_user_policy(UserName=user, PolicyArn=arn)
    with refused("DeleteConflict", "more than one version", 409):
        iam.delete_policy(PolicyArn=arn)
    for version in ("v6", "v4", "v3", "v2"):
        iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    iam.delete_policy(PolicyArn=arn)
    with refused("NoSuchEntity", status=404):
        iam.get_policy(PolicyArn=arn)


def test_policies_that_every_account_has(client, iam, user):
    listed = {p["PolicyName"]: p for page in iam.get_paginator("list_policies").paginate(Scope="AWS", MaxItems=3)
              for p in page["Policies"]}
    expected = {"AdministratorAccess", "PowerUserAccess", "ReadOnlyAccess", "AWSCloudTrail_FullAccess",
                "AWSCloudTrail_ReadOnlyAccess", "IAMFullAccess", "AmazonS3FullAccess", "AmazonS3ReadOnlyAccess"}
    assert expected <= listed.keys()
    for policy in listed.values():
        assert policy["Arn"] == f"arn:aws:iam::aws:policy/{policy['PolicyName']}"
        iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
    with refused("AccessDenied", "Policy is outside your own account.", 403):
        iam.delete_policy(PolicyArn=listed["AdministratorAccess"]["Arn"])
    with refused("NoSuchEntity", status=404):
        iam.attach_user_policy(UserName=user, PolicyArn="arn:aws:iam::aws:policy/NoSuchAccess")
    with refused("NoSuchEntity", status=404):
        iam.detach_user_policy(UserName=user, PolicyArn=listed["AdministratorAccess"]["Arn"])
    iam.attach_user_policy(UserName=user, PolicyArn=listed["AdministratorAccess"]["Arn"])
    used = [p["PolicyName"] for p in iam.list_policies(OnlyAttached=True)["Policies"]]
    assert "AdministratorAccess" in used and "AWSDenyAll" not in used
    admin = client("iam", key=new_key(iam, user))
    admin.create_user(UserName=f"{user}-by-admin")
    admin.delete_user(UserName=f"{user}-by-admin")


def test_a_permissions_boundary_bounds(client, iam, name, region):
    bound = iam.create_policy(PolicyName=name, PolicyDocument=allow("cloudtrail:List*"))["Policy"]["Arn"]
    made = iam.create_user(UserName=name, PermissionsBoundary=bound)["User"]
    assert made["PermissionsBoundary"]["PermissionsBoundaryArn"] == bound
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    trails = client("cloudtrail", region, new_key(iam, name))
    trails.list_trails()
    text = "because no permissions boundary allows the cloudtrail:DescribeTrails action"
    with refused("AccessDeniedException", text):
        trails.describe_trails()
    with refused("DeleteConflict", status=409):
        iam.delete_policy(PolicyArn=bound)
    iam.delete_user_permissions_boundary(UserName=name)
    trails.describe_trails()
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=bound)
    with refused("AccessDeniedException"):
        trails.describe_trails()
    with refused("NoSuchEntity", status=404):
        iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy/none")


# Groups


def test_a_group_gives_its_rights_to_its_users(client, iam, user, region):
    group = f"{user}-group"
    made = iam.create_group(GroupName=group)["Group"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/{group}" and made["GroupId"].startswith("AGPA")
    iam.put_group_policy(GroupName=group, PolicyName="lister", PolicyDocument=allow("cloudtrail:ListTrails"))
    iam.attach_group_policy(GroupName=group, PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    trails = client("cloudtrail", region, new_key(iam, user))
    with refused("AccessDeniedException"):
        trails.list_trails()
    iam.add_user_to_group(GroupName=group, UserName=user)
    trails.list_trails()
    assert [u["UserName"] for u in iam.get_group(GroupName=group)["Users"]] == [user]
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=user)["Groups"]] == [group]
    assert group in [g["GroupName"] for g in iam.list_groups()["Groups"]]
    assert iam.list_group_policies(GroupName=group)["PolicyNames"] == ["lister"]
    assert iam.get_group_policy(GroupName=group, PolicyName="lister")["PolicyDocument"]["Version"] == "2012-10-17"
    attached = iam.list_attached_group_policies(GroupName=group)["AttachedPolicies"]
    assert [p["PolicyName"] for p in attached] == ["IAMReadOnlyAccess"]

    iam.update_group(GroupName=group, NewGroupName=f"{group}-new")
    trails.list_trails()
    group = f"{group}-new"
    with refused("DeleteConflict", "must remove users from group first", 409):
        iam.delete_group(GroupName=group)
    with refused("DeleteConflict", status=409):
        iam.delete_user(UserName=user)
    iam.remove_user_from_group(GroupName=group, UserName=user)
    with refused("AccessDeniedException"):
        trails.list_trails()
    with refused("NoSuchEntity", status=404):
        iam.remove_user_from_group(GroupName=group, UserName=user)
    with refused("DeleteConflict", status=409):
        iam.delete_group(GroupName=group)
    iam.detach_group_policy(GroupName=group, PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    iam.delete_group_policy(GroupName=group, PolicyName="lister")
    iam.delete_group(GroupName=group)
    with refused("NoSuchEntity", f"The group with name {group} cannot be found.", 404):
        iam.get_group(GroupName=group)


# Roles


def test_a_role_lives_and_is_assumed(client, iam, user, name, region):
    role = f"{name}-role"
    account = trust(f"arn:aws:iam::{ACCOUNT}:root")
    made = iam.create_role(RoleName=role, Path="/jobs/", AssumeRolePolicyDocument=account, Description="audits",
                           MaxSessionDuration=7200, Tags=[{"Key": "a", "Value": "b"}])["Role"]
    arn = f"arn:aws:iam::{ACCOUNT}:role/jobs/{role}"
    assert made["Arn"] == arn and made["RoleId"].startswith("AROA")
    assert made["AssumeRolePolicyDocument"]["Statement"][0]["Action"] == "sts:AssumeRole"
    got = iam.get_role(RoleName=role)["Role"]
    assert (got["Description"], got["MaxSessionDuration"], got["Tags"]) == ("audits", 7200, [{"Key": "a", "Value": "b"}])
    assert role in [r["RoleName"] for r in iam.list_roles(PathPrefix="/jobs/")["Roles"]]
    assert iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"] == []

    sts = client("sts", key=new_key(iam, user))
    with refused("AccessDenied", f"is not authorized to perform: sts:AssumeRole on resource: {arn}", 403):
        sts.assume_role(RoleArn=arn, RoleSessionName="session")
    iam.put_user_policy(UserName=user, PolicyName="assume", PolicyDocument=allow("sts:AssumeRole", resource=arn))
    iam.put_role_policy(RoleName=role, PolicyName="list", PolicyDocument=allow("cloudtrail:ListTrails"))
    session = sts.assume_role(RoleArn=arn, RoleSessionName="session", DurationSeconds=7200)["Credentials"]
    key = Key(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    trails = client("cloudtrail", region, key)
    trails.list_trails()
    with refused("ValidationError", "Must specify userName when calling with non-User credentials"):
        client("iam", key=key).get_user()

    iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust(f"arn:aws:iam::{ACCOUNT}:user/{user}",
                                  Condition={"StringEquals": {"sts:ExternalId": "door"}}))
    with refused("AccessDenied", status=403):
        sts.assume_role(RoleArn=arn, RoleSessionName="session")
    sts.assume_role(RoleArn=arn, RoleSessionName="session", ExternalId="door")
    with refused("MalformedPolicyDocument"):
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=allow("sts:AssumeRole"))
    iam.update_role(RoleName=role, Description="audits more", MaxSessionDuration=3600)
    with refused("ValidationError", "exceeds the MaxSessionDuration"):
        sts.assume_role(RoleArn=arn, RoleSessionName="session", ExternalId="door", DurationSeconds=7200)
    assert iam.update_role_description(RoleName=role, Description="done")["Role"]["Description"] == "done"
    iam.tag_role(RoleName=role, Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_role(RoleName=role, TagKeys=["a"])
    assert iam.list_role_tags(RoleName=role)["Tags"] == [{"Key": "c", "Value": "d"}]

    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert [p["PolicyName"] for p in attached] == ["AmazonS3ReadOnlyAccess"]
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["list"]
    assert iam.get_role_policy(RoleName=role, PolicyName="list")["PolicyDocument"]["Statement"]
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary="arn:aws:iam::aws:policy/AWSDenyAll")
    with refused("AccessDeniedException", "with an explicit deny in a permissions boundary"):
        trails.list_trails()
    iam.delete_role_permissions_boundary(RoleName=role)
    with refused("DeleteConflict", "must detach all policies first", 409):
        iam.delete_role(RoleName=role)
    iam.detach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    with refused("DeleteConflict", status=409):
        iam.delete_role(RoleName=role)
    iam.delete_role_policy(RoleName=role, PolicyName="list")
    iam.delete_role(RoleName=role)
    with refused("UnrecognizedClientException"):
        trails.list_trails()
    with refused("NoSuchEntity", f"The role with name {role} cannot be found.", 404):
        iam.get_role(RoleName=role)


def test_a_role_of_another_account_is_recorded_in_both(client, iam, user):
    theirs = client("iam", key=OTHER)
    role = f"{user}-guest"
    document = trust(f"arn:aws:iam::{ACCOUNT}:user/{user}")
    arn = theirs.create_role(RoleName=role, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    assert arn == f"arn:aws:iam::{OTHER_ACCOUNT}:role/{role}"
    sts = client("sts", key=new_key(iam, user))
    with refused("AccessDenied", status=403):
        sts.assume_role(RoleArn=arn, RoleSessionName="guest")
    iam.put_user_policy(UserName=user, PolicyName="assume", PolicyDocument=allow("sts:AssumeRole", resource=arn))
    session = sts.assume_role(RoleArn=arn, RoleSessionName="guest")
    credentials = session["Credentials"]
    key = Key(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
    assert client("sts", key=key).get_caller_identity()["Account"] == OTHER_ACCOUNT

    def of_role(record):
        return (record["requestParameters"] or {}).get("roleArn") == arn and "errorCode" not in record

    ours = record_of(client, "AssumeRole", having=of_role)
    [owners] = wait_until(lambda: records_of(client, "AssumeRole", key=OTHER, having=of_role), "the owner's record")
    assert ours["sharedEventID"] == owners["sharedEventID"] and ours["eventID"] != owners["eventID"]
    assert (ours["recipientAccountId"], owners["recipientAccountId"]) == (ACCOUNT, OTHER_ACCOUNT)
    assert ours["userIdentity"]["userName"] == user
    user_id = iam.get_user(UserName=user)["User"]["UserId"]
    assert owners["userIdentity"] == {"type": "AWSAccount", "principalId": user_id, "accountId": ACCOUNT}
    assert ours["requestID"] == owners["requestID"]
    assert owners["resources"] == [{"accountId": OTHER_ACCOUNT, "type": "AWS::IAM::Role", "ARN": arn}]
    # A refused call stays with the caller.
    denied = [r for r in records_of(client, "AssumeRole", key=OTHER) if r.get("errorCode")]
    assert not denied


# The account, the configuration, records


def test_the_account_as_a_whole(client, iam, user):
    assert iam.get_user()["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert "UserName" not in iam.get_user()["User"]
    summary = iam.get_account_summary()["SummaryMap"]
    assert summary["Users"] == len([u for page in iam.get_paginator("list_users").paginate() for u in page["Users"]])
    assert (summary["AccessKeysPerUserQuota"], summary["VersionsPerPolicyQuota"]) == (2, 5)
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=allow("s3:*"))
    details = iam.get_account_authorization_details(Filter=["User"], MaxItems=1000)
    [found] = [u for u in details["UserDetailList"] if u["UserName"] == user]
    assert found["UserPolicyList"][0]["PolicyDocument"] == json.loads(allow("s3:*"))
    assert details["RoleDetailList"] == []
    for operation in (iam.list_mfa_devices, iam.list_signing_certificates, iam.list_ssh_public_keys,
                      iam.list_service_specific_credentials):
        operation(UserName=user)

    theirs = client("iam", key=OTHER)
    alias = f"alias-{user}"
    iam.create_account_alias(AccountAlias=alias)
    assert iam.list_account_aliases()["AccountAliases"] == [alias]
    with refused("EntityAlreadyExists", status=409):
        theirs.create_account_alias(AccountAlias=alias)
    with refused("NoSuchEntity", status=404):
        theirs.delete_account_alias(AccountAlias=alias)
    iam.delete_account_alias(AccountAlias=alias)
    assert iam.list_account_aliases()["AccountAliases"] == []
    with refused("NoSuchEntity", status=404):
        theirs.get_user(UserName=user)


def test_listings_come_in_pages(iam, name):
    for number in range(5):
        iam.create_user(UserName=f"{name}-{number}", Path=f"/{name}/")
    first = iam.list_users(PathPrefix=f"/{name}/", MaxItems=2)
    assert (len(first["Users"]), first["IsTruncated"]) == (2, True)
    pages = iam.get_paginator("list_users").paginate(PathPrefix=f"/{name}/", PaginationConfig={"PageSize": 2})
    assert [u["UserName"] for page in pages for u in page["Users"]] == [f"{name}-{n}" for n in range(5)]
    with refused("ValidationError", "Invalid Marker"):
        iam.list_users(Marker="made-up")
    with refused("ValidationError"):
        iam.list_users(MaxItems=0)


def test_what_the_configuration_defines_is_read_only(iam):
    assert iam.get_user(UserName="reader")["User"]["UserId"].startswith("AIDA")
    assert iam.list_user_policies(UserName="reader")["PolicyNames"] == ["configured-1"]
    assert iam.get_role(RoleName="auditor")["Role"]["Path"] == "/"
    text = "is defined in the server's configuration file"
    with refused("UnmodifiableEntity", f"The user reader {text}"):
        iam.delete_user(UserName="reader")
    with refused("UnmodifiableEntity", text):
        iam.create_access_key(UserName="reader")
    with refused("UnmodifiableEntity", f"The role auditor {text}"):
        iam.attach_role_policy(RoleName="auditor", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    with refused("EntityAlreadyExists", status=409):
        iam.create_user(UserName="Reader")


def test_what_is_wrong_with_a_request_is_told(iam):
    with refused("ValidationError", "Value null at 'userName' failed to satisfy constraint: Member must not be null"):
        iam.create_user()
    with refused("ValidationError", "[\\w+=,.@-]+"):
        iam.create_user(UserName="with space")
    with refused("ValidationError"):
        iam.create_user(UserName="a" * 65)
    with refused("ValidationError"):
        iam.create_user(UserName="someone", Path="no-slashes")
    with refused("InvalidAction", "CreateInstanceProfile is not built yet"):
        iam.create_instance_profile(InstanceProfileName="none")


def test_calls_are_recorded_as_cloudtrail_records_iam(client, iam, name):
    """Also when they are signed for another Region: IAM is global."""
    elsewhere = client("iam", "eu-central-1")
    made = elsewhere.create_user(UserName=name, Tags=[{"Key": "k", "Value": "true"}])["User"]
    with refused("EntityAlreadyExists", status=409):
        iam.create_user(UserName=name)
    key = new_key(iam, name)
    iam.list_access_keys(UserName=name)

    def of_user(record):
        return (record["requestParameters"] or {}).get("userName") == name

    def both():
        found = records_of(client, "CreateUser", having=of_user)
        return found if len(found) == 2 else None

    failed, created = wait_until(both, "both records")
    if "errorCode" in created:
        failed, created = created, failed
    assert (created["awsRegion"], created["eventSource"]) == ("us-east-1", "iam.amazonaws.com")
    assert (created["readOnly"], created["managementEvent"], created["eventType"]) == (False, True, "AwsApiCall")
    assert created["requestParameters"] == {"userName": name, "tags": [{"key": "k", "value": "true"}]}
    date = made["CreateDate"]
    assert created["responseElements"]["user"] == {
        "path": "/", "userName": name, "userId": made["UserId"], "arn": made["Arn"],
        "createDate": f"{date:%b} {date.day}, {date.year} {date.hour % 12 or 12}:{date:%M:%S %p}",
        "tags": [{"key": "k", "value": "true"}],
    }
    assert failed["errorCode"] == "EntityAlreadyExistsException" and failed["responseElements"] is None
    keyed = record_of(client, "CreateAccessKey", having=of_user)
    assert keyed["responseElements"]["accessKey"]["accessKeyId"] == key.id
    assert "secretAccessKey" not in keyed["responseElements"]["accessKey"] and key.secret not in json.dumps(keyed)
    listed = record_of(client, "ListAccessKeys", having=of_user)
    assert listed["readOnly"] is True and listed["responseElements"] is None


def test_everything_survives_a_restart_and_a_kill(tmp_path):
    with Server(tmp_path, CONFIG) as server:
        iam = server.client("iam")
        iam.create_user(UserName="alice")
        key = new_key(iam, "alice")
        iam.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSCloudTrail_ReadOnlyAccess")
        iam.create_group(GroupName="staff")
        iam.add_user_to_group(GroupName="staff", UserName="alice")
        made = iam.create_role(RoleName="job", AssumeRolePolicyDocument=trust(f"arn:aws:iam::{ACCOUNT}:user/alice"))
        server.kill()
        stored = b"".join(path.read_bytes() for path in server.data.glob("catalog.sqlite*"))
        assert key.id.encode() in stored and key.secret.encode() not in stored
        server.start()
        secrets = (key.id, key.secret)
        server.client("cloudtrail", key=secrets).describe_trails()
        server.client("sts", key=secrets).assume_role(RoleArn=made["Role"]["Arn"], RoleSessionName="night")
        used = iam.get_access_key_last_used(AccessKeyId=key.id)["AccessKeyLastUsed"]
        assert used["ServiceName"] == "sts"
        assert server.stop() == 0
        server.start()
        assert iam.get_access_key_last_used(AccessKeyId=key.id)["AccessKeyLastUsed"] == used
        assert [g["GroupName"] for g in iam.list_groups_for_user(UserName="alice")["Groups"]] == ["staff"]
        iam.delete_access_key(UserName="alice", AccessKeyId=key.id)
        with refused("InvalidClientTokenId", status=403):
            server.client("sts", key=secrets).get_caller_identity()
        assert server.stop() == 0
        server.config.write_text(CONFIG.replace('name = "reader"', 'name = "Alice"'))
        server.start(wait=False)
        assert server.process.wait(60) != 0
        server.process = None
        assert 'the configuration defines user "alice"' in server.log_tail()


def test_the_command_line_client(server):
    def aws(*arguments) -> dict:
        command = [AWS, "iam", *arguments, "--output", "json"]
        environment = server.cli_environment("eu-west-1")
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else {}

    made = aws("create-user", "--user-name", "cli", "--path", "/cli/")
    assert made["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/cli/cli"
    aws("attach-user-policy", "--user-name", "cli", "--policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess")
    key = aws("create-access-key", "--user-name", "cli")["AccessKey"]
    assert key["Status"] == "Active"
    assert [u["UserName"] for u in aws("list-users", "--path-prefix", "/cli/")["Users"]] == ["cli"]
    aws("delete-access-key", "--user-name", "cli", "--access-key-id", key["AccessKeyId"])
    aws("detach-user-policy", "--user-name", "cli", "--policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess")
    aws("delete-user", "--user-name", "cli")
