"""Organization trails: made by the management account or a delegated administrator, seen and not changed by members."""

import json

import pytest
from an_organization import CLOUDTRAIL, DELEGATE, MANAGEMENT, MEMBER, STRANGER, Organization, log_bucket_policy
from errors import refused

NOT_MASTER = "NotOrganizationMasterAccountException"
BUCKET = "organization-logs"


@pytest.fixture(scope="module")
def organization(tmp_path_factory):
    """Three accounts with trusted access and a delegated administrator, and one account outside."""
    organization = Organization(tmp_path_factory.mktemp("organization"))
    organization.create()
    organization.join(DELEGATE)
    organization.join(MEMBER)
    organization.trust_cloudtrail()
    organization.delegate(DELEGATE)
    organization.make_bucket(BUCKET)
    yield organization
    assert organization.server.stop() == 0


@pytest.fixture
def trails(organization):
    """CloudTrail's clients by account; trails that a test leaves are deleted."""
    clients = {account: organization.client(account, "cloudtrail") for account in (MANAGEMENT, DELEGATE, MEMBER, STRANGER)}
    yield clients
    for account, client in clients.items():
        for trail in client.list_trails()["Trails"]:
            if f":{account}:" in trail["TrailARN"]:
                organization.client(account, "cloudtrail", trail["HomeRegion"]).delete_trail(Name=trail["TrailARN"])


@pytest.fixture
def wide(trails):
    """A multi-Region organization trail of the management account that logs; its ARN."""
    arn = make(trails[MANAGEMENT], "wide", IsMultiRegionTrail=True, TagsList=[{"Key": "team", "Value": "audit"}])["TrailARN"]
    trails[MANAGEMENT].start_logging(Name="wide")
    return arn


def make(client, name, **settings):
    return client.create_trail(Name=name, S3BucketName=BUCKET, **({"IsOrganizationTrail": True} | settings))


def arn_of(name, account=MANAGEMENT, region="us-east-1"):
    return f"arn:aws:cloudtrail:{region}:{account}:trail/{name}"


@pytest.mark.operation("CreateTrail")
def test_the_management_account_makes_an_organization_trail(trails):
    answer = make(trails[MANAGEMENT], "made")
    assert (answer["IsOrganizationTrail"], answer["TrailARN"]) == (True, arn_of("made"))
    assert trails[MANAGEMENT].get_trail(Name="made")["Trail"]["IsOrganizationTrail"] is True


@pytest.mark.operation("CreateTrail", "StartLogging", "StopLogging", "UpdateTrail", "PutEventSelectors", "AddTags",
                       "RemoveTags", "DeleteTrail")  # fmt: skip
def test_a_delegated_administrator_makes_and_operates_a_trail_of_the_management_account(trails):
    delegate = trails[DELEGATE]
    arn = make(delegate, "delegated")["TrailARN"]
    assert arn == arn_of("delegated"), "the owner is the management account"
    delegate.start_logging(Name=arn)
    assert trails[MANAGEMENT].get_trail_status(Name="delegated")["IsLogging"] is True
    assert delegate.update_trail(Name=arn, EnableLogFileValidation=True)["LogFileValidationEnabled"] is True
    selector = {"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}
    delegate.put_event_selectors(TrailName=arn, EventSelectors=[selector])
    delegate.add_tags(ResourceId=arn, TagsList=[{"Key": "by", "Value": "delegate"}])
    delegate.remove_tags(ResourceId=arn, TagsList=[{"Key": "by"}])
    delegate.stop_logging(Name=arn)
    # By name it would be a trail of the administrator's own account.
    with refused("TrailNotFoundException", f"Unknown trail: {arn_of('delegated', DELEGATE)} for the user: {DELEGATE}"):
        delegate.start_logging(Name="delegated")
    with refused("TrailAlreadyExistsException", f"Trail delegated already exists for customer: {MANAGEMENT}"):
        make(delegate, "delegated")
    delegate.delete_trail(Name=arn)
    with refused("TrailNotFoundException"):
        trails[MANAGEMENT].get_trail(Name="delegated")


@pytest.mark.operation("CreateTrail")
@pytest.mark.parametrize("account, error", [(MEMBER, NOT_MASTER), (STRANGER, "OrganizationsNotInUseException")])
def test_others_make_no_organization_trail(trails, account, error):
    with refused(error):
        make(trails[account], "others")
    assert trails[account].list_trails()["Trails"] == []


@pytest.mark.operation("CreateTrail", "UpdateTrail")
def test_an_organization_without_trusted_access_or_all_features_is_refused(tmp_path):
    organization = Organization(tmp_path)
    try:
        organization.create(feature_set="CONSOLIDATED_BILLING")
        organization.make_bucket(BUCKET)
        trails = organization.client(MANAGEMENT, "cloudtrail")
        trails.create_trail(Name="own", S3BucketName=BUCKET)
        calls = [lambda: make(trails, "first"), lambda: trails.update_trail(Name="own", IsOrganizationTrail=True)]
        for call in calls:
            with refused("OrganizationNotInAllFeaturesModeException"):
                call()
        organization.client(MANAGEMENT, "organizations").delete_organization()
        organization.create()
        organization.client(MANAGEMENT, "s3").put_bucket_policy(
            Bucket=BUCKET, Policy=log_bucket_policy(BUCKET, organization.id))  # fmt: skip
        for call in calls:
            with refused("CloudTrailAccessNotEnabledException"):
                call()
        organization.trust_cloudtrail()
        for call in calls:
            assert call()["IsOrganizationTrail"] is True
    finally:
        organization.server.stop()


@pytest.mark.operation("CreateTrail")
def test_whoever_makes_one_needs_the_right_to_ask_for_trusted_access(organization):
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "organizations:ListAWSServiceAccessForOrganization", "Resource": "*"}]}  # fmt: skip
    trails = organization.session(MANAGEMENT, policy=json.dumps(policy))("cloudtrail")
    with refused("InsufficientDependencyServiceAccessPermissionException"):
        make(trails, "lacking")


