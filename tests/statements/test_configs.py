"""Configurations: what is taken, changed and shown (N3, N4, N5).

What a topic's configuration may be, and what it is unset, is told by one table for our broker;
these tests hold Kafka to the same table, so that ours and Kafka's are the same.
"""

from __future__ import annotations

from typing import Any

import pytest

from pyproducer.broker.configs import ConfigSpec, broker_specs, topic_specs
from pyproducer.broker.errors import Refused
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages import incremental_alter_configs
from pyproducer.protocol.messages.describe_configs import DescribeConfigsResourceResult
from tests.helpers.admin_requests import (
    APPEND,
    BROKER,
    DELETE,
    SET,
    SUBTRACT,
    TOPIC,
    alter_configs_by,
    create_topic,
    describe_configs,
    describe_configs_error,
    replace_configs,
)
from tests.helpers.statement_servers import Server, eventually, new_name
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers

E = ErrorCode

#: Values at and beside the edges of what configurations may be, and of every type's words.
VALUES = [
    "-131073", "-131072", "-3", "-2", "-1", "0", "1", "3", "4", "9", "10", "13", "14", "17", "18",
    "22", "23", "1048576", "2147483647", "2147483648", "9223372036854775807", "9223372036854775808",
    "x", "", " 5 ", "+5", "1e3", "1_000", "0.5", "1.01", "true", "TRUE", " true ", "yes", ",",
    "compact", "delete", "compact,delete", "compact, delete", "delete,shred", "gzip", "GZIP", "none",
    "uncompressed", "producer", "CreateTime", "LogAppendTime", "createtime", "*", "0:1,1:1", "0:x",
]  # fmt: skip

#: What Kafka takes only together with something else.
NEEDS_MORE = {"remote.storage.enable": {"true", "TRUE", " true "}}


SMALL_SEGMENTS = {"14", "17", "18", "22", "23"}


def legal(spec: ConfigSpec, value: str) -> bool:
    """Whether the table allows the value, whether or not it has an effect in our broker."""
    try:
        spec.check(value)
    except Refused as refused:
        return "has no effect" in str(refused.message)
    return True


@pytest.mark.parametrize("name", topic_specs())
def test_n3_types_and_ranges(server: Server, client: WireClient, name: str):
    """
    A topic configuration takes the values of its type and range, and a refusal names both.
    """
    spec = topic_specs()[name]
    wrong: dict[str, Any] = {}
    for value in VALUES:
        if value in NEEDS_MORE.get(name, ()):
            continue
        answer = create_topic(client, new_name(), configs={name: value}, validate_only=True)
        expected = E.NONE if legal(spec, value) else E.INVALID_CONFIG
        if server.ours and not spec.implemented and value.strip(" ,").lower() != spec.default:
            # Legal or not: what has no effect is not taken.
            expected = E.INVALID_CONFIG
        if name == "segment.bytes" and value in SMALL_SEGMENTS:
            expected = server.differs(
                ours=E.NONE,
                kafka=E.INVALID_CONFIG,
                reason="Kafka's smallest segment is 1 MiB; ours takes what holds a record, so that "
                "a test of retention need not write so much",
            )
        if answer.error_code != expected:
            wrong[value] = answer
        elif expected:
            assert name in answer.error_message
            # Kafka shows what it made of the value.
            assert not server.ours or f"{name}={value}" in answer.error_message

    assert wrong == {}


def test_n3_unknown_name(server: Server, client: WireClient):
    """
    A configuration that does not exist is refused by name.
    """
    topic = server.topic()
    made = create_topic(client, new_name(), configs={"retention.mss": "1"})
    altered = alter_configs_by(client, TOPIC, topic, ("retention.mss", SET, "1"))

    assert [made.error_code, altered.error_code] == [E.INVALID_CONFIG] * 2
    assert "retention.mss" in made.error_message
    assert "retention.mss" in altered.error_message


