"""gzip: containers of several members, broken ones, and time that does not grow out of hand."""

from __future__ import annotations

import gzip
import zlib

import pytest

from pyproducer.errors import CorruptRecord
from pyproducer.records.gzip_stream import compress, decompress

TEXT = b"all work and no play " * 20_000


def test_container_is_gzip():
    """
    What we write is one gzip member that the standard library reads, the same each time.
    """
    written = compress(TEXT, -1)

    assert written.startswith(b"\x1f\x8b\x08")
    assert gzip.decompress(written) == TEXT
    assert written == compress(memoryview(TEXT), 6)


@pytest.mark.parametrize(
    "members", [[b""], [b"a", b""], [b"", b"b"], [TEXT, b"x", TEXT], [b"m"] * 500]
)
def test_members_follow_each_other(members):
    """
    Any number of members, empty ones too, gives their contents joined.
    """
    data = b"".join(gzip.compress(member) for member in members)
    content = b"".join(members)

    assert content == decompress(memoryview(data), len(content))


def test_members_share_the_limit():
    """
    The limit counts all members together.
    """
    data = gzip.compress(b"12345") * 3

    with pytest.raises(CorruptRecord, match=r"gzip: .*more than 14 bytes"):
        decompress(memoryview(data), 14)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        zlib.compress(TEXT),
        gzip.compress(b"a") + b"?",
        gzip.compress(b"a") + b"\x00" * 600,
        gzip.compress(TEXT)[:-1],
        gzip.compress(TEXT)[:-8] + b"\x00" * 8,
    ],
    ids=["empty", "zero", "zlib", "letter after", "zeros after", "cut off", "wrong checksum"],
)
def test_broken(data):
    """
    Data that is no gzip from start to end is refused.
    """
    with pytest.raises(CorruptRecord, match=r"^gzip: "):
        decompress(memoryview(data), 10**6)


def test_many_small_members_are_fed_in_small_windows(monkeypatch):
    """
    After a member's end only a small window is fed, so the copies zlib makes stay small.
    """
    fed = []
    real = zlib.decompressobj

    class Counting:
        def __init__(self, bits):
            self.member = real(bits)

        def decompress(self, data, room):
            fed.append(len(data))
            return self.member.decompress(data, room)

        def __getattr__(self, name):
            return getattr(self.member, name)

    members = 5000
    data = gzip.compress(b"x") * members
    monkeypatch.setattr("pyproducer.records.gzip_stream.zlib.decompressobj", Counting)

    assert b"x" * members == decompress(memoryview(data), members)
    assert sum(fed) < 300_000 + 1024 * members
