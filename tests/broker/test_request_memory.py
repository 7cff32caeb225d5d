"""What memory a broker touches for large requests, counted in page faults of its process."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from pyproducer.records.codec import Codec
from tests.helpers.broker_process import BrokerProcess
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient

PAGE = 4096

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries keep memory by other rules"
)


def page_faults(pid: int) -> int:
    """Pages of memory that the process has met for the first time."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.LZ4, Codec.ZSTD])
def test_large_requests_are_received_and_unfolded_in_memory_used_before(
    tmp_path: Path, codec: Codec
):
    """
    After some requests of a megabyte the next ones meet next to no fresh memory.
    """
    value = b"".join(number.to_bytes(8, "big") for number in range(125))
    data = batch(1000, value=value, codec=codec)
    rounds = 30
    with (
        BrokerProcess({"orders": 1}, data_dir=tmp_path / "data") as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        for _ in range(20):
            assert 0 == client.produce("orders", data).error_code
        before = page_faults(broker.pid)
        for _ in range(rounds):
            client.produce("orders", data)
        faults = page_faults(broker.pid) - before

    assert faults * PAGE < rounds * 1_000_000 / 10
