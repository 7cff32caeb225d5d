"""The resident memory of a whole process whose broker stands still: the buffer, and little more."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.helpers.broker_process import BrokerProcess
from tests.helpers.flood import flood

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

#: MiB. The margin is for what allocators keep, and for what is the caller's own: lists, tasks.
BUFFER = 32
MARGIN = 40

FLOODS = {
    "1 byte": {"value": 1},
    "1 byte, handles kept": {"value": 1, "keep": True},
    "1 byte, callbacks": {"value": 1, "keep": True, "callback": True},
    "10 KB": {"value": 10_000},
    "large headers": {"value": 10, "header": 1000, "keep": True},
    "no metadata": {"value": 1, "shelf": True, "keep": True},
    "no metadata, callbacks": {"value": 1, "shelf": True, "keep": True, "callback": True},
    "no metadata, large headers": {"value": 10, "header": 1000, "shelf": True},
    "threads": {"value": 1, "keep": True, "callback": True, "threads": 8},
    "threads, no metadata": {"value": 100, "shelf": True, "threads": 8},
    "10,000 waiters": {"value": 10_000, "waiters": 10_000, "seconds": 1.5},
}


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    with BrokerProcess({"t": 3}, data_dir=tmp_path_factory.mktemp("data")) as running:
        yield running
        os.kill(running.pid, signal.SIGCONT)


@pytest.fixture
def standing(process):
    """A broker in a process of its own, which the flood stops; it runs again afterwards."""
    yield process
    os.kill(process.pid, signal.SIGCONT)


@pytest.mark.parametrize("settings", FLOODS.values(), ids=FLOODS.keys())
def test_bounded(standing, settings):
    """
    However fast callers queue, whatever they queue and keep: the process grows by the buffer and a
    margin, and the buffer is full.
    """
    found = flood(standing, settings, buffer_memory=BUFFER * 2**20)

    assert BUFFER * 0.95 < found["charged"] <= BUFFER
    assert found["grown"] < BUFFER + MARGIN


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_bounded_compressed(standing, codec):
    """
    Batches that compression makes very small do not grow in number without end: a buffer of 4 MiB
    is full of them, and the process has hardly grown.
    """
    settings = {"value": 200, "keep": True}
    found = flood(
        standing, settings, buffer_memory=4 * 2**20, compression_type=codec, batch_size=100_000
    )

    assert 3.5 < found["charged"] <= 4
    assert found["grown"] < 4 + 12