@pytest.mark.operation("CreateTrail")
def test_a_policy_for_one_account_is_not_enough(organization, trails):
    s3 = organization.client(MANAGEMENT, "s3")
    s3.create_bucket(Bucket="half-open")
    policy = json.loads(log_bucket_policy("half-open", organization.id))
    for missing in (1, 2):
        lacking = policy | {"Statement": [statement for i, statement in enumerate(policy["Statement"]) if i != missing]}
        s3.put_bucket_policy(Bucket="half-open", Policy=json.dumps(lacking))
        with refused("InsufficientS3BucketPolicyException"):
            trails[MANAGEMENT].create_trail(Name="half", S3BucketName="half-open", IsOrganizationTrail=True)
    s3.put_bucket_policy(Bucket="half-open", Policy=json.dumps(policy))
    trails[MANAGEMENT].create_trail(Name="half", S3BucketName="half-open", IsOrganizationTrail=True)


@pytest.mark.operation("CreateTrail")
def test_a_policy_can_ask_for_the_trail_and_its_organization(organization, trails):
    s3 = organization.client(MANAGEMENT, "s3")
    s3.create_bucket(Bucket="conditional")
    for source, answer in [("o-otherothero", None), (organization.id, True)]:
        policy = json.loads(log_bucket_policy("conditional", organization.id, arn_of("conditional")))
        for statement in policy["Statement"]:
            statement["Condition"]["StringEquals"]["aws:SourceOrgID"] = source
        s3.put_bucket_policy(Bucket="conditional", Policy=json.dumps(policy))
        settings = {"Name": "conditional", "S3BucketName": "conditional", "IsOrganizationTrail": True}
        if answer is None:
            with refused("InsufficientS3BucketPolicyException"):
                trails[MANAGEMENT].create_trail(**settings)
        else:
            assert trails[MANAGEMENT].create_trail(**settings)["IsOrganizationTrail"] is answer
    with refused("InsufficientS3BucketPolicyException"):
        trails[MANAGEMENT].create_trail(**(settings | {"Name": "another"}))


@pytest.mark.operation("UpdateTrail")
def test_only_the_management_account_converts(organization, trails, wide):
    management, delegate = trails[MANAGEMENT], trails[DELEGATE]
    management.create_trail(Name="own", S3BucketName=BUCKET)
    assert management.update_trail(Name="own", IsOrganizationTrail=True)["IsOrganizationTrail"] is True
    assert arn_of("own") in arns(trails[MEMBER])
    with refused(NOT_MASTER):
        delegate.update_trail(Name=arn_of("own"), IsOrganizationTrail=False)
    assert delegate.update_trail(Name=arn_of("own"), IsOrganizationTrail=True)["IsOrganizationTrail"] is True
    assert management.update_trail(Name="own", IsOrganizationTrail=False)["IsOrganizationTrail"] is False
    assert arn_of("own") not in arns(trails[MEMBER])
    with refused("TrailNotFoundException"):
        delegate.get_trail(Name=arn_of("own"))

    s3 = organization.client(DELEGATE, "s3")
    s3.create_bucket(Bucket="delegates-own")
    policy = log_bucket_policy("delegates-own", organization.id).replace(f"AWSLogs/{MANAGEMENT}/", f"AWSLogs/{DELEGATE}/")
    s3.put_bucket_policy(Bucket="delegates-own", Policy=policy)
    delegate.create_trail(Name="mine", S3BucketName="delegates-own")
    with refused(NOT_MASTER):
        delegate.update_trail(Name="mine", IsOrganizationTrail=True)


