"""A Kafka producer for Python, asyncio first, and the broker to test it against.

>>> from pyproducer import AsyncProducer
>>> async def main():
...     async with AsyncProducer("localhost:9092") as producer:
...         await producer.send("orders", "one tea", key="table-7")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pyproducer import _pure, _version

if TYPE_CHECKING:
    from pyproducer.bulk import DeliveryGroup
    from pyproducer.config import ProducerConfig, ProducerOptions
    from pyproducer.core.appender import Delivery
    from pyproducer.errors import (
        AuthenticationError,
        AuthorizationError,
        BrokerRejected,
        BufferFull,
        BulkError,
        CertificateNotYetValid,
        ClientCertificateRefused,
        CloseTimeout,
        ClusterAuthorizationFailed,
        ConfigError,
        ConnectionFailed,
        CorruptRecord,
        CredentialsRefused,
        DeliveryError,
        DeliveryTimeout,
        ExpiredCertificate,
        FlushTimeout,
        ForkedProducer,
        FormatConflict,
        GroupAuthorizationFailed,
        InvalidToken,
        MechanismNotOffered,
        NotDone,
        NotStarted,
        OffsetsAuthorizationFailed,
        ProducerClosed,
        ProducerError,
        ProducerFenced,
        ProtocolError,
        ProviderFailed,
        RecordTooLarge,
        SaslExpected,
        SerializationError,
        TlsError,
        TlsExpected,
        TlsNotOffered,
        TopicAuthorizationFailed,
        TransactionAborted,
        TransactionalIdAuthorizationFailed,
        TransactionError,
        UndeliveredError,
        UnknownTopic,
        UnsupportedVersion,
        UntrustedCertificate,
        UsageError,
        WouldDeadlock,
        WrongHostName,
        WrongLoop,
    )
    from pyproducer.interceptors import Interceptor, ProducerRecord
    from pyproducer.metrics import ProducerMetrics
    from pyproducer.model import (
        DeliveryFailure,
        FlushReport,
        GroupMetadata,
        Headers,
        OffsetAndMetadata,
        RecordMetadata,
        TimestampType,
        TopicPartition,
    )
    from pyproducer.producer import AsyncProducer
    from pyproducer.sync import SyncProducer
    from pyproducer.sync_topic import SyncTopic
    from pyproducer.sync_transaction import SyncTransaction
    from pyproducer.topic import Topic
    from pyproducer.transaction import Transaction

if _pure.PURE:
    from pyproducer import _sources

    _sources.show_sources()

__version__ = _version.VERSION

__all__ = [
    "AsyncProducer",
    "AuthenticationError",
    "AuthorizationError",
    "BrokerRejected",
    "BufferFull",
    "BulkError",
    "CertificateNotYetValid",
    "ClientCertificateRefused",
    "CloseTimeout",
    "ClusterAuthorizationFailed",
    "ConfigError",
    "ConnectionFailed",
    "CorruptRecord",
    "CredentialsRefused",
    "Delivery",
    "DeliveryError",
    "DeliveryFailure",
    "DeliveryGroup",
    "DeliveryTimeout",
    "ExpiredCertificate",
    "FlushReport",
    "FlushTimeout",
    "ForkedProducer",
    "FormatConflict",
    "GroupAuthorizationFailed",
    "GroupMetadata",
    "Headers",
    "Interceptor",
    "InvalidToken",
    "MechanismNotOffered",
    "NotDone",
    "NotStarted",
    "OffsetAndMetadata",
    "OffsetsAuthorizationFailed",
    "ProducerClosed",
    "ProducerConfig",
    "ProducerError",
    "ProducerFenced",
    "ProducerMetrics",
    "ProducerOptions",
    "ProducerRecord",
    "ProtocolError",
    "ProviderFailed",
    "RecordMetadata",
    "RecordTooLarge",
    "SaslExpected",
    "SerializationError",
    "SyncProducer",
    "SyncTopic",
    "SyncTransaction",
    "TimestampType",
    "TlsError",
    "TlsExpected",
    "TlsNotOffered",
    "Topic",
    "TopicAuthorizationFailed",
    "TopicPartition",
    "Transaction",
    "TransactionAborted",
    "TransactionError",
    "TransactionalIdAuthorizationFailed",
    "UndeliveredError",
    "UnknownTopic",
    "UnsupportedVersion",
    "UntrustedCertificate",
    "UsageError",
    "WouldDeadlock",
    "WrongHostName",
    "WrongLoop",
]

# Which module has each name. They are imported when first asked for: pytest loads the plugin in
# this package at every start, also where nobody asks for a broker or a producer.
_HOMES: Final = {
    "bulk": ("DeliveryGroup",),
    "config": ("ProducerConfig", "ProducerOptions"),
    "core.appender": ("Delivery",),
    "errors": (
        "AuthenticationError",
        "AuthorizationError",
        "BrokerRejected",
        "BufferFull",
        "BulkError",
        "CertificateNotYetValid",
        "ClientCertificateRefused",
        "CloseTimeout",
        "ClusterAuthorizationFailed",
        "ConfigError",
        "ConnectionFailed",
        "CorruptRecord",
        "CredentialsRefused",
        "DeliveryError",
        "DeliveryTimeout",
        "ExpiredCertificate",
        "FlushTimeout",
        "ForkedProducer",
        "FormatConflict",
        "GroupAuthorizationFailed",
        "InvalidToken",
        "MechanismNotOffered",
        "NotDone",
        "NotStarted",
        "OffsetsAuthorizationFailed",
        "ProducerClosed",
        "ProducerError",
        "ProducerFenced",
        "ProtocolError",
        "ProviderFailed",
        "RecordTooLarge",
        "SaslExpected",
        "SerializationError",
        "TlsError",
        "TlsExpected",
        "TlsNotOffered",
        "TopicAuthorizationFailed",
        "TransactionAborted",
        "TransactionError",
        "TransactionalIdAuthorizationFailed",
        "UndeliveredError",
        "UnknownTopic",
        "UnsupportedVersion",
        "UntrustedCertificate",
        "UsageError",
        "WouldDeadlock",
        "WrongHostName",
        "WrongLoop",
    ),
    "interceptors": ("Interceptor", "ProducerRecord"),
    "metrics": ("ProducerMetrics",),
    "model": (
        "DeliveryFailure",
        "FlushReport",
        "GroupMetadata",
        "Headers",
        "OffsetAndMetadata",
        "RecordMetadata",
        "TimestampType",
        "TopicPartition",
    ),
    "producer": ("AsyncProducer",),
    "sync": ("SyncProducer",),
    "sync_topic": ("SyncTopic",),
    "sync_transaction": ("SyncTransaction",),
    "topic": ("Topic",),
    "transaction": ("Transaction",),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is not None:
        value = getattr(import_module(f"{__name__}.{home}"), name)
        # Found at once from now on.
        globals()[name] = value
        return value
    if name in _HOMES:
        # pyproducer.errors and its like, without an import of their own.
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
