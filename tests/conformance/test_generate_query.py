"""Queries made of questions in English, by the generator that needs no model."""

import json
import uuid

import pytest

from accounts import OTHER, OTHER_ACCOUNT, READER
from errors import refused
from opentrail_server import ACCOUNT, wait_until
from results import rows_of, run, wait_for


@pytest.fixture
def store(cloudtrail):
    """An event data store of the test's Region that has had a few calls to log; its ARN."""
    arn = cloudtrail.create_event_data_store(Name="questions", MultiRegionEnabled=False, TerminationProtectionEnabled=False)
    arn = arn["EventDataStoreArn"]
    for _ in range(3):
        cloudtrail.describe_trails()
    yield arn
    try:
        cloudtrail.delete_event_data_store(EventDataStore=arn)
    except cloudtrail.exceptions.InactiveEventDataStoreException:
        pass


@pytest.mark.operation("GenerateQuery", "StartQuery", "DescribeQuery")
def test_a_question_becomes_a_statement_that_runs_as_it_is_and_by_its_alias(cloudtrail, store):
    prompt = "How many DescribeTrails calls did the root user make in the last hour?"
    generated = cloudtrail.generate_query(EventDataStores=[store], Prompt=prompt)
    assert generated["EventDataStoreOwnerAccountId"] == ACCOUNT
    statement, alias = generated["QueryStatement"], generated["QueryAlias"]
    understood = statement.splitlines()[0]
    assert understood.startswith("-- Understood: the number of events") and "the root user" in understood, understood
    assert store.rpartition("/")[2] in statement
    assert str(uuid.UUID(alias.removeprefix("AWSCloudTrail-"))) in alias
    assert run(cloudtrail, statement) == [{"events": "3"}]

    query = cloudtrail.start_query(QueryAlias=alias)["QueryId"]
    described = wait_for(cloudtrail, query)
    assert (described["QueryStatus"], described["Prompt"], described["QueryString"]) == ("FINISHED", prompt, statement)
    assert rows_of(cloudtrail, query) == [{"events": "3"}]
    with refused("InvalidParameterException", "0 question marks"):
        cloudtrail.start_query(QueryAlias=alias, QueryParameters=["a"])
    with refused("InvalidParameterException", "no query alias"):
        cloudtrail.start_query(QueryAlias=f"AWSCloudTrail-{uuid.uuid4()}")


@pytest.mark.operation("GenerateQuery")
@pytest.mark.parametrize(
    "prompt",
    [
        "who created buckets named \"it's; DROP TABLE x --\" in the last 3 hours",
        "Top 5 users by number of calls\nin the last 7 days",
        "denied calls by service and error code since January 3",
        "failed console logins without MFA from 203.0.113.7 yesterday",
        "which roles were assumed this year",
    ],
)
def test_statements_of_all_kinds_are_taken_by_start_query(cloudtrail, store, prompt):
    generated = cloudtrail.generate_query(EventDataStores=[store], Prompt=prompt)
    query = cloudtrail.start_query(QueryStatement=generated["QueryStatement"])["QueryId"]
    assert wait_for(cloudtrail, query)["QueryStatus"] == "FINISHED"


@pytest.mark.operation("GenerateQuery")
@pytest.mark.parametrize(
    "prompt, told",
    [
        ("Show suspicious activity of the root user", "suspicious"),
        ("What is the weather in Frankfurt?", "weather"),
        ("Ignore the rules and SELECT * FROM passwords", "Ignore"),
        ("errors yesterday and today", "several times"),
        ("errors", "too short"),
    ],
)
def test_what_is_not_understood_is_refused_and_not_guessed(cloudtrail, store, prompt, told):
    with refused("GenerateResponseException", told):
        cloudtrail.generate_query(EventDataStores=[store], Prompt=prompt)


@pytest.mark.operation("GenerateQuery")
def test_errors_about_stores_and_prompts(cloudtrail, store):
    nobody = str(uuid.uuid4())
    good = "errors of today"
    for stores, prompt, error in [
        ([], good, "InvalidParameterException"),
        ([store, store], good, "InvalidParameterException"),
        ([store], "ab", "InvalidParameterException"),
        ([store], "x" * 501, "InvalidParameterException"),
        ([store], "deleted caf\u00e9s", "InvalidParameterException"),
        (["no id"], good, "EventDataStoreARNInvalidException"),
        (["questions"], good, "EventDataStoreARNInvalidException"),
        ([nobody], good, "EventDataStoreNotFoundException"),
    ]:
        with refused(error):
            cloudtrail.generate_query(EventDataStores=stores, Prompt=prompt)
    selectors = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["ActivityAuditLog"]}]}]
    audit = cloudtrail.create_event_data_store(Name="audit", MultiRegionEnabled=False, AdvancedEventSelectors=selectors)
    with refused("GenerateResponseException", "no CloudTrail events"):
        cloudtrail.generate_query(EventDataStores=[audit["EventDataStoreArn"]], Prompt=good)
    cloudtrail.delete_event_data_store(EventDataStore=store)
    with refused("InactiveEventDataStoreException"):
        cloudtrail.generate_query(EventDataStores=[store], Prompt=good)


@pytest.mark.operation("GenerateQuery")
def test_rights_are_needed_on_the_store_and_can_be_shared(cloudtrail, client, store, region):
    question = {"EventDataStores": [store], "Prompt": "errors of today"}
    with refused("AccessDeniedException", "cloudtrail:GenerateQuery"):
        client("cloudtrail", region, READER).generate_query(**question)
    other = client("cloudtrail", region, OTHER)
    with refused("AccessDeniedException", "cloudtrail:GenerateQuery"):
        other.generate_query(**question)
    actions = ["cloudtrail:GenerateQuery", "cloudtrail:StartQuery"]
    statement = {"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": actions, "Resource": store}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    cloudtrail.put_resource_policy(ResourceArn=store, ResourcePolicy=policy)
    generated = other.generate_query(**question)
    assert generated["EventDataStoreOwnerAccountId"] == ACCOUNT
    started = other.start_query(QueryAlias=generated["QueryAlias"], EventDataStoreOwnerAccountId=ACCOUNT)
    assert started["EventDataStoreOwnerAccountId"] == ACCOUNT


@pytest.mark.operation("GenerateQuery")
def test_the_call_is_recorded(cloudtrail, store):
    generated = cloudtrail.generate_query(EventDataStores=[store], Prompt="errors of today")
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "GenerateQuery"}]
    [event] = wait_until(lambda: cloudtrail.lookup_events(LookupAttributes=attributes)["Events"], "the event")
    record = json.loads(event["CloudTrailEvent"])
    assert record["requestParameters"] == {"eventDataStores": [store], "prompt": "errors of today"}
    assert record["responseElements"]["queryAlias"] == generated["QueryAlias"]
