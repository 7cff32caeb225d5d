"""Random instances of any message class, in the fields that a version has."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from importlib import import_module
from typing import Any
from uuid import UUID

from pyproducer.protocol import primitives
from pyproducer.protocol.api import API
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.schema import Message, Struct, Wire

RANGES = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}
STRUCTURES = ("ConsumerProtocolSubscription", "ConsumerProtocolAssignment")
ALPHABET = string.ascii_letters + string.digits + ".-_ \u00e4\u20ac\U0001f600"


def message_classes() -> Iterator[type[Message]]:
    """Every message class, in the order of API keys."""
    for api in API.values():
        yield api.request
        yield api.response
    module = import_module("pyproducer.protocol.messages.consumer_protocol")
    for name in STRUCTURES:
        yield getattr(module, name)


def versions_of(cls: type[Message]) -> range:
    return range(cls.min_version, cls.max_version + 1)


class MessageMaker:
    """Makes messages from a seed.

    Args:
        seed: equal seeds make equal messages.
        tame: True keeps to what kio can represent: error codes it knows, times a datetime holds.
        largest: most elements of an array, and bytes of a string in quarters.
    """

    def __init__(self, seed: object, *, tame: bool = False, largest: int = 3) -> None:
        self.random = random.Random(repr(seed))
        self.tame = tame
        self.largest = largest

    def make(self, cls: type[Struct], version: int) -> Any:
        values = {
            name: self.value(name, wire, version)
            for name, wire in cls.wire_fields().items()
            if wire.in_version(version)
        }
        return cls(**values)

    def value(self, name: str, wire: Wire, version: int) -> Any:
        absent = wire.tag is not None and isinstance(wire.type, type)
        if (wire.null_in(version) or absent) and self.random.random() < 0.25:
            return None
        if wire.tag is not None and self.random.random() < 0.3:
            return list(wire.default) if isinstance(wire.default, list) else wire.default
        kind = wire.type
        if isinstance(kind, primitives.Array):
            count = self.random.randint(0, self.largest)
            if count and self.random.random() < 0.03:
                count = 130  # a compact count of two bytes
            if count == 130 and isinstance(kind.element, type):
                count = 1
            return [self.one(name, kind.element, version) for _ in range(count)]
        return self.one(name, kind, version)

    def one(self, name: str, kind: Any, version: int) -> Any:
        if isinstance(kind, type):
            return self.make(kind, version)
        if kind.name in RANGES:
            return self.number(name, kind.name)
        if kind.name == "bool":
            return self.random.random() < 0.5
        if kind.name == "float64":
            return self.random.uniform(-1e9, 1e9)
        if kind.name == "uuid":
            return UUID(int=self.random.getrandbits(128) * (self.random.random() < 0.9))
        if kind.name == "string":
            size = self.random.choice([0, 1, self.largest * 4, 40, 200])
            return "".join(self.random.choices(ALPHABET, k=size))
        return self.random.randbytes(self.random.choice([0, 1, self.largest * 4, 40, 200]))

    def number(self, name: str, kind: str) -> int:
        if self.tame and name.endswith("error_code"):
            return int(self.random.choice(list(ErrorCode)))
        if self.tame and kind == "int64":
            return self.random.choice([0, 1, self.random.randint(0, 2**41)])
        low, high = RANGES[kind]
        return self.random.choice([low, high, 0, 1, self.random.randint(low, high)])
