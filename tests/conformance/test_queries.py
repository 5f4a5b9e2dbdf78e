"""Queries over event data stores: started, described, read, listed, cancelled, delivered; and the samples."""

import datetime
import json
import time
import uuid

import pytest

from accounts import OTHER, OTHER_ACCOUNT, READER
from errors import refused
from opentrail_server import ACCOUNT, Server
from results import RESULTS_POLICY, objects_of, rows_of, run, table, verify, wait_for

# The eighth power of what it is given: it does not end while a test lasts, and can be cancelled.
FROM = ", ".join(f"{{0}} AS {alias}" for alias in "abcdefgh")
WHERE = " AND ".join(f"{one}.eventID <> {other}.eventID" for one, other in zip("abcdefg", "bcdefgh"))
ENDLESS = f"SELECT count(*) FROM {FROM} WHERE {WHERE}"


@pytest.fixture
def store(cloudtrail):
    """An event data store of the test's Region that has had a few calls to log; its id."""
    arn = cloudtrail.create_event_data_store(Name="asked", MultiRegionEnabled=False, TerminationProtectionEnabled=False)
    arn = arn["EventDataStoreArn"]
    for _ in range(3):
        cloudtrail.describe_trails()
    yield arn.rpartition("/")[2]
    try:
        cloudtrail.delete_event_data_store(EventDataStore=arn)
    except cloudtrail.exceptions.InactiveEventDataStoreException:
        pass


def arn_of(cloudtrail, store):
    return cloudtrail.get_event_data_store(EventDataStore=store)["EventDataStoreArn"]


@pytest.fixture
def results(client, region):
    """A bucket that takes query results of the test's Region."""
    s3, name = client("s3"), f"results-{region}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_policy(Bucket=name, Policy=RESULTS_POLICY.format(bucket=name, account=ACCOUNT, region=region))
    return name


def wait_for_rows(cloudtrail, statement, count):
    deadline = time.monotonic() + 10
    while True:
        rows = run(cloudtrail, statement)
        if len(rows) >= count or time.monotonic() > deadline:
            return rows
        time.sleep(0.05)


@pytest.mark.operation("StartQuery", "DescribeQuery", "GetQueryResults")
def test_a_query_finds_what_was_called(cloudtrail, store):
    statement = f"SELECT eventName, userIdentity.arn, readOnly FROM {store} WHERE eventName = 'DescribeTrails'"
    rows = wait_for_rows(cloudtrail, statement, 3)
    assert rows == [{"eventName": "DescribeTrails", "arn": f"arn:aws:iam::{ACCOUNT}:root", "readOnly": "true"}] * 3
    started = cloudtrail.start_query(QueryStatement=statement)
    assert started["EventDataStoreOwnerAccountId"] == ACCOUNT
    query = started["QueryId"]
    assert str(uuid.UUID(query)) == query
    described = wait_for(cloudtrail, query)
    assert (described["QueryId"], described["QueryString"], described["QueryStatus"]) == (query, statement, "FINISHED")
    assert described["EventDataStoreOwnerAccountId"] == ACCOUNT
    assert not {"ErrorMessage", "DeliveryS3Uri", "DeliveryStatus", "Prompt"} & set(described)
    statistics = described["QueryStatistics"]
    assert 0 <= statistics["EventsMatched"] <= statistics["EventsScanned"] and statistics["EventsScanned"] >= 4, statistics
    assert statistics["ExecutionTimeInMillis"] >= 0 and statistics["BytesScanned"] >= 0
    now = datetime.datetime.now(datetime.timezone.utc)
    assert abs(now - statistics["CreationTime"]) < datetime.timedelta(seconds=60)


