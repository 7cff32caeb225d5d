"""A script that does to a broker what clients do to it, and a judge of what it knows afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pyproducer.broker.broker_clock import BrokerClock
from pyproducer.broker.configs import BrokerConfig
from pyproducer.broker.context import ConnectionInfo, RequestContext
from pyproducer.broker.durability import Durability
from pyproducer.broker.group_commit import GroupCommit
from pyproducer.broker.groups.wiring import open_groups
from pyproducer.broker.handlers import offset_commit, offset_fetch, produce
from pyproducer.broker.handlers.table import ROUTES
from pyproducer.broker.node import Node
from pyproducer.broker.timers import Timers
from pyproducer.broker.topics import TopicSpec
from pyproducer.broker.transactions.wiring import open_transactions
from pyproducer.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pyproducer.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from tests.helpers.log_workload import ROOT
from tests.helpers.memory_disk import MemoryDisk
from tests.helpers.partition_logs import batch, records_of
from tests.helpers.virtual_time import VirtualTime

TURNS = 6
_SMALL = {"segment.bytes": "400", "retention.bytes": "-1"}


async def _here(call: Callable[..., None], *arguments: Any) -> None:
    """Runs the call in no thread, so that calls of the disk come in one order."""
    call(*arguments)


class BrokerWorkload:
    """The script, on one disk, forcing everything to disk before it counts.

    Attributes:
        topics: what was created and not deleted, acknowledged.
        deleted: what was deleted, acknowledged.
        records: sequences acknowledged, by partition.
        committed: the offset of the group that was acknowledged last, and one that may count.
        ids: producer ids that were given.
    """

    def __init__(self, disk: MemoryDisk) -> None:
        self.disk = disk
        self.topics: set[str] = set()
        self.deleted: set[str] = set()
        self.records: dict[tuple[str, int], list[int]] = {}
        self.committed = (-1, -1)
        self.retention: set[str] = {"-1"}
        self.ids: list[int] = []

    @staticmethod
    def open(disk: MemoryDisk, time: VirtualTime | None = None) -> Node:
        """A broker on a disk, without its sockets."""
        clock = BrokerClock(time or VirtualTime())
        config = {"offsets.topic.num.partitions": "1", "transaction.state.log.num.partitions": "1"}
        node = Node(
            ROOT,
            config=BrokerConfig(config),
            clock=clock,
            fs=disk,
            routes=ROUTES,
            durability=Durability(flush="always"),
        )
        node.commit = GroupCommit(always=True, in_thread=_here)
        node.open()
        node.timers = Timers(asyncio.get_running_loop(), clock)
        open_groups(node, node.timers)
        open_transactions(node)
        return node

    async def run(self) -> None:
        """Everything, once.

        Raises:
            PowerCutError: the disk is cut off.
        """
        node = self.open(self.disk)
        for name, partitions in (("a", 2), ("b", 1)):
            self._create(node, name, partitions)
        self.ids.append(node.producer_ids.take())
        for turn in range(TURNS):
            await self._produce(node, [("a", 0), ("a", 1), ("b", 0)], turn)
            await self._commit(node, turn)
            if turn == 2:
                self._configure(node)
            if turn == 3:
                self._delete(node, "b")
                self._create(node, "c", 1)
        node.checkpoint()
        await node.commit.close()
        node.groups.close()
        node.close()

    def _create(self, node: Node, name: str, partitions: int) -> None:
        node.create_topics([TopicSpec(name, partitions, _SMALL)])
        self.topics.add(name)

    def _delete(self, node: Node, name: str) -> None:
        # While that is under way it may be there or not.
        self.topics.discard(name)
        self.records = {tp: one for tp, one in self.records.items() if tp[0] != name}
        node.delete_topics([name])
        self.deleted.add(name)

    def _configure(self, node: Node) -> None:
        self.retention = {"-1", "5"}
        node.configure_topic("a", {**_SMALL, "retention.ms": "5"})
        self.retention = {"5"}

    async def _produce(self, node: Node, places: list[tuple[str, int]], turn: int) -> None:
        """One request for all partitions that there are."""
        data = batch(1, value=b"%d" % turn, producer=(self.ids[0], 0, turn), time=-1)
        places = [one for one in places if one[0] in self.topics]
        request = ProduceRequest(
            acks=-1,
            timeout_ms=1000,
            topic_data=[
                TopicProduceData(
                    name=topic,
                    partition_data=[PartitionProduceData(index=at, records=memoryview(data))],
                )
                for topic, at in places
            ],
        )
        answer = await produce.handle(node, request, context(0, 9))
        assert answer is not None
        for place, one in zip(places, answer.responses, strict=True):
            if one.partition_responses[0].error_code == 0:
                self.records.setdefault(place, []).append(turn)

    async def _commit(self, node: Node, turn: int) -> None:
        self.committed = (self.committed[0], turn)
        part = OffsetCommitRequestPartition(partition_index=0, committed_offset=turn)
        request = OffsetCommitRequest(
            group_id="g", topics=[OffsetCommitRequestTopic(name="a", partitions=[part])]
        )
        answer = await offset_commit.handle(node, request, context(8, 2))
        if answer.topics[0].partitions[0].error_code == 0:
            self.committed = (turn, turn)

    async def judge(self, disk: MemoryDisk) -> None:
        """A broker that starts on the disk knows all that was acknowledged, and goes on."""
        node = self.open(disk)
        assert [] == node.offline_partitions()
        names = {topic.name for topic in node.topics}
        assert self.topics <= names
        assert not self.deleted & names
        for (topic, at), turns in self.records.items():
            partition = node.partition(topic, at)
            assert partition is not None
            values = [int(record.value or b"") for record in records_of(partition.log, 0)]
            # One more may be there that was not acknowledged.
            assert values[: len(turns)] == turns
            assert values == list(range(len(values)))
            assert len(values) <= len(turns) + 1
        if "a" in names and self.topics:
            assert node.topics["a"].configs.get("retention.ms", "-1") in self.retention
        assert await self._fetched(node) in range(self.committed[0], self.committed[1] + 1)
        assert node.producer_ids.take() not in self.ids
        for topic, at in self.records:
            await self._again(node, topic, at)
        await node.commit.close()
        node.groups.close()
        node.close()

    async def _fetched(self, node: Node) -> int:
        wanted = OffsetFetchRequestTopic(name="a", partition_indexes=[0])
        answer = await offset_fetch.handle(
            node, OffsetFetchRequest(group_id="g", topics=[wanted]), context(9, 2)
        )
        offset: int = answer.topics[0].partitions[0].committed_offset
        return offset

    async def _again(self, node: Node, topic: str, at: int) -> None:
        """The last batch that was acknowledged is known."""
        turn = self.records[topic, at][-1]
        data = batch(1, value=b"%d" % turn, producer=(self.ids[0], 0, turn), time=-1)
        partition = node.partition(topic, at)
        assert partition is not None
        assert turn == partition.append(memoryview(data), request_version=9).base_offset


def context(api_key: int, version: int) -> RequestContext:
    """A request of a client that is not there."""
    return RequestContext(api_key, version, 1, "", ConnectionInfo(1, "nowhere", 0))
