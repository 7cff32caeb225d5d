# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""The client's side of one connection, without the connection.

Bytes from the broker go in by :meth:`ClientConnection.receive_data` (or the two methods of
``asyncio.BufferedProtocol``), bytes for it come out of :meth:`~ClientConnection.data_to_send`.
Requests are pipelined: any number may be under way, the broker answers them in the order in which
they were sent, and an answer with another correlation id than the oldest request's proves that
the two sides no longer agree where they are. There is no way back from such an error: it is kept
in :attr:`ClientConnection.error`, and the owner has to close the connection.

Where a broker wants to know who we are, :meth:`~ClientConnection.authenticate` proves it, before
the first request or again between two of them (KIP-368). Nothing is pipelined behind that:
requests sent meanwhile are held, and follow in their order once the broker has accepted us.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from pyproducer.errors import (
    AuthenticationError,
    ProducerError,
    ProtocolError,
    UnsupportedVersion,
    UsageError,
)
from pyproducer.model import Buffer
from pyproducer.protocol.api import API, ApiKey, negotiate
from pyproducer.protocol.frame import (
    DEFAULT_MAX_FRAME,
    FrameReader,
    decode_response_header,
    encode_request,
)
from pyproducer.protocol.handshake import Handshake
from pyproducer.protocol.messages.produce import ProduceRequest
from pyproducer.protocol.produce_shortcut import encode_batches, read_answers
from pyproducer.protocol.schema import Message

if TYPE_CHECKING:
    from pyproducer.protocol.sasl.exchange import SaslExchange
    from pyproducer.protocol.sasl.mechanism import Mechanism

__all__ = ["Answer", "ClientConnection"]


class Answer(NamedTuple):
    """A response to one of our requests.

    Attributes:
        tag: what :meth:`ClientConnection.send` was given.
        message: the response.
        version: the version of request and response.
    """

    tag: object
    message: Message
    version: int


class _Pending(NamedTuple):
    """A request whose answer has not come."""

    correlation_id: int
    api_key: int
    version: int
    tag: object


# Makes a named tuple at a third of what its class takes, which takes arguments by name too.
_tuple = tuple.__new__

_HANDSHAKE = object()
_SASL = object()

_PRODUCE = int(ApiKey.PRODUCE)

#: Correlation ids go from 0 to this, then begin again.
_ID_MASK = 0x7FFFFFFF


