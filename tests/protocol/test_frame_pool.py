"""Memory of large frames that is used again."""

from __future__ import annotations

import random

import pytest

from pyproducer.protocol.frame import FrameReader
from pyproducer.protocol.frame_pool import LARGE, FramePool


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def read_one(reader: FrameReader, data: bytes) -> memoryview:
    reader.feed(framed(data))
    [frame] = reader.frames()
    return frame


def test_memory_of_a_frame_that_is_over_holds_the_next():
    """
    A large frame that was given back is the memory of the next one, which needs no new one.
    """
    pool = FramePool()
    reader = FrameReader(pool=pool)
    first = read_one(reader, b"a" * 200_000)
    memory = first.obj

    pool.give(first)
    second = read_one(reader, b"b" * 150_000)

    assert memory is second.obj
    assert second == b"b" * 150_000
    assert 0 == pool.size


def test_memory_that_somebody_looks_at_is_not_kept():
    """
    A view of a frame that was given back holds what it held, whatever comes after.
    """
    pool = FramePool()
    reader = FrameReader(pool=pool)
    frame = read_one(reader, b"a" * 100_000)
    records = frame[50_000:]

    pool.give(frame)
    read_one(reader, b"b" * 100_000)

    assert 0 == pool.size
    assert records == b"a" * 50_000


def test_a_frame_given_back_is_over():
    """
    Its view refuses to be read, so that nobody reads what comes next in its place.
    """
    pool = FramePool()
    frame = read_one(FrameReader(pool=pool), b"a" * 100_000)

    pool.give(frame)

    with pytest.raises(ValueError, match="released"):
        bytes(frame)


@pytest.mark.parametrize("size", [0, 1, 100, LARGE - 1])
def test_small_frames_leave_nothing(size: int):
    """
    Memory of small frames is not worth keeping.
    """
    pool = FramePool()

    pool.give(read_one(FrameReader(pool=pool), bytes(size)))

    assert 0 == pool.size


def test_no_more_is_kept_than_the_limit():
    """
    Beyond the limit the smallest memory goes, and a frame above it leaves nothing.
    """
    pool = FramePool(limit=400_000)
    for size in (100_000, 150_000, 200_000, 500_000):
        pool.give(memoryview(bytearray(size)))

    assert 350_000 == pool.size
    assert pool.take(200_001) is None
    assert [150_000, 200_000] == [len(pool.take(size) or b"") for size in (1, 1)]
    assert pool.take(1) is None


def test_pooled_frames_of_any_size_are_what_was_sent():
    """
    Frames of changing sizes, cut anywhere on their way, come out whole from memory used before.
    """
    chance = random.Random(4)
    pool = FramePool(limit=1 << 20)
    reader = FrameReader(pool=pool)
    sent = [chance.randbytes(chance.choice((0, 7, 5000, 40_000, 300_000))) for _ in range(60)]
    stream = b"".join(map(framed, sent))
    received = []
    at = 0
    while at < len(stream):
        step = chance.randrange(1, 100_000)
        reader.feed(stream[at : at + step])
        at += step
        for frame in reader.frames():
            received.append(bytes(frame))
            pool.give(frame)

    assert sent == received
    assert 0 < pool.size <= 1 << 20


def test_what_was_kept_is_no_more_than_was_received():
    """
    A peer that announces much and sends little gets memory that is there, or little.
    """
    pool = FramePool()
    pool.give(memoryview(bytearray(200_000)))
    reader = FrameReader(pool=pool)

    reader.feed((90 << 20).to_bytes(4, "big"))

    assert 200_000 == pool.size
    assert len(reader.get_buffer()) <= LARGE


def test_readers_at_rest_share_the_memory_that_they_receive_in():
    """
    A reader between two requests holds no memory of its own; one within a request keeps it.
    """
    pool = FramePool()
    first, second = FrameReader(pool=pool), FrameReader(pool=pool)
    read_one(first, b"a" * 100)
    memory = second.get_buffer().obj
    second.get_buffer()[:6] = b"\x00\x00\x00\x05bb"
    second.buffer_updated(6)

    # The first one's, until the second one has its frame.
    assert first.get_buffer().obj is not memory
    second.get_buffer()[:3] = b"bbb"
    second.buffer_updated(3)
    assert [b"bbbbb"] == [bytes(frame) for frame in second.frames()]
    assert FrameReader(pool=pool).get_buffer().obj is memory


def test_memory_is_lent_to_frames_that_do_not_end_up_to_the_limit_alone():
    """
    However many frames are announced and not sent, no more is lent than is kept; what is dropped
    or complete can be lent again.
    """
    pool = FramePool(limit=400_000)

    def leave_memory() -> None:
        reader = FrameReader(pool=pool)
        pool.give(read_one(reader, b"a" * 300_000))

    def begin() -> FrameReader:
        reader = FrameReader(pool=pool)
        reader.feed((300_000).to_bytes(4, "big") + b"b" * LARGE)
        return reader

    leave_memory()
    first = begin()
    assert 0 == pool.size
    leave_memory()
    second = begin()
    # The second has no more than twice what it received.
    assert 300_000 == pool.size
    first.drop()
    assert 300_000 == pool.size
    third = begin()

    assert 0 == pool.size
    second.feed(b"b" * (300_000 - LARGE))
    [frame] = second.frames()
    assert frame == b"b" * 300_000
    third.drop()
    assert 300_000 == pool.size
