"""What a handler is told about a request besides its body."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pyproducer.protocol.principal import ANONYMOUS, Principal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyproducer.broker.faults.fault import Fault
    from pyproducer.broker.quotas.throttling import Stopwatch
    from pyproducer.model import Buffer


class CloseConnection(Exception):
    """The connection must be closed; its message says why, for the log.

    Args:
        why: What the log says.
        answer: Buffers that are sent before; None for a request that gets no answer.
        level: How loudly the log says it.
    """

    def __init__(
        self, why: str, *, answer: list[Buffer] | None = None, level: int = logging.WARNING
    ) -> None:
        super().__init__(why)
        self.answer = answer
        self.level = level


class Who(NamedTuple):
    """What the journal says about a connection.

    Attributes:
        number: The connection's number.
        listener: Name of the listener it came in at.
        principal: Who is authenticated on it.
    """

    number: int
    listener: str
    principal: Principal


@dataclass(frozen=True, slots=True)
class Mishap:
    """What a test wants to happen to a connection with the answer that comes next.

    Attributes:
        cut: The fault that sends a part of the answer and then closes; None sends all of it.
        muted: Seconds after the answer in which the connection's next request is not begun.
    """

    cut: Fault | None = None
    muted: float = 0.0


@dataclass(slots=True, eq=False)
class ConnectionInfo:
    """One client connection, for as long as it is open.

    Attributes:
        number: Counts connections from 1, per listener; for logs.
        peer_host: The client's address.
        peer_port: The client's port.
        listener: Name of the listener it came in at.
        principal: Who is authenticated on the connection; set by `authenticated` alone.
        software_name: What the client called itself in ApiVersions; "" until it did.
        software_version: Likewise.
        mishap: Set for the answer under way by a fault, and by nothing else.
        throttled: Seconds after the answer under way in which the connection's next request is
            not begun, because of a quota.
        who: Its number, listener and principal, as the journal takes them with each request.
    """

    number: int
    peer_host: str
    peer_port: int
    listener: str = "PLAINTEXT"
    principal: Principal = ANONYMOUS
    software_name: str = ""
    software_version: str = ""
    mishap: Mishap | None = None
    throttled: float = 0.0
    who: Who = field(init=False)

    def __post_init__(self) -> None:
        self.who = Who(self.number, self.listener, self.principal)

    def authenticated(self, principal: Principal) -> None:
        """This is who is at the other end."""
        self.principal = principal
        self.who = Who(self.number, self.listener, principal)


@dataclass(slots=True, eq=False)
class RequestContext:
    """One request under way.

    Attributes:
        api_key: Kafka's number of the API.
        api_version: Version of the request body; the answer goes out in the same version.
        correlation_id: The client's number for this request.
        client_id: The client's name for itself; "" if it gave none.
        connection: The connection it came in on.
        received_at: The clock's monotonic seconds when the request was taken up.
        refused: Partitions that a fault wants refused, by topic and number, with their codes;
            for the handlers that see to it themselves.
        throttle_ms: For how long a handler wants the client throttled.
        stopwatch: Measures the work on the request where a quota may be on it.
    """

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str
    connection: ConnectionInfo
    received_at: float = field(default=0.0)
    refused: Mapping[tuple[str | None, int | None], int] | None = None
    throttle_ms: int = 0
    stopwatch: Stopwatch | None = None
