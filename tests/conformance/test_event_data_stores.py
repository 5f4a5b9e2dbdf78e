"""Event data stores: created, changed, listed, stopped, deleted, restored, tagged."""

import uuid

import pytest

from accounts import OTHER, READER
from errors import refused
from opentrail_server import ACCOUNT

DEFAULT = {"Name": "Default management events", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}


def selector(category: str, *more: dict) -> dict:
    return {"FieldSelectors": [{"Field": "eventCategory", "Equals": [category]}, *more]}


S3_OBJECTS = {"Field": "resources.type", "Equals": ["AWS::S3::Object"]}


@pytest.fixture
def make(cloudtrail):
    """Creates stores that are deleted in the end; answers what CreateEventDataStore does.

    They are of one Region unless it is said otherwise, and become so before they are deleted: stores of all Regions take
    a place in the Regions of every test, for the seven days in which they can be restored, too."""

    def create(name: str = "store", **settings) -> dict:
        settings = {"MultiRegionEnabled": False, "TerminationProtectionEnabled": False} | settings
        answer = cloudtrail.create_event_data_store(Name=name, **settings)
        made.append(answer["EventDataStoreArn"])
        return answer

    made = []
    yield create
    for arn in made:
        try:
            cloudtrail.update_event_data_store(EventDataStore=arn, MultiRegionEnabled=False, TerminationProtectionEnabled=False)
            cloudtrail.delete_event_data_store(EventDataStore=arn)
        except cloudtrail.exceptions.InactiveEventDataStoreException:
            pass


def without_metadata(answer: dict) -> dict:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def status(cloudtrail, arn: str) -> str:
    return cloudtrail.get_event_data_store(EventDataStore=arn)["Status"]


@pytest.mark.operation("CreateEventDataStore", "GetEventDataStore")
def test_a_new_store_has_the_documented_defaults(cloudtrail, region):
    created = without_metadata(cloudtrail.create_event_data_store(Name="defaults"))
    arn = created["EventDataStoreArn"]
    assert arn.startswith(f"arn:aws:cloudtrail:{region}:{ACCOUNT}:eventdatastore/")
    assert str(uuid.UUID(arn.rpartition("/")[2])) == arn.rpartition("/")[2]
    times = {"CreatedTimestamp": created["CreatedTimestamp"], "UpdatedTimestamp": created["UpdatedTimestamp"]}
    settings = {
        "EventDataStoreArn": arn,
        "Name": "defaults",
        "AdvancedEventSelectors": [DEFAULT],
        "MultiRegionEnabled": True,
        "OrganizationEnabled": False,
        "RetentionPeriod": 366,
        "TerminationProtectionEnabled": True,
        "BillingMode": "EXTENDABLE_RETENTION_PRICING",
        **times,
    }
    assert created == settings | {"Status": "CREATED", "TagsList": []}
    expected = settings | {"Status": "ENABLED", "FederationStatus": "DISABLED"}
    expected["PartitionKeys"] = [{"Name": "event_date", "Type": "date"}]
    assert without_metadata(cloudtrail.get_event_data_store(EventDataStore=arn)) == expected
    by_id = cloudtrail.get_event_data_store(EventDataStore=arn.rpartition("/")[2])
    assert without_metadata(by_id) == expected
    with refused("EventDataStoreTerminationProtectedException", "turn it off first"):
        cloudtrail.delete_event_data_store(EventDataStore=arn)
    cloudtrail.update_event_data_store(EventDataStore=arn, TerminationProtectionEnabled=False, MultiRegionEnabled=False)
    cloudtrail.delete_event_data_store(EventDataStore=arn)