def arns(client, **more):
    return [trail["TrailARN"] for trail in client.describe_trails(**more)["trailList"]]


@pytest.mark.operation("DescribeTrails", "ListTrails", "GetTrail", "GetTrailStatus", "GetEventSelectors", "ListTags")
@pytest.mark.parametrize("account", [MEMBER, DELEGATE])
def test_a_member_sees_the_trail_as_a_shadow(organization, trails, wide, account):
    member = trails[account]
    assert arns(member) == [wide]
    assert arns(member, includeShadowTrails=False) == []
    assert arns(member, trailNameList=[wide]) == [wide]
    assert arns(member, trailNameList=["wide"]) == []
    assert member.list_trails()["Trails"] == [{"TrailARN": wide, "Name": "wide", "HomeRegion": "us-east-1"}]
    assert member.get_trail(Name=wide)["Trail"] == trails[MANAGEMENT].get_trail(Name="wide")["Trail"]
    assert member.get_trail_status(Name=wide)["IsLogging"] is True
    assert member.get_event_selectors(TrailName=wide)["TrailARN"] == wide
    tags = member.list_tags(ResourceIdList=[wide])["ResourceTagList"]
    assert tags == [{"ResourceId": wide, "TagsList": [{"Key": "team", "Value": "audit"}]}]
    for call in (member.get_trail, member.get_trail_status):
        with refused("TrailNotFoundException", f"Unknown trail: {arn_of('wide', account)} for the user: {account}"):
            call(Name="wide")
    elsewhere = organization.client(account, "cloudtrail", "eu-west-1")
    assert arns(elsewhere) == [wide], "a multi-Region trail, in every Region"
    assert elsewhere.get_trail_status(Name=wide)["IsLogging"] is True


@pytest.mark.operation("DescribeTrails", "GetTrailStatus")
def test_a_trail_of_one_region_is_a_shadow_there_only(organization, trails):
    narrow = make(trails[MANAGEMENT], "narrow")["TrailARN"]
    assert arns(trails[MEMBER]) == [narrow]
    elsewhere = organization.client(MEMBER, "cloudtrail", "eu-west-1")
    assert arns(elsewhere) == []
    with refused("TrailNotFoundException"):
        elsewhere.get_trail_status(Name=narrow)


@pytest.mark.operation("DescribeTrails", "GetTrail", "ListTags")
def test_accounts_outside_see_nothing(trails, wide):
    assert arns(trails[STRANGER]) == arns(trails[STRANGER], trailNameList=[wide]) == []
    with refused("TrailNotFoundException"):
        trails[STRANGER].get_trail(Name=wide)
    with refused("ResourceNotFoundException"):
        trails[STRANGER].list_tags(ResourceIdList=[wide])


