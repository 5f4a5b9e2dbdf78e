"""A short run of the random kills; `random_kills.py --kills 1000` is the long one."""

import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import random_kills  # noqa: E402


def test_random_kills_lose_nothing_acknowledged_and_deliver_nothing_twice(tmp_path):
    assert random_kills.run(tmp_path, kills=25, seed=random.SystemRandom().randrange(1 << 32), quiet=True)
