"""Quotas and limits: who may have which, what is told of them, and whom they hit (Q1 to Q4)."""

from __future__ import annotations

import pytest

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from tests.helpers.quota_requests import (
    ANY,
    DEFAULT,
    EXACT,
    alter,
    clear_quotas,
    describe,
    entry,
    quotas,
    set_quotas,
)
from tests.helpers.statement_servers import Server, eventually, new_name
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers

E = ErrorCode
RATE = "producer_byte_rate"


@pytest.fixture
def admin(client: WireClient):
    """A connection to a server that has no quotas, before and after."""
    clear_quotas(client)
    eventually(lambda: not quotas(client))
    yield client
    clear_quotas(client)


def told(client: WireClient, expected: dict, *components: tuple, strict: bool = False) -> bool:
    """These quotas are told, once the server has taken them over."""
    return bool(eventually(lambda: quotas(client, *components, strict=strict) == expected))


WRONG = {
    "no entity": ({}, RATE, 5),
    "unknown type": ({"group": "g"}, RATE, 5),
    "empty name": ({"user": ""}, RATE, 5),
    "ip and user": ({"ip": "127.0.0.1", "user": "a"}, RATE, 5),
    "ip and client id": ({"ip": None, "client-id": None}, RATE, 5),
    "no address": ({"ip": "not.an.address.invalid"}, "connection_creation_rate", 5),
    "unknown key": ({"user": "a"}, "producer_bytes", 5),
    "another's key": ({"user": "a"}, "connection_creation_rate", 5),
    "a user's key": ({"ip": "127.0.0.1"}, RATE, 5),
    "zero": ({"user": "a"}, RATE, 0.0),
    "negative": ({"user": "a"}, "request_percentage", -1),
    "a part of a byte": ({"user": "a"}, RATE, 1.5),
    "too large": ({"user": "a"}, RATE, 1e19),
    "too many connections": ({"ip": None}, "connection_creation_rate", 2.0**31),
}


@pytest.mark.parametrize(("entity", "key", "value"), WRONG.values(), ids=WRONG)
def test_q1_impossible_quota_is_refused(admin: WireClient, entity: dict, key: str, value: float):
    """
    Q1: an entity or a value that is not possible gets 42, and the other entities are changed.
    """
    good = entry({"user": "good"}, (RATE, 1000))
    refused = alter(admin, entry(entity, (key, value or 0.0)), good)
    codes = {
        tuple(sorted((p.entity_type, p.entity_name) for p in one.entity)): one.error_code
        for one in refused.entries
    }

    assert {tuple(sorted(entity.items())): E.INVALID_REQUEST, (("user", "good"),): 0} == codes
    assert told(admin, {(("user", "good"),): {RATE: 1000.0}})


def test_q1_one_impossible_value_keeps_all_of_the_entity(admin: WireClient):
    """
    Q1: an entity is changed as a whole or not at all; a key that comes twice is one that is wrong.
    """
    mixed = entry({"user": "a"}, (RATE, 1000), ("consumer_byte_rate", -1))
    twice = entry({"user": "b"}, (RATE, 1000), (RATE, 2000))
    answer = alter(admin, mixed, twice)

    assert [E.INVALID_REQUEST] * 2 == [one.error_code for one in answer.entries]
    assert told(admin, {})


def test_q1_entity_that_comes_twice(admin: WireClient):
    """
    Q1: of an entity that comes twice the first counts, and the one answer about it is 42.
    """
    answer = alter(
        admin,
        entry({"user": "a"}, (RATE, 1000)),
        entry({"user": "a"}, ("consumer_byte_rate", 5)),
    )

    assert [E.INVALID_REQUEST] == [one.error_code for one in answer.entries]
    assert told(admin, {(("user", "a"),): {RATE: 1000.0}})


def test_q1_only_looking_changes_nothing(admin: WireClient):
    """
    Q1: validate_only answers the same and leaves everything as it was.
    """
    good = alter(admin, entry({"user": "a"}, (RATE, 1000)), validate_only=True)
    bad = alter(admin, entry({"user": "a"}, (RATE, -1)), validate_only=True)

    assert [0] == [one.error_code for one in good.entries]
    assert [E.INVALID_REQUEST] == [one.error_code for one in bad.entries]
    assert told(admin, {})


def test_q1_removing_what_is_not_there(admin: WireClient):
    """
    Q1: removing is no error where there is nothing, and an entity without quotas is gone.
    """
    set_quotas(admin, {"user": "a"}, producer_byte_rate=5, request_percentage=12.5)
    assert told(admin, {(("user", "a"),): {RATE: 5.0, "request_percentage": 12.5}})
    set_quotas(admin, {"user": "a"}, producer_byte_rate=None, consumer_byte_rate=None)
    assert told(admin, {(("user", "a"),): {"request_percentage": 12.5}})
    set_quotas(admin, {"user": "a"}, request_percentage=None)
    assert told(admin, {})