@pytest.mark.operation("GetQueryResults")
def test_rows_come_in_pages_and_tokens_belong_to_their_query(cloudtrail, store):
    wait_for_rows(cloudtrail, f"SELECT eventName FROM {store} WHERE eventName = 'DescribeTrails'", 3)
    statement = f"SELECT eventName, eventName FROM {store} WHERE eventName = 'DescribeTrails'"
    queries = [cloudtrail.start_query(QueryStatement=statement)["QueryId"] for _ in range(2)]
    for query in queries:
        wait_for(cloudtrail, query)
    first = cloudtrail.get_query_results(QueryId=queries[0], MaxQueryResults=2)
    assert first["QueryStatus"] == "FINISHED"
    assert first["QueryResultRows"] == [[{"eventName": "DescribeTrails"}, {"eventName": "DescribeTrails"}]] * 2
    assert (first["QueryStatistics"]["ResultsCount"], first["QueryStatistics"]["TotalResultsCount"]) == (2, 3)
    last = cloudtrail.get_query_results(QueryId=queries[0], NextToken=first["NextToken"])
    assert (last["QueryStatistics"]["ResultsCount"], "NextToken" in last) == (1, False)
    assert len(rows_of(cloudtrail, queries[0], MaxQueryResults=1)) == 3
    with refused("InvalidNextTokenException"):
        cloudtrail.get_query_results(QueryId=queries[1], NextToken=first["NextToken"])
    with refused("InvalidNextTokenException"):
        cloudtrail.get_query_results(QueryId=queries[0], NextToken="abcd")
    for number in (0, 1001):
        with refused("InvalidMaxResultsException"):
            cloudtrail.get_query_results(QueryId=queries[0], MaxQueryResults=number)


@pytest.mark.operation("StartQuery")
@pytest.mark.parametrize(
    "request_, error",
    [
        ({}, "InvalidParameterException"),
        ({"QueryStatement": "{good}", "QueryAlias": "alias"}, "InvalidParameterException"),
        ({"QueryStatement": "{good}", "QueryParameters": ["1"]}, "InvalidParameterException"),
        ({"QueryAlias": "unknown"}, "InvalidParameterException"),
        ({"QueryAlias": "1"}, "InvalidParameterException"),
        ({"QueryStatement": "{good}", "EventDataStoreOwnerAccountId": "1234"}, "InvalidParameterException"),
        ({"QueryStatement": ""}, "InvalidQueryStatementException"),
        ({"QueryStatement": "SELECT eventName FROM {store} WHERE eventName = '" + "a" * 10_000 + "'"}, "InvalidQueryStatementException"),
        ({"QueryStatement": "SELECT FROM {store}"}, "InvalidQueryStatementException"),
        ({"QueryStatement": "DROP TABLE {store}"}, "InvalidQueryStatementException"),
        ({"QueryStatement": "SELECT 1"}, "InvalidQueryStatementException"),
        ({"QueryStatement": "SELECT nothing FROM {store}"}, "InvalidQueryStatementException"),
        ({"QueryStatement": "SELECT nothing(eventName) FROM {store}"}, "InvalidQueryStatementException"),
        ({"QueryStatement": "SELECT eventName FROM {store}; SELECT eventName FROM {store}"}, "InvalidQueryStatementException"),
        ({"QueryStatement": "SELECT eventName FROM 11111111-2222-4333-8444-555555555555"}, "EventDataStoreNotFoundException"),
        ({"QueryStatement": "{good}", "DeliveryS3Uri": "results"}, "InvalidParameterException"),
        ({"QueryStatement": "{good}", "DeliveryS3Uri": "s3://UPPER/p"}, "InvalidParameterException"),
        ({"QueryStatement": "{good}", "DeliveryS3Uri": "s3://a..b/p"}, "InvalidS3BucketNameException"),
        ({"QueryStatement": "{good}", "DeliveryS3Uri": "s3://results/a//b"}, "InvalidS3PrefixException"),
        ({"QueryStatement": "{good}", "DeliveryS3Uri": "s3://there-is-no-such-bucket"}, "S3BucketDoesNotExistException"),
    ],
    ids=str,
)
def test_what_start_query_does_not_take(cloudtrail, store, request_, error):
    def fill(value):
        return value.replace("{good}", "SELECT eventName FROM {store}").replace("{store}", store) if isinstance(value, str) else value

    with refused(error):
        cloudtrail.start_query(**{name: fill(value) for name, value in request_.items()})


@pytest.mark.operation("StartQuery")
def test_a_bucket_must_let_cloudtrail_in(cloudtrail, client, store, region, results):
    s3 = client("s3")
    statement = f"SELECT eventName FROM {store}"
    other_region = RESULTS_POLICY.format(bucket=results, account=ACCOUNT, region="other")
    for policy in (None, other_region, RESULTS_POLICY.format(bucket=results, account=OTHER_ACCOUNT, region=region)):
        if policy:
            s3.put_bucket_policy(Bucket=results, Policy=policy)
        else:
            s3.delete_bucket_policy(Bucket=results)
        with refused("InsufficientS3BucketPolicyException", results):
            cloudtrail.start_query(QueryStatement=statement, DeliveryS3Uri=f"s3://{results}")


