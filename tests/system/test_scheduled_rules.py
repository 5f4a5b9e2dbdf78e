"""Scheduled rules: due by the clock, and over a server that is killed and away when they are."""

import datetime
import json
import time

from listener import Webhook
from opentrail_server import ACCOUNT, REGION, Server, wait_until

CONFIG = '[outbound]\nallow = ["127.0.0.0/8"]\n'


def target(server, url):
    """The ARN of an API destination at that URL."""
    events = server.client("events")
    key = {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "s3cret"}}
    connection = events.create_connection(Name="c", AuthorizationType="API_KEY", AuthParameters=key)["ConnectionArn"]
    return events.create_api_destination(
        Name="d", ConnectionArn=connection, InvocationEndpoint=f"{url}/hook", HttpMethod="POST"
    )["ApiDestinationArn"]


def of(name):
    """Whether a request is an event of that rule."""
    return lambda headers, body: json.loads(body)["resources"] == [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"]


def when(body):
    """The time of an event, in seconds."""
    return datetime.datetime.fromisoformat(json.loads(body)["time"]).timestamp()


def test_a_schedule_is_kept_over_a_kill_and_an_absence(tmp_path):
    webhook = Webhook()
    try:
        with Server(tmp_path, CONFIG, ["--log", "warn"]) as server:
            events, arn = server.client("events"), target(server, webhook.url)
            put_at = time.time()
            for name, schedule in [("rate", "rate(1 minute)"), ("cron", "cron(* * * * ? *)"), ("never", "rate(1 day)")]:
                events.put_rule(Name=name, ScheduleExpression=schedule)
                events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": arn}])
            _, body = webhook.wait_for(of("cron"), seconds=90)
            first = json.loads(body)
            server.kill()
            killed_at = time.time()
            assert (first["source"], first["detail-type"], first["detail"]) == ("aws.events", "Scheduled Event", {})
            assert first["time"].endswith(":00Z")
            # Away while both are due.
            wait_until(lambda: time.time() > put_at + 121, "two minutes", seconds=180, pause=1)
            away_until = time.time()
            server.start()
            for name in ("rate", "cron"):
                webhook.wait_for(lambda headers, body, of=of(name): of(headers, body) and when(body) > away_until - 61)
            events_told = [json.loads(body)["resources"][0].rsplit("/")[-1] for _, _, body in webhook.received]
            assert set(events_told) == {"rate", "cron"}
            missed = [when(body) for _, _, body in webhook.received if killed_at < when(body) < away_until - 61]
            assert not missed, "the last that was due comes, and no other"
            assert server.stop() == 0
    finally:
        webhook.close()
