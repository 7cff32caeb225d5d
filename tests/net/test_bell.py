"""The bell that wakes a producer's event loop from other threads."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import threading

import pytest

from pyproducer import SyncProducer
from pyproducer.broker import Broker
from pyproducer.clock import SystemClock
from pyproducer.net.bell import Bell
from pyproducer.net.runner import Runner
from pyproducer.records.codec import Codec


def from_a_thread(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


async def test_a_ring_from_a_thread_is_heard_on_the_loops():
    """
    What is called is called on the loop's thread.
    """
    heard = asyncio.get_running_loop().create_future()
    bell = Bell(asyncio.get_running_loop(), lambda: heard.set_result(threading.get_ident()))

    from_a_thread(bell.ring)

    assert threading.get_ident() == await heard
    bell.take_down()


async def test_many_rings_are_answered_once():
    """
    However often it rings before the loop comes, and even where the pipe is full of rings.
    """
    loop = asyncio.get_running_loop()
    answered = 0

    def answer():
        nonlocal answered
        answered += 1

    bell = Bell(loop, answer)
    from_a_thread(lambda: [bell.ring() for _ in range(1000)])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert 1 == answered

    from_a_thread(lambda: [bell.ring() for _ in range(100_000)])
    while True:
        before = answered
        for _ in range(3):
            await asyncio.sleep(0)
        if answered == before:
            break
    assert 1 < answered < 100
    bell.take_down()


async def test_nobody_hears_a_bell_that_was_taken_down():
    """
    It may still be rung, by a thread that did not know.
    """
    heard = []
    bell = Bell(asyncio.get_running_loop(), lambda: heard.append(True))
    bell.take_down()

    from_a_thread(bell.ring)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert [] == heard


async def test_its_files_are_closed_with_it():
    """
    Not before: a thread that is ringing must not write into another file of that number.
    """
    bell = Bell(asyncio.get_running_loop(), list)
    files = bell._end, bell._rope
    bell.take_down()
    for number in files:
        os.fstat(number)

    del bell
    gc.collect()

    for number in files:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


class WithoutPipes(asyncio.SelectorEventLoop):
    def add_reader(self, fd, callback, *args):
        # asyncio's own way of waking the loop begins before anybody could ask for another.
        raise NotImplementedError

    def _add_reader(self, fd, callback, *args):
        return super()._add_reader(fd, callback, *args)


def test_a_loop_without_pipes_is_woken_by_its_own_means(monkeypatch):
    """
    As Windows' default loop is one: records are sent all the same.
    """
    with Broker(topics={"t": 1}) as broker:
        monkeypatch.setattr(
            asyncio.get_event_loop_policy().__class__, "_loop_factory", WithoutPipes
        )
        with SyncProducer(broker.bootstrap_servers) as producer:
            assert isinstance(producer._background._thread.loop, WithoutPipes)
            assert 0 == producer.send("t", b"x").offset


async def test_what_was_done_before_a_ring_is_seen_after_it():
    """
    However many threads ring at once, the loop looks after the last of them.
    """
    counts = [0] * 8
    seen = asyncio.Event()

    def heard():
        if sum(counts) == 8 * 500:
            seen.set()

    bell = Bell(asyncio.get_running_loop(), heard)

    def ring(number):
        for _ in range(500):
            counts[number] += 1
            bell.ring()

    threads = [threading.Thread(target=ring, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    await asyncio.wait_for(seen.wait(), 30)
    for thread in threads:
        thread.join()
    bell.take_down()


async def test_without_a_file_to_spare_there_is_no_bell():
    """
    A producer starts all the same, and its threads wake the loop by the loop's own means.
    """
    runner = Runner(
        SystemClock(), client_id="c", codec=Codec.NONE, compression_level=None, shared=True
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    try:
        runner.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert runner.running
