"""Bodies of requests, responses and stored structures, in every version.

The input is the number of a class and version, then the body.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyproducer.broker.groups.schema import (
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from pyproducer.broker.transactions.schema import TransactionLogKey, TransactionLogValue
from pyproducer.errors import ProtocolError
from pyproducer.protocol.schema import Message
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target
from tests.helpers.random_messages import MessageMaker, message_classes, versions_of

_STORED = (
    OffsetCommitKey,
    OffsetCommitValue,
    GroupMetadataKey,
    GroupMetadataValue,
    TransactionLogKey,
    TransactionLogValue,
)
FORMS: list[tuple[type[Message], int]] = [
    (cls, version) for cls in (*message_classes(), *_STORED) for version in versions_of(cls)
]


def run(data: bytes) -> None:
    """A body is refused with a ProtocolError, or is a message that goes there and back."""
    bites = Bites(data)
    cls, version = bites.one_of(FORMS)
    body = bites.rest()
    try:
        message = cls.decode(body, version, whole=False)
    except ProtocolError as error:
        assert f"{cls.__name__} v{version}" in str(error)
        return
    again = b"".join(message.encode(version))
    assert again == b"".join(cls.decode(again, version).encode(version))


def seeds() -> Iterator[bytes]:
    """A message of every class in its oldest and newest version."""
    for number, (cls, version) in enumerate(FORMS):
        if version in {cls.min_version, cls.max_version}:
            message = MessageMaker((cls.__name__, version, "fuzz"), largest=2).make(cls, version)
            yield number.to_bytes(2, "big") + b"".join(message.encode(version))[:400]


TARGET = Target(run, seeds, max_len=600)
