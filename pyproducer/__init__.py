"""A Kafka producer for Python, asyncio first, and the broker to test it against.

>>> from pyproducer import AsyncProducer
>>> async def main():
...     async with AsyncProducer("localhost:9092") as producer:
...         await producer.send("orders", "one tea", key="table-7")
"""

from __future__ import annotations

from pyproducer import _version
from pyproducer.bulk import DeliveryGroup
from pyproducer.config import ProducerConfig, ProducerOptions
from pyproducer.core.appender import Delivery
from pyproducer.errors import (
    AuthenticationError,
    BrokerRejected,
    BufferFull,
    BulkError,
    CloseTimeout,
    ConfigError,
    ConnectionFailed,
    CorruptRecord,
    DeliveryError,
    DeliveryTimeout,
    FlushTimeout,
    ForkedProducer,
    FormatConflict,
    NotDone,
    NotStarted,
    ProducerClosed,
    ProducerError,
    ProducerFenced,
    ProtocolError,
    RecordTooLarge,
    SerializationError,
    TransactionAborted,
    TransactionError,
    UndeliveredError,
    UnknownTopic,
    UnsupportedVersion,
    UsageError,
    WouldDeadlock,
    WrongLoop,
)
from pyproducer.interceptors import Interceptor, ProducerRecord
from pyproducer.metrics import ProducerMetrics
from pyproducer.model import (
    DeliveryFailure,
    FlushReport,
    Headers,
    RecordMetadata,
    TimestampType,
    TopicPartition,
)
from pyproducer.producer import AsyncProducer
from pyproducer.sync import SyncProducer
from pyproducer.sync_topic import SyncTopic
from pyproducer.topic import Topic

__version__ = _version.VERSION

__all__ = [
    "AsyncProducer",
    "AuthenticationError",
    "BrokerRejected",
    "BufferFull",
    "BulkError",
    "CloseTimeout",
    "ConfigError",
    "ConnectionFailed",
    "CorruptRecord",
    "Delivery",
    "DeliveryError",
    "DeliveryFailure",
    "DeliveryGroup",
    "DeliveryTimeout",
    "FlushReport",
    "FlushTimeout",
    "ForkedProducer",
    "FormatConflict",
    "Headers",
    "Interceptor",
    "NotDone",
    "NotStarted",
    "ProducerClosed",
    "ProducerConfig",
    "ProducerError",
    "ProducerFenced",
    "ProducerMetrics",
    "ProducerOptions",
    "ProducerRecord",
    "ProtocolError",
    "RecordMetadata",
    "RecordTooLarge",
    "SerializationError",
    "SyncProducer",
    "SyncTopic",
    "TimestampType",
    "Topic",
    "TopicPartition",
    "TransactionAborted",
    "TransactionError",
    "UndeliveredError",
    "UnknownTopic",
    "UnsupportedVersion",
    "UsageError",
    "WouldDeadlock",
    "WrongLoop",
]
