"""DescribeConfigs, AlterConfigs and IncrementalAlterConfigs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyproducer.broker import Broker
from pyproducer.broker.configs import broker_specs, topic_specs
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages import alter_configs
from tests.helpers.admin_requests import APPEND, BROKER, DELETE, SET, SUBTRACT, TOPIC
from tests.helpers.admin_requests import alter_configs_by as incremental
from tests.helpers.admin_requests import describe_configs as describe
from tests.helpers.admin_requests import describe_configs_error as describe_error
from tests.helpers.admin_requests import replace_configs as replace
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient


def test_t11_every_topic_config_is_listed(client: WireClient):
    """
    T11, N5: all topic configs come with value, source, type, synonyms and documentation.
    """
    rows = describe(client, TOPIC, "small")

    assert list(topic_specs()) == list(rows)
    own = rows["max.message.bytes"]
    assert ("200", 1, 3) == (own.value, own.config_source, own.config_type)
    assert [("max.message.bytes", "200", 1), ("message.max.bytes", "1048588", 5)] == [
        (one.name, one.value, one.source) for one in own.synonyms
    ]
    default = rows["retention.ms"]
    assert ("604800000", 5) == (default.value, default.config_source)
    assert all(row.documentation for row in rows.values())


def test_t11_every_broker_config_is_listed(client: WireClient):
    """
    T11, N5: all broker configs are there; secrets have no value; what is fixed is read-only.
    """
    rows = describe(client, BROKER, "1")

    assert list(broker_specs()) == list(rows)
    assert (None, True) == (rows["ssl.key.password"].value, rows["ssl.key.password"].is_sensitive)
    assert rows["node.id"].read_only
    assert ("1", 4) == (rows["node.id"].value, rows["node.id"].config_source)
    assert "PLAINTEXT://127.0.0.1:" in rows["advertised.listeners"].value
    assert not rows["log.retention.ms"].read_only


@pytest.mark.parametrize("version", range(5))
def test_keys_and_versions(client: WireClient, version: int):
    """
    Versions 0 to 4 answer only the keys asked for; version 0 says what is a default.
    """
    rows = describe(client, TOPIC, "orders", ["segment.bytes", "no.such.key"], version)

    assert ["segment.bytes"] == list(rows)
    assert version > 0 or rows["segment.bytes"].is_default


def test_resources_that_do_not_exist(client: WireClient):
    """
    An unknown topic gets 3, another broker and unknown resource types 42.
    """
    assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION == describe_error(client, TOPIC, "nowhere")
    assert ErrorCode.INVALID_TOPIC_EXCEPTION == describe_error(client, TOPIC, "no where")
    assert ErrorCode.INVALID_REQUEST == describe_error(client, BROKER, "2")
    assert ErrorCode.INVALID_REQUEST == describe_error(client, 8, "1")


def test_n4_alteration_applies_at_once(client: WireClient):
    """
    N4: a changed max.message.bytes decides about the very next batch.
    """
    changed = incremental(client, TOPIC, "orders", ("max.message.bytes", SET, "100"))
    assert 0 == changed.error_code, changed.error_message
    assert ErrorCode.MESSAGE_TOO_LARGE == client.produce("orders", batch(5)).error_code

    incremental(client, TOPIC, "orders", ("max.message.bytes", DELETE, None))
    assert 0 == client.produce("orders", batch(5)).error_code


def test_n4_append_and_subtract(client: WireClient):
    """
    N4, T11: lists are appended to like sets, starting from the default, and subtracted from.
    """
    incremental(client, TOPIC, "orders", ("cleanup.policy", APPEND, "compact,delete"))
    both = describe(client, TOPIC, "orders")["cleanup.policy"].value
    incremental(client, TOPIC, "orders", ("cleanup.policy", SUBTRACT, "delete"))
    one = describe(client, TOPIC, "orders")["cleanup.policy"].value

    assert ("delete,compact", "compact") == (both, one)
    assert ErrorCode.INVALID_RECORD == client.produce("orders", batch(key=None)).error_code


def test_n4_append_to_what_is_no_list(client: WireClient):
    """
    N4: APPEND and SUBTRACT on anything but a list get 40.
    """
    for operation in (APPEND, SUBTRACT):
        refused = incremental(client, TOPIC, "orders", ("retention.ms", operation, "5"))
        assert ErrorCode.INVALID_CONFIG == refused.error_code


def test_n4_all_or_nothing(client: WireClient):
    """
    N4: one bad value leaves the resource as it was; a key twice gets 42.
    """
    bad = incremental(
        client, TOPIC, "orders", ("retention.ms", SET, "5"), ("segment.ms", SET, "never")
    )
    twice = incremental(
        client, TOPIC, "orders", ("retention.ms", SET, "5"), ("retention.ms", SET, "6")
    )

    assert (ErrorCode.INVALID_CONFIG, ErrorCode.INVALID_REQUEST) == (
        bad.error_code,
        twice.error_code,
    )
    assert "segment.ms=never" in bad.error_message
    assert 5 == describe(client, TOPIC, "orders")["retention.ms"].config_source


def test_n4_resource_named_twice(client: WireClient):
    """
    N4: a resource that comes twice in a request gets 42 both times.
    """
    resource = alter_configs.AlterConfigsResource(resource_type=TOPIC, resource_name="orders")
    answer = client.ask(alter_configs.AlterConfigsRequest(resources=[resource, resource]), 1)

    assert [ErrorCode.INVALID_REQUEST] * 2 == [one.error_code for one in answer.responses]


def test_n4_validate_only(client: WireClient):
    """
    validate_only judges and changes nothing.
    """
    good = incremental(client, TOPIC, "orders", ("retention.ms", SET, "5"), validate_only=True)
    bad = incremental(client, TOPIC, "orders", ("retention.ms", SET, "x"), validate_only=True)

    assert (0, ErrorCode.INVALID_CONFIG) == (good.error_code, bad.error_code)
    assert 5 == describe(client, TOPIC, "orders")["retention.ms"].config_source


def test_n4_alter_configs_replaces(client: WireClient):
    """
    N4: AlterConfigs reverts what it does not name.
    """
    replace(client, TOPIC, "orders", retention_ms="5", segment_ms="6")
    replace(client, TOPIC, "orders", segment_ms="7")
    rows = describe(client, TOPIC, "orders")

    assert ("604800000", "7") == (rows["retention.ms"].value, rows["segment.ms"].value)


def test_w7_setting_without_effect(client: WireClient):
    """
    W7: what does nothing here is refused unless it is set to its default.
    """
    refused = incremental(client, TOPIC, "orders", ("segment.jitter.ms", SET, "1"))
    default = incremental(client, TOPIC, "orders", ("segment.jitter.ms", SET, "+0"))
    broker = incremental(client, BROKER, "1", ("num.io.threads", SET, "16"))

    assert (ErrorCode.INVALID_CONFIG, 0, ErrorCode.INVALID_CONFIG) == (
        refused.error_code,
        default.error_code,
        broker.error_code,
    )
    assert "segment.jitter.ms=1" in refused.error_message


def test_n4_broker_defaults_reach_topics(client: WireClient):
    """
    N4, N5: a broker's default reaches topics that do not set it; this broker's beats all brokers'.
    """
    incremental(client, BROKER, "", ("message.max.bytes", SET, "100"))
    everyone = describe(client, TOPIC, "orders")["max.message.bytes"]
    incremental(client, BROKER, "1", ("message.max.bytes", SET, "90"))
    this = describe(client, TOPIC, "orders")["max.message.bytes"]

    assert ("100", 3) == (everyone.value, everyone.config_source)
    assert ("90", 2) == (this.value, this.config_source)
    assert ["message.max.bytes"] == list(describe(client, BROKER, ""))
    assert ErrorCode.MESSAGE_TOO_LARGE == client.produce("orders", batch(5)).error_code
    assert "200" == describe(client, TOPIC, "small")["max.message.bytes"].value


def test_n4_read_only_broker_configs(client: WireClient):
    """
    N4: what cannot change while the broker runs gets 42.
    """
    for operation, value in ((SET, "7"), (DELETE, None)):
        refused = incremental(client, BROKER, "1", ("num.partitions", operation, value))
        assert ErrorCode.INVALID_REQUEST == refused.error_code


def test_alterations_survive_a_restart(tmp_path: Path):
    """
    Topic and broker configs that were set are set after a restart.
    """
    with (
        Broker({"orders": 1}, data_dir=tmp_path) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        incremental(client, TOPIC, "orders", ("retention.ms", SET, "5"))
        incremental(client, BROKER, "", ("message.max.bytes", SET, "100"))
    with Broker(data_dir=tmp_path) as broker, WireClient(broker.bootstrap_servers) as client:
        rows = describe(client, TOPIC, "orders")

        assert ("5", "100") == (rows["retention.ms"].value, rows["max.message.bytes"].value)
        assert ErrorCode.MESSAGE_TOO_LARGE == client.produce("orders", batch(5)).error_code


def test_started_with_hours(tmp_path: Path):
    """
    N5: log.retention.hours, set at the start, is the source of every topic's retention.ms.
    """
    config = {"log.retention.hours": "2", "log.segment.bytes": "5000"}
    with (
        Broker({"orders": 1}, config=config) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        row = describe(client, TOPIC, "orders")["retention.ms"]

        assert ("7200000", 4) == (row.value, row.config_source)
        assert ("log.retention.hours", "2", 4) == (
            row.synonyms[0].name,
            row.synonyms[0].value,
            row.synonyms[0].source,
        )
