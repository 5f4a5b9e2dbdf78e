"""The calls of Terraform's `aws_cloudtrail` resource, replayed with boto3: after create, after update and after a restart a
plan finds nothing to change, since what is read back is what was asked for."""

import json

import pytest
from an_organization import log_bucket_policy
from botocore.exceptions import ClientError
from opentrail_server import ACCOUNT, Server

LOGS, OTHER_LOGS = "trail-logs", "other-logs"
DEFAULTS = {"S3KeyPrefix": "", "SnsTopicARN": "", "IncludeGlobalServiceEvents": True, "IsMultiRegionTrail": False,
            "LogFileValidationEnabled": False, "CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": "", "KmsKeyId": "",
            "IsOrganizationTrail": False, "enable_logging": True, "event_selector": [], "advanced_event_selector": [],
            "insight_selector": [], "tags": {}}  # fmt: skip
DEFAULT_SELECTOR = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": [],
                    "ExcludeManagementEventSources": []}  # fmt: skip


class Provider:
    """What the provider does at apply and at refresh."""

    def __init__(self, trails):
        self.trails = trails

    def create(self, name, bucket, selectors=(), advanced=(), insights=(), tags=None, enable_logging=True, **settings):
        tags = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        answer = self.trails.create_trail(Name=name, S3BucketName=bucket, TagsList=tags,
                                          **{"IncludeGlobalServiceEvents": True, **settings})  # fmt: skip
        arn = answer["TrailARN"]
        if enable_logging:
            self.trails.start_logging(Name=arn)
        if selectors:
            self.trails.put_event_selectors(TrailName=arn, EventSelectors=selectors)
        if advanced:
            self.trails.put_event_selectors(TrailName=arn, AdvancedEventSelectors=advanced)
        if insights:
            self.put_insights(arn, insights)
        return arn

    def put_insights(self, arn, insights):
        """The provider's schema has the type alone."""
        self.trails.put_insight_selectors(TrailName=arn, InsightSelectors=[{"InsightType": kind} for kind in insights])

    def read(self, arn):
        """The state; `None` when the trail is gone."""
        found = self.trails.describe_trails(trailNameList=[arn])["trailList"]
        if not found:
            return None
        [trail] = found
        state = {key: trail.get(key, default) for key, default in DEFAULTS.items() if key[0].isupper()}
        state |= {key: trail[key] for key in ("Name", "S3BucketName", "HomeRegion", "TrailARN")}
        state["enable_logging"] = self.trails.get_trail_status(Name=arn)["IsLogging"]
        state["event_selector"] = state["advanced_event_selector"] = []
        if trail["HasCustomEventSelectors"]:
            answer = self.trails.get_event_selectors(TrailName=arn)
            selectors = answer.get("EventSelectors", [])
            state["event_selector"] = [] if selectors == [DEFAULT_SELECTOR] else selectors
            state["advanced_event_selector"] = answer.get("AdvancedEventSelectors", [])
        state["insight_selector"] = []
        if trail["HasInsightSelectors"]:
            answer = self.trails.get_insight_selectors(TrailName=arn)["InsightSelectors"]
            state["insight_selector"] = [selector["InsightType"] for selector in answer]
        [item] = self.trails.list_tags(ResourceIdList=[arn])["ResourceTagList"]
        assert item["ResourceId"] == arn
        state["tags"] = {tag["Key"]: tag["Value"] for tag in item["TagsList"]}
        return state


def trail_key(server):
    """The ARN of a new key that CloudTrail may use."""
    kms = server.client("kms")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Resource": "*",
         "Action": ["kms:DescribeKey", "kms:GenerateDataKey*", "kms:Decrypt"]}]  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=policy)
    return arn


def expected(name, bucket, region="us-east-1", **more):
    arn = f"arn:aws:cloudtrail:{region}:{ACCOUNT}:trail/{name}"
    return {**DEFAULTS, "Name": name, "S3BucketName": bucket, "HomeRegion": region, "TrailARN": arn, **more}


def selector(read_write="All", management=True, resources=(), excluded=()):
    return {"ReadWriteType": read_write, "IncludeManagementEvents": management, "DataResources": list(resources),
            "ExcludeManagementEventSources": list(excluded)}  # fmt: skip


