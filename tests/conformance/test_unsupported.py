"""Operations that are not built yet say so."""

import boto3
import pytest

from errors import refused

BUILT = {
    "AddTags",
    "CreateTrail",
    "DeleteTrail",
    "DeregisterOrganizationDelegatedAdmin",
    "DescribeTrails",
    "GetEventConfiguration",
    "GetEventSelectors",
    "GetTrail",
    "GetTrailStatus",
    "ListPublicKeys",
    "ListTags",
    "ListTrails",
    "LookupEvents",
    "PutEventConfiguration",
    "PutEventSelectors",
    "RegisterOrganizationDelegatedAdmin",
    "RemoveTags",
    "StartLogging",
    "StopLogging",
    "UpdateTrail",
}


def operations() -> list:
    model = boto3.client("cloudtrail", "us-east-1").meta.service_model
    names = sorted(set(model.operation_names) - BUILT)
    return [pytest.param(name, "unsupported", marks=pytest.mark.operation(name)) for name in names]


@pytest.mark.parametrize("operation, case", operations())
def test_an_operation_that_is_not_built_says_so(cloudtrail, operation, case):
    del case  # what the compatibility table calls it
    method = {name: method for method, name in cloudtrail.meta.method_to_api_mapping.items()}[operation]
    with refused("UnsupportedOperationException", f"{operation} is not built yet"):
        getattr(cloudtrail, method)()


@pytest.mark.operation("PutAuditEvents")
@pytest.mark.parametrize("case", ["unsupported"])
def test_put_audit_events_is_not_built(client, region, case):
    del case
    with refused("UnsupportedOperationException", "PutAuditEvents is not built yet"):
        client("cloudtrail-data", region).put_audit_events(
            auditEvents=[{"id": "1", "eventData": "{}"}],
            channelArn="arn:aws:cloudtrail:us-east-1:100000000001:channel/c",
        )
