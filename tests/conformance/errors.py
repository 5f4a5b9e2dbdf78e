"""What a client is told."""

import contextlib

import pytest
from botocore.exceptions import ClientError


@contextlib.contextmanager
def refused(name: str, message: str | None = None, status: int = 400):
    """The call inside is refused with the AWS error `name`; `message`, if given, is part of its text."""
    with pytest.raises(ClientError) as caught:
        yield
    answer = caught.value.response
    assert answer["Error"]["Code"] == name, answer
    assert answer["Error"]["Message"], "an error says what to change"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status, answer
    assert answer["ResponseMetadata"]["RequestId"], answer
    if message is not None:
        assert message in answer["Error"]["Message"]
