"""An archive and its replay over kill -9: each event is kept once and sent again at least once."""

import datetime
import json

from listener import Webhook
from opentrail_server import ACCOUNT, REGION, Server, wait_until

CONFIG = '[outbound]\nallow = ["127.0.0.0/8"]\n'
PATTERN = json.dumps({"source": ["shop"]})
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
ARCHIVE = f"arn:aws:events:{REGION}:{ACCOUNT}:archive/a"


def test_nothing_that_was_acknowledged_is_lost(tmp_path):
    webhook = Webhook()
    try:
        with Server(tmp_path, CONFIG, ["--log", "warn"]) as server:
            events = server.client("events")
            key = {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "s3cret"}}
            connection = events.create_connection(Name="c", AuthorizationType="API_KEY", AuthParameters=key)
            hook = events.create_api_destination(
                Name="d",
                ConnectionArn=connection["ConnectionArn"],
                InvocationEndpoint=f"{webhook.url}/hook",
                HttpMethod="POST",
            )
            events.create_archive(ArchiveName="a", EventSourceArn=BUS, EventPattern=PATTERN)
            wanted = set()
            for _ in range(40):
                entry = {"Source": "shop", "DetailType": "order", "Detail": "{}"}
                wanted |= {entry["EventId"] for entry in events.put_events(Entries=[entry] * 5)["Entries"]}
            server.kill()
            server.start()
            assert events.describe_archive(ArchiveName="a")["EventCount"] == len(wanted) == 200
            events.put_rule(Name="r", EventPattern=PATTERN)
            events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": hook["ApiDestinationArn"]}])
            now = datetime.datetime.now(datetime.UTC)
            events.start_replay(
                ReplayName="again",
                EventSourceArn=ARCHIVE,
                Destination={"Arn": BUS},
                EventStartTime=now - datetime.timedelta(hours=1),
                EventEndTime=now + datetime.timedelta(hours=1),
            )
            wait_until(lambda: webhook.received, "the first event")
            server.kill()
            server.start()
            state = lambda: events.describe_replay(ReplayName="again")["State"]
            wait_until(lambda: state() == "COMPLETED", "the replay's end")
            bodies = lambda: [json.loads(body) for _, _, body in list(webhook.received)]
            wait_until(lambda: {event["id"] for event in bodies()} == wanted, "every event")
            assert {event["replay-name"] for event in bodies()} == {"again"}
            assert server.stop() == 0
    finally:
        webhook.close()
