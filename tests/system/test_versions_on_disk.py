"""What `fsck` says of versions: nothing of whole ones, and what is wrong with altered, lost and forgotten ones."""

import hashlib
import json

import pytest
from commands import opentrail_offline
from opentrail_server import Server

KEY = "a/b.txt"


def fsck(server, code=0):
    return json.loads(opentrail_offline("fsck", "--data-dir", server.data, "--output", "json", code=code))


def told(report, damage):
    return [f"{f['path']}: {f['problem']}" for f in report["findings"] if f["is_damage"] is damage]


@pytest.fixture
def stopped(tmp_path):
    """A stopped server whose bucket has a key with three versions, and one whose current version is a delete marker."""
    with Server(tmp_path, "", ["--log", "warn"]) as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="kept", ObjectLockEnabledForBucket=True)
        for key, bodies in [(KEY, [b"one", b"two", b"three"]), ("gone.txt", [b"four"])]:
            for body in bodies:
                s3.put_object(Bucket="kept", Key=key, Body=body)
        s3.delete_object(Bucket="kept", Key="gone.txt")
        assert server.stop() == 0
        yield server


def kept(server, key):
    """The files of a key's older versions."""
    name = hashlib.sha256(key.encode()).hexdigest()
    return sorted((server.data / "objects/.opentrail/versions/kept" / name[:2] / name).iterdir())


def test_whole_versions_are_checked(stopped):
    report = fsck(stopped)
    assert told(report, True) == []
    checked = {name: number for area in report["areas"] for name, number in area["checked"].items()}
    assert (checked["older versions"], checked["delete markers"]) == (3, 1)


def test_altered_and_lost_versions_are_damage(stopped):
    first, second = kept(stopped, KEY)
    assert first.read_bytes() == b"one"
    first.write_bytes(b"0ne")
    second.unlink()
    (hidden,) = [path for path in (stopped.data / "objects/.opentrail/hidden/kept").rglob("*") if path.is_file()]
    hidden.unlink()
    damage = told(fsck(stopped, 1), True)
    assert len(damage) == 3, damage
    assert any(first.name in text and "MD5" in text for text in damage)
    assert any(second.name in text and "missing" in text for text in damage)
    assert any("gone.txt" in text and "listings" in text for text in damage)


def test_bytes_that_nobody_names_and_locks_without_versions_are_told(stopped):
    stranger = kept(stopped, KEY)[0].with_name("17")
    stranger.write_bytes(b"left by a crash")
    assert any("/17: " in text and "no metadata" in text for text in told(fsck(stopped), False))
    path = stopped.data / "objects/.opentrail/buckets/kept.json"
    document = json.loads(path.read_text())
    document["versioning"] = "Suspended"
    path.write_text(json.dumps(document))
    assert any("Object Lock" in text for text in told(fsck(stopped, 1), True))
