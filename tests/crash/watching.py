"""What watches for one event name in every way there is, and what must hold of all of it after kills."""

import collections
import json
import time
import uuid

from opentrail_server import ACCOUNT, REGION, record, wait_until

# A webhook on loopback may be told.
CONFIG = '\n[outbound]\nallow = ["127.0.0.0/8"]\n'
PERIOD = 10
# A record raises the alarm within this time, kills included: it looks back over three periods.
AT_MOST_LATE = 3 * PERIOD


def allow(actions, **more):
    statement = {"Effect": "Allow", "Action": actions, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def of(*services):
    return {"Service": [f"{service}.amazonaws.com" for service in services]}


def trail_to_group(server, name, bucket="trail-logs", **more):
    """A trail whose events go to a log group of the same name."""
    client = server.client
    client("logs").create_log_group(logGroupName=name)
    trust = allow("sts:AssumeRole", Principal=of("cloudtrail"))
    role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    client("iam").put_role_policy(RoleName=name, PolicyName="logs", PolicyDocument=allow("logs:*", Resource="*"))
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:*"
    trails = client("cloudtrail")
    trails.create_trail(Name=name, S3BucketName=bucket, S3KeyPrefix=name, IsMultiRegionTrail=True,
                        CloudWatchLogsLogGroupArn=group, CloudWatchLogsRoleArn=role, **more)  # fmt: skip
    trails.start_logging(Name=name)


def topic_of(server, name, *services):
    """A topic that services may publish to."""
    sns = server.client("sns")
    topic = sns.create_topic(Name=name)["TopicArn"]
    allowed = allow("sns:Publish", Principal=of(*services), Resource=topic)
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=allowed)
    return topic


