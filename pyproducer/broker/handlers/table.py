"""All APIs that the broker serves, with their versions.

A new API is one module and one row here.
"""

from __future__ import annotations

from pyproducer.broker.handlers import (
    alter_configs,
    api_versions,
    create_partitions,
    create_topics,
    delete_groups,
    delete_records,
    delete_topics,
    describe_cluster,
    describe_configs,
    describe_groups,
    describe_log_dirs,
    describe_producers,
    fetch,
    find_coordinator,
    heartbeat,
    incremental_alter_configs,
    init_producer_id,
    join_group,
    leave_group,
    list_groups,
    list_offsets,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    sasl_handshake,
    sync_group,
)
from pyproducer.broker.handlers.route import Route
from pyproducer.protocol.api import ApiKey

ROUTES: tuple[Route, ...] = (
    Route(ApiKey.PRODUCE, 3, 11, produce.handle, advertised_min=0),
    Route(ApiKey.FETCH, 4, 16, fetch.handle),
    Route(ApiKey.LIST_OFFSETS, 1, 10, list_offsets.handle),
    Route(ApiKey.METADATA, 0, 13, metadata.handle),
    Route(ApiKey.OFFSET_COMMIT, 0, 9, offset_commit.handle),
    Route(ApiKey.OFFSET_FETCH, 0, 9, offset_fetch.handle),
    Route(ApiKey.FIND_COORDINATOR, 0, 5, find_coordinator.handle),
    Route(ApiKey.JOIN_GROUP, 0, 9, join_group.handle),
    Route(ApiKey.HEARTBEAT, 0, 4, heartbeat.handle),
    Route(ApiKey.LEAVE_GROUP, 0, 5, leave_group.handle),
    Route(ApiKey.SYNC_GROUP, 0, 5, sync_group.handle),
    Route(ApiKey.DESCRIBE_GROUPS, 0, 6, describe_groups.handle),
    Route(ApiKey.LIST_GROUPS, 0, 5, list_groups.handle),
    Route(ApiKey.SASL_HANDSHAKE, 0, 1, sasl_handshake.handle),
    Route(ApiKey.API_VERSIONS, 0, 4, api_versions.handle),
    Route(ApiKey.CREATE_TOPICS, 0, 7, create_topics.handle),
    Route(ApiKey.DELETE_TOPICS, 0, 6, delete_topics.handle),
    Route(ApiKey.DELETE_RECORDS, 0, 2, delete_records.handle),
    Route(ApiKey.INIT_PRODUCER_ID, 0, 5, init_producer_id.handle),
    Route(ApiKey.OFFSET_FOR_LEADER_EPOCH, 2, 4, offset_for_leader_epoch.handle),
    Route(ApiKey.DESCRIBE_CONFIGS, 0, 4, describe_configs.handle),
    Route(ApiKey.ALTER_CONFIGS, 0, 2, alter_configs.handle),
    Route(ApiKey.DESCRIBE_LOG_DIRS, 1, 4, describe_log_dirs.handle),
    Route(ApiKey.CREATE_PARTITIONS, 0, 3, create_partitions.handle),
    Route(ApiKey.DELETE_GROUPS, 0, 2, delete_groups.handle),
    Route(ApiKey.INCREMENTAL_ALTER_CONFIGS, 0, 1, incremental_alter_configs.handle),
    Route(ApiKey.OFFSET_DELETE, 0, 0, offset_delete.handle),
    Route(ApiKey.DESCRIBE_CLUSTER, 0, 1, describe_cluster.handle),
    Route(ApiKey.DESCRIBE_PRODUCERS, 0, 0, describe_producers.handle),
)