@pytest.mark.operation("StartQuery", "DescribeQuery")
@pytest.mark.parametrize("prefix", ["", "/", "/a/b", "/a/b/"])
def test_results_are_delivered_and_signed(cloudtrail, client, store, results, prefix):
    statement = f"SELECT eventName, requestParameters, errorCode,\n  'say \"hi\", x' AS quoted\nFROM {store} WHERE eventName = 'DescribeTrails'"
    wait_for_rows(cloudtrail, statement, 3)
    uri = f"s3://{results}{prefix}"
    query = cloudtrail.start_query(QueryStatement=statement, DeliveryS3Uri=uri)["QueryId"]
    described = wait_for(cloudtrail, query)
    assert (described["DeliveryStatus"], described["DeliveryS3Uri"]) == ("SUCCESS", uri), described
    files, place = objects_of(client("s3"), results, query)
    day = described["QueryStatistics"]["CreationTime"].astimezone(datetime.timezone.utc).strftime("%Y/%m/%d")
    beginning = prefix.strip("/") + "/" if prefix.strip("/") else ""
    assert place == f"{beginning}AWSLogs/{ACCOUNT}/CloudTrail-Lake/Query/{day}/{query}"
    assert set(files) == {"result_1.csv.gz", "result_sign.json"}
    sign = verify(cloudtrail, files)
    assert list(sign) == ["version", "region", "files", "hashAlgorithm", "signatureAlgorithm", "queryCompleteTime", "hashSignature", "publicKeyFingerprint"]
    assert (sign["version"], sign["region"]) == ("1.0", cloudtrail.meta.region_name)
    assert len(sign["hashSignature"]) == 512 and len(sign["publicKeyFingerprint"]) == 32
    comment, headings, rows = table(files)
    time_text, _, told = comment.removeprefix("# Execution Time: ").partition(" Query Statement: ")
    datetime.datetime.strptime(time_text, "%Y-%m-%dT%H:%M:%S.%fZ")
    assert told == " ".join(line.strip() for line in statement.splitlines())
    assert headings == ["eventName", "requestParameters", "errorCode", "quoted"]
    assert rows == [list(row.values()) for row in rows_of(cloudtrail, query)]
    assert rows[0][2:] == ["", 'say "hi", x']


@pytest.mark.operation("CancelQuery", "StartQuery", "ListQueries", "GetQueryResults")
def test_queries_are_cancelled_and_ten_are_enough(tmp_path):
    """On a server of its own, of which one query at a time takes a thread."""
    with Server(tmp_path, "[queries]\nrunning = 1") as server:
        cloudtrail = server.client("cloudtrail", parameter_validation=False)
        store = cloudtrail.create_event_data_store(Name="asked")["EventDataStoreArn"].rpartition("/")[2]
        for _ in range(20):
            cloudtrail.describe_trails()
        queries = [cloudtrail.start_query(QueryStatement=ENDLESS.format(store))["QueryId"] for _ in range(10)]
        with refused("MaxConcurrentQueriesException", "10"):
            cloudtrail.start_query(QueryStatement=f"SELECT eventName FROM {store}")
        listed = cloudtrail.list_queries(EventDataStore=store)["Queries"]
        assert {query["QueryId"] for query in listed} == set(queries)
        assert {query["QueryStatus"] for query in listed} <= {"QUEUED", "RUNNING"}
        for status in ("QUEUED", "RUNNING"):
            found = cloudtrail.list_queries(EventDataStore=store, QueryStatus=status)["Queries"]
            assert {query["QueryStatus"] for query in found} <= {status}
        early = cloudtrail.get_query_results(QueryId=queries[0])
        assert early["QueryStatus"] in ("QUEUED", "RUNNING") and early["QueryResultRows"] == []
        for query in reversed(queries):
            cancelled = cloudtrail.cancel_query(QueryId=query)
            assert (cancelled["QueryId"], cancelled["QueryStatus"]) == (query, "CANCELLED")
            assert cancelled["EventDataStoreOwnerAccountId"] == ACCOUNT
            with refused("InactiveQueryException", "CANCELLED"):
                cloudtrail.cancel_query(QueryId=query)
        assert cloudtrail.describe_query(QueryId=queries[3])["QueryStatus"] == "CANCELLED"
        cloudtrail.start_query(QueryStatement=f"SELECT eventName FROM {store}")


