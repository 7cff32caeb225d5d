"""The type variables of producers and topics: what keys and values may be before serializing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

__all__ = ["TK", "TV", "Data", "K", "Serializer", "V"]

#: What is written as it is where there is no serializer.
Data: TypeAlias = bytes | bytearray | memoryview | str

if TYPE_CHECKING:
    # Type checkers know defaults of type variables (PEP 696); Python does from 3.13 on.
    from typing_extensions import TypeVar

    T = TypeVar("T")
    K = TypeVar("K", default=Data)
    V = TypeVar("V", default=Data)
    TK = TypeVar("TK", default=Data)
    TV = TypeVar("TV", default=Data)

    Serializer: TypeAlias = Callable[[T], bytes] | Callable[[T, Any], bytes]
else:
    from typing import TypeVar

    T = TypeVar("T")
    K = TypeVar("K")
    V = TypeVar("V")
    TK = TypeVar("TK")
    TV = TypeVar("TV")

    Serializer = Callable[[T], bytes] | Callable[[T, Any], bytes]
