"""Policies of resources: put, read, taken away, and obeyed across accounts."""

import json
import uuid

import pytest

from accounts import OTHER, OTHER_ACCOUNT
from errors import refused
from opentrail_server import ACCOUNT

KINDS = ["put_resource_policy", "get_resource_policy", "delete_resource_policy"]
OTHER_ADMIN = f"arn:aws:iam::{OTHER_ACCOUNT}:user/other-admin"


@pytest.fixture
def store(cloudtrail):
    """An event data store; its ARN."""
    settings = {"MultiRegionEnabled": False, "TerminationProtectionEnabled": False}
    arn = cloudtrail.create_event_data_store(Name="shared", **settings)["EventDataStoreArn"]
    yield arn
    cloudtrail.delete_event_data_store(EventDataStore=arn)


def policy(**changes) -> str:
    statement = {"Sid": "share", "Effect": "Allow", "Principal": {"AWS": OTHER_ADMIN}, "Action": "cloudtrail:GetEventDataStore"}
    statement |= changes
    return json.dumps({"Version": "2012-10-17", "Statement": [{k: v for k, v in statement.items() if v is not None}]})


def call(cloudtrail, operation: str, arn: str):
    more = {"ResourcePolicy": policy()} if operation == "put_resource_policy" else {}
    return getattr(cloudtrail, operation)(ResourceArn=arn, **more)


@pytest.mark.operation("PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy")
def test_a_policy_is_put_read_replaced_and_taken_away(cloudtrail, store):
    for operation in ("get_resource_policy", "delete_resource_policy"):
        with refused("ResourcePolicyNotFoundException", store):
            call(cloudtrail, operation, store)
    for text in (policy(), policy(Resource=store, Action=["cloudtrail:StartQuery", "cloudtrail:GetQueryResults"])):
        put = cloudtrail.put_resource_policy(ResourceArn=store, ResourcePolicy=text)
        assert (put["ResourceArn"], put["ResourcePolicy"]) == (store, text)
        got = cloudtrail.get_resource_policy(ResourceArn=store)
        assert (got["ResourceArn"], got["ResourcePolicy"]) == (store, text), "as it was put"
        assert "DelegatedAdminResourcePolicy" not in got
    cloudtrail.delete_resource_policy(ResourceArn=store)
    with refused("ResourcePolicyNotFoundException", store):
        cloudtrail.get_resource_policy(ResourceArn=store)


@pytest.mark.operation("PutResourcePolicy")
def test_a_policy_for_dashboards_is_for_the_service(cloudtrail, store, region):
    dashboard = f"arn:aws:cloudtrail:{region}:{ACCOUNT}:dashboard/*"
    text = policy(
        Principal={"Service": "cloudtrail.amazonaws.com"},
        Action="cloudtrail:StartQuery",
        Condition={"StringLike": {"AWS:SourceArn": dashboard}, "StringEquals": {"AWS:SourceAccount": ACCOUNT}},
    )
    cloudtrail.put_resource_policy(ResourceArn=store, ResourcePolicy=text)
    assert cloudtrail.get_resource_policy(ResourceArn=store)["ResourcePolicy"] == text


@pytest.mark.operation("PutResourcePolicy")
@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "JSON"),
        ("[]", "object"),
        ('{"Version": "2012-10-17"}', "Statement"),
        (policy(Effect="Maybe"), "Effect"),
        (policy(Principal=None), "Principal"),
        (policy(Principal="*"), "everybody"),
        (policy(Principal={"AWS": "*"}), "everybody"),
        (policy(Principal={"AWS": "somebody"}), "somebody"),
        (policy(Principal={"Federated": "idp"}), "Federated"),
        (policy(Principal={"Service": "s3.amazonaws.com"}, Action="cloudtrail:StartQuery"), "s3.amazonaws.com"),
        (policy(Action=None), "Action"),
        (policy(Action="cloudtrail:*"), "cloudtrail:*"),
        (policy(Action="cloudtrail:UpdateEventDataStore"), "cloudtrail:UpdateEventDataStore"),
        (policy(Action="cloudtrail-data:PutAuditEvents"), "PutAuditEvents"),
        (policy(Principal={"Service": "cloudtrail.amazonaws.com"}), "cloudtrail:GetEventDataStore"),
        (policy(Resource="*"), "resource *"),
        (policy(NotResource="arn:aws:cloudtrail:us-east-1:100000000001:eventdatastore/x"), "NotResource"),
        (
            policy(Principal={"Service": "cloudtrail.amazonaws.com"}, Action="cloudtrail:StartQuery", Condition={"Bool": {"aws:SecureTransport": "true"}}),
            "Bool",
        ),
        (policy(Condition={"Nonsense": {"a": "b"}}), "Nonsense"),
        (policy(Extra=1), "Extra"),
        ("", "1"),
        (policy(Sid="s" * 8192), "8192"),
    ],
)
def test_a_bad_policy_is_refused_and_changes_nothing(cloudtrail, store, text, words):
    cloudtrail.put_resource_policy(ResourceArn=store, ResourcePolicy=policy())
    with refused("ResourcePolicyNotValidException", words):
        cloudtrail.put_resource_policy(ResourceArn=store, ResourcePolicy=text)
    assert cloudtrail.get_resource_policy(ResourceArn=store)["ResourcePolicy"] == policy()


