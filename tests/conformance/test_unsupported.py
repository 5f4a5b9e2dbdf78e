"""Operations that are not built yet say so."""

import boto3
import pytest

from errors import refused

BUILT = {
    "AddTags",
    "CancelQuery",
    "CreateChannel",
    "CreateDashboard",
    "CreateEventDataStore",
    "CreateTrail",
    "DeleteChannel",
    "DeleteDashboard",
    "DeleteEventDataStore",
    "DeleteResourcePolicy",
    "DeleteTrail",
    "DeregisterOrganizationDelegatedAdmin",
    "DescribeQuery",
    "DisableFederation",
    "EnableFederation",
    "DescribeTrails",
    "GenerateQuery",
    "GetChannel",
    "GetDashboard",
    "GetEventConfiguration",
    "GetEventDataStore",
    "GetEventSelectors",
    "GetImport",
    "GetQueryResults",
    "GetResourcePolicy",
    "GetTrail",
    "GetTrailStatus",
    "ListChannels",
    "ListDashboards",
    "ListEventDataStores",
    "ListImportFailures",
    "ListImports",
    "ListPublicKeys",
    "ListQueries",
    "ListTags",
    "ListTrails",
    "LookupEvents",
    "PutEventConfiguration",
    "PutEventSelectors",
    "PutResourcePolicy",
    "RegisterOrganizationDelegatedAdmin",
    "RemoveTags",
    "RestoreEventDataStore",
    "SearchSampleQueries",
    "StartDashboardRefresh",
    "StartEventDataStoreIngestion",
    "StartImport",
    "StartLogging",
    "StartQuery",
    "StopEventDataStoreIngestion",
    "StopImport",
    "StopLogging",
    "UpdateChannel",
    "UpdateDashboard",
    "UpdateEventDataStore",
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
