r"""Who a client of a SASL listener is; what it may say before that is known, how long after.

A session stands where a connection without SASL has the router, and lets nothing through to it
until the client has proved who it is::

    FRESH -- ApiVersions --> GREETED -- SaslHandshake --> PROVING -- last token --> OPEN
      \---------------------- SaslHandshake ----------------^            |
                                                             \-- SaslHandshake again (KIP-368)

Tokens come in SaslAuthenticate after a handshake of version 1, and bare, with nothing but a size
in front, after one of version 0. Whatever else comes ends the connection; a client that failed is
told so after `connection.failed.authentication.delay.ms`, which makes guessing slow.

An open session ends when `connections.max.reauth.ms` has passed, or with the token that it was
opened with: then the next request closes the connection unless it is a SaslHandshake. A client
measures that by its own clock, and a token's maker by theirs, so that real time counts here and
not the broker's own, which a tick moves.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from pyproducer.broker.context import CloseConnection, ConnectionInfo
from pyproducer.broker.security.sasl.exchange import AuthenticationFailed
from pyproducer.errors import ProtocolError
from pyproducer.protocol.api import API, ApiKey
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.frame import decode_request_header, encode_response
from pyproducer.protocol.messages.sasl_authenticate import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
)
from pyproducer.protocol.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from pyproducer.protocol.principal import USER, Principal

if TYPE_CHECKING:
    from pyproducer.broker.node import Node
    from pyproducer.broker.router import Router
    from pyproducer.broker.security.sasl.exchange import Authenticated, Exchange
    from pyproducer.model import Buffer
    from pyproducer.protocol.frame import RequestHeader
    from pyproducer.protocol.schema import Message

__all__ = ["Mechanism", "Session"]

_HEAD: Final = struct.Struct(">hhih")
_SIZE: Final = struct.Struct(">i")
#: Since this version of SaslHandshake tokens come in SaslAuthenticate.
_WRAPPED_SINCE: Final = 1
#: Seconds after the begin of a re-authentication in which there is no other, as in Kafka.
_REAUTH_REST: Final = 1.0
#: Apart from tokens, what a client may say before it has proved who it is.
_SPOKEN_FIRST: Final = frozenset({ApiKey.API_VERSIONS, ApiKey.SASL_HANDSHAKE})


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A mechanism that a listener offers.

    Attributes:
        begin: Begins one client's way through it.
        max_session_ms: How long a session lasts at most; 0 is for ever.
    """

    begin: Callable[[], Exchange]
    max_session_ms: int = 0


class _State(Enum):
    FRESH = auto()
    GREETED = auto()
    PROVING = auto()
    OPEN = auto()


