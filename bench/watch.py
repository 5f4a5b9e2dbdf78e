"""The part `watch`: a trail's log group with hundreds of metric filters, and as many rules, while records come in."""

import collections
import json
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.request

from tools import BENCH, cpu_seconds, credentials, reset_peak, say, tell_memory, title

from opentrail_server import ACCOUNT, REGION, Server, wait_until

GROUP, BUS_TARGETS = "trail", 5
# Operations that the bench's records have; filters and rules that name one of them match some.
SEEN = ["PutBucketPolicy", "TerminateInstances", "CreateUser", "AttachRolePolicy", "UpdateTable"]
SERVICES = ["s3", "ec2", "iam", "kms", "sts", "lambda", "dynamodb", "rds", "logs", "config"]


def filters(number):
    """Patterns as baselines have them: most are about what never comes, one in fifty about what does."""
    for n in range(number):
        service, kind = SERVICES[n % len(SERVICES)], n % 5
        if n % 50 == 0:
            yield f"{{ $.eventName = {SEEN[n // 50 % len(SEEN)]} && $.userIdentity.sessionContext.sessionIssuer.userName = auditor }}"
        elif kind == 0:
            names = " || ".join(f"($.eventName = {verb}Thing{n})" for verb in ("Create", "Delete", "Update", "Attach", "Detach"))
            yield f"{{ ($.eventSource = {service}.amazonaws.com) && ({names}) }}"
        elif kind == 1:
            yield f'{{ ($.errorCode = "*UnauthorizedOperation") && ($.recipientAccountId = "2222{n:08}") }}'
        elif kind == 2:
            yield f'{{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS && $.awsRegion = "region-{n}" }}'
        elif kind == 3:
            yield f'{{ ($.eventName = ConsoleLogin) && ($.additionalEventData.MFAUsed != "Yes") && ($.sourceIPAddress = "203.0.{n % 200}.*") }}'
        else:
            yield f'{{ ($.userIdentity.arn = "*:assumed-role/role-{n}/*") && ($.readOnly IS FALSE) }}'


def rules(number):
    """Event patterns, most of which take nothing; the first few take something and have a target."""
    for n in range(number):
        service, kind = SERVICES[n % len(SERVICES)], n % 5
        if n < BUS_TARGETS:
            detail = {"eventName": [SEEN[n]], "userIdentity": {"principalId": [{"wildcard": "*:visitor-*"}]}}
        elif kind == 0:
            detail = {"eventSource": [f"{service}.amazonaws.com"], "eventName": [f"{verb}Thing{n}" for verb in ("Create", "Delete", "Update")]}
        elif kind == 1:
            detail = {"eventName": [{"prefix": f"Delete{n}"}], "errorCode": [{"exists": False}]}
        elif kind == 2:
            detail = {"userIdentity": {"type": ["Root"], "accountId": [f"2222{n:08}"]}}
        elif kind == 3:
            detail = {"eventName": ["ConsoleLogin"], "sourceIPAddress": [{"cidr": f"203.0.{n % 200}.0/24"}]}
        else:
            detail = {"requestParameters": {"bucketName": [{"wildcard": f"*logs-{n}*"}]}, "eventName": [{"anything-but": ["GetObject"]}]}
        yield {"detail-type": ["AWS API Call via CloudTrail"], "detail": detail}


def set_up(server, args):
    logs, iam, events = server.client("logs"), server.client("iam"), server.client("events")
    logs.create_log_group(logGroupName=GROUP)
    allow = lambda **statement: json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})  # noqa: E731
    trust = allow(Action="sts:AssumeRole", Principal={"Service": "cloudtrail.amazonaws.com"})
    role = iam.create_role(RoleName="logs", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="logs", PolicyName="logs", PolicyDocument=allow(Action="logs:*", Resource="*"))
    for n, pattern in enumerate(filters(args.watch)):
        # The last one takes every record that is put, and none of the calls that do it: its sum says how far filters are.
        is_last = n + 1 == args.watch
        pattern = '{ $.userIdentity.sessionContext.sessionIssuer.userName = "*" }' if is_last else pattern
        metric = {"metricNamespace": "Bench", "metricName": "All" if is_last else f"m{n}", "metricValue": "1"}
        logs.put_metric_filter(logGroupName=GROUP, filterName=f"f{n}", filterPattern=pattern, metricTransformations=[metric])
    logs.create_log_group(logGroupName="targets")
    principals = {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]}
    targets = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:targets"
    statement = allow(Principal=principals, Action=["logs:CreateLogStream", "logs:PutLogEvents"], Resource=f"{targets}:*")
    logs.put_resource_policy(policyName="rules", policyDocument=statement)
    for n, pattern in enumerate(rules(args.watch)):
        # Records that only read go to rules in this state.
        events.put_rule(Name=f"r{n}", EventPattern=json.dumps(pattern), State="ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")
        if n < BUS_TARGETS:
            added = events.put_targets(Rule=f"r{n}", Targets=[{"Id": "group", "Arn": targets}])
            assert not added["FailedEntryCount"], added
    server.make_log_bucket()
    trails = server.client("cloudtrail")
    trails.create_trail(Name="main", S3BucketName="trail-logs", IsMultiRegionTrail=True,
                        CloudWatchLogsLogGroupArn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}:*", CloudWatchLogsRoleArn=role)  # fmt: skip
    trails.start_logging(Name="main")