USER_A = (("user", "a"),)
BOTH = (("client-id", "c"), ("user", "a"))
OTHERS_C = (("client-id", "c"), ("user", None))
OTHERS = (("user", None),)
CLIENT = (("client-id", "c"),)
ADDRESS = (("ip", "10.0.0.1"),)
ADDRESSES = (("ip", None),)
ALL = {USER_A, BOTH, OTHERS_C, OTHERS, CLIENT, ADDRESS, ADDRESSES}
FILTERS = [
    ([], False, ALL),
    ([], True, set()),
    ([("user", EXACT, "a")], False, {USER_A, BOTH}),
    ([("user", EXACT, "a")], True, {USER_A}),
    ([("user", DEFAULT, None)], False, {OTHERS, OTHERS_C}),
    ([("user", DEFAULT, None)], True, {OTHERS}),
    ([("user", ANY, None)], False, {USER_A, BOTH, OTHERS, OTHERS_C}),
    ([("user", ANY, None)], True, {USER_A, OTHERS}),
    ([("client-id", EXACT, "c")], False, {BOTH, OTHERS_C, CLIENT}),
    ([("client-id", EXACT, "c"), ("user", DEFAULT, None)], False, {OTHERS_C}),
    ([("client-id", EXACT, "c"), ("user", ANY, None)], True, {BOTH, OTHERS_C}),
    ([("ip", ANY, None)], False, {ADDRESS, ADDRESSES}),
    ([("ip", DEFAULT, None)], True, {ADDRESSES}),
    ([("ip", EXACT, "10.0.0.1")], True, {ADDRESS}),
    ([("ip", EXACT, "10.0.0.2")], False, set()),
    ([("user", EXACT, "nobody")], False, set()),
]


def test_q2_filters(admin: WireClient):
    """
    Q2: exact, default and any match, alone and together, strict and not, tell Kafka's entities.
    """
    changes = [
        entry(dict(one), ("connection_creation_rate" if "ip" in dict(one) else RATE, number * 1000))
        for number, one in enumerate(sorted(ALL, key=str), 1)
    ]
    assert not any(one.error_code for one in alter(admin, *changes).entries)
    eventually(lambda: len(quotas(admin)) == len(ALL))

    found = [set(quotas(admin, *wanted, strict=strict)) for wanted, strict, _ in FILTERS]
    assert [expected for _, _, expected in FILTERS] == found


@pytest.mark.parametrize(
    ("components", "code"),
    [
        ([("", EXACT, "a")], E.INVALID_REQUEST),
        ([("user", EXACT, "a"), ("user", ANY, None)], E.INVALID_REQUEST),
        ([("group", EXACT, "a")], E.UNSUPPORTED_VERSION),
        ([("user", EXACT, None)], E.INVALID_REQUEST),
        ([("user", DEFAULT, "a")], E.INVALID_REQUEST),
        ([("user", ANY, "a")], E.INVALID_REQUEST),
        ([("user", 3, None)], E.INVALID_REQUEST),
        ([("ip", ANY, None), ("user", ANY, None)], E.INVALID_REQUEST),
        ([("client-id", ANY, None), ("ip", DEFAULT, None)], E.INVALID_REQUEST),
    ],
)
def test_q2_impossible_filter(client: WireClient, components: list, code: int):
    """
    Q2: a filter that is not possible is refused as a whole, with no entries at all.
    """
    answer = describe(client, *components)

    assert (code, None) == (answer.error_code, answer.entries)


def produce(server: Server, topic: str, size: int) -> ProduceRequest:
    part = PartitionProduceData(index=0, records=server.batch(b"v" * size))
    data = TopicProduceData(name=topic, partition_data=[part])
    return ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data])


def throttle(server: Server, topic: str, client_id: str | None, size: int = 50_000) -> int:
    """For how long a new client of that name is throttled."""
    with server.connect(client_id) as client:
        answer = client.ask(produce(server, topic, size), 9)
    assert answer.responses[0].partition_responses[0].error_code == 0
    return int(answer.throttle_time_ms)


LEVELS = [
    {"user": "ANONYMOUS", "client-id": "NAME"},
    {"user": "ANONYMOUS", "client-id": None},
    {"user": "ANONYMOUS"},
    {"user": None, "client-id": "NAME"},
    {"user": None, "client-id": None},
    {"user": None},
    {"client-id": "NAME"},
    {"client-id": None},
]


@pytest.mark.parametrize("at", range(len(LEVELS)))
def test_q3_most_specific_quota_counts(server: Server, admin: WireClient, at: int):
    """
    Q3: of those that are set, the first in this order counts: user and client id, user and default
    client id, user, default user and client id, default user and default client id, default user,
    client id, default client id.
    """
    topic, name = server.topic(), new_name()
    levels = [
        {kind: name if value == "NAME" else value for kind, value in level.items()}
        for level in LEVELS[at:]
    ]
    for place, level in enumerate(levels):
        set_quotas(admin, level, producer_byte_rate=1000 if place == 0 else 10**9)
    eventually(lambda: len(quotas(admin)) == len(levels))
    # What is set takes a moment to be in force in Kafka; 50 kB are more than 1000 a second allow.
    assert eventually(lambda: throttle(server, topic, name) > 0)


