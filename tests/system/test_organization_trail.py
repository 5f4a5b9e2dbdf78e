"""An organization from its first account to one that leaves: a trail that a delegated administrator makes, members that try
to escape it, a new account that is logged from then on; every log file at its documented key, every chain valid."""

import collections
import datetime
import gzip
import json
import re
import sqlite3
import uuid

import pytest
from an_organization import DELEGATE, MANAGEMENT, MEMBER, STRANGER, Organization, root_key
from botocore.exceptions import ClientError
from commands import AWS, opentrail, opentrail_offline, run
from opentrail_server import record, wait_until

BUCKET = "organization-logs"
ARN = f"arn:aws:cloudtrail:us-east-1:{MANAGEMENT}:trail/everybody"
FILE = re.compile(
    r"AWSLogs/(?P<organization>o-[a-z0-9]{10,32})/(?P<account>\d{12})/CloudTrail/(?P<region>[a-z0-9-]+)/"
    r"(?P<day>\d{4}/\d{2}/\d{2})/(?P=account)_CloudTrail_(?P=region)_\d{8}T\d{4}Z_[A-Za-z0-9]{16}\.json\.gz")  # fmt: skip
DIGEST = re.compile(
    r"AWSLogs/(?P<organization>o-[a-z0-9]{10,32})/(?P<account>\d{12})/CloudTrail-Digest/(?P<region>[a-z0-9-]+)/"
    r"\d{4}/\d{2}/\d{2}/(?P=account)_CloudTrail-Digest_(?P=region)_everybody_us-east-1_\d{8}T\d{6}Z\.json\.gz")  # fmt: skip


