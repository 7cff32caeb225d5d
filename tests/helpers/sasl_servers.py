"""Brokers whose clients say who they are, ours and Apache Kafka, behind one small face."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pyproducer.broker import Broker, Listener
from tests.helpers.access import Access
from tests.helpers.authority import Authority
from tests.helpers.secure_client import SecureClient
from tests.helpers.secure_kafka import BRIEF_MS, MECHANISMS, USERS, SecureKafka
from tests.helpers.token_server import AUDIENCE, TokenServer

T = TypeVar("T")


class SaslServer:
    """A running broker with a listener CLEAR and one, BRIEF, of sessions that soon end.

    Args:
        ours: Whether it is our broker.
        clear: Address of the listener without TLS.
        brief: The way in at the one with TLS.
    """

    def __init__(self, clear: str, brief: Access, tokens: TokenServer, *, ours: bool) -> None:
        self.ours = ours
        self.tokens = tokens
        self._clear = clear
        self._brief = brief

    def connect(self) -> SecureClient:
        """A new connection to CLEAR."""
        return SecureClient(self._clear)

    def connect_briefly(self) -> SecureClient:
        """A new connection to BRIEF."""
        return SecureClient(self._brief.address, tls=self._brief.context())

    def differs(self, *, ours: T, kafka: T, reason: str) -> T:
        """What to expect of this server, where ours is another than Kafka's on purpose."""
        assert ours != kafka, "this is no difference"
        assert reason
        return ours if self.ours else kafka


@contextmanager
def our_sasl_server(authority: Authority, tokens: TokenServer) -> Iterator[SaslServer]:
    """Our broker, with the users of `SecureKafka`."""
    oauth = {
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "sasl.oauthbearer.jwks.endpoint.url": tokens.keys_url,
        "sasl.oauthbearer.expected.audience": AUDIENCE,
        "sasl.oauthbearer.expected.issuer": tokens.issuer,
    }
    brief = {
        "connections.max.reauth.ms": str(BRIEF_MS),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.server("brief").both),
    }
    listeners = [
        Listener(name="CLEAR", protocol="SASL_PLAINTEXT", config=oauth),
        Listener(name="BRIEF", protocol="SASL_SSL", config=oauth | brief),
    ]
    with Broker(listeners=listeners, users=USERS) as broker:
        access = Access(
            address=broker.bootstrap_servers_of("BRIEF"),
            protocol="SASL_SSL",
            authority=authority.certificate,
        )
        yield SaslServer(broker.bootstrap_servers_of("CLEAR"), access, tokens, ours=True)


@contextmanager
def kafka_sasl_server(
    folder: Path, authority: Authority, tokens: TokenServer
) -> Iterator[SaslServer]:
    """Apache Kafka."""
    with SecureKafka(folder, authority, tokens) as kafka:
        yield SaslServer(kafka.address("CLEAR"), kafka.access("BRIEF"), tokens, ours=False)
