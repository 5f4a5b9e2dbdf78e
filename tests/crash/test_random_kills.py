"""Short runs of the random kills; `random_kills.py --kills 1000` and `watch_kills.py --kills 200` are the long ones."""

import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import random_kills  # noqa: E402
import watch_kills  # noqa: E402


def a_seed():
    return random.SystemRandom().randrange(1 << 32)


def test_random_kills_lose_nothing_acknowledged_and_deliver_nothing_twice(tmp_path):
    assert random_kills.run(tmp_path, kills=25, seed=a_seed(), quiet=True)


def test_random_kills_leave_nothing_that_is_watched_for_uncounted_or_untold(tmp_path):
    watch_kills.run(tmp_path, kills=20, seed=a_seed())
