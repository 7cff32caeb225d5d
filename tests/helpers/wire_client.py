"""A client that says exactly what a test wants: one message at a time, mostly over one socket."""

from __future__ import annotations

import socket
import struct
from types import TracebackType
from typing import Any, Self, TypeVar

from pyproducer.protocol.api import API
from pyproducer.protocol.frame import decode_response_header, encode_request
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    TopicProduceData,
)
from pyproducer.protocol.schema import Message

M = TypeVar("M", bound=Message)

#: Seconds after which a broker that should have answered counts as silent.
PATIENCE = 10.0


class Asking:
    """Something that answers requests, and what is often asked of it."""

    def ask(self, message: Message, version: int) -> Any:
        """Send a request and return its answer."""
        raise NotImplementedError

    def produce(
        self,
        topic: str,
        records: bytes | None,
        *,
        partition: int = 0,
        acks: int = -1,
        version: int = 9,
        timeout_ms: int = 5000,
        transactional_id: str | None = None,
    ) -> PartitionProduceResponse:
        """Produce to one partition and return its part of the answer."""
        request = ProduceRequest(
            transactional_id=transactional_id,
            acks=acks,
            timeout_ms=timeout_ms,
            topic_data=[
                TopicProduceData(
                    name=topic,
                    partition_data=[PartitionProduceData(index=partition, records=records)],
                )
            ],
        )
        answer: PartitionProduceResponse = (
            self.ask(request, version).responses[0].partition_responses[0]
        )
        return answer


class WireClient(Asking):
    """A blocking connection to a broker.

    Args:
        bootstrap_servers: the broker's address.
        client_id: what the client calls itself.
        source: the address that it comes from, such as 127.0.0.3; None is any.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        client_id: str | None = "wire",
        source: str | None = None,
    ) -> None:
        host, port = bootstrap_servers.rsplit(":", 1)
        self.socket = socket.create_connection(
            (host, int(port)),
            timeout=PATIENCE,
            source_address=None if source is None else (source, 0),
        )
        self._client_id = client_id
        self._correlation_id = 100
        self._sent: list[tuple[int, int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, message: Message, version: int) -> int:
        """Send a request and return its correlation id."""
        self._correlation_id += 1
        buffers = encode_request(message, version, self._correlation_id, self._client_id)
        self.socket.sendall(b"".join(buffers))
        self._sent.append((message.api_key, version, self._correlation_id))
        return self._correlation_id

    def receive(self) -> Any:
        """Return the answer to the oldest request that has none; its correlation id is right."""
        api_key, version, correlation_id = self._sent.pop(0)
        found, body = decode_response_header(self.receive_frame(), api_key, version)
        assert found == correlation_id
        return API[api_key].response.decode(body, version)

    def ask(self, message: Message, version: int) -> Any:
        """Send a request and return its answer."""
        self.send(message, version)
        return self.receive()

    def receive_frame(self) -> bytes:
        """Return the next frame without its size."""
        (size,) = struct.unpack(">i", self.receive_exactly(4))
        return self.receive_exactly(size)

    def receive_exactly(self, size: int) -> bytes:
        """Return that many bytes; the broker closing instead is a ConnectionError."""
        data = bytearray(size)
        left = memoryview(data)
        while left:
            count = self.socket.recv_into(left)
            if not count:
                raise ConnectionError("the broker closed the connection")
            left = left[count:]
        return bytes(data)

    def is_closed(self) -> bool:
        """Return whether the broker closes the connection without another byte."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True