class ClientConnection:
    """Speaks Kafka with one broker; performs no I/O.

    :meth:`start` asks the broker for its versions; requests can be sent once :attr:`ready`.

    Attributes:
        client_id: what we call ourselves in every request.
        ready: True once the broker has told its versions and, where that was asked for, accepted
            who we are; False again while we prove it anew.
        error: what the peer did wrong; None as long as the connection is sound.
        session_lifetime: seconds for which the broker believes who we are, from the end of the
            last authentication; 0 for as long as the connection lasts.
        versions: first and last version by API key, as the broker told.
        features: finalized level by feature name, as the broker told.
        features_epoch: which of two answers about features is the newer; -1 if none came.
    """

    def __init__(
        self,
        client_id: str,
        *,
        max_frame: int = DEFAULT_MAX_FRAME,
        software_name: str = "pyproducer",
        software_version: str = "unknown",
        mechanism: Mechanism | None = None,
    ) -> None:
        """Makes a connection that has sent nothing.

        Args:
            client_id: for the broker's logs and quotas.
            mechanism: what proves who we are as soon as the broker has told its versions; None
                for a listener that does not want to know.
            max_frame: bytes; a longer response is an error.
            software_name: name of the client library, for the broker's metrics.
            software_version: its version.

        Raises:
            ValueError: the software name or version has characters that brokers refuse.
        """
        # As a plain str, which is what C knows: an enumeration's member may be one too.
        self.client_id = str.__str__(client_id)
        self.ready = False
        self.error: ProducerError | None = None
        self.versions: dict[int, tuple[int, int]] = {}
        self.features: dict[str, int] = {}
        self.features_epoch = -1
        self.session_lifetime = 0.0
        self._mechanism = mechanism
        self._exchange: SaslExchange | None = None
        # What was sent while we prove anew who we are; it may not overtake that.
        self._held: list[tuple[Message, int, object, bool]] = []
        self._accepted = False
        self._handshake = Handshake(software_name, software_version)
        self._reader = FrameReader(max_frame)
        self._pending: deque[_Pending] = deque()
        self._answers: list[Answer] = []
        self._outgoing: list[Buffer] = []
        self._next_id = 0
        self._first_silent: int | None = None
        self._started = False
        # Versions that were found by API and by what the caller is prepared to speak.
        self._chosen: dict[tuple[int, int | None], int] = {}

    # Sending

    def start(self) -> None:
        """Queues the question for the broker's versions; a second call does nothing."""
        if not self._started:
            self._started = True
            self._ask()

    def version_for(self, api_key: int, newest: int | None = None) -> int | None:
        """The version in which a request would be sent now; None if it cannot be.

        Args:
            api_key: the API.
            newest: the last that the caller is prepared to speak; None for all we know.
        """
        if api_key not in self.versions or api_key not in API:
            return None
        first, last = self.versions[api_key]
        ours = API[api_key].versions
        if newest is not None:
            ours = range(ours.start, min(ours.stop, newest + 1))
        return negotiate(ours, range(first, last + 1))

    def send(
        self,
        message: Message,
        tag: object,
        expect_response: bool = True,
        newest: int | None = None,
    ) -> int:
        """Queues a request in the newest version that both sides know, which it returns.

        Args:
            message: the request. Records in it are passed on uncopied and must not change
                before they are written.
            tag: comes back in the :class:`Answer`.
            expect_response: False for a Produce request with acks=0, which has no answer.
            newest: the last version that the caller is prepared to speak; None for all we know.

        Raises:
            UsageError: the connection is not ready.
            UnsupportedVersion: there is no version in common; nothing was queued.
            ProtocolError: the connection broke before.
            ValueError: the message cannot be encoded; nothing was queued.
        """
        if self.error is not None:
            raise ProtocolError(f"the connection broke before: {self.error}") from self.error
        if not self.ready and not self._accepted:
            raise UsageError("the broker has not told its versions yet; wait until ready")
        version = self._chosen.get((message.api_key, newest))
        if version is None:
            version = self.version_for(message.api_key, newest)
            if version is None:
                raise UnsupportedVersion(self._mismatch(message, newest))
            self._chosen[message.api_key, newest] = version
        if self.ready:
            self._queue(message, version, tag, expect_response)
        else:
            self._held.append((message, version, tag, expect_response))
        return version

    def authenticate(self, mechanism: Mechanism) -> None:
        """Begins to prove who we are, behind the requests under way and before those to come.

        That a second time begins while the first is not over changes nothing.

        Args:
            mechanism: new, for this once.
        """
        # Late: most connections never come here.
        from pyproducer.protocol.sasl.exchange import SaslExchange

        if self._exchange is not None or self.error is not None:
            return
        self.ready = False
        try:
            self._exchange = SaslExchange(mechanism, self.versions)
        except ProducerError as error:
            self._fail(error)
            return
        self._ask_sasl()

    def take_step(self) -> Callable[[], bytes | None] | None:
        """What has to be computed by another thread now, if anything; given once.

        Its result, or what it raised, goes to :meth:`step_taken`.
        """
        exchange = self._exchange
        if exchange is None or not exchange.blocking:
            return None
        step, exchange.step = exchange.step, None
        return step

    def step_taken(self, result: bytes | Exception | None) -> None:
        """Goes on with what a step of :meth:`take_step` has come to."""
        if self.error is None and self._exchange is not None:
            self._step_on(self._exchange, result)

    def data_to_send(self) -> list[Buffer]:
        """What has to be written now, in order; each buffer is given once."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # Receiving

    def receive_data(self, data: Buffer) -> None:
        """Takes bytes from the broker, copying them. Never raises: see :attr:`error`."""
        try:
            self._reader.feed(data)
        except ProtocolError as error:
            self._read_frames()
            self._fail(error)
        else:
            self._read_frames()

    def get_buffer(self, hint: int = -1) -> memoryview:
        """Room for the next bytes from the broker; see :class:`FrameReader`."""
        return self._reader.get_buffer(hint)

    def buffer_updated(self, count: int) -> None:
        """Takes ``count`` bytes that were put there. Never raises: see :attr:`error`."""
        try:
            self._reader.buffer_updated(count)
        except ProtocolError as error:
            self._read_frames()
            self._fail(error)
        else:
            self._read_frames()

    def receive_eof(self) -> None:
        """Takes note that the broker has closed its side.

        That is an :attr:`error` in the middle of an answer, and before the first one.
        """
        if self._reader.partial:
            self._fail(ProtocolError("the peer closed the connection in the middle of an answer"))
        elif self._exchange is not None:
            self._fail(
                AuthenticationError(
                    "the broker closed the connection in the middle of the authentication"
                )
            )
        elif not self.ready:
            self._fail(
                ProtocolError(
                    "the peer closed the connection without telling its versions; it may be no "
                    "Kafka broker, or expect TLS"
                )
            )

    def answers(self) -> list[Answer]:
        """The answers that have come, in the order of the requests; each is given once."""
        answers, self._answers = self._answers, []
        return answers

    @property
    def in_flight(self) -> int:
        """Requests without an answer so far, those before the first of ours included."""
        return len(self._pending) + len(self._held)

    @property
    def holding(self) -> bool:
        """True while requests have to wait until we have proven anew who we are."""
        return self._accepted and not self.ready

    def unanswered(self) -> list[object]:
        """The tags of the requests without an answer, oldest first."""
        sent = [one.tag for one in self._pending if one.tag not in {_HANDSHAKE, _SASL}]
        return sent + [tag for _, _, tag, expected in self._held if expected]

    # Inside

    def _ask(self) -> None:
        self._queue(self._handshake.request(), self._handshake.version, _HANDSHAKE)

    def _queue(
        self, message: Message, version: int, tag: object, expect_response: bool = True
    ) -> None:
        frame = (
            encode_batches(message, version, self._next_id, self.client_id)
            if isinstance(message, ProduceRequest)
            else None
        )
        self._outgoing += frame or encode_request(message, version, self._next_id, self.client_id)
        if expect_response:
            values = self._next_id, message.api_key, version, tag
            self._pending.append(_tuple(_Pending, values))
        elif self._first_silent is None:
            self._first_silent = self._next_id
        self._next_id = (self._next_id + 1) & _ID_MASK

    def _read_frames(self) -> None:
        if self.error is not None:
            return
        reader = self._reader
        try:
            while (frame := reader.next_frame()) is not None:
                self._read_frame(frame)
        except ProtocolError as error:
            self._fail(error)

    def _answers_silence(self, frame: memoryview) -> bool:
        """True if the frame answers a request that wants no answer.

        Kafka sends none, but librdkafka's mock cluster and Tansu answer Produce with acks=0
        too. Dropping the connection for that would lose what is still under way on it.
        """
        assert self._first_silent is not None
        if len(frame) < 4:
            return False
        number = int.from_bytes(frame[:4], "big")
        sent = (self._next_id - self._first_silent) & _ID_MASK
        if (number - self._first_silent) & _ID_MASK >= sent:
            return False
        return all(pending.correlation_id != number for pending in self._pending)

    def _read_frame(self, frame: memoryview) -> None:
        if self._first_silent is not None and self._answers_silence(frame):
            return
        if not self._pending:
            raise ProtocolError(f"the peer sent {len(frame)} bytes that answer no request")
        expected = self._pending[0]
        if expected.api_key == _PRODUCE:
            plain = read_answers(frame, expected.version)
            if plain is not None and plain[0] == expected.correlation_id:
                self._answers.append(_tuple(Answer, (expected.tag, plain[1], expected.version)))
                self._pending.popleft()
                return
        try:
            correlation_id, body = decode_response_header(frame, expected.api_key, expected.version)
            if correlation_id != expected.correlation_id:
                name = API[expected.api_key].name
                raise ProtocolError(
                    f"the peer answered request {correlation_id} where request "
                    f"{expected.correlation_id} ({name}) was to be answered"
                )
            if expected.tag is _HANDSHAKE:
                self._shake(body)
            elif expected.tag is _SASL:
                self._prove(expected, body)
            else:
                # Bytes behind the last field are passed over, as Kafka's own client does:
                # librdkafka's mock cluster ends its MetadataResponse v13 with one too many.
                message = API[expected.api_key].response.decode(body, expected.version, whole=False)
                self._answers.append(Answer(expected.tag, message, expected.version))
        except ProtocolError as error:
            if self.versions:
                raise
            # The first answer decides whether this is a Kafka broker at all.
            raise ProtocolError(
                f"the peer does not answer as a Kafka broker does: {error}"
            ) from error
        self._pending.popleft()

    def _shake(self, body: memoryview) -> None:
        self._handshake.on_response(body)
        if not self._handshake.done:
            self._ask()
            return
        self.versions = self._handshake.versions
        self.features = self._handshake.features
        self.features_epoch = self._handshake.features_epoch
        if self._mechanism is None:
            self.ready = self._accepted = True
        else:
            mechanism, self._mechanism = self._mechanism, None
            self.authenticate(mechanism)

    def _ask_sasl(self) -> None:
        assert self._exchange is not None
        asked = self._exchange.request()
        if asked is not None:
            self._queue(asked[0], asked[1], _SASL)

    def _prove(self, expected: _Pending, body: memoryview) -> None:
        exchange = self._exchange
        assert exchange is not None
        answer = API[expected.api_key].response.decode(body, expected.version, whole=False)
        try:
            exchange.on_response(answer)
        except AuthenticationError as error:
            self._fail(error)
            return
        if exchange.step is not None and not exchange.blocking:
            try:
                result: bytes | Exception | None = exchange.step()
            except AuthenticationError as error:
                result = error
            self._step_on(exchange, result)

    def _step_on(self, exchange: SaslExchange, result: bytes | Exception | None) -> None:
        if isinstance(result, ProducerError):
            self._fail(result)
            return
        if isinstance(result, Exception):
            text = f"the authentication failed on this side: {type(result).__name__}: {result}"
            self._fail(AuthenticationError(text))
            return
        try:
            exchange.stepped(result)
        except AuthenticationError as error:
            self._fail(error)
            return
        if not exchange.done:
            self._ask_sasl()
            return
        self.session_lifetime = exchange.session_lifetime
        self._exchange = None
        self.ready = self._accepted = True
        held, self._held = self._held, []
        try:
            for message, version, tag, expect_response in held:
                self._queue(message, version, tag, expect_response)
        except ValueError as error:
            # Whoever sent it is told by the end of the connection, as of all that it owes.
            self._fail(ProtocolError(f"a request cannot be written: {error}"))

    def _fail(self, error: ProducerError) -> None:
        if self.error is None:
            self.error = error

    def _mismatch(self, message: Message, newest: int | None) -> str:
        name = type(message).__name__
        served = self.versions.get(message.api_key)
        if served is None:
            return f"the broker does not serve {name} (API key {message.api_key})"
        ours = API[ApiKey(message.api_key)]
        last = ours.max_version if newest is None else min(newest, ours.max_version)
        return (
            f"the broker serves {name} in versions {served[0]} to {served[1]}, "
            f"we speak {ours.min_version} to {last}"
        )
