"""What is not signed as it should be is refused."""

import datetime
import http.client
import json
import urllib.parse
from unittest import mock

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from accounts import Key
from errors import refused

TARGET = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListTrails"


def send(server, headers: dict, body: bytes = b"{}") -> tuple[int, dict]:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.endpoint).netloc, timeout=30)
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def signed(server, target: str = TARGET, body: bytes = b"{}", service: str = "cloudtrail", when=None) -> dict:
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    request = AWSRequest("POST", server.endpoint + "/", headers, body)

    auth = SigV4Auth(Credentials(*server.key()), service, "us-east-1")
    moment = (when or datetime.datetime.now(datetime.UTC)).replace(tzinfo=None)
    with mock.patch("botocore.auth.get_current_datetime", lambda *_: moment):
        auth.add_auth(request)
    return dict(request.headers)


def test_an_unsigned_request_is_refused(server):
    status, answer = send(server, {"X-Amz-Target": TARGET, "Content-Type": "application/x-amz-json-1.1"})
    assert (status, answer["__type"]) == (400, "MissingAuthenticationTokenException")


def test_an_unknown_key_and_a_wrong_secret_are_refused(client, server):
    with refused("UnrecognizedClientException", "The security token included in the request is invalid."):
        client("cloudtrail", key=Key("AKIAUNKNOWN", "secret")).list_trails()
    with refused("InvalidSignatureException", "The request signature we calculated does not match"):
        client("cloudtrail", key=Key(server.key()[0], "wrong")).list_trails()


def test_a_changed_body_is_refused(server):
    headers = signed(server)
    assert send(server, headers)[0] == 200
    status, answer = send(server, headers, b'{"x":1}')
    assert (status, answer["__type"]) == (400, "InvalidSignatureException")


@pytest.mark.parametrize(
    "minutes, text", [(-6, "Signature expired"), (6, "Signature not yet current"), (-4, None), (4, None)]
)
def test_the_clock_may_be_five_minutes_off(server, minutes, text):
    when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    status, answer = send(server, signed(server, when=when))
    if text is None:
        assert status == 200
    else:
        assert (status, answer["__type"]) == (400, "InvalidSignatureException")
        assert text in answer["message"]


@pytest.mark.parametrize(
    "target, body, error",
    [
        ("CloudTrail_20131101.ListTrails", b"{}", None),
        (TARGET, b"", None),
        (TARGET, b'{"Unknown":1,"NextToken":null}', None),
        (TARGET.replace("ListTrails", "NoSuchOperation"), b"{}", "UnknownOperationException"),
        ("ListTrails", b"{}", "UnknownOperationException"),
        (TARGET, b"{", "SerializationException"),
        (TARGET, b"[]", "SerializationException"),
        (TARGET, b'{"NextToken":1}', "SerializationException"),
    ],
)
def test_requests_are_read_as_aws_reads_them(server, target, body, error):
    status, answer = send(server, signed(server, target, body), body)
    if error is None:
        assert status == 200 and "Trails" in answer
    else:
        assert (status, answer["__type"]) == (400, error)
