"""AlterClientQuotas: quotas are set and removed, in force from the next request on (KIP-546)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import ALTER_CLUSTER_CONFIGS
from pyproducer.broker.quotas.entity import Entity, checked_entity, shown
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    EntityData,
    EntryData,
    ResponseEntryData,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (ALTER_CLUSTER_CONFIGS,)

_Parts = tuple[tuple[str, str | None], ...]


async def handle(
    node: Node, request: AlterClientQuotasRequest, context: RequestContext
) -> AlterClientQuotasResponse:
    """Changes each entity as a whole, or not, and answers about each once.

    Of one that comes twice, the first counts, and the answer is that it came twice.
    """
    refusals: dict[_Parts, Refused | None] = {}
    changes: dict[Entity, Mapping[str, float]] = {}
    for entry in request.entries:
        parts = tuple(sorted({one.entity_type: one.entity_name for one in entry.entity}.items()))
        if parts in refusals:
            refusals[parts] = Refused(ErrorCode.INVALID_REQUEST, "the entity comes twice")
            continue
        refusals[parts] = None
        try:
            access.require(node, context, ALTER_CLUSTER_CONFIGS)
            entity = checked_entity(parts)
            changes[entity] = node.quotas.book.changed_by(entity, _changes(entry))
        except Refused as refused:
            refusals[parts] = refused
    if not request.validate_only:
        try:
            node.quotas.book.replace(changes)
        except OSError as error:
            failure = Refused(ErrorCode.KAFKA_STORAGE_ERROR, f"cannot be written: {error}")
            refusals = {parts: refused or failure for parts, refused in refusals.items()}
        else:
            told = [f"{shown(one)}: {dict(values) or 'none'}" for one, values in changes.items()]
            node.audit.changed(context, "sets the quotas of", told)
    return AlterClientQuotasResponse(
        entries=[
            ResponseEntryData(
                error_code=ErrorCode.NONE if refused is None else refused.code,
                error_message=None if refused is None else refused.message,
                entity=[EntityData(entity_type=kind, entity_name=name) for kind, name in parts],
            )
            for parts, refused in refusals.items()
        ]
    )


def _changes(entry: EntryData) -> dict[str, float | None]:
    changes: dict[str, float | None] = {}
    for op in entry.ops:
        if op.key in changes:
            raise Refused(ErrorCode.INVALID_REQUEST, f"{op.key} comes twice for one entity")
        changes[op.key] = None if op.remove else op.value
    return changes
