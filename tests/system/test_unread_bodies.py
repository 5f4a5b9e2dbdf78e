"""A call that is refused before its body is read leaves its connection in order, or says that it closes."""

import http.client
import socket
import time

import pytest
from opentrail_server import Server

# Turned away by its head: it has no signature.
HEAD = "PUT /bucket/key HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n{more}\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("unread")) as server:
        yield server


@pytest.fixture
def connection(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        yield connection


def ask(connection, length, body=b"", pause=0.0, more=""):
    """What the answer to a call says of its connection. The call's body begins so, after a pause in which the server has the head."""
    connection.sendall(HEAD.format(length=length, more=more).encode())
    time.sleep(pause)
    connection.sendall(body)
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    assert answer.status == 403 and b"AccessDenied" in answer.read()
    return answer.headers.get("Connection")


@pytest.mark.parametrize("pause", [0, 0.3])
def test_a_short_body_is_read_and_the_connection_goes_on(connection, pause):
    for _ in range(3):
        assert ask(connection, 5, b"hello", pause) is None


def test_the_rest_of_a_long_body_is_not_waited_for_and_the_answer_says_that_the_connection_closes(connection):
    assert ask(connection, 50_000_000) == "close"
    assert connection.recv(1) == b""


def test_a_body_that_does_not_come_is_not_waited_for(connection):
    assert ask(connection, 5, b"hel") == "close"
    assert connection.recv(1) == b""


def test_a_client_that_waits_to_be_told_is_not_told_to_send_what_nobody_wants(connection):
    connection.sendall(HEAD.format(length=5, more="Expect: 100-continue\r\n").encode())
    with connection.makefile("rb") as answer:
        assert answer.readline().startswith(b"HTTP/1.1 403 ")
        assert b"connection: close\r\n" in answer.read()
