"""An event data store: filled by an import, asked in SQL, beside DuckDB and ClickHouse (chdb) on the same files."""

import contextlib
import gzip
import json
import math
import multiprocessing
import os
import pathlib
import re
import subprocess
import threading
import time
import uuid

import duckdb
from deltalake import DeltaTable
from tools import BENCH, ROOT, bench, cpu_seconds, percentile, reset_peak, say, tell_memory, title

from importing import make_role, source
from opentrail_server import ACCOUNT, REGION, Server, record

BUCKET = "lake-source"
SEED = 7
MANAGEMENT = {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
OBJECTS = {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]},
                              {"Field": "resources.type", "Equals": ["AWS::S3::Object"]}]}  # fmt: skip
# As many as a busy account's files have.
RECORDS_IN_FILE = 2000
COLUMNS = re.compile(
    r"\b(eventName|eventSource|eventTime|eventID|errorCode|readOnly|awsRegion|sourceIPAddress|userIdentity|userName|userAgent)\b"
)
# What each engine is asked, in its own words: `{t}` is the table, `{week}` a week ago, `{id}` an event's ID.
QUERIES = {
    "calls by name": ("SELECT eventName, count(*) AS n FROM {t} GROUP BY eventName ORDER BY n DESC",) * 3,
    "callers of a service in a week": (
        "SELECT userIdentity.arn AS arn, count(*) AS n FROM {t} WHERE eventSource = 's3.amazonaws.com' "
        "AND eventTime > '{week}' GROUP BY userIdentity.arn ORDER BY n DESC LIMIT 20",
        "SELECT userIdentity.arn AS arn, count(*) AS n FROM {t} WHERE eventSource = 's3.amazonaws.com' "
        "AND eventTime > '{week}+00' GROUP BY ALL ORDER BY n DESC LIMIT 20",
        "SELECT useridentity.arn AS arn, count(*) AS n FROM {t} WHERE eventsource = 's3.amazonaws.com' "
        "AND eventtime > toDateTime64('{week}', 6, 'UTC') GROUP BY arn ORDER BY n DESC LIMIT 20",
    ),
    "errors": (
        "SELECT errorCode, eventName, count(*) AS n FROM {t} WHERE errorCode IS NOT NULL "
        "GROUP BY errorCode, eventName ORDER BY n DESC LIMIT 100",
    ) * 3,
    "calls per day": (
        "SELECT date_trunc('day', eventTime) AS d, count(*) AS n FROM {t} GROUP BY date_trunc('day', eventTime) ORDER BY d",
        "SELECT date_trunc('day', eventTime) AS d, count(*) AS n FROM {t} GROUP BY ALL ORDER BY d",
        "SELECT toStartOfDay(eventtime) AS d, count(*) AS n FROM {t} GROUP BY d ORDER BY d",
    ),
    "addresses of each user": (
        "SELECT userIdentity.userName AS u, count(DISTINCT sourceIPAddress) AS n FROM {t} "
        "GROUP BY userIdentity.userName ORDER BY n DESC LIMIT 20",
        "SELECT userIdentity.userName AS u, count(DISTINCT sourceIPAddress) AS n FROM {t} GROUP BY ALL ORDER BY n DESC LIMIT 20",
        "SELECT useridentity.username AS u, uniqExact(sourceipaddress) AS n FROM {t} GROUP BY u ORDER BY n DESC LIMIT 20",
    ),
    "one event": ("SELECT eventTime, eventName, sourceIPAddress FROM {t} WHERE eventID = '{id}'",) * 3,
    "latest writes": (
        "SELECT eventTime, eventName, userIdentity.arn FROM {t} WHERE readOnly = false ORDER BY eventTime DESC LIMIT 50",
    ) * 3,
    "writes by service": (
        "SELECT eventSource, awsRegion, count(*) AS n FROM {t} WHERE readOnly = false GROUP BY eventSource, awsRegion ORDER BY n DESC",
    ) * 3,
    "a parameter's values": (
        "SELECT element_at(requestParameters, 'bucketName') AS b, count(*) AS n FROM {t} WHERE eventName = 'PutBucketPolicy' "
        "GROUP BY element_at(requestParameters, 'bucketName') ORDER BY n DESC LIMIT 20",
        "SELECT requestParameters['bucketName'] AS b, count(*) AS n FROM {t} WHERE eventName = 'PutBucketPolicy' "
        "GROUP BY ALL ORDER BY n DESC LIMIT 20",
        "SELECT requestparameters['bucketName'] AS b, count(*) AS n FROM {t} WHERE eventname = 'PutBucketPolicy' "
        "GROUP BY b ORDER BY n DESC LIMIT 20",
    ),
    "a tool by its name": (
        "SELECT userIdentity.arn AS arn, count(*) AS n FROM {t} WHERE userAgent LIKE '%Terraform%' "
        "GROUP BY userIdentity.arn ORDER BY n DESC LIMIT 20",
        "SELECT userIdentity.arn AS arn, count(*) AS n FROM {t} WHERE userAgent LIKE '%Terraform%' "
        "GROUP BY ALL ORDER BY n DESC LIMIT 20",
        "SELECT useridentity.arn AS arn, count(*) AS n FROM {t} WHERE useragent LIKE '%Terraform%' "
        "GROUP BY arn ORDER BY n DESC LIMIT 20",
    ),
}  # fmt: skip


