"""Rules as a user of the broker holds them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from pyproducer.broker import Acl, Broker
from pyproducer.errors import ConfigError, UsageError
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from tests.helpers.partition_logs import batch
from tests.helpers.statement_servers import eventually
from tests.helpers.wire_client import WireClient

AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
WRITE = Acl.allow("User:ANONYMOUS", "write", topic="orders")


def code(broker: Broker, topic: str = "orders") -> int:
    """What a client gets who writes to the topic."""
    with WireClient(broker.bootstrap_servers) as client:
        return int(client.produce(topic, batch(1)).error_code)


def test_without_rules_everybody_may_do_everything():
    """
    A broker that was told nothing of rules has none, and says so when asked for them.
    """
    with Broker({"orders": 1}) as broker:
        assert 0 == code(broker)
        assert () == broker.state().acls
        with pytest.raises(UsageError, match=r"start it with acls=\[\.\.\.\]"):
            list(broker.acls)


def test_no_rules_are_rules():
    """
    With an empty list of rules nobody may do anything, and the broker's owner may change that.
    """
    with Broker({"orders": 1}, acls=[]) as broker:
        assert 29 == code(broker)
        broker.acls.add(WRITE)
        assert 0 == code(broker)
        assert [WRITE] == list(broker.acls)
        assert WRITE in broker.acls
        assert 1 == len(broker.acls)
        broker.acls.add(Acl.deny("User:*", "write", topic="o", prefixed=True))
        assert 29 == code(broker)
        broker.acls.clear()
        assert not list(broker.acls)
        assert 29 == code(broker)


def test_rules_are_changed_on_open_connections():
    """
    A connection that is open is judged by the rules of the moment.
    """
    with (
        Broker({"orders": 1}, acls=[WRITE]) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        assert 0 == client.produce("orders", batch(1)).error_code
        broker.acls.remove(WRITE)
        refused = client.produce("orders", batch(1))

    assert 29 == refused.error_code
    assert "User:ANONYMOUS from 127.0.0.1 may not write topic 'orders'" == refused.error_message


def test_a_fetch_that_waits_is_judged_anew():
    """
    What is forbidden while a Fetch waits for it is not read any more.
    """
    rules = [WRITE, Acl.allow("User:ANONYMOUS", "read", topic="orders")]
    part = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    waiting = FetchRequest(
        max_wait_ms=60_000, min_bytes=1, topics=[FetchTopic(topic="orders", partitions=[part])]
    )
    with (
        Broker({"orders": 1}, acls=rules) as broker,
        WireClient(broker.bootstrap_servers) as reader,
    ):
        reader.send(waiting, 11)
        partition = broker._node().partition("orders", 0)
        assert partition is not None
        eventually(lambda: partition.watches)
        broker.acls.remove(rules[1])
        assert 0 == code(broker)
        [answer] = reader.receive().responses[0].partitions

    assert (29, 0) == (answer.error_code, len(answer.records))


def test_from_a_file_of_properties(tmp_path: Path):
    """
    Kafka's own words for a cluster with rules are taken from a server.properties.
    """
    path = tmp_path / "server.properties"
    path.write_text(
        f"authorizer.class.name={AUTHORIZER}\n"
        "super.users=User:admin;User:CN=root,O=us\n"
        "allow.everyone.if.no.acl.found=true\n"
    )
    with Broker.from_properties(path, {"orders": 1}) as broker:
        assert 0 == code(broker)
        broker.acls.add(Acl.allow("User:admin", "write", topic="orders"))
        assert 29 == code(broker)


def test_super_users():
    """
    super_users and super.users are the same, and neither obeys rules.
    """
    for options in (
        {"super_users": ["User:ANONYMOUS"]},
        {"config": {"super.users": "User:x;User:ANONYMOUS", "authorizer.class.name": AUTHORIZER}},
    ):
        with Broker({"orders": 1}, **options) as broker:
            broker.acls.add(Acl.deny("User:*", "all", topic="*"))
            assert 0 == code(broker)


def test_rules_are_in_the_state_and_outlive_the_broker(tmp_path: Path):
    """
    The rules are a part of the state, in words, and of the data directory.
    """
    with Broker({"orders": 1}, acls=[WRITE], data_dir=tmp_path) as broker:
        broker.acls.add(Acl.allow("User:*", "read", group="g", prefixed=True, host="10.0.0.1"))
        state = broker.state()
    assert (WRITE,) == state.acls[:1]
    rows = json.loads(json.dumps(state.as_dict()))["acls"]
    assert {
        "principal": "User:*",
        "operation": "read",
        "resource_type": "group",
        "resource_name": "g",
        "pattern_type": "prefixed",
        "host": "10.0.0.1",
        "permission": "allow",
    } == rows[1]
    with Broker(data_dir=tmp_path) as broker:
        assert state.acls == broker.state().acls
        assert 0 == code(broker, "orders")
    with Broker(data_dir=tmp_path, acls=[]) as broker:
        assert list(state.acls) == list(broker.acls)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"acls": ["User:alice"]}, "Acl.allow"),
        ({"super_users": "User:alice"}, "a list of principals"),
        ({"super_users": ["alice"]}, "'alice' is no principal"),
        ({"acls": [], "config": {"authorizer.class.name": ""}}, "authorizer.class.name is empty"),
        ({"super_users": ["User:a"], "config": {"super.users": "User:b"}}, "give one of them"),
        ({"config": {"super.users": "b", "authorizer.class.name": AUTHORIZER}}, "super.users"),
        ({"config": {"authorizer.class.name": "kafka.Other"}}, "must be of"),
    ],
    ids=str,
)
def test_what_cannot_be(options: dict[str, object], told: str):
    """
    Rules that are none, and arguments that contradict each other, are refused at the start.
    """
    with pytest.raises(ConfigError) as caught:
        Broker(**options)

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"principal": "alice", "operation": "read", "topic": "t"}, "User:alice"),
        ({"principal": "User:a", "operation": "raed", "topic": "t"}, "'raed' is none of"),
        ({"principal": "User:a", "operation": "any", "topic": "t"}, "for filters"),
        ({"principal": "User:a", "operation": "read"}, "give topic, group"),
        ({"principal": "User:a", "operation": "read", "topic": "t", "group": "g"}, "not 2"),
        ({"principal": "User:a", "operation": "read", "topic": ""}, "resource_name"),
        ({"principal": "User:a", "operation": 3, "topic": "t"}, "operation"),
        ({"principal": "User:a", "operation": "read", "topic": "t", "host": ""}, "host"),
    ],
    ids=str,
)
def test_what_is_no_rule(arguments: dict[str, object], told: str):
    """
    What is no rule cannot be made; the error says what to write.
    """
    for make in (Acl.allow, Acl.deny):
        with pytest.raises(ConfigError) as caught:
            make(**arguments)
        assert told in str(caught.value)
        assert "acls" == caught.value.option


def test_operations_in_any_spelling():
    """
    Kafka's spelling of an operation is taken like ours.
    """
    spelt = {
        Acl.allow("User:a", one, topic="t")
        for one in ("DescribeConfigs", "describe_configs", "DESCRIBE_CONFIGS", "describe-configs")
    }

    assert 1 == len(spelt)
    assert "allow User:a from * to describe_configs topic t" == str(spelt.pop())


def test_confluent_kafkas_admin_client():
    """
    confluent-kafka's admin client makes, finds and removes rules.
    """
    admin_rules = [Acl.allow("User:*", "all", cluster=True)]
    with Broker({"orders": 1}, acls=admin_rules) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
        binding = AclBinding(
            ResourceType.TOPIC,
            "ord",
            ResourcePatternType.PREFIXED,
            "User:ANONYMOUS",
            "*",
            AclOperation.WRITE,
            AclPermissionType.ALLOW,
        )
        for future in admin.create_acls([binding]).values():
            future.result(20)
        assert 0 == code(broker)
        named = AclBindingFilter(
            ResourceType.TOPIC,
            "orders",
            ResourcePatternType.MATCH,
            None,
            None,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        assert [binding] == admin.describe_acls(named).result(20)
        [removed] = admin.delete_acls([named]).values()
        assert [binding] == removed.result(20)
        assert 29 == code(broker)
        assert admin_rules == list(broker.acls)