def told_topic(server, webhook, name, *services):
    """A topic that services may publish to, and that tells the webhook."""
    sns, topic = server.client("sns"), topic_of(server, name, *services)
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"{webhook.url}/{name}")
    confirmed = lambda: int(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsConfirmed"])
    wait_until(confirmed, "the confirmation of a subscription")
    return topic


class Watch:
    """An event name; a trail's log group with a metric filter for it, an alarm on that, an event rule, a Sigma rule, and a
    webhook that all of them tell. What was acknowledged is remembered."""

    def __init__(self, server, webhook):
        self.server, self.webhook = server, webhook
        self.name = f"Watched{uuid.uuid4().hex[:12]}"
        self.acknowledged, self.published, self.put = [], [], []
        self.since = time.time() - 1
        trail_to_group(server, self.name)
        self.topic = told_topic(server, webhook, self.name, "cloudwatch", "events")
        self.add_alarm(self.name)
        events = server.client("events")
        pattern = {"$or": [{"detail": {"eventName": [self.name]}}, {"detail": {"alarmName": [{"prefix": self.name}]}},
                           {"source": ["opentrail.sigma"], "detail": {"Rule": {"Id": [self.name]}}},
                           {"source": ["the.test"], "detail-type": [self.name]}]}  # fmt: skip
        events.put_rule(Name=self.name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=self.name, Targets=[{"Id": "topic", "Arn": self.topic}])
        self.load_rule()

    def add_alarm(self, event_name):
        """A metric that counts the event name, and an alarm that rises with the first; it is OK now."""
        metric = {"metricName": event_name, "metricNamespace": "Watched", "metricValue": "1"}
        pattern = f'{{ $.eventName = "{event_name}" }}'
        self.server.client("logs").put_metric_filter(logGroupName=self.name, filterName=event_name, filterPattern=pattern,
                                                     metricTransformations=[metric])  # fmt: skip
        alarms = self.server.client("cloudwatch")
        alarms.put_metric_alarm(AlarmName=event_name, Namespace="Watched", MetricName=event_name, Statistic="Sum", Period=PERIOD,
                                EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold",
                                TreatMissingData="notBreaching", AlarmActions=[self.topic])  # fmt: skip
        wait_until(lambda: self.state(event_name) == "OK", "the alarm's first evaluation")

    def state(self, alarm):
        return self.server.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"]

    def load_rule(self, title="watched"):
        rule = {"title": title, "id": self.name, "level": "high", "logsource": {"product": "aws", "service": "cloudtrail"},
                "detection": {"s": {"eventName": self.name}, "condition": "s"}}  # fmt: skip
        answer = self.server.post("/v1/sigma/load", json.dumps({"Files": [{"Name": "r.yml", "Text": json.dumps(rule)}]}).encode())
        assert not answer["Refused"], answer

    # --- what is watched for ---

    def put_record(self, event_name=None):
        event_id = str(uuid.uuid4())
        body = json.dumps(record(event_id, event_name or self.name)).encode()
        assert self.server.put_records(body, timeout=10)["Accepted"] == 1
        self.acknowledged.append((event_id, event_name or self.name, time.time()))

    def publish(self):
        text = f"published {uuid.uuid4()}"
        self.server.client("sns").publish(TopicArn=self.topic, Message=text)
        self.published.append(text)

    def put_events(self):
        entry = {"Source": "the.test", "DetailType": self.name, "Detail": "{}"}
        [answer] = self.server.client("events").put_events(Entries=[entry])["Entries"]
        self.put.append(answer["EventId"])

    # --- what came of it ---

    def told(self):
        """The messages that the webhook was sent for this watch, by their ids."""
        with self.webhook.seen:
            received = list(self.webhook.received)
        found = {}
        for _, headers, body in received:
            if headers.get("x-amz-sns-message-type") == "Notification" and headers.get("x-amz-sns-topic-arn") == self.topic:
                message = json.loads(body)
                assert found.setdefault(message["MessageId"], message["Message"]) == message["Message"]
        return found

    def events_told(self):
        """The rule's events that the webhook was told of, by id."""
        events = [json.loads(text) for text in self.told().values() if text.startswith("{")]
        return {event["id"]: event for event in events if "detail-type" in event}

    def recorded(self, event_name):
        """Ids of the records of this name in the log group, and how often each is there."""
        pages = self.server.client("logs").get_paginator("filter_log_events")
        pages = pages.paginate(logGroupName=self.name, filterPattern=f'{{ $.eventName = "{event_name}" }}')
        return collections.Counter(json.loads(event["message"])["eventID"] for page in pages for event in page["events"])

    def total(self, metric, namespace="Watched", **dimensions):
        """The sum of a metric since the watch began."""
        found = self.server.client("cloudwatch").get_metric_statistics(
            Namespace=namespace, MetricName=metric, Statistics=["Sum"], Period=3600, StartTime=self.since - 3600,
            EndTime=time.time() + 3600, Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()])  # fmt: skip
        return sum(point["Sum"] for point in found["Datapoints"])

    def findings(self):
        found, token = [], None
        while True:
            given = {"Rule": self.name, "MaxResults": 1000} | ({"NextToken": token} if token else {})
            page = self.server.post("/v1/sigma/findings", json.dumps(given).encode())
            found += page["Findings"]
            token = page.get("NextToken")
            if not token:
                return found

    def transitions(self, alarm):
        """Of the alarm's history, the oldest first: changes of state as (old, new, when), and actions that were performed."""
        pages = self.server.client("cloudwatch").get_paginator("describe_alarm_history")
        items = [item for page in pages.paginate(AlarmName=alarm, ScanBy="TimestampAscending") for item in page["AlarmHistoryItems"]]
        changes, actions = [], []
        for item in items:
            data = json.loads(item["HistoryData"])
            if item["HistoryItemType"] == "StateUpdate":
                states = data["oldState"]["stateValue"], data["newState"]["stateValue"]
                changes.append((*states, item["Timestamp"].timestamp()))
            elif item["HistoryItemType"] == "Action":
                actions.append(data)
        return changes, actions

    # --- what must hold ---

    def prove(self):
        """Everything acknowledged was counted, found and told; nothing that must not is there twice."""
        # The journal's last: when it is in the log group and counted, so is all that is durable, acknowledged or not.
        self.put_record()
        names = {name for _, name, _ in self.acknowledged}
        for name in sorted(names):
            wanted = {event_id for event_id, named, _ in self.acknowledged if named == name}
            wait_until(lambda: wanted <= set(self.recorded(name)), f"log events of {name}", 60, 0.2)
            recorded = self.recorded(name)  # with those that were durable though nobody was told
            assert set(recorded.values()) == {1}, "an event twice in the log group"
            wait_until(lambda: self.total(name) >= len(recorded), f"the count of {name}", 60, 0.2)
            counted, there = self.total(name), len(self.recorded(name))
            assert counted == there, f"{name} is recorded {there} times, and counted {counted} times"
            self.prove_alarm(name)
        recorded = set(self.recorded(self.name))
        wait_until(lambda: {*recorded, *self.put} <= set(self.events_told()), "the rule's events at the webhook", 60, 0.2)
        wait_until(lambda: set(self.published) <= set(self.told().values()), "what was published at the webhook", 60, 0.2)
        self.prove_findings(recorded)

    def prove_alarm(self, alarm):
        wait_until(lambda: any(new == "ALARM" for _, new, _ in self.transitions(alarm)[0]), f"the alarm {alarm}", 60, 0.2)

        def raised():
            return {when for _, new, when in self.transitions(alarm)[0] if new == "ALARM"}

        def performed():
            return len(self.transitions(alarm)[1]) == len(raised())

        wait_until(performed, f"the actions of {alarm}", 60, 0.2)
        changes, actions = self.transitions(alarm)
        assert all(before[1] == after[0] for before, after in zip(changes, changes[1:])), f"history with a gap: {changes}"
        assert all(old != new for old, new, _ in changes), changes
        ends = [when for _, _, when in changes[1:]] + [time.time()]
        high = [(when, end) for (_, new, when), end in zip(changes, ends) if new == "ALARM"]
        for _, name, at in self.acknowledged:
            seen = name != alarm or any(begin <= at + AT_MOST_LATE and end >= at - 1 for begin, end in high)
            assert seen, f"no alarm {alarm} for the record of {at}: {changes}"
        assert all(action["actionState"] == "Succeeded" for action in actions), actions
        # Each change to ALARM is one message, however often it was sent.
        rising = [when for _, new, when in changes if new == "ALARM"]

        def messages():
            found = [json.loads(text) for text in self.told().values() if text.startswith("{")]
            return [message for message in found if message.get("AlarmName") == alarm]

        wait_until(lambda: len(messages()) >= len(rising), f"what {alarm} tells at the webhook", 60, 0.2)
        told = messages()
        assert len(told) == len({message["StateChangeTime"] for message in told}), "one change of an alarm in two messages"
        assert all(message["NewStateValue"] == "ALARM" for message in messages())

        def changes_told():
            events = [event["detail"] for event in self.events_told().values() if event["detail"].get("alarmName") == alarm]
            return collections.Counter(event["state"]["value"] for event in events)

        # The first change, to OK, may be older than the rule.
        wanted = collections.Counter(new for old, new, _ in changes if old != "INSUFFICIENT_DATA")
        wait_until(lambda: wanted <= changes_told(), f"the events of {alarm}'s changes", 60, 0.2)

    def prove_findings(self, recorded):
        wait_until(lambda: recorded <= {finding["EventId"] for finding in self.findings()}, "findings", 60, 0.2)
        found = collections.Counter(finding["EventId"] for finding in self.findings())
        assert set(found) == set(self.recorded(self.name)) and set(found.values()) == {1}, "a finding twice, or of nothing"
        ids = {finding["FindingId"] for finding in self.findings()}
        wait_until(lambda: ids <= set(self.events_told()), "the findings' events at the webhook", 60, 0.2)
        total = lambda: self.total("Findings", "OpenTrail/Sigma", Rule=self.name)
        wait_until(lambda: total() >= len(found), "the count of findings", 60, 0.2)
        assert total() == len(found), "findings counted otherwise than found"

    def end(self):
        """Nothing of it watches any more."""
        client = self.server.client
        client("cloudtrail").delete_trail(Name=self.name)
        client("events").remove_targets(Rule=self.name, Ids=["topic"])
        client("events").delete_rule(Name=self.name)
        alarms = client("cloudwatch").describe_alarms(AlarmNamePrefix=self.name)["MetricAlarms"]
        client("cloudwatch").delete_alarms(AlarmNames=[alarm["AlarmName"] for alarm in alarms])
        client("sns").delete_topic(TopicArn=self.topic)
        self.server.post("/v1/sigma/remove", json.dumps({"Ids": [self.name]}).encode())
