"""A real Apache Kafka that lets nobody in unasked: a listener for each way to prove who one is."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

from tests.helpers.authority import Identity
from tests.helpers.cluster_admin import allow, create_scram_user, set_broker_config
from tests.helpers.fault_proxy import FaultProxy
from tests.helpers.guarded_kafka import GuardedKafka
from tests.helpers.kafka_node import JVM, KafkaNode
from tests.helpers.processes import free_ports
from tests.helpers.secured import (
    CHANGING,
    EVERYTHING,
    LISTENERS,
    USER,
    USERS,
    Certificates,
    Listener,
    principals,
)
from tests.helpers.token_server import AUDIENCE, TokenServer

# Kafka fetches keys from nowhere that its operator did not name.
_OAUTH_ALLOWED: Final = "org.apache.kafka.sasl.oauthbearer.allowed.urls"
_SECURITY: Final = "org.apache.kafka.common.security"
_MODULES: Final = {
    "PLAIN": f"{_SECURITY}.plain.PlainLoginModule required "
    + " ".join(f'user_{name}="{password}"' for name, password in USERS.items())
    + ";",
    "SCRAM-SHA-256": f"{_SECURITY}.scram.ScramLoginModule required;",
    "SCRAM-SHA-512": f"{_SECURITY}.scram.ScramLoginModule required;",
    "OAUTHBEARER": f"{_SECURITY}.oauthbearer.OAuthBearerLoginModule required;",
}


class SecureKafka(GuardedKafka):
    """One Kafka node with all of `LISTENERS`, for the ``with`` block."""

    name: ClassVar[str] = "kafka"

    def __init__(
        self, folder: Path, certificates: Certificates, tokens: TokenServer, proxy: FaultProxy
    ) -> None:
        *ports, controller = free_ports(len(LISTENERS) + 1)
        self._ports = dict(zip(LISTENERS, ports, strict=True))
        self.proxy = proxy
        proxy.target = self._place("BEHIND")
        self.bootstrap_servers = self.address("OPEN")
        self.certificates = certificates
        self.tokens = tokens
        jvm = [*JVM, f"-D{_OAUTH_ALLOWED}={tokens.keys_url}"]
        self._node = KafkaNode(folder, self._properties(controller), jvm=jvm, audit=True)

    def address(self, listener: str) -> str:
        """``host:port`` of a listener."""
        return self.proxy.address if LISTENERS[listener].behind_proxy else self._place(listener)

    def _prepare(self) -> None:
        for name, password in USERS.items():
            self.set_password(name, password)
        for principal in (*principals(USER), *principals(CHANGING)):
            allow(self.bootstrap_servers, principal, EVERYTHING)

    def audit_lines(self) -> list[str]:
        """What its authorizer has decided so far, each with its level."""
        return self._node.audit_log.read_text().splitlines()

    def set_password(self, user: str, password: str) -> None:
        """The user has this password for SCRAM from now on; those for PLAIN stay."""
        create_scram_user(self.bootstrap_servers, user, password)

    def show(self, identity: Identity) -> None:
        """The listener BEHIND has this certificate for whoever connects from now on."""
        name = "listener.name.behind.ssl.keystore.location"
        set_broker_config(self.bootstrap_servers, 1, {name: str(identity.both)})

    def _place(self, listener: str) -> str:
        return f"127.0.0.1:{self._ports[listener]}"

    def _properties(self, controller: int) -> dict[str, str]:
        bound = [f"{name}://{self._place(name)}" for name in LISTENERS]
        named = [f"{name}://{self.address(name)}" for name in LISTENERS]
        protocols = [f"{name}:{one.protocol}" for name, one in LISTENERS.items()]
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": ",".join([*bound, f"CONTROLLER://127.0.0.1:{controller}"]),
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
            # A certificate that takes another's place may be for somebody else.
            "ssl.allow.dn.changes": "true",
            "ssl.allow.san.changes": "true",
            # Kafka holds back the answer to wrong credentials for so long.
            "connection.failed.authentication.delay.ms": "100",
        }
        for name, listener in LISTENERS.items():
            found = self.certificates.stores(listener) if listener.tls else {}
            if listener.sasl:
                found |= self._sasl(listener)
            properties |= {f"listener.name.{name.lower()}.{key}": found[key] for key in found}
        return properties

    def _sasl(self, listener: Listener) -> dict[str, str]:
        properties = {"sasl.enabled.mechanisms": ",".join(listener.mechanisms)}
        for mechanism in listener.mechanisms:
            prefix = mechanism.lower()
            properties[f"{prefix}.sasl.jaas.config"] = _MODULES[mechanism]
            if listener.session_ms:
                properties[f"{prefix}.connections.max.reauth.ms"] = str(listener.session_ms)
        oauth = {
            "sasl.server.callback.handler.class": (
                f"{_SECURITY}.oauthbearer.OAuthBearerValidatorCallbackHandler"
            ),
            "sasl.oauthbearer.jwks.endpoint.url": self.tokens.keys_url,
            "sasl.oauthbearer.expected.audience": AUDIENCE,
            "sasl.oauthbearer.expected.issuer": self.tokens.issuer,
        }
        return properties | {f"oauthbearer.{key}": value for key, value in oauth.items()}
