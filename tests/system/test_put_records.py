"""Puts of records over HTTP: the event of the call goes into the journal with the last of its records, refused and broken
calls are events too, and bodies come in all the ways in which HTTP sends them."""

import hashlib
import http.client
import json
import struct
import urllib.error

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from opentrail_server import ACCOUNT, REGION, Server, record, wait_until

CONFIG = f"""
[[account]]
id = "{ACCOUNT}"
[[account.user]]
name = "nobody"
[[account.user.access_key]]
id = "AKIANOBODY0000000001"
secret = "nobody-secret"
"""
NOBODY = ("AKIANOBODY0000000001", "nobody-secret")


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path, CONFIG) as running:
        yield running


def batches(server):
    """The journal's batches, each a list of events, read from its files as `crates/journal/src/segments/frame.rs` tells."""
    out = []
    for path in sorted((server.data / "journal").glob("*.log")):
        data, at = path.read_bytes(), 32
        while data[at:at + 4] == b"OTFR":
            (length,), (count,) = struct.unpack_from("<I", data, at + 4), struct.unpack_from("<I", data, at + 16)
            body = at + 32 + 24 * count
            for entry in range(count):
                size, _source, flags = struct.unpack_from("<IBB", data, at + 32 + 24 * entry + 16)
                if flags & 1:
                    out.append([])
                out[-1].append(json.loads(data[body:body + size]))
                body += size
            at += (32 + length + 7) // 8 * 8
    return out


def calls(server):
    """The batches that hold an event of PutRecords: the ids of their records, and that event, which must stand last."""
    found = []
    for batch in batches(server):
        if any(event.get("eventName") == "PutRecords" for event in batch):
            *records, call = batch
            assert call["eventName"] == "PutRecords"
            found.append(([event["eventID"] for event in records], call))
    return found


def body_of(ids):
    return "\n".join(json.dumps(record(event_id)) for event_id in ids).encode()


def test_records_and_the_event_of_their_call_are_one_batch(server):
    ids = [f"one-{number}" for number in range(500)]
    body = body_of(ids)
    report = server.put_records(body)
    assert report["Accepted"] == 500
    [(kept, call)] = calls(server)
    assert kept == ids
    assert call["responseElements"] == {"accepted": 500, "duplicates": 0, "refused": 0}
    assert "errorCode" not in call and not call["managementEvent"]
    assert report["LastPosition"] - report["FirstPosition"] == 499

    new = body_of(["new"])
    again = server.put_records(b"\n".join([body.splitlines()[3], new, new, b"nonsense"]))
    assert (again["Accepted"], again["Duplicates"], again["RefusedCount"]) == (1, 2, 1)
    _, (kept, call) = calls(server)
    assert (kept, call["responseElements"]) == (["new"], {"accepted": 1, "duplicates": 2, "refused": 1})


def test_a_call_that_is_not_allowed_is_an_event(server):
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.put_records(body_of(["forbidden"]), key=NOBODY)
    assert refused.value.code == 403
    [(kept, call)] = calls(server)
    assert (kept, call["errorCode"]) == ([], "AccessDeniedException")
    assert call["userIdentity"]["userName"] == "nobody"


def test_a_body_that_is_wrong_in_the_middle_keeps_what_came_before_with_the_event_of_its_failure(server):
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.put_records(b"[" + json.dumps(record("good")).encode() + b"}")
    assert refused.value.code == 400
    [(kept, call)] = calls(server)
    assert (kept, call["errorCode"]) == (["good"], "ValidationException")
    assert "1 records were accepted before" in call["errorMessage"]


def connect(server, body, unsigned=False, **headers):
    """A connection with the head of a put on its way, chunked; the body is to follow."""
    request = AWSRequest("POST", f"{server.endpoint}/v1/records", data=body, headers=dict(headers))
    if unsigned:
        request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
    else:
        request.headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
    SigV4Auth(Credentials(*server.key()), "cloudtrail", REGION).add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("POST", "/v1/records", skip_accept_encoding=True)
    for name, value in request.headers.items():
        if name.lower() != "content-length":
            connection.putheader(name, value)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    return connection


def send(connection, piece):
    connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")


@pytest.mark.parametrize("unsigned", [False, True], ids=["signed", "streamed"])
@pytest.mark.parametrize("size", [7, 3000, 1 << 20])
def test_a_body_may_come_in_pieces_of_any_size(server, unsigned, size):
    ids = [f"piece-{number}" for number in range(1200)]
    body = body_of(ids)[:100_000] if size == 7 else body_of(ids)
    if size == 7:
        body = body[:body.rindex(b"\n")]
    expected = ids[:body.count(b"\n") + 1]
    connection = connect(server, body, unsigned)
    for start in range(0, len(body), size):
        send(connection, body[start:start + size])
    connection.send(b"0\r\n\r\n")
    report = json.load(connection.getresponse())
    assert report["Accepted"] == len(expected)
    kept = [event["eventID"] for batch in batches(server) for event in batch if event.get("eventName") == "Probe"]
    assert kept == expected


def test_a_client_that_goes_away_leaves_an_event(server):
    body = body_of(["kept", "lost"])
    connection = connect(server, body, unsigned=True)
    send(connection, body[:-5])
    connection.close()
    [(kept, call)] = wait_until(lambda: calls(server), "the event of the broken call")
    assert (kept, call["errorCode"]) == (["kept"], "ValidationException")
    assert "broke off" in call["errorMessage"]
