"""The broker's HTTP side: what it is and was asked, metrics for Prometheus, time, and faults.

Whoever reaches it sees everything and can set faults. So it listens on loopback unless told
otherwise, and elsewhere with a token only; see `http_guard`. No file is ever named by a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from pyproducer.broker.broker_clock import checked_span
from pyproducer.broker.context import ConnectionInfo
from pyproducer.broker.faults.http import FaultsHttp
from pyproducer.broker.http_guard import BODY_SIZE, HEADER_SIZE, Guard, admitted, complete
from pyproducer.broker.journal_http import JournalHttp
from pyproducer.broker.json_http import json_object
from pyproducer.broker.metrics import LATENCY_BOUNDS
from pyproducer.errors import ConfigError
from pyproducer.protocol.api import API

if TYPE_CHECKING:
    from aiohttp import web

    from pyproducer.broker.faults.faults import Faults
    from pyproducer.broker.http_settings import HttpSettings
    from pyproducer.broker.node import Node
    from pyproducer.broker.state import BrokerState

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds that open HTTP requests get when the broker stops.
_SHUTDOWN = 1.0
#: Seconds for which a connection may wait for its next request.
_KEEPALIVE = 60.0
#: Seconds in which the rest of a body that is too large may come, so that the refusal is read.
_LINGERING = 1.0


class AdminHttp:
    """Serves what a broker shows of itself, `/tick` and `/faults`, from `start` until `close`.

    Args:
        node: What it tells about.
        faults: What `/faults` sets and ends.
        state: Tells what the broker is.
        pass_time: Does what so many more seconds bring.

    Attributes:
        guard: Its connections' limits; known after `start`.

    Raises:
        ConfigError: aiohttp is not installed.
    """

    guard: Guard

    def __init__(
        self,
        node: Node,
        faults: Faults,
        state: Callable[[], BrokerState],
        pass_time: Callable[[float], Awaitable[None]],
    ) -> None:
        try:
            from aiohttp import web
        except ImportError as error:
            raise ConfigError(
                "http_port needs aiohttp: pip install 'pyproducer[cli]'", option="http_port"
            ) from error
        self._node = node
        self._state = state
        self._pass_time = pass_time
        self._faults = FaultsHttp(faults)
        self._web = web
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, settings: HttpSettings) -> int:
        """Listens at the address; returns the port, which the system picks for port 0.

        Raises:
            OSError: The address cannot be bound.
        """
        guard = self.guard = Guard(self._protocol)
        app = self._web.Application(
            middlewares=[complete(guard.arrived)], client_max_size=BODY_SIZE
        )
        app.add_routes(
            [
                self._web.get("/health", self._health),
                self._web.get("/topics", self._topics),
                self._web.get("/metrics", self._metrics),
                self._web.get("/state", self._show_state),
                self._web.post("/tick", self._tick),
                *JournalHttp(self._node.journal).routes(),
                *self._faults.routes(),
            ]
        )
        self._runner = self._web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=_SHUTDOWN,
            keepalive_timeout=_KEEPALIVE,
            lingering_time=_LINGERING,
            max_line_size=HEADER_SIZE,
            max_field_size=HEADER_SIZE,
        )
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        server.request_handler = admitted(settings.token, server.request_handler, self._refused)
        self._listener = await asyncio.get_running_loop().create_server(
            guard, settings.host, settings.port, ssl=settings.tls, reuse_address=True
        )
        return int(self._listener.sockets[0].getsockname()[1])

    def _refused(self, request: web.BaseRequest, why: str) -> None:
        peer = ConnectionInfo(0, request.remote or "unknown", 0, listener="HTTP")
        self._node.audit.refused(peer, "token", "", why)

    def _protocol(self) -> asyncio.Protocol:
        assert self._runner is not None
        assert self._runner.server is not None
        protocol: asyncio.Protocol = self._runner.server()
        return protocol

    async def close(self) -> None:
        """Nothing is listened at any more."""
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, request: web.Request) -> web.Response:
        offline = self._node.offline_partitions()
        body = {
            "status": "degraded" if offline else "ok",
            "cluster_id": self._node.cluster_id,
            "node_id": self._node.node_id,
            "offline_partitions": offline,
        }
        return self._web.json_response(body, status=503 if offline else 200)

    async def _topics(self, request: web.Request) -> web.Response:
        node = self._node
        return self._web.json_response(
            [
                {
                    "name": topic.name,
                    "id": str(topic.id),
                    "internal": topic.internal,
                    "configs": dict(topic.configs),
                    "partitions": [
                        {
                            "partition": one.index,
                            "start_offset": one.log_start_offset,
                            "end_offset": one.high_watermark,
                            "bytes": one.log.size,
                        }
                        for one in node.partitions(topic.name)
                    ],
                }
                for topic in node.topics
            ]
        )

    async def _show_state(self, request: web.Request) -> web.Response:
        return self._web.json_response(self._state().as_dict())

    async def _tick(self, request: web.Request) -> web.Response:
        """`{"days": 8}`: so much time passes; the answer says how far the clock is ahead."""
        try:
            await self._pass_time(checked_span(None, await json_object(request)))
        except ConfigError as error:
            return self._web.json_response({"error": str(error)}, status=400)
        clock = self._node.clock
        body = {"time_ms": clock.wall_ms(), "ahead_seconds": clock.ahead}
        return self._web.json_response(body)

    async def _metrics(self, request: web.Request) -> web.Response:
        text = "".join(f"{line}\n" for line in metric_lines(self._node))
        return self._web.Response(body=text.encode(), headers={"Content-Type": _TEXT})


def metric_lines(node: Node) -> Iterator[str]:
    """The node's counters and gauges, one line each, in Prometheus' text format."""
    metrics = node.metrics
    topics = sorted(metrics.topics.items())
    for name, text, values in (
        ("records_in", "Records appended.", [(t, c.records_in) for t, c in topics]),
        ("bytes_in", "Bytes of batches appended.", [(t, c.bytes_in) for t, c in topics]),
        ("bytes_out", "Bytes of batches fetched.", [(t, c.bytes_out) for t, c in topics]),
    ):
        yield from _head(f"{name}_total", "counter", text)
        for topic, value in values:
            yield f'pyproducer_broker_{name}_total{{topic="{topic}"}} {value}'
    partitions = [one for topic in node.topics for one in node.partitions(topic.name)]
    for name, text, ends in (
        ("log_start_offset", "Oldest offset.", [one.log_start_offset for one in partitions]),
        (
            "log_end_offset",
            "Offset of the next record.",
            [one.log_end_offset for one in partitions],
        ),
        ("log_bytes", "Bytes on disk.", [one.log.size for one in partitions]),
    ):
        yield from _head(name, "gauge", text)
        for one, value in zip(partitions, ends, strict=True):
            yield (
                f'pyproducer_broker_{name}{{topic="{one.topic}",partition="{one.index}"}} {value}'
            )
    yield from _head("connections", "gauge", "Open connections.")
    yield f"pyproducer_broker_connections {metrics.connections_open}"
    yield from _head("connections_total", "counter", "Connections since the start.")
    yield f"pyproducer_broker_connections_total {metrics.connections_total}"
    for name, text, counts in (
        ("rejected", "Connections beyond a limit.", metrics.connections_rejected),
        ("closed", "Connections that the broker has ended.", metrics.connections_closed),
    ):
        yield from _head(f"connections_{name}_total", "counter", text)
        for reason, count in sorted(counts.items()):
            yield f'pyproducer_broker_connections_{name}_total{{reason="{reason}"}} {count}'
    for name, text in (
        ("handshakes_failed", "TLS handshakes that failed."),
        ("authentications", "Clients that have said who they are."),
        ("authentications_failed", "Clients that could not say it."),
        ("reauthentications", "Clients that have said it again on an open connection."),
        ("reauthentications_failed", "Clients that could not say it again."),
        ("sessions_expired", "Connections closed since nobody said it again in time."),
    ):
        yield from _head(f"{name}_total", "counter", text)
        yield f"pyproducer_broker_{name}_total {getattr(metrics, name)}"
    yield from _head("request_seconds", "histogram", "Time to answer, waiting included.")
    for key, counters in sorted(metrics.requests.items()):
        api = API[key].name
        below = 0
        for bound, count in zip((*LATENCY_BOUNDS, "+Inf"), counters.buckets, strict=True):
            below += count
            yield f'pyproducer_broker_request_seconds_bucket{{api="{api}",le="{bound}"}} {below}'
        yield f'pyproducer_broker_request_seconds_sum{{api="{api}"}} {counters.seconds:.6f}'
        yield f'pyproducer_broker_request_seconds_count{{api="{api}"}} {counters.count}'


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return (
        f"# HELP pyproducer_broker_{name} {text}",
        f"# TYPE pyproducer_broker_{name} {kind}",
    )
