"""The quotas that are set, as AlterClientQuotas changes and DescribeClientQuotas shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pyproducer.broker.errors import Refused
from pyproducer.broker.quotas.entity import CLIENT_ID, IP, TYPES, USER, Entity, check_value
from pyproducer.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pyproducer.broker.metadata_file import MetadataFile

__all__ = ["Filter", "QuotaBook"]

_SECTION: Final = "client_quotas"
_EXACT, _DEFAULT, _SPECIFIED = range(3)


class Filter:
    """Which entities are asked for.

    Args:
        components: Type, kind of match and name of each.
        strict: Whether entities of more types than these are left out.

    Raises:
        Refused: INVALID_REQUEST or UNSUPPORTED_VERSION: a component is not possible.
    """

    def __init__(self, components: Iterable[tuple[str, int, str | None]], *, strict: bool) -> None:
        self._names: dict[str, str | None] = {}
        self._types: set[str] = set()
        self._strict = strict
        for kind, match, name in components:
            if not kind:
                raise _wrong("a component has no entity type")
            if kind in self._names or kind in self._types:
                raise _wrong(f"entity type {kind!r} is in two components")
            if kind not in TYPES:
                raise Refused(ErrorCode.UNSUPPORTED_VERSION, f"{kind!r} is no type of entity")
            if match not in {_EXACT, _DEFAULT, _SPECIFIED}:
                raise _wrong(f"{match} is no kind of match: 0 is exact, 1 default, 2 any")
            if (match == _EXACT) != (name is not None):
                raise _wrong("an exact match has a name, and the other kinds have none")
            if match == _SPECIFIED:
                self._types.add(kind)
            else:
                self._names[kind] = name
        asked = self._names.keys() | self._types
        if IP in asked and asked & {USER, CLIENT_ID}:
            raise _wrong("an ip has its quotas alone, not together with a user or a client-id")

    def takes(self, entity: Entity) -> bool:
        """Whether the entity is asked for."""
        parts = dict(entity)
        if self._strict and len(parts) != len(self._names) + len(self._types):
            return False
        return self._types <= parts.keys() and all(
            kind in parts and parts[kind] == name for kind, name in self._names.items()
        )


class QuotaBook:
    """All quotas, in memory and on disk.

    Args:
        metadata: Where they are kept.
        changed: Called with all of them at once, and after each change.
    """

    def __init__(
        self,
        metadata: MetadataFile,
        changed: Callable[[Mapping[Entity, Mapping[str, float]]], None],
    ) -> None:
        self._metadata = metadata
        self._changed = changed
        self._quotas: dict[Entity, dict[str, float]] = {
            tuple((kind, name) for kind, name in row["entity"]): dict(row["values"])
            for row in metadata.get(_SECTION, [])
        }
        changed(self._quotas)

    def matching(self, wanted: Filter) -> list[tuple[Entity, Mapping[str, float]]]:
        """The entities that are asked for, with their quotas by key, in order."""
        return [one for one in sorted(self._quotas.items(), key=_order) if wanted.takes(one[0])]

    def changed_by(
        self, entity: Entity, changes: Mapping[str, float | None]
    ) -> Mapping[str, float]:
        """What an entity has after these changes, where None removes.

        Raises:
            Refused: INVALID_REQUEST: a value is not possible.
        """
        values = dict(self._quotas.get(entity, {}))
        for key, value in changes.items():
            if value is None:
                values.pop(key, None)
                continue
            check_value(entity, key, value)
            values[key] = value
        return values

    def replace(self, changes: Mapping[Entity, Mapping[str, float]]) -> None:
        """The entities have these quotas, from the next request on; without any they are gone.

        Raises:
            OSError: Nothing has changed.
        """
        quotas = {**self._quotas, **{entity: dict(values) for entity, values in changes.items()}}
        quotas = {entity: values for entity, values in quotas.items() if values}
        if quotas == self._quotas:
            return
        rows: list[dict[str, Any]] = [
            {"entity": entity, "values": values}
            for entity, values in sorted(quotas.items(), key=_order)
        ]
        self._metadata.update(**{_SECTION: rows})
        self._quotas = quotas
        self._changed(quotas)


def _order(item: tuple[Entity, Any]) -> list[tuple[str, bool, str]]:
    return [(kind, name is not None, name or "") for kind, name in item[0]]


def _wrong(message: str) -> Refused:
    return Refused(ErrorCode.INVALID_REQUEST, message)