class Story(Organization):
    """What happens, in order; the tests look at what it left."""

    def __init__(self, directory):
        super().__init__(directory)
        self.began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
        self.sent = collections.defaultdict(list)
        self.refusals = collections.Counter()
        self.create()
        self.join(DELEGATE)
        self.join(MEMBER)
        self.trust_cloudtrail()
        self.delegate(DELEGATE)
        self.make_bucket(BUCKET, "everybody")
        self.put(MEMBER, kept=False)  # before there is a trail
        trails = self.client(DELEGATE, "cloudtrail")
        trails.create_trail(Name="everybody", S3BucketName=BUCKET, IsOrganizationTrail=True, IsMultiRegionTrail=True,
                            EnableLogFileValidation=True)  # fmt: skip
        trails.start_logging(Name=ARN)
        for account in (MANAGEMENT, DELEGATE, MEMBER):
            self.put(account)
        self.put(STRANGER, kept=False)
        self.put(MEMBER, region="eu-west-1")
        self.try_to_escape()
        self.newcomer, self.as_newcomer = self.new_account()
        self.put(self.newcomer)
        self.until_delivered()
        self.server.kill()
        self.server.start()
        for account in (MANAGEMENT, DELEGATE, MEMBER, self.newcomer):
            self.put(account)
        self.client(MEMBER, "organizations").leave_organization()
        self.put(MEMBER, kept=False)
        self.put(MANAGEMENT)
        self.until_delivered()
        wait_until(self.member_is_done, "the last digest of the account that left", 30)
        self.ends = {account: self.last_digest(account) for account in self.accounts()}
        self.still_alive = [account for account in self.accounts() if account != MEMBER]
        wait_until(lambda: all(self.last_digest(account) > self.ends[account] for account in self.still_alive), "more digests", 30)

    def accounts(self):
        return [MANAGEMENT, DELEGATE, MEMBER, self.newcomer]

    def put(self, account, region="us-east-1", kept=True):
        """Records of the account's own; what must be delivered is noted."""
        ids = [str(uuid.uuid4()) for _ in range(3)]
        if account == getattr(self, "newcomer", None):
            # Its credentials are temporary, so that calls are made instead.
            answers = [self.as_newcomer("sts").get_caller_identity() for _ in ids]
            ids = [answer["ResponseMetadata"]["RequestId"] for answer in answers]
        else:
            records = [json.dumps(record(i, awsRegion=region, recipientAccountId=account)) for i in ids]
            report = self.server.put_records("\n".join(records).encode(), key=root_key(account))
            assert report["Accepted"] == len(ids), report
        self.sent[account, kept] += ids

    def try_to_escape(self):
        """What a member's root tries with the stock CLI."""
        key, secret = root_key(MEMBER)
        environment = self.server.cli_environment() | {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        for arguments in [
            ("stop-logging", "--name", ARN),
            ("delete-trail", "--name", ARN),
            ("update-trail", "--name", ARN, "--no-is-organization-trail"),
            ("update-trail", "--name", ARN, "--s3-bucket-name", "mine"),
            ("put-event-selectors", "--trail-name", ARN, "--event-selectors", '[{"ReadWriteType":"ReadOnly"}]'),
            ("remove-tags", "--resource-id", ARN, "--tags-list", "Key=k"),
        ]:
            output = run(AWS, "cloudtrail", *arguments, environment=environment, code=255, errors_too=True)
            self.refusals[re.search(r"\((\w+)\)", output)[1]] += 1
            self.put(MEMBER)

    def new_account(self):
        """An account that Organizations makes, and clients of the role that it has for the management account."""
        organizations = self.client(MANAGEMENT, "organizations")
        status = organizations.create_account(Email="new@example.com", AccountName="new")["CreateAccountStatus"]

        def made():
            found = organizations.describe_create_account_status(CreateAccountRequestId=status["Id"])["CreateAccountStatus"]
            assert found["State"] != "FAILED", found
            return found["State"] == "SUCCEEDED" and found["AccountId"]

        account = wait_until(made, "the new account")
        role = f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"
        return account, self.assumed(MANAGEMENT, role)

    def keys(self):
        pages = self.client(MANAGEMENT, "s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def delivered(self):
        """The records of each log file, by its key, read where they lie on disk."""
        root = self.server.data / "objects" / BUCKET
        files = {str(path.relative_to(root)): path for path in root.glob("**/CloudTrail/**/*.json.gz")}
        return {key: json.loads(gzip.decompress(path.read_bytes()))["Records"] for key, path in files.items()}

    def until_delivered(self):
        wanted = {i for (_, kept), ids in self.sent.items() if kept for i in ids}

        def there():
            records = [record for records in self.delivered().values() for record in records]
            return wanted <= {record.get("requestID") for record in records}

        wait_until(there, "delivery of everything", 30, 0.2)

    def last_digest(self, account):
        found = [key for key in self.keys() if f"/{account}_CloudTrail-Digest_us-east-1_" in key]
        return max(found, default="")

    def member_is_done(self):
        key = self.last_digest(MEMBER)
        return key and self.state_of(MEMBER)["open"] is False and key

    def state_of(self, account):
        """The chain's document: nothing of the API tells that a chain has ended."""
        with sqlite3.connect(f"file:{self.server.data}/catalog.sqlite?mode=ro", uri=True) as catalog:
            name = f"{MANAGEMENT}/us-east-1/everybody/{account}/us-east-1"
            row = catalog.execute("SELECT body FROM document WHERE kind = 'delivery-chains' AND key = ?", (name,)).fetchone()
        return json.loads(row[0])

    def validate(self, account):
        environment = self.server.cli_environment()
        return run(AWS, "cloudtrail", "validate-logs", "--trail-arn", ARN, "--account-id", account, "--start-time",
                   self.began.isoformat(), "--verbose", environment=environment, errors_too=True)  # fmt: skip


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    story = Story(tmp_path_factory.mktemp("organization"))
    yield story
    if story.server.process is not None:
        assert story.server.stop() == 0


def test_every_file_is_at_its_documented_key_and_holds_its_own_account(story):
    files = story.delivered()
    assert {FILE.fullmatch(key)["organization"] for key in files} == {story.id}
    for key, records in files.items():
        place = FILE.fullmatch(key)
        assert records
        assert {r["recipientAccountId"] for r in records} == {place["account"]}, key
        assert {r["awsRegion"] for r in records} == {place["region"]}, key
    assert {FILE.fullmatch(key)["account"] for key in files} == set(story.accounts())
    assert all(FILE.fullmatch(key) or DIGEST.fullmatch(key) for key in story.keys())


def test_everything_of_members_is_there_once_and_nothing_of_others(story):
    counted = collections.Counter(r.get("requestID") for records in story.delivered().values() for r in records)
    for (account, kept), ids in story.sent.items():
        assert {counted[i] for i in ids} == {1 if kept else 0}, (account, kept)


def test_the_member_was_refused_and_its_attempts_are_logged(story):
    assert story.refusals == {"NotOrganizationMasterAccountException": 6}
    events = [r for records in story.delivered().values() for r in records
              if r["recipientAccountId"] == MEMBER and r.get("errorCode") == "NotOrganizationMasterAccountException"]  # fmt: skip
    assert collections.Counter(event["eventName"] for event in events) == {
        "StopLogging": 1, "DeleteTrail": 1, "UpdateTrail": 2, "PutEventSelectors": 1, "RemoveTags": 1}  # fmt: skip


def test_the_management_account_and_the_delegated_administrator_see_who_made_it(story):
    events = {r["eventName"]: key for key, records in story.delivered().items() for r in records}
    assert f"/{DELEGATE}/" in events["StartLogging"], "the administrator's call is its account's"
    assert f"/{MANAGEMENT}/" in events["CreateAccount"]
    assert f"/{MEMBER}/" in events["LeaveOrganization"], "the last call of the account that left"


@pytest.mark.parametrize("which", ["management", "delegate", "member", "newcomer"])
def test_validate_logs_is_green_for_each_account(story, which):
    account = dict(zip(["management", "delegate", "member", "newcomer"], story.accounts(), strict=True))[which]
    output = story.validate(account)
    assert "INVALID" not in output, output
    valid = set(re.findall(r"^Log file\ts3://organization-logs/(\S+)\tvalid$", output, re.MULTILINE))
    files = {key for key in story.delivered() if f"/{account}/CloudTrail/us-east-1/" in key}
    if account == MEMBER:
        assert valid == files
    else:
        assert valid and valid <= files, "the newest wait for their digest"
    assert re.search(r"^(\d+)/\1 digest files valid$", output, re.MULTILINE), output


def test_the_status_is_the_accounts_own(story):
    ours = story.client(MANAGEMENT, "cloudtrail").get_trail_status(Name=ARN)
    theirs = story.as_newcomer("cloudtrail").get_trail_status(Name=ARN)
    assert ours["IsLogging"] and theirs["IsLogging"]
    assert ours["LatestDeliveryTime"] and theirs["LatestDigestDeliveryTime"]
    europe = story.client(DELEGATE, "cloudtrail", "eu-west-1").get_trail_status(Name=ARN)
    assert "LatestDeliveryTime" not in europe, "only the member did something there"
    with pytest.raises(ClientError) as gone:
        story.client(MEMBER, "cloudtrail").get_trail_status(Name=ARN)
    assert gone.value.response["Error"]["Code"] == "TrailNotFoundException"


def test_event_history_stays_per_account(story):
    def names(client):
        return {event["EventName"] for page in client.get_paginator("lookup_events").paginate() for event in page["Events"]}

    management, member = names(story.client(MANAGEMENT, "cloudtrail")), names(story.client(MEMBER, "cloudtrail"))
    assert "CreateAccount" in management and "CreateAccount" not in member
    assert "LeaveOrganization" in member and "LeaveOrganization" not in management


def test_our_own_verification_finds_all_in_order(story):
    verdict = opentrail(story.server, "verify", f"s3://{BUCKET}", "--endpoint-url", story.server.endpoint)
    assert "INVALID" not in verdict
    assert all(account in verdict for account in story.accounts()), verdict
    assert story.server.stop() == 0
    opentrail_offline("fsck", "--data-dir", story.server.data)
    story.server.start()
