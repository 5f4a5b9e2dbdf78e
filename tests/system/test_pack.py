"""`opentrail pack`: the filters and alarms of the CIS benchmark, put up, listed, at work, removed."""

import json
import subprocess

import pytest
from opentrail_server import ACCOUNT, REGION, Server, binary, record, wait_until

GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:trail:*"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("pack")) as server:
        yield server


def pack(server, *arguments, code=0):
    done = subprocess.run([binary(), "pack", *arguments], env=server.cli_environment(), capture_output=True, text=True,
                          timeout=120)  # fmt: skip
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def watched_trail(server):
    iam, logs = server.client("iam"), server.client("logs")
    logs.create_log_group(logGroupName="trail")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
             "Principal": {"Service": "cloudtrail.amazonaws.com"}}]}  # fmt: skip
    role = iam.create_role(RoleName="logs", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="logs", PolicyName="logs", PolicyDocument=json.dumps(rights))
    return server.make_trail(IsMultiRegionTrail=True, CloudWatchLogsLogGroupArn=GROUP, CloudWatchLogsRoleArn=role)


def test_the_pack_is_put_up_listed_and_removed(server):
    told = pack(server, "install", "cis", "--trail", "none", code=3)
    assert "TrailNotFoundException" in told
    watched_trail(server)
    assert pack(server, "list", "cis", "--trail", "main", code=1).count("missing") == 30
    assert "15 filters and alarms" in pack(server, "install", "cis", "--trail", "main")
    pack(server, "install", "cis", "--trail", "main", "--period", "60")
    listed = json.loads(pack(server, "list", "cis", "--trail", "main", "--output", "json"))
    assert len(listed) == 15 and {row["filter"] for row in listed} == {"there"}
    alarms = server.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {alarm["Period"] for alarm in alarms} == {60} and len(alarms) == 15
    assert {tuple(alarm["AlarmActions"]) for alarm in alarms} == {(f"arn:aws:sns:{REGION}:{ACCOUNT}:CISAlarms",)}

    failed = record("sign-in", "ConsoleLogin", errorMessage="Failed authentication", eventSource="signin.amazonaws.com")
    server.put_records(json.dumps(failed).encode())
    alarm = lambda: server.client("cloudwatch").describe_alarms(AlarmNames=["ConsoleSigninFailures"])["MetricAlarms"][0]
    wait_until(lambda: alarm()["StateValue"] == "ALARM", "the alarm")

    pack(server, "remove", "cis", "--trail", "main")
    assert server.client("logs").describe_metric_filters(logGroupName="trail")["metricFilters"] == []
    assert server.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    pack(server, "remove", "cis", "--trail", "main")
