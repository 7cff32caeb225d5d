"""The table of configurations and the layers of the broker's own."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

import pyproducer.broker
from pyproducer.broker.configs import (
    BrokerConfig,
    ConfigSource,
    broker_specs,
    check_broker_configs,
    check_topic_configs,
    parse,
    topic_specs,
)
from pyproducer.broker.errors import Refused
from pyproducer.broker.log.config import LogConfig
from pyproducer.protocol.error_codes import ErrorCode


def test_every_default_obeys_its_own_rule():
    """
    The default of every configuration may be set, whether or not it has an effect here.
    """
    for spec in [*topic_specs().values(), *broker_specs().values()]:
        if spec.default is not None:
            spec.check(spec.default)


def test_only_what_the_log_obeys_is_called_implemented():
    """
    A topic config is called implemented if the log has a setting for it, and only then.
    """
    log = {field.name.replace("_", ".") for field in fields(LogConfig)}
    ours = {name for name, spec in topic_specs().items() if spec.implemented}

    # What it says holds in a log with one replica without being looked at.
    assert {"min.insync.replicas"} == ours - log
    assert set() == {name for name in topic_specs() if name in log} - ours


def test_defaults_are_those_of_the_log():
    """
    The log's own defaults and the table's say the same.
    """
    config = BrokerConfig()
    typed = {
        name: parse(spec.type, config.resolve_topic(name, {}).value or "")
        for name, spec in topic_specs().items()
    }

    assert LogConfig() == LogConfig.from_kafka(typed)


def test_every_synonym_of_a_topic_config_is_a_broker_config():
    """
    What a topic config falls back to is in the broker's table, with the same implementation.
    """
    for spec in topic_specs().values():
        for name in spec.synonyms:
            assert broker_specs()[name].ours == spec.ours, name


def test_table_is_sorted_and_documented():
    """
    Names are in order within their table, and each has a sentence.
    """
    for table in (topic_specs(), broker_specs()):
        assert sorted(table) == list(table)
        assert all(spec.doc.endswith(".") for spec in table.values())


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        ({"retention.m": "1"}, "did you mean retention.ms?"),
        (
            {"retention.ms": "1e3"},
            "retention.ms=1e3 must be a whole number from -1 to 9223372036854775807",
        ),
        ({"segment.bytes": "1_000"}, "must be a whole number from 14 to 2147483647"),
        ({"retention.bytes": "x"}, "must be a whole number from -9223372036854775808 to"),
        ({"compression.lz4.level": "x"}, "must be a whole number from 1 to 17"),
        ({"compression.gzip.level": "x"}, "must be one of -1,1,2,3"),
        ({"min.cleanable.dirty.ratio": "x"}, "must be a number from 0 to 1"),
        ({"preallocate": "yes"}, "preallocate=yes must be true or false"),
        ({"preallocate": "true"}, "has no effect in this broker"),
        ({"segment.bytes": "13"}, "must be at least 14"),
        ({"compression.zstd.level": "23"}, "-131072 to 22"),
        ({"compression.gzip.level": "0"}, "must be of -1, 1"),
        ({"cleanup.policy": "delete,shred"}, "must be of compact, delete"),
    ],
)
def test_refusals_say_what_to_change(config: dict[str, str], hint: str):
    """
    A refused topic config names the key, the value and what would do.
    """
    with pytest.raises(Refused) as caught:
        check_topic_configs(config)

    assert ErrorCode.INVALID_CONFIG == caught.value.code
    assert hint in str(caught.value)


def test_refused_values_are_told_without_pythons_words():
    """
    A value of the wrong type is refused in the words of the configuration alone.
    """
    for name, spec in topic_specs().items():
        if spec.type.name in {"INT", "SHORT", "LONG", "DOUBLE", "BOOLEAN"}:
            with pytest.raises(Refused) as caught:
                check_topic_configs({name: "abc"})
            assert str(caught.value.message).startswith(f"{name}=abc must be ")
            assert "literal" not in str(caught.value)


def test_no_is_no_value_that_is_let_through():
    """
    The table's mark for a configuration without effect is not taken for a value of it.
    """
    with pytest.raises(Refused, match="no effect"):
        check_broker_configs({"sasl.kerberos.service.name": "no"})


def test_topic_config_among_broker_configs_is_pointed_out():
    """
    A topic's key given to the broker is answered with the broker's key.
    """
    with pytest.raises(Refused, match=r"message\.max\.bytes"):
        check_broker_configs({"max.message.bytes": "5"})


def test_more_replicas_in_sync_than_there_are_are_accepted():
    """
    min.insync.replicas may exceed the number of replicas, which caps it (P13).
    """
    check_broker_configs({"min.insync.replicas": "2"})
    with pytest.raises(Refused, match=r"min\.insync\.replicas=0 must be at least 1"):
        check_broker_configs({"min.insync.replicas": "0"})


def test_statements_of_fact_are_accepted():
    """
    A setting that says what a single broker does anyway is no reason to refuse a start.
    """
    check_broker_configs(
        {
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "process.roles": "broker,controller",
        }
    )


def test_secrets_are_not_repeated():
    """
    The value of a password is not in the message that refuses it.
    """
    with pytest.raises(Refused) as caught:
        check_broker_configs({"ssl.keystore.password": "hunter2"})

    assert "hunter2" not in str(caught.value)


def test_unit_synonyms_keep_no_limit():
    """
    log.retention.minutes=-1 means no limit, not minus one minute.
    """
    config = BrokerConfig({"log.retention.minutes": "-1", "log.retention.hours": "1"})

    assert "-1" == config.resolve_topic("retention.ms", {}).value


def test_stronger_layers_win():
    """
    Topic, this broker, all brokers, start, default: the first that says something counts.
    """
    config = BrokerConfig({"log.segment.bytes": "400"})
    seen = [config.resolve_topic("segment.bytes", {})]
    config.all_brokers = {"log.segment.bytes": "300"}
    seen.append(config.resolve_topic("segment.bytes", {}))
    config.this_broker = {"log.segment.bytes": "200"}
    seen.append(config.resolve_topic("segment.bytes", {}))
    seen.append(config.resolve_topic("segment.bytes", {"segment.bytes": "100"}))

    assert [
        ("400", ConfigSource.STATIC),
        ("300", ConfigSource.ALL_BROKERS),
        ("200", ConfigSource.BROKER),
        ("100", ConfigSource.TOPIC),
    ] == [(one.value, one.source) for one in seen]
    assert 5 == len(seen[-1].synonyms)


def test_every_implemented_broker_config_is_used():
    """
    A broker config called implemented defaults a topic config or is read somewhere in the broker.
    """
    folder = Path(pyproducer.broker.__file__).parent
    source = "".join(path.read_text() for path in folder.rglob("*.py"))
    defaults = {name for spec in topic_specs().values() for name in spec.synonyms}
    ours = {name for name, spec in broker_specs().items() if spec.implemented}

    assert set() == {name for name in ours - defaults if f'"{name}"' not in source}