def lake(work, args):
    """An import of log files, statements over what it made, and what both cost others."""
    title(f"Event data store, {args.lake:,} events")
    with Server(work / "lake", '[journal]\nhold_back = "10s"\n') as server:
        cloudtrail = server.client("cloudtrail")
        files, packed = make_log_files(server, args.lake)
        say(f"source: {files} log files, {packed / 1e6:.1f} MB, {packed / args.lake:.1f} bytes per event")
        # What the bench itself calls stays out, until that is wanted.
        arn = cloudtrail.create_event_data_store(Name="bench", AdvancedEventSelectors=[OBJECTS])["EventDataStoreArn"]
        store = arn.rpartition("/")[2]
        run_import(server, cloudtrail, arn, args.lake)
        compare_readers(server, work)
        table = settled(server, store, args.settle)
        size = sum(pathlib.Path(path).stat().st_size for path in table)
        say(f"on disk: {len(table)} Parquet files, {size / 1e6:.1f} MB, {size / args.lake:.1f} bytes per event, "
            f"raw record included: {size / packed:.2f} of the log files")
        shown = work / "table"
        shown.mkdir()
        for number, path in enumerate(table):
            os.link(path, shown / f"{number}.parquet")
        compare_engines(server, store, f"{shown}/*.parquet", max(args.rounds, 3))
        tell_memory("after the statements", server)
        cloudtrail.update_event_data_store(EventDataStore=arn, AdvancedEventSelectors=[MANAGEMENT])
        freshness(server, store)
        beside_lookups(server, store, args.samples)


def pack(lines, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(b'{"Records":[' + b",".join(lines) + b"]}", 6))
    return path.stat().st_size


def make_log_files(server, count):
    """Log files at CloudTrail's keys in a bucket of the embedded store, which takes files placed by hand for objects."""
    server.client("s3").create_bucket(Bucket=BUCKET)
    make_role(server.client("iam"), BUCKET)
    root = server.data / "objects" / BUCKET / "AWSLogs" / ACCOUNT / "CloudTrail" / REGION
    made = subprocess.Popen([BENCH, "records", "--count", str(count), "--seed", str(SEED), "--days", "89"], stdout=subprocess.PIPE)
    with multiprocessing.Pool() as pool:
        sizes, lines, day = [], [], None

        def flush():
            if lines:
                name = f"{ACCOUNT}_CloudTrail_{REGION}_{day.replace('/', '')}T0000Z_{len(sizes):016}.json.gz"
                sizes.append(pool.apply_async(pack, (list(lines), root / day / name)))
                lines.clear()

        for line in made.stdout:
            at = line.index(b'"eventTime":"') + 13
            now = line[at:at + 10].decode().replace("-", "/")
            if now != day or len(lines) == RECORDS_IN_FILE:
                flush()
                day = now
                if len(sizes) % 64 == 63:
                    sizes[-32].wait()
            lines.append(line.rstrip())
        flush()
        total = sum(size.get() for size in sizes)
    assert made.wait() == 0
    return len(sizes), total


