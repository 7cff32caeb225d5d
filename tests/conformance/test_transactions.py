"""Transactions: Kafka's own tools on what we leave on disk, Kafka's own client on our broker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pyproducer.broker import Broker
from pyproducer.model import TopicPartition
from pyproducer.protocol.api import ApiKey
from tests.helpers.apache_kafka import dump_log_segments, run_tool
from tests.helpers.log_files import segment_files
from tests.helpers.transactional_client import TransactionalProducer
from tests.helpers.wire_client import WireClient

pytestmark = pytest.mark.needs("kafka")

O0 = TopicPartition("orders", 0)


def write(folder: Path) -> TransactionalProducer:
    """Leave committed, aborted and open transactions, and offsets in each, in a data folder."""
    with (
        Broker({"orders": 1}, data_dir=folder) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        producer = TransactionalProducer(client)
        producer.init()
        for commit in (True, False, True, False):
            producer.write(O0)
            producer.add_offsets("group")
            producer.commit_offset("group", O0, 7)
            producer.end(commit=commit)
        producer.write(O0)
        return producer


def test_dump_log_segments_reads_markers_and_aborts(tmp_path: Path):
    """
    Markers, with outcome and coordinator epoch, and .txnindex are what Kafka's tool expects.
    """
    producer = write(tmp_path)
    logs = segment_files(tmp_path, "orders", ".log")
    text = dump_log_segments(logs, "--print-data-log")
    markers = re.findall(r"isTransactional: true .*isControl: true .*isvalid: true", text)
    outcomes = re.findall(r"endTxnMarker: (\w+) coordinatorEpoch: (\d+)", text)
    index = dump_log_segments(segment_files(tmp_path, "orders", ".txnindex"))
    aborted = re.findall(
        r"producerId: (\d+) firstOffset: (\d+) lastOffset: (\d+) lastStableOffset: (\d+)", index
    )

    assert 4 == len(markers)
    assert [("COMMIT", "0"), ("ABORT", "0")] * 2 == outcomes
    name = str(producer.producer_id)
    assert [(name, "2", "3", "4"), (name, "6", "7", "8")] == aborted


def test_dump_log_segments_reads_the_state_topic(tmp_path: Path):
    """
    Kafka's decoder of __transaction_state understands every record of ours.
    """
    producer = write(tmp_path)
    files = [
        file
        for file in segment_files(tmp_path, "__transaction_state", ".log")
        if file.stat().st_size
    ]
    text = dump_log_segments(files, "--transaction-log-decoder")
    states = re.findall(r'"transactionStatus":(\d)', text)
    names = set(re.findall(r'"type":"0","data":{"transactionalId":"(\w+)"}', text))

    assert {"tx"} == names
    assert f'"producerId":{producer.producer_id},"producerEpoch":0' in text
    # Empty; orders and the group added, decided and done, committed and aborted in turn; begun.
    assert list("0" + "1124" + "1135" + "1124" + "1135" + "1") == states


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
def test_kafkas_own_producer_and_consumer(isolation: str):
    """
    Kafka's Java clients, with the new protocol, lose and double nothing.
    """
    with Broker({"orders": 3}) as broker:
        servers = broker.bootstrap_servers
        run_tool(
            "org.apache.kafka.tools.ProducerPerformance",
            "--topic", "orders", "--num-records", "1500", "--record-size", "100",
            "--throughput", "1500", "--transactional-id", "java", "--transaction-duration-ms", "100",
            "--bootstrap-server", servers,
        )  # fmt: skip
        read = run_tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            "--bootstrap-server", servers, "--topic", "orders", "--from-beginning",
            "--isolation-level", isolation, "--max-messages", "1500", "--timeout-ms", "20000",
        )  # fmt: skip
        asked = broker._node().metrics.requests

        assert (
            1500 == len(broker.records("orders", committed=True)) == len(broker.records("orders"))
        )
        assert 1500 == len(read.splitlines())
        assert ApiKey.ADD_PARTITIONS_TO_TXN not in asked
        assert asked[ApiKey.END_TXN].count > 5


def test_kafkas_tool_ends_a_hanging_transaction():
    """
    kafka-transactions lists, describes and aborts what is open on our broker.
    """
    with Broker({"orders": 1}) as broker, WireClient(broker.bootstrap_servers) as client:
        producer = TransactionalProducer(client)
        producer.init()
        producer.write(O0)
        tool = ["org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server"]
        tool.append(broker.bootstrap_servers)

        assert re.search(r"tx\s+1\s+\d+\s+Ongoing", run_tool(*tool, "list"))
        assert "orders-0" in run_tool(*tool, "describe", "--transactional-id", "tx")
        assert [] == broker.records("orders", committed=True)
        run_tool(*tool, "abort", "--topic", "orders", "--partition", "0", "--start-offset", "0")
        [partition] = broker._node().partitions("orders")
        assert partition.last_stable_offset == partition.log_end_offset == 2