@pytest.mark.operation("CreateEventDataStore")
def test_a_new_store_keeps_what_it_is_given(cloudtrail, make):
    selectors = [selector("Data", S3_OBJECTS) | {"Name": "objects"}, selector("NetworkActivity", {"Field": "eventSource", "Equals": ["s3.amazonaws.com"]})]
    tags = [{"Key": "team", "Value": "audit"}]
    created = make(
        "full.store_1-a",
        AdvancedEventSelectors=selectors,
        MultiRegionEnabled=False,
        OrganizationEnabled=False,
        RetentionPeriod=2557,
        BillingMode="FIXED_RETENTION_PRICING",
        StartIngestion=False,
        TagsList=tags,
    )
    assert created["TagsList"] == tags
    arn = created["EventDataStoreArn"]
    store = cloudtrail.get_event_data_store(EventDataStore=arn)
    assert store["AdvancedEventSelectors"] == selectors
    assert (store["MultiRegionEnabled"], store["RetentionPeriod"], store["BillingMode"]) == (False, 2557, "FIXED_RETENTION_PRICING")
    assert store["Status"] == "STOPPED_INGESTION"
    assert cloudtrail.list_tags(ResourceIdList=[arn])["ResourceTagList"] == [{"ResourceId": arn, "TagsList": tags}]


@pytest.mark.operation("CreateEventDataStore")
@pytest.mark.parametrize("mode, days", [("EXTENDABLE_RETENTION_PRICING", 366), ("FIXED_RETENTION_PRICING", 2557)])
def test_the_default_retention_follows_the_billing_mode(make, mode, days):
    assert make(BillingMode=mode)["RetentionPeriod"] == days


@pytest.mark.operation("CreateEventDataStore")
@pytest.mark.parametrize("category", ["Management", "Insight", "ConfigurationItem", "Evidence", "ActivityAuditLog"])
def test_a_store_collects_each_category(cloudtrail, make, category):
    arn = make(AdvancedEventSelectors=[selector(category)])["EventDataStoreArn"]
    assert cloudtrail.get_event_data_store(EventDataStore=arn)["AdvancedEventSelectors"] == [selector(category)]


@pytest.mark.operation("CreateEventDataStore")
@pytest.mark.parametrize(
    "settings, error",
    [
        ({"Name": "ab"}, "InvalidParameterException"),
        ({"Name": "a" * 129}, "InvalidParameterException"),
        ({"Name": "a store"}, "InvalidParameterException"),
        ({"RetentionPeriod": 6}, "InvalidParameterException"),
        ({"RetentionPeriod": 3654}, "InvalidParameterException"),
        ({"RetentionPeriod": 2558, "BillingMode": "FIXED_RETENTION_PRICING"}, "InvalidParameterException"),
        ({"BillingMode": "FREE"}, "InvalidParameterException"),
        ({"StartIngestion": False, "AdvancedEventSelectors": [selector("Insight")]}, "InvalidParameterException"),
        ({"AdvancedEventSelectors": [selector("ActivityAuditLog")]}, "InvalidParameterException"),
        ({"AdvancedEventSelectors": [selector("Data")]}, "InvalidEventSelectorsException"),
        ({"AdvancedEventSelectors": [selector("Management"), selector("Insight")]}, "InvalidEventSelectorsException"),
        ({"AdvancedEventSelectors": [selector("Management")] * 6}, "InvalidEventSelectorsException"),
        ({"AdvancedEventSelectors": [selector("Insight", {"Field": "eventName", "Equals": ["a"]})]}, "InvalidEventSelectorsException"),
        ({"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventName", "Equals": ["a"]}]}]}, "InvalidEventSelectorsException"),
        ({"TagsList": [{"Key": "aws:a", "Value": "v"}]}, "InvalidTagParameterException"),
        ({"TagsList": [{"Key": f"k{n}", "Value": "v"} for n in range(51)]}, "InvalidTagParameterException"),
        ({"KmsKeyId": "not a key"}, "InvalidKmsKeyIdException"),
        ({"OrganizationEnabled": True}, "OrganizationsNotInUseException"),
    ],
)
def test_bad_settings_are_refused(cloudtrail, settings, error):
    with refused(error):
        cloudtrail.create_event_data_store(**({"Name": "store"} | settings))
    assert cloudtrail.list_event_data_stores()["EventDataStores"] == []


@pytest.mark.operation("CreateEventDataStore", "UpdateEventDataStore")
def test_a_taken_name_is_refused(cloudtrail, make, client):
    make("one")
    two = make("two")["EventDataStoreArn"]
    with refused("EventDataStoreAlreadyExistsException", "one"):
        make("one")
    with refused("EventDataStoreAlreadyExistsException", "one"):
        cloudtrail.update_event_data_store(EventDataStore=two, Name="one")
    cloudtrail.update_event_data_store(EventDataStore=two, Name="three")
    make("two")


