"""What the parts of the benches share."""

import datetime
import os
import pathlib
import re
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

BENCH = os.environ["OPENTRAIL_BENCH_BIN"]


def say(text=""):
    print(text, flush=True)


def title(text):
    say(f"\n## {text}  (load {os.getloadavg()[0]:.2f}, {datetime.datetime.now(datetime.UTC):%H:%M:%S})")


def bench(*arguments, server=None):
    """Runs the bench program; its lines go out as they come."""
    environment = {**os.environ, **(credentials(server) if server else {})}
    subprocess.run([BENCH, *map(str, arguments)], check=True, env=environment)


def credentials(server):
    return {"AWS_ENDPOINT_URL": server.endpoint, "AWS_SHARED_CREDENTIALS_FILE": str(server.data / "credentials")}


def memory(pid):
    """Resident memory now and at its highest, in MB."""
    status = open(f"/proc/{pid}/status").read()
    return [int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1000 for name in ("VmRSS", "VmHWM")]


def cpu_seconds(pid):
    """CPU time of the process so far, user and system."""
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def reset_peak(pid):
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def tell_memory(what, server):
    now, peak = memory(server.process.pid)
    say(f"memory {what}: {now:.0f} MB now, {peak:.0f} MB at the highest")


def percentile(values, percent):
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def stop(process, how=signal.SIGTERM):
    process.send_signal(how)
    process.wait(60)
