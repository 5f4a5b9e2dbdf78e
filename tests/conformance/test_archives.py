"""EventBridge: scheduled rules, archives and replays, as stock clients see them."""

import datetime
import json
import subprocess

import pytest
from botocore.exceptions import ClientError

from accounts import READER
from errors import refused
from opentrail_server import ACCOUNT, wait_until
from test_events import AWS, destination, send_to, webhook  # noqa: F401 (a fixture)

PATTERN = json.dumps({"source": ["shop"]})


@pytest.fixture
def events(client, region):
    """EventBridge as the root user sees it, in the test's Region."""
    return client("events", region)


def bus(region, name="default"):
    return f"arn:aws:events:{region}:{ACCOUNT}:event-bus/{name}"


def put(events, *numbers):
    entry = {"Source": "shop", "DetailType": "order"}
    answer = events.put_events(Entries=[entry | {"Detail": json.dumps({"n": number})} for number in numbers])
    assert answer["FailedEntryCount"] == 0
    return [entry["EventId"] for entry in answer["Entries"]]


def replay(events, region, name, **more):
    now = datetime.datetime.now(datetime.UTC)
    times = {"EventStartTime": now - datetime.timedelta(hours=1), "EventEndTime": now + datetime.timedelta(minutes=1)}
    archive = f"arn:aws:events:{region}:{ACCOUNT}:archive/a"
    asked = {"ReplayName": name, "EventSourceArn": archive, "Destination": {"Arn": bus(region)}}
    return events.start_replay(**(asked | times | more))


def test_schedules_are_told_of_as_they_were_put(events, region):
    for number, schedule in enumerate(["rate(1 minute)", "rate(7 days)", "cron(0/15 9-17 ? * MON-FRI *)", "cron(0 0 LW * ? *)"]):
        events.put_rule(Name=f"r{number}", ScheduleExpression=schedule)
        assert events.describe_rule(Name=f"r{number}")["ScheduleExpression"] == schedule
        assert "EventPattern" not in events.describe_rule(Name=f"r{number}")
    assert events.list_rules()["Rules"][0]["ScheduleExpression"] == "rate(1 minute)"
    for schedule in ["rate(1 minutes)", "rate(5 minute)", "cron(0 10 * * * *)", "cron(0 10 ? * 3#6 *)", "hourly"]:
        with refused("ValidationException", "Parameter ScheduleExpression is not valid."):
            events.put_rule(Name="r", ScheduleExpression=schedule)
    with refused("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified."):
        events.put_rule(Name="r")
    events.create_event_bus(Name="b")
    with refused("ValidationException", "ScheduleExpression is supported only on the default event bus."):
        events.put_rule(Name="r", EventBusName="b", ScheduleExpression="rate(1 hour)")


def test_an_archive_is_told_of_as_it_was_made(events, region):
    made = events.create_archive(
        ArchiveName="a", EventSourceArn=bus(region), EventPattern=PATTERN, RetentionDays=1, Description="d"
    )
    assert (made["ArchiveArn"], made["State"]) == (f"arn:aws:events:{region}:{ACCOUNT}:archive/a", "ENABLED")
    told = events.describe_archive(ArchiveName="a")
    told.pop("ResponseMetadata")
    assert told == {
        "ArchiveArn": made["ArchiveArn"],
        "ArchiveName": "a",
        "EventSourceArn": bus(region),
        "Description": "d",
        "EventPattern": PATTERN,
        "State": "ENABLED",
        "RetentionDays": 1,
        "SizeBytes": 0,
        "EventCount": 0,
        "CreationTime": made["CreationTime"],
    }
    put(events, 1, 2, 3)
    assert events.list_archives(EventSourceArn=bus(region))["Archives"][0]["EventCount"] == 3
    events.update_archive(ArchiveName="a", RetentionDays=30)
    assert events.describe_archive(ArchiveName="a")["RetentionDays"] == 30
    with refused("ResourceAlreadyExistsException", "Archive a already exists."):
        events.create_archive(ArchiveName="a", EventSourceArn=bus(region))
    with refused("ResourceNotFoundException", "Event bus none does not exist."):
        events.create_archive(ArchiveName="b", EventSourceArn=bus(region, "none"))
    with refused("InvalidEventPatternException"):
        events.create_archive(ArchiveName="b", EventSourceArn=bus(region), EventPattern="{")
    events.delete_archive(ArchiveName="a")
    with refused("ResourceNotFoundException", "Archive a does not exist."):
        events.describe_archive(ArchiveName="a")
    assert events.list_archives()["Archives"] == []