def counted(server):
    """How many events the filter that takes all has counted."""
    found = server.client("cloudwatch").get_metric_statistics(
        Namespace="Bench", MetricName="All", Statistics=["Sum"], Period=3600, StartTime=time.time() - 7200, EndTime=time.time() + 3600)
    return sum(point["Sum"] for point in found["Datapoints"])


def behind(server):
    """Entries of the journal that each projection has not taken in; chunks that filters have not."""
    text = urllib.request.urlopen(f"{server.endpoint}/metrics", timeout=10).read().decode()
    found = {name.split("/")[0]: float(value) for name, value in
             re.findall(r'^opentrail_projection_behind_entries\{projection="([^"]*)"\} (\S+)', text, re.M)}  # fmt: skip
    chunks = re.search(r"^opentrail_logs_metric_filters_behind_chunks (\S+)", text, re.M)
    pending = re.search(r"^opentrail_events_pending_invocations (\S+)", text, re.M)
    tail = re.search(r"^opentrail_journal_tail_position (\S+)", text, re.M)
    number = lambda found: float(found[1]) if found else 0.0  # noqa: E731
    return found | {"filters (chunks)": number(chunks), "invocations": number(pending), "tail": number(tail)}


class Sampler(threading.Thread):
    """Looks every second at how far everything is."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.samples, self.ended = server, [], threading.Event()
        self.begun, self.cpu = time.monotonic(), cpu_seconds(server.process.pid)

    def run(self):
        while not self.ended.wait(1):
            at, cpu = time.monotonic() - self.begun, cpu_seconds(self.server.process.pid)
            self.samples.append((at, cpu - self.cpu, behind(self.server)))

    def tell(self, rate):
        names = [name for name in ["history", "log-group", "events", "sigma"] if any(name in look for _, _, look in self.samples)]
        say(f"{'':>6} {'CPU':>6}  " + "  ".join(f"{name:>10}" for name in [*names, "filters", "outbox"]) + "   (behind: entries, chunks, invocations)")
        for at, cpu, look in self.samples[:: max(1, len(self.samples) // 12)]:
            values = [look.get(name, 0) for name in names] + [look["filters (chunks)"], look["invocations"]]
            say(f"{at:5.0f}s {cpu / at:6.2f}  " + "  ".join(f"{value:10.0f}" for value in values))
        for name in names:
            lags = sorted(look.get(name, 0) / rate * 1000 for _, _, look in self.samples)
            say(f"{name:<10} behind, at {rate:.0f}/s: p50 {lags[len(lags) // 2]:.0f} ms, at most {lags[-1]:.0f} ms")


def watch(work, args):
    """Records at a fixed rate into history, a log group with metric filters and as many rules: does everything keep up?"""
    title(f"Watch: {args.watch} metric filters, {args.watch} rules, {args.rate} records/s for {args.watch_seconds} s")
    with Server(work / "watch") as server:
        set_up(server, args)
        time.sleep(3)
        tell_memory("idle", server)
        reset_peak(server.process.pid)
        before, count = counted(server), args.rate * args.watch_seconds
        base = behind(server)["tail"]
        sampler = Sampler(server)
        sampler.start()
        load = subprocess.run([BENCH, "put", "--batch", "500", "--writers", "4", "--rate", str(args.rate), "--count", str(count),
                               "--seed", str(time.time_ns() % 2**40)], check=True, env={**os.environ, **credentials(server)})  # fmt: skip
        assert load.returncode == 0
        took = time.monotonic() - sampler.begun
        rate = (behind(server)["tail"] - base) / took
        wait_until(lambda: counted(server) - before >= count, "the count of every record", 600, 0.02)
        caught_up = time.monotonic() - sampler.begun - took
        assert counted(server) - before == count, "filters counted more than was put"
        sampler.ended.set()
        sampler.join()
        sampler.tell(rate)
        cpu = cpu_seconds(server.process.pid) - sampler.cpu
        say(f"acknowledged {count / took:.0f} records/s; the last one counted by filters {caught_up * 1000:.0f} ms after its acknowledgement")
        say(f"CPU of the server {cpu:.1f} s, {cpu / (took + caught_up):.2f} cores, {cpu / count * 1e6:.1f} µs a record")
        matched = collections.Counter()
        for metric in server.client("cloudwatch").list_metrics(Namespace="Bench")["Metrics"]:
            matched["metrics"] += metric["MetricName"] != "All"
        wait_until(lambda: behind(server)["invocations"] == 0, "the delivery of every invocation", 600, 0.1)
        told = sum(len(page["events"]) for page in server.client("logs").get_paginator("filter_log_events").paginate(logGroupName="targets"))
        say(f"{matched['metrics']} of the other filters counted something; rules told their targets of {told} records")
        tell_memory("after load", server)
    shutil.rmtree(work / "watch", ignore_errors=True)
