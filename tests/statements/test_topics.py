"""Topics: their names, how they are made, how they grow, and when one is made unasked (N1, N2, N6, N7)."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from tests.helpers.admin_requests import create_partitions, create_topic, describe_topic
from tests.helpers.log_files import batches_on_disk
from tests.helpers.statement_servers import Server, eventually, new_name
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers

E = ErrorCode

#: With these a topic is made when it is asked for.
AUTO = {"auto.create.topics.enable": "true", "num.partitions": "3"}


def exists(client: WireClient, name: str) -> bool:
    """Whether a topic can be used, or soon can."""
    found = describe_topic(client, name, allow_auto_topic_creation=False)
    return found.error_code not in {E.UNKNOWN_TOPIC_OR_PARTITION, E.INVALID_TOPIC_EXCEPTION}


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a b", "a/b", "a:b", "caf\u00e9", "x" * 250, "a\n"]
)
def test_n1_illegal_names(server: Server, client: WireClient, name: str):
    """
    A name has 1 to 249 letters, digits, dots, underscores and hyphens, and is not "." or "..".
    """
    result = create_topic(client, name)

    assert result.error_code == E.INVALID_TOPIC_EXCEPTION
    assert result.error_message


def test_n1_legal_names(server: Server, client: WireClient):
    """
    A name may be as long as 249, begin with anything legal, and have capitals.
    """
    for name in ("x" * 249, "-", "_", "...", "A.b-C_9", "0"):
        assert create_topic(client, name).error_code == 0
        assert create_topic(client, name).error_code == E.TOPIC_ALREADY_EXISTS


def test_n1_names_that_collide(server: Server, client: WireClient):
    """
    Two names may not be the same where dots are taken for underscores.
    """
    name = new_name()
    assert create_topic(client, f"{name}.a_b").error_code == 0

    for twin in (f"{name}_a_b", f"{name}.a.b", f"{name}_a.b"):
        assert create_topic(client, twin).error_code == E.INVALID_TOPIC_EXCEPTION
    assert create_topic(client, f"{name}-a-b").error_code == 0


def test_n1_name_twice_in_a_request(server: Server, client: WireClient):
    """
    A name that comes twice in a request is not made; others of the request are.
    """
    twin, single = new_name(), new_name()
    topics = [
        CreatableTopic(name=name, num_partitions=1, replication_factor=1)
        for name in (twin, single, twin)
    ]
    answer = client.ask(CreateTopicsRequest(topics=topics, timeout_ms=5000), 5)

    assert {(one.name, one.error_code) for one in answer.topics} == {
        (twin, E.INVALID_REQUEST),
        (single, E.NONE),
    }
    assert not exists(client, twin)


ASSIGNED = {"partitions": -1, "factor": -1}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"partitions": 0}, E.INVALID_PARTITIONS),
        ({"partitions": -2}, E.INVALID_PARTITIONS),
        ({"factor": 0}, E.INVALID_REPLICATION_FACTOR),
        ({"factor": -2}, E.INVALID_REPLICATION_FACTOR),
        ({"factor": 2}, E.INVALID_REPLICATION_FACTOR),
        ({"partitions": 1, "factor": -1, "assignments": {0: [1]}}, E.INVALID_REQUEST),
        ({"partitions": -1, "factor": 1, "assignments": {0: [1]}}, E.INVALID_REQUEST),
        ({"assignments": {1: [1]}, **ASSIGNED}, E.INVALID_REPLICA_ASSIGNMENT),
        ({"assignments": {0: [1], 2: [1]}, **ASSIGNED}, E.INVALID_REPLICA_ASSIGNMENT),
        ({"assignments": {0: [1, 1]}, **ASSIGNED}, E.INVALID_REPLICA_ASSIGNMENT),
        ({"assignments": {0: []}, **ASSIGNED}, E.INVALID_REPLICA_ASSIGNMENT),
        ({"assignments": {0: [1], 1: []}, **ASSIGNED}, E.INVALID_REPLICA_ASSIGNMENT),
        ({"assignments": {0: [7]}, **ASSIGNED}, E.INVALID_REPLICA_ASSIGNMENT),
    ],
    ids=str,
)
def test_n2_impossible_counts_and_assignments(
    server: Server, client: WireClient, fields: dict[str, Any], code: ErrorCode
):
    """
    Counts and assignments that cannot be are refused with a reason, and make nothing.
    """
    name = new_name()
    result = create_topic(client, name, **fields)

    assert result.error_code == code
    assert result.error_message
    assert not exists(client, name)


def test_n2_defaults_and_assignments(servers: Servers):
    """
    A count of -1 is the broker's default; an assignment says how many partitions there are.
    """
    server = servers.shared(AUTO)
    default, assigned = new_name(), new_name()
    with server.connect() as client:
        first = create_topic(client, default, partitions=-1, factor=-1)
        second = create_topic(client, assigned, assignments={1: [1], 0: [1]}, **ASSIGNED)
        assert [first.error_code, second.error_code] == [0, 0]
        assert [first.num_partitions, second.num_partitions] == [3, 2]
        assert [first.replication_factor, second.replication_factor] == [1, 1]


def test_n2_validate_only_has_no_effect(server: Server, client: WireClient):
    """
    A request that only asks is answered as if it were meant, and makes nothing.
    """
    name = new_name()

    assert create_topic(client, name, validate_only=True).error_code == 0
    refused = create_topic(client, name, partitions=0, validate_only=True)
    assert refused.error_code == E.INVALID_PARTITIONS
    assert not exists(client, name)


def test_n2_answer_has_configs_and_id(server: Server, client: WireClient):
    """
    The answer has every configuration in effect, and from version 7 on the topic's id.
    """
    name = new_name()
    result = create_topic(client, name, configs={"retention.ms": "5"}, partitions=2, version=7)
    configs = {one.name: (one.value, one.config_source) for one in result.configs}

    assert (result.num_partitions, result.replication_factor) == (2, 1)
    assert (configs["retention.ms"], configs["segment.bytes"]) == (("5", 1), ("1073741824", 5))
    assert result.topic_id.int != 0
    eventually(lambda: describe_topic(client, name).topic_id == result.topic_id)


def test_n2_no_time_to_make_it(server: Server, client: WireClient):
    """
    Who gives no time at all for a topic to be made.
    """
    name = new_name()
    code = create_topic(client, name, timeout_ms=0).error_code

    assert (code, exists(client, name)) == server.differs(
        ours=(E.NONE, True),
        kafka=(E.REQUEST_TIMED_OUT, False),
        reason="one broker makes a topic while it reads the request, so that no time is too short; "
        "Kafka's controller gives up what waits in its queue",
    )


def test_n6_partitions_only_grow(server: Server, client: WireClient):
    """
    A topic gets more partitions and never fewer, and what it has stays where it is.
    """
    topic = server.topic(2)
    client.produce(topic, server.batch(b"x"), partition=1)

    assert create_partitions(client, topic, 4) == (topic, 0)
    assert create_partitions(client, topic, 4) == (topic, E.INVALID_PARTITIONS)
    assert create_partitions(client, topic, 3) == (topic, E.INVALID_PARTITIONS)
    assert create_partitions(client, topic, 0) == (topic, E.INVALID_PARTITIONS)
    eventually(lambda: client.produce(topic, server.batch(b"x"), partition=3).error_code == 0)
    assert client.produce(topic, server.batch(b"x"), partition=1).base_offset == 1


def test_n6_topic_that_is_not_there(server: Server, client: WireClient):
    """
    What is not there does not grow.
    """
    name = new_name()

    assert create_partitions(client, name, 2) == (name, E.UNKNOWN_TOPIC_OR_PARTITION)


@pytest.mark.parametrize(
    "assignments", [[[1]], [[1], [1], [1]], [[1], [7]], [[1], [1, 1]], [[1], []]]
)
def test_n6_bad_assignments(server: Server, client: WireClient, assignments: list[list[int]]):
    """
    Each new partition has its replicas, on brokers that there are, or none is made.
    """
    topic = server.topic()
    code = create_partitions(client, topic, 3, assignments=assignments)[1]

    assert code == E.INVALID_REPLICA_ASSIGNMENT
    assert len(describe_topic(client, topic).partitions) == 1


def test_n6_assignment_and_validate_only(server: Server, client: WireClient):
    """
    A right assignment is taken; a request that only asks makes nothing.
    """
    topic = server.topic()
    wanted = {"assignments": [[1], [1]]}

    assert create_partitions(client, topic, 3, validate_only=True, **wanted)[1] == 0
    assert len(describe_topic(client, topic).partitions) == 1
    assert create_partitions(client, topic, 3, **wanted)[1] == 0
    eventually(lambda: len(describe_topic(client, topic).partitions) == 3)


def test_n7_nothing_is_made_unless_the_broker_may(server: Server, client: WireClient):
    """
    Where the broker is not to make topics, asking for one makes none.
    """
    name = new_name()
    found = describe_topic(client, name, allow_auto_topic_creation=True)

    assert found.error_code == E.UNKNOWN_TOPIC_OR_PARTITION
    assert not exists(client, name)


def test_n7_nothing_is_made_unless_the_client_lets(servers: Servers):
    """
    A client may forbid it, and Produce and Fetch never make a topic.
    """
    server, name = servers.shared(AUTO), new_name()
    fetch = FetchRequest(
        replica_id=-1,
        max_wait_ms=0,
        min_bytes=0,
        topics=[FetchTopic(topic=name, partitions=[FetchPartition(partition_max_bytes=100)])],
    )
    with server.connect() as client:
        found = describe_topic(client, name, allow_auto_topic_creation=False)
        assert found.error_code == E.UNKNOWN_TOPIC_OR_PARTITION
        assert client.produce(name, server.batch(b"x")).error_code == E.UNKNOWN_TOPIC_OR_PARTITION
        [part] = client.ask(fetch, 11).responses[0].partitions
        assert part.error_code == E.UNKNOWN_TOPIC_OR_PARTITION
        assert not exists(client, name)


@pytest.mark.parametrize("version", [3, 4, 12])
def test_n7_asked_for_and_made(servers: Servers, version: int):
    """
    A topic that is asked for by name is made with the broker's defaults, and there at a later
    look; versions below 4 always allow it.
    """
    server, name = servers.shared(AUTO), new_name()
    allowed = {} if version < 4 else {"allow_auto_topic_creation": True}
    with server.connect() as client:
        first = describe_topic(client, name, version, **allowed)
        assert first.error_code in {E.UNKNOWN_TOPIC_OR_PARTITION, E.LEADER_NOT_AVAILABLE}
        eventually(lambda: describe_topic(client, name, version, **allowed).error_code == 0)
        assert len(describe_topic(client, name, version, **allowed).partitions) == 3
        eventually(lambda: client.produce(name, server.batch(b"x"), partition=2).error_code == 0)


def test_n7_illegal_names_are_not_made(servers: Servers):
    """
    A name that no topic may have is told as such, and nothing is made.
    """
    with servers.shared(AUTO).connect() as client:
        for name in ("a b", "..", "x" * 250):
            found = describe_topic(client, name, allow_auto_topic_creation=True)
            assert found.error_code == E.INVALID_TOPIC_EXCEPTION


def test_n7_many_who_ask_make_one(servers: Servers):
    """
    Clients that ask at the same time find one topic, to which each can write.
    """
    server, name = servers.shared(AUTO), new_name()
    ids, offsets = set(), []

    def use() -> None:
        with server.connect() as client:

            def ready() -> bool:
                found = describe_topic(client, name, allow_auto_topic_creation=True)
                ids.add(found.topic_id)
                return found.error_code == 0

            eventually(ready)
            answer = eventually(
                lambda: (
                    (found := client.produce(name, server.batch(b"x"))).error_code == 0 and found
                )
            )
            offsets.append(answer.base_offset)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(offsets) == list(range(6))
    assert len({one for one in ids if one.int}) == 1
    assert len(list(batches_on_disk(server.data_dir, name))) == 6