def test_what_was_archived_is_sent_again(events, webhook, region):  # noqa: F811
    events.create_archive(ArchiveName="a", EventSourceArn=bus(region), EventPattern=PATTERN)
    ids = put(events, *range(5))
    send_to(events, {"Arn": destination(events, webhook.url("/hook"))}, PATTERN)
    started = replay(events, region, "again", Description="d")
    assert (started["State"], started["ReplayArn"]) == ("STARTING", f"arn:aws:events:{region}:{ACCOUNT}:replay/again")
    found = [json.loads(webhook.next()[3]) for _ in ids]
    assert sorted(event["id"] for event in found) == sorted(ids)
    assert {event["replay-name"] for event in found} == {"again"}
    assert sorted(event["detail"]["n"] for event in found) == list(range(5))
    told = lambda: events.describe_replay(ReplayName="again")
    wait_until(lambda: told()["State"] == "COMPLETED", "the replay's end")
    assert told()["EventLastReplayedTime"] <= told()["ReplayEndTime"]
    assert (told()["Description"], told()["Destination"]) == ("d", {"Arn": bus(region)})
    assert [replay["ReplayName"] for replay in events.list_replays(State="COMPLETED")["Replays"]] == ["again"]
    assert events.describe_archive(ArchiveName="a")["EventCount"] == 5
    with refused("ResourceAlreadyExistsException", "Replay again already exists."):
        replay(events, region, "again")
    with pytest.raises(ClientError, match="IllegalStatusException.*is not in a valid state"):
        events.cancel_replay(ReplayName="again")


def test_replays_are_checked(events, region):
    events.create_archive(ArchiveName="a", EventSourceArn=bus(region))
    events.create_event_bus(Name="b")
    with refused("ValidationException", "Cross event bus replay is not permitted."):
        replay(events, region, "r", Destination={"Arn": bus(region, "b")})
    with refused("ResourceNotFoundException", "Event bus none does not exist."):
        replay(events, region, "r", Destination={"Arn": bus(region, "none")})
    with refused("ValidationException", "EventStartTime must be before EventEndTime."):
        replay(events, region, "r", EventEndTime=datetime.datetime(2020, 1, 1))
    with refused("ValidationException", "Archive none does not exist."):
        replay(events, region, "r", EventSourceArn=f"arn:aws:events:{region}:{ACCOUNT}:archive/none")
    with refused("ResourceNotFoundException", "Replay r does not exist."):
        events.describe_replay(ReplayName="r")


def test_a_reader_may_not_archive(client, region):
    reader = client("events", region, READER)
    with refused("AccessDeniedException", "events:CreateArchive"):
        reader.create_archive(ArchiveName="a", EventSourceArn=bus(region))


def test_the_aws_cli_archives_and_replays(server, events, region):
    def aws(*words):
        environment = server.cli_environment(region)
        done = subprocess.run([AWS, "events", *words], env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout or "null")

    aws("create-archive", "--archive-name", "a", "--event-source-arn", bus(region), "--event-pattern", PATTERN)
    put(events, 1)
    assert aws("list-archives")["Archives"][0]["EventCount"] == 1
    times = ["--event-start-time", "2020-01-01T00:00:00Z", "--event-end-time", "2100-01-01T00:00:00Z"]
    archive = f"arn:aws:events:{region}:{ACCOUNT}:archive/a"
    aws("start-replay", "--replay-name", "r", "--event-source-arn", archive, "--destination", f"Arn={bus(region)}", *times)
    wait_until(lambda: aws("describe-replay", "--replay-name", "r")["State"] == "COMPLETED", "the replay's end")