def test_n3_no_value(server: Server, client: WireClient):
    """
    Null is the value of no configuration.
    """
    made = create_topic(client, new_name(), configs={"retention.ms": None})
    topic = server.topic()
    altered = alter_configs_by(client, TOPIC, topic, ("retention.ms", SET, None))

    assert (made.error_code, altered.error_code) == (E.INVALID_CONFIG, E.INVALID_REQUEST)


def test_n3_more_in_sync_than_replicas(server: Server, client: WireClient):
    """
    min.insync.replicas may exceed the number of replicas.
    """
    assert create_topic(client, new_name(), configs={"min.insync.replicas": "5"}).error_code == 0


def test_n3_compaction_lags_that_contradict(server: Server, client: WireClient):
    """
    The shortest time before compaction is not longer than the longest.
    """
    lags = {"min.compaction.lag.ms": "2000", "max.compaction.lag.ms": "1000"}
    answer = create_topic(client, new_name(), configs=lags)

    topic = server.topic(max_compaction_lag_ms=1000)
    altered = alter_configs_by(client, TOPIC, topic, ("min.compaction.lag.ms", SET, "2000"))

    for one in (answer, altered):
        assert one.error_code == E.INVALID_CONFIG
        assert "compaction.lag.ms" in one.error_message


def test_n4_set_and_delete(server: Server, client: WireClient):
    """
    What is named is changed, the rest stays; what is deleted falls back to its default.
    """
    topic = server.topic(retention_ms=5000, max_message_bytes=1000)
    answer = alter_configs_by(
        client, TOPIC, topic, ("retention.ms", SET, "6000"), ("max.message.bytes", DELETE, None)
    )
    assert answer.error_code == 0

    def own() -> dict[str, str]:
        rows = describe_configs(client, TOPIC, topic)
        return {name: row.value for name, row in rows.items() if row.config_source == 1}

    eventually(lambda: own() == {"retention.ms": "6000"})
    assert describe_configs(client, TOPIC, topic)["max.message.bytes"].value == "1048588"
    assert alter_configs_by(client, TOPIC, topic, ("retention.bytes", DELETE, "")).error_code == 0


def policy(client: WireClient, topic: str) -> str:
    return describe_configs(client, TOPIC, topic)["cleanup.policy"].value or ""


def test_n4_append_and_subtract(server: Server, client: WireClient):
    """
    A list is appended to like a set, from its default on, and may lose what it has.
    """
    topic = server.topic()

    def change(operation: int, value: str, after: str) -> None:
        answer = alter_configs_by(client, TOPIC, topic, ("cleanup.policy", operation, value))
        assert answer.error_code == 0, answer.error_message
        eventually(lambda: policy(client, topic) == after)

    change(APPEND, "compact", "delete,compact")
    change(APPEND, "compact", "delete,compact")
    change(SUBTRACT, "delete", "compact")
    change(SUBTRACT, "delete", "compact")
    change(APPEND, "delete", "compact,delete")


@pytest.mark.parametrize("operation", [APPEND, SUBTRACT])
def test_n4_no_list(server: Server, client: WireClient, operation: int):
    """
    Nothing is appended to, or subtracted from, what is no list.
    """
    topic = server.topic()
    answer = alter_configs_by(client, TOPIC, topic, ("retention.ms", operation, "1"))

    assert answer.error_code == E.INVALID_CONFIG
    assert "retention.ms" in answer.error_message


def test_n4_unknown_operation(server: Server, client: WireClient):
    """
    There are four operations.
    """
    answer = alter_configs_by(client, TOPIC, server.topic(), ("retention.ms", 9, "1"))

    assert answer.error_code == server.differs(
        ours=E.INVALID_REQUEST,
        kafka=E.UNKNOWN_SERVER_ERROR,
        reason="Kafka stumbles over an operation that it does not know",
    )


