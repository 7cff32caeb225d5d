"""Our broker with the same listeners, users and rules as the secured Apache Kafka."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import ClassVar, Self

from pyproducer.broker import Broker, Listener
from pyproducer.broker.security.audit import LOGGER
from tests.helpers import secured
from tests.helpers.authority import Identity
from tests.helpers.cluster_admin import allow, set_broker_config
from tests.helpers.fault_proxy import FaultProxy
from tests.helpers.processes import free_ports
from tests.helpers.secured import (
    CHANGING,
    EVERYTHING,
    LISTENERS,
    USER,
    USERS,
    Certificates,
    principals,
)
from tests.helpers.token_server import AUDIENCE, TokenServer
from tests.helpers.topics import create_topics


class _Kept(logging.Handler):
    """What was logged.

    Attributes:
        lines: level and text of each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


class SecureOurs:
    """Our broker with all of `LISTENERS`, for the ``with`` block.

    Attributes:
        broker: the broker itself.
    """

    name: ClassVar[str] = "ours"

    def __init__(self, certificates: Certificates, tokens: TokenServer, proxy: FaultProxy) -> None:
        self.certificates = certificates
        self.tokens = tokens
        self.proxy = proxy
        # What a proxy stands before has to be known to it.
        (self._behind,) = free_ports(1)
        proxy.target = f"127.0.0.1:{self._behind}"
        self.broker = Broker(
            listeners=[self._listener(name, one) for name, one in LISTENERS.items()],
            users=USERS,
            acls=(),
            super_users=["User:ANONYMOUS"],
            config={
                "group.initial.rebalance.delay.ms": "0",
                "connection.failed.authentication.delay.ms": "100",
            },
        )
        self.bootstrap_servers = ""
        self._audit = _Kept()

    def address(self, listener: str) -> str:
        """``host:port`` of a listener."""
        return self.broker.bootstrap_servers_of(listener)

    def __enter__(self) -> Self:
        logger = logging.getLogger(LOGGER)
        logger.addHandler(self._audit)
        logger.setLevel(logging.DEBUG)
        self.broker.__enter__()
        self.bootstrap_servers = self.address("OPEN")
        for principal in (*principals(USER), *principals(CHANGING)):
            allow(self.bootstrap_servers, principal, EVERYTHING)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.broker.__exit__(kind, error, trace)
        logger = logging.getLogger(LOGGER)
        logger.removeHandler(self._audit)
        logger.setLevel(logging.NOTSET)

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create topics with their numbers of partitions, ready to be written when this returns."""
        create_topics(self.bootstrap_servers, topics)

    def audit_lines(self) -> list[str]:
        """What was written to its audit log so far, each with its level."""
        return list(self._audit.lines)

    def set_password(self, user: str, password: str) -> None:
        """The user has this password from now on."""
        self.broker.users.set(user, password)

    def show(self, identity: Identity) -> None:
        """The listener BEHIND has this certificate for whoever connects from now on."""
        name = "listener.name.behind.ssl.keystore.location"
        set_broker_config(self.bootstrap_servers, 1, {name: str(identity.both)})

    def _listener(self, name: str, listener: secured.Listener) -> Listener:
        return Listener(
            name=name,
            protocol=listener.protocol,
            port=self._behind if listener.behind_proxy else 0,
            advertised_port=self.proxy.port if listener.behind_proxy else None,
            config=self._config(listener),
        )

    def _config(self, listener: secured.Listener) -> dict[str, str]:
        found = self.certificates.stores(listener) if listener.tls else {}
        if listener.sasl:
            found |= {
                "sasl.enabled.mechanisms": ",".join(listener.mechanisms),
                "sasl.oauthbearer.jwks.endpoint.url": self.tokens.keys_url,
                "sasl.oauthbearer.expected.audience": AUDIENCE,
                "sasl.oauthbearer.expected.issuer": self.tokens.issuer,
            }
        if listener.session_ms:
            found["connections.max.reauth.ms"] = str(listener.session_ms)
        return found