OBJECTS = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::photos/", "arn:aws:s3:::archive/2026/"]}
TABLES = {"Type": "AWS::DynamoDB::Table", "Values": ["arn:aws:dynamodb"]}
RATE, ERRORS = "ApiCallRateInsight", "ApiErrorRateInsight"
# Every field and operator that the provider's schema allows; names, values and their order come back as sent.
ADVANCED = [
    {"Name": "writes to photos", "FieldSelectors": [
        {"Field": "eventCategory", "Equals": ["Data"]}, {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
        {"Field": "readOnly", "Equals": ["false"]},
        {"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::photos/", "arn:aws:s3:::archive/"], "NotEndsWith": [".tmp"]},
        {"Field": "eventName", "NotEquals": ["DeleteObject", "AbortMultipartUpload"]},
        {"Field": "userIdentity.arn", "NotStartsWith": ["arn:aws:sts::100000000001:assumed-role/batch"]},
        {"Field": "eventType", "NotEquals": ["AwsServiceEvent"]}, {"Field": "sessionCredentialFromConsole", "NotEquals": ["true"]}]},
    {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]},
                        {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]}]},
    {"Name": "denied at the endpoint", "FieldSelectors": [
        {"Field": "eventCategory", "Equals": ["NetworkActivity"]}, {"Field": "eventSource", "Equals": ["s3.amazonaws.com"]},
        {"Field": "errorCode", "Equals": ["VpceAccessDenied"]}, {"Field": "vpcEndpointId", "NotEquals": ["vpce-0a1b2c3d"]}]},
]  # fmt: skip
# Arguments of the resource, and what the state must then hold beside the defaults.
CYCLES = {
    "the least": ({}, {}),
    "tags": ({"tags": {"team": "audit", "cost:centre": "a b/c+d=e@f"}}, {"tags": {"team": "audit", "cost:centre": "a b/c+d=e@f"}}),
    "a prefix": ({"S3KeyPrefix": "some/prefix"}, {"S3KeyPrefix": "some/prefix"}),
    "validation": ({"EnableLogFileValidation": True}, {"LogFileValidationEnabled": True}),
    "every Region": ({"IsMultiRegionTrail": True}, {"IsMultiRegionTrail": True}),
    "no global events": ({"IncludeGlobalServiceEvents": False}, {"IncludeGlobalServiceEvents": False}),
    "not logging": ({"enable_logging": False}, {"enable_logging": False}),
    "read events": ({"selectors": [selector("ReadOnly")]}, {"event_selector": [selector("ReadOnly")]}),
    "data of both kinds": ({"selectors": [selector(resources=[OBJECTS, TABLES])]},
                           {"event_selector": [selector(resources=[OBJECTS, TABLES])]}),
    "several selectors": ({"selectors": [selector("WriteOnly", resources=[OBJECTS]), selector("ReadOnly", False, [TABLES])]},
                          {"event_selector": [selector("WriteOnly", resources=[OBJECTS]), selector("ReadOnly", False, [TABLES])]}),
    "sources left out": ({"selectors": [selector(excluded=["kms.amazonaws.com", "rdsdata.amazonaws.com"])]},
                         {"event_selector": [selector(excluded=["kms.amazonaws.com", "rdsdata.amazonaws.com"])]}),
    "the default selector": ({"selectors": [selector()]}, {}),
    "advanced selectors": ({"advanced": ADVANCED}, {"advanced_event_selector": ADVANCED}),
    "insights": ({"insights": [RATE, ERRORS]}, {"insight_selector": [RATE, ERRORS]}),
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), "", ["--log", "warn"]).start()
    server.make_log_bucket(LOGS)
    server.make_log_bucket("prefixed-logs", "some/prefix")
    server.make_log_bucket(OTHER_LOGS)
    yield server
    assert server.stop() == 0


@pytest.fixture
def provider(server):
    provider = Provider(server.client("cloudtrail"))
    yield provider
    for trail in provider.trails.list_trails()["Trails"]:
        provider.trails.delete_trail(Name=trail["TrailARN"])


