"""One thing that a request takes, and what somebody is told who lacks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from pyproducer.broker.handlers.access import Need
from pyproducer.protocol.acl import Acl
from pyproducer.protocol.acl_terms import CLUSTER_NAME, ResourceType
from pyproducer.protocol.schema import Message
from tests.helpers.acl_requests import CLIENT_HOST, codes

#: The error codes of whoever may not do something, by the kind of resource.
TOPIC, GROUP, TXN, CLUSTER = 29, 30, 53, 31
AUTHORIZATION_FAILED = frozenset({TOPIC, GROUP, TXN, CLUSTER})


class Place(NamedTuple):
    """What a request is about, and nobody else's.

    Attributes:
        topic: A topic of one partition that there is.
        topic_id: Its id.
        missing: A topic that there is not.
        group: A group.
        transactional_id: A transactional id.
    """

    topic: str
    topic_id: UUID
    missing: str
    group: str
    transactional_id: str

    def acl(self, need: Need, *, missing: bool = False) -> Acl:
        """The rule that lets the client do that."""
        names = {
            ResourceType.TOPIC: self.missing if missing else self.topic,
            ResourceType.GROUP: self.group,
            ResourceType.TRANSACTIONAL_ID: self.transactional_id,
            ResourceType.CLUSTER: CLUSTER_NAME,
        }
        return Acl(
            principal="User:ANONYMOUS",
            operation=need.operation,
            resource_type=need.kind,
            resource_name=names[need.kind],
            host=CLIENT_HOST,
        )


def _codes(answer: Any, _place: Place) -> object:
    return codes(answer)


class Probe(NamedTuple):
    """A request, and one thing that it takes.

    Attributes:
        request: Makes the request.
        version: In which version.
        needs: What it takes; the last is what the client lacks at first.
        denied: What is seen of the answer then.
        allowed: What is seen once the client has it; None is no code of a lack.
        sees: What is looked at: else every code in the answer.
        missing: The request is about the topic that there is not.
    """

    request: Callable[[Place], Message]
    version: int
    needs: tuple[Need, ...]
    denied: object
    allowed: object = None
    sees: Callable[[Any, Place], object] = _codes
    missing: bool = False
