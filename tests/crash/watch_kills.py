#!/usr/bin/env python3
"""Kills the server again and again while records, messages and events come in that are watched for, then proves that every
one that was acknowledged was counted, found and told, and that nothing is there twice that must not be.

    OPENTRAIL_BIN=… python tests/crash/watch_kills.py --kills 200
"""

import argparse
import http.client
import pathlib
import random
import sys
import tempfile
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import watching  # noqa: E402
from listener import Webhook  # noqa: E402
from opentrail_server import Server  # noqa: E402
from watching import Watch  # noqa: E402

CONFIG = '[journal]\nsegment_bytes = "4MiB"\nhold_back = "5s"\n' + watching.CONFIG
# What a killed server leaves without an answer; and what one says that cannot do it now.
DOWN = (BotoCoreError, ClientError, OSError, http.client.HTTPException)
ALARMS = 8


class Caller(threading.Thread):
    """Does what is watched for until told to stop. An alarm after the other is given its turn."""

    def __init__(self, watch, seed):
        super().__init__(daemon=True)
        self.watch, self.random = watch, random.Random(seed)
        self.names = [f"{watch.name}-{number}" for number in range(ALARMS)]
        self.turn, self.stopping, self.failure = 0, False, None

    def run(self):
        watch = self.watch
        calls = [watch.put_record, watch.put_record, watch.publish, watch.put_events,
                 lambda: watch.put_record(self.names[self.turn % ALARMS])]  # fmt: skip
        while not self.stopping:
            try:
                self.random.choice(calls)()
            except DOWN:
                time.sleep(0.02)  # the server is down: this is the test's own pace, not a wait for a result
            except BaseException as failure:  # noqa: BLE001 - told by whoever waits for this thread
                self.failure = failure
                return
            time.sleep(0.02)  # its pace, so that the check at the end stays quick


def run(directory, kills, seed, callers=2):
    """Fails when anything acknowledged was lost, or is there twice."""
    chance = random.Random(seed)
    print(f"seed {seed}")
    webhook = Webhook()
    server = Server(directory, CONFIG, ["--log", "warn"]).start()
    try:
        server.make_log_bucket(prefix="*")
        watch = Watch(server, webhook)
        for number in range(ALARMS):
            watch.add_alarm(f"{watch.name}-{number}")
        threads = [Caller(watch, chance.random()) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for kill in range(kills):
            for thread in threads:
                thread.turn = kill // 2
            # From in the middle of the start to well into steady work.
            time.sleep(chance.choice([0.01, 0.1, 0.3, 0.6, 1.2]) * chance.random() * 2)
            server.kill()
            server.start(wait=chance.random() < 0.8)
        server.wait_ready()
        for thread in threads:
            thread.stopping = True
        for thread in threads:
            thread.join()
            assert thread.failure is None, thread.failure
        print(f"{kills} kills: {len(watch.acknowledged)} records, {len(watch.published)} messages, {len(watch.put)} events acknowledged")
        assert watch.acknowledged and watch.published and watch.put, "nothing was acknowledged, so nothing was tested"
        watch.prove()
        assert server.stop() == 0
    finally:
        webhook.close()
        if server.process is not None:
            server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opentrail-kills-") as directory:
        run(directory, options.kills, options.seed)


if __name__ == "__main__":
    main()
