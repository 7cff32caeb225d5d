"""What two brokers with every kind of listener have in common: Apache Kafka, and ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Protocol

from tests.helpers.access import Access
from tests.helpers.authority import Authority, Identity
from tests.helpers.cluster_admin import Allowed
from tests.helpers.fault_proxy import FaultProxy
from tests.helpers.token_server import TokenServer

#: Who may do everything; every mechanism knows the same users.
USER: Final = "app"
#: For whom a test makes the rules.
OTHER: Final = "narrow"
#: Whose password changes while it is used.
CHANGING: Final = "changing"
USERS: Final = {name: f"the-password-of-{name}" for name in (USER, OTHER, CHANGING)}

MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
#: Sessions of the listener BRIEF end after so many milliseconds.
BRIEF_MS: Final = 1500


class Listener(NamedTuple):
    """How connections of one listener are secured.

    Attributes:
        protocol: Kafka's name for it.
        clients: whether clients must show a certificate, with TLS.
        identity: which certificate the broker shows: ``good``, or one of the bad ones.
        session_ms: how long a session may last before the client must authenticate again.
        mechanisms: those that it knows, with SASL.
        behind_proxy: clients come by the proxy, which can break connections.
        as_text: its key and certificates are no files.
    """

    protocol: str
    clients: bool = False
    identity: str = "good"
    session_ms: int = 0
    mechanisms: tuple[str, ...] = MECHANISMS
    behind_proxy: bool = False
    as_text: bool = False

    @property
    def tls(self) -> bool:
        """Whether it is encrypted."""
        return self.protocol.endswith("SSL")

    @property
    def sasl(self) -> bool:
        """Whether it asks who one is."""
        return self.protocol.startswith("SASL")


#: Whoever is on OPEN is a super user: the tests' own way in.
LISTENERS: Final = {
    "OPEN": Listener("PLAINTEXT"),
    "TLS": Listener("SSL"),
    "MTLS": Listener("SSL", clients=True),
    "SASL": Listener("SASL_SSL"),
    "CLEAR": Listener("SASL_PLAINTEXT"),
    "BRIEF": Listener("SASL_SSL", session_ms=BRIEF_MS),
    "ONE": Listener("SASL_SSL", mechanisms=("SCRAM-SHA-512",)),
    "BEHIND": Listener("SSL", clients=True, identity="replaced", behind_proxy=True),
    "TEXT": Listener("SSL", clients=True, as_text=True),
    "EXPIRED": Listener("SSL", identity="expired"),
    "EARLY": Listener("SSL", identity="early"),
    "ELSEWHERE": Listener("SSL", identity="elsewhere"),
}

#: Each listener that lets good clients in, with each mechanism that it knows.
WAYS: Final = [
    ("TLS", None),
    ("MTLS", None),
    *((listener, one) for listener in ("SASL", "CLEAR") for one in MECHANISMS),
]

#: Rules for a user who may do anything.
EVERYTHING: Final = (
    Allowed("TOPIC", "*", "ALL"),
    Allowed("GROUP", "*", "ALL"),
    Allowed("TRANSACTIONAL_ID", "*", "ALL"),
    Allowed("CLUSTER", "kafka-cluster", "ALL"),
)


def principals(user: str) -> tuple[str, str]:
    """What Kafka calls a user that came by SASL, and the holder of its certificate."""
    return f"User:{user}", f"User:CN={user},OU=Testing,O=pyproducer tests"


def way_id(way: tuple[str, str | None]) -> str:
    """A listener and a mechanism as the name of a test."""
    listener, mechanism = way
    return f"{listener}-{mechanism}" if mechanism else listener


def shown_as_text(identity: Identity) -> dict[str, str]:
    """The configurations of a broker's certificate that is no file."""
    return {
        "ssl.keystore.key": _one_line(identity.key),
        "ssl.keystore.certificate.chain": _one_line(identity.certificate),
    }


def trusted_as_text(*authorities: Authority) -> dict[str, str]:
    """The configuration of whom a broker trusts that is no file."""
    texts = [_one_line(one.certificate) for one in authorities]
    # Kafka finds but the last of those that stand in one line.
    return {"ssl.truststore.certificates": "\n".join(texts)}


def _one_line(path: Path) -> str:
    # As in a file of properties.
    return " ".join(path.read_text().split("\n")).strip()


class Certificates:
    """Those that the brokers and the users show, made once."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.brokers: Mapping[str, Identity] = {
            "good": authority.server("good"),
            "expired": authority.expired(),
            "early": authority.not_yet_valid(),
            "replaced": authority.server("replaced"),
            "elsewhere": authority.server("elsewhere", hosts=("elsewhere.test",)),
        }
        self.clients = {name: authority.client(name) for name in USERS}

    def stores(self, listener: Listener) -> dict[str, str]:
        """Kafka's configurations of a listener with TLS."""
        identity = self.brokers[listener.identity]
        if listener.as_text:
            stores = {**shown_as_text(identity), **trusted_as_text(self.authority)}
        else:
            stores = {
                "ssl.keystore.location": str(identity.both),
                "ssl.truststore.location": str(self.authority.certificate),
            }
        return {
            "ssl.keystore.type": "PEM",
            "ssl.truststore.type": "PEM",
            "ssl.client.auth": "required" if listener.clients else "none",
            **stores,
        }


class Secured(Protocol):
    """A broker with all of `LISTENERS`.

    Attributes:
        name: what tables call it.
        bootstrap_servers: the listener OPEN, where everybody is a super user.
        certificates: what it and its users show.
        tokens: signs the tokens that it believes.
        proxy: stands before the listener BEHIND.
    """

    name: ClassVar[str]
    bootstrap_servers: str
    certificates: Certificates
    tokens: TokenServer
    proxy: FaultProxy

    def address(self, listener: str) -> str:
        """``host:port`` of a listener."""

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create topics with their numbers of partitions, ready to be written when this returns."""

    def set_password(self, user: str, password: str) -> None:
        """The user has this password for SCRAM from now on."""

    def show(self, identity: Identity) -> None:
        """The listener BEHIND has this certificate for whoever connects from now on."""


def access(
    broker: Secured, listener: str, mechanism: str | None = None, user: str = USER
) -> Access:
    """The right way in at a listener, as this user."""
    how = LISTENERS[listener]
    by_token = mechanism == "OAUTHBEARER"
    by_password = mechanism is not None and not by_token
    return Access(
        address=broker.address(listener),
        protocol=how.protocol,
        mechanism=mechanism,
        username=user if by_password else None,
        password=USERS[user] if by_password else None,
        token=(lambda: broker.tokens.token(user)) if by_token else None,
        authority=broker.certificates.authority.certificate if how.tls else None,
        shown=broker.certificates.clients[user] if how.clients else None,
    )