@pytest.mark.operation("CreateEventDataStore", "RestoreEventDataStore")
def test_a_region_has_room_for_ten_stores(client, region):
    """In an account of its own: the Region stays full, and then no store of all Regions can be created either."""
    other = client("cloudtrail", region, OTHER)

    def create(name: str) -> str:
        settings = {"MultiRegionEnabled": False, "TerminationProtectionEnabled": False}
        return other.create_event_data_store(Name=name, **settings)["EventDataStoreArn"]

    stores = [create(f"store-{n}") for n in range(10)]
    with refused("EventDataStoreMaxLimitExceededException", "10"):
        create("eleventh")
    with refused("EventDataStoreMaxLimitExceededException", region):
        client("cloudtrail", "elsewhere-5", OTHER).create_event_data_store(Name="everywhere")
    other.delete_event_data_store(EventDataStore=stores[0])
    with refused("EventDataStoreMaxLimitExceededException", "10"):
        create("eleventh")  # one that is pending deletion counts, as it can be restored
    other.restore_event_data_store(EventDataStore=stores[0])


@pytest.mark.operation("ListEventDataStores")
def test_stores_are_listed_in_their_home_region_page_by_page(client, cloudtrail, make):
    stores = {make(name)["EventDataStoreArn"]: name for name in ["one", "two", "three"]}
    first = cloudtrail.list_event_data_stores(MaxResults=2)
    assert len(first["EventDataStores"]) == 2
    rest = cloudtrail.list_event_data_stores(MaxResults=2, NextToken=first["NextToken"])
    assert "NextToken" not in rest
    listed = first["EventDataStores"] + rest["EventDataStores"]
    assert {store["EventDataStoreArn"]: store["Name"] for store in listed} == stores
    assert all(set(store) == {"EventDataStoreArn", "Name"} for store in listed)
    elsewhere = client("cloudtrail", "elsewhere-3")
    assert elsewhere.list_event_data_stores()["EventDataStores"] == []
    with refused("EventDataStoreNotFoundException"):
        elsewhere.get_event_data_store(EventDataStore=next(iter(stores)))


@pytest.mark.operation("ListEventDataStores")
@pytest.mark.parametrize(
    "page, error",
    [
        ({"MaxResults": 0}, "InvalidMaxResultsException"),
        ({"MaxResults": 1001}, "InvalidMaxResultsException"),
        ({"NextToken": "made-up"}, "InvalidNextTokenException"),
        ({"NextToken": "abc"}, "InvalidNextTokenException"),
    ],
)
def test_bad_pages_are_refused(cloudtrail, page, error):
    with refused(error):
        cloudtrail.list_event_data_stores(**page)


@pytest.mark.operation("UpdateEventDataStore")
def test_each_setting_is_changed_by_itself(cloudtrail, make):
    arn = make(BillingMode="FIXED_RETENTION_PRICING", RetentionPeriod=100, MultiRegionEnabled=True)["EventDataStoreArn"]
    known = without_metadata(cloudtrail.get_event_data_store(EventDataStore=arn))
    del known["PartitionKeys"]  # GetEventDataStore alone tells them
    for change in (
        {"Name": "renamed"},
        {"AdvancedEventSelectors": [selector("Data", S3_OBJECTS)]},
        {"MultiRegionEnabled": False},
        {"RetentionPeriod": 7},
        {"TerminationProtectionEnabled": True},
        {"TerminationProtectionEnabled": False},
        {"BillingMode": "EXTENDABLE_RETENTION_PRICING"},
        {"RetentionPeriod": 3653},
    ):
        answer = without_metadata(cloudtrail.update_event_data_store(EventDataStore=arn, **change))
        expected = known | change | {"UpdatedTimestamp": answer["UpdatedTimestamp"]}
        assert answer == expected
        known = without_metadata(cloudtrail.get_event_data_store(EventDataStore=arn))
        del known["PartitionKeys"]
        assert known == expected
    assert known["UpdatedTimestamp"] > known["CreatedTimestamp"]
    again = cloudtrail.update_event_data_store(EventDataStore=arn, Name="renamed")
    assert again["UpdatedTimestamp"] == known["UpdatedTimestamp"], "nothing changed"


