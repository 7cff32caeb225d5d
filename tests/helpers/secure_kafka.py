"""A real Apache Kafka that lets nobody in unasked: a listener for each way to prove who one is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from tests.helpers.access import Access
from tests.helpers.authority import Authority
from tests.helpers.cluster_admin import Allowed, allow, create_scram_user
from tests.helpers.kafka_node import JVM, KafkaNode
from tests.helpers.processes import free_ports
from tests.helpers.token_server import AUDIENCE, TokenServer
from tests.helpers.topics import cluster_answers, create_topics

#: Who may do what rules allow; every mechanism knows the same users.
USER: Final = "app"
PASSWORD: Final = "the-password-of-app"
#: A second user, for whom a test makes the rules.
OTHER: Final = "narrow"
OTHER_PASSWORD: Final = "the-password-of-narrow"
USERS: Final = {USER: PASSWORD, OTHER: OTHER_PASSWORD}

MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
#: Sessions of the listener BRIEF end after so many milliseconds.
BRIEF_MS: Final = 1500

# Kafka fetches keys from nowhere that its operator did not name.
_OAUTH_ALLOWED = "org.apache.kafka.sasl.oauthbearer.allowed.urls"
_OAUTH = "org.apache.kafka.common.security.oauthbearer"
_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule required "
    + " ".join(f'user_{name}="{password}"' for name, password in USERS.items())
    + ";",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
    "OAUTHBEARER": f"{_OAUTH}.OAuthBearerLoginModule required;",
}


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


class Listener(NamedTuple):
    """How connections of one listener are secured.

    Attributes:
        protocol: Kafka's name for it.
        clients: whether clients must show a certificate, with TLS.
        identity: which certificate the broker shows: ``good``, or one of the bad ones.
        session_ms: how long a session may last before the client must authenticate again.
    """

    protocol: str
    clients: bool = False
    identity: str = "good"
    session_ms: int = 0


#: Whoever is on OPEN is a super user: the tests' own way in.
LISTENERS: Final = {
    "OPEN": Listener("PLAINTEXT"),
    "TLS": Listener("SSL"),
    "MTLS": Listener("SSL", clients=True),
    "SASL": Listener("SASL_SSL"),
    "CLEAR": Listener("SASL_PLAINTEXT"),
    "BRIEF": Listener("SASL_SSL", session_ms=BRIEF_MS),
    "EXPIRED": Listener("SSL", identity="expired"),
    "EARLY": Listener("SSL", identity="early"),
    "ELSEWHERE": Listener("SSL", identity="elsewhere"),
}


class SecureKafka:
    """One Kafka node with all of `LISTENERS`, for the ``with`` block.

    Attributes:
        bootstrap_servers: the listener OPEN, where everybody is a super user.
        authority: signed what the broker shows, and what it believes clients.
        tokens: signs the tokens that it believes.
    """

    def __init__(self, folder: Path, authority: Authority, tokens: TokenServer) -> None:
        *ports, controller = free_ports(len(LISTENERS) + 1)
        self._ports = dict(zip(LISTENERS, ports, strict=True))
        self.bootstrap_servers = self.address("OPEN")
        self.authority = authority
        self.tokens = tokens
        self._folder = folder
        self._identities = {
            "good": authority.server("kafka"),
            "expired": authority.expired(),
            "early": authority.not_yet_valid(),
            "elsewhere": authority.server("elsewhere", hosts=("elsewhere.test",)),
        }
        self._clients = {name: authority.client(name) for name in USERS}
        jvm = [*JVM, f"-D{_OAUTH_ALLOWED}={tokens.keys_url}"]
        self._node = KafkaNode(folder, self._properties(controller), jvm=jvm)

    def address(self, listener: str) -> str:
        """``host:port`` of a listener."""
        return f"127.0.0.1:{self._ports[listener]}"

    @property
    def data_dir(self) -> Path:
        """The folder of partition folders."""
        return self._node.data_dir

    def __enter__(self) -> Self:
        try:
            self._node.format()
            self._node.start()
            self._node.process.wait_until(
                lambda: cluster_answers(self.bootstrap_servers), timeout=90
            )
            for name, password in USERS.items():
                create_scram_user(self.bootstrap_servers, name, password)
            for principal in principals(USER):
                allow(self.bootstrap_servers, principal, EVERYTHING)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._node.kill()

    def access(self, listener: str, mechanism: str | None = None, user: str = USER) -> Access:
        """The right way in at a listener, as this user."""
        return Access(
            address=self.address(listener),
            protocol=LISTENERS[listener].protocol,
            mechanism=mechanism,
            username=None if mechanism in {None, "OAUTHBEARER"} else user,
            password=None if mechanism in {None, "OAUTHBEARER"} else USERS[user],
            token=(lambda: self.tokens.token(user)) if mechanism == "OAUTHBEARER" else None,
            authority=self.authority.certificate,
            shown=self._clients[user] if LISTENERS[listener].clients else None,
        )

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create topics with their numbers of partitions, ready to be written when this returns."""
        create_topics(self.bootstrap_servers, topics)

    def _properties(self, controller: int) -> dict[str, str]:
        named = [f"{name}://{self.address(name)}" for name in LISTENERS]
        protocols = [f"{name}:{one.protocol}" for name, one in LISTENERS.items()]
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": ",".join([*named, f"CONTROLLER://127.0.0.1:{controller}"]),
            "advertised.listeners": ",".join(named),
            "listener.security.protocol.map": ",".join([*protocols, "CONTROLLER:PLAINTEXT"]),
            "inter.broker.listener.name": "OPEN",
            "controller.listener.names": "CONTROLLER",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "num.network.threads": "1",
            "num.io.threads": "4",
            "offsets.topic.num.partitions": "1",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "false",
            # A broker holds back the answer to wrong credentials for so long.
            "connection.failed.authentication.delay.ms": "100",
        }
        for name, listener in LISTENERS.items():
            prefix = f"listener.name.{name.lower()}."
            if listener.protocol.endswith("SSL"):
                properties |= self._tls(prefix, listener)
            if listener.protocol.startswith("SASL"):
                properties |= self._sasl(prefix, listener)
        return properties

    def _tls(self, prefix: str, listener: Listener) -> dict[str, str]:
        return {
            f"{prefix}ssl.keystore.type": "PEM",
            f"{prefix}ssl.keystore.location": str(self._identities[listener.identity].both),
            f"{prefix}ssl.truststore.type": "PEM",
            f"{prefix}ssl.truststore.location": str(self.authority.certificate),
            f"{prefix}ssl.client.auth": "required" if listener.clients else "none",
        }

    def _sasl(self, prefix: str, listener: Listener) -> dict[str, str]:
        properties = {f"{prefix}sasl.enabled.mechanisms": ",".join(MECHANISMS)}
        for mechanism in MECHANISMS:
            inner = f"{prefix}{mechanism.lower()}."
            properties[f"{inner}sasl.jaas.config"] = _MODULES[mechanism]
            if listener.session_ms:
                properties[f"{inner}connections.max.reauth.ms"] = str(listener.session_ms)
        inner = f"{prefix}oauthbearer."
        return properties | {
            f"{inner}sasl.server.callback.handler.class": (
                f"{_OAUTH}.OAuthBearerValidatorCallbackHandler"
            ),
            f"{inner}sasl.oauthbearer.jwks.endpoint.url": self.tokens.keys_url,
            f"{inner}sasl.oauthbearer.expected.audience": AUDIENCE,
            f"{inner}sasl.oauthbearer.expected.issuer": self.tokens.issuer,
        }
