"""All rules that there are, in the metadata file and in an order in which they are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from pyproducer.protocol.acl import EVERYTHING, Acl
from pyproducer.protocol.acl_terms import PatternType, ResourceType

if TYPE_CHECKING:
    from pyproducer.broker.metadata_file import MetadataFile
    from pyproducer.protocol.acl_filter import AclFilter

_SECTION = "acls"


class AclBook:
    """The rules. Every change is on disk before it counts.

    Args:
        metadata: Where they are kept.

    Attributes:
        on_change: Called after every change.
    """

    def __init__(self, metadata: MetadataFile) -> None:
        self._metadata = metadata
        self.on_change: list[Callable[[], None]] = []
        self._shelves: dict[ResourceType, _Shelf] = {}
        self._take(Acl(**row) for row in metadata.get(_SECTION, []))

    def __iter__(self) -> Iterator[Acl]:
        """The rules, those of a resource together."""
        return iter(sorted(self._acls, key=_order))

    def __len__(self) -> int:
        return len(self._acls)

    def __contains__(self, acl: object) -> bool:
        return acl in self._acls

    def add(self, acls: Iterable[Acl]) -> None:
        """The rules hold; those that held already still do.

        Raises:
            OSError: Nothing has changed.
        """
        self._change(self._acls | dict.fromkeys(acls))

    def remove(self, acls: Iterable[Acl]) -> None:
        """The rules hold no more, if they did.

        Raises:
            OSError: Nothing has changed.
        """
        gone = set(acls)
        self._change(dict.fromkeys(acl for acl in self._acls if acl not in gone))

    def matching(self, wanted: AclFilter) -> list[Acl]:
        """The rules that the filter means, those of a resource together."""
        return [acl for acl in self if wanted.matches(acl)]

    def about(self, kind: ResourceType, name: str) -> list[Acl]:
        """The rules that a resource falls under."""
        shelf = self._shelves.get(kind)
        return [] if shelf is None else shelf.about(name)

    def of_type(self, kind: ResourceType) -> Iterable[Acl]:
        """The rules about resources of that kind."""
        return [acl for acl in self._acls if acl.resource_type is kind]

    def _change(self, acls: Mapping[Acl, None]) -> None:
        if acls == self._acls:
            return
        self._metadata.update(**{_SECTION: [asdict(acl) for acl in acls]})
        self._take(acls)
        for listener in self.on_change:
            listener()

    def _take(self, acls: Iterable[Acl]) -> None:
        # A dictionary for its order: what was added last stands last in the file.
        self._acls = dict.fromkeys(acls)
        self._shelves = {}
        for acl in self._acls:
            self._shelves.setdefault(acl.resource_type, _Shelf()).put(acl)


class _Shelf:
    """The rules about one kind of resource, by their names."""

    def __init__(self) -> None:
        self._literal: dict[str, list[Acl]] = {}
        self._prefixed: dict[str, list[Acl]] = {}
        self._lengths: set[int] = set()

    def put(self, acl: Acl) -> None:
        if acl.pattern_type is PatternType.PREFIXED:
            self._prefixed.setdefault(acl.resource_name, []).append(acl)
            self._lengths.add(len(acl.resource_name))
        else:
            self._literal.setdefault(acl.resource_name, []).append(acl)

    def about(self, name: str) -> list[Acl]:
        found = [*self._literal.get(EVERYTHING, ()), *self._literal.get(name, ())]
        for length in self._lengths:
            if length <= len(name):
                found += self._prefixed.get(name[:length], ())
        return found


def _order(acl: Acl) -> tuple[int | str, ...]:
    return (
        acl.resource_type.code,
        acl.resource_name,
        acl.pattern_type.code,
        acl.principal,
        acl.host,
        acl.permission.code,
        acl.operation.code,
    )
