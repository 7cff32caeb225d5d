"""A script of transactions on a broker without sockets, and a judge of what became of each."""

from __future__ import annotations

import asyncio
import time

from pyproducer.broker.topics import TopicSpec
from pyproducer.model import TopicPartition
from tests.helpers.memory_disk import MemoryDisk
from tests.helpers.node_client import NodeClient, close_node, open_node
from tests.helpers.transactional_client import (
    TransactionalProducer,
    batches_in,
    committed_offset,
    fetch,
    latest_offset,
    values_read,
)
from tests.helpers.virtual_time import VirtualTime

PLACES = (TopicPartition("orders", 0), TopicPartition("orders", 1))
GROUP = "g"
#: Which way each transaction goes.
COMMITS = (True, False, False, True, True)
#: From this one on the producer speaks as one of Kafka 4 does (KIP-890).
SECOND_VERSION_SINCE = 2


class TransactionWorkload:
    """The script, on one disk, forcing everything to disk before it counts.

    Attributes:
        made: whether there is a topic.
        ended: how many transactions were answered to have ended.
        asked: for how many that was asked.
    """

    def __init__(self, disk: MemoryDisk) -> None:
        self.disk = disk
        self.made = False
        self.ended = 0
        self.asked = 0
        self._epoch = -1

    def run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Everything, once.

        Raises:
            PowerCutError: the disk is cut off.
        """
        node = open_node(self.disk, loop, _now())
        node.create_topics([TopicSpec("orders", len(PLACES), {"segment.bytes": "500"})])
        self.made = True
        producer = TransactionalProducer(NodeClient(node, loop))
        assert 0 == producer.init()
        for turn, commit in enumerate(COMMITS):
            self._epoch = producer.epoch
            self._fill(producer, turn)
            self.asked += 1
            second = turn >= SECOND_VERSION_SINCE
            assert 0 == producer.end(commit=commit, version=5 if second else 3)
            self.ended += 1
            if turn == 2:
                node.checkpoint()
        close_node(node, loop)

    def _fill(self, producer: TransactionalProducer, turn: int) -> None:
        """The transaction has records in both partitions, and an offset of the group."""
        second = turn >= SECOND_VERSION_SINCE
        if not second:
            assert [0, 0] == producer.add(*PLACES)
        for place in PLACES:
            code = producer.send(place, b"%d" % turn, version=12 if second else 9)
            # A client would try again until its broker is there; this one is not any more.
            assert not code or self.disk.is_off
        if not second:
            assert 0 == producer.add_offsets(GROUP)
        version = 5 if second else 3
        assert 0 == producer.commit_offset(GROUP, PLACES[0], turn, version=version)

    def judge(self, disk: MemoryDisk, loop: asyncio.AbstractEventLoop) -> None:
        """A broker that starts on the disk has each transaction whole or not, and goes on."""
        node = open_node(disk, loop, _now())
        assert [] == node.offline_partitions()
        if self.made:
            client = NodeClient(node, loop)
            outcome = self._outcome(client)
            self._go_on(client, outcome)
        close_node(node, loop)

    def _outcome(self, client: NodeClient) -> list[bytes | None]:
        """What is read everywhere, which is one of the things that it may be."""
        possible = [_committed(self.ended)]
        if self.asked > self.ended:
            possible.append(_committed(self.asked))
        found = [_read(client, place) for place in PLACES]
        assert found[0] == found[1]
        assert found[0] in possible
        return found[0]

    def _go_on(self, client: NodeClient, outcome: list[bytes | None]) -> None:
        """The next holder ends what was open, and nothing holds back readers after that."""
        producer = TransactionalProducer(client)
        assert 0 == producer.init()
        assert producer.epoch > self._epoch
        for place in PLACES:
            assert outcome == _read(client, place)
        offset = int(outcome[-1] or b"") if outcome else -1
        assert (0, offset) == committed_offset(client, GROUP, PLACES[0])
        for place in PLACES:
            producer.write(place, b"after")
        assert 0 == producer.end(commit=True)
        for place in PLACES:
            assert [*outcome, b"after"] == _read(client, place)
            ends = {latest_offset(client, place, committed=one) for one in (True, False)}
            assert 1 == len(ends)


def _now() -> VirtualTime:
    """A clock that stands at this moment: the producer's batches have real time, as markers must."""
    clock = VirtualTime()
    clock.now += int(time.time()) - clock.wall_ms() // 1000
    return clock


def _read(client: NodeClient, place: TopicPartition) -> list[bytes | None]:
    """Everything that a consumer of committed records is shown, one segment at a time."""
    found: list[bytes | None] = []
    offset = 0
    while batches := batches_in(part := fetch(client, place, offset)):
        found += values_read(part)
        offset = batches[-1].header.next_offset
    return found


def _committed(count: int) -> list[bytes | None]:
    """What is read of the first so many transactions."""
    return [b"%d" % turn for turn, commit in enumerate(COMMITS[:count]) if commit]
