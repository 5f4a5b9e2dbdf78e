"""From the first start to an organization of three accounts, with the stock CLI alone: made, entered, used, one closed;
and all of it is the same after a restart."""

import json

import pytest
import stored

from commands import AWS, aws, opentrail_offline, run
from opentrail_server import ACCOUNT, Server, wait_until

ROLE = "OrganizationAccountAccessRole"


class Administrator:
    """A user of the first account, who may do everything, with the CLI's profiles for the other accounts' roles."""

    def __init__(self, server):
        self.server, self.profiles = server, server.directory / "profiles"
        aws(server, "iam", "create-user", "--user-name", "admin")
        aws(server, "iam", "attach-user-policy", "--user-name", "admin", "--policy-arn", "arn:aws:iam::aws:policy/AdministratorAccess")
        key = json.loads(aws(server, "iam", "create-access-key", "--user-name", "admin"))["AccessKey"]
        self.text = f"[admin]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"
        self.profiles.write_text(self.text)

    def knows(self, name, account):
        """From now on `--profile name` is the account's role."""
        self.text += f"[{name}]\nrole_arn = arn:aws:iam::{account}:role/{ROLE}\nsource_profile = admin\n"
        self.profiles.write_text(self.text)

    def aws(self, *arguments, profile="admin", **expected):
        # The CLI keeps sessions of roles below HOME.
        environment = self.server.cli_environment() | {
            "AWS_SHARED_CREDENTIALS_FILE": str(self.profiles), "HOME": str(self.server.directory)}  # fmt: skip
        return run(AWS, *arguments, "--profile", profile, environment=environment, **expected)

    def json(self, *arguments, profile="admin"):
        return json.loads(self.aws(*arguments, profile=profile))


def make_account(admin, name):
    """An account, as an administrator makes one: asked for, and waited for."""
    begun = admin.json("organizations", "create-account", "--account-name", name, "--email", f"{name}@example.com")

    def made():
        status = admin.json("organizations", "describe-create-account-status",
                            "--create-account-request-id", begun["CreateAccountStatus"]["Id"])["CreateAccountStatus"]  # fmt: skip
        assert status["State"] in ("IN_PROGRESS", "SUCCEEDED"), status
        return status.get("AccountId")

    account = wait_until(made, f"account {name}", pause=0.2)
    admin.knows(name, account)
    return account


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_from_the_first_start_to_three_accounts(tmp_path, end):
    with Server(tmp_path / "server") as server:
        admin = Administrator(server)
        organization = admin.json("organizations", "create-organization", "--feature-set", "ALL")["Organization"]
        assert (organization["MasterAccountId"], organization["FeatureSet"]) == (ACCOUNT, "ALL")
        logs, audit = make_account(admin, "logs"), make_account(admin, "audit")
        for name, account in (("logs", logs), ("audit", audit)):
            assert admin.json("sts", "get-caller-identity", profile=name)["Account"] == account
            admin.aws("iam", "create-user", "--user-name", f"{name}-user", profile=name)
            seen = admin.json("organizations", "describe-organization", profile=name)["Organization"]
            assert seen["Id"] == organization["Id"]
        key = admin.json("iam", "create-access-key", "--user-name", "audit-user", profile="audit")["AccessKey"]
        admin.aws("organizations", "enable-aws-service-access", "--service-principal", "cloudtrail.amazonaws.com")
        admin.aws("cloudtrail", "register-organization-delegated-admin", "--member-account-id", logs)
        admin.aws("organizations", "close-account", "--account-id", audit)

        def look():
            accounts = admin.json("organizations", "list-accounts")["Accounts"]
            states = {account["Id"]: account["Status"] for account in accounts}
            assert states == {ACCOUNT: "ACTIVE", logs: "ACTIVE", audit: "SUSPENDED"}
            [delegate] = admin.json("organizations", "list-delegated-administrators",
                                    "--service-principal", "cloudtrail.amazonaws.com")["DelegatedAdministrators"]  # fmt: skip
            assert (delegate["Id"], delegate["Name"]) == (logs, "logs")
            users = admin.json("iam", "list-users", profile="logs")["Users"]
            assert [user["UserName"] for user in users] == ["logs-user"]
            # Neither the session that the CLI still has, nor a new one, nor the key of a user there.
            assert "InvalidClientTokenId" in admin.aws("iam", "list-users", profile="audit", code=255, errors_too=True)
            refused = admin.aws("sts", "assume-role", "--role-arn", f"arn:aws:iam::{audit}:role/{ROLE}",
                                "--role-session-name", "again", code=255, errors_too=True)  # fmt: skip
            assert "not authorized to perform: sts:AssumeRole" in refused
            environment = server.cli_environment() | {
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}  # fmt: skip
            assert "InvalidClientTokenId" in run(AWS, "sts", "get-caller-identity", environment=environment, code=255, errors_too=True)

        look()
        assert server.stop() == 0 if end == "stopped" else server.kill() is None
        opentrail_offline("fsck", "--data-dir", server.data)
        server.start()
        look()
        # The new account is a whole one: it makes accounts' things of its own after the restart, too.
        admin.aws("s3", "mb", "s3://made-by-logs", profile="logs")
        events = admin.json("cloudtrail", "lookup-events", profile="logs")["Events"]
        assert {"CreateUser", "CreateBucket", "ListUsers"} <= {event["EventName"] for event in events}
        assert server.stop() == 0


