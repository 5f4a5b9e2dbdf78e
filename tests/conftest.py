"""Makes `opentrail_server` importable from every test."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