def run_import(server, cloudtrail, arn, count):
    pid = server.process.pid
    reset_peak(pid)
    cpu, begun = cpu_seconds(pid), time.monotonic()
    started = cloudtrail.start_import(Destinations=[arn], ImportSource=source(BUCKET))["ImportId"]
    while (found := cloudtrail.get_import(ImportId=started))["ImportStatus"] in ("INITIALIZING", "IN_PROGRESS"):
        time.sleep(0.1)
    took = time.monotonic() - begun
    assert found["ImportStatus"] == "COMPLETED" and found["ImportStatistics"]["EventsCompleted"] == count, found
    say(f"import: {count} events in {took:.1f} s, {count / took:.0f} records/s; CPU of the server {cpu_seconds(pid) - cpu:.1f} s")
    tell_memory("after the import", server)


def compare_readers(server, work):
    """DuckDB makes one Parquet file of the same log files, with the columns that it finds itself."""
    files = f"{server.data}/objects/{BUCKET}/**/*.json.gz"
    begun = time.monotonic()
    database = duckdb.connect()
    target = work / "duckdb.parquet"
    database.execute(
        f"COPY (SELECT unnest(Records, recursive := false) FROM read_json('{files}', maximum_object_size = 268435456)) "
        f"TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
    )
    [(rows,)] = database.execute(f"SELECT count(*) FROM '{target}'").fetchall()
    took = time.monotonic() - begun
    say(f"DuckDB {duckdb.__version__}: the same files as one Parquet file, {rows} events in {took:.1f} s, {rows / took:.0f} records/s; "
        f"{target.stat().st_size / 1e6:.1f} MB")
    target.unlink()


def settled(server, store, at_most):
    """The table's files, once merging has ended."""
    def files():
        return DeltaTable(str(server.data / "tables/stores" / store)).file_uris()

    deadline, last, since = time.monotonic() + at_most, None, time.monotonic()
    while time.monotonic() < deadline:
        now = sorted(files())
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() - since > 45:
            break
        time.sleep(1)
    return [path.removeprefix("file://") for path in last]


class OpenTrail:
    name = "OpenTrail"

    def __init__(self, server, store):
        self.cloudtrail, self.store = server.client("cloudtrail"), store

    def ask(self, statement):
        """The query, and how many rows it has."""
        query = self.cloudtrail.start_query(QueryStatement=statement.format_map({"t": self.store}))["QueryId"]
        while True:
            # Who asks takes a processor, too.
            time.sleep(0.02)
            answer = self.cloudtrail.get_query_results(QueryId=query)
            if answer["QueryStatus"] not in ("QUEUED", "RUNNING"):
                assert answer["QueryStatus"] == "FINISHED", answer
                return query, len(answer["QueryResultRows"])

    def compared(self, statement):
        """How many rows there are, how long it took to make them, as DescribeQuery says, and how long until they were here."""
        begun = time.monotonic()
        query, rows = self.ask(statement)
        whole = time.monotonic() - begun
        took = self.cloudtrail.describe_query(QueryId=query)["QueryStatistics"]["ExecutionTimeInMillis"]
        return rows, took / 1000, whole


class DuckDb:
    name = "DuckDB"

    def __init__(self, files):
        self.database = duckdb.connect()
        self.database.execute("SET TimeZone = 'UTC'")
        self.table = f"read_parquet('{files}')"

    def compared(self, statement):
        begun = time.monotonic()
        rows = self.database.sql(statement.format_map({"t": self.table})).to_arrow_table().num_rows
        return rows, time.monotonic() - begun, None


