"""From a request frame to the answer's bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pyproducer.broker.context import CloseConnection, ConnectionInfo, RequestContext
from pyproducer.broker.handlers.table import ROUTES
from pyproducer.broker.quotas.throttling import throttled
from pyproducer.protocol.api import API, ApiKey
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.frame import decode_request_header, encode_response
from pyproducer.protocol.messages.api_versions import ApiVersionsResponse

if TYPE_CHECKING:
    from pyproducer.broker.handlers.route import Route
    from pyproducer.broker.node import Node
    from pyproducer.model import Buffer

_HEAD = struct.Struct(">hhi")


class Router:
    """Looks up each request's API, decodes it, has it handled and encodes the answer.

    Args:
        node: Passed to every handler.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._now = node.clock.outside.monotonic
        self._note = node.journal.note if node.journal.on else None
        self._routes: dict[int, Route] = {route.api_key: route for route in ROUTES}
        self._at_once = frozenset(route.api_key for route in ROUTES if route.at_once)

    def answers_at_once(self, frame: memoryview) -> bool:
        """Whether `answer_at_once` may be asked about the frame, as things are now."""
        return (
            len(frame) >= _HEAD.size
            and _HEAD.unpack_from(frame)[0] in self._at_once
            and not self._node.faults.requests
            and not self._node.commit.awaited
            and not self._node.quotas.on
        )

    def answer_at_once(self, frame: memoryview, connection: ConnectionInfo) -> list[Buffer] | None:
        """The same as `answer`, for a frame of which `answers_at_once` is true."""
        answering = self.answer(frame, connection)
        try:
            answering.send(None)
        except StopIteration as answered:
            answer: list[Buffer] | None = answered.value
            return answer
        answering.close()
        raise RuntimeError("a handler that is to answer at once has waited")

    async def answer(self, frame: memoryview, connection: ConnectionInfo) -> list[Buffer] | None:
        """The answer to one request frame, or None where the protocol has none.

        Raises:
            CloseConnection: The request is not one that this broker serves, or a handler
                wants the connection closed.
            ProtocolError: The request cannot be parsed.
        """
        if len(frame) < _HEAD.size:
            raise CloseConnection(f"a request of {len(frame)} bytes has no header")
        key, version, correlation_id = _HEAD.unpack_from(frame)
        route = self._routes.get(key)
        if route is None or not route.min_version <= version <= route.max_version:
            if key == ApiKey.API_VERSIONS:
                return self._unsupported_api_versions(correlation_id)
            raise CloseConnection(f"API {key} version {version} is not served")
        now = self._now
        started = now()
        header = decode_request_header(frame)
        request = API[key].request.decode(header.body, version, whole=False)
        context = RequestContext(
            api_key=key,
            api_version=version,
            correlation_id=correlation_id,
            client_id=header.client_id or "",
            connection=connection,
            received_at=started,
        )
        client_id, who = context.client_id, connection.who
        node = self._node
        try:
            if node.faults.requests:
                handling = node.faults.handle(route, node, request, context)
            else:
                handling = route.handle(node, request, context)
            if node.quotas.on:
                handling = throttled(node.quotas, handling, context, len(header.body), now)
            response = await handling
        except Exception as error:
            if self._note is not None:
                facts = now(), started, key, version, correlation_id, client_id, who
                self._note(facts, len(frame), None, request, None, str(error))
            raise
        answer = None
        if response is not None:
            answer = encode_response(response, context.api_version, correlation_id)
        ended = now()
        node.metrics.count_request(key, ended - started)
        if self._note is not None:
            version = context.api_version
            facts = ended, started, key, version, correlation_id, client_id, who
            self._note(facts, len(frame), answer, request, response)
        node.pulse.beat()
        return answer

    def _unsupported_api_versions(self, correlation_id: int) -> list[Buffer]:
        # A client newer than us asks in a version whose body we cannot know: it gets the
        # oldest form of the answer, with the ranges, and picks a version from them.
        response = ApiVersionsResponse(
            error_code=ErrorCode.UNSUPPORTED_VERSION, api_keys=self._node.api_ranges()
        )
        return encode_response(response, 0, correlation_id)
