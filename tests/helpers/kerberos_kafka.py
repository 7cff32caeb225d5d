"""A real Apache Kafka that knows its users by Kerberos."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.helpers.access import Access
from tests.helpers.guarded_kafka import GuardedKafka
from tests.helpers.kafka_node import JVM, KafkaNode
from tests.helpers.kdc import REALM, Kdc
from tests.helpers.processes import free_ports

#: What the broker calls itself; ``localhost`` is where clients think that they connect to.
SERVICE: Final = "kafka/localhost"


class KerberosKafka(GuardedKafka):
    """One Kafka node for the ``with`` block.

    Attributes:
        access: the listener with Kerberos; as whom, the client's environment says.
    """

    def __init__(self, folder: Path, kdc: Kdc) -> None:
        open_, secured, controller = free_ports(3)
        self.bootstrap_servers = f"127.0.0.1:{open_}"
        self.access = Access(
            address=f"localhost:{secured}", protocol="SASL_PLAINTEXT", mechanism="GSSAPI"
        )
        listeners = f"OPEN://127.0.0.1:{open_},KERBEROS://localhost:{secured}"
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
                "OPEN:PLAINTEXT,KERBEROS:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT"
            ),
            "inter.broker.listener.name": "OPEN",
            "controller.listener.names": "CONTROLLER",
            "offsets.topic.num.partitions": "1",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "listener.name.kerberos.sasl.enabled.mechanisms": "GSSAPI",
            "listener.name.kerberos.sasl.kerberos.service.name": "kafka",
            "listener.name.kerberos.gssapi.sasl.jaas.config": module,
            # Sessions end, so that clients have to prove again who they are.
            "listener.name.kerberos.gssapi.connections.max.reauth.ms": "1500",
        }
        jvm = [*JVM, f"-Djava.security.krb5.conf={kdc.config}"]
        self._node = KafkaNode(folder, properties, jvm=jvm)
