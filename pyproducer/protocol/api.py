"""The table of APIs: what each key is called, which versions we know, which classes carry it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from importlib import import_module
from typing import cast

from pyproducer.protocol.messages.index import ROWS
from pyproducer.protocol.schema import Message

__all__ = ["API", "Api", "ApiKey", "negotiate"]


class ApiKey(IntEnum):
    """Kafka's number of each API that we know."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    DESCRIBE_GROUPS = 15
    LIST_GROUPS = 16
    SASL_HANDSHAKE = 17
    API_VERSIONS = 18
    CREATE_TOPICS = 19
    DELETE_TOPICS = 20
    DELETE_RECORDS = 21
    INIT_PRODUCER_ID = 22
    OFFSET_FOR_LEADER_EPOCH = 23
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    WRITE_TXN_MARKERS = 27
    TXN_OFFSET_COMMIT = 28
    DESCRIBE_ACLS = 29
    CREATE_ACLS = 30
    DELETE_ACLS = 31
    DESCRIBE_CONFIGS = 32
    ALTER_CONFIGS = 33
    DESCRIBE_LOG_DIRS = 35
    SASL_AUTHENTICATE = 36
    CREATE_PARTITIONS = 37
    CREATE_DELEGATION_TOKEN = 38
    RENEW_DELEGATION_TOKEN = 39
    EXPIRE_DELEGATION_TOKEN = 40
    DESCRIBE_DELEGATION_TOKEN = 41
    DELETE_GROUPS = 42
    ELECT_LEADERS = 43
    INCREMENTAL_ALTER_CONFIGS = 44
    ALTER_PARTITION_REASSIGNMENTS = 45
    LIST_PARTITION_REASSIGNMENTS = 46
    OFFSET_DELETE = 47
    DESCRIBE_CLIENT_QUOTAS = 48
    ALTER_CLIENT_QUOTAS = 49
    DESCRIBE_USER_SCRAM_CREDENTIALS = 50
    ALTER_USER_SCRAM_CREDENTIALS = 51
    DESCRIBE_CLUSTER = 60
    DESCRIBE_PRODUCERS = 61
    DESCRIBE_TRANSACTIONS = 65
    LIST_TRANSACTIONS = 66
    CONSUMER_GROUP_HEARTBEAT = 68
    CONSUMER_GROUP_DESCRIBE = 69
    DESCRIBE_TOPIC_PARTITIONS = 75


@dataclass(frozen=True)
class Api:
    """One API. Its message classes are imported when first asked for.

    Attributes:
        key: Kafka's number of it.
        name: Kafka's name, such as ``OffsetForLeaderEpoch``.
        module: name of its module in ``pyproducer.protocol.messages``.
        min_version: oldest version that its classes encode and decode.
        max_version: newest version.
        flexible_since: first version with compact lengths and tagged fields.
    """

    key: ApiKey
    name: str
    module: str
    min_version: int
    max_version: int
    flexible_since: int

    @property
    def versions(self) -> range:
        """The versions that its classes encode and decode."""
        return range(self.min_version, self.max_version + 1)

    @cached_property
    def request(self) -> type[Message]:
        """The class of its requests."""
        return self._load("Request")

    @cached_property
    def response(self) -> type[Message]:
        """The class of its responses."""
        return self._load("Response")

    def _load(self, kind: str) -> type[Message]:
        module = import_module(f"pyproducer.protocol.messages.{self.module}")
        return cast("type[Message]", getattr(module, self.name + kind))


#: Every API that we know, by key.
API: dict[int, Api] = {row[0]: Api(ApiKey(row[0]), *row[1:]) for row in ROWS}


def negotiate(ours: range, theirs: range) -> int | None:
    """The newest version in both, or None."""
    newest = min(ours.stop, theirs.stop) - 1
    return newest if newest >= max(ours.start, theirs.start) else None
