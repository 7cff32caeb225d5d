from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.broker.groups.subscription import subscribed_topics


@given(st.lists(st.text(max_size=10), max_size=5), st.binary(max_size=20), st.integers(0, 9))
def test_topics_are_found_before_whatever_follows(topics, rest, version):
    """
    Later versions add fields behind; the topics stay where they are.
    """
    packed = b"".join(struct.pack(">h", len(topic.encode())) + topic.encode() for topic in topics)

    assert subscribed_topics(struct.pack(">hi", version, len(topics)) + packed + rest) == set(
        topics
    )


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"\0\0",
        b"\xff\xff\0\0\0\0",
        b"\0\0\x7f\xff\xff\xff",
        b"\0\0\0\0\0\x01\0\x05ab",
        b"\0\0\0\0\0\x01\xff\xffab",
        b"\0\0\0\0\0\x01\0\x01\xff",
    ],
)
def test_unreadable_metadata_is_none(metadata):
    """
    Bytes that are no subscription tell nothing, and do no harm.
    """
    assert subscribed_topics(metadata) is None
