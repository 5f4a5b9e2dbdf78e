"""Organizations: accounts made, invited, moved, closed; units, trusted services, delegated administrators, tags."""

import json
import re
import time

import pytest
from botocore.exceptions import ClientError

from accounts import OTHER, OTHER_ACCOUNT, READER
from errors import refused
from opentrail_server import ACCOUNT, Server, wait_until

TRUST = "cloudtrail.amazonaws.com"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of this module's own: an account can be closed once only."""
    from accounts import CONFIG

    server = Server(tmp_path_factory.mktemp("organizations"), CONFIG).start()
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def client(server):
    def make(service, region="us-east-1", key=None):
        secrets = (key.id, key.secret) if key else None
        return server.client(service, region, secrets, key.token if key else None, parameter_validation=False)

    return make


@pytest.fixture
def root(client):
    """Organizations as the root of the first account sees it. What the test leaves is taken down."""
    organizations = client("organizations")
    yield organizations
    take_down(organizations)


def take_down(organizations):
    try:
        organization = organizations.describe_organization()["Organization"]
    except ClientError:
        return
    if organization["MasterAccountId"] != ACCOUNT:
        return
    for service in every(organizations, "list_aws_service_access_for_organization", "EnabledServicePrincipals"):
        for admin in every(organizations, "list_delegated_administrators", "DelegatedAdministrators"):
            for one in every(organizations, "list_delegated_services_for_account", "DelegatedServices", AccountId=admin["Id"]):
                organizations.deregister_delegated_administrator(AccountId=admin["Id"], ServicePrincipal=one["ServicePrincipal"])
    for account in every(organizations, "list_accounts", "Accounts"):
        if account["Id"] != ACCOUNT:
            organizations.remove_account_from_organization(AccountId=account["Id"])
    [top] = organizations.list_roots()["Roots"]

    def clear(parent):
        for unit in every(organizations, "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=parent):
            clear(unit["Id"])
            organizations.delete_organizational_unit(OrganizationalUnitId=unit["Id"])

    clear(top["Id"])
    organizations.delete_organization()


def every(organizations, operation, member, **more):
    """All items of a listing, through its pages."""
    pages = organizations.get_paginator(operation).paginate(**more)
    return [item for page in pages for item in page[member]]


@pytest.fixture
def organization(root):
    """An organization with all features."""
    return root.create_organization(FeatureSet="ALL")["Organization"]


@pytest.fixture
def other(client):
    """Organizations as the administrator of the other configured account sees it."""
    return client("organizations", key=OTHER)


@pytest.fixture
def top(root, organization):
    """The id of the organization's root."""
    return root.list_roots()["Roots"][0]["Id"]


NUMBER = iter(range(1000))


def make_account(root, **more):
    """A new account's digits."""
    number = next(NUMBER)
    asked = {"AccountName": f"account {number}", "Email": f"account-{number}@example.com"} | more
    status = root.create_account(**asked)["CreateAccountStatus"]
    assert status["State"] == "IN_PROGRESS" and status["AccountName"] == asked["AccountName"]
    status = root.describe_create_account_status(CreateAccountRequestId=status["Id"])["CreateAccountStatus"]
    assert status["State"] == "SUCCEEDED", status
    return status["AccountId"]


def join(root, other):
    """Has the other configured account join."""
    handshake = root.invite_account_to_organization(Target={"Id": OTHER_ACCOUNT, "Type": "ACCOUNT"})["Handshake"]
    return other.accept_handshake(HandshakeId=handshake["Id"])["Handshake"]


@pytest.fixture
def reasons():
    """`with reasons("InvalidInputException", "INVALID_PATTERN"): …`: refused with a reason beside the text."""
    import contextlib

    @contextlib.contextmanager
    def check(name, reason):
        with pytest.raises(ClientError) as caught:
            yield
        answer = caught.value.response
        assert (answer["Error"]["Code"], answer.get("Reason")) == (name, reason), answer
        assert answer["Error"]["Message"] and answer["ResponseMetadata"]["HTTPStatusCode"] == 400

    return check


# The organization


def test_without_an_organization(root, other):
    with refused("AWSOrganizationsNotInUseException", "Your account is not a member of an organization."):
        root.describe_organization()
    for call in (root.list_accounts, root.list_roots, root.delete_organization, root.leave_organization,
                 root.enable_all_features, root.list_aws_service_access_for_organization):  # fmt: skip
        with refused("AWSOrganizationsNotInUseException"):
            call()
    assert root.list_handshakes_for_account()["Handshakes"] == []


def test_a_new_organization(root, other):
    made = root.create_organization()["Organization"]
    assert re.fullmatch(r"o-[a-z0-9]{10,32}", made["Id"])
    arn = f"arn:aws:organizations::{ACCOUNT}"
    assert made == {
        "Id": made["Id"],
        "Arn": f"{arn}:organization/{made['Id']}",
        "FeatureSet": "ALL",
        "MasterAccountArn": f"{arn}:account/{made['Id']}/{ACCOUNT}",
        "MasterAccountId": ACCOUNT,
        "MasterAccountEmail": f"{ACCOUNT}@accounts.invalid",
        "AvailablePolicyTypes": [],
    }
    assert root.describe_organization()["Organization"] == made
    [top] = root.list_roots()["Roots"]
    assert top == {"Id": top["Id"], "Arn": f"{arn}:root/{made['Id']}/{top['Id']}", "Name": "Root", "PolicyTypes": []}
    [account] = root.list_accounts()["Accounts"]
    joined = account.pop("JoinedTimestamp")
    assert time.time() - joined.timestamp() < 60
    assert account == {
        "Id": ACCOUNT,
        "Arn": made["MasterAccountArn"],
        "Email": made["MasterAccountEmail"],
        "Name": ACCOUNT,
        "Status": "ACTIVE",
        "State": "ACTIVE",
        "Paths": [f"{made['Id']}/{top['Id']}/{ACCOUNT}/"],
        "JoinedMethod": "INVITED",
    }
    with refused("AlreadyInOrganizationException"):
        root.create_organization()
    with refused("AWSOrganizationsNotInUseException"):
        other.describe_organization()
    root.delete_organization()
    with refused("AWSOrganizationsNotInUseException"):
        root.describe_organization()


def test_an_organization_that_is_not_empty_stays(root, organization, top):
    unit = root.create_organizational_unit(ParentId=top, Name="u")["OrganizationalUnit"]["Id"]
    with refused("OrganizationNotEmptyException"):
        root.delete_organization()
    root.delete_organizational_unit(OrganizationalUnitId=unit)
    account = make_account(root)
    with refused("OrganizationNotEmptyException"):
        root.delete_organization()
    root.remove_account_from_organization(AccountId=account)
    root.delete_organization()


def test_values_that_the_model_does_not_allow(root, organization, reasons):
    with reasons("InvalidInputException", "INVALID_ENUM"):
        root.create_organization(FeatureSet="SOME")
    with reasons("InvalidInputException", "INVALID_PATTERN"):
        root.describe_account(AccountId="twelve")
    with reasons("InvalidInputException", "INPUT_REQUIRED"):
        root.describe_account()
    with reasons("InvalidInputException", "MAX_VALUE_EXCEEDED"):
        root.list_accounts(MaxResults=21)
    with reasons("InvalidInputException", "MIN_VALUE_EXCEEDED"):
        root.list_accounts(MaxResults=0)
    with reasons("InvalidInputException", "MAX_LENGTH_EXCEEDED"):
        root.create_account(Email="a@example.com", AccountName="n" * 51)
    with reasons("InvalidInputException", "INVALID_NEXT_TOKEN"):
        root.list_accounts(NextToken="forged")


def test_policies_and_the_rest_are_refused(root, organization, top):
    for call in (
        lambda: root.create_policy(Content="{}", Description="", Name="p", Type="SERVICE_CONTROL_POLICY"),
        lambda: root.enable_policy_type(RootId=top, PolicyType="SERVICE_CONTROL_POLICY"),
        lambda: root.list_policies(Filter="SERVICE_CONTROL_POLICY"),
        lambda: root.put_resource_policy(Content="{}"),
        lambda: root.create_gov_cloud_account(Email="a@example.com", AccountName="n"),
    ):
        with refused("UnsupportedAPIEndpointException", "is not built yet"):
            call()


def test_what_policies_do_not_allow(client, root, organization):
    reader = client("organizations", key=READER)
    for call, action in ((reader.describe_organization, "DescribeOrganization"), (reader.create_organization, "CreateOrganization"),
                         (reader.list_accounts, "ListAccounts"), (reader.leave_organization, "LeaveOrganization")):  # fmt: skip
        with refused("AccessDeniedException", f"is not authorized to perform: organizations:{action} on resource: *"):
            call()
    arn = organization["MasterAccountArn"]
    with refused("AccessDeniedException", f"organizations:DescribeAccount on resource: {arn}"):
        reader.describe_account(AccountId=ACCOUNT)


# Accounts


def test_an_account_is_made(client, root, organization, top):
    asked = {"AccountName": "Log archive", "Email": "log-archive@example.com", "Tags": [{"Key": "team", "Value": "blue"}]}
    begun = root.create_account(**asked)["CreateAccountStatus"]
    requested = begun.pop("RequestedTimestamp")
    assert re.fullmatch(r"car-[a-z0-9]{8,32}", begun["Id"])
    assert begun == {"Id": begun["Id"], "AccountName": "Log archive", "State": "IN_PROGRESS"}
    status = root.describe_create_account_status(CreateAccountRequestId=begun["Id"])["CreateAccountStatus"]
    account = status["AccountId"]
    assert status == {"Id": begun["Id"], "AccountName": "Log archive", "State": "SUCCEEDED", "AccountId": account,
                      "RequestedTimestamp": requested, "CompletedTimestamp": status["CompletedTimestamp"]}  # fmt: skip
    assert re.fullmatch(r"[1-9][0-9]{11}", account)
    shown = root.describe_account(AccountId=account)["Account"]
    shown.pop("JoinedTimestamp")
    assert shown == {
        "Id": account,
        "Arn": f"arn:aws:organizations::{ACCOUNT}:account/{organization['Id']}/{account}",
        "Email": "log-archive@example.com",
        "Name": "Log archive",
        "Status": "ACTIVE",
        "State": "ACTIVE",
        "Paths": [f"{organization['Id']}/{top}/{account}/"],
        "JoinedMethod": "CREATED",
    }
    assert root.list_tags_for_resource(ResourceId=account)["Tags"] == asked["Tags"]
    assert root.list_parents(ChildId=account)["Parents"] == [{"Id": top, "Type": "ROOT"}]
    # The same address again, whatever the case.
    again = root.create_account(AccountName="again", Email="Log-Archive@example.com")["CreateAccountStatus"]
    again = root.describe_create_account_status(CreateAccountRequestId=again["Id"])["CreateAccountStatus"]
    assert (again["State"], again["FailureReason"]) == ("FAILED", "EMAIL_ALREADY_EXISTS") and "AccountId" not in again
    failed = every(root, "list_create_account_status", "CreateAccountStatuses", States=["FAILED"])
    assert [one["Id"] for one in failed] == [again["Id"]]
    assert len(every(root, "list_create_account_status", "CreateAccountStatuses")) == 2
    with refused("CreateAccountStatusNotFoundException"):
        root.describe_create_account_status(CreateAccountRequestId="car-examplecreateaccountrequestid111")


@pytest.fixture
def administrator(client):
    """An IAM user of the management account who may do everything: roles cannot be assumed by roots."""
    iam = client("iam")
    iam.create_user(UserName="admin")
    iam.attach_user_policy(UserName="admin", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    key = iam.create_access_key(UserName="admin")["AccessKey"]
    yield key["AccessKeyId"], key["SecretAccessKey"]
    iam.delete_access_key(UserName="admin", AccessKeyId=key["AccessKeyId"])
    iam.detach_user_policy(UserName="admin", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.delete_user(UserName="admin")


def act_in(server, administrator, account, role="OrganizationAccountAccessRole"):
    """`service -> client` with the credentials of the account's role."""
    arn = f"arn:aws:iam::{account}:role/{role}"
    made = server.client("sts", key=administrator).assume_role(RoleArn=arn, RoleSessionName="admin")["Credentials"]
    key = made["AccessKeyId"], made["SecretAccessKey"]
    return lambda service: server.client(service, key=key, token=made["SessionToken"])


def test_the_management_account_acts_in_accounts_that_it_made(server, root, organization, administrator):
    account, named = make_account(root), make_account(root, RoleName="Breakglass")
    act = act_in(server, administrator, account)
    assert act("sts").get_caller_identity()["Account"] == account
    role = act("iam").get_role(RoleName="OrganizationAccountAccessRole")["Role"]
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement == {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    act("iam").create_user(UserName="someone")
    assert act_in(server, administrator, named, "Breakglass")("iam").list_users()["Users"] == []
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
        act_in(server, administrator, named)
    # A member sees its organization, and manages nothing.
    member = act("organizations")
    assert member.describe_organization()["Organization"]["Id"] == organization["Id"]
    for call in (member.list_accounts, member.list_roots, member.delete_organization, member.enable_all_features,
                 lambda: member.create_account(Email="x@example.com", AccountName="x"),
                 lambda: member.close_account(AccountId=account),
                 lambda: member.enable_aws_service_access(ServicePrincipal=TRUST)):  # fmt: skip
        with refused("AccessDeniedException", "You don't have permissions to access this resource."):
            call()
    with refused("ConstraintViolationException"):
        member.leave_organization()


def test_a_closed_account_can_do_nothing_any_more(server, root, organization, administrator, reasons):
    account = make_account(root)
    act = act_in(server, administrator, account)
    act("iam").create_user(UserName="someone")
    key = act("iam").create_access_key(UserName="someone")["AccessKey"]
    someone = server.client("sts", key=(key["AccessKeyId"], key["SecretAccessKey"]))
    assert someone.get_caller_identity()["Account"] == account
    root.close_account(AccountId=account)
    shown = root.describe_account(AccountId=account)["Account"]
    assert (shown["Status"], shown["State"]) == ("SUSPENDED", "CLOSED")
    for call in (someone.get_caller_identity, act("sts").get_caller_identity):
        with pytest.raises(ClientError, match="InvalidClientTokenId"):
            call()
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
        act_in(server, administrator, account)
    with refused("AccountAlreadyClosedException"):
        root.close_account(AccountId=account)
    with reasons("ConstraintViolationException", "CANNOT_CLOSE_MANAGEMENT_ACCOUNT"):
        root.close_account(AccountId=ACCOUNT)
    with refused("AccountNotFoundException"):
        root.close_account(AccountId="999999999999")


def test_accounts_are_listed_in_pages(root, organization, top):
    made = {make_account(root) for _ in range(4)}
    first = root.list_accounts(MaxResults=2)
    assert len(first["Accounts"]) == 2
    rest = root.list_accounts(NextToken=first["NextToken"])
    found = [account["Id"] for account in first["Accounts"] + rest["Accounts"]]
    assert len(found) == 5 and set(found) == made | {ACCOUNT} and "NextToken" not in rest
    inside = every(root, "list_accounts_for_parent", "Accounts", ParentId=top, PaginationConfig={"PageSize": 1})
    assert {account["Id"] for account in inside} == made | {ACCOUNT}
    with refused("InvalidInputException"):
        root.list_accounts_for_parent(ParentId=top, NextToken=first["NextToken"])
    with refused("ParentNotFoundException"):
        root.list_accounts_for_parent(ParentId="r-none")


def test_an_account_is_removed(root, organization, reasons):
    account = make_account(root)
    root.remove_account_from_organization(AccountId=account)
    with refused("AccountNotFoundException"):
        root.describe_account(AccountId=account)
    with refused("AccountNotFoundException"):
        root.remove_account_from_organization(AccountId=account)
    with refused("MasterCannotLeaveOrganizationException"):
        root.remove_account_from_organization(AccountId=ACCOUNT)
    with refused("MasterCannotLeaveOrganizationException"):
        root.leave_organization()


# Units


def test_units(root, organization, top, reasons):
    made = root.create_organizational_unit(ParentId=top, Name="Production", Tags=[{"Key": "a", "Value": "b"}])["OrganizationalUnit"]
    assert re.fullmatch(rf"ou-{top[2:]}-[a-z0-9]{{8,32}}", made["Id"])
    assert made == {
        "Id": made["Id"],
        "Arn": f"arn:aws:organizations::{ACCOUNT}:ou/{organization['Id']}/{made['Id']}",
        "Name": "Production",
        "Path": f"{organization['Id']}/{top}/{made['Id']}/",
    }
    assert root.describe_organizational_unit(OrganizationalUnitId=made["Id"])["OrganizationalUnit"] == made
    assert root.list_organizational_units_for_parent(ParentId=top)["OrganizationalUnits"] == [made]
    with refused("DuplicateOrganizationalUnitException"):
        root.create_organizational_unit(ParentId=top, Name="Production")
    inner = root.create_organizational_unit(ParentId=made["Id"], Name="Production")["OrganizationalUnit"]
    assert root.list_parents(ChildId=inner["Id"])["Parents"] == [{"Id": made["Id"], "Type": "ORGANIZATIONAL_UNIT"}]
    assert root.list_children(ParentId=top, ChildType="ORGANIZATIONAL_UNIT")["Children"] == [
        {"Id": made["Id"], "Type": "ORGANIZATIONAL_UNIT"}]  # fmt: skip
    assert root.list_children(ParentId=top, ChildType="ACCOUNT")["Children"] == [{"Id": ACCOUNT, "Type": "ACCOUNT"}]
    renamed = root.update_organizational_unit(OrganizationalUnitId=made["Id"], Name="Prod")["OrganizationalUnit"]
    assert renamed == made | {"Name": "Prod"}
    other = root.create_organizational_unit(ParentId=top, Name="Test")["OrganizationalUnit"]["Id"]
    with refused("DuplicateOrganizationalUnitException"):
        root.update_organizational_unit(OrganizationalUnitId=other, Name="Prod")
    with refused("OrganizationalUnitNotEmptyException"):
        root.delete_organizational_unit(OrganizationalUnitId=made["Id"])
    root.delete_organizational_unit(OrganizationalUnitId=inner["Id"])
    root.delete_organizational_unit(OrganizationalUnitId=made["Id"])
    for call in (root.describe_organizational_unit, root.delete_organizational_unit,
                 lambda **which: root.update_organizational_unit(Name="x", **which)):  # fmt: skip
        with refused("OrganizationalUnitNotFoundException"):
            call(OrganizationalUnitId=made["Id"])
    for call in (root.list_organizational_units_for_parent,
                 lambda **which: root.list_children(ChildType="ACCOUNT", **which),
                 lambda **which: root.create_organizational_unit(Name="x", **which)):  # fmt: skip
        with refused("ParentNotFoundException"):
            call(ParentId=made["Id"])
    with refused("ChildNotFoundException"):
        root.list_parents(ChildId=made["Id"])


def test_units_lie_five_deep_at_most(root, organization, top, reasons):
    parent = top
    for depth in range(5):
        parent = root.create_organizational_unit(ParentId=parent, Name=f"level {depth}")["OrganizationalUnit"]["Id"]
    with reasons("ConstraintViolationException", "OU_DEPTH_LIMIT_EXCEEDED"):
        root.create_organizational_unit(ParentId=parent, Name="too deep")


def test_an_account_is_moved(root, organization, top):
    account = make_account(root)
    unit = root.create_organizational_unit(ParentId=top, Name="Production")["OrganizationalUnit"]["Id"]
    root.move_account(AccountId=account, SourceParentId=top, DestinationParentId=unit)
    assert root.list_parents(ChildId=account)["Parents"] == [{"Id": unit, "Type": "ORGANIZATIONAL_UNIT"}]
    [inside] = root.list_accounts_for_parent(ParentId=unit)["Accounts"]
    assert (inside["Id"], inside["Paths"]) == (account, [f"{organization['Id']}/{top}/{unit}/{account}/"])
    with refused("OrganizationalUnitNotEmptyException"):
        root.delete_organizational_unit(OrganizationalUnitId=unit)
    with refused("SourceParentNotFoundException"):
        root.move_account(AccountId=account, SourceParentId=top, DestinationParentId=unit)
    with refused("DestinationParentNotFoundException"):
        root.move_account(AccountId=account, SourceParentId=unit, DestinationParentId="ou-none-12345678")
    with refused("DuplicateAccountException"):
        root.move_account(AccountId=account, SourceParentId=unit, DestinationParentId=unit)
    with refused("AccountNotFoundException"):
        root.move_account(AccountId="999999999999", SourceParentId=top, DestinationParentId=unit)


# Invitations


def test_an_account_joins_by_invitation_and_leaves(root, other, organization, top):
    tags = [{"Key": "team", "Value": "blue"}]
    made = root.invite_account_to_organization(
        Target={"Id": OTHER_ACCOUNT, "Type": "ACCOUNT"}, Notes="Come in", Tags=tags)["Handshake"]  # fmt: skip
    assert (made["ExpirationTimestamp"] - made["RequestedTimestamp"]).days == 15
    assert made == {
        "Id": made["Id"],
        "Arn": f"arn:aws:organizations::{ACCOUNT}:handshake/{organization['Id']}/invite/{made['Id']}",
        "Parties": [{"Id": organization["Id"], "Type": "ORGANIZATION"}, {"Id": OTHER_ACCOUNT, "Type": "ACCOUNT"}],
        "State": "OPEN",
        "RequestedTimestamp": made["RequestedTimestamp"],
        "ExpirationTimestamp": made["ExpirationTimestamp"],
        "Action": "INVITE",
        "Resources": [
            {"Type": "ORGANIZATION", "Value": organization["Id"], "Resources": [
                {"Type": "MASTER_EMAIL", "Value": organization["MasterAccountEmail"]},
                {"Type": "MASTER_NAME", "Value": ACCOUNT},
                {"Type": "ORGANIZATION_FEATURE_SET", "Value": "ALL"}]},
            {"Type": "ACCOUNT", "Value": OTHER_ACCOUNT},
            {"Type": "NOTES", "Value": "Come in"},
        ],
    }  # fmt: skip
    for party in (root, other):
        assert party.describe_handshake(HandshakeId=made["Id"])["Handshake"] == made
    assert made in other.list_handshakes_for_account(Filter={"ActionType": "INVITE"})["Handshakes"]
    assert made not in other.list_handshakes_for_account(Filter={"ActionType": "ENABLE_ALL_FEATURES"})["Handshakes"]
    assert made in root.list_handshakes_for_organization()["Handshakes"]
    with refused("DuplicateHandshakeException"):
        root.invite_account_to_organization(Target={"Id": OTHER_ACCOUNT, "Type": "ACCOUNT"})
    with refused("AccessDeniedException"):
        root.accept_handshake(HandshakeId=made["Id"])
    with refused("AccessDeniedException"):
        other.cancel_handshake(HandshakeId=made["Id"])
    assert other.accept_handshake(HandshakeId=made["Id"])["Handshake"]["State"] == "ACCEPTED"
    with refused("HandshakeAlreadyInStateException"):
        other.accept_handshake(HandshakeId=made["Id"])
    with refused("InvalidHandshakeTransitionException"):
        root.cancel_handshake(HandshakeId=made["Id"])
    assert other.describe_organization()["Organization"]["Id"] == organization["Id"]
    shown = root.describe_account(AccountId=OTHER_ACCOUNT)["Account"]
    assert (shown["JoinedMethod"], shown["Email"]) == ("INVITED", f"{OTHER_ACCOUNT}@accounts.invalid")
    assert root.list_tags_for_resource(ResourceId=OTHER_ACCOUNT)["Tags"] == tags
    other.leave_organization()
    with refused("AWSOrganizationsNotInUseException"):
        other.describe_organization()
    assert [account["Id"] for account in root.list_accounts()["Accounts"]] == [ACCOUNT]


def test_invitations_end_otherwise_too(root, other, organization):
    target = {"Id": f"{OTHER_ACCOUNT}@accounts.invalid", "Type": "EMAIL"}
    declined = root.invite_account_to_organization(Target=target)["Handshake"]
    assert declined["Parties"][1] == target
    assert other.decline_handshake(HandshakeId=declined["Id"])["Handshake"]["State"] == "DECLINED"
    with refused("HandshakeAlreadyInStateException"):
        other.decline_handshake(HandshakeId=declined["Id"])
    with refused("InvalidHandshakeTransitionException"):
        other.accept_handshake(HandshakeId=declined["Id"])
    canceled = root.invite_account_to_organization(Target=target)["Handshake"]["Id"]
    assert root.cancel_handshake(HandshakeId=canceled)["Handshake"]["State"] == "CANCELED"
    with refused("InvalidHandshakeTransitionException"):
        other.accept_handshake(HandshakeId=canceled)
    open_one = root.invite_account_to_organization(Target=target)["Handshake"]["Id"]
    root.delete_organization()
    assert other.describe_handshake(HandshakeId=open_one)["Handshake"]["State"] == "CANCELED"
    with refused("HandshakeNotFoundException"):
        other.describe_handshake(HandshakeId="h-examplehandshakeid111")


def test_who_cannot_be_invited(root, other, organization, reasons):
    with reasons("HandshakeConstraintViolationException", "TARGET_ACCOUNT_VALIDATION_FAILURE"):
        root.invite_account_to_organization(Target={"Id": "999999999999", "Type": "ACCOUNT"})
    with reasons("InvalidInputException", "INVALID_EMAIL_ADDRESS_TARGET"):
        root.invite_account_to_organization(Target={"Id": "nobody@example.com", "Type": "EMAIL"})
    with reasons("InvalidInputException", "INVALID_PARTY_TYPE_TARGET"):
        root.invite_account_to_organization(Target={"Id": organization["Id"], "Type": "ORGANIZATION"})
    with reasons("HandshakeConstraintViolationException", "ALREADY_IN_AN_ORGANIZATION"):
        root.invite_account_to_organization(Target={"Id": ACCOUNT, "Type": "ACCOUNT"})
    invited = root.invite_account_to_organization(Target={"Id": OTHER_ACCOUNT, "Type": "ACCOUNT"})["Handshake"]["Id"]
    other.create_organization()
    with reasons("HandshakeConstraintViolationException", "ALREADY_IN_AN_ORGANIZATION"):
        other.accept_handshake(HandshakeId=invited)
    other.delete_organization()


def test_the_move_to_all_features(root, other, reasons):
    organization = root.create_organization(FeatureSet="CONSOLIDATED_BILLING")["Organization"]
    assert organization["FeatureSet"] == "CONSOLIDATED_BILLING"
    make_account(root)
    join(root, other)
    with reasons("ConstraintViolationException", "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE"):
        root.enable_aws_service_access(ServicePrincipal=TRUST)
    whole = root.enable_all_features()["Handshake"]
    assert (whole["Action"], whole["State"]) == ("ENABLE_ALL_FEATURES", "REQUESTED")
    with reasons("HandshakeConstraintViolationException", "ORGANIZATION_IS_ALREADY_PENDING_ALL_FEATURES_MIGRATION"):
        root.enable_all_features()
    with reasons("HandshakeConstraintViolationException", "INVITE_DISABLED_DURING_ENABLE_ALL_FEATURES"):
        root.invite_account_to_organization(Target={"Id": OTHER_ACCOUNT, "Type": "ACCOUNT"})
    with refused("InvalidHandshakeTransitionException"):
        root.accept_handshake(HandshakeId=whole["Id"])
    [part] = root.list_handshakes_for_organization(Filter={"ParentHandshakeId": whole["Id"]})["Handshakes"]
    assert {"Type": "PARENT_HANDSHAKE", "Value": whole["Id"]} in part["Resources"]
    with reasons("InvalidInputException", "MAX_LIMIT_EXCEEDED_FILTER"):
        root.list_handshakes_for_organization(Filter={"ParentHandshakeId": whole["Id"], "ActionType": "INVITE"})
    assert other.accept_handshake(HandshakeId=part["Id"])["Handshake"]["State"] == "ACCEPTED"
    assert root.describe_handshake(HandshakeId=whole["Id"])["Handshake"]["State"] == "OPEN"
    assert root.accept_handshake(HandshakeId=whole["Id"])["Handshake"]["State"] == "ACCEPTED"
    assert other.describe_organization()["Organization"]["FeatureSet"] == "ALL"
    with reasons("HandshakeConstraintViolationException", "ORGANIZATION_ALREADY_HAS_ALL_FEATURES"):
        root.enable_all_features()


# Services and those who administer them


def test_trusted_services(root, organization, reasons):
    root.enable_aws_service_access(ServicePrincipal=TRUST)
    [first] = root.list_aws_service_access_for_organization()["EnabledServicePrincipals"]
    assert first["ServicePrincipal"] == TRUST
    root.enable_aws_service_access(ServicePrincipal=TRUST)
    root.enable_aws_service_access(ServicePrincipal="config.amazonaws.com")
    both = every(root, "list_aws_service_access_for_organization", "EnabledServicePrincipals", PaginationConfig={"PageSize": 1})
    assert [one["ServicePrincipal"] for one in both] == [TRUST, "config.amazonaws.com"] and both[0] == first
    for name in ("cloudtrail", "CloudTrail.amazonaws.com", ".amazonaws.com"):
        with reasons("InvalidInputException", "UNRECOGNIZED_SERVICE_PRINCIPAL"):
            root.enable_aws_service_access(ServicePrincipal=name)
    root.disable_aws_service_access(ServicePrincipal=TRUST)
    root.disable_aws_service_access(ServicePrincipal=TRUST)
    left = root.list_aws_service_access_for_organization()["EnabledServicePrincipals"]
    assert [one["ServicePrincipal"] for one in left] == ["config.amazonaws.com"]


def test_delegated_administrators(server, root, organization, administrator, reasons):
    account = make_account(root)
    with reasons("ConstraintViolationException", "SERVICE_ACCESS_NOT_ENABLED"):
        root.register_delegated_administrator(AccountId=account, ServicePrincipal=TRUST)
    root.enable_aws_service_access(ServicePrincipal=TRUST)
    with reasons("ConstraintViolationException", "CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR"):
        root.register_delegated_administrator(AccountId=ACCOUNT, ServicePrincipal=TRUST)
    with refused("AccountNotFoundException"):
        root.register_delegated_administrator(AccountId="999999999999", ServicePrincipal=TRUST)
    with refused("AccountNotRegisteredException"):
        root.list_delegated_services_for_account(AccountId=account)
    with refused("AccountNotRegisteredException"):
        root.deregister_delegated_administrator(AccountId=account, ServicePrincipal=TRUST)
    root.register_delegated_administrator(AccountId=account, ServicePrincipal=TRUST)
    with refused("AccountAlreadyRegisteredException"):
        root.register_delegated_administrator(AccountId=account, ServicePrincipal=TRUST)
    [shown] = root.list_delegated_administrators(ServicePrincipal=TRUST)["DelegatedAdministrators"]
    assert shown["DelegationEnabledDate"] and shown["JoinedTimestamp"]
    assert (shown["Id"], shown["Status"], shown["JoinedMethod"]) == (account, "ACTIVE", "CREATED")
    assert root.list_delegated_administrators(ServicePrincipal="config.amazonaws.com")["DelegatedAdministrators"] == []
    [service] = root.list_delegated_services_for_account(AccountId=account)["DelegatedServices"]
    assert service == {"ServicePrincipal": TRUST, "DelegationEnabledDate": shown["DelegationEnabledDate"]}
    # A delegated administrator sees the organization, and changes nothing of it.
    delegate = act_in(server, administrator, account)("organizations")
    assert {one["Id"] for one in delegate.list_accounts()["Accounts"]} == {ACCOUNT, account}
    assert delegate.list_delegated_administrators()["DelegatedAdministrators"] == [shown]
    with refused("AccessDeniedException"):
        delegate.register_delegated_administrator(AccountId=account, ServicePrincipal=TRUST)
    with reasons("ConstraintViolationException", "DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE"):
        root.disable_aws_service_access(ServicePrincipal=TRUST)
    with reasons("ConstraintViolationException", "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG"):
        root.remove_account_from_organization(AccountId=account)
    root.deregister_delegated_administrator(AccountId=account, ServicePrincipal=TRUST)
    assert root.list_delegated_administrators()["DelegatedAdministrators"] == []
    with refused("AccessDeniedException"):
        delegate.list_accounts()
    root.close_account(AccountId=account)
    with reasons("ConstraintViolationException", "CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR"):
        root.register_delegated_administrator(AccountId=account, ServicePrincipal=TRUST)


# Tags


def test_tags(root, organization, top, reasons):
    unit = root.create_organizational_unit(ParentId=top, Name="u")["OrganizationalUnit"]["Id"]
    for resource in (top, unit, ACCOUNT):
        root.tag_resource(ResourceId=resource, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
        root.tag_resource(ResourceId=resource, Tags=[{"Key": "a", "Value": "2"}])
        assert root.list_tags_for_resource(ResourceId=resource)["Tags"] == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}]
        root.untag_resource(ResourceId=resource, TagKeys=["a", "absent"])
        assert root.list_tags_for_resource(ResourceId=resource)["Tags"] == [{"Key": "b", "Value": ""}]
    with reasons("InvalidInputException", "DUPLICATE_TAG_KEY"):
        root.tag_resource(ResourceId=top, Tags=[{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}])
    with reasons("InvalidInputException", "INVALID_SYSTEM_TAGS_PARAMETER"):
        root.tag_resource(ResourceId=top, Tags=[{"Key": "aws:a", "Value": "1"}])
    with reasons("ConstraintViolationException", "MAX_TAG_LIMIT_EXCEEDED"):
        root.tag_resource(ResourceId=top, Tags=[{"Key": f"key{n}", "Value": ""} for n in range(50)])
    for call in (root.list_tags_for_resource, lambda **what: root.tag_resource(Tags=[{"Key": "a", "Value": ""}], **what),
                 lambda **what: root.untag_resource(TagKeys=["a"], **what)):  # fmt: skip
        with refused("TargetNotFoundException"):
            call(ResourceId="999999999999")


# Records


def test_calls_are_recorded_as_those_of_a_global_service(client, root, organization):
    eu = client("organizations", "eu-west-1")
    made = eu.create_account(AccountName="Secret name", Email="recorded@example.com")["CreateAccountStatus"]
    eu.list_accounts()
    history = client("cloudtrail")

    def found(name, wanted=lambda event: True):
        """The newest such event; what was just done is seen a moment later."""
        attributes = [{"AttributeKey": "EventName", "AttributeValue": name}]

        def there():
            events = history.lookup_events(LookupAttributes=attributes)["Events"]
            events = [json.loads(event["CloudTrailEvent"]) for event in events]
            return next((event for event in events if wanted(event)), None)

        return wait_until(there, name, 10)

    created = found("CreateAccount", lambda one: one["responseElements"]["createAccountStatus"]["id"] == made["Id"])
    assert (created["eventSource"], created["awsRegion"], created["readOnly"]) == ("organizations.amazonaws.com", "us-east-1", False)
    assert created["requestParameters"] == {"accountName": "****", "email": "****"}
    status = created["responseElements"]["createAccountStatus"]
    assert (status["accountName"], status["state"]) == ("****", "IN_PROGRESS")
    assert re.fullmatch(r"[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:\d{2}:\d{2} [AP]M", status["requestedTimestamp"])
    told = found("CreateAccountResult", lambda one: one["serviceEventDetails"]["createAccountStatus"]["id"] == made["Id"])
    account = root.describe_create_account_status(CreateAccountRequestId=made["Id"])["CreateAccountStatus"]["AccountId"]
    details = told["serviceEventDetails"]["createAccountStatus"]
    assert (details["state"], details["accountId"], details["accountName"]) == ("SUCCEEDED", account, "****")
    assert (told["eventType"], told["userIdentity"]) == (
        "AwsServiceEvent", {"accountId": ACCOUNT, "invokedBy": "organizations.amazonaws.com"})  # fmt: skip
    root.close_account(AccountId=account)
    closed = found("CloseAccountResult", lambda one: one["serviceEventDetails"]["closeAccountStatus"]["accountId"] == account)
    assert closed["serviceEventDetails"]["closeAccountStatus"]["state"] == "SUCCEEDED"
    listed = found("ListAccounts")
    assert (listed["awsRegion"], listed["readOnly"], listed["responseElements"]) == ("us-east-1", True, None)
    made = found("CreateOrganization")
    assert made["responseElements"]["organization"]["id"] == organization["Id"]
    assert made["responseElements"]["organization"]["masterAccountEmail"] == "****"