@pytest.mark.operation("UpdateEventDataStore")
@pytest.mark.parametrize(
    "change, error",
    [
        ({}, "InvalidParameterException"),
        ({"Name": "a b"}, "InvalidParameterException"),
        ({"RetentionPeriod": 2558}, None),
        ({"RetentionPeriod": 3654}, "InvalidParameterException"),
        ({"BillingMode": "FIXED_RETENTION_PRICING"}, "InvalidParameterException"),
        ({"AdvancedEventSelectors": []}, "InvalidEventSelectorsException"),
        ({"AdvancedEventSelectors": [selector("Insight")]}, "InvalidEventSelectorsException"),
        ({"AdvancedEventSelectors": [selector("Data")]}, "InvalidEventSelectorsException"),
        ({"OrganizationEnabled": True}, "OrganizationsNotInUseException"),
        ({"OrganizationEnabled": False}, None),
    ],
)
def test_bad_changes_are_refused(cloudtrail, make, change, error):
    arn = make()["EventDataStoreArn"]
    known = without_metadata(cloudtrail.get_event_data_store(EventDataStore=arn))
    if error is None:
        cloudtrail.update_event_data_store(EventDataStore=arn, **change)
        return
    with refused(error):
        cloudtrail.update_event_data_store(EventDataStore=arn, **change)
    assert without_metadata(cloudtrail.get_event_data_store(EventDataStore=arn)) == known


@pytest.mark.operation("StartEventDataStoreIngestion", "StopEventDataStoreIngestion")
def test_ingestion_is_stopped_and_started(cloudtrail, make):
    arn = make()["EventDataStoreArn"]
    with refused("InvalidEventDataStoreStatusException", "ENABLED"):
        cloudtrail.start_event_data_store_ingestion(EventDataStore=arn)
    cloudtrail.stop_event_data_store_ingestion(EventDataStore=arn)
    assert status(cloudtrail, arn) == "STOPPED_INGESTION"
    with refused("InvalidEventDataStoreStatusException", "STOPPED_INGESTION"):
        cloudtrail.stop_event_data_store_ingestion(EventDataStore=arn)
    cloudtrail.start_event_data_store_ingestion(EventDataStore=arn)
    assert status(cloudtrail, arn) == "ENABLED"


@pytest.mark.operation("StartEventDataStoreIngestion", "StopEventDataStoreIngestion")
@pytest.mark.parametrize("category", ["Insight", "Evidence", "ActivityAuditLog"])
def test_ingestion_of_some_categories_goes_on_for_ever(cloudtrail, make, category):
    arn = make(AdvancedEventSelectors=[selector(category)])["EventDataStoreArn"]
    for change in (cloudtrail.start_event_data_store_ingestion, cloudtrail.stop_event_data_store_ingestion):
        with refused("InvalidEventDataStoreCategoryException"):
            change(EventDataStore=arn)


@pytest.mark.operation("DeleteEventDataStore", "RestoreEventDataStore", "GetEventDataStore")
@pytest.mark.parametrize("before", ["ENABLED", "STOPPED_INGESTION"])
def test_a_deleted_store_can_be_restored(cloudtrail, make, before):
    arn = make("kept", StartIngestion=before == "ENABLED")["EventDataStoreArn"]
    with refused("InvalidEventDataStoreStatusException", before):
        cloudtrail.restore_event_data_store(EventDataStore=arn)
    assert without_metadata(cloudtrail.delete_event_data_store(EventDataStore=arn)) == {}
    assert status(cloudtrail, arn) == "PENDING_DELETION"
    assert [store["EventDataStoreArn"] for store in cloudtrail.list_event_data_stores()["EventDataStores"]] == [arn]
    with refused("InactiveEventDataStoreException"):
        cloudtrail.delete_event_data_store(EventDataStore=arn)
    with refused("InactiveEventDataStoreException"):
        cloudtrail.update_event_data_store(EventDataStore=arn, RetentionPeriod=8)
    with refused("InactiveEventDataStoreException"):
        cloudtrail.add_tags(ResourceId=arn, TagsList=[{"Key": "k"}])
    for change in (cloudtrail.start_event_data_store_ingestion, cloudtrail.stop_event_data_store_ingestion):
        with refused("InvalidEventDataStoreStatusException", "PENDING_DELETION"):
            change(EventDataStore=arn)
    restored = cloudtrail.restore_event_data_store(EventDataStore=arn)
    assert (restored["EventDataStoreArn"], restored["Name"], restored["Status"]) == (arn, "kept", before)
    assert status(cloudtrail, arn) == before


