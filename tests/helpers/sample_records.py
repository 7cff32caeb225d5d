"""Records that try every shape a client may mangle, and the one form all clients' reads take."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

#: Name and value; a name may come twice, and null is not the same as empty.
RecordHeaders = tuple[tuple[str, bytes | None], ...]

#: Where the samples' timestamps begin: clearly in the past, but not so far that a broker with
#: Kafka's retention of a week deletes them the next time it looks, which is minutes after its start.
FIRST_TIMESTAMP_MS = int(time.time()) * 1000 - 86_400_000 + 123


class SampleRecord(NamedTuple):
    """One record to be produced."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: RecordHeaders
    timestamp_ms: int


class ReadRecord(NamedTuple):
    """One record as a consumer saw it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: RecordHeaders
    timestamp_ms: int


def _words(size: int, seed: str) -> bytes:
    """Text that compresses about as well as text does."""
    chosen = random.Random(seed)
    vocabulary = [f"word{number:x}" for number in range(400)]
    words: list[str] = []
    while sum(map(len, words)) + len(words) < size:
        words += chosen.choices(vocabulary, k=200)
    return " ".join(words).encode()[:size]


def sample_records(label: str, partitions: int = 3) -> list[SampleRecord]:
    """Return the sample set: about 70 records, 450 KB.

    Null, empty, Unicode and binary keys and values; headers none, repeated, empty and null; a
    value of 70 KB that does not compress and one of 200 KB that does (both above the 64 KiB of one
    lz4 or snappy block); timestamps that go forward, stand and go back. The label makes each set's
    bytes its own.
    """
    chosen = random.Random(label)
    tag = label.encode()
    shapes: list[tuple[bytes | None, bytes | None, RecordHeaders]] = [
        (b"key", b"plain " + tag, ()),
        (None, b"null key " + tag, ()),
        (b"", b"empty key " + tag, ()),
        (b"null value " + tag, None, ()),
        (b"empty value " + tag, b"", ()),
        (None, None, ()),
        (b"", b"", ()),
        ("Schl\u00fcssel \u03a9 \u9375".encode(), "Wert \u5024 \U0001f600 ".encode() + tag, ()),
        (bytes(range(256)), bytes(reversed(range(256))) + tag, ()),
        (b"one header", tag, (("trace", b"abc123"),)),
        (b"repeated header", tag, (("a", b"1"), ("b", b"2"), ("a", b"3"), ("a", b"1"))),
        (b"null header", tag, (("null", None), ("empty", b""))),
        (b"unicode header", tag, (("na\u00efve", "caf\u00e9".encode()),)),
        (b"binary header", tag, (("binary", bytes(range(256))),)),
        (None, None, (("only", b"headers"),)),
        (b"many headers", tag, tuple((f"h{i}", str(i).encode()) for i in range(100))),
        (b"large", _words(200_000, label), ()),
        (b"incompressible", chosen.randbytes(70_000), ()),
    ]
    shapes += [(b"k%d" % i, b'{"id": %d, "of": "%s"}' % (i, tag), ()) for i in range(50)]
    steps = chosen.choices([0, 1, 1, 1, 250, -100], k=len(shapes))
    timestamp = FIRST_TIMESTAMP_MS
    records = []
    for number, ((key, value, headers), step) in enumerate(zip(shapes, steps, strict=True)):
        timestamp += step
        records.append(SampleRecord(number % partitions, key, value, headers, timestamp))
    return records


def offsets_in_order(records: Iterable[SampleRecord]) -> list[int]:
    """Return the offset of each record in an empty topic that stores them in order."""
    following: dict[int, int] = {}
    offsets = []
    for record in records:
        offset = following.get(record.partition, 0)
        following[record.partition] = offset + 1
        offsets.append(offset)
    return offsets


def difference(
    sent: Iterable[SampleRecord], read: Sequence[ReadRecord], *, timestamps: bool = True
) -> str | None:
    """Compare what was sent with what was read, partition by partition and in order.

    Args:
        sent: the records in the order they were sent.
        read: everything a consumer saw, from the beginning.
        timestamps: False when the sending client cannot set them.

    Returns:
        None when equal: each partition has the same records in the same order at offsets 0, 1, 2
        and so on. Otherwise a sentence with the first difference.
    """
    expected: dict[int, list[SampleRecord]] = {}
    for record in sent:
        expected.setdefault(record.partition, []).append(record)
    found: dict[int, list[ReadRecord]] = {}
    for one in read:
        found.setdefault(one.partition, []).append(one)
    if expected.keys() != found.keys():
        return f"sent to partitions {sorted(expected)}, read from {sorted(found)}"
    for partition, records in sorted(expected.items()):
        got = found[partition]
        if [one.offset for one in got] != list(range(len(got))):
            return f"partition {partition}: offsets {[one.offset for one in got]}"
        if len(records) != len(got):
            return f"partition {partition}: {len(records)} sent, {len(got)} read"
        for wanted, one in zip(records, got, strict=True):
            for field in ("key", "value", "headers", "timestamp_ms"):
                if field == "timestamp_ms" and not timestamps:
                    continue
                left, right = getattr(wanted, field), getattr(one, field)
                if left != right:
                    return (
                        f"partition {partition}, offset {one.offset}, key {wanted.key!r:.60}: "
                        f"{field} {left!r:.200} was sent, {right!r:.200} was read"
                    )
    return None