def test_n4_all_or_nothing(server: Server, client: WireClient):
    """
    A resource gets all changes that are asked for, or none; resources are independent.
    """
    good, bad = server.topic(), server.topic()
    resources = [
        incremental_alter_configs.AlterConfigsResource(
            resource_type=TOPIC,
            resource_name=name,
            configs=[
                incremental_alter_configs.AlterableConfig(
                    name=key, config_operation=SET, value=value
                )
                for key, value in changes.items()
            ],
        )
        for name, changes in {
            bad: {"retention.ms": "7", "segment.ms": "x"},
            good: {"retention.ms": "7"},
            "nowhere": {"retention.ms": "7"},
        }.items()
    ]
    request = incremental_alter_configs.IncrementalAlterConfigsRequest(resources=resources)
    codes = {one.resource_name: one.error_code for one in client.ask(request, 1).responses}

    assert codes == {bad: E.INVALID_CONFIG, good: 0, "nowhere": E.UNKNOWN_TOPIC_OR_PARTITION}
    eventually(lambda: describe_configs(client, TOPIC, good)["retention.ms"].value == "7")
    assert describe_configs(client, TOPIC, bad)["retention.ms"].value == "604800000"


def test_n4_resource_twice(server: Server, client: WireClient):
    """
    A resource that comes twice in a request is not changed.
    """
    # Kafka 4.4 never answers an AlterConfigs request of the kind; ours refuses it likewise.
    topic = server.topic()
    twice = [
        incremental_alter_configs.AlterConfigsResource(
            resource_type=TOPIC,
            resource_name=topic,
            configs=[incremental_alter_configs.AlterableConfig(name="retention.ms", value=value)],
        )
        for value in ("1", "2")
    ]
    request = incremental_alter_configs.IncrementalAlterConfigsRequest(resources=twice)
    answer = client.ask(request, 1)

    assert {one.error_code for one in answer.responses} == {E.INVALID_REQUEST}
    assert describe_configs(client, TOPIC, topic)["retention.ms"].value == "604800000"


def test_n4_configuration_twice(server: Server, client: WireClient):
    """
    A configuration that comes twice for a resource is not changed.
    """
    topic = server.topic()
    answer = alter_configs_by(
        client, TOPIC, topic, ("retention.ms", SET, "1"), ("retention.ms", DELETE, None)
    )

    assert answer.error_code == E.INVALID_REQUEST


def test_n4_validate_only(server: Server, client: WireClient):
    """
    A request that only asks is answered as if it were meant, and changes nothing.
    """
    topic = server.topic()

    def ask(value: str) -> int:
        change = ("retention.ms", SET, value)
        return alter_configs_by(client, TOPIC, topic, change, validate_only=True).error_code

    assert (ask("5"), ask("x")) == (0, E.INVALID_CONFIG)
    assert describe_configs(client, TOPIC, topic)["retention.ms"].value == "604800000"


def test_n4_alter_configs_replaces(server: Server, client: WireClient):
    """
    The older AlterConfigs replaces everything: what it does not name falls back to its default.
    """
    topic = server.topic(retention_ms=5000, max_message_bytes=1000)
    assert replace_configs(client, TOPIC, topic, retention_ms="6000").error_code == 0

    def own() -> dict[str, str]:
        rows = describe_configs(client, TOPIC, topic)
        return {name: row.value for name, row in rows.items() if row.config_source == 1}

    eventually(lambda: own() == {"retention.ms": "6000"})


@pytest.mark.parametrize("who", ["1", ""])
def test_n4_read_only_broker_configs(server: Server, client: WireClient, who: str):
    """
    What a broker reads at its start only is not changed while it runs.
    """
    for name, value in (("num.partitions", "3"), ("log.retention.hours", "5"), ("node.id", "2")):
        answer = alter_configs_by(client, BROKER, who, (name, SET, value))
        assert answer.error_code == E.INVALID_REQUEST, name
        assert name in answer.error_message


def test_n4_brokers_that_are_not_there(server: Server, client: WireClient):
    """
    Another broker's configurations are not to be had here.
    """
    for who in ("7", "x"):
        answer = alter_configs_by(client, BROKER, who, ("message.max.bytes", SET, "500"))
        assert answer.error_code != 0
        assert describe_configs_error(client, BROKER, who) == E.INVALID_REQUEST