WRITES = {
    "StartLogging": lambda client, arn: client.start_logging(Name=arn),
    "StopLogging": lambda client, arn: client.stop_logging(Name=arn),
    "UpdateTrail": lambda client, arn: client.update_trail(Name=arn, S3BucketName="elsewhere"),
    "DeleteTrail": lambda client, arn: client.delete_trail(Name=arn),
    "PutEventSelectors": lambda client, arn: client.put_event_selectors(
        TrailName=arn, EventSelectors=[{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": False}]),
    "AddTags": lambda client, arn: client.add_tags(ResourceId=arn, TagsList=[{"Key": "k", "Value": "v"}]),
    "RemoveTags": lambda client, arn: client.remove_tags(ResourceId=arn, TagsList=[{"Key": "team"}]),
}  # fmt: skip


@pytest.mark.operation(*WRITES)
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_a_member_changes_nothing(organization, trails, wide, region):
    def state():
        management = trails[MANAGEMENT]
        return [management.get_trail(Name="wide")["Trail"], management.get_trail_status(Name="wide")["IsLogging"],
                management.get_event_selectors(TrailName="wide")["EventSelectors"],
                management.list_tags(ResourceIdList=[wide])["ResourceTagList"]]  # fmt: skip

    before = state()
    root = organization.client(MEMBER, "cloudtrail", region)
    role = organization.session(MEMBER, region=region)("cloudtrail")
    for client in (root, role):
        for name, write in WRITES.items():
            with refused(NOT_MASTER, f"account {MEMBER} can see it"):
                write(client, wide)
            if "Tags" not in name:
                with refused("TrailNotFoundException"):
                    write(client, "wide")
            # Nor does it help to claim the trail.
            with refused("ResourceNotFoundException" if "Tags" in name else "TrailNotFoundException"):
                write(client, arn_of("wide", MEMBER, region))
    assert state() == before


@pytest.mark.operation("GetTrail", "StopLogging")
def test_a_members_own_policies_judge_its_users_by_the_trails_arn(organization, trails, wide):
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "cloudtrail:GetTrail", "Resource": wide}]}
    trails_of = organization.session(MEMBER, policy=json.dumps(allowed))("cloudtrail")
    assert trails_of.get_trail(Name=wide)["Trail"]["TrailARN"] == wide
    with refused("AccessDeniedException"):
        trails_of.get_trail(Name=arn_of("other"))
    with refused("AccessDeniedException"):
        trails_of.stop_logging(Name=wide)


@pytest.mark.operation("CreateTrail")
def test_organization_trails_take_places_and_come_without_room(organization, trails):
    s3 = organization.client(MEMBER, "s3")
    s3.create_bucket(Bucket="members-own")
    policy = log_bucket_policy("members-own", organization.id).replace(f"AWSLogs/{MANAGEMENT}/", f"AWSLogs/{MEMBER}/")
    s3.put_bucket_policy(Bucket="members-own", Policy=policy)
    member = trails[MEMBER]
    for number in range(5):
        member.create_trail(Name=f"own-{number}", S3BucketName="members-own")
    sixth = make(trails[MANAGEMENT], "sixth")["TrailARN"]
    assert len(arns(member)) == 6 and sixth in arns(member)
    member.delete_trail(Name="own-0")
    with refused("MaximumNumberOfTrailsExceededException", f"User: {MEMBER} already has 5 trails in us-east-1."):
        member.create_trail(Name="own-0", S3BucketName="members-own")
    # A name is taken by the account's own trails only.
    member.delete_trail(Name="own-1")
    assert member.create_trail(Name="sixth", S3BucketName="members-own")["TrailARN"] == arn_of("sixth", MEMBER)
    assert member.get_trail(Name="sixth")["Trail"]["IsOrganizationTrail"] is False


@pytest.mark.operation("CreateTrail")
def test_no_prefix_leads_into_the_log_files_of_others(organization, trails):
    for prefix in (f"AWSLogs/{organization.id}", f"p/AWSLogs/{MEMBER}"):
        with refused("InvalidS3PrefixException"):
            trails[MEMBER].create_trail(Name="aside", S3BucketName=BUCKET, S3KeyPrefix=prefix)
    with refused("InsufficientS3BucketPolicyException"):
        trails[MEMBER].create_trail(Name="aside", S3BucketName=BUCKET)


@pytest.mark.operation("DescribeTrails", "UpdateTrail")
def test_what_becomes_of_the_trail_follows_the_organization(tmp_path):
    organization = Organization(tmp_path)
    try:
        organization.create()
        organization.join(MEMBER)
        organization.trust_cloudtrail()
        organization.make_bucket(BUCKET)
        management, member = (organization.client(account, "cloudtrail") for account in (MANAGEMENT, MEMBER))
        arn = make(management, "wide")["TrailARN"]
        assert arns(member) == [arn]
        organizations = organization.client(MANAGEMENT, "organizations")
        organizations.disable_aws_service_access(ServicePrincipal=CLOUDTRAIL)
        assert (arns(member), arns(management)) == ([], [arn])
        assert management.get_trail(Name="wide")["Trail"]["IsOrganizationTrail"] is True
        organization.trust_cloudtrail()
        assert arns(member) == [arn]
        organization.client(MEMBER, "organizations").leave_organization()
        assert arns(member) == []
        organizations.delete_organization()
        assert management.get_trail(Name="wide")["Trail"]["IsOrganizationTrail"] is False
        organization.server.stop()
        organization.server.start()
        assert organization.client(MANAGEMENT, "cloudtrail").get_trail(Name="wide")["Trail"]["IsOrganizationTrail"] is False
    finally:
        organization.server.stop()
