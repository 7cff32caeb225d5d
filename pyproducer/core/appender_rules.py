"""What both twins of the appender share: sizes, how watchers are kept, and the door's errors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pyproducer.errors import (
    BufferFull,
    RecordTooLarge,
    SerializationError,
    UnknownTopic,
    UsageError,
    WrongLoop,
)

if TYPE_CHECKING:
    from pyproducer.core.appender import Delivery

_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")

#: Bytes of a batch before its first record: the v2 header.
BATCH_OVERHEAD = 61

#: Bytes of memory that the buffer is charged for beside the bytes of records: for a batch with
#: its timers and its way to the broker, for a record's handle, for its callback, and for what a
#: record is kept in while it waits for metadata. As measured, rounded up.
BATCH_HELD = 1024
RECORD_HELD = 56
CALLBACK_HELD = 32
SHELVED_HELD = 128

#: The first segment of a batch's buffer, and the largest step in which it grows.
FIRST_SEGMENT = 1024
LARGEST_STEP = 65536

#: A caller that never sleeps gives the event loop a turn after so much: bytes, milliseconds.
TURN_BYTES = 262144
TURN_MS = 2

#: And so many bytes more while more partitions are ready than a request takes: they have to wait
#: for their turn anyhow, and the fuller they are by then, the fewer batches there are.
BUSY_TURN_BYTES = 3 * TURN_BYTES

#: So many partitions are looked at before records without a key go on to another.
LOOKED_AT = 8

#: The most that a record's fields other than key, value and headers take: length 5,
#: attributes 1, timestamp delta 10, offset delta 5, key length 5, value length 5.
RECORD_OVERHEAD = 31


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def pairs(watchers: list[Any] | None) -> Iterable[tuple[Delivery, Any]]:
    """Each delivery with its callback or future, of a batch's ``watchers``."""
    flat = iter(watchers or ())
    return zip(flat, flat, strict=True)


def buffer_full(topic: str, needed: int, used: int, limit: int) -> BufferFull:
    """The record found no room in the buffer."""
    return BufferFull(
        f"no room for up to {needed} bytes of a record to {topic!r}: {used} of "
        f"buffer_memory={limit} bytes are in use; slow down, await enqueue(), or raise "
        "buffer_memory",
        needed=needed,
        used=used,
        limit=limit,
    )


def record_too_large(topic: str, size: int, limit: int, limit_name: str) -> RecordTooLarge:
    """The record alone exceeds a limit of this producer."""
    return RecordTooLarge(
        f"a record of up to {size} bytes to {topic!r} exceeds {limit_name}={limit}; "
        f"send less in one record or raise {limit_name}",
        topic=topic,
        size=size,
        limit=limit,
        limit_name=limit_name,
    )


def refused_by_serializer(
    topic: str, field: str, value: object, cause: BaseException
) -> SerializationError:
    """A serializer raised."""
    kind = type(value).__name__
    return SerializationError(
        f"{field} of type {kind} to {topic!r} could not be serialized: "
        f"{type(cause).__name__}: {cause}",
        topic=topic,
        field=field,
        value_type=kind,
    )


def not_bytes(
    topic: str, field: str, value: object, made: object, serialized: bool
) -> SerializationError:
    """What should be bytes by now is not."""
    kind = type(value).__name__
    if serialized:
        text = (
            f"the {field} serializer of {topic!r} returned {type(made).__name__} for a value of "
            f"type {kind}; it must return bytes"
        )
    else:
        text = (
            f"{field} of type {kind} to {topic!r} is neither bytes nor str; "
            f"give the producer or the topic a {field}_serializer"
        )
    return SerializationError(text, topic=topic, field=field, value_type=kind)


def header_error(topic: str, item: object) -> SerializationError:
    """Headers, or one of them, have the wrong shape."""
    return SerializationError(
        f"headers to {topic!r} are a mapping or a sequence of (str, bytes | str | None) pairs; "
        f"this is not: {_brief(item)}",
        topic=topic,
        field="headers",
        value_type=type(item).__name__,
    )


def timestamp_error(topic: str, value: object) -> UsageError:
    """The timestamp is not a count of milliseconds."""
    return UsageError(
        f"timestamp_ms to {topic!r} must be an int of milliseconds since the epoch, 0 or more; "
        f"got {_brief(value)}"
    )


def partition_error(topic: str, value: object) -> UsageError:
    """The partition is not a number of a partition."""
    return UsageError(
        f"partition to {topic!r} must be an int, 0 or more, or None; got {_brief(value)}"
    )


def callback_error(topic: str, value: object) -> UsageError:
    """on_delivery cannot be called, or would only make a coroutine that nobody awaits."""
    return UsageError(
        f"a callback for {topic!r} must be a plain callable of one argument (the Delivery), "
        f"not a coroutine function; got {_brief(value)}"
    )


def wrong_partition(topic: str, number: int, count: int) -> UnknownTopic:
    """The topic lacks the partition that the caller named."""
    return UnknownTopic(
        f"topic {topic!r} has no partition {number}: it has {count}, 0 to {count - 1}",
        topic=topic,
        partition=number,
    )


def check_topic_name(name: object) -> str:
    """The name as a plain str, if a Kafka cluster can have a topic of it.

    Raises:
        UsageError: it is no str.
        UnknownTopic: it is not 1 to 249 of ``a-z A-Z 0-9 . _ -``, or is "." or "..".
    """
    if not isinstance(name, str):
        raise topic_error(name)
    # A member of a StrEnum is welcome; its own __str__ need not be its text.
    name = str.__str__(name)
    if _LEGAL_NAME.fullmatch(name) is None or name in {".", ".."}:
        raise UnknownTopic(
            f"{_brief(name)} is no legal topic name: use 1 to 249 of the characters "
            "a-z A-Z 0-9 . _ -, and not '.' or '..' alone",
            topic=name,
        )
    return name


def wrong_thread() -> WrongLoop:
    """An asyncio producer was called from a thread other than its loop's."""
    return WrongLoop(
        "an AsyncProducer may be called only on the thread of its event loop; "
        "use loop.call_soon_threadsafe, or a SyncProducer, which any thread may call"
    )


def topic_error(value: object) -> UsageError:
    """The topic is not named by a str."""
    return UsageError(f"topic must be a str, not {_brief(value)} of type {type(value).__name__}")
