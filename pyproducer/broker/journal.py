"""The requests that a broker has answered, the newest of them: `broker.journal`."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pyproducer.broker.configs import is_sensitive
from pyproducer.broker.log.slices import LogSlice
from pyproducer.errors import ConfigError
from pyproducer.protocol.api import API
from pyproducer.protocol.error_codes import code_name
from pyproducer.protocol.frame import decode_response_header
from pyproducer.protocol.principal import ANONYMOUS
from pyproducer.protocol.schema import Struct

if TYPE_CHECKING:
    from pyproducer.broker.broker_clock import BrokerClock
    from pyproducer.broker.context import Who
    from pyproducer.model import Buffer
    from pyproducer.protocol.schema import Message

#: Bytes in front of a frame that say how long it is.
_FRAME_SIZE: Final = 4
#: Bytes of an answer above which it is not kept, but its error codes.
_LARGE: Final = 1024
#: Bytes of a value that a body keeps; records are shown by their size beyond it.
_SHOWN: Final = 1024
#: Fields of messages that passwords can be found from, or that are as good as one.
_SECRETS: Final = frozenset({"auth_bytes", "hmac", "salt", "salted_password"})
_HIDDEN: Final = "(hidden)"
_ANONYMOUS: Final = str(ANONYMOUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One request that was answered, or ended its connection.

    Attributes:
        number: Counts requests from 1.
        time_ms: The broker's time at its end, in milliseconds since the epoch.
        connection: Number of the connection, as `broker.state()` has it.
        listener: Name of the listener that it came in at.
        principal: Who was authenticated on it, such as "User:alice".
        client_id: The client's name for itself.
        api: Kafka's name of the API, such as "Produce".
        version: Of the request and its answer.
        correlation_id: The client's number for the request.
        bytes_in: Size of the request.
        bytes_out: Size of the answer; 0 without one, as with acks=0.
        seconds: Real time from its decoding to the answer, waits included.
        errors: Names of the error codes in the answer, each once.
        closed: Why the connection was closed instead of an answer, or None.
        request: The decoded request, if `journal.bodies` was on, else None.
        response: Likewise the answer.
    """

    number: int
    time_ms: int
    connection: int
    listener: str
    principal: str
    client_id: str
    api: str
    version: int
    correlation_id: int
    bytes_in: int
    bytes_out: int
    seconds: float
    errors: tuple[str, ...]
    closed: str | None
    request: dict[str, Any] | None
    response: dict[str, Any] | None

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.time_ms / 1000, UTC)
        words = [
            f"{moment:%H:%M:%S}.{self.time_ms % 1000:03d}",
            f"#{self.connection}",
            *([] if self.principal == _ANONYMOUS else [self.principal]),
            self.client_id or "-",
            f"{self.api} v{self.version}",
            f"{self.bytes_in} B in",
            f"{self.bytes_out} B out",
            f"{self.seconds * 1000:.1f} ms",
            *self.errors,
        ]
        if self.closed is not None:
            words.append(f"closed: {self.closed}")
        return "  ".join(words)


#: What the router knows of a request at its end: that moment and its begin by the outside clock,
#: API, version, the client's number for it and name, whose connection it is.
Facts: TypeAlias = "tuple[float, float, int, int, int, str, Who]"
#: What is kept of a request: its number, the facts, bytes in, of the answer what there is to find
#: error codes in, how far the broker's clock was ahead, why the connection was closed, bodies.
_Kept: TypeAlias = "tuple[int, Facts, int, _Answer, float, str | None, tuple[Any, Any] | None]"
#: A small answer as it is sent, or the size of a larger one and the codes in it.
_Answer: TypeAlias = "Buffer | tuple[int, ...]"
_NOTHING: Final = b""


