"""Things to try access with, on any server."""

from __future__ import annotations

from pyproducer.protocol.messages.find_coordinator import FindCoordinatorRequest
from pyproducer.protocol.messages.init_producer_id import InitProducerIdRequest
from pyproducer.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from tests.helpers.access_probe import Place
from tests.helpers.acl_requests import codes
from tests.helpers.admin_requests import describe_topic
from tests.helpers.statement_servers import Server, eventually, new_name
from tests.helpers.wire_client import WireClient


def new_place(server: Server, admin: WireClient) -> Place:
    """A topic, a group with an offset and a transactional id that are new and there."""
    name = server.topic()
    found = Place(
        topic=name,
        topic_id=describe_topic(admin, name).topic_id,
        missing=new_name(),
        group=new_name(),
        transactional_id=new_name(),
    )
    part = OffsetCommitRequestPartition(partition_index=0, committed_offset=0)
    topic = OffsetCommitRequestTopic(name=name, partitions=[part])
    commit = OffsetCommitRequest(group_id=found.group, topics=[topic])
    initialise = InitProducerIdRequest(
        transactional_id=found.transactional_id, transaction_timeout_ms=60_000
    )
    # The coordinators are not there at once, and not before somebody looks for them.
    for key, key_type in ((found.group, 0), (found.transactional_id, 1)):
        request = FindCoordinatorRequest(key_type=key_type, coordinator_keys=[key])
        eventually(lambda request=request: not codes(admin.ask(request, 4)))
    eventually(lambda: not codes(admin.ask(commit, 5)))
    eventually(lambda: not codes(admin.ask(initialise, 4)))
    return found