@pytest.mark.parametrize("cycle", CYCLES)
def test_a_plan_after_create_finds_no_difference(provider, cycle):
    arguments, held = CYCLES[cycle]
    bucket = "prefixed-logs" if "S3KeyPrefix" in arguments else LOGS
    arn = provider.create("cycle", bucket, **arguments)
    assert provider.read(arn) == expected("cycle", bucket, **held)
    provider.trails.delete_trail(Name=arn)
    assert provider.read(arn) is None
    with pytest.raises(ClientError) as gone:
        provider.trails.delete_trail(Name=arn)
    assert gone.value.response["Error"]["Code"] == "TrailNotFoundException"


def test_a_trail_that_somebody_made_is_imported_by_its_arn_alone(server, provider):
    server.client("cloudtrail").create_trail(Name="theirs", S3BucketName=LOGS, EnableLogFileValidation=True,
                                             TagsList=[{"Key": "by", "Value": "hand"}])  # fmt: skip
    arn = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/theirs"
    imported = Provider(server.client("cloudtrail")).read(arn)
    assert imported == expected("theirs", LOGS, LogFileValidationEnabled=True, enable_logging=False, tags={"by": "hand"})


def test_a_key_is_read_back_as_its_arn_changed_and_taken_away(server, provider):
    first, second = (trail_key(server) for _ in range(2))
    arn = provider.create("sealed", LOGS, KmsKeyId=first)
    assert provider.read(arn) == expected("sealed", LOGS, KmsKeyId=first)
    provider.trails.update_trail(Name=arn, KmsKeyId=second)
    assert provider.read(arn) == expected("sealed", LOGS, KmsKeyId=second)
    provider.trails.update_trail(Name=arn, KmsKeyId="")
    assert provider.read(arn) == expected("sealed", LOGS)


