"""Whom a quota is for: a user, a client id, both together, or an address; or all that have none."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from pyproducer.broker.addresses import is_address
from pyproducer.broker.errors import Refused
from pyproducer.protocol.error_codes import ErrorCode

__all__ = ["CLIENT_ID", "IP", "TYPES", "USER", "Entity", "check_value", "checked_entity", "shown"]

USER: Final = "user"
CLIENT_ID: Final = "client-id"
IP: Final = "ip"
TYPES: Final = frozenset({USER, CLIENT_ID, IP})

#: Types of an entity with their names, in the order of the types; None is the default, for all
#: that have no quota under their own name.
Entity = tuple[tuple[str, str | None], ...]


class _Key(NamedTuple):
    """What can be limited.

    Attributes:
        whole: Whether its values are whole numbers.
        most: The largest value.
    """

    whole: bool
    most: float


_OF_CLIENTS: Final = {
    "producer_byte_rate": _Key(True, 2**63 - 1),
    "consumer_byte_rate": _Key(True, 2**63 - 1),
    "request_percentage": _Key(False, math.inf),
    "controller_mutation_rate": _Key(False, math.inf),
}
_OF_ADDRESSES: Final = {"connection_creation_rate": _Key(True, 2**31 - 1)}
#: What may be left over of a number that counts as whole, as in Kafka.
_WHOLE: Final = 1e-6


def checked_entity(parts: Iterable[tuple[str, str | None]]) -> Entity:
    """The entity that these types and names make; of a type that comes twice, the last name.

    Raises:
        Refused: INVALID_REQUEST: they make none.
    """
    named = dict(parts)
    problem = None if named else "a quota needs an entity, and this one is empty"
    for kind, name in named.items():
        if kind not in TYPES:
            problem = f"{kind!r} is no type of entity: there are user, client-id and ip"
        elif name == "":
            problem = f"the name of a {kind} is empty; null stands for the default"
    if problem is None and IP in named:
        if len(named) > 1:
            problem = "an ip has its quotas alone, not together with a user or a client-id"
        elif (address := named[IP]) is not None and not is_address(address):
            problem = f"{address!r} is no IP address; names of hosts are not looked up"
    if problem is not None:
        raise Refused(ErrorCode.INVALID_REQUEST, problem)
    return tuple(sorted(named.items(), key=lambda part: part[0]))


def check_value(entity: Entity, key: str, value: float) -> None:
    """Returns if the entity may have that quota.

    Raises:
        Refused: INVALID_REQUEST: it has no such key, or the value is not possible.
    """
    keys = _OF_ADDRESSES if entity[0][0] == IP else _OF_CLIENTS
    known = keys.get(key)
    problem = None
    if known is None:
        problem = f"{key!r} is no quota of {shown(entity)}: there are {', '.join(keys)}"
    elif not math.isfinite(value) or value <= 0:
        problem = f"{key}={value:g} is not greater than 0; to have no limit, remove it"
    elif value > known.most:
        problem = f"{key}={value:g} is more than {known.most:g}"
    elif known.whole and math.modf(value)[0] > _WHOLE:
        problem = f"{key}={value!r} is no whole number"
    if problem is not None:
        raise Refused(ErrorCode.INVALID_REQUEST, problem)


def shown(entity: Entity) -> str:
    """The entity in words."""
    return " and ".join(
        f"{kind} default" if name is None else f"{kind} {name!r}" for kind, name in entity
    )
