"""The demo's comparison finds what is wrong: it is given logs that were tampered with."""

from __future__ import annotations

import json

import pytest

from pyproducer import RecordMetadata
from pyproducer.cli.demo.trial import Format, compare
from pyproducer.records.builder import build_batch
from pyproducer.records.reader import Record, iter_batches

FORMAT = Format("json", lambda value: json.dumps(value).encode(), json.loads)
RECORDS = [{"icao": "A", "lat": 1.5}, {"icao": "B", "lat": 2.5}, {"icao": "C", "lat": 3.5}]


class Settled:
    """A handle whose outcome is known."""

    def __init__(self, offset: int, error: Exception | None = None) -> None:
        self._offset = offset
        self._error = error

    def exception(self) -> Exception | None:
        return self._error

    def result(self) -> RecordMetadata:
        return RecordMetadata("t", 0, self._offset, 0)


def log(*pairs: tuple[bytes, bytes]) -> dict:
    records = [Record(n, 0, key=key, value=value) for n, (key, value) in enumerate(pairs)]
    return {0: list(iter_batches(build_batch(records)))}


def pairs() -> list[tuple[bytes, bytes]]:
    return [(one["icao"].encode(), FORMAT.serialize(one)) for one in RECORDS]


def differences(batches: dict, offsets: tuple[int, ...] = (0, 1, 2)) -> list[str]:
    return list(compare(RECORDS, [Settled(one) for one in offsets], batches, FORMAT))


def test_equal():
    """
    A log that holds what was sent differs in nothing.
    """
    assert [] == differences(log(*pairs()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows[:2], "acknowledged at 0@2"),
        (lambda rows: [*rows, rows[0]], "not sent"),
        (lambda rows: [rows[0], (b"X", rows[1][1]), rows[2]], "key b'X'"),
        (lambda rows: [rows[0], (b"B", rows[1][1] + b" "), rows[2]], "other bytes"),
    ],
    ids=["lost", "doubled", "key", "bytes"],
)
def test_tampered(change, told):
    """
    A lost, doubled or changed record is found.
    """
    [found] = differences(log(*change(pairs())))

    assert told in found


def test_swapped_order():
    """
    Acknowledged offsets that go back are found.
    """
    rows = pairs()

    assert ["B is at 0@0, before its predecessor"] == differences(
        log(rows[1], rows[0], rows[2]), (1, 0, 2)
    )


def test_deserializer_that_lies():
    """
    A value that reads as another one is found although its bytes are right.
    """
    lying = Format("json", FORMAT.serialize, lambda data: {**json.loads(data), "lat": 0})

    found = list(compare(RECORDS, [Settled(n) for n in range(3)], log(*pairs()), lying))

    assert 3 == len(found)
    assert "another value" in found[0]
