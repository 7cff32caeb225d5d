"""The two secured brokers as tests of statements about authentication see them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.helpers.authority import Authority, Identity
from tests.helpers.fault_proxy import FaultProxy
from tests.helpers.secure_client import SecureClient
from tests.helpers.secure_kafka import SecureKafka
from tests.helpers.secure_ours import SecureOurs
from tests.helpers.secured import USER, Certificates
from tests.helpers.statement_servers import OURS, new_name
from tests.helpers.token_server import TokenServer
from tests.helpers.wire_client import WireClient

T = TypeVar("T")


class SaslServer:
    """A running broker, of which the listeners OPEN, CLEAR, BRIEF and TEXT are used.

    Args:
        broker: The broker.
        authority: What its clients trust.
        tokens: Makes tokens.

    Attributes:
        authority: The same.
        user: The certificate of a client.
    """

    def __init__(
        self, broker: SecureKafka | SecureOurs, authority: Authority, tokens: TokenServer
    ) -> None:
        self.ours = isinstance(broker, SecureOurs)
        self.tokens = tokens
        self._broker = broker
        self.authority = authority
        self.user = broker.certificates.clients[USER]

    def topic(self) -> str:
        """A new topic with one partition."""
        name = new_name()
        self._broker.create_topics({name: 1})
        return name

    def audit_lines(self) -> list[str]:
        """What its audit log has so far, each line with its level."""
        return self._broker.audit_lines()

    def connect(self) -> SecureClient:
        """A new connection to CLEAR, which has no TLS."""
        return SecureClient(self._broker.address("CLEAR"))

    def connect_openly(self) -> WireClient:
        """A new connection to OPEN, where nobody authenticates."""
        return WireClient(self._broker.address("OPEN"))

    def connect_briefly(self) -> SecureClient:
        """A new connection to BRIEF, where sessions soon end."""
        trusted = ssl.create_default_context(cafile=self.authority.certificate)
        return SecureClient(self._broker.address("BRIEF"), tls=trusted)

    def connect_by(self, shown: Identity) -> SecureClient:
        """A new connection to TEXT with a certificate, which may be refused with an OSError."""
        trusted = ssl.create_default_context(cafile=self.authority.certificate)
        trusted.load_cert_chain(shown.certificate, shown.key)
        return SecureClient(self._broker.address("TEXT"), tls=trusted)

    def differs(self, *, ours: T, kafka: T, reason: str) -> T:
        """What to expect of this server, where ours is another than Kafka's on purpose."""
        assert ours != kafka, "this is no difference"
        assert reason
        return ours if self.ours else kafka


@contextmanager
def sasl_server(kind: str, folder: Path) -> Iterator[SaslServer]:
    """A running broker of that kind."""
    authority = Authority(folder)
    certificates = Certificates(authority)
    with TokenServer() as tokens, FaultProxy() as proxy:
        broker = (
            SecureOurs(certificates, tokens, proxy)
            if kind == OURS
            else SecureKafka(folder, certificates, tokens, proxy)
        )
        with broker:
            yield SaslServer(broker, authority, tokens)
