"""What requests of transactions and about the cluster take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyproducer.broker.handlers import access
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages import (
    add_offsets_to_txn,
    add_partitions_to_txn,
    alter_client_quotas,
    alter_configs,
    alter_user_scram_credentials,
    create_acls,
    delete_acls,
    describe_acls,
    describe_client_quotas,
    describe_cluster,
    describe_configs,
    describe_log_dirs,
    describe_transactions,
    describe_user_scram_credentials,
    end_txn,
    find_coordinator,
    incremental_alter_configs,
    init_producer_id,
    list_transactions,
    txn_offset_commit,
    write_txn_markers,
)
from pyproducer.protocol.schema import Message
from tests.helpers.access_probe import CLUSTER, GROUP, TOPIC, TXN, Place, Probe
from tests.helpers.acl_requests import CLIENT_HOST
from tests.helpers.quota_requests import entry

_WRITE_TXN = access.WRITE_TRANSACTIONAL_ID


def _configs(kind: int) -> Callable[[Place], Message]:
    def request(place: Place) -> Message:
        return describe_configs.DescribeConfigsRequest(
            resources=[
                describe_configs.DescribeConfigsResource(
                    resource_type=kind,
                    resource_name=place.topic if kind == 2 else "1",
                    configuration_keys=["cleanup.policy"],
                )
            ]
        )

    return request


def _alter(kind: int) -> Callable[[Place], Message]:
    def request(place: Place) -> Message:
        return alter_configs.AlterConfigsRequest(
            resources=[
                alter_configs.AlterConfigsResource(
                    resource_type=kind, resource_name=place.topic if kind == 2 else "1", configs=[]
                )
            ],
            validate_only=True,
        )

    return request


def _incremental(kind: int) -> Callable[[Place], Message]:
    def request(place: Place) -> Message:
        return incremental_alter_configs.IncrementalAlterConfigsRequest(
            resources=[
                incremental_alter_configs.AlterConfigsResource(
                    resource_type=kind, resource_name=place.topic if kind == 2 else "1", configs=[]
                )
            ],
            validate_only=True,
        )

    return request


def _add_partitions(place: Place) -> Message:
    return add_partitions_to_txn.AddPartitionsToTxnRequest(
        v3_and_below_transactional_id=place.transactional_id,
        v3_and_below_producer_id=7,
        v3_and_below_producer_epoch=0,
        v3_and_below_topics=[
            add_partitions_to_txn.AddPartitionsToTxnTopic(name=place.topic, partitions=[0])
        ],
    )


def _add_partitions_of_broker(place: Place) -> Message:
    return add_partitions_to_txn.AddPartitionsToTxnRequest(
        transactions=[
            add_partitions_to_txn.AddPartitionsToTxnTransaction(
                transactional_id=place.transactional_id,
                producer_id=7,
                producer_epoch=0,
                verify_only=True,
                topics=[
                    add_partitions_to_txn.AddPartitionsToTxnTopic(name=place.topic, partitions=[0])
                ],
            )
        ]
    )


def _txn_offset_commit(place: Place) -> Message:
    part = txn_offset_commit.TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=0)
    return txn_offset_commit.TxnOffsetCommitRequest(
        transactional_id=place.transactional_id,
        group_id=place.group,
        producer_id=7,
        producer_epoch=0,
        topics=[txn_offset_commit.TxnOffsetCommitRequestTopic(name=place.topic, partitions=[part])],
    )


def _markers(place: Place) -> Message:
    topic = write_txn_markers.WritableTxnMarkerTopic(name=place.topic, partition_indexes=[0])
    return write_txn_markers.WriteTxnMarkersRequest(
        markers=[
            write_txn_markers.WritableTxnMarker(
                producer_id=7, producer_epoch=0, transaction_result=False, topics=[topic]
            )
        ]
    )


def _find(key_type: int, *, batched: bool) -> Callable[[Place], Message]:
    def request(place: Place) -> Message:
        key = place.transactional_id if key_type else place.group
        found = find_coordinator.FindCoordinatorRequest(key_type=key_type)
        if batched:
            found.coordinator_keys = [key]
        else:
            found.key = key
        return found

    return request


def _any_acl() -> dict[str, Any]:
    return {
        "resource_type_filter": 1,
        "resource_name_filter": "nothing-of-that-name",
        "pattern_type_filter": 1,
        "principal_filter": None,
        "host_filter": None,
        "operation": 1,
        "permission_type": 1,
    }


def _cluster_operations(answer: Any, _place: Place) -> object:
    return answer.cluster_authorized_operations


CLUSTER_PROBES: dict[str, Probe] = {
    "find a transactional id's coordinator": Probe(
        _find(1, batched=True), 4, (access.DESCRIBE_TRANSACTIONAL_ID,), [TXN]
    ),
    "describe configs of a broker": Probe(
        _configs(4), 4, (access.DESCRIBE_CLUSTER_CONFIGS,), [CLUSTER]
    ),
    "alter configs of a broker": Probe(_alter(4), 2, (access.ALTER_CLUSTER_CONFIGS,), [CLUSTER]),
    "change configs of a broker": Probe(
        _incremental(4), 1, (access.ALTER_CLUSTER_CONFIGS,), [CLUSTER]
    ),
    "describe quotas": Probe(
        lambda _place: describe_client_quotas.DescribeClientQuotasRequest(
            components=[
                describe_client_quotas.ComponentData(
                    entity_type="user", match_type=0, match="nobody"
                )
            ]
        ),
        1,
        (access.DESCRIBE_CLUSTER_CONFIGS,),
        [CLUSTER],
    ),
    "alter quotas": Probe(
        lambda _place: alter_client_quotas.AlterClientQuotasRequest(
            entries=[entry({"user": "nobody"}, ("producer_byte_rate", 1000.0))],
            validate_only=True,
        ),
        1,
        (access.ALTER_CLUSTER_CONFIGS,),
        [CLUSTER],
    ),
    "describe log dirs": Probe(
        lambda _place: describe_log_dirs.DescribeLogDirsRequest(topics=None),
        3,
        (access.DESCRIBE_CLUSTER,),
        [CLUSTER],
    ),
    "describe cluster": Probe(
        lambda _place: describe_cluster.DescribeClusterRequest(
            include_cluster_authorized_operations=True
        ),
        0,
        (access.DESCRIBE_CLUSTER,),
        0,
        allowed=1 << 8,
        sees=_cluster_operations,
    ),
    "describe users": Probe(
        # Kafka does not answer at all if a client that may not do this asks for all users.
        lambda _place: describe_user_scram_credentials.DescribeUserScramCredentialsRequest(
            users=[describe_user_scram_credentials.UserName(name="nobody")]
        ),
        0,
        (access.DESCRIBE_CLUSTER,),
        [CLUSTER],
    ),
    "alter users": Probe(
        lambda _place: alter_user_scram_credentials.AlterUserScramCredentialsRequest(
            deletions=[
                alter_user_scram_credentials.ScramCredentialDeletion(name="nobody", mechanism=1)
            ]
        ),
        0,
        (access.ALTER_CLUSTER,),
        [CLUSTER],
        allowed=[ErrorCode.RESOURCE_NOT_FOUND],
    ),
    "describe transactions": Probe(
        lambda place: describe_transactions.DescribeTransactionsRequest(
            transactional_ids=[place.transactional_id]
        ),
        0,
        (access.DESCRIBE_TRANSACTIONAL_ID,),
        [TXN],
    ),
    "init producer id": Probe(
        lambda _place: init_producer_id.InitProducerIdRequest(transactional_id=None),
        4,
        (access.IDEMPOTENT_WRITE,),
        [CLUSTER],
    ),
    "init producer id, by a topic": Probe(
        lambda _place: init_producer_id.InitProducerIdRequest(transactional_id=None),
        4,
        (access.WRITE_TOPIC,),
        [CLUSTER],
    ),
    "init producer id of a transactional id": Probe(
        lambda place: init_producer_id.InitProducerIdRequest(
            transactional_id=place.transactional_id, transaction_timeout_ms=60_000
        ),
        4,
        (_WRITE_TXN,),
        [TXN],
    ),
    "list transactions": Probe(
        lambda _place: list_transactions.ListTransactionsRequest(),
        0,
        (access.DESCRIBE_TRANSACTIONAL_ID,),
        False,
        allowed=True,
        sees=lambda answer, place: (
            place.transactional_id in [one.transactional_id for one in answer.transaction_states]
        ),
    ),
    "add partitions to a transaction": Probe(
        _add_partitions, 3, (access.WRITE_TOPIC, _WRITE_TXN), [TXN]
    ),
    "add partitions of a topic to a transaction": Probe(
        _add_partitions, 3, (_WRITE_TXN, access.WRITE_TOPIC), [TOPIC]
    ),
    "add partitions as a broker": Probe(
        _add_partitions_of_broker, 4, (access.CLUSTER_ACTION,), [CLUSTER]
    ),
    "add offsets to a transaction": Probe(
        lambda place: add_offsets_to_txn.AddOffsetsToTxnRequest(
            transactional_id=place.transactional_id,
            producer_id=7,
            producer_epoch=0,
            group_id=place.group,
        ),
        3,
        (access.READ_GROUP, _WRITE_TXN),
        [TXN],
    ),
    "add offsets of a group to a transaction": Probe(
        lambda place: add_offsets_to_txn.AddOffsetsToTxnRequest(
            transactional_id=place.transactional_id,
            producer_id=7,
            producer_epoch=0,
            group_id=place.group,
        ),
        3,
        (_WRITE_TXN, access.READ_GROUP),
        [GROUP],
    ),
    "end a transaction": Probe(
        lambda place: end_txn.EndTxnRequest(
            transactional_id=place.transactional_id,
            producer_id=7,
            producer_epoch=0,
            committed=True,
        ),
        3,
        (_WRITE_TXN,),
        [TXN],
    ),
    "commit offsets in a transaction": Probe(
        _txn_offset_commit, 3, (access.READ_GROUP, access.READ_TOPIC, _WRITE_TXN), [TXN]
    ),
    "commit offsets of a group in a transaction": Probe(
        _txn_offset_commit, 3, (_WRITE_TXN, access.READ_TOPIC, access.READ_GROUP), [GROUP]
    ),
    "commit offsets of a topic in a transaction": Probe(
        _txn_offset_commit, 3, (_WRITE_TXN, access.READ_GROUP, access.READ_TOPIC), [TOPIC]
    ),
    "write transaction markers": Probe(_markers, 1, (access.CLUSTER_ACTION,), [CLUSTER]),
    "write transaction markers as an admin": Probe(_markers, 1, (access.ALTER_CLUSTER,), [CLUSTER]),
    "describe ACLs": Probe(
        lambda _place: describe_acls.DescribeAclsRequest(**_any_acl()),
        3,
        (access.DESCRIBE_CLUSTER,),
        [CLUSTER],
    ),
    "create ACLs": Probe(
        lambda place: create_acls.CreateAclsRequest(
            creations=[
                create_acls.AclCreation(
                    resource_type=2,
                    resource_name=place.missing,
                    principal="User:somebody",
                    host=CLIENT_HOST,
                    operation=3,
                    permission_type=3,
                )
            ]
        ),
        3,
        (access.ALTER_CLUSTER,),
        [CLUSTER],
    ),
    "delete ACLs": Probe(
        lambda _place: delete_acls.DeleteAclsRequest(
            filters=[delete_acls.DeleteAclsFilter(**_any_acl())]
        ),
        3,
        (access.ALTER_CLUSTER,),
        [CLUSTER],
    ),
}
