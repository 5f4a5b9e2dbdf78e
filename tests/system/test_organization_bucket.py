"""An organization's log bucket as a member's administrator attacks it: with the root, roles, sessions, presigned URLs, odd
paths, a bucket, keys and trails of their own. Everything is refused, and not a byte in the bucket changes."""

import gzip
import hashlib
import http.client
import json
import uuid
from urllib.parse import quote, unquote

import pytest
from an_organization import DELEGATE, MANAGEMENT, MEMBER, Organization, admin_key, log_bucket_policy, root_key
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from opentrail_server import record, wait_until

BUCKET, LAIR, OPEN = "organization-logs", "members-lair", "members-loot"
EVIDENCE = "the-evidence"


class Scene(Organization):
    """An organization whose members are logged, and a member that is up to something."""

    def __init__(self, directory):
        super().__init__(directory)
        self.create()
        self.join(DELEGATE)
        self.join(MEMBER)
        self.trust_cloudtrail()
        self.delegate(DELEGATE)
        self.make_bucket(BUCKET)  # without aws:SourceArn: the weaker of the documented policies
        key = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "kms:*", "Resource": "*"}
        owner = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"}, "Action": "kms:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [key, owner]})
        self.kms_key = self.client(MANAGEMENT, "kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
        trails = self.client(MANAGEMENT, "cloudtrail")
        self.arn = trails.create_trail(Name="everybody", S3BucketName=BUCKET, IsOrganizationTrail=True)["TrailARN"]
        trails.start_logging(Name="everybody")
        for account in (MANAGEMENT, MEMBER):
            body = json.dumps(record(str(uuid.uuid4()), EVIDENCE, recipientAccountId=account)).encode()
            assert self.server.put_records(body, key=root_key(account))["Accepted"] == 1
        wait_until(lambda: len(self.evidence()) == 2, "delivery")
        trails.stop_logging(Name="everybody")  # so that nothing but an attack changes the bucket from here on
        wait_until(lambda: self.holds("StopLogging"), "delivery of the last event")
        self.target = self.evidence()[-1]
        self.before = self.bytes()
        assert all(self.id in key for key in self.before)

        member = self.client(MEMBER, "s3")
        for bucket in (LAIR, OPEN):
            member.create_bucket(Bucket=bucket)
        everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{OPEN}/*"]}
        member.put_bucket_policy(Bucket=OPEN, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]}))
        member.put_object(Bucket=LAIR, Key="forged", Body=b"forged")

    def evidence(self):
        root = self.server.data / "objects" / BUCKET
        return sorted(str(path.relative_to(root)) for path in root.glob("**/CloudTrail/**/*.json.gz"))

    def holds(self, name):
        """Whether a log file has an event of that name."""
        s3 = self.client(MANAGEMENT, "s3")
        files = (s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in self.evidence())
        return any(event["eventName"] == name for file in files for event in json.loads(gzip.decompress(file))["Records"])

    def bytes(self):
        """Everything of the bucket on disk but what the server writes meanwhile for itself."""
        root = self.server.data / "objects" / BUCKET
        return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()
                and "AWSLogs" in str(p.relative_to(root))}  # fmt: skip

    def attackers(self):
        """The ways in which the member can call."""
        allow = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": ["*", f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]}]})
        token = self.client(MEMBER, "sts").get_session_token()["Credentials"]
        session = (token["AccessKeyId"], token["SecretAccessKey"])
        return {
            "root": lambda service: self.client(MEMBER, service),
            "administrator": lambda service: self.server.client(service, key=admin_key(MEMBER)),
            "role": self.session(MEMBER),
            "role with a session policy": self.session(MEMBER, policy=allow),
            "root's session": lambda service: self.server.client(service, key=session, token=token["SessionToken"]),
        }


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    scene = Scene(tmp_path_factory.mktemp("attack"))
    yield scene
    assert scene.bytes() == scene.before, "in the end"
    assert scene.server.stop() == 0


