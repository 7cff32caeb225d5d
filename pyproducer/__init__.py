"""A Kafka producer for Python, asyncio first, and the broker to test it against.

>>> from pyproducer import AsyncProducer
>>> async def main():
...     async with AsyncProducer("localhost:9092") as producer:
...         await producer.send("orders", "one tea", key="table-7")
"""

from __future__ import annotations

from pyproducer import errors
from pyproducer._version import VERSION
from pyproducer.bulk import DeliveryGroup
from pyproducer.config import ProducerConfig, ProducerOptions
from pyproducer.core.appender import Delivery
from pyproducer.errors import *  # noqa: F403 - the whole tree is public
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

__version__ = VERSION

__all__ = [
    "AsyncProducer",
    "Delivery",
    "DeliveryFailure",
    "DeliveryGroup",
    "FlushReport",
    "Headers",
    "Interceptor",
    "ProducerConfig",
    "ProducerMetrics",
    "ProducerOptions",
    "ProducerRecord",
    "RecordMetadata",
    "SyncProducer",
    "SyncTopic",
    "TimestampType",
    "Topic",
    "TopicPartition",
    "__version__",
    "errors",
]
