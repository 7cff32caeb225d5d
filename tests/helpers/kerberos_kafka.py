"""A real Apache Kafka that knows its users by Kerberos."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.helpers.access import Access
from tests.helpers.authority import Authority
from tests.helpers.guarded_kafka import GuardedKafka
from tests.helpers.kafka_node import JVM, KafkaNode
from tests.helpers.kdc import REALM, Kdc
from tests.helpers.processes import free_ports

#: What the broker calls itself; ``localhost`` is where clients think that they connect to.
SERVICE: Final = "kafka/localhost"


class KerberosKafka(GuardedKafka):
    """One Kafka node for the ``with`` block.

    Attributes:
        ways: the listeners with Kerberos, by protocol; as whom, the client's environment says.
    """

    def __init__(self, folder: Path, kdc: Kdc, authority: Authority) -> None:
        open_, clear, encrypted, controller = free_ports(4)
        self.bootstrap_servers = f"127.0.0.1:{open_}"
        self.ways: Mapping[str, Access] = {
            "SASL_PLAINTEXT": Access(
                address=f"localhost:{clear}", protocol="SASL_PLAINTEXT", mechanism="GSSAPI"
            ),
            "SASL_SSL": Access(
                address=f"localhost:{encrypted}",
                protocol="SASL_SSL",
                mechanism="GSSAPI",
                authority=authority.certificate,
            ),
        }
        listeners = ",".join(
            [f"OPEN://127.0.0.1:{open_}"]
            + [f"{name}://{way.address}" for name, way in self.ways.items()]
        )
        module = (
            "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true "
            f'isInitiator=false keyTab="{kdc.keytab(SERVICE)}" principal="{SERVICE}@{REALM}";'
        )
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": (
                "OPEN:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,"
                "CONTROLLER:PLAINTEXT"
            ),
            "inter.broker.listener.name": "OPEN",
            "controller.listener.names": "CONTROLLER",
            "offsets.topic.num.partitions": "1",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(authority.server("kerberos").both),
        }
        for name in self.ways:
            prefix = f"listener.name.{name.lower()}"
            properties |= {
                f"{prefix}.sasl.enabled.mechanisms": "GSSAPI",
                f"{prefix}.sasl.kerberos.service.name": "kafka",
                f"{prefix}.gssapi.sasl.jaas.config": module,
                # Sessions end, so that clients have to prove again who they are.
                f"{prefix}.gssapi.connections.max.reauth.ms": "1500",
            }
        jvm = [*JVM, f"-Djava.security.krb5.conf={kdc.config}"]
        self._node = KafkaNode(folder, properties, jvm=jvm)