def test_q3_throttle_time(server: Server, admin: WireClient):
    """
    Q3: a client that sends three times what its window has is throttled for some twice a window.
    """
    topic, name = server.topic(), new_name()
    set_quotas(admin, {"client-id": name}, producer_byte_rate=10_000)
    set_quotas(admin, {"client-id": f"{name}-sign"}, producer_byte_rate=1)
    # Once the second is in force, the first is too.
    eventually(lambda: throttle(server, topic, f"{name}-sign", 10) > 0)
    with server.connect(name) as client:
        answer = client.ask(produce(server, topic, 300_000), 9)
        # (rate - limit) / limit of the ten seconds, and what the request has besides its records.
        assert 20_000 <= answer.throttle_time_ms <= 21_500


def test_q3_client_without_a_name(server: Server, admin: WireClient):
    """
    Q3: a client without an id has no quota of client ids, and that of its user.
    """
    topic, name = server.topic(), new_name()
    set_quotas(admin, {"client-id": None}, producer_byte_rate=1000)
    eventually(lambda: throttle(server, topic, name) > 0)
    assert 0 == throttle(server, topic, None)
    set_quotas(admin, {"user": None}, producer_byte_rate=1000)
    assert eventually(lambda: throttle(server, topic, None) > 0)


def test_q3_changes_of_topics(server: Server, admin: WireClient):
    """
    Q3: beyond controller_mutation_rate a topic is refused with 89 and the time to wait, and is not
    made; in a version before 6 it is made.
    """

    def make(partitions: int, version: int):
        topic = CreatableTopic(name=new_name(), num_partitions=partitions, replication_factor=1)
        with server.connect(name) as client:
            return client.ask(CreateTopicsRequest(topics=[topic], timeout_ms=20_000), version)

    name = new_name()
    set_quotas(admin, {"client-id": name}, controller_mutation_rate=0.01)
    eventually(lambda: make(1, 6).topics[0].error_code == E.THROTTLING_QUOTA_EXCEEDED)
    refused = make(1, 6)
    assert E.THROTTLING_QUOTA_EXCEEDED == refused.topics[0].error_code
    assert refused.throttle_time_ms > 0
    made = make(1, 5)
    assert 0 == made.topics[0].error_code
    assert made.throttle_time_ms > refused.throttle_time_ms


def test_q3_topics_that_metadata_makes(servers: Servers):
    """
    Q3: a topic that Metadata makes counts as one that CreateTopics makes; beyond
    controller_mutation_rate it is not made, and its client hears no more of that than that there
    is no such topic (3).
    """
    server = servers.shared({"auto.create.topics.enable": "true", "num.partitions": "3"})
    spent, fresh, other = new_name(), new_name(), new_name()

    def create(name: str) -> int:
        topic = CreatableTopic(name=new_name(), num_partitions=1, replication_factor=1)
        with server.connect(name) as client:
            answer = client.ask(CreateTopicsRequest(topics=[topic], timeout_ms=20_000), 6)
        return int(answer.topics[0].error_code)

    def look(name: str, topic: str, *, make: bool = True) -> tuple[int, int]:
        wanted = [MetadataRequestTopic(name=topic)]
        request = MetadataRequest(topics=wanted, allow_auto_topic_creation=make)
        with server.connect(name) as client:
            answer = client.ask(request, 9)
        return answer.topics[0].error_code, answer.throttle_time_ms

    with server.connect() as admin:
        for name in (fresh, spent):
            set_quotas(admin, {"client-id": name}, controller_mutation_rate=0.01)
        # What is set first is in force first.
        eventually(lambda: create(spent) == E.THROTTLING_QUOTA_EXCEEDED)
        refused, made, later = new_name(), new_name(), new_name()
        assert (E.UNKNOWN_TOPIC_OR_PARTITION, 0) == look(spent, refused)
        look(fresh, made)
        assert eventually(lambda: look(other, made, make=False)[0] == 0)
        assert E.THROTTLING_QUOTA_EXCEEDED == create(fresh)
        # Whoever makes them does so in the order in which they were asked for.
        look(other, later)
        assert eventually(lambda: look(other, later, make=False)[0] == 0)
        assert (E.UNKNOWN_TOPIC_OR_PARTITION, 0) == look(other, refused, make=False)
        clear_quotas(admin)


def test_q4_connections_of_an_address(servers: Servers):
    """
    Q4: with max.connections.per.ip one more of an address is closed without an answer, and room
    comes back when one leaves.
    """
    # Kafka's own connections, from broker to controller, are of the same address.
    server = servers.shared({"max.connections.per.ip": "20"})
    clients = []
    try:
        refused = None
        for _ in range(30):
            client = server.connect().__enter__()
            clients.append(client)
            try:
                client.ask(ApiVersionsRequest(), 0)
            except OSError:
                refused = clients.pop()
                break
        assert refused is not None
        refused.socket.close()
        assert 10 <= len(clients) <= 20
        clients.pop().socket.close()

        def is_served() -> bool:
            with server.connect() as again:
                try:
                    return bool(again.ask(ApiVersionsRequest(), 0).error_code == 0)
                except OSError:
                    return False

        assert eventually(is_served)
    finally:
        for client in clients:
            client.socket.close()