@pytest.fixture(autouse=True)
def untouched(scene):
    """Whatever a test tries, the bucket stays as it was, and its owner can read it."""
    yield
    assert scene.bytes() == scene.before
    owner = scene.client(MANAGEMENT, "s3")
    assert owner.get_object(Bucket=BUCKET, Key=scene.target)["Body"].read()
    assert json.loads(owner.get_bucket_policy(Bucket=BUCKET)["Policy"]) == json.loads(log_bucket_policy(BUCKET, scene.id))


def refused(call, *codes):
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    code = answer["Error"]["Code"]
    assert code in (codes or ("AccessDenied", "403")), answer
    return answer


def calls(s3, target):
    """Every S3 call that reads, changes or grants something, by name."""
    here, there = {"Bucket": BUCKET}, {"Bucket": BUCKET, "Key": target}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}]})  # fmt: skip
    tags = {"TagSet": [{"Key": "k", "Value": "v"}]}
    owner = {"Owner": {"ID": MEMBER}, "Grants": []}
    expire = {"Rules": [{"ID": "gone", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]}
    return {
        "list": lambda: s3.list_objects(**here),
        "list v2": lambda: s3.list_objects_v2(**here, Prefix="AWSLogs"),
        "list versions": lambda: s3.list_object_versions(**here),
        "list uploads": lambda: s3.list_multipart_uploads(**here),
        "head bucket": lambda: s3.head_bucket(**here),
        "location": lambda: s3.get_bucket_location(**here),
        "get": lambda: s3.get_object(**there),
        "get a range": lambda: s3.get_object(**there, Range="bytes=0-3"),
        "head": lambda: s3.head_object(**there),
        "attributes": lambda: s3.get_object_attributes(**there, ObjectAttributes=["ETag"]),
        "get acl": lambda: s3.get_object_acl(**there),
        "get tags": lambda: s3.get_object_tagging(**there),
        "put": lambda: s3.put_object(**there, Body=b"forged"),
        "put beside": lambda: s3.put_object(**here, Key="AWSLogs/new", Body=b"forged"),
        "delete": lambda: s3.delete_object(**there),
        "delete many": lambda: raise_errors(s3.delete_objects(**here, Delete={"Objects": [{"Key": target}]})),
        "copy from": lambda: s3.copy_object(Bucket=LAIR, Key="loot", CopySource=there),
        "copy from by path": lambda: s3.copy_object(Bucket=LAIR, Key="loot", CopySource=f"/{BUCKET}/{target}"),
        "copy to": lambda: s3.copy_object(**there, CopySource={"Bucket": LAIR, "Key": "forged"}),
        "copy onto itself": lambda: s3.copy_object(**there, CopySource=there, MetadataDirective="REPLACE"),
        "start an upload": lambda: s3.create_multipart_upload(**there),
        "upload a part": lambda: s3.upload_part(**there, UploadId="u", PartNumber=1, Body=b"forged"),
        "complete an upload": lambda: s3.complete_multipart_upload(
            **there, UploadId="u", MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": "e"}]}),
        "abort an upload": lambda: s3.abort_multipart_upload(**there, UploadId="u"),
        "list parts": lambda: s3.list_parts(**there, UploadId="u"),
        "get policy": lambda: s3.get_bucket_policy(**here),
        "put policy": lambda: s3.put_bucket_policy(**here, Policy=policy),
        "delete policy": lambda: s3.delete_bucket_policy(**here),
        "get bucket acl": lambda: s3.get_bucket_acl(**here),
        "put bucket acl": lambda: s3.put_bucket_acl(**here, AccessControlPolicy=owner),
        "put bucket acl by name": lambda: s3.put_bucket_acl(**here, ACL="public-read-write"),
        "put acl": lambda: s3.put_object_acl(**there, ACL="public-read"),
        "put tags": lambda: s3.put_object_tagging(**there, Tagging=tags),
        "put bucket tags": lambda: s3.put_bucket_tagging(**here, Tagging=tags),
        "delete tags": lambda: s3.delete_object_tagging(**there),
        "versioning": lambda: s3.put_bucket_versioning(**here, VersioningConfiguration={"Status": "Suspended"}),
        "get versioning": lambda: s3.get_bucket_versioning(**here),
        "lifecycle": lambda: s3.put_bucket_lifecycle_configuration(**here, LifecycleConfiguration=expire),
        "replication": lambda: s3.put_bucket_replication(**here, ReplicationConfiguration={
            "Role": f"arn:aws:iam::{MEMBER}:role/everything",
            "Rules": [{"Status": "Enabled", "Destination": {"Bucket": f"arn:aws:s3:::{LAIR}"}}]}),
        "encryption": lambda: s3.put_bucket_encryption(**here, ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}),
        "delete bucket": lambda: s3.delete_bucket(**here),
    }  # fmt: skip


def raise_errors(answer):
    for error in answer.get("Errors", []):
        raise ClientError({"Error": error, "ResponseMetadata": {}}, "DeleteObjects")


@pytest.mark.parametrize("who", ["root", "administrator", "role", "role with a session policy", "root's session"])
def test_every_call_is_refused(scene, who):
    s3 = scene.attackers()[who]("s3")
    for name, call in calls(s3, scene.target).items():
        answer = refused(call, "AccessDenied", "403", "NotImplemented")
        # What the store does not have at all it may say so; it must not have looked at the bucket first.
        if answer["Error"]["Code"] == "NotImplemented":
            assert name in {"lifecycle", "replication", "encryption", "list versions", "put acl", "put bucket acl",
                            "put bucket acl by name", "attributes", "get tags", "put tags", "put bucket tags",
                            "delete tags", "versioning"}, name  # fmt: skip
    with pytest.raises(ClientError):
        s3.get_object(Bucket=LAIR, Key="loot")


def test_a_policy_of_the_member_reaches_no_other_account(scene):
    iam = scene.client(MEMBER, "iam")
    everything = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}]})  # fmt: skip
    iam.create_user(UserName="thief")
    iam.put_user_policy(UserName="thief", PolicyName="take", PolicyDocument=everything)
    key = iam.create_access_key(UserName="thief")["AccessKey"]
    thief = scene.server.client("s3", key=(key["AccessKeyId"], key["SecretAccessKey"]))
    refused(lambda: thief.get_object(Bucket=BUCKET, Key=scene.target))
    refused(lambda: thief.delete_object(Bucket=BUCKET, Key=scene.target))
    # Nor can it become somebody of the management account.
    sts = scene.server.client("sts", key=admin_key(MEMBER))
    refused(lambda: sts.assume_role(RoleArn=f"arn:aws:iam::{MANAGEMENT}:role/everything", RoleSessionName="thief"))


