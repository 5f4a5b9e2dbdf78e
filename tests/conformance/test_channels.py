"""Channels and the events that applications put to them."""

import base64
import contextlib
import hashlib
import json
import uuid

import pytest

from accounts import OTHER, OTHER_ACCOUNT, READER
from errors import refused
from opentrail_server import ACCOUNT

AUDITS = {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["ActivityAuditLog"]}]}
MANAGEMENT = {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
OTHER_ADMIN = f"arn:aws:iam::{OTHER_ACCOUNT}:user/other-admin"


@pytest.fixture
def make_store(cloudtrail):
    """Creates event data stores, for activity audit logs unless it is said otherwise; answers their ARNs."""

    def create(name: str = "audits", selector: dict = AUDITS) -> str:
        settings = {"MultiRegionEnabled": False, "TerminationProtectionEnabled": False}
        answer = cloudtrail.create_event_data_store(Name=name, AdvancedEventSelectors=[selector], **settings)
        made.append(answer["EventDataStoreArn"])
        return made[-1]

    made = []
    yield create
    for channel in cloudtrail.list_channels()["Channels"]:
        cloudtrail.delete_channel(Channel=channel["ChannelArn"])
    for arn in made:
        with contextlib.suppress(cloudtrail.exceptions.InactiveEventDataStoreException):
            cloudtrail.delete_event_data_store(EventDataStore=arn)


@pytest.fixture
def store(make_store):
    return make_store()


@pytest.fixture
def channel(cloudtrail, store):
    """A channel into `store`; its ARN."""
    return cloudtrail.create_channel(Name="app", Source="Custom", Destinations=[to(store)])["ChannelArn"]


@pytest.fixture
def data(client, region):
    return client("cloudtrail-data", region)


def to(store: str) -> dict:
    return {"Type": "EVENT_DATA_STORE", "Location": store}


def event(**changes) -> str:
    sent = {
        "version": "1.0",
        "UID": str(uuid.uuid4()),
        "userIdentity": {"type": "CustomUserIdentity", "principalId": "alice", "details": {"team": "audit"}},
        "eventTime": "2026-01-02T03:04:05Z",
        "eventName": "Login",
        "eventSource": "app.example.com",
        "recipientAccountId": ACCOUNT,
    } | changes
    return json.dumps({name: value for name, value in sent.items() if value is not None})


def put(data, channel: str, *events: str, **more) -> dict:
    entries = [{"id": f"n{number}", "eventData": text} for number, text in enumerate(events)]
    return data.put_audit_events(channelArn=channel, auditEvents=entries, **more)


@pytest.mark.operation("CreateChannel", "GetChannel", "UpdateChannel", "DeleteChannel", "ListChannels")
def test_a_channel_is_made_read_changed_and_deleted(cloudtrail, make_store, region):
    one, two = make_store("one"), make_store("two")
    tags = [{"Key": "team", "Value": "audit"}]
    made = cloudtrail.create_channel(Name="app-1", Source="Custom", Destinations=[to(one.rpartition("/")[2])], Tags=tags)
    arn = made["ChannelArn"]
    assert arn.startswith(f"arn:aws:cloudtrail:{region}:{ACCOUNT}:channel/")
    del made["ResponseMetadata"]
    assert made == {"ChannelArn": arn, "Name": "app-1", "Source": "Custom", "Destinations": [to(one)], "Tags": tags}
    for name in (arn, arn.rpartition("/")[2]):
        got = cloudtrail.get_channel(Channel=name)
        del got["ResponseMetadata"]
        assert got == {"ChannelArn": arn, "Name": "app-1", "Source": "Custom", "Destinations": [to(one)], "IngestionStatus": {}}
    assert cloudtrail.list_channels()["Channels"] == [{"ChannelArn": arn, "Name": "app-1"}]
    assert cloudtrail.list_tags(ResourceIdList=[arn])["ResourceTagList"] == [{"ResourceId": arn, "TagsList": tags}]

    with refused("ChannelExistsForEDSException", arn):
        cloudtrail.delete_event_data_store(EventDataStore=one)
    changed = cloudtrail.update_channel(Channel=arn, Name="app-2", Destinations=[to(two)])
    assert (changed["Name"], changed["Source"], changed["Destinations"]) == ("app-2", "Custom", [to(two)])
    changed = cloudtrail.update_channel(Channel=arn, Destinations=[to(two), to(one)])
    assert changed["Destinations"] == [to(two), to(one)]
    assert cloudtrail.update_channel(Channel=arn, Destinations=[to(two)])["Name"] == "app-2"
    cloudtrail.delete_event_data_store(EventDataStore=one)
    cloudtrail.delete_channel(Channel=arn)
    cloudtrail.delete_event_data_store(EventDataStore=two)
    for operation in (cloudtrail.get_channel, cloudtrail.delete_channel):
        with refused("ChannelNotFoundException", arn):
            operation(Channel=arn)


@pytest.mark.operation("ListChannels")
def test_channels_are_listed_in_pages(cloudtrail, store):
    sources = ["Custom", "Okta", "GitHub"]
    sources[1] = "OktaSystemLogEvents"
    made = {cloudtrail.create_channel(Name=f"from-{source}", Source=source, Destinations=[to(store)])["ChannelArn"] for source in sources}
    first = cloudtrail.list_channels(MaxResults=2)
    second = cloudtrail.list_channels(MaxResults=2, NextToken=first["NextToken"])
    assert "NextToken" not in second
    listed = [channel["ChannelArn"] for channel in first["Channels"] + second["Channels"]]
    assert (len(listed), set(listed)) == (3, made)
    with refused("InvalidNextTokenException"):
        cloudtrail.list_channels(NextToken="abcd")


@pytest.mark.operation("CreateChannel")
def test_what_a_channel_cannot_be(cloudtrail, make_store, store, channel, client):
    elsewhere = f"arn:aws:cloudtrail:eu-west-9:{ACCOUNT}:eventdatastore/{uuid.uuid4()}"
    management, gone = make_store("management", MANAGEMENT), make_store("gone")
    cloudtrail.delete_event_data_store(EventDataStore=gone)
    good = {"Name": "next", "Source": "GitHub", "Destinations": [to(store)]}
    for changes, error in [
        ({"Source": "Custom"}, "ChannelAlreadyExistsException"),
        ({"Name": "app"}, "ChannelAlreadyExistsException"),
        ({"Source": "Nobody"}, "InvalidSourceException"),
        ({"Destinations": [to("no-store")]}, "EventDataStoreARNInvalidException"),
        ({"Destinations": [to(str(uuid.uuid4()))]}, "EventDataStoreNotFoundException"),
        ({"Destinations": [to(elsewhere)]}, "EventDataStoreNotFoundException"),
        ({"Destinations": [to(management)]}, "InvalidEventDataStoreCategoryException"),
        ({"Destinations": [to(gone)]}, "InactiveEventDataStoreException"),
        ({"Destinations": [to(store), to(store.rpartition("/")[2])]}, "InvalidParameterException"),
        ({"Destinations": [{"Type": "AWS_SERVICE", "Location": "inspector"}]}, "InvalidParameterException"),
        ({"Tags": [{"Key": "aws:x", "Value": "y"}]}, "InvalidTagParameterException"),
        ({"Destinations": []}, "ValidationException"),
        ({"Name": "a b"}, "ValidationException"),
    ]:
        with refused(error):
            cloudtrail.create_channel(**good | changes)
    with refused("AccessDeniedException", "cloudtrail:CreateChannel"):
        client("cloudtrail", cloudtrail.meta.region_name, READER).create_channel(**good)


@pytest.mark.operation("UpdateChannel")
def test_what_a_channel_cannot_become(cloudtrail, make_store, store, channel):
    with refused("InvalidParameterException", "Name or Destinations"):
        cloudtrail.update_channel(Channel=channel)
    with refused("InvalidEventDataStoreCategoryException"):
        cloudtrail.update_channel(Channel=channel, Destinations=[to(make_store("management", MANAGEMENT))])
    cloudtrail.create_channel(Name="other", Source="GitHub", Destinations=[to(store)])
    with refused("ChannelAlreadyExistsException", "other"):
        cloudtrail.update_channel(Channel=channel, Name="other")
    with refused("ChannelARNInvalidException"):
        cloudtrail.update_channel(Channel="not/a/channel", Name="other")
    assert cloudtrail.get_channel(Channel=channel)["Destinations"] == [to(store)], "nothing changed"


@pytest.mark.operation("GetChannel", "DeleteChannel")
def test_a_channel_of_another_account_is_not_for_looking_at(client, channel, region):
    other = client("cloudtrail", region, OTHER)
    for operation in (other.get_channel, other.delete_channel):
        with refused("AccessDeniedException", channel):
            operation(Channel=channel)


@pytest.mark.operation("AddTags", "RemoveTags", "ListTags")
def test_channels_have_tags(cloudtrail, channel):
    cloudtrail.add_tags(ResourceId=channel, TagsList=[{"Key": "a", "Value": "1"}, {"Key": "b"}])
    cloudtrail.remove_tags(ResourceId=channel, TagsList=[{"Key": "a"}])
    assert cloudtrail.list_tags(ResourceIdList=[channel])["ResourceTagList"][0]["TagsList"] == [{"Key": "b"}]


@pytest.mark.operation("PutAuditEvents")
def test_each_event_is_taken_or_refused_by_itself(cloudtrail, data, channel):
    fine, checked = event(), event(sourceIPAddress="192.0.2.1")
    entries = [
        {"id": "fine", "eventData": fine},
        {"id": "checked", "eventData": checked, "eventDataChecksum": base64.b64encode(hashlib.sha256(checked.encode()).digest()).decode()},
        {"id": "checksum", "eventData": fine, "eventDataChecksum": base64.b64encode(hashlib.sha256(b"other").digest()).decode()},
        {"id": "json", "eventData": "{"},
        {"id": "missing", "eventData": event(UID=None)},
        {"id": "long", "eventData": event(eventName="x" * 1025)},
        {"id": "recipient", "eventData": event(recipientAccountId=OTHER_ACCOUNT)},
    ]
    answer = data.put_audit_events(channelArn=channel, auditEvents=entries)
    assert [one["id"] for one in answer["successful"]] == ["fine", "checked"]
    assert all(str(uuid.UUID(one["eventID"])) == one["eventID"] for one in answer["successful"])
    codes = {one["id"]: one["errorCode"] for one in answer["failed"]}
    assert codes == {"checksum": "InvalidChecksum", "json": "InvalidData", "missing": "FieldNotFound",
                     "long": "FieldTooLong", "recipient": "InvalidRecipient"}  # fmt: skip
    assert all(one["errorMessage"] for one in answer["failed"])
    status = cloudtrail.get_channel(Channel=channel)["IngestionStatus"]
    last = answer["successful"][-1]["eventID"]
    assert (status["LatestIngestionSuccessEventID"], status["LatestIngestionAttemptEventID"]) == (last, last)
    assert status["LatestIngestionErrorCode"] == "InvalidRecipient"
    assert status["LatestIngestionSuccessTime"] == status["LatestIngestionAttemptTime"]

    later = put(data, channel, "[]")
    assert (later["successful"], len(later["failed"])) == ([], 1)
    after = cloudtrail.get_channel(Channel=channel)["IngestionStatus"]
    assert after["LatestIngestionSuccessEventID"] == last and "LatestIngestionAttemptEventID" not in after


@pytest.mark.operation("PutAuditEvents")
def test_what_a_whole_call_is_refused_for(client, data, channel, region):
    with refused("DuplicatedAuditEventId", "twice"):
        data.put_audit_events(channelArn=channel, auditEvents=[{"id": "same", "eventData": event()}] * 2)
    with refused("InvalidChannelARN"):
        put(data, "arn:aws:cloudtrail:us-east-1:channel", event())
    missing = channel[:-36] + str(uuid.uuid4())
    with refused("ChannelNotFound", missing):
        put(data, missing, event())
    with refused("ChannelNotFound"):
        put(client("cloudtrail-data", "elsewhere-1"), channel, event())
    with refused("ValidationException"):
        put(data, channel, *[event()] * 101)
    for key in (READER, OTHER):
        with refused("ChannelInsufficientPermission", "PutAuditEvents"):
            put(client("cloudtrail-data", region, key), channel, event())


@pytest.mark.operation("PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy", "PutAuditEvents")
def test_the_policy_of_a_channel_lets_another_account_in(cloudtrail, client, channel, region, data):
    statement = {"Sid": "partner", "Effect": "Allow", "Principal": {"AWS": OTHER_ADMIN}, "Resource": channel,
                 "Action": "cloudtrail-data:PutAuditEvents"}  # fmt: skip

    def set_policy(**changes) -> str:
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement | changes]})
        cloudtrail.put_resource_policy(ResourceArn=channel, ResourcePolicy=text)
        return text

    partner = client("cloudtrail-data", region, OTHER)
    text = set_policy()
    assert cloudtrail.get_resource_policy(ResourceArn=channel)["ResourcePolicy"] == text
    assert len(put(partner, channel, event())["successful"]) == 1
    assert len(put(partner, channel, event(), externalId="ignored")["successful"]) == 1

    set_policy(Condition={"StringEquals": {"cloudtrail:ExternalId": "secret-1"}})
    assert len(put(partner, channel, event(), externalId="secret-1")["successful"]) == 1
    for caller in (partner, data):
        for said in ({}, {"externalId": "secret-2"}):
            with refused("ChannelInsufficientPermission"):
                put(caller, channel, event(), **said)
    assert len(put(data, channel, event(), externalId="secret-1")["successful"]) == 1, "the owner says it, too"

    for changes in ({"Action": "cloudtrail:StartQuery"}, {"Resource": "*"}, {"Principal": "*"}):
        with refused("ResourcePolicyNotValidException"):
            set_policy(**changes)
    cloudtrail.delete_resource_policy(ResourceArn=channel)
    with refused("ChannelInsufficientPermission"):
        put(partner, channel, event())
    with refused("ResourcePolicyNotFoundException"):
        cloudtrail.get_resource_policy(ResourceArn=channel)