class Journal:
    """A ring of the newest requests. Any thread may ask; it outlives a stop and start.

    What costs time is done when somebody asks, so that it can be always on: small answers are kept,
    and error codes looked for in them then.

    Args:
        size: Requests that are remembered; 0 is none.
        clock: The broker's.

    Attributes:
        on: Whether anything is remembered.
        bodies: Set to True to keep requests and answers decoded, from then on, at some cost.
            Bytes are shown up to 1 KiB, and by their number beyond.

    Raises:
        ConfigError: That is no number of requests.
    """

    def __init__(self, size: int, clock: BrokerClock) -> None:
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ConfigError(
                f"journal={size!r} is no number of requests: give 0 or more", option="journal"
            )
        self.bodies = False
        self._ring: deque[_Kept] = deque(maxlen=size)
        self._append = self._ring.append
        self._next = itertools.count(1).__next__
        self._clock = clock
        # What the wall clock said when the other one was at 0: one reading a request is enough.
        self._began_ms = clock.outside.wall_ms() - round(clock.outside.monotonic() * 1000)
        self.on = size > 0

    def note(
        self,
        facts: Facts,
        size: int,
        answer: Sequence[Buffer] | None,
        request: Message | None,
        response: Message | None,
        closed: str | None = None,
    ) -> None:
        """A request has ended; on the broker's loop.

        Args:
            facts: What is known of it.
            size: Bytes of the request.
            answer: The answer as it is sent, or None.
            request: What was asked.
            response: What was answered, or None.
            closed: Why the connection is closed for it, or None.
        """
        kept: _Answer = _NOTHING
        if answer:
            kept = answer[0]
            if len(kept) > _LARGE or len(answer) > 1:
                # Not held: a thousand of these would be a gigabyte, or many open files.
                kept = (sum(map(len, answer)), *_codes(response))
        bodies = (_plain(request), _plain(response)) if self.bodies else None
        self._append((self._next(), facts, size, kept, self._clock.ahead, closed, bodies))

    def __len__(self) -> int:
        return len(self._ring)

    def __iter__(self) -> Iterator[JournalEntry]:
        return iter(self.requests())

    def clear(self) -> None:
        """Nothing is remembered; numbers go on."""
        self._ring.clear()

    def requests(
        self,
        api: str | int | None = None,
        *,
        version: int | None = None,
        connection: int | None = None,
        client_id: str | None = None,
        error: str | None = None,
        since: int = 0,
        last: int | None = None,
    ) -> list[JournalEntry]:
        """The requests that are remembered and fit, oldest first.

        Args:
            api: Kafka's name of an API, or its number.
            version: A version of it.
            connection: Number of a connection.
            client_id: A client's name for itself.
            error: Name of an error code that the answer has.
            since: Only those with a higher number.
            last: Only so many, the newest.

        Raises:
            ConfigError: There is no such API.
        """
        key = None if api is None else _key(api)
        found: list[JournalEntry] = []
        # A copy, which is made in one step: the loop goes on adding.
        for kept in reversed(self._ring.copy()):
            if kept[0] <= since or (last is not None and len(found) >= last):
                break
            _, _, api_key, its_version, _, its_client, who = kept[1]
            if (
                key not in {None, api_key}
                or version not in {None, its_version}
                or connection not in {None, who.number}
                or client_id not in {None, its_client}
            ):
                continue
            entry = self._entry(kept)
            if error is None or error in entry.errors:
                found.append(entry)
        return found[::-1]

    def _entry(self, kept: _Kept) -> JournalEntry:
        number, facts, size, answer, ahead, closed, bodies = kept
        ended, started, key, version, correlation_id, client_id, who = facts
        if isinstance(answer, tuple):
            out, *codes = answer
        else:
            out, codes = len(answer), _codes_in(answer, key, version)
        return JournalEntry(
            number=number,
            time_ms=self._began_ms + round((ended + ahead) * 1000),
            connection=who.number,
            listener=who.listener,
            principal=str(who.principal),
            client_id=client_id,
            api=API[key].name,
            version=version,
            correlation_id=correlation_id,
            bytes_in=size,
            bytes_out=out,
            seconds=ended - started,
            errors=tuple(map(code_name, dict.fromkeys(codes))),
            closed=closed,
            request=None if bodies is None else bodies[0],
            response=None if bodies is None else bodies[1],
        )


def _key(api: str | int) -> int:
    for key, known in API.items():
        if api in (key, known.name):
            return int(key)
    raise ConfigError(f"there is no API {api!r}: names are Kafka's, as 'Produce'", option="api")


def _codes_in(answer: Buffer, key: int, version: int) -> list[int]:
    """Every error code in an answer as it is sent."""
    if not answer:
        return []
    _, body = decode_response_header(memoryview(answer)[_FRAME_SIZE:], key, version)
    return list(_codes(API[key].response.decode(body, version)))


def _codes(value: Any) -> Iterator[int]:
    """Every error code in an answer that is one."""
    if isinstance(value, list):
        for one in value:
            yield from _codes(one)
    elif isinstance(value, Struct):
        for name in value.wire_fields():
            field = getattr(value, name)
            if name == "error_code":
                if field:
                    yield field
            elif isinstance(field, list | Struct):
                yield from _codes(field)


def _plain(value: Any) -> Any:
    """A message as dicts and lists, which nobody changes any more."""
    if isinstance(value, Struct):
        fields = {name: _plain(getattr(value, name)) for name in value.wire_fields()}
        for name in _SECRETS & fields.keys():
            fields[name] = _HIDDEN
        if "value" in fields and is_sensitive(str(fields.get("name"))):
            fields["value"] = _HIDDEN
        return fields
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bytes | bytearray | memoryview):
        size = len(value)
        return bytes(value) if size <= _SHOWN else f"{size} bytes"
    if isinstance(value, LogSlice):
        return f"{len(value)} bytes"
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    return str(value)
