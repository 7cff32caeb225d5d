"""Reads and changes the client quotas of a cluster (KIP-546)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pyproducer.cli.cluster import Cluster
from pyproducer.cli.refusals import check
from pyproducer.protocol.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    EntityData,
    EntryData,
    OpData,
)
from pyproducer.protocol.messages.describe_client_quotas import (
    ComponentData,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
)

__all__ = ["Entity", "QuotaAdmin", "shown"]

_EXACT, _DEFAULT = 0, 1
#: In which an entity's parts are shown.
_ORDER: Final = ("user", "client-id", "ip")

#: Names by type; None is the default.
Entity = Mapping[str, str | None]


class QuotaAdmin:
    """Quotas of a cluster.

    Args:
        cluster: an open one.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def matching(self, entity: Entity) -> list[tuple[Entity, dict[str, float]]]:
        """Entities that have these parts, and maybe more, with their quotas.

        Raises:
            CliError: the cluster refused it.
        """
        request = DescribeClientQuotasRequest(
            components=[
                ComponentData(
                    entity_type=kind, match_type=_DEFAULT if name is None else _EXACT, match=name
                )
                for kind, name in entity.items()
            ]
        )
        response = await self._cluster.ask(request, DescribeClientQuotasResponse)
        check("quotas cannot be listed", response.error_code, response.error_message)
        found = [
            (
                {part.entity_type: part.entity_name for part in entry.entity},
                {value.key: value.value for value in sorted(entry.values, key=lambda v: v.key)},
            )
            for entry in response.entries or ()
        ]
        return sorted(found, key=lambda one: shown(one[0]))

    async def change(self, entity: Entity, changes: Mapping[str, float | None]) -> None:
        """Sets quotas of an entity; None removes one.

        Raises:
            CliError: the cluster refused it; nothing was changed.
        """
        request = AlterClientQuotasRequest(
            entries=[
                EntryData(
                    entity=[
                        EntityData(entity_type=kind, entity_name=name)
                        for kind, name in entity.items()
                    ],
                    ops=[
                        OpData(key=key, value=value or 0.0, remove=value is None)
                        for key, value in changes.items()
                    ],
                )
            ]
        )
        response = await self._cluster.ask(request, AlterClientQuotasResponse)
        for entry in response.entries:
            what = f"quotas of {shown(entity)} were not changed"
            check(what, entry.error_code, entry.error_message)


def shown(entity: Entity) -> str:
    """The entity in words."""
    return ", ".join(
        f"{kind} {'(default)' if entity[kind] is None else entity[kind]}"
        for kind in sorted(entity, key=_ORDER.index)
    )