@pytest.mark.operation(
    "GetEventDataStore", "UpdateEventDataStore", "DeleteEventDataStore", "RestoreEventDataStore",
    "StartEventDataStoreIngestion", "StopEventDataStoreIngestion",
)  # fmt: skip
@pytest.mark.parametrize(
    "operation",
    ["get_event_data_store", "update_event_data_store", "delete_event_data_store", "restore_event_data_store",
     "start_event_data_store_ingestion", "stop_event_data_store_ingestion"],
)  # fmt: skip
def test_names_of_no_store_are_refused(cloudtrail, region, operation):
    call, absent = getattr(cloudtrail, operation), str(uuid.uuid4())
    more = {"Name": "other"} if operation == "update_event_data_store" else {}
    for name in (absent, f"arn:aws:cloudtrail:{region}:{ACCOUNT}:eventdatastore/{absent}"):
        with refused("EventDataStoreNotFoundException", absent):
            call(EventDataStore=name, **more)
    for name in ("my-store", f"arn:aws:cloudtrail:{region}:{ACCOUNT}:trail/main", f"arn:aws:s3:::{absent}", "a", "a b"):
        with refused("EventDataStoreARNInvalidException"):
            call(EventDataStore=name, **more)


@pytest.mark.operation("AddTags", "RemoveTags", "ListTags")
def test_stores_are_tagged(client, cloudtrail, make):
    arn = make(TagsList=[{"Key": "team", "Value": "audit"}])["EventDataStoreArn"]
    cloudtrail.add_tags(ResourceId=arn, TagsList=[{"Key": "bare"}])
    cloudtrail.remove_tags(ResourceId=arn, TagsList=[{"Key": "team"}])
    assert cloudtrail.list_tags(ResourceIdList=[arn])["ResourceTagList"] == [{"ResourceId": arn, "TagsList": [{"Key": "bare"}]}]
    with refused("CloudTrailARNInvalidException", "you can only access resources in region elsewhere-4"):
        client("cloudtrail", "elsewhere-4").list_tags(ResourceIdList=[arn])


@pytest.mark.operation(
    "CreateEventDataStore", "GetEventDataStore", "UpdateEventDataStore", "DeleteEventDataStore", "RestoreEventDataStore",
    "StartEventDataStoreIngestion", "StopEventDataStoreIngestion", "ListEventDataStores",
)  # fmt: skip
def test_what_policies_do_not_allow_is_denied(client, cloudtrail, region, make):
    arn = make()["EventDataStoreArn"]
    for key in (READER, OTHER):
        caller = client("cloudtrail", region, key)
        for operation in ("get", "update", "delete", "restore"):
            with refused("AccessDeniedException", "EventDataStore"):
                getattr(caller, f"{operation}_event_data_store")(EventDataStore=arn)
        for operation in ("start", "stop"):
            with refused("AccessDeniedException", "Ingestion"):
                getattr(caller, f"{operation}_event_data_store_ingestion")(EventDataStore=arn)
    with refused("AccessDeniedException", "cloudtrail:CreateEventDataStore"):
        client("cloudtrail", region, READER).create_event_data_store(Name="mine")
    assert len(client("cloudtrail", region, READER).list_event_data_stores()["EventDataStores"]) == 1
    assert client("cloudtrail", region, OTHER).list_event_data_stores()["EventDataStores"] == []