class Session:
    """What a client says on one connection of a listener with SASL.

    Args:
        node: Whose clock, settings and counters are used.
        router: Answers what is let through.
        mechanisms: What the listener offers, by name.
        opened: Called when the client has proved for the first time who it is.
    """

    def __init__(
        self,
        node: Node,
        router: Router,
        mechanisms: Mapping[str, Mechanism],
        opened: Callable[[], None],
    ) -> None:
        self._node = node
        self._router = router
        self._mechanisms = mechanisms
        self._opened = opened
        self._clock = node.clock.outside
        self._state = _State.FRESH
        self._exchange: Exchange | None = None
        self._mechanism = ""
        self._wrapped = False
        # The user of the session that is open, also while it is proved again.
        self._user: str | None = None
        self._ends: float | None = None
        self._proved_at = float("-inf")

    def answers_at_once(self, frame: memoryview) -> bool:
        """As the router's, of a session that is open and not over."""
        return self._state is _State.OPEN and not self._over and self._router.answers_at_once(frame)

    def answer_at_once(self, frame: memoryview, connection: ConnectionInfo) -> list[Buffer] | None:
        """As the router's."""
        return self._router.answer_at_once(frame, connection)

    def answer(
        self, frame: memoryview, connection: ConnectionInfo
    ) -> Coroutine[Any, Any, list[Buffer] | None]:
        """As the router's, for what may be said now.

        Raises:
            CloseConnection: It may not be said, or the client is not let in.
        """
        if self._state is not _State.OPEN:
            return self._authenticate(frame, connection)
        if len(frame) >= _HEAD.size:
            key = _HEAD.unpack_from(frame)[0]
            now = self._clock.monotonic()
            if key == ApiKey.SASL_HANDSHAKE and now - self._proved_at >= _REAUTH_REST:
                self._proved_at = now
                self._state = _State.GREETED
                return self._authenticate(frame, connection)
        if self._over:
            self._node.metrics.sessions_expired += 1
            raise CloseConnection(
                f"the session of {connection.principal} has expired", level=logging.INFO
            )
        return self._router.answer(frame, connection)

    @property
    def _over(self) -> bool:
        return self._ends is not None and self._clock.monotonic() > self._ends

    async def _authenticate(
        self, frame: memoryview, connection: ConnectionInfo
    ) -> list[Buffer] | None:
        if self._state is _State.PROVING:
            if self._wrapped:
                return await self._wrapped_token(frame, connection)
            return await self._bare_token(frame, connection)
        key = self._key(frame)
        if key not in _SPOKEN_FIRST:
            raise await self._failed(connection, f"it sent {_called(key)} before authenticating")
        if key == ApiKey.SASL_HANDSHAKE:
            return await self._handshake(frame, connection)
        if self._state is not _State.FRESH:
            raise await self._failed(connection, "it asked for ApiVersions again")
        answer = await self._router.answer(frame, connection)
        # One who asked in a version that nobody knows, or under an odd name, may ask again.
        if answer is not None and _error_code(answer) == ErrorCode.NONE:
            self._state = _State.GREETED
        return answer

    async def _handshake(self, frame: memoryview, connection: ConnectionInfo) -> list[Buffer]:
        header, request = self._decoded(frame, SaslHandshakeRequest)
        response = SaslHandshakeResponse(mechanisms=list(self._mechanisms))
        found = self._mechanisms.get(request.mechanism)
        if found is None:
            response.error_code = ErrorCode.UNSUPPORTED_SASL_MECHANISM
            shown = request.mechanism[:40]
            raise await self._failed(
                connection,
                f"mechanism {shown!r} is not offered, {', '.join(self._mechanisms)} are",
                self._encoded(response, header, len(frame), connection, request),
            )
        if self._user is not None and request.mechanism != self._mechanism:
            # Told in answer to the first token, for which a client has an error code.
            self._exchange = None
        else:
            self._mechanism = request.mechanism
            self._exchange = found.begin()
        self._wrapped = header.api_version >= _WRAPPED_SINCE
        self._state = _State.PROVING
        return self._encoded(response, header, len(frame), connection, request)

    async def _wrapped_token(self, frame: memoryview, connection: ConnectionInfo) -> list[Buffer]:
        key = self._key(frame)
        if key != ApiKey.SASL_AUTHENTICATE:
            raise await self._failed(connection, f"it sent {_called(key)} in place of a token")
        header, request = self._decoded(frame, SaslAuthenticateRequest)
        response = SaslAuthenticateResponse(error_message=None)
        try:
            response.auth_bytes, outcome = await self._respond(bytes(request.auth_bytes))
        except AuthenticationFailed as error:
            response = SaslAuthenticateResponse(
                error_code=ErrorCode.SASL_AUTHENTICATION_FAILED, error_message=error.told
            )
            answer = self._encoded(response, header, len(frame), connection)
            raise await self._failed(connection, error.reason, answer, error.name) from error
        if outcome is not None:
            response.session_lifetime_ms = self._open(outcome, connection)
        return self._encoded(response, header, len(frame), connection)

    async def _bare_token(self, frame: memoryview, connection: ConnectionInfo) -> list[Buffer]:
        try:
            token, outcome = await self._respond(bytes(frame))
        except AuthenticationFailed as error:
            raise await self._failed(connection, error.reason, name=error.name) from error
        if outcome is not None:
            self._open(outcome, connection)
        self._node.pulse.beat()
        return [_SIZE.pack(len(token)) + token]

    async def _respond(self, token: bytes) -> tuple[bytes, Authenticated | None]:
        if self._exchange is None:
            raise AuthenticationFailed(
                f"Authentication failed: the session began with SASL mechanism {self._mechanism}"
            )
        answer = await self._exchange.respond(token)
        outcome = self._exchange.outcome
        if outcome is not None and self._user not in {None, outcome.name}:
            raise AuthenticationFailed(
                "Authentication failed: the session began with another user",
                f"it was {self._user!r} before",
                name=outcome.name,
            )
        return answer, outcome

    def _open(self, outcome: Authenticated, connection: ConnectionInfo) -> int:
        """The client is known; returns for how many milliseconds, 0 being for ever."""
        again, self._user = self._user is not None, outcome.name
        self._exchange = None
        self._state = _State.OPEN
        limits = []
        if (longest := self._mechanisms[self._mechanism].max_session_ms) > 0:
            limits.append(longest)
        if outcome.until_ms is not None:
            limits.append(max(0, outcome.until_ms - self._clock.wall_ms()))
        lifetime = min(limits, default=0)
        self._ends = self._clock.monotonic() + lifetime / 1000 if limits else None
        metrics = self._node.metrics
        if again:
            metrics.reauthentications += 1
        else:
            metrics.authentications += 1
            connection.authenticated(Principal(USER, outcome.name))
            self._opened()
        self._node.audit.authenticated(connection, self._mechanism, again=again)
        return lifetime

    async def _failed(
        self,
        connection: ConnectionInfo,
        reason: str,
        answer: list[Buffer] | None = None,
        name: str = "",
    ) -> CloseConnection:
        """How the connection ends, once whoever guesses has waited."""
        again = self._user is not None
        if again:
            self._node.metrics.reauthentications_failed += 1
        else:
            self._node.metrics.authentications_failed += 1
        who = str(Principal(USER, name)) if name else ""
        self._node.audit.refused(connection, self._mechanism, who, reason, again=again)
        delay = self._node.config.int("connection.failed.authentication.delay.ms") / 1000
        if delay > 0:
            await self._node.timers.sleep(delay)
        return CloseConnection(
            f"{'re-' if again else ''}authentication at {connection.listener} failed",
            answer=answer,
            level=logging.DEBUG,
        )

    @staticmethod
    def _key(frame: memoryview) -> int:
        if len(frame) < _HEAD.size:
            raise ProtocolError(f"a request of {len(frame)} bytes has no header")
        return int(_HEAD.unpack_from(frame)[0])

    @staticmethod
    def _decoded(frame: memoryview, kind: type[Message]) -> tuple[RequestHeader, Any]:
        header = decode_request_header(frame)
        if header.api_version not in API[header.api_key].versions:
            raise CloseConnection(
                f"API {header.api_key} version {header.api_version} is not served",
                level=logging.INFO,
            )
        return header, kind.decode(header.body, header.api_version, whole=False)

    def _encoded(
        self,
        response: Message,
        header: RequestHeader,
        size: int,
        connection: ConnectionInfo,
        request: Message | None = None,
    ) -> list[Buffer]:
        """The answer's bytes, which are counted and noted; tokens are nobody's business."""
        key, version, correlation_id, client_id, _ = header
        answer = encode_response(response, version, correlation_id)
        node = self._node
        node.metrics.count_request(key, 0.0)
        if node.journal.on:
            now = self._clock.monotonic()
            facts = now, now, key, version, correlation_id, client_id, connection.who
            node.journal.note(facts, size, answer, request, response if request else None)
        node.pulse.beat()
        return answer


def _called(key: int) -> str:
    known = API.get(key)
    return f"API {key}" if known is None else known.name


def _error_code(answer: list[Buffer]) -> int:
    """Of an answer to ApiVersions, behind size and correlation id."""
    return int.from_bytes(b"".join(answer)[8:10], "big", signed=True)
