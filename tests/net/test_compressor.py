"""Bodies compressed beside the loop: early, once each, and without one that waits for another."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

import pytest

from pyproducer.core.batch import SealedBatch
from pyproducer.net.compressor import Compressor
from pyproducer.records.codec import Codec
from pyproducer.records.compression import decompress
from tests.helpers.engine_rig import Rig

HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()
TEXT = b"the same words again and again " * 1000


class Told(Compressor):
    """A compressor of lz4 that can be waited for."""

    def __init__(self) -> None:
        self.event = threading.Event()
        super().__init__(Codec.LZ4, None, self.event.set)

    def results(self, count: int) -> dict[int, bytes | None]:
        """So many that are taken and done, by the batch's serial."""
        found: dict[int, bytes | None] = {}
        while len(found) < count:
            assert self.event.wait(20)
            self.event.clear()
            for sealed, made in self.finished():
                assert sealed.batch.serial not in found
                found[sealed.batch.serial] = made
        return found


@pytest.fixture
def compressor() -> Iterator[Told]:
    compressor = Told()
    yield compressor
    compressor.stop()


def closed(values: list[bytes]) -> list[SealedBatch]:
    """Batches of one record each, closed and not compressed."""
    rig = Rig(codec=Codec.LZ4, batch_max_records=1, max_request_size=1 << 20, buffer_memory=1 << 28)
    rig.appender.topic("t")
    rig.hold_compression = True
    for value in values:
        rig.send(value)
    rig.turn()
    return [effect.sealed for effect in rig.compressing]


def test_body_is_compressed_before_it_is_asked_for(compressor):
    """
    A full batch is compressed without anybody's taking it, and told only once it is taken. The
    memory of what it was is free as soon as that is done.
    """
    [sealed] = closed([TEXT])
    plain = bytes(sealed.batch.body())
    compressor.begin(sealed.batch)
    assert compressor.event.wait(20)
    assert [] == list(compressor.finished())
    assert not sealed.batch.body() or not HAS_GIL
    assert compressor.take(sealed)
    [(found, made)] = compressor.finished()

    assert found is sealed
    assert made is not None
    assert plain == decompress(Codec.LZ4, made)


def test_each_comes_once_begun_early_or_not(compressor):
    """
    Of many batches, some of them begun early and some taken at once, each comes back once.
    """
    batches = closed([b"%d " % number * 20_000 for number in range(60)])
    plain = {sealed.batch.serial: bytes(sealed.batch.body()) for sealed in batches}
    for sealed in batches[::2]:
        compressor.begin(sealed.batch)
    at_once = [compressor.take(sealed) for sealed in batches]
    if any(at_once):
        compressor.event.set()
    found = compressor.results(len(batches))

    assert set(plain) == set(found)
    assert not any(at_once[1::2])
    for serial, made in found.items():
        assert made is not None
        assert plain[serial] == decompress(Codec.LZ4, made)


def test_small_bodies_take_no_thread(compressor):
    """
    A small body is compressed where it is, and is there at once.
    """
    before = threading.active_count()
    [sealed] = closed([b"same " * 100])
    compressor.begin(sealed.batch)
    assert compressor.take(sealed)
    [(found, made)] = compressor.finished()

    assert found is sealed
    assert made is not None
    assert before == threading.active_count()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_threads_stand_back(compressor):
    """
    Others have a processor first: the event loop's thread, above all, whose priority is as it was.
    """
    [sealed] = closed([TEXT])
    before = os.getpriority(os.PRIO_PROCESS, 0)
    compressor.take(sealed)
    compressor.results(1)
    threads = [one for one in threading.enumerate() if "pyproducer-compress" in one.name]

    assert threads
    assert {before + 5} == {os.getpriority(os.PRIO_PROCESS, one.native_id) for one in threads}
    assert before == os.getpriority(os.PRIO_PROCESS, 0)


def test_what_does_not_shrink_is_none(compressor):
    """
    A body that compression makes no smaller comes back as None, and is there as it was.
    """
    [sealed] = closed([os.urandom(50_000)])
    plain = bytes(sealed.batch.body())
    assert not compressor.take(sealed)

    assert {sealed.batch.serial: None} == compressor.results(1)
    assert plain == bytes(sealed.batch.body())


def test_who_never_sleeps_steps_aside(compressor):
    """
    A thread that does nothing but step aside has everything compressed meanwhile.
    """
    batches = closed([b"%d " % number * 100_000 for number in range(12)])
    for sealed in batches:
        compressor.take(sealed)
    left = {sealed.batch.serial for sealed in batches}
    while left:
        compressor.step_aside()
        left -= {sealed.batch.serial for sealed, _ in compressor.finished()}
    compressor.stop()

    assert 0 == compressor._pending


def test_stop_leaves_nothing_in_line(compressor):
    """
    What is not begun at the end is dropped, the threads end, and a new beginning finds new ones.
    """
    batches = closed([b"%d " % number * 100_000 for number in range(20)])
    for sealed in batches:
        compressor.take(sealed)
    compressor.stop()
    compressor.event.clear()
    left = compressor._pending, list(compressor.finished())
    [again] = closed([TEXT])
    compressor.take(again)

    assert (0, []) == left
    assert {again.batch.serial} == set(compressor.results(1))
