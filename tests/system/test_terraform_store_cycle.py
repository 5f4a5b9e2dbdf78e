"""What the Terraform provider does with `aws_cloudtrail_event_data_store`: create, read, update each argument, suspend,
import, destroy, with the calls that it makes and the states that it waits for."""

import pytest

from opentrail_server import Server, wait_until

BASIC = [{"Name": "Default management events", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]
OBJECTS = [{"Name": "objects", "FieldSelectors": [
    {"Field": "eventCategory", "Equals": ["Data"]},
    {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
    {"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::bucket/"]}]}]  # fmt: skip


class Resource:
    """One resource block, with the provider's defaults, and what the provider does with it."""

    def __init__(self, cloudtrail, **arguments):
        self.cloudtrail = cloudtrail
        self.arguments = {"billing_mode": "EXTENDABLE_RETENTION_PRICING", "multi_region_enabled": True,
                          "organization_enabled": False, "retention_period": 2555,
                          "termination_protection_enabled": True, "suspend": False, "tags": {},
                          "advanced_event_selector": None, **arguments}  # fmt: skip

    def create(self):
        a = self.arguments
        more = {"AdvancedEventSelectors": a["advanced_event_selector"]} if a["advanced_event_selector"] else {}
        created = self.cloudtrail.create_event_data_store(
            Name=a["name"], BillingMode=a["billing_mode"], MultiRegionEnabled=a["multi_region_enabled"],
            OrganizationEnabled=a["organization_enabled"], RetentionPeriod=a["retention_period"],
            TerminationProtectionEnabled=a["termination_protection_enabled"], StartIngestion=not a["suspend"],
            TagsList=[{"Key": key, "Value": value} for key, value in a["tags"].items()], **more)  # fmt: skip
        self.id = created["EventDataStoreArn"]
        self.wait(["CREATED"], "STOPPED_INGESTION" if a["suspend"] else "ENABLED")

    def status(self):
        return self.cloudtrail.get_event_data_store(EventDataStore=self.id)["Status"]

    def wait(self, pending, target):
        def reached():
            status = self.status()
            assert status in [*pending, target], f"unexpected state {status!r}"
            return status == target

        wait_until(reached, target)

    def read(self):
        """The arguments as the state file gets them, or None when the store is gone."""
        try:
            found = self.cloudtrail.get_event_data_store(EventDataStore=self.id)
        except self.cloudtrail.exceptions.EventDataStoreNotFoundException:
            return None
        if found["Status"] == "PENDING_DELETION":
            return None
        [tags] = self.cloudtrail.list_tags(ResourceIdList=[self.id])["ResourceTagList"]
        assert found["EventDataStoreArn"] == self.id and "KmsKeyId" not in found
        return {"name": found["Name"], "billing_mode": found["BillingMode"],
                "multi_region_enabled": found["MultiRegionEnabled"], "organization_enabled": found["OrganizationEnabled"],
                "retention_period": found["RetentionPeriod"], "suspend": found["Status"] == "STOPPED_INGESTION",
                "termination_protection_enabled": found["TerminationProtectionEnabled"],
                "advanced_event_selector": found["AdvancedEventSelectors"],
                "tags": {tag["Key"]: tag["Value"] for tag in tags["TagsList"]}}  # fmt: skip

    def expected(self):
        return self.arguments | {"advanced_event_selector": self.arguments["advanced_event_selector"] or BASIC}

    def update(self, **arguments):
        before, self.arguments = self.arguments, self.arguments | arguments
        members = {"name": "Name", "billing_mode": "BillingMode", "multi_region_enabled": "MultiRegionEnabled",
                   "retention_period": "RetentionPeriod", "advanced_event_selector": "AdvancedEventSelectors",
                   "termination_protection_enabled": "TerminationProtectionEnabled"}  # fmt: skip
        changed = {members[name]: value for name, value in arguments.items() if name in members}
        if changed:
            self.cloudtrail.update_event_data_store(EventDataStore=self.id, **changed)
            if not before["suspend"]:
                self.wait([], "ENABLED")
        if arguments.get("suspend") is True:
            self.cloudtrail.stop_event_data_store_ingestion(EventDataStore=self.id)
            self.wait(["STOPPING_INGESTION"], "STOPPED_INGESTION")
        if arguments.get("suspend") is False:
            self.cloudtrail.start_event_data_store_ingestion(EventDataStore=self.id)
            self.wait(["STARTING_INGESTION"], "ENABLED")
        if "tags" in arguments:
            gone = [{"Key": key} for key in before["tags"] if key not in arguments["tags"]]
            if gone:
                self.cloudtrail.remove_tags(ResourceId=self.id, TagsList=gone)
            put = [{"Key": key, "Value": value} for key, value in arguments["tags"].items()]
            if put:
                self.cloudtrail.add_tags(ResourceId=self.id, TagsList=put)
        assert self.read() == self.expected(), "a plan after the apply shows no changes"

    def destroy(self):
        self.cloudtrail.delete_event_data_store(EventDataStore=self.id)
        self.wait(["CREATED", "ENABLED"], "PENDING_DELETION")
        assert self.read() is None


@pytest.fixture(scope="module")
def cloudtrail(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server.client("cloudtrail")


def test_a_store_lives_as_the_provider_expects(cloudtrail):
    resource = Resource(cloudtrail, name="example", tags={"team": "audit"})
    resource.create()
    assert resource.read() == resource.expected()
    resource.update(advanced_event_selector=OBJECTS)
    resource.update(retention_period=7)
    resource.update(multi_region_enabled=False)
    resource.update(name="renamed")
    resource.update(tags={"team": "security", "stage": "test"})
    resource.update(tags={})
    resource.update(suspend=True)
    resource.update(suspend=False)
    imported = Resource(cloudtrail, **resource.arguments)
    imported.id = resource.id
    assert imported.read() == imported.expected()
    with pytest.raises(cloudtrail.exceptions.EventDataStoreTerminationProtectedException):
        resource.destroy()
    resource.update(termination_protection_enabled=False)
    resource.destroy()


def test_a_store_of_the_other_billing_mode_begins_suspended(cloudtrail):
    resource = Resource(cloudtrail, name="fixed", billing_mode="FIXED_RETENTION_PRICING", suspend=True,
                        advanced_event_selector=OBJECTS, termination_protection_enabled=False)  # fmt: skip
    resource.create()
    assert resource.read() == resource.expected()
    resource.update(suspend=False)
    resource.update(billing_mode="EXTENDABLE_RETENTION_PRICING")
    resource.destroy()
