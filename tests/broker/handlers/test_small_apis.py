"""ApiVersions, InitProducerId, OffsetForLeaderEpoch, and the APIs that only describe."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyproducer.broker import Broker
from pyproducer.broker.handlers.table import ROUTES
from pyproducer.protocol.api import API
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.describe_cluster import DescribeClusterRequest
from pyproducer.protocol.messages.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
)
from pyproducer.protocol.messages.describe_producers import (
    DescribeProducersRequest,
    TopicRequest,
)
from pyproducer.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)
from pyproducer.protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from pyproducer.protocol.messages.sasl_handshake import SaslHandshakeRequest
from tests.helpers.partition_logs import NOW, batch
from tests.helpers.wire_client import WireClient


def named(name: str, version: str = "1.0") -> ApiVersionsRequest:
    return ApiVersionsRequest(client_software_name=name, client_software_version=version)


@pytest.mark.parametrize("version", range(5))
def test_api_versions_lists_what_is_served(client: WireClient, version: int):
    """
    ApiVersions 0 to 4 list every route; T1: Produce claims 0 for librdkafka's sake.
    """
    request = named("test") if version >= 3 else ApiVersionsRequest()
    answer = client.ask(request, version)

    ranges = {key.api_key: (key.min_version, key.max_version) for key in answer.api_keys}
    assert (0, 12) == ranges.pop(0)
    assert {r.api_key: (r.min_version, r.max_version) for r in ROUTES if r.api_key} == ranges


@pytest.mark.parametrize("version", [3, 4])
def test_transactions_of_the_new_protocol_are_announced(client: WireClient, version: int):
    """
    transaction.version 2 is in force; only version 4 may say that it starts at 0 (KAFKA-17011).
    """
    answer = client.ask(named("test"), version)
    [feature] = answer.finalized_features
    supported = [(one.name, one.min_version, one.max_version) for one in answer.supported_features]

    assert ("transaction.version", 2) == (feature.name, feature.max_version_level)
    assert ([("transaction.version", 0, 2)] if version == 4 else []) == supported


def test_routes_are_within_the_known_versions():
    """
    No route promises a version that the messages cannot encode, and none comes twice.
    """
    assert len(ROUTES) == len({route.api_key for route in ROUTES})
    for route in ROUTES:
        assert route.min_version in API[route.api_key].versions
        assert route.max_version in API[route.api_key].versions


@pytest.mark.parametrize("name", ["", "-x", "x-", "a b", "\u00e9", "x" * 3 + "!"])
def test_c3_odd_software_names(client: WireClient, name: str):
    """
    C3: a software name or version that is no word gets 42, and the connection stays.
    """
    assert ErrorCode.INVALID_REQUEST == client.ask(named(name), 3).error_code
    assert ErrorCode.INVALID_REQUEST == client.ask(named("fine", name), 3).error_code
    assert 0 == client.ask(named("lib-rd.kafka2", "2.0-rc1"), 3).error_code


def init(client: WireClient, version: int = 4, **fields: object) -> InitProducerIdResponse:
    fields.setdefault("transactional_id", None)
    answer: InitProducerIdResponse = client.ask(InitProducerIdRequest(**fields), version)
    return answer


@pytest.mark.parametrize("version", range(6))
def test_i10_every_version_gives_new_ids(client: WireClient, version: int):
    """
    I10: each request gets an id of its own with epoch 0, also one that brings an old id.
    """
    first, second = init(client, version), init(client, version)

    assert (0, 0) == (first.error_code, first.producer_epoch)
    assert first.producer_id != second.producer_id
    if version >= 3:
        third = init(client, version, producer_id=first.producer_id, producer_epoch=3)
        assert (0, second.producer_id + 1) == (third.producer_epoch, third.producer_id)


def test_i10_half_an_identity(client: WireClient):
    """
    I10: an id without an epoch, or an epoch without an id, gets 42.
    """
    assert ErrorCode.INVALID_REQUEST == init(client, producer_id=5).error_code
    assert ErrorCode.INVALID_REQUEST == init(client, producer_epoch=5).error_code


def test_i10_ids_are_unique_over_restarts(tmp_path: Path):
    """
    I10: a restart continues above every id that was ever given.
    """
    given: list[int] = []
    for _ in range(3):
        with (
            Broker(data_dir=tmp_path) as broker,
            WireClient(broker.bootstrap_servers) as client,
        ):
            given += [init(client).producer_id for _ in range(3)]

    assert given == sorted(set(given))


def end_of(client: WireClient, epoch: int, *, version: int = 3, current: int = -1) -> tuple:
    request = OffsetForLeaderEpochRequest(
        topics=[
            OffsetForLeaderTopic(
                topic="orders",
                partitions=[
                    OffsetForLeaderPartition(
                        partition=0, leader_epoch=epoch, current_leader_epoch=current
                    )
                ],
            )
        ],
    )
    answer = client.ask(request, version).topics[0].partitions[0]
    return answer.error_code, answer.leader_epoch, answer.end_offset


@pytest.mark.parametrize("version", [2, 3, 4])
def test_l7_current_epoch_ends_at_the_log_end(client: WireClient, version: int):
    """
    L7: the current epoch ends where the log ends, even before its first record.
    """
    assert (0, 0, 0) == end_of(client, 0, version=version)
    client.produce("orders", batch(3))
    assert (0, 0, 3) == end_of(client, 0, version=version)


def test_l7_epochs_over_restarts(tmp_path: Path):
    """
    L6, L7: a restart is a new epoch; the old one ends where the new one's records begin.
    """
    with (
        Broker({"orders": 1}, data_dir=tmp_path) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        client.produce("orders", batch(3))
    with Broker(data_dir=tmp_path) as broker, WireClient(broker.bootstrap_servers) as client:
        client.produce("orders", batch(2))

        assert (0, 0, 3) == end_of(client, 0)
        assert (0, 1, 5) == end_of(client, 1)
        assert (0, -1, -1) == end_of(client, 2)
        assert (0, -1, -1) == end_of(client, -1)
        assert ErrorCode.FENCED_LEADER_EPOCH == end_of(client, 0, current=0)[0]
        assert ErrorCode.UNKNOWN_LEADER_EPOCH == end_of(client, 0, current=2)[0]


@pytest.mark.parametrize("version", [0, 1])
def test_cluster_is_one_broker(broker: Broker, client: WireClient, version: int):
    """
    DescribeCluster names this broker as the only one and as the controller.
    """
    answer = client.ask(DescribeClusterRequest(), version)

    assert (1, broker.cluster_id) == (answer.controller_id, answer.cluster_id)
    assert [(1, "127.0.0.1", broker.port)] == [
        (b.broker_id, b.host, b.port) for b in answer.brokers
    ]


def test_cluster_has_no_controller_listener(client: WireClient):
    """
    A question for controllers is answered with an error.
    """
    answer = client.ask(DescribeClusterRequest(endpoint_type=2), 1)

    assert ErrorCode.MISMATCHED_ENDPOINT_TYPE == answer.error_code


def test_producers_are_described(client: WireClient):
    """
    DescribeProducers shows each idempotent producer's epoch, last sequence and timestamp.
    """
    client.produce("orders", batch(4, producer=(7, 2, 0)))
    request = DescribeProducersRequest(
        topics=[TopicRequest(name="orders", partition_indexes=[0, 9])]
    )

    known, unknown = client.ask(request, 0).topics[0].partitions
    [one] = known.active_producers
    assert (7, 2, 3, NOW, -1) == (
        one.producer_id,
        one.producer_epoch,
        one.last_sequence,
        one.last_timestamp,
        one.current_txn_start_offset,
    )
    assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION == unknown.error_code


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_log_dirs_are_described(client: WireClient, version: int):
    """
    DescribeLogDirs tells the bytes of each partition, of all topics or those named.
    """
    client.produce("orders", batch(), partition=1)
    named = [DescribableLogDirTopic(topic="orders", partitions=[1, 7])]

    everything = client.ask(DescribeLogDirsRequest(topics=None), version).results[0]
    part = client.ask(DescribeLogDirsRequest(topics=named), version).results[0]

    assert {"orders", "small", "stamped", "keyed"} == {topic.name for topic in everything.topics}
    [row] = part.topics[0].partitions
    assert (1, len(batch()), 0) == (row.partition_index, row.partition_size, row.offset_lag)


def test_sasl_is_not_spoken(client: WireClient):
    """
    C4: a listener without SASL answers a handshake with 34, and serves on.
    """
    answer = client.ask(SaslHandshakeRequest(mechanism="PLAIN"), 1)

    assert (ErrorCode.ILLEGAL_SASL_STATE, []) == (answer.error_code, answer.mechanisms)
    assert 0 == client.ask(ApiVersionsRequest(), 0).error_code
