"""Quotas set and asked for in one line."""

from __future__ import annotations

from pyproducer.protocol.messages import alter_client_quotas
from pyproducer.protocol.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
)
from pyproducer.protocol.messages.describe_client_quotas import (
    ComponentData,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
)
from tests.helpers.wire_client import WireClient

#: Kinds of match.
EXACT, DEFAULT, ANY = range(3)

Parts = dict[str, str | None]


def entry(
    entity: Parts | list[tuple[str, str | None]], *changes: tuple[str, float | None]
) -> alter_client_quotas.EntryData:
    """What changes for one entity: keys with values, None removes."""
    parts = entity.items() if isinstance(entity, dict) else entity
    return alter_client_quotas.EntryData(
        entity=[
            alter_client_quotas.EntityData(entity_type=kind, entity_name=name)
            for kind, name in parts
        ],
        ops=[
            alter_client_quotas.OpData(key=key, value=value or 0.0, remove=value is None)
            for key, value in changes
        ],
    )


def alter(
    client: WireClient, *entries: alter_client_quotas.EntryData, validate_only: bool = False
) -> AlterClientQuotasResponse:
    """Make the changes and return the answer."""
    request = AlterClientQuotasRequest(entries=list(entries), validate_only=validate_only)
    answer: AlterClientQuotasResponse = client.ask(request, 1)
    return answer


def set_quotas(client: WireClient, entity: Parts, **values: float | None) -> None:
    """The entity has these quotas; None removes one."""
    answer = alter(client, entry(entity, *values.items()))
    assert [0] == [one.error_code for one in answer.entries], answer.entries[0].error_message


def describe(
    client: WireClient, *components: tuple[str, int, str | None], strict: bool = False
) -> DescribeClientQuotasResponse:
    """What is answered to a filter."""
    request = DescribeClientQuotasRequest(
        components=[
            ComponentData(entity_type=kind, match_type=match, match=name)
            for kind, match, name in components
        ],
        strict=strict,
    )
    answer: DescribeClientQuotasResponse = client.ask(request, 1)
    return answer


def quotas(
    client: WireClient, *components: tuple[str, int, str | None], strict: bool = False
) -> dict[tuple[tuple[str, str | None], ...], dict[str, float]]:
    """The quotas that match, by entity."""
    answer = describe(client, *components, strict=strict)
    assert answer.error_code == 0, answer.error_message
    assert answer.entries is not None
    return {
        tuple(sorted((part.entity_type, part.entity_name) for part in one.entity)): {
            value.key: value.value for value in one.values
        }
        for one in answer.entries
    }


def clear_quotas(client: WireClient) -> None:
    """Nobody has any."""
    changes = [
        entry(dict(entity), *dict.fromkeys(values).items())
        for entity, values in quotas(client).items()
    ]
    assert not any(one.error_code for one in alter(client, *changes).entries)
