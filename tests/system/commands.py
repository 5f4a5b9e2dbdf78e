"""Commands that system tests run: the stock AWS CLI and the `opentrail` binary."""

import os
import pathlib
import subprocess
import sys

from opentrail_server import binary

AWS = pathlib.Path(sys.executable).parent / "aws"


def run(*command, environment, code=0, errors_too=False):
    """Standard output, with `errors_too` standard error after it; fails unless the exit code is the expected one, if one is."""
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True, timeout=300)
    assert code is None or done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr if errors_too else done.stdout


def aws(server, *arguments, region="us-east-1", **expected):
    """The AWS CLI as the root user of `server`."""
    return run(AWS, *arguments, environment=server.cli_environment(region), **expected)


def opentrail(server, *arguments, **expected):
    """`opentrail ARGUMENTS` with the server's credentials and endpoint in the environment."""
    return run(binary(), *arguments, environment=server.cli_environment(), **expected)


def opentrail_offline(*arguments, **expected):
    """`opentrail ARGUMENTS` with no server and no credentials at hand."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "OPENTRAIL_"))}
    return run(binary(), *arguments, environment=environment, **expected)
