"""Queries that mean harm: each fails, the server stays small, and meanwhile records are taken and other queries answered."""

import json
import pathlib
import uuid

import pytest
from commands import opentrail_offline
from opentrail_server import Server, record
from results import run, wait_for

CONFIG = """
[queries]
time_limit = "15s"
"""
MILLION = "rpad('x', 1000000, 'y')"
NUMBERS = "UNNEST(sequence(1, 10000))"
# What fails by itself.
BOMBS = [
    f"SELECT length(replace({MILLION}, 'y', {MILLION})) FROM {{0}}",
    f"SELECT regexp_replace(eventName, '.', {MILLION}) FROM {{0}}",
    "SELECT repeat(repeat(repeat(eventName, 10000), 10000), 10000) FROM {0}",
    "SELECT transform(sequence(1, 10000), a -> transform(sequence(1, 10000), b -> eventName)) FROM {0}",
    f"SELECT max(v) FROM (SELECT {MILLION} AS v FROM {{0}}) CROSS JOIN {NUMBERS} AS t(i)",
    f"SELECT length(listagg(rpad(eventName, 1000, 'y'), ',')) FROM {{0}}, {NUMBERS} AS t(i), {NUMBERS} AS u(j)",
    f"SELECT max(c) FROM (SELECT count(*) OVER () AS c FROM {{0}}, {NUMBERS} AS t(i), {NUMBERS} AS u(j))",
    "SELECT regexp_like(eventName, '((x{{1000}}){{1000}}){{1000}}') FROM {0}",
    "SELECT sequence(1, 1000000000) FROM {0}",
]
# What would go on for ever in little memory.
ENDLESS = [
    f"SELECT sum(i * j) FROM {{0}}, {NUMBERS} AS t(i), {NUMBERS} AS u(j), {NUMBERS} AS v(k)",
    "SELECT count(*) FROM {0} a, {0} b, {0} c, {0} d, {0} e WHERE a.eventID || b.eventID || c.eventID || d.eventID = e.eventID",
]
GIB = 1 << 30


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path, CONFIG, ["--log", "warn"]) as server:
        yield server
        if server.process is not None:
            assert server.stop() == 0
        opentrail_offline("fsck", "--data-dir", server.data)


def put(server, count=200):
    ids = [str(uuid.uuid4()) for _ in range(count)]
    lines = [json.dumps(record(i, "Probe")).encode() for i in ids]
    assert server.put_records(b"\n".join(lines))["Accepted"] == count
    return ids


def most_memory(server):
    """The most that the server ever had in memory."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) << 10


def test_hostile_queries_fail_while_others_are_answered(server):
    cloudtrail = server.client("cloudtrail")
    store = cloudtrail.create_event_data_store(Name="asked")["EventDataStoreArn"].rpartition("/")[2]
    ids = put(server)
    # On a slow machine the time is up before the memory is.
    hostile = [(sql, {"FAILED", "TIMED_OUT"}) for sql in BOMBS] + [(sql, {"TIMED_OUT"}) for sql in ENDLESS]
    # Some at a time, as an account may have ten.
    for start in range(0, len(hostile), 4):
        some = hostile[start : start + 4]
        begun = [cloudtrail.start_query(QueryStatement=sql.format(store))["QueryId"] for sql, _ in some]
        ids += put(server)
        found = run(cloudtrail, f"SELECT eventID FROM {store} WHERE eventName = 'Probe'")
        assert sorted(row["eventID"] for row in found) == sorted(ids)
        for query, (sql, ends) in zip(begun, some, strict=True):
            described = wait_for(cloudtrail, query)
            assert described["QueryStatus"] in ends, (sql, described)
    assert most_memory(server) < 3 * GIB


def test_text_that_is_too_much_is_refused(server):
    cloudtrail = server.client("cloudtrail")
    store = cloudtrail.create_event_data_store(Name="asked")["EventDataStoreArn"].rpartition("/")[2]
    for sql in [
        f"SELECT '{'x' * (1 << 20)}' FROM {store}",
        f"SELECT {'(' * 4000}1{')' * 4000} FROM {store}",
        f"SELECT {'any_match(ARRAY[1], x -> ' * 300}true{')' * 300} FROM {store}",
        f"SELECT * FROM {store} WHERE eventName IN ({','.join(['1'] * 20000)})",
    ]:
        with pytest.raises(cloudtrail.exceptions.ClientError) as caught:
            cloudtrail.start_query(QueryStatement=sql)
        refusals = {"InvalidQueryStatementException", "ValidationException", "RequestEntityTooLargeException"}
        assert caught.value.response["Error"]["Code"] in refusals, caught.value
    put(server, 1)
    assert run(cloudtrail, f"SELECT count(*) AS n FROM {store} WHERE eventName = 'Probe'") == [{"n": "1"}]
