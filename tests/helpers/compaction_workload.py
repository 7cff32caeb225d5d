"""A script of keyed records and cleanings on a broker without sockets, and a judge of what is left."""

from __future__ import annotations

import asyncio

from pyproducer.broker.housekeeping import Housekeeping
from pyproducer.broker.node import Node
from pyproducer.broker.topics import TopicSpec
from tests.helpers.memory_disk import MemoryDisk, PowerCutError
from tests.helpers.node_client import NodeClient, close_node, open_node
from tests.helpers.partition_logs import batch, records_of
from tests.helpers.virtual_time import VirtualTime

KEYS = 4
ROUNDS = 2
#: Records of each round: the last few stay in the segment that takes appends.
RECORDS = 14
_CONFIG = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "segment.bytes": "300"}


class CompactionWorkload:
    """The script, on one disk, forcing everything to disk before it counts.

    Attributes:
        acknowledged: by key, the number of the newest record that was acknowledged.
        sent: how many records were sent.
        begun: number of the disk's call with which the first cleaning began.
        left: how many records there were after each cleaning.
    """

    def __init__(self, disk: MemoryDisk) -> None:
        self.disk = disk
        self.acknowledged: dict[bytes, int] = {}
        self.sent = 0
        self.begun = -1
        self.left: list[int] = []

    def run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Everything, once.

        Raises:
            PowerCutError: the disk is cut off.
        """
        clock = VirtualTime()
        node = open_node(self.disk, loop, clock)
        node.create_topics([TopicSpec("keyed", 1, _CONFIG)])
        client = NodeClient(node, loop)
        for _ in range(ROUNDS):
            for _ in range(RECORDS):
                self._put(client)
            if self.begun < 0:
                self.begun = self.disk.calls
            _tick(node, loop)
            self.left.append(len(_records(node)))
        close_node(node, loop)

    def _put(self, client: NodeClient) -> None:
        number = self.sent
        key = _key(number)
        self.sent += 1
        data = batch(key=key, value=b"%d" % number * 20, producer=(7, 0, number), time=-1)
        if client.produce("keyed", data).error_code:
            assert self.disk.is_off
            raise PowerCutError(f"record {number} was not acknowledged")
        self.acknowledged[key] = number

    def judge(self, disk: MemoryDisk, loop: asyncio.AbstractEventLoop) -> None:
        """The newest record of each key is there at the start, after a cleaning, and at the next."""
        node = open_node(disk, loop, VirtualTime())
        assert [] == node.offline_partitions()
        self._judge(node)
        _tick(node, loop)
        self._judge(node)
        client = NodeClient(node, loop)
        last = max(self.acknowledged.values())
        again = batch(key=_key(last), value=b"%d" % last * 20, producer=(7, 0, last))
        assert last == client.produce("keyed", again).base_offset
        close_node(node, loop)
        node = open_node(disk, loop, VirtualTime())
        self._judge(node)
        close_node(node, loop)

    def _judge(self, node: Node) -> None:
        newest: dict[bytes, int] = {}
        for record in _records(node):
            key = bytes(record.key or b"")
            assert record.offset > newest.get(key, -1)
            newest[key] = record.offset
            assert record.value == b"%d" % record.offset * 20
        for key, number in self.acknowledged.items():
            # One more may be there that was not acknowledged.
            assert newest[key] in {number, self.sent - 1}


def _key(number: int) -> bytes:
    """Every third record is the only one of its key, so that what is written anew is needed."""
    return b"only-%d" % number if number % 3 == 0 else b"k%d" % (number % KEYS)


def _tick(node: Node, loop: asyncio.AbstractEventLoop) -> None:
    """A minute passes in the broker, with all that it brings."""

    async def passed() -> None:
        housekeeping = Housekeeping(node.clock, node.timers, node.pulse)
        node.add_chores(housekeeping)
        await housekeeping.pass_time(60)

    loop.run_until_complete(passed())


def _records(node: Node):
    partition = node.partition("keyed", 0)
    assert partition is not None
    return records_of(partition.log)
