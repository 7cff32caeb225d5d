"""A peer that answers as its script says: well, late, wrongly, or not at all.

It speaks the protocol by the package's own tables, over a real socket and from a thread of its
own, so that producers of both kinds can be tested against what no sound broker would do.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

from pyproducer.loop_thread import LoopThread
from pyproducer.protocol.api import API, ApiKey
from pyproducer.protocol.frame import decode_request, encode_response
from pyproducer.protocol.messages.api_versions import ApiVersion, ApiVersionsResponse
from pyproducer.protocol.messages.init_producer_id import InitProducerIdResponse
from pyproducer.protocol.messages.metadata import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from pyproducer.protocol.messages.produce import (
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from pyproducer.protocol.schema import Message
from pyproducer.records.batch import read_header


@dataclass(frozen=True)
class Raw:
    """Bytes to send as they are, instead of a response."""

    data: bytes


class Close:
    """Close the connection instead of answering."""


class Silence:
    """Never answer this request."""


Reply: TypeAlias = Message | Raw | Close | Silence
Script: TypeAlias = Callable[[Any], Reply]

SPOKEN = (ApiKey.PRODUCE, ApiKey.METADATA, ApiKey.API_VERSIONS, ApiKey.INIT_PRODUCER_ID)


class ScriptedBroker:
    """A listener on loopback; ``script[api]`` replaces what it would answer.

    Attributes:
        script: what to answer, by API; a function of the request.
        topics: number of partitions by topic; others do not exist.
        produced: every Produce request that came.
        seen: the APIs asked for, in order.
        connections: how many connections were made.
    """

    def __init__(
        self, topics: Mapping[str, int] | None = None, script: Mapping[ApiKey, Script] | None = None
    ) -> None:
        self.topics = dict(topics or {"t": 1})
        self.script: dict[ApiKey, Script] = dict(script or {})
        self.produced: list[ProduceRequest] = []
        self.seen: list[ApiKey] = []
        self.connections = 0
        self.port = 0
        self._offsets: dict[tuple[str, int], int] = {}
        self._thread = LoopThread("scripted-broker")
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._thread.call(self._open)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.call(self._close)
        self._thread.stop()

    def hang_up(self) -> None:
        """Break every connection there is; new ones are taken."""
        self._thread.call(self._drop)

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        # No more are taken. The server stays for one taken a moment ago, which is made, by a task
        # of the loop's, in the next turns: a closed server would leave it open for ever.
        loop = asyncio.get_running_loop()
        for listener in self._server.sockets:
            loop.remove_reader(listener.fileno())
        while len(asyncio.all_tasks()) > 1 or self._writers:
            await self._drop()
            await asyncio.sleep(0.005)
        self._server.close()

    async def _drop(self) -> None:
        writers, self._writers = self._writers, set()
        for writer in writers:
            writer.transport.abort()
        handlers = list(self._handlers)
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A plain function: a handler that is cancelled before its first step would never get to
        # close what it was made for.
        self._writers.add(writer)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                if not self._answer(await reader.readexactly(size), writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def _answer(self, frame: bytes, writer: asyncio.StreamWriter) -> bool:
        header, request = decode_request(frame)
        api = ApiKey(header.api_key)
        self.seen.append(api)
        if isinstance(request, ProduceRequest):
            # The records are views of the frame; whoever looks later needs them still.
            self.produced.append(request)
        reply = self.script.get(api, self.respond)(request)
        match reply:
            case Close():
                return False
            case Silence():
                return True
            case Raw(data):
                writer.write(data)
            case _:
                if not (isinstance(request, ProduceRequest) and request.acks == 0):
                    writer.writelines(
                        encode_response(reply, header.api_version, header.correlation_id)
                    )
        return True

    # What a sound broker says.

    def respond(self, request: Any) -> Message:
        """The answer without a script."""
        match API[request.api_key].key if hasattr(API[request.api_key], "key") else request.api_key:
            case ApiKey.API_VERSIONS:
                return ApiVersionsResponse(
                    api_keys=[
                        ApiVersion(
                            api_key=int(key),
                            min_version=API[key].request.min_version,
                            max_version=API[key].request.max_version,
                        )
                        for key in SPOKEN
                    ]
                )
            case ApiKey.METADATA:
                return self.metadata(request)
            case ApiKey.INIT_PRODUCER_ID:
                return InitProducerIdResponse(producer_id=7, producer_epoch=0)
            case _:
                return self.ack(request)

    def metadata(self, request: Any) -> MetadataResponse:
        """This broker alone, leading everything."""
        return MetadataResponse(
            brokers=[MetadataResponseBroker(node_id=0, host="127.0.0.1", port=self.port)],
            cluster_id="scripted",
            controller_id=0,
            topics=[
                MetadataResponseTopic(
                    error_code=0 if topic.name in self.topics else 3,
                    name=topic.name,
                    partitions=[
                        MetadataResponsePartition(
                            partition_index=index, leader_id=0, replica_nodes=[0], isr_nodes=[0]
                        )
                        for index in range(self.topics.get(topic.name, 0))
                    ],
                )
                for topic in request.topics or []
            ],
        )

    def ack(self, request: ProduceRequest, *, error_code: int = 0) -> ProduceResponse:
        """Every partition's batch is in the log, or refused with this code."""
        return ProduceResponse(
            responses=[
                TopicProduceResponse(
                    name=topic.name,
                    partition_responses=[
                        PartitionProduceResponse(
                            index=part.index,
                            error_code=error_code,
                            base_offset=-1 if error_code else self._append(topic.name, part),
                        )
                        for part in topic.partition_data
                    ],
                )
                for topic in request.topic_data
            ]
        )

    def _append(self, topic: str, part: Any) -> int:
        where = topic, part.index
        base = self._offsets.get(where, 0)
        self._offsets[where] = base + read_header(part.records).record_count
        return base