@pytest.mark.operation("ListQueries")
def test_queries_are_listed_newest_first_in_pages(cloudtrail, store):
    queries = []
    for _ in range(3):
        queries.insert(0, cloudtrail.start_query(QueryStatement=f"SELECT eventName FROM {store}")["QueryId"])
        wait_for(cloudtrail, queries[0])
        time.sleep(0.01)
    listed = cloudtrail.list_queries(EventDataStore=arn_of(cloudtrail, store))["Queries"]
    assert [query["QueryId"] for query in listed] == queries
    assert all(set(query) == {"QueryId", "QueryStatus", "CreationTime"} for query in listed)
    page = cloudtrail.list_queries(EventDataStore=store, MaxResults=2)
    assert page["Queries"] == listed[:2]
    last = cloudtrail.list_queries(EventDataStore=store, NextToken=page["NextToken"])
    assert (last["Queries"], "NextToken" in last) == (listed[2:], False)
    now = time.time()
    assert cloudtrail.list_queries(EventDataStore=store, StartTime=now + 60)["Queries"] == []
    assert cloudtrail.list_queries(EventDataStore=store, EndTime=now - 3600)["Queries"] == []
    assert len(cloudtrail.list_queries(EventDataStore=store, StartTime=now - 3600, EndTime=now + 60)["Queries"]) == 3
    for more, error in [
        ({"StartTime": now, "EndTime": now - 1}, "InvalidDateRangeException"),
        ({"QueryStatus": "DONE"}, "InvalidQueryStatusException"),
        ({"MaxResults": 1001}, "InvalidMaxResultsException"),
        ({"NextToken": "abcd"}, "InvalidNextTokenException"),
    ]:
        with refused(error):
            cloudtrail.list_queries(EventDataStore=store, **more)


@pytest.mark.operation("DescribeQuery", "GetQueryResults", "CancelQuery", "ListQueries", "StartQuery")
def test_errors_about_queries_and_stores(cloudtrail, store):
    query = cloudtrail.start_query(QueryStatement=f"SELECT eventName FROM {store}")["QueryId"]
    wait_for(cloudtrail, query)
    nobody = str(uuid.uuid4())
    operations = [cloudtrail.describe_query, cloudtrail.get_query_results, cloudtrail.cancel_query]
    for operation in operations:
        with refused("QueryIdNotFoundException", nobody):
            operation(QueryId=nobody)
        with refused("InvalidParameterException"):
            operation(QueryId="short")
        with refused("EventDataStoreNotFoundException"):
            operation(QueryId=query, EventDataStore=nobody)
        with refused("EventDataStoreARNInvalidException"):
            operation(QueryId=query, EventDataStore="no id")
    for more in ({}, {"QueryId": query, "QueryAlias": "a"}, {"QueryId": query, "RefreshId": "1234567890"}):
        with refused("InvalidParameterException"):
            cloudtrail.describe_query(**more)
    with refused("QueryIdNotFoundException", "alias"):
        cloudtrail.describe_query(QueryAlias="unknown")
    assert cloudtrail.describe_query(QueryId=query, EventDataStore=store)["QueryStatus"] == "FINISHED"
    with refused("EventDataStoreNotFoundException"):
        cloudtrail.list_queries(EventDataStore=nobody)
    cloudtrail.delete_event_data_store(EventDataStore=store)
    for operation in operations:
        with refused("InactiveEventDataStoreException"):
            operation(QueryId=query)
    with refused("InactiveEventDataStoreException"):
        cloudtrail.list_queries(EventDataStore=store)
    with refused("InactiveEventDataStoreException"):
        cloudtrail.start_query(QueryStatement=f"SELECT eventName FROM {store}")


@pytest.mark.operation("StartQuery", "DescribeQuery", "GetQueryResults", "CancelQuery", "SearchSampleQueries")
def test_rights_are_needed_on_the_store(cloudtrail, client, store, region):
    reader = client("cloudtrail", region, READER)
    with refused("AccessDeniedException", "cloudtrail:StartQuery"):
        reader.start_query(QueryStatement=f"SELECT eventName FROM {store}")
    query = cloudtrail.start_query(QueryStatement=f"SELECT eventName FROM {store}")["QueryId"]
    assert wait_for(reader, query)["QueryStatus"] == "FINISHED"
    for operation in (reader.get_query_results, reader.cancel_query):
        with refused("AccessDeniedException", arn_of(cloudtrail, store)):
            operation(QueryId=query)
    with refused("AccessDeniedException", "cloudtrail:SearchSampleQueries"):
        reader.search_sample_queries(SearchPhrase="users")