def test_the_name_of_the_bucket_is_taken(scene):
    s3 = scene.client(MEMBER, "s3")
    refused(lambda: s3.create_bucket(Bucket=BUCKET), "BucketAlreadyExists", "AccessDenied")
    assert BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]


def test_an_upload_of_the_owner_cannot_be_taken_over(scene):
    owner, member = scene.client(MANAGEMENT, "s3"), scene.client(MEMBER, "s3")
    upload = owner.create_multipart_upload(Bucket=BUCKET, Key="upload")["UploadId"]
    there = {"Bucket": BUCKET, "Key": "upload", "UploadId": upload}
    refused(lambda: member.upload_part(**there, PartNumber=1, Body=b"forged"))
    refused(lambda: member.upload_part_copy(**there, PartNumber=1, CopySource=f"{LAIR}/forged"))
    refused(lambda: member.abort_multipart_upload(**there))
    mine = member.create_multipart_upload(Bucket=LAIR, Key="loot")["UploadId"]
    refused(lambda: member.upload_part_copy(
        Bucket=LAIR, Key="loot", UploadId=mine, PartNumber=1, CopySource=f"{BUCKET}/{scene.target}"))  # fmt: skip
    # The upload of one bucket is none of another's.
    with pytest.raises(ClientError):
        member.upload_part(Bucket=LAIR, Key="upload", UploadId=upload, PartNumber=1, Body=b"forged")
    owner.abort_multipart_upload(**there)


