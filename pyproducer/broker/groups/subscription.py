"""The part of the consumer protocol that a coordinator may look into: the subscribed topics."""

from __future__ import annotations

import struct

CONSUMER_PROTOCOL_TYPE = "consumer"


def subscribed_topics(metadata: bytes) -> frozenset[str] | None:
    """Return the topics named in a consumer's join metadata, None if it is not readable.

    The layout is: int16 version, array of strings, then fields that do not matter here. Members
    may carry anything, so unreadable bytes are an answer, not an error.
    """
    try:
        version, count = struct.unpack_from(">hi", metadata)
        # Each topic takes two bytes at least, so a larger count is a lie.
        if version < 0 or not 0 <= count <= len(metadata) // 2:
            return None
        topics = set()
        position = 6
        for _ in range(count):
            (length,) = struct.unpack_from(">h", metadata, position)
            end = position + 2 + length
            if length < 0 or end > len(metadata):
                return None
            topics.add(metadata[position + 2 : end].decode())
            position = end
    except (struct.error, UnicodeDecodeError):
        return None
    return frozenset(topics)
