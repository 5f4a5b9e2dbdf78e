"""`opentrail sql`: the queries of event data stores in the terminal."""

import csv
import io
import json
import signal
import subprocess
import uuid

import pytest
from opentrail_server import Server, binary, record, wait_until

SLOW = "SELECT count(*) FROM mine a, mine b, mine c, mine d WHERE a.eventID || b.eventID || c.eventID || d.eventID = 'x'"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("sql")) as server:
        server.client("cloudtrail").create_event_data_store(Name="mine")
        server.client("cloudtrail").create_event_data_store(Name="another-one.2")
        lines = [json.dumps(record(str(uuid.uuid4()), f"Call{number % 3}")).encode() for number in range(2500)]
        assert server.put_records(b"\n".join(lines))["Accepted"] == 2500
        yield server


def sql(server, *args, statement=None, code=0):
    ran = subprocess.run(
        [binary(), "sql", *args], input=statement, env=server.cli_environment(), capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == code, ran
    return ran


CALLS = "SELECT eventName, count(*) AS calls FROM mine WHERE eventName LIKE 'Call%' GROUP BY eventName ORDER BY eventName"


def test_rows_come_as_a_table_as_json_and_as_csv(server):
    table = sql(server, "--output", "table", CALLS)
    assert [line.split() for line in table.stdout.splitlines()] == [
        ["eventName", "calls"],
        ["Call0", "834"],
        ["Call1", "833"],
        ["Call2", "833"],
    ]
    assert "3 rows; " in table.stderr
    assert json.loads(sql(server, "--output", "json", CALLS).stdout) == [
        {"eventName": f"Call{n}", "calls": calls} for n, calls in enumerate(["834", "833", "833"])
    ]
    every = sql(server, "SELECT eventID, eventName || ',\"' AS name FROM mine WHERE eventName LIKE 'Call%'")
    rows = list(csv.reader(io.StringIO(every.stdout)))
    assert rows[0] == ["eventID", "name"] and len(rows) == 2501, "all pages"
    assert {name for _, name in rows[1:]} == {'Call0,"', 'Call1,"', 'Call2,"'}
    few = sql(server, "--output", "table", "--max-rows", "2", CALLS)
    assert len(few.stdout.splitlines()) == 3 and "There are more rows" in few.stderr


def test_a_statement_comes_from_a_file_or_the_input_and_names_stores_as_people_do(server, tmp_path):
    arn = server.client("cloudtrail").list_event_data_stores()["EventDataStores"]
    arn = next(store["EventDataStoreArn"] for store in arn if store["Name"] == "mine")
    file = tmp_path / "calls.sql"
    file.write_text(CALLS.replace("mine", arn) + ";\n")
    expected = sql(server, CALLS).stdout
    assert sql(server, "--file", file).stdout == expected
    assert sql(server, statement=CALLS.replace("mine", arn.rpartition("/")[2])).stdout == expected
    two = 'SELECT count(*) n FROM "another-one.2" a JOIN mine b ON a.eventID = b.eventID WHERE a.eventName LIKE \'Call%\''
    assert sql(server, two).stdout.splitlines() == ["n", "2500"]


def test_what_is_wrong_is_said(server):
    assert "column 'nothing' cannot be resolved" in sql(server, "SELECT nothing FROM mine", code=3).stderr
    assert "table 'nothing' does not exist" in sql(server, "SELECT 1 FROM nothing", code=3).stderr
    assert "there is no statement" in sql(server, statement=" ;\n", code=3).stderr
    assert "the query failed" in sql(server, "SELECT cast(eventName AS bigint) FROM mine", code=3).stderr


def test_ctrl_c_cancels_the_query(server):
    cloudtrail = server.client("cloudtrail")
    store = cloudtrail.list_event_data_stores()["EventDataStores"]
    store = next(store["EventDataStoreArn"] for store in store if store["Name"] == "mine")
    process = subprocess.Popen(
        [binary(), "sql", SLOW], env=server.cli_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    running = {"EventDataStore": store, "QueryStatus": "RUNNING"}
    wait_until(lambda: cloudtrail.list_queries(**running)["Queries"], "the query to run")
    [query] = cloudtrail.list_queries(**running)["Queries"]
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 3 and "cancelled" in stderr
    assert cloudtrail.describe_query(QueryId=query["QueryId"])["QueryStatus"] == "CANCELLED"
    assert sql(server, CALLS).stdout, "the engine is free again"


def test_a_watched_statement_is_asked_again_until_ctrl_c(server):
    statement = "SELECT count(*) AS n FROM mine WHERE eventName = 'Watched'"
    process = subprocess.Popen(
        [binary(), "sql", "--watch", "1", "--output", "json", statement],
        env=server.cli_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert [process.stdout.readline() for _ in range(3)][1] == '  {"n":"0"}\n'
    assert server.put_records(json.dumps(record(str(uuid.uuid4()), "Watched")).encode())["Accepted"] == 1
    while process.stdout.readline() != '  {"n":"1"}\n':
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