def test_n4_defaults_reach_topics(servers: Servers):
    """
    A default that changes while the broker runs holds at once for topics that do not set it: for
    all brokers, stronger for this one, and strongest in the topic.
    """
    server = servers.own()
    topic, other = server.topic(), server.topic(max_message_bytes=2000)

    def sees(client: WireClient, name: str) -> tuple[str | None, int]:
        row = describe_configs(client, TOPIC, name)["max.message.bytes"]
        return row.value, row.config_source

    with server.connect() as client:
        for who, value, source in (("", "500", 3), ("1", "400", 2)):
            change = ("message.max.bytes", SET, value)
            assert alter_configs_by(client, BROKER, who, change).error_code == 0
            eventually(lambda seen=(value, source): sees(client, topic) == seen)
            assert sees(client, other) == ("2000", 1)
        large = server.batch(b"x" * 400)
        assert client.produce(topic, large).error_code == E.MESSAGE_TOO_LARGE
        assert client.produce(other, large).error_code == 0
        back = ("message.max.bytes", DELETE, None)
        assert alter_configs_by(client, BROKER, "1", back).error_code == 0
        eventually(lambda: sees(client, topic) == ("500", 3))
        assert client.produce(topic, large).error_code == 0
    server.restart()
    with server.connect() as client:
        assert sees(client, topic) == ("500", 3)


def shown(row: DescribeConfigsResourceResult) -> tuple[Any, ...]:
    synonyms = [(one.name, one.value, one.source) for one in row.synonyms]
    return row.value, row.config_source, row.config_type, row.is_sensitive, synonyms


def test_n5_all_of_a_topic(server: Server, client: WireClient):
    """
    A topic's configurations are all there, with value, type, source and everything behind them.
    """
    topic = server.topic(cleanup_policy="compact", retention_ms=1000)
    found = describe_configs(client, TOPIC, topic)
    expected: dict[str, tuple[Any, ...]] = {}
    for name, spec in topic_specs().items():
        primary = [broker_specs()[one] for one in spec.synonyms[:1]]
        behind = [(one.name, one.default, 5) for one in primary if one.default is not None]
        expected[name] = (spec.default, 5, spec.type, False, behind)
    expected["cleanup.policy"] = (
        "compact", 1, 7, False, [("cleanup.policy", "compact", 1), ("log.cleanup.policy", "delete", 5)],
    )  # fmt: skip
    expected["retention.ms"] = ("1000", 1, 5, False, [("retention.ms", "1000", 1)])
    in_sync = ("min.insync.replicas", "1", 5)
    expected["min.insync.replicas"] = server.differs(
        ours=("1", 5, 3, False, [in_sync]),
        kafka=("1", 3, 3, False, [("min.insync.replicas", "1", 3), in_sync]),
        reason="Kafka's tool that formats storage sets it for all brokers, for a feature of "
        "elections (KIP-966)",
    )

    assert {name: shown(row) for name, row in found.items()} == expected
    assert not any(row.read_only for row in found.values())
    assert all(row.documentation for row in found.values())


#: Known to our broker so that it can say something about them, and not shown by Kafka.
NOT_SHOWN = {
    "controlled.shutdown.max.retries",
    "controlled.shutdown.retry.backoff.ms",
    "controller.performance.always.log.threshold.ms",
    "controller.performance.sample.period.ms",
    "follower.replication.throttled.rate",
    "group.share.persister.class.name",
    "leader.imbalance.per.broker.percentage",
    "leader.replication.throttled.rate",
    "producer.id.expiration.check.interval.ms",
    "replica.alter.log.dirs.io.max.bytes.per.second",
    "sasl.oauthbearer.header.urlencode",
    "server.max.startup.time.ms",
    "share.coordinator.state.topic.prune.interval.ms",
    "unclean.leader.election.interval.ms",
    "unstable.api.versions.enable",
    "unstable.feature.versions.enable",
    # Of the authorizer, which is a part of its own there.
    "allow.everyone.if.no.acl.found",
    "super.users",
}


