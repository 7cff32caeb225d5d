"""The options of transactions: their rules, and their names in other clients."""

from __future__ import annotations

import pytest

from pyproducer import AsyncProducer, SyncProducer
from pyproducer.config import ProducerConfig
from pyproducer.errors import ConfigError


def test_defaults():
    """
    A producer is not transactional unless it gets an id; a transaction then has a minute.
    """
    config = ProducerConfig()

    assert config.transactional_id is None
    assert config.transaction_timeout_ms == 60_000


@pytest.mark.parametrize("name", ["", b"tx", 7, True, "x" * 32_768, "\u00fc" * 16_384])
def test_bad_ids(name):
    """
    An id is a str that the protocol can carry, and not empty.
    """
    with pytest.raises(ConfigError, match="transactional_id") as caught:
        ProducerConfig(transactional_id=name)

    assert caught.value.option == "transactional_id"


@pytest.mark.parametrize("name", ["x", "x" * 32_767, "\u00fc"])
def test_good_ids(name):
    """
    Any other str is an id.
    """
    assert ProducerConfig(transactional_id=name).transactional_id == name


@pytest.mark.parametrize("value", [0, -1, 2**31, "60000", 60_000.0, True, None])
def test_bad_timeouts(value):
    """
    The timeout is a number of milliseconds that the protocol can carry.
    """
    with pytest.raises(ConfigError, match="transaction_timeout_ms") as caught:
        ProducerConfig(transaction_timeout_ms=value)

    assert caught.value.option == "transaction_timeout_ms"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"acks": 1}, "acks=1"),
        ({"acks": 0}, "acks=0"),
        ({"retries": 0}, "retries=0"),
        ({"max_in_flight_requests_per_connection": 6}, "max_in_flight_requests_per_connection=6"),
        ({"enable_idempotence": False}, "enable_idempotence=False"),
        ({"acks": 1, "enable_idempotence": False}, "acks=1 and enable_idempotence=False"),
    ],
)
def test_conflicts(options, words):
    """
    Without idempotence there are no transactions, and the text says what stands against it.
    """
    with pytest.raises(
        ConfigError, match=f"transactional_id='tx' conflicts with {words}: "
    ) as caught:
        ProducerConfig(transactional_id="tx", **options)

    assert caught.value.option == "transactional_id"
    assert ProducerConfig(**options).transactional_id is None


@pytest.mark.parametrize("dialect", ["java", "librdkafka"])
def test_names_in_other_clients(dialect):
    """
    Both dialects have the two options under the same names.
    """
    config = ProducerConfig.from_kafka(
        {"transactional.id": "tx", "transaction.timeout.ms": "30000"}, dialect
    )

    assert config.transactional_id == "tx"
    assert config.transaction_timeout_ms == 30_000
    assert config.effective_idempotence


@pytest.mark.parametrize("dialect", ["java", "librdkafka"])
def test_conflicts_in_other_clients(dialect):
    """
    What contradicts itself, or is no value, is refused here too.
    """
    with pytest.raises(ConfigError, match="conflicts with acks=1"):
        ProducerConfig.from_kafka({"transactional.id": "tx", "acks": "1"}, dialect)
    with pytest.raises(ConfigError, match="transactional"):
        ProducerConfig.from_kafka({"transactional.id": ""}, dialect)
    with pytest.raises(ConfigError, match="transaction"):
        ProducerConfig.from_kafka({"transaction.timeout.ms": "a minute"}, dialect)


@pytest.mark.parametrize("producer", [AsyncProducer, SyncProducer])
def test_keyword_options(producer):
    """
    Producers take them as keywords, and refuse bad ones as they are made.
    """
    producer("localhost:9092", transactional_id="tx", transaction_timeout_ms=5_000)

    with pytest.raises(ConfigError, match="transactional_id"):
        producer("localhost:9092", transactional_id="")
    with pytest.raises(ConfigError, match="did you mean 'transactional_id'"):
        producer("localhost:9092", transaction_id="tx")
