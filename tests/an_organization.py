"""An organization of three accounts, as tests make it: with stock clients, from accounts of the configuration."""

import json

from opentrail_server import ACCOUNT, Server

MANAGEMENT, DELEGATE, MEMBER, STRANGER = ACCOUNT, "200000000002", "300000000003", "400000000004"
CLOUDTRAIL = "cloudtrail.amazonaws.com"
ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
FAST = """
[delivery]
max_age = "200ms"
[digest]
interval = "1s"
"""


def trust(account):
    """Lets an account's principals assume a role."""
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def config(pace=FAST):
    """Each account with its root's key, an administrator's, and a role of all rights for itself."""
    accounts = [f"""
[[account]]
id = "{account}"
[[account.access_key]]
id = "AKIAROOT{account}"
secret = "root-secret-{account}"
[[account.user]]
name = "admin"
policies = ['''{ALL}''']
[[account.user.access_key]]
id = "AKIAUSER{account}"
secret = "user-secret-{account}"
[[account.role]]
name = "everything"
trust_policy = '''{trust(account)}'''
policies = ['''{ALL}''']
""" for account in (MANAGEMENT, DELEGATE, MEMBER, STRANGER)]  # fmt: skip
    return pace + "".join(accounts)


def root_key(account):
    return f"AKIAROOT{account}", f"root-secret-{account}"


def admin_key(account):
    return f"AKIAUSER{account}", f"user-secret-{account}"


def log_bucket_policy(bucket, organization, trail_arn=None, prefix=""):
    """The policy that the User Guide has for the bucket of an organization trail."""
    source = {"aws:SourceArn": trail_arn} if trail_arn else {}
    service = {"Effect": "Allow", "Principal": {"Service": CLOUDTRAIL}}
    acl = service | {"Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{bucket}"}
    if source:
        acl |= {"Condition": {"StringEquals": source}}
    put = service | {
        "Action": "s3:PutObject",
        "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"} | source},
    }
    places = [f"arn:aws:s3:::{bucket}/{prefix}AWSLogs/{whose}/*" for whose in (MANAGEMENT, organization)]
    return json.dumps({"Version": "2012-10-17", "Statement": [acl, *(put | {"Resource": place} for place in places)]})


class Organization:
    """A server whose accounts are or come to be in one organization."""

    def __init__(self, directory, pace=FAST):
        self.server = Server(directory, config(pace), ["--log", "warn"]).start()
        self.id = None

    def client(self, account, service, region="us-east-1", **more):
        """A boto3 client of the account's root."""
        return self.server.client(service, region, root_key(account), **more)

    def session(self, account, role="everything", policy=None, region="us-east-1"):
        """Makes clients with temporary credentials: `organization.session(MEMBER)("s3")`. A root cannot assume roles."""
        return self.assumed(account, f"arn:aws:iam::{account}:role/{role}", policy, region)

    def assumed(self, account, role_arn, policy=None, region="us-east-1"):
        """The same for any role that the account's administrator may assume."""
        more = {"Policy": policy} if policy else {}
        sts = self.server.client("sts", region, admin_key(account))
        made = sts.assume_role(RoleArn=role_arn, RoleSessionName="probe", **more)["Credentials"]
        key, token = (made["AccessKeyId"], made["SecretAccessKey"]), made["SessionToken"]
        return lambda service, **config: self.server.client(service, region, key, token, **config)

    def create(self, feature_set="ALL"):
        """The organization of the management account alone."""
        answer = self.client(MANAGEMENT, "organizations").create_organization(FeatureSet=feature_set)
        self.id = answer["Organization"]["Id"]
        return self.id

    def join(self, account):
        management = self.client(MANAGEMENT, "organizations")
        invited = management.invite_account_to_organization(Target={"Id": account, "Type": "ACCOUNT"})
        self.client(account, "organizations").accept_handshake(HandshakeId=invited["Handshake"]["Id"])

    def trust_cloudtrail(self):
        self.client(MANAGEMENT, "organizations").enable_aws_service_access(ServicePrincipal=CLOUDTRAIL)

    def delegate(self, account):
        self.client(MANAGEMENT, "cloudtrail").register_organization_delegated_admin(MemberAccountId=account)

    def make_bucket(self, name, trail=None, prefix=""):
        """A bucket of the management account that the trail of that name may deliver to."""
        s3 = self.client(MANAGEMENT, "s3")
        s3.create_bucket(Bucket=name)
        arn = f"arn:aws:cloudtrail:us-east-1:{MANAGEMENT}:trail/{trail}" if trail else None
        s3.put_bucket_policy(Bucket=name, Policy=log_bucket_policy(name, self.id, arn, prefix))
        return name