def test_a_bucket_open_to_the_organization_closes_for_who_leaves(tmp_path):
    with Server(tmp_path / "server") as server:
        admin = Administrator(server)
        organization = admin.json("organizations", "create-organization", "--feature-set", "ALL")["Organization"]
        guest = make_account(admin, "guest")
        admin.aws("s3", "mb", "s3://shared")
        allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::shared",
                 "Condition": {"StringEquals": {"aws:PrincipalOrgID": organization["Id"]}}}  # fmt: skip
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        admin.aws("s3api", "put-bucket-policy", "--bucket", "shared", "--policy", policy)
        admin.aws("s3api", "list-objects-v2", "--bucket", "shared", profile="guest")
        admin.aws("organizations", "remove-account-from-organization", "--account-id", guest)
        refused = admin.aws("s3api", "list-objects-v2", "--bucket", "shared", profile="guest", code=255, errors_too=True)
        assert "AccessDenied" in refused
        assert server.stop() == 0


def test_an_event_data_store_of_the_organization_follows_its_members(tmp_path):
    with Server(tmp_path / "server", '[stores]\nflush_age = "200ms"\n') as server:
        admin = Administrator(server)
        admin.json("organizations", "create-organization", "--feature-set", "ALL")
        delegate, member = make_account(admin, "delegate"), make_account(admin, "member")
        create = ["cloudtrail", "create-event-data-store", "--name", "all", "--organization-enabled", "--no-termination-protection-enabled"]
        refusals = [("CloudTrailAccessNotEnabledException", "admin"), ("NotOrganizationMasterAccountException", "member")]
        for error, profile in refusals:
            assert error in admin.aws(*create, profile=profile, code=255, errors_too=True)
        admin.aws("organizations", "enable-aws-service-access", "--service-principal", "cloudtrail.amazonaws.com")
        admin.aws("cloudtrail", "register-organization-delegated-admin", "--member-account-id", delegate)
        made = admin.json(*create, profile="delegate")
        arn = made["EventDataStoreArn"]
        assert f":{ACCOUNT}:eventdatastore/" in arn and made["OrganizationEnabled"], "it is the management account's"

        newcomer = make_account(admin, "newcomer")
        for name in ("admin", "delegate", "member", "newcomer"):
            admin.aws("iam", "create-group", "--group-name", f"group-of-{name}", profile=name)
        for profile in ("admin", "delegate"):
            assert admin.json("cloudtrail", "get-event-data-store", "--event-data-store", arn, profile=profile)["Status"] == "ENABLED"
            listed = admin.json("cloudtrail", "list-event-data-stores", profile=profile)["EventDataStores"]
            assert [store["EventDataStoreArn"] for store in listed] == [arn]
        assert admin.json("cloudtrail", "list-event-data-stores", profile="member")["EventDataStores"] == []
        for operation in ("get-event-data-store", "delete-event-data-store", "stop-event-data-store-ingestion"):
            refused = admin.aws("cloudtrail", operation, "--event-data-store", arn, profile="member", code=255, errors_too=True)
            assert "AccessDenied" in refused
        refused = admin.aws("cloudtrail", "update-event-data-store", "--event-data-store", arn, "--no-organization-enabled",
                            profile="delegate", code=255, errors_too=True)  # fmt: skip
        assert "NotOrganizationMasterAccountException" in refused, "only the management account converts it"
        admin.aws("organizations", "remove-account-from-organization", "--account-id", member)
        admin.aws("iam", "create-group", "--group-name", "after-leaving", profile="member")
        admin.aws("iam", "create-group", "--group-name", "last", profile="newcomer")

        def groups():
            events = [event for event in stored.events(server, arn) if event["eventName"] == "CreateGroup"]
            return [(event["recipientAccountId"], event["requestParameters"]["groupName"]) for event in events]

        expected = [(ACCOUNT, "group-of-admin"), (delegate, "group-of-delegate"), (member, "group-of-member"),
                    (newcomer, "group-of-newcomer"), (newcomer, "last")]  # fmt: skip
        wait_until(lambda: len(groups()) >= len(expected), "every group")
        assert groups() == expected
        updated = admin.json("cloudtrail", "update-event-data-store", "--event-data-store", arn, "--no-organization-enabled")
        assert not updated["OrganizationEnabled"]
        assert server.stop() == 0
        opentrail_offline("fsck", "--data-dir", server.data)