def test_n5_all_of_a_broker(server: Server, client: WireClient):
    """
    A broker's configurations are all there, with type, default, and whether they can change.
    """
    found = describe_configs(client, BROKER, "1")
    specs = broker_specs()
    names = server.differs(
        ours=set(specs),
        kafka=set(specs) - NOT_SHOWN,
        reason="Kafka hides what it has for itself and what was in older releases",
    )
    assert set(found) == names
    fixed = {name for name, spec in specs.items() if spec.ours == "start" and spec.update != "ro"}
    fixed = server.differs(
        ours=fixed,
        kafka=set(),
        reason="ours takes listeners, their mechanisms, and users of PLAIN as text, at its start",
    )
    wrong = {}
    for name, row in found.items():
        spec = specs[name]
        defaults = [one.value for one in row.synonyms if one.source == 5]
        seen = row.config_type, row.is_sensitive, defaults, row.read_only
        wanted = [spec.default] if spec.default is not None and not spec.sensitive else []
        read_only = spec.update == "ro" or name in fixed
        if seen != (spec.type, spec.sensitive, wanted, read_only):
            wrong[name] = seen, spec
    assert wrong == {}
    assert all(row.value is None for row in found.values() if row.is_sensitive)


def test_n5_static_settings(servers: Servers):
    """
    What a broker was started with is the source of a topic's default, behind what changed since.
    """
    server = servers.own({"message.max.bytes": "3000", "log.retention.ms": "70000"})
    topic = server.topic(max_message_bytes=2000)
    with server.connect() as client:
        alter_configs_by(client, BROKER, "", ("message.max.bytes", SET, "2500"))
        alter_configs_by(client, BROKER, "1", ("message.max.bytes", SET, "2400"))

        def complete() -> bool:
            return len(describe_configs(client, TOPIC, topic)["max.message.bytes"].synonyms) == 5

        eventually(complete)
        rows = describe_configs(client, TOPIC, topic)

    assert shown(rows["max.message.bytes"]) == (
        "2000",
        1,
        3,
        False,
        [
            ("max.message.bytes", "2000", 1),
            ("message.max.bytes", "2400", 2),
            ("message.max.bytes", "2500", 3),
            ("message.max.bytes", "3000", 4),
            ("message.max.bytes", "1048588", 5),
        ],
    )
    assert shown(rows["retention.ms"])[:2] == ("70000", 4)


def test_n5_hours_instead_of_milliseconds(servers: Servers):
    """
    A default that was given in another unit is shown in the topic's.
    """
    server = servers.own({"log.retention.hours": "2", "log.roll.hours": "3"})
    with server.connect() as client:
        rows = describe_configs(client, TOPIC, server.topic())

    assert (rows["retention.ms"].value, rows["segment.ms"].value) == ("7200000", "10800000")
    assert shown(rows["retention.ms"])[1::3] == server.differs(
        ours=(4, [("log.retention.hours", "2", 4)]),
        kafka=(5, []),
        reason="Kafka forgets where the value came from unless it was given in milliseconds",
    )


def test_n5_keys(server: Server, client: WireClient):
    """
    Who names configurations gets those that exist, and who names none gets none.
    """
    topic = server.topic()

    assert set(describe_configs(client, TOPIC, topic, ["retention.ms", "no.such"])) == {
        "retention.ms"
    }
    assert len(describe_configs(client, TOPIC, topic, [])) == server.differs(
        ours=0, kafka=len(topic_specs()), reason="an empty list names nothing"
    )


@pytest.mark.parametrize("version", [1, 2, 3])
def test_n5_versions(server: Server, client: WireClient, version: int):
    """
    Older versions leave out type and documentation.
    """
    row = describe_configs(client, TOPIC, server.topic(), ["segment.bytes"], version)[
        "segment.bytes"
    ]

    assert (row.value, row.config_source) == ("1073741824", 5)
    assert row.config_type == (3 if version >= 3 else 0)


def test_n5_what_is_not_there(server: Server, client: WireClient):
    """
    Topics and brokers that are not there have no configurations.
    """
    assert describe_configs_error(client, TOPIC, "nowhere") == E.UNKNOWN_TOPIC_OR_PARTITION
    assert describe_configs_error(client, TOPIC, "a b") == E.INVALID_TOPIC_EXCEPTION
    assert describe_configs_error(client, BROKER, "7") == E.INVALID_REQUEST