def raw(scene, method, path, query=False, body=b"", host=None, signed_path=None):
    """A request whose path goes out as it is written, signed as it stands or as `signed_path`."""
    credentials, address = Credentials(*root_key(MEMBER)), f"127.0.0.1:{scene.server.port}"
    # A presigned request says nothing of the body.
    request = AWSRequest(method, f"http://{host or address}{signed_path or path}", data=b"" if query else body,
                         headers={"Host": host or address})  # fmt: skip
    (S3SigV4QueryAuth if query else S3SigV4Auth)(credentials, "s3", "us-east-1").add_auth(request)
    target = request.url.split(host or address, 1)[1] if query else path
    connection = http.client.HTTPConnection("127.0.0.1", scene.server.port, timeout=30)
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    if "Content-Length" not in request.headers:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize("query", [False, True], ids=["signed", "presigned"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_presigned_and_signed_requests_are_refused(scene, method, query):
    status, body = raw(scene, method, f"/{BUCKET}/{scene.target}", query, b"forged" if method == "PUT" else b"")
    assert status == 403, body
    assert EVIDENCE.encode() not in body


TRICKS = [
    "/{lair}/../{bucket}/{key}", "/{lair}/%2e%2e/{bucket}/{key}", "/{lair}/..%2f{bucket}%2f{key}", "/{lair}/..%5c{bucket}/{key}",
    "/{lair}/a/../../{bucket}/{key}", "//{bucket}/{key}", "/{bucket}//{key}", "/{bucket}/./{key}", "/./{bucket}/{key}",
    "/{lair}//../{bucket}/{key}", "/{bucket}%2f{key}", "/%2f{bucket}/{key}", "/{lair}%2f..%2f{bucket}/{key}",
    "/{bucket}/x/../{key}", "/{bucket}%00/{key}", "/{lair}/%00/../{bucket}/{key}", "/{upper}/{key}", "/{bucket}./{key}",
    "/{lair}/....//{bucket}/{key}", "/{lair}/%252e%252e/{bucket}/{key}", "/{lair}/%c0%ae%c0%ae/{bucket}/{key}",
]  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_odd_paths_lead_nowhere(scene, trick):
    path = trick.format(lair=LAIR, bucket=BUCKET, upper=BUCKET.upper(), key=scene.target)
    # Signed as it stands, and as a server sees it that decodes it first.
    for signed in {path, quote(unquote(path, errors="surrogateescape"), safe="/~", errors="surrogateescape")}:
        for method in ("GET", "PUT", "DELETE"):
            status, body = raw(scene, method, path, body=b"forged" if method == "PUT" else b"", signed_path=signed)
            # A name in the member's own bucket may be odd, so that a put is its own affair; what it reads never is.
            assert method != "GET" or status in (400, 403, 404), (method, path, status, body)
            assert not body.startswith(b"\x1f\x8b") and EVIDENCE.encode() not in body
            assert scene.bytes() == scene.before, (method, path)


@pytest.mark.parametrize("source", ["{lair}/../{bucket}/{key}", "/{bucket}//{key}", "{bucket}%2F{key}", "/{bucket}/./{key}",
                                    "{lair}%2f..%2f{bucket}%2f{key}", "arn:aws:s3:::{bucket}/{key}", "{bucket}/{key}?versionId=null"])  # fmt: skip
def test_odd_sources_of_a_copy_lead_nowhere(scene, source):
    source = source.format(lair=LAIR, bucket=BUCKET, key=scene.target)
    with pytest.raises(ClientError):
        scene.client(MEMBER, "s3").copy_object(Bucket=LAIR, Key="loot", CopySource=source)


def test_a_host_name_does_not_help(scene):
    for host in (f"{BUCKET}.s3.us-east-1.amazonaws.com", f"{BUCKET}.127.0.0.1:{scene.server.port}"):
        status, body = raw(scene, "GET", f"/{scene.target}", host=host)
        assert status in (400, 403, 404), (host, status, body)


def test_nobody_without_a_key_reads_either(scene):
    connection = http.client.HTTPConnection("127.0.0.1", scene.server.port, timeout=30)
    connection.request("GET", f"/{BUCKET}/{scene.target}")
    assert connection.getresponse().status == 403


@pytest.mark.parametrize("prefix", [None, "p", "AWSLogs/{id}", "AWSLogs/{id}/" + MANAGEMENT, "AWSLogs/" + MANAGEMENT, "../x"])
def test_a_trail_of_the_member_cannot_use_the_bucket(scene, prefix):
    trails = scene.client(MEMBER, "cloudtrail")
    place = {"S3BucketName": BUCKET} | ({"S3KeyPrefix": prefix.format(id=scene.id)} if prefix else {})
    codes = ("InsufficientS3BucketPolicyException", "InvalidS3PrefixException")
    refused(lambda: trails.create_trail(Name="mine", **place), *codes)
    policy = log_bucket_policy(LAIR, scene.id).replace(f"AWSLogs/{MANAGEMENT}/", f"AWSLogs/{MEMBER}/")
    scene.client(MEMBER, "s3").put_bucket_policy(Bucket=LAIR, Policy=policy)
    trails.create_trail(Name="mine", S3BucketName=LAIR)
    try:
        refused(lambda: trails.update_trail(Name="mine", **place), *codes)
        refused(lambda: trails.update_trail(Name=scene.arn, **place), "NotOrganizationMasterAccountException")
    finally:
        trails.delete_trail(Name="mine")


def test_keys_of_the_owner_are_out_of_reach(scene):
    owner, member = scene.client(MANAGEMENT, "kms"), scene.client(MEMBER, "kms")
    secret = owner.encrypt(KeyId=scene.kms_key, Plaintext=b"evidence")["CiphertextBlob"]
    mine = member.create_key()["KeyMetadata"]["Arn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{MEMBER}:root"}, "Action": "kms:*", "Resource": "*"}]})  # fmt: skip
    codes = ("AccessDeniedException", "NotFoundException", "IncorrectKeyException", "UnsupportedOperationException",
             "UnknownOperationException")  # fmt: skip
    for call in [
        lambda: member.decrypt(CiphertextBlob=secret),
        lambda: member.decrypt(CiphertextBlob=secret, KeyId=mine),
        lambda: member.decrypt(CiphertextBlob=secret, KeyId=scene.kms_key),
        lambda: member.re_encrypt(CiphertextBlob=secret, DestinationKeyId=mine),
        lambda: member.generate_data_key(KeyId=scene.kms_key, KeySpec="AES_256"),
        lambda: member.describe_key(KeyId=scene.kms_key),
        lambda: member.get_key_policy(KeyId=scene.kms_key, PolicyName="default"),
        lambda: member.put_key_policy(KeyId=scene.kms_key, PolicyName="default", Policy=policy),
        lambda: member.disable_key(KeyId=scene.kms_key),
        lambda: member.schedule_key_deletion(KeyId=scene.kms_key),
        lambda: member.create_grant(
            KeyId=scene.kms_key, GranteePrincipal=f"arn:aws:iam::{MEMBER}:root", Operations=["Decrypt"]),
    ]:  # fmt: skip
        refused(call, *codes)
    assert owner.decrypt(CiphertextBlob=secret)["Plaintext"] == b"evidence"


def test_what_a_member_records_is_its_own(scene):
    forged = json.dumps(record(str(uuid.uuid4()), "Forged", recipientAccountId=MANAGEMENT)).encode()
    report = scene.server.put_records(forged, key=root_key(MEMBER))
    assert (report["Accepted"], report["RefusedCount"]) == (0, 1)