@pytest.mark.operation("StartQuery", "DescribeQuery", "GetQueryResults", "CancelQuery", "ListQueries")
def test_a_shared_store_is_queried_from_another_account(cloudtrail, client, store, region):
    other, arn = client("cloudtrail", region, OTHER), arn_of(cloudtrail, store)
    request = {"QueryStatement": f"SELECT eventName FROM {store}", "EventDataStoreOwnerAccountId": ACCOUNT}
    with refused("AccessDeniedException", "StartQuery"):
        other.start_query(**request)
    actions = ["StartQuery", "DescribeQuery", "GetQueryResults", "ListQueries", "CancelQuery"]
    statement = {"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": [f"cloudtrail:{action}" for action in actions], "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    cloudtrail.put_resource_policy(ResourceArn=arn, ResourcePolicy=policy)
    started = other.start_query(**request)
    assert started["EventDataStoreOwnerAccountId"] == ACCOUNT
    query = {"QueryId": started["QueryId"], "EventDataStoreOwnerAccountId": ACCOUNT}
    assert wait_for(other, **{"query": started["QueryId"], "EventDataStoreOwnerAccountId": ACCOUNT})["QueryStatus"] == "FINISHED"
    assert other.get_query_results(**query)["QueryStatus"] == "FINISHED"
    assert [listed["QueryId"] for listed in other.list_queries(EventDataStore=arn)["Queries"]] == [started["QueryId"]]
    with refused("InactiveQueryException"):
        other.cancel_query(**query)
    with refused("QueryIdNotFoundException"):
        other.describe_query(QueryId=started["QueryId"])


@pytest.mark.operation("StartQuery", "GetQueryResults")
def test_calls_of_queries_are_events_themselves(cloudtrail, store):
    statement = f"SELECT eventName FROM {store}"
    query = cloudtrail.start_query(QueryStatement=statement)["QueryId"]
    wait_for(cloudtrail, query)
    cloudtrail.get_query_results(QueryId=query)

    def of(name):
        asked = f"SELECT eventJson FROM {store} WHERE eventName = '{name}' ORDER BY eventTime"
        return [json.loads(row["eventJson"]) for row in wait_for_rows(cloudtrail, asked, 1)]

    started = of("StartQuery")[0]
    assert started["requestParameters"] == {"queryStatement": statement}
    assert started["responseElements"] == {"queryId": query, "eventDataStoreOwnerAccountId": ACCOUNT}
    assert of("GetQueryResults")[0]["requestParameters"]["queryId"] == query
    assert of("GetQueryResults")[0]["readOnly"] is True


@pytest.mark.operation("SearchSampleQueries")
def test_samples_are_found_and_run(cloudtrail, store):
    found = cloudtrail.search_sample_queries(SearchPhrase="Who deleted S3 buckets?")["SearchResults"]
    assert len(found) <= 10 and "Deleted S3 buckets" in [sample["Name"] for sample in found[:2]]
    assert all(set(sample) == {"Name", "Description", "SQL", "Relevance"} for sample in found)
    relevance = [sample["Relevance"] for sample in found]
    assert relevance == sorted(relevance, reverse=True) and 0 < relevance[-1] <= relevance[0] <= 1
    page = cloudtrail.search_sample_queries(SearchPhrase="Who deleted S3 buckets?", MaxResults=2)
    assert page["SearchResults"] == found[:2]
    rest = cloudtrail.search_sample_queries(SearchPhrase="Who deleted S3 buckets?", MaxResults=50, NextToken=page["NextToken"])
    assert rest["SearchResults"][:1] == found[2:3]
    for request in ({"SearchPhrase": "a"}, {"SearchPhrase": "naïve"}, {"SearchPhrase": "users", "MaxResults": 51}, {"SearchPhrase": "users", "NextToken": "abcd"}, {}):
        with refused("InvalidParameterException"):
            cloudtrail.search_sample_queries(**request)
    for sample in found[:3]:
        run(cloudtrail, sample["SQL"].replace("$EDS_ID", store))
