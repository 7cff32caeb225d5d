"""Faults in answers: where error codes go, what is done before and after, and whose turn it is."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pyproducer.broker import Broker
from pyproducer.broker.faults.places import PLACES
from pyproducer.broker.handlers.table import ROUTES
from pyproducer.errors import ConfigError, UsageError
from pyproducer.model import TopicPartition
from pyproducer.protocol.api import API
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages import (
    alter_client_quotas,
    alter_configs,
    alter_user_scram_credentials,
    create_acls,
    create_partitions,
    create_topics,
    delete_acls,
    delete_groups,
    delete_records,
    delete_topics,
    describe_acls,
    describe_configs,
    describe_groups,
    describe_producers,
    describe_transactions,
    fetch,
    find_coordinator,
    incremental_alter_configs,
    init_producer_id,
    list_offsets,
    metadata,
    offset_commit,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    sasl_handshake,
    txn_offset_commit,
    write_txn_markers,
)
from pyproducer.protocol.schema import Message, Struct
from tests.helpers.partition_logs import batch
from tests.helpers.quota_requests import entry
from tests.helpers.transactional_client import TransactionalProducer
from tests.helpers.wire_client import WireClient

CODE = ErrorCode.REBALANCE_IN_PROGRESS  # none that any handler would give here by itself


#: A filter that every rule passes.
ANY_ACL: dict[str, Any] = {
    "resource_type_filter": 1,
    "resource_name_filter": None,
    "pattern_type_filter": 1,
    "principal_filter": None,
    "host_filter": None,
    "operation": 1,
    "permission_type": 1,
}


def requests() -> dict[int, Message]:
    """A request with something in it for each API whose empty one would ask for nothing."""
    made: list[Message] = [
        produce.ProduceRequest(
            acks=-1,
            topic_data=[
                produce.TopicProduceData(
                    name="orders",
                    partition_data=[produce.PartitionProduceData(index=0, records=batch())],
                )
            ],
        ),
        fetch.FetchRequest(
            max_wait_ms=60_000,
            min_bytes=1,
            topics=[
                fetch.FetchTopic(
                    topic="orders",
                    partitions=[fetch.FetchPartition(partition=0, partition_max_bytes=1000)],
                )
            ],
        ),
        list_offsets.ListOffsetsRequest(
            topics=[
                list_offsets.ListOffsetsTopic(
                    name="orders", partitions=[list_offsets.ListOffsetsPartition(timestamp=-1)]
                )
            ]
        ),
        metadata.MetadataRequest(topics=[metadata.MetadataRequestTopic(name="orders")]),
        offset_commit.OffsetCommitRequest(
            group_id="group",
            topics=[
                offset_commit.OffsetCommitRequestTopic(
                    name="orders", partitions=[offset_commit.OffsetCommitRequestPartition()]
                )
            ],
        ),
        offset_fetch.OffsetFetchRequest(
            groups=[offset_fetch.OffsetFetchRequestGroup(group_id="group", topics=None)]
        ),
        find_coordinator.FindCoordinatorRequest(coordinator_keys=["group"]),
        describe_groups.DescribeGroupsRequest(groups=["group"]),
        sasl_handshake.SaslHandshakeRequest(mechanism="PLAIN"),
        alter_user_scram_credentials.AlterUserScramCredentialsRequest(
            deletions=[alter_user_scram_credentials.ScramCredentialDeletion(name="a", mechanism=1)]
        ),
        create_topics.CreateTopicsRequest(
            topics=[
                create_topics.CreatableTopic(name="made", num_partitions=1, replication_factor=1)
            ]
        ),
        delete_topics.DeleteTopicsRequest(topics=[delete_topics.DeleteTopicState(name="orders")]),
        delete_records.DeleteRecordsRequest(
            topics=[
                delete_records.DeleteRecordsTopic(
                    name="orders", partitions=[delete_records.DeleteRecordsPartition()]
                )
            ]
        ),
        init_producer_id.InitProducerIdRequest(transactional_id=None),
        offset_for_leader_epoch.OffsetForLeaderEpochRequest(
            topics=[
                offset_for_leader_epoch.OffsetForLeaderTopic(
                    topic="orders",
                    partitions=[offset_for_leader_epoch.OffsetForLeaderPartition()],
                )
            ]
        ),
        write_txn_markers.WriteTxnMarkersRequest(
            markers=[
                write_txn_markers.WritableTxnMarker(
                    topics=[
                        write_txn_markers.WritableTxnMarkerTopic(
                            name="orders", partition_indexes=[0]
                        )
                    ]
                )
            ]
        ),
        txn_offset_commit.TxnOffsetCommitRequest(
            topics=[
                txn_offset_commit.TxnOffsetCommitRequestTopic(
                    name="orders", partitions=[txn_offset_commit.TxnOffsetCommitRequestPartition()]
                )
            ]
        ),
        describe_transactions.DescribeTransactionsRequest(transactional_ids=["tx"]),
        describe_configs.DescribeConfigsRequest(
            resources=[
                describe_configs.DescribeConfigsResource(
                    resource_type=2, resource_name="orders", configuration_keys=None
                )
            ]
        ),
        alter_configs.AlterConfigsRequest(
            resources=[alter_configs.AlterConfigsResource(resource_type=2, resource_name="orders")]
        ),
        incremental_alter_configs.IncrementalAlterConfigsRequest(
            resources=[
                incremental_alter_configs.AlterConfigsResource(
                    resource_type=2, resource_name="orders"
                )
            ]
        ),
        create_partitions.CreatePartitionsRequest(
            topics=[
                create_partitions.CreatePartitionsTopic(name="orders", count=5, assignments=None)
            ]
        ),
        delete_groups.DeleteGroupsRequest(groups_names=["group"]),
        create_acls.CreateAclsRequest(creations=[create_acls.AclCreation()]),
        describe_acls.DescribeAclsRequest(**ANY_ACL),
        delete_acls.DeleteAclsRequest(filters=[delete_acls.DeleteAclsFilter(**ANY_ACL)]),
        alter_client_quotas.AlterClientQuotasRequest(
            entries=[entry({"user": "alice"}, ("producer_byte_rate", 1000.0))]
        ),
        describe_producers.DescribeProducersRequest(
            topics=[describe_producers.TopicRequest(name="orders", partition_indexes=[0])]
        ),
    ]
    return {one.api_key: one for one in made}


def codes(answer: Any) -> list[int]:
    """All error codes of a message, from the outside in."""
    found = []
    for name in answer.wire_fields():
        value = getattr(answer, name)
        if name == "error_code":
            found.append(value)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, Struct):
                    found += codes(one)
    return found


def ask_newest(client: WireClient, request: Message) -> Any:
    route = next(one for one in ROUTES if one.api_key == request.api_key)
    version = route.max_version
    if request.api_key == fetch.FetchRequest.api_key:
        version = 12  # by topic names
    return client.ask(request, version)


def test_every_api_has_a_place_for_errors():
    """
    An API that the broker serves can be made to fail.
    """
    assert set() == {route.api_key for route in ROUTES} - set(PLACES)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("key", [route.api_key for route in ROUTES], ids=lambda key: API[key].name)
def test_each_api_carries_the_code(broker: Broker, client: WireClient, key: int, when: str):
    """
    Whatever the API, the next answer has the code where clients look for it, and the one after not.
    """
    request = requests().get(key) or API[key].request()
    if key == fetch.FetchRequest.api_key:
        client.produce("orders", batch())
    fault = broker.faults.fail(key, CODE, when=when)
    answer = ask_newest(client, request)
    carried = codes(answer)

    # An item that failed by itself keeps its own error after the work, and nothing was to do.
    own = when == "after" and any(code not in {0, CODE} for code in carried)
    assert own or CODE in carried
    assert own or 1 == fault.hits
    assert not fault.active
    assert CODE not in codes(ask_newest(client, request))


def test_partitions_of_a_transaction_carry_the_code(broker: Broker, client: WireClient):
    """
    AddPartitionsToTxn 0 to 3: the partition has the code, its neighbours 55, and none is added.
    """
    places = [TopicPartition("orders", 0), TopicPartition("orders", 1)]
    for when, codes_told, open_ in (("before", [51, 55], False), ("after", [51, 0], True)):
        producer = TransactionalProducer(client, when)
        producer.init()
        broker.faults.fail("AddPartitionsToTxn", 51, when=when, topic="orders", partition=0)

        assert codes_told == producer.add(*places)
        assert open_ is (producer.end(commit=True) == 0)


def test_before_leaves_it_undone_and_after_does_it(broker: Broker, client: WireClient):
    """
    The same refusal with nothing in the log, and with the batch in it.
    """
    for when, held in (("before", 0), ("after", 1)):
        broker.faults.fail("Produce", "NOT_ENOUGH_REPLICAS_AFTER_APPEND", when=when)
        answer = client.produce("orders", batch())

        assert (20, -1, -1) == (answer.error_code, answer.base_offset, answer.log_append_time_ms)
        assert "fault" in answer.error_message
        assert held == len(broker.records("orders"))


@pytest.mark.parametrize(
    ("key", "exists"),
    [(19, lambda node: node.topics.get("made")), (20, lambda node: node.topics.get("orders"))],
    ids=["CreateTopics", "DeleteTopics"],
)
def test_before_and_after_of_admin_requests(broker: Broker, client: WireClient, key: int, exists):
    """
    A topic whose creation or deletion failed before the work is as it was; after it, it is not.
    """
    at_first = bool(exists(broker._node()))
    broker.faults.fail(key, "REQUEST_TIMED_OUT")
    ask_newest(client, requests()[key])
    before = bool(exists(broker._node()))
    broker.faults.fail(key, "REQUEST_TIMED_OUT", when="after")
    ask_newest(client, requests()[key])

    assert at_first == before != bool(exists(broker._node()))


@pytest.mark.parametrize("when", ["before", "after"])
def test_only_the_partition_named_fails(broker: Broker, client: WireClient, when: str):
    """
    The partitions of a request that are not meant are appended to and acknowledged.
    """
    fault = broker.faults.fail("Produce", 6, when=when, topic="orders", partition=1)
    request = requests()[0]
    [data] = request.topic_data
    data.partition_data = [
        produce.PartitionProduceData(index=index, records=batch()) for index in range(3)
    ]
    [topic] = client.ask(request, 9).responses

    assert {0: 0, 1: 6, 2: 0} == {p.index: p.error_code for p in topic.partition_responses}
    assert (
        [0, 1, 2]
        if when == "after"
        else [0, 2] == [one.partition for one in broker.records("orders")]
    )
    assert 1 == fault.hits


def test_a_request_that_does_not_match_uses_nothing_up(broker: Broker, client: WireClient):
    """
    A fault about one topic waits for it.
    """
    fault = broker.faults.fail("Produce", 6, topic="small")

    assert 0 == client.produce("orders", batch()).error_code
    assert (0, True) == (fault.hits, fault.active)
    assert 6 == client.produce("small", batch()).error_code


def test_faults_take_turns(broker: Broker, client: WireClient):
    """
    Failures of one API strike in the order in which they were set, each as often as it may.
    """
    faults = [
        broker.faults.fail("Produce", 6, times=2),
        broker.faults.fail("Produce", "NOT_ENOUGH_REPLICAS", when="after"),
        broker.faults.fail("Produce", 999, times=None),
    ]
    answers = [client.produce("orders", batch()).error_code for _ in range(5)]

    assert [6, 6, 19, 999, 999] == answers
    assert [2, 1, 2] == [fault.hits for fault in faults]
    assert faults[2:] == list(broker.faults.active)
    assert 1 == len(broker.records("orders"))


def test_failures_of_two_partitions_meet_in_one_request(broker: Broker, client: WireClient):
    """
    Each partition of a request meets the first fault that is about it.
    """
    broker.faults.fail("Produce", 6, partition=2)
    broker.faults.fail("Produce", 7)
    request = requests()[0]
    [data] = request.topic_data
    data.partition_data = [
        produce.PartitionProduceData(index=index, records=batch()) for index in range(3)
    ]
    [topic] = client.ask(request, 9).responses

    assert {0: 7, 1: 7, 2: 6} == {p.index: p.error_code for p in topic.partition_responses}


def test_a_real_error_stays(broker: Broker, client: WireClient):
    """
    A batch that fails by itself has its own error, also where it was to be reported as failed.
    """
    fault = broker.faults.fail("Produce", 7, when="after")

    assert 10 == client.produce("small", batch(value=b"x" * 500)).error_code
    assert 0 == fault.hits


@pytest.mark.parametrize(("when", "held"), [("before", 0), ("after", 1)])
def test_failure_without_an_answer_closes_the_connection(broker: Broker, when: str, held: int):
    """
    With acks=0 there is no answer to put a code in.
    """
    fault = broker.faults.fail("Produce", 6, when=when)
    request = requests()[0]
    request.acks = 0
    with WireClient(broker.bootstrap_servers) as client:
        client.send(request, 9)

        assert client.is_closed()
    assert (1, held) == (fault.hits, len(broker.records("orders")))


def test_fetch_by_topic_id(broker: Broker, client: WireClient):
    """
    A fault about a topic finds it where the request has its id only.
    """
    topic_id = broker._node().topics["orders"].id
    broker.faults.fail("Fetch", "OFFSET_OUT_OF_RANGE", topic="orders")
    request = requests()[1]
    request.topics[0] = request.topics[0].replace(topic="", topic_id=topic_id)
    [answered] = client.ask(request, 16).responses

    assert topic_id == answered.topic_id
    assert [1] == [part.error_code for part in answered.partitions]


def test_unsupported_api_versions_is_answered_in_version_0(broker: Broker, client: WireClient):
    """
    UNSUPPORTED_VERSION of ApiVersions comes in the version that every client reads.
    """
    from pyproducer.protocol.frame import decode_response_header
    from pyproducer.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse

    broker.faults.fail("ApiVersions", "UNSUPPORTED_VERSION")
    client.send(ApiVersionsRequest(client_software_name="a", client_software_version="1"), 3)
    _, body = decode_response_header(client.receive_frame(), 18, 0)

    assert ErrorCode.UNSUPPORTED_VERSION == ApiVersionsResponse.decode(body, 0).error_code


def test_cancelled_faults_do_not_strike(broker: Broker, client: WireClient):
    """
    cancel, the end of a with block and clear each end what has not struck.
    """
    broker.faults.fail("Produce", 6).cancel()
    with broker.faults.fail("Produce", 6, times=None):
        pass
    broker.faults.fail("Produce", 6)
    broker.faults.clear()

    assert () == broker.faults.active
    assert 0 == client.produce("orders", batch()).error_code


def test_wait_tells_of_hits(broker: Broker):
    """
    wait returns when the fault has struck on another thread, and says what it saw if not.
    """
    fault = broker.faults.fail("Produce", 6, times=3)
    with pytest.raises(TimeoutError, match=r"fail\(api='Produce', .* 0 hits"):
        fault.wait(timeout=0.01)

    def write() -> None:
        with WireClient(broker.bootstrap_servers) as client:
            for _ in range(3):
                client.produce("orders", batch())

    writer = threading.Thread(target=write)
    writer.start()
    fault.wait(3)
    writer.join()

    assert (3, False) == (fault.hits, fault.active)


def test_faults_outlive_a_restart_of_the_broker():
    """
    What is set before the start holds from the first request on, and over stop and start.
    """
    broker = Broker({"orders": 1})
    fault = broker.faults.fail("Produce", 6, times=2)
    for _ in range(2):
        with broker, WireClient(broker.bootstrap_servers) as client:
            assert 6 == client.produce("orders", batch()).error_code

    assert not fault.active
    with pytest.raises(UsageError, match="needs a running broker"):
        broker.faults.close_connections()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.fail("Produced", 6), "did you mean 'Produce'"),
        (lambda f: f.fail("LeaderAndIsr", 6), "serves no API 'LeaderAndIsr'"),
        (lambda f: f.fail(4, 6), "serves no API 4"),
        (lambda f: f.fail("Produce", "NOT_A_LEADER"), "no error 'NOT_A_LEADER'"),
        (lambda f: f.fail("Produce", 0), "no error code"),
        (lambda f: f.fail("Produce", 40_000), "no error code"),
        (lambda f: f.fail("Produce", 6, when="during"), "'before' or 'after'"),
        (lambda f: f.fail("Produce", 6, times=0), "times is a number from 1 on"),
        (lambda f: f.fail("Produce", 6, times="2"), "times is an integer"),
        (lambda f: f.fail("Produce", 6, partition=-1), "partition is a number from 0 on"),
        (lambda f: f.fail("InitProducerId", 6, topic="a"), "not about a topic"),
        (lambda f: f.fail("Metadata", 5, partition=1), "not about a partition"),
        (lambda f: f.delay("Produce", -1), "seconds is a number from 0 on"),
        (lambda f: f.cut("Produce", after_bytes=-1), "after_bytes"),
        (lambda f: f.throttle("Produce", 0), "ms is a number from 1 on"),
        (lambda f: f.throttle("Produce", 1 << 31), "at most 2147483647"),
        (lambda f: f.throttle("SaslHandshake", 5), "no throttle time"),
        (lambda f: f.leaderless(None), "which topic"),
        (lambda f: f.leaderless(3), "topic is a name"),
        (lambda f: f.forget_producers("nowhere"), "has no nowhere"),
    ],
)
def test_faults_that_cannot_be_are_refused(broker: Broker, call, message: str):
    """
    A fault that could never strike is refused when it is set, with the reason.
    """
    with pytest.raises(ConfigError, match=message):
        call(broker.faults)
    assert () == broker.faults.active
