"""A client of a broker without sockets, and such a broker, on a loop that stands still in between."""

from __future__ import annotations

import asyncio
from typing import Any

from pyproducer.broker.context import ConnectionInfo
from pyproducer.broker.log.slices import LogSlice
from pyproducer.broker.node import Node
from pyproducer.broker.router import Router
from pyproducer.protocol.api import API
from pyproducer.protocol.frame import decode_response_header, encode_request
from pyproducer.protocol.schema import Message
from tests.helpers.broker_workload import BrokerWorkload
from tests.helpers.memory_disk import MemoryDisk
from tests.helpers.virtual_time import VirtualTime
from tests.helpers.wire_client import Asking


class NodeClient(Asking):
    """A client whose requests come to a broker's router as frames, on a loop that is its own."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self._router = Router(node)
        self._loop = loop
        self._connection = ConnectionInfo(1, "nowhere", 0)
        self._correlation_id = 0

    def ask(self, message: Message, version: int) -> Any:
        """Send a request and return its answer."""
        self._correlation_id += 1
        sent = b"".join(encode_request(message, version, self._correlation_id, "node client"))
        answer = self._loop.run_until_complete(
            self._router.answer(memoryview(sent)[4:], self._connection)
        )
        parts = [one.read() if isinstance(one, LogSlice) else one for one in answer or []]
        frame = b"".join(parts)[4:]
        found, body = decode_response_header(frame, message.api_key, version)
        assert found == self._correlation_id
        return API[message.api_key].response.decode(body, version)


def open_node(disk: MemoryDisk, loop: asyncio.AbstractEventLoop, clock: VirtualTime) -> Node:
    """A broker that forces everything to disk before it counts, as it starts on a disk."""

    async def opened() -> Node:
        return BrokerWorkload.open(disk, clock)

    return loop.run_until_complete(opened())


def close_node(node: Node, loop: asyncio.AbstractEventLoop) -> None:
    """The broker has stopped."""
    loop.run_until_complete(node.commit.close())
    node.groups.close()
    node.close()
