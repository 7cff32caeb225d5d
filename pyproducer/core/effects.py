# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""What the engine asks of the world. The net layer performs them, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pyproducer.protocol.schema import Message

if TYPE_CHECKING:
    from pyproducer.core.batch import SealedBatch

__all__ = [
    "COORDINATOR_NODE",
    "GROUP_NODE",
    "METADATA_NODE",
    "Authenticate",
    "Compress",
    "Connect",
    "Disconnect",
    "Effect",
    "Send",
]

#: The connection for metadata and producer ids: a slow produce request never delays them.
METADATA_NODE = -1

#: The connection to the coordinator of the producer's transactions.
COORDINATOR_NODE = -2

#: The connection to the coordinator of a group whose offsets are committed in a transaction.
GROUP_NODE = -3


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection; ``on_connected`` or ``on_disconnected`` answers.

    Attributes:
        timeout: seconds that it may take until it can be used: versions told, who we are accepted.
    """

    node: int
    host: str
    port: int
    timeout: float


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Prove anew who we are; ``on_authenticated``, ``on_disconnected`` or ``on_unproven`` answers.

    What is sent behind it is written once the broker has accepted that.
    """

    node: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Drop a connection and what was not written yet; nothing answers."""

    node: int
    reason: str


class Send:
    """Write a request; ``on_answer(tag)`` answers, with None where no response is expected."""

    __slots__ = ("expect_response", "max_version", "message", "node", "tag")

    def __init__(
        self,
        node: int,
        message: Message,
        tag: int,
        expect_response: bool = True,
        max_version: int | None = None,
    ) -> None:
        self.node = node
        self.message = message
        self.tag = tag
        self.expect_response = expect_response
        self.max_version = max_version

    def __repr__(self) -> str:
        return f"Send(node={self.node}, message={self.message!r}, tag={self.tag})"


@dataclass(frozen=True, slots=True)
class Compress:
    """Compress a batch's body, maybe on another thread; ``on_compressed`` answers."""

    sealed: SealedBatch


Effect: TypeAlias = Connect | Authenticate | Disconnect | Send | Compress
