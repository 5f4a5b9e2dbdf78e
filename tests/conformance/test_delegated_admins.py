"""CloudTrail's delegated administrators: registered and deregistered by CloudTrail, kept and listed by Organizations."""

import json

import pytest

from accounts import CONFIG, OTHER, READER
from errors import refused
from opentrail_server import ACCOUNT, Server
from test_organizations import act_in, administrator, make_account, organization, root  # noqa: F401  (fixtures)

TRUST = "cloudtrail.amazonaws.com"
REGISTER, DEREGISTER = "RegisterOrganizationDelegatedAdmin", "DeregisterOrganizationDelegatedAdmin"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of this module's own: the others have no organization."""
    server = Server(tmp_path_factory.mktemp("delegated"), CONFIG).start()
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def client(server):
    def make(service, region="us-east-1", key=None):
        return server.client(service, region, (key.id, key.secret) if key else None, parameter_validation=False)

    return make


@pytest.fixture
def trusted(root, organization):  # noqa: F811
    """An organization that CloudTrail is trusted with."""
    root.enable_aws_service_access(ServicePrincipal=TRUST)
    return organization


@pytest.fixture
def cloudtrail(client):
    return client("cloudtrail")


def delegates(root):  # noqa: F811
    return [one["Id"] for one in root.list_delegated_administrators(ServicePrincipal=TRUST)["DelegatedAdministrators"]]


@pytest.mark.operation(REGISTER, DEREGISTER)
def test_what_cloudtrail_registers_organizations_lists_and_the_other_way_round(root, trusted, cloudtrail):  # noqa: F811
    account = make_account(root)
    answer = cloudtrail.register_organization_delegated_admin(MemberAccountId=account)
    assert set(answer) == {"ResponseMetadata"}
    assert delegates(root) == [account]
    [service] = root.list_delegated_services_for_account(AccountId=account)["DelegatedServices"]
    assert service["ServicePrincipal"] == TRUST
    with refused("AccountRegisteredException"):
        cloudtrail.register_organization_delegated_admin(MemberAccountId=account)
    with refused("AccountAlreadyRegisteredException"):
        root.register_delegated_administrator(AccountId=account, ServicePrincipal=TRUST)
    assert set(cloudtrail.deregister_organization_delegated_admin(DelegatedAdminAccountId=account)) == {"ResponseMetadata"}
    assert delegates(root) == []
    with refused("AccountNotRegisteredException"):
        cloudtrail.deregister_organization_delegated_admin(DelegatedAdminAccountId=account)
    root.register_delegated_administrator(AccountId=account, ServicePrincipal=TRUST)
    cloudtrail.deregister_organization_delegated_admin(DelegatedAdminAccountId=account)
    assert delegates(root) == []


@pytest.mark.operation(REGISTER)
def test_three_at_most(root, trusted, cloudtrail):  # noqa: F811
    for _ in range(3):
        cloudtrail.register_organization_delegated_admin(MemberAccountId=make_account(root))
    fourth = make_account(root)
    with refused("DelegatedAdminAccountLimitExceededException"):
        cloudtrail.register_organization_delegated_admin(MemberAccountId=fourth)
    with refused("ConstraintViolationException"):
        root.register_delegated_administrator(AccountId=fourth, ServicePrincipal=TRUST)


@pytest.mark.operation(REGISTER, DEREGISTER)
@pytest.mark.parametrize("operation, member", [
    ("register_organization_delegated_admin", "MemberAccountId"),
    ("deregister_organization_delegated_admin", "DelegatedAdminAccountId")], ids=["register", "deregister"])  # fmt: skip
class TestBothOperations:
    def test_without_an_organization(self, cloudtrail, operation, member):
        with refused("OrganizationsNotInUseException"):
            getattr(cloudtrail, operation)(**{member: ACCOUNT})

    def test_without_trust(self, root, organization, cloudtrail, operation, member):  # noqa: F811
        with refused("CloudTrailAccessNotEnabledException"):
            getattr(cloudtrail, operation)(**{member: make_account(root)})

    def test_without_all_features(self, root, cloudtrail, operation, member):  # noqa: F811
        root.create_organization(FeatureSet="CONSOLIDATED_BILLING")
        with refused("OrganizationNotInAllFeaturesModeException"):
            getattr(cloudtrail, operation)(**{member: make_account(root)})

    def test_of_an_account_that_is_no_member(self, trusted, cloudtrail, operation, member):
        for account in ("999999999999", "1234567890123456"):
            with refused("AccountNotFoundException", account):
                getattr(cloudtrail, operation)(**{member: account})
        with refused("ValidationException"):
            getattr(cloudtrail, operation)(**{member: "twelve"})

    def test_by_a_member(self, server, root, trusted, administrator, operation, member):  # noqa: F811
        account = make_account(root)
        with refused("NotOrganizationManagementAccountException"):
            getattr(act_in(server, administrator, account)("cloudtrail"), operation)(**{member: account})

    def test_by_another_account(self, client, trusted, operation, member):
        with refused("OrganizationsNotInUseException"):
            getattr(client("cloudtrail", key=OTHER), operation)(**{member: ACCOUNT})

    def test_without_the_right(self, client, trusted, operation, member):
        with refused("AccessDeniedException", "is not authorized to perform: cloudtrail:"):
            getattr(client("cloudtrail", key=READER), operation)(**{member: ACCOUNT})

    def test_without_the_right_in_organizations(self, server, client, root, trusted, operation, member):  # noqa: F811
        account, iam = make_account(root), client("iam")
        iam.create_user(UserName="narrow")
        allow = {"Effect": "Allow", "Action": "cloudtrail:*", "Resource": "*"}
        iam.put_user_policy(UserName="narrow", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allow}))
        key = iam.create_access_key(UserName="narrow")["AccessKey"]
        narrow = server.client("cloudtrail", key=(key["AccessKeyId"], key["SecretAccessKey"]))
        try:
            with refused("InsufficientDependencyServiceAccessPermissionException", "organizations:"):
                getattr(narrow, operation)(**{member: account})
        finally:
            iam.delete_access_key(UserName="narrow", AccessKeyId=key["AccessKeyId"])
            iam.delete_user_policy(UserName="narrow", PolicyName="p")
            iam.delete_user(UserName="narrow")


@pytest.mark.operation(REGISTER)
def test_of_the_management_account(trusted, cloudtrail):
    with refused("CannotDelegateManagementAccountException"):
        cloudtrail.register_organization_delegated_admin(MemberAccountId=ACCOUNT)


@pytest.mark.operation(REGISTER)
def test_of_a_closed_account(root, trusted, cloudtrail):  # noqa: F811
    account = make_account(root)
    root.close_account(AccountId=account)
    with refused("InvalidParameterException", "closed"):
        cloudtrail.register_organization_delegated_admin(MemberAccountId=account)