def test_updates_are_read_back_each_and_survive_a_kill(server, provider):
    arn = provider.create("updated", LOGS, tags={"team": "audit", "stage": "test"})
    state = expected("updated", LOGS, tags={"team": "audit", "stage": "test"})

    def update(held, call, **arguments):
        call(**arguments)
        state.update(held)
        assert provider.read(arn) == state

    trails = provider.trails
    update({"S3BucketName": OTHER_LOGS}, trails.update_trail, Name=arn, S3BucketName=OTHER_LOGS)
    update({"S3BucketName": "prefixed-logs", "S3KeyPrefix": "some/prefix"}, trails.update_trail, Name=arn,
           S3BucketName="prefixed-logs", S3KeyPrefix="some/prefix")  # fmt: skip
    update({"S3BucketName": LOGS, "S3KeyPrefix": ""}, trails.update_trail, Name=arn, S3BucketName=LOGS, S3KeyPrefix="")
    update({"IsMultiRegionTrail": True}, trails.update_trail, Name=arn, IsMultiRegionTrail=True)
    update({"LogFileValidationEnabled": True}, trails.update_trail, Name=arn, EnableLogFileValidation=True)
    update({"IsMultiRegionTrail": False, "IncludeGlobalServiceEvents": False}, trails.update_trail, Name=arn,
           IsMultiRegionTrail=False, IncludeGlobalServiceEvents=False)  # fmt: skip
    update({"insight_selector": [RATE]}, provider.put_insights, arn=arn, insights=[RATE])
    update({"insight_selector": [ERRORS]}, provider.put_insights, arn=arn, insights=[ERRORS])
    update({"enable_logging": False}, trails.stop_logging, Name=arn)
    update({"event_selector": [selector(resources=[TABLES])]}, trails.put_event_selectors, TrailName=arn,
           EventSelectors=[selector(resources=[TABLES])])  # fmt: skip
    update({"event_selector": [], "advanced_event_selector": ADVANCED}, trails.put_event_selectors, TrailName=arn,
           AdvancedEventSelectors=ADVANCED)  # fmt: skip
    update({"tags": {"team": "security", "stage": "test", "new": "x"}}, trails.add_tags, ResourceId=arn,
           TagsList=[{"Key": "team", "Value": "security"}, {"Key": "new", "Value": "x"}])  # fmt: skip
    update({"tags": {"team": "security", "new": "x"}}, trails.remove_tags, ResourceId=arn, TagsList=[{"Key": "stage"}])
    server.kill()
    server.start()
    assert provider.read(arn) == state
    # Blocks removed: the provider sends the default selector.
    update({"advanced_event_selector": []}, trails.put_event_selectors, TrailName=arn,
           EventSelectors=[{"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}])  # fmt: skip
    update({"insight_selector": []}, provider.put_insights, arn=arn, insights=[])
    update({"enable_logging": True}, trails.start_logging, Name=arn)


def a_topic(server):
    """The ARN of a topic that CloudTrail may publish to."""
    sns = server.client("sns")
    arn = sns.create_topic(Name="log-files")["TopicArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "sns:Publish", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    return arn


def a_log_group(server, name):
    """The ARN of a log group, and that of a role by which CloudTrail may write to it."""
    server.client("logs").create_log_group(logGroupName=name)
    iam, service = server.client("iam"), {"Service": "cloudtrail.amazonaws.com"}
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"}]}
    allow = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="logs", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    return f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{name}:*", role


def test_a_topic_and_a_log_group_are_read_back_changed_and_taken_away(server, provider):
    topic, (group, role), (other, its_role) = a_topic(server), a_log_group(server, "first"), a_log_group(server, "second")
    arn = provider.create("told", LOGS, SnsTopicName=topic, CloudWatchLogsLogGroupArn=group, CloudWatchLogsRoleArn=role)
    state = expected("told", LOGS, SnsTopicARN=topic, CloudWatchLogsLogGroupArn=group, CloudWatchLogsRoleArn=role)
    assert provider.read(arn) == state
    provider.trails.update_trail(Name=arn, CloudWatchLogsLogGroupArn=other, CloudWatchLogsRoleArn=its_role)
    state |= {"CloudWatchLogsLogGroupArn": other, "CloudWatchLogsRoleArn": its_role}
    assert provider.read(arn) == state
    provider.trails.update_trail(Name=arn, CloudWatchLogsLogGroupArn="", CloudWatchLogsRoleArn="")
    state |= {"CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": ""}
    assert provider.read(arn) == state
    provider.trails.update_trail(Name=arn, SnsTopicName="")
    assert provider.read(arn) == expected("told", LOGS)


def test_an_organization_trail_is_made_read_back_and_taken_back(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("organization"), "", ["--log", "warn"]) as server:
        s3, provider = server.client("s3"), Provider(server.client("cloudtrail"))
        with pytest.raises(ClientError, match="OrganizationsNotInUseException"):
            provider.create("everybody", server.make_log_bucket(LOGS), IsOrganizationTrail=True)
        organizations = server.client("organizations")
        organization = organizations.create_organization()["Organization"]["Id"]
        organizations.enable_aws_service_access(ServicePrincipal="cloudtrail.amazonaws.com")
        s3.put_bucket_policy(Bucket=LOGS, Policy=log_bucket_policy(LOGS, organization))
        arn = provider.create("everybody", LOGS, IsOrganizationTrail=True, IsMultiRegionTrail=True)
        state = expected("everybody", LOGS, IsOrganizationTrail=True, IsMultiRegionTrail=True)
        assert provider.read(arn) == state
        provider.trails.update_trail(Name=arn, IsOrganizationTrail=False)
        assert provider.read(arn) == state | {"IsOrganizationTrail": False}
        provider.trails.update_trail(Name=arn, IsOrganizationTrail=True)
        assert provider.read(arn) == state
        provider.trails.delete_trail(Name=arn)
        assert provider.read(arn) is None


@pytest.mark.parametrize("argument", [
    {"SnsTopicName": "topic"},
    {"CloudWatchLogsLogGroupArn": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:x:*",
     "CloudWatchLogsRoleArn": f"arn:aws:iam::{ACCOUNT}:role/logs"}], ids=lambda argument: next(iter(argument)))  # fmt: skip
def test_what_is_not_there_is_refused_and_leaves_nothing(provider, argument):
    with pytest.raises(ClientError):
        provider.create("refused", LOGS, **argument)
    assert provider.trails.list_trails()["Trails"] == []