class ClickHouse:
    """In a process of its own, in whose environment chdb is."""

    name = "ClickHouse"

    def __init__(self, files):
        program = [os.environ["CHDB_PYTHON"], str(ROOT / "bench/clickhouse.py")]
        self.process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.table = f"file('{files}', Parquet)"

    def compared(self, statement):
        begun = time.monotonic()
        # It minds the case of names.
        statement = COLUMNS.sub(lambda name: name[0].lower(), statement)
        self.process.stdin.write(json.dumps(statement.format_map({"t": self.table})) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer
        return answer["rows"], time.monotonic() - begun, None


def compare_engines(server, store, files, rounds):
    engines = [OpenTrail(server, store), DuckDb(files)]
    if os.environ.get("CHDB_PYTHON"):
        engines.append(ClickHouse(files))
    else:
        say("skipped: ClickHouse (no CHDB_PYTHON; scripts/bench sets it)")
    week = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - 7 * 86_400))
    [(event,)] = duckdb.sql(f"SELECT eventid FROM '{files}' LIMIT 1").fetchall()
    columns = "".join(f"{engine.name + ' ms':>16}" for engine in engines)
    say(f"{'statement':<34}{columns}{'by the API ms':>16}   best of {rounds}")
    ratios = []
    for name, texts in QUERIES.items():
        times, rows, asked = [], [], math.inf
        for engine, text in zip(engines, texts, strict=False):
            statement = text.replace("{week}", week).replace("{id}", event)
            best = math.inf
            for _ in range(rounds):
                found, took, whole = engine.compared(statement)
                best, asked = min(best, took), min(asked, whole or math.inf)
            times.append(best)
            rows.append(found)
        assert len(set(rows)) == 1, f"{name}: the engines differ: {rows} rows"
        ratios.append(min(times[1:]) / times[0])
        say(f"{name:<34}" + "".join(f"{seconds * 1000:>16.1f}" for seconds in [*times, asked]))
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    say(f"geometric mean: the better of the others takes {mean:.2f} times what OpenTrail takes (from its turn to durable rows)")


def freshness(server, store):
    """From the acknowledgement of a record until a statement finds it, while 20,000 records/s come in."""
    engine, lags = OpenTrail(server, store), []
    load = threading.Thread(target=lambda: bench("put", "--batch", 500, "--writers", 4, "--rate", 20000, "--count", 600_000,
                                                 "--seed", 99, server=server))
    load.start()
    while load.is_alive():
        event = str(uuid.uuid4())
        server.put_records(json.dumps(record(event)).encode())
        acknowledged = time.monotonic()
        while engine.ask(f"SELECT eventID FROM {{t}} WHERE eventID = '{event}' AND eventTime > '2000-01-01'")[1] == 0:
            pass
        lags.append(time.monotonic() - acknowledged)
    load.join()
    say(f"ack to queryable under 20,000 records/s: p50 {percentile(lags, 50) * 1000:.0f} ms, p99 {percentile(lags, 99) * 1000:.0f} ms, "
        f"{len(lags)} samples, the statement that finds it included")


def beside_lookups(server, store, samples):
    """LookupEvents alone, then while statements run one after the other."""
    say("LookupEvents alone:")
    bench("lookup", "--count", 600_000, "--seed", 99, "--samples", samples, server=server)
    over = threading.Event()

    def ask_on():
        engine = OpenTrail(server, store)
        while not over.is_set():
            for texts in list(QUERIES.values())[:5]:
                with contextlib.suppress(KeyError):
                    engine.ask(texts[0].replace("{week}", "2020-01-01 00:00:00"))

    asking = threading.Thread(target=ask_on)
    asking.start()
    say("LookupEvents while statements run:")
    try:
        bench("lookup", "--count", 600_000, "--seed", 99, "--samples", samples, server=server)
    finally:
        over.set()
        asking.join()
