"""Options are typed, checked against each other, and read from other clients' names."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import typing

import pytest

from pyproducer.config import ProducerConfig, ProducerOptions, config_table
from pyproducer.errors import ConfigError

NUMERIC = [f.name for f in dataclasses.fields(ProducerConfig) if f.metadata["low"] is not None]


def field_of(name: str) -> dataclasses.Field:
    return ProducerConfig.__dataclass_fields__[name]


def test_defaults_are_the_documented_ones():
    """
    The defaults that decide about safety and batching are those the README promises.
    """
    config = ProducerConfig()

    assert config.acks == "all"
    assert config.effective_idempotence
    assert (
        config.linger_ms,
        config.batch_size,
        config.batch_max_records,
    ) == (5, 1_000_000, 10_000)
    assert (config.buffer_memory, config.max_request_size) == (64 * 2**20, 2**20)
    assert (
        config.max_block_ms,
        config.delivery_timeout_ms,
        config.request_timeout_ms,
    ) == (60_000, 120_000, 30_000)
    assert (
        config.compression_type,
        config.partitioner,
        config.allow_auto_create_topics,
    ) == ("none", "murmur2", False)


def test_keyword_options_mirror_the_fields():
    """
    The keyword arguments of a producer are the fields, with the same types, but for the brokers.
    """
    fields = typing.get_type_hints(ProducerConfig)
    options = typing.get_type_hints(ProducerOptions)
    del fields["bootstrap_servers"]

    assert fields == options
    assert list(fields) == list(options)


def test_table_describes_every_option():
    """
    Each option has a row with its default, a sentence, and a unit and range where it is a number.
    """
    rows = {row.name: row for row in config_table()}

    assert {f.name for f in dataclasses.fields(ProducerConfig)} == set(rows)
    assert next(iter(rows)) == "bootstrap_servers"
    assert all(row.doc.endswith(".") for row in rows.values())
    assert all(rows[name].unit and rows[name].range for name in NUMERIC)
    assert all(name.endswith("_ms") == (rows[name].unit == "ms") for name in NUMERIC)
    assert rows["linger_ms"].range == "0 to 900000, or None"
    assert rows["linger_ms"].kafka == "linger.ms"


def test_is_frozen_and_copyable():
    """
    A configuration cannot be changed, and pickles, copies and compares by value.
    """
    config = ProducerConfig(acks=1, linger_ms=None, client_id="shop")

    with pytest.raises(dataclasses.FrozenInstanceError):
        config.linger_ms = 7
    assert config == pickle.loads(pickle.dumps(config)) == copy.deepcopy(config)
    assert hash(config) == hash(copy.copy(config))
    assert "client_id='shop'" in repr(config)


def test_replace_checks_again():
    """
    A copy with changes obeys the same rules as a new configuration.
    """
    config = ProducerConfig(linger_ms=50)

    assert (config.replace(acks=1).linger_ms, config.replace(acks=1).acks) == (50, 1)
    with pytest.raises(ConfigError, match="enable_idempotence=True conflicts with acks=0"):
        config.replace(acks=0, enable_idempotence=True)
    with pytest.raises(ConfigError, match="did you mean 'linger_ms'"):
        config.replace(lingerms=1)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("lingr_ms", "linger_ms"),
        ("compression", "compression_type"),
        ("delivery_timeout", "delivery_timeout_ms"),
        ("queue_buffering_max_kbytes", "buffer_memory"),
        ("message_max_bytes", "max_request_size"),
        ("max.in.flight.requests.per.connection", "max_in_flight_requests_per_connection"),
        ("Acks", "acks"),
    ],
)
def test_unknown_option_names_the_nearest(name, nearest):
    """
    A misspelt option, or another client's name for one, is refused with the name to use.
    """
    with pytest.raises(
        ConfigError, match=f"unknown option '{name}'; did you mean '{nearest}'"
    ) as e:
        ProducerConfig(**{name: 1})
    assert name == e.value.option


def test_unknown_option_without_a_neighbour():
    """
    An option like no other gets no far-fetched suggestion; a dotted one is told the way.
    """
    with pytest.raises(ConfigError, match=r"^unknown option 'zzz'$"):
        ProducerConfig(zzz=1)
    with pytest.raises(ConfigError, match=r"from_kafka\(mapping, dialect\)"):
        ProducerConfig(**{"linger.ms": 1})


@pytest.mark.parametrize("name", NUMERIC)
@pytest.mark.parametrize("value", [True, 1.0, "5", [], object()])
def test_numbers_must_be_ints(name, value):
    """
    Bools, floats and text are refused where a number is wanted, with the type they have.
    """
    with pytest.raises(ConfigError, match=f"^{name}=.* must be an int.*{type(value).__name__}"):
        ProducerConfig(**{name: value})


@pytest.mark.parametrize("name", NUMERIC)
def test_numbers_must_be_in_range(name):
    """
    A number one beyond either end of its range is refused, and the text has the range.
    """
    low, high = field_of(name).metadata["low"], field_of(name).metadata["high"]
    for value in (low - 1, high + 1):
        with pytest.raises(ConfigError, match=f"^{name}={value} must be from {low} to {high}"):
            ProducerConfig(**{name: value})


@pytest.mark.parametrize("name", NUMERIC)
def test_none_switches_off_only_what_may_be_off(name):
    """
    None is a value of thresholds, of retries and of what is then found out, and of nothing else.
    """
    if name in {
        "linger_ms",
        "batch_size",
        "batch_max_records",
        "retries",
        "connections_max_idle_ms",
        "max_in_flight_requests_per_connection",
    }:
        assert getattr(ProducerConfig(**{name: None}), name) is None
    else:
        with pytest.raises(ConfigError, match=f"{name}=None must be an int"):
            ProducerConfig(**{name: None})


def test_batch_without_a_size_is_bounded_by_the_request():
    """
    With the size threshold off, max_request_size closes a batch.
    """
    assert ProducerConfig().batch_limit_bytes == 1_000_000
    assert ProducerConfig(batch_size=None, max_request_size=4096).batch_limit_bytes == 4096


@pytest.mark.parametrize(
    ("written", "plain", "required"),
    [("all", "all", -1), (-1, "all", -1), ("-1", "all", -1), (0, 0, 0), ("0", 0, 0), ("1", 1, 1)],
)
def test_acks_has_one_spelling(written, plain, required):
    """
    Every spelling of acks becomes one, so that equal configurations compare equal.
    """
    config = ProducerConfig(acks=written)

    assert (plain, required) == (config.acks, config.required_acks)


@pytest.mark.parametrize("acks", [True, False, 1.0, 2, "ALL", None, b"all", [1]])
def test_acks_refuses_other_spellings(acks):
    """
    Bools and floats are no acks, though they equal 0 and 1.
    """
    with pytest.raises(ConfigError, match=r"^acks=.* must be 'all' \(or -1\), 1 or 0"):
        ProducerConfig(acks=acks)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"enable_idempotence": 1}, "enable_idempotence"),
        ({"enable_idempotence": "true"}, "enable_idempotence"),
        ({"allow_auto_create_topics": None}, "allow_auto_create_topics"),
        ({"allow_auto_create_topics": 0}, "allow_auto_create_topics"),
        ({"compression_type": None}, "compression_type"),
        ({"compression_type": "GZIP"}, "compression_type"),
        ({"compression_type": []}, "compression_type"),
        ({"compression_type": "zstd", "compression_level": 1.5}, "compression_level"),
        ({"client_id": ""}, "client_id"),
        ({"client_id": b"x"}, "client_id"),
        ({"client_id": "x" * 32_768}, "client_id"),
        ({"partitioner": "murmur3"}, "partitioner"),
        ({"partitioner": 3}, "partitioner"),
        ({"partitioner": None}, "partitioner"),
        ({"bootstrap_servers": ["a:1"]}, "bootstrap_servers"),
        ({"bootstrap_servers": "a:b"}, "bootstrap_servers"),
    ],
)
def test_wrong_values_name_their_option(options, name):
    """
    A value of the wrong kind is refused with its option's name, in the text and beside it.
    """
    with pytest.raises(ConfigError, match=f"^{name}") as caught:
        ProducerConfig(**options)
    assert name == caught.value.option


def test_async_partitioner_is_refused():
    """
    A coroutine function cannot choose a partition.
    """

    async def choose(key: bytes | None, count: int) -> int:
        return 0

    with pytest.raises(ConfigError, match="plain function"):
        ProducerConfig(partitioner=choose)


@pytest.mark.parametrize(
    "options",
    [{"acks": 1}, {"acks": 0}, {"retries": 0}, {"max_in_flight_requests_per_connection": 6}],
)
def test_idempotence_yields_or_refuses(options):
    """
    Left unset, idempotence gives way to an option that forbids it; asked for, it refuses.
    """
    [(name, value)] = options.items()

    assert not ProducerConfig(**options).effective_idempotence
    assert not ProducerConfig(**options, enable_idempotence=False).effective_idempotence
    with pytest.raises(ConfigError, match=f"conflicts with {name}={value}:"):
        ProducerConfig(**options, enable_idempotence=True)


def test_idempotence_can_be_chosen():
    """
    Idempotence is off when switched off, and on when asked for with options that allow it.
    """
    assert not ProducerConfig(enable_idempotence=False).effective_idempotence
    assert ProducerConfig(enable_idempotence=True, retries=3).effective_idempotence


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"delivery_timeout_ms": 30_004},
            r"delivery_timeout_ms=30004 is less than linger_ms \+ request_timeout_ms = 5 \+ 30000",
        ),
        ({"request_timeout_ms": 120_000}, r"delivery_timeout_ms=120000 \(the default\)"),
        ({"batch_size": 2_000_000}, r"more than max_request_size=1048576 \(the default\)"),
        ({"max_request_size": 2**27, "batch_size": 1}, "largest record has to fit into the buffer"),
        ({"buffer_memory": 4096}, "batch has to fit into the buffer"),
        ({"retry_backoff_ms": 1001}, "retry_backoff_max_ms=1000"),
        ({"reconnect_backoff_max_ms": 49}, "reconnect_backoff_max_ms=49"),
        ({"compression_level": 3}, "compression_type='none'.* has no levels"),
        ({"compression_level": 3, "compression_type": "snappy"}, "gzip, lz4, zstd"),
        ({"compression_level": 10, "compression_type": "gzip"}, "out of range for gzip: 1 to 9"),
        ({"compression_level": 23, "compression_type": "zstd"}, "-131072 to 22"),
    ],
)
def test_conflicts_are_explained(options, text):
    """
    Options that cannot hold together are refused with both values and the reason.
    """
    with pytest.raises(ConfigError, match=text):
        ProducerConfig(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"delivery_timeout_ms": 30_005},
        {"delivery_timeout_ms": 30_000, "linger_ms": None},
        {"batch_size": 2**20, "max_request_size": 2**20, "buffer_memory": 2**20},
        {"compression_type": "gzip", "compression_level": 9},
        {"compression_type": "lz4", "compression_level": 1},
        {"compression_type": "zstd", "compression_level": -5},
        {"retry_backoff_ms": 0, "retry_backoff_max_ms": 0},
    ],
)
def test_edges_are_allowed(options):
    """
    Values that just fit each other are taken as they are.
    """
    config = ProducerConfig(**options)

    assert options == {name: getattr(config, name) for name in options}
