"""A Kafka broker in this process, for tests, demos and small installations.

with Broker(topics={"orders": 6}) as broker:
    producer = SomeKafkaClient(broker.bootstrap_servers)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyproducer.broker.broker import Broker
from pyproducer.broker.faults.fault import Fault
from pyproducer.broker.faults.faults import Faults
from pyproducer.broker.inspection import BrokerRecord
from pyproducer.broker.journal import Journal, JournalEntry
from pyproducer.broker.security.authority import ClientCertificate
from pyproducer.broker.security.broker_acls import BrokerAcls
from pyproducer.broker.security.listener import Listener
from pyproducer.broker.security.users import Users
from pyproducer.broker.topics import TopicSpec
from pyproducer.protocol.acl import Acl

if TYPE_CHECKING:
    from pyproducer.broker.state import BrokerState, PartitionState, ProducerState, TopicState

__all__ = [
    "Acl",
    "Broker",
    "BrokerAcls",
    "BrokerRecord",
    "BrokerState",
    "ClientCertificate",
    "Fault",
    "Faults",
    "Journal",
    "JournalEntry",
    "Listener",
    "PartitionState",
    "ProducerState",
    "TopicSpec",
    "TopicState",
    "Users",
]


#: Classes of what only a look inside makes, loaded when they are asked for.
_STATES = frozenset({"BrokerState", "PartitionState", "ProducerState", "TopicState"})


def __getattr__(name: str) -> Any:
    if name not in _STATES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pyproducer.broker import state

    return getattr(state, name)
