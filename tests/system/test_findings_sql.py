"""`opentrail sql` over the table `findings`: what Sigma rules found in the caller's account, and nobody else's."""

import json
import uuid

import pytest
from commands import opentrail
from opentrail_server import Server, record, wait_until

OTHER = "444455556666"
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
CONFIG = f"""
[[account]]
id = "{OTHER}"
[[account.user]]
name = "reader"
policies = ['''{json.dumps(ANYTHING)}''']
[[account.user.access_key]]
id = "AKIAOTHERREADER00001"
secret = "other-reader-secret"
"""
OTHER_KEY = ("AKIAOTHERREADER00001", "other-reader-secret")
NUMBER = 1203


def rule(name, level):
    return {"title": f"title of {name}", "id": name, "level": level, "tags": ["attack.t1136", "attack.persistence"],
            "logsource": {"product": "aws", "service": "cloudtrail"},
            "detection": {"s": {"eventName": name}, "condition": "s"}}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("findings"), CONFIG) as server:
        rules = [rule("Rare", "critical"), rule("Common", "low"),
                 {"title": "many", "id": "many", "level": "medium",
                  "correlation": {"type": "event_count", "rules": ["Rare"], "group-by": ["sourceIPAddress"], "timespan": "10m",
                                  "condition": {"gte": 3}, "generate": True}}]  # fmt: skip
        files = [{"Name": f"{number}.yml", "Text": json.dumps(one)} for number, one in enumerate(rules)]
        answer = server.post("/v1/sigma/load", json.dumps({"Files": files}).encode())
        assert not answer["Refused"], answer
        names = ["Common"] * (NUMBER - 3) + ["Rare"] * 3
        lines = [json.dumps(record(str(uuid.uuid4()), name)).encode() for name in names]
        assert server.put_records(b"\n".join(lines))["Accepted"] == NUMBER
        wait_until(lambda: json.loads(sql(server, "SELECT count(*) AS n FROM findings"))[0]["n"] == str(NUMBER + 1), "all findings")
        yield server


def sql(server, statement, **more):
    return opentrail(server, "sql", "--output", "json", statement, **more)


def listed(server):
    found, token = [], None
    while True:
        given = {"MaxResults": 1000} | ({"NextToken": token} if token else {})
        page = server.post("/v1/sigma/findings", json.dumps(given).encode())
        found += page["Findings"]
        token = page.get("NextToken")
        if not token:
            return found


def test_the_table_has_what_the_api_lists(server):
    rows = [{name.lower(): value for name, value in row.items()} for row in json.loads(sql(server, "SELECT * FROM findings"))]
    api = {finding["FindingId"]: finding for finding in listed(server)}
    assert len(rows) == len(api) == NUMBER + 1
    for row in rows:
        finding = api[row["findingid"]]
        assert [row["ruleid"], row["ruletitle"], row["rulelevel"]] == [finding["Rule"][part] for part in ("Id", "Title", "Level")]
        assert (row["account"], row["region"], row["eventid"]) == (finding["Account"], finding["Region"], finding["EventId"])
        assert json.loads(row["record"]) == finding["Record"]
        assert row["time"][:19].replace(" ", "T") == finding["Time"][:19] and row["foundat"][:19].replace(" ", "T") == finding["FoundAt"][:19]
        if correlation := finding.get("Correlation"):
            assert json.loads(row["correlationgroup"]) == {pair["Field"]: pair["Value"] for pair in correlation["Group"]}
            assert row["correlationcount"] == str(correlation["Count"])


def test_statements_count_filter_join_and_look_into_records(server):
    counts = json.loads(sql(server, "SELECT ruleTitle, count(*) AS times FROM findings GROUP BY 1 ORDER BY 2 DESC, 1"))
    assert counts == [{"ruleTitle": "title of Common", "times": str(NUMBER - 3)}, {"ruleTitle": "title of Rare", "times": "3"},
                      {"ruleTitle": "many", "times": "1"}]  # fmt: skip
    tagged = "SELECT count(*) AS n FROM Findings f WHERE contains(f.ruleTags, 'attack.t1136') AND f.ruleLevel = 'critical'"
    assert json.loads(sql(server, tagged)) == [{"n": "3"}]
    names = "SELECT DISTINCT json_extract_scalar(record, '$.eventName') AS name FROM findings WHERE ruleId = 'Rare'"
    assert json.loads(sql(server, names)) == [{"name": "Rare"}]
    joined = "SELECT count(*) AS n FROM findings a JOIN findings b ON a.eventId = b.eventId WHERE a.ruleId <> b.ruleId"
    assert json.loads(sql(server, joined))[0]["n"] in {"0", "2"}  # the correlation's event is one of the three
    assert json.loads(sql(server, "WITH findings AS (SELECT 7 AS x) SELECT x FROM findings")) == [{"x": "7"}]
    recent = "SELECT count(*) AS n FROM findings WHERE time > timestamp '2020-01-01 00:00:00' AND foundAt > time - interval '1' day"
    assert json.loads(sql(server, recent)) == [{"n": str(NUMBER + 1)}]


def test_another_account_has_a_table_of_its_own(server):
    ask = lambda **more: server.post("/v1/sigma/query", json.dumps(more).encode(), key=OTHER_KEY)
    assert ask(Statement="SELECT count(*) AS n FROM findings") == {"Columns": ["n"], "Rows": [["0"]], "IsCut": False}
    owner = server.post("/v1/sigma/query", json.dumps({"Statement": "SELECT DISTINCT account FROM findings"}).encode())["Rows"][0][0]
    said = opentrail(server, "sql", "--owner", OTHER, "SELECT 1 AS one FROM findings", code=None, errors_too=True)
    assert "not authorized to see the findings" in said
    assert owner != OTHER


@pytest.mark.parametrize("statement, says", [
    ("SELECT nothing FROM findings", "nothing"),
    ("DELETE FROM findings", "DELETE"),
    ("SELECT 1 FROM findings, mine", "mine"),
    ("SELECT 1 FROM findings; SELECT 2 FROM findings", "more than one statement"),
])  # fmt: skip
def test_a_wrong_statement_is_refused_with_words(server, statement, says):
    said = opentrail(server, "sql", statement, code=None, errors_too=True)
    assert says in said and "QueryFindings failed" in said


def test_an_answer_is_bounded_and_says_so(server):
    answer = server.post("/v1/sigma/query", json.dumps({"Statement": "SELECT a.eventId FROM findings a, findings b"}).encode())
    assert len(answer["Rows"]) == 10_000 and answer["IsCut"]


def test_the_call_is_recorded(server):
    sql(server, "SELECT count(*) AS marked FROM findings")
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "QueryFindings"}]
    look = lambda: server.client("cloudtrail").lookup_events(LookupAttributes=attributes)["Events"]
    found = wait_until(lambda: [event for event in look() if "marked" in event["CloudTrailEvent"]], "the record")
    event = json.loads(found[0]["CloudTrailEvent"])
    assert event["requestParameters"]["statement"] == "SELECT count(*) AS marked FROM findings" and event["readOnly"]