@pytest.mark.operation("PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy")
@pytest.mark.parametrize("operation", KINDS)
@pytest.mark.parametrize(
    "resource, error",
    [
        (f"arn:aws:cloudtrail:{{region}}:{ACCOUNT}:trail/main", "ResourceTypeNotSupportedException"),
        (f"arn:aws:cloudtrail:{{region}}:{ACCOUNT}:eventdatastore/{uuid.UUID(int=1)}", "ResourceNotFoundException"),
        (f"arn:aws:cloudtrail:{{region}}:{ACCOUNT}:channel/{uuid.UUID(int=2)}", "ResourceNotFoundException"),
        (f"arn:aws:cloudtrail:{{region}}:{ACCOUNT}:dashboard/mine", "ResourceNotFoundException"),
        (f"arn:aws:cloudtrail:{{region}}:{ACCOUNT}:eventdatastore/mine", "ResourceARNNotValidException"),
        ("arn:aws:s3:::bucket", "ResourceARNNotValidException"),
        ("shared", "ResourceARNNotValidException"),
        ("a b c", "ResourceARNNotValidException"),
        ("ab", "ResourceARNNotValidException"),
    ],
)
def test_what_has_no_policy(cloudtrail, region, operation, resource, error):
    with refused(error):
        call(cloudtrail, operation, resource.format(region=region))


@pytest.mark.operation("PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy")
@pytest.mark.parametrize("operation", KINDS)
def test_a_store_pending_deletion_has_to_be_restored_first(cloudtrail, operation):
    settings = {"MultiRegionEnabled": False, "TerminationProtectionEnabled": False}
    arn = cloudtrail.create_event_data_store(Name="gone", **settings)["EventDataStoreArn"]
    cloudtrail.put_resource_policy(ResourceArn=arn, ResourcePolicy=policy())
    cloudtrail.delete_event_data_store(EventDataStore=arn)
    with refused("OperationNotPermittedException", "restore it first"):
        call(cloudtrail, operation, arn)
    cloudtrail.restore_event_data_store(EventDataStore=arn)
    assert cloudtrail.get_resource_policy(ResourceArn=arn)["ResourcePolicy"] == policy()
    cloudtrail.delete_event_data_store(EventDataStore=arn)


@pytest.mark.operation("PutResourcePolicy", "GetEventDataStore")
def test_another_account_sees_a_store_that_its_policy_shares(client, cloudtrail, region, store):
    other = client("cloudtrail", region, OTHER)
    with refused("AccessDeniedException", "no resource-based policy allows the cloudtrail:GetEventDataStore action"):
        other.get_event_data_store(EventDataStore=store)
    for principal in (OTHER_ADMIN, OTHER_ACCOUNT, f"arn:aws:iam::{OTHER_ACCOUNT}:root"):
        cloudtrail.put_resource_policy(ResourceArn=store, ResourcePolicy=policy(Principal={"AWS": principal}))
        assert other.get_event_data_store(EventDataStore=store)["EventDataStoreArn"] == store
    with refused("EventDataStoreNotFoundException"):
        other.get_event_data_store(EventDataStore=store.rpartition("/")[2])  # of the caller's own account
    for change in (other.delete_event_data_store, other.stop_event_data_store_ingestion):
        with refused("AccessDeniedException", "no resource-based policy allows"):
            change(EventDataStore=store)
    for operation in KINDS:
        with refused("AccessDeniedException", "no resource-based policy allows"):
            call(other, operation, store)
    cloudtrail.put_resource_policy(ResourceArn=store, ResourcePolicy=policy(Principal={"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:user/nobody"}))
    with refused("AccessDeniedException", "no resource-based policy allows"):
        other.get_event_data_store(EventDataStore=store)
    cloudtrail.put_resource_policy(ResourceArn=store, ResourcePolicy=policy(Effect="Deny"))
    with refused("AccessDeniedException", "explicit deny in a resource-based policy"):
        other.get_event_data_store(EventDataStore=store)
    cloudtrail.delete_resource_policy(ResourceArn=store)
    with refused("AccessDeniedException", "no resource-based policy allows"):
        other.get_event_data_store(EventDataStore=store)


@pytest.mark.operation("PutResourcePolicy")
def test_conditions_of_a_policy_are_held_to(client, cloudtrail, region, store):
    other = client("cloudtrail", region, OTHER)
    for wanted, seen in (("true", False), ("false", True)):
        text = policy(Condition={"Bool": {"aws:SecureTransport": wanted}})
        cloudtrail.put_resource_policy(ResourceArn=store, ResourcePolicy=text)
        if seen:
            assert other.get_event_data_store(EventDataStore=store)["Name"] == "shared"
        else:
            with refused("AccessDeniedException", "no resource-based policy allows"):
                other.get_event_data_store(EventDataStore=store)
