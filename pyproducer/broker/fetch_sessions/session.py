"""One fetch session: the partitions that a reader reads, and what it knows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyproducer.broker.fetch_sessions.wanted import Key, WantedPartition
    from pyproducer.broker.topics import TopicRegistry

#: The id of no session.
NO_SESSION: Final = 0
#: The epoch of a request that names all its partitions and would like a session for them.
INITIAL_EPOCH: Final = 0
#: The epoch of a request that names all its partitions and wants no session.
FINAL_EPOCH: Final = -1

_MAX_EPOCH: Final = (1 << 31) - 1


def next_epoch(epoch: int) -> int:
    """The epoch that a session's next request must have."""
    return 1 if epoch == _MAX_EPOCH else epoch + 1


class FetchSession:
    """A reader's partitions, kept from one of its requests to the next.

    Attributes:
        id: Its number, never 0.
        by_id: Whether the reader goes by topic ids.
        partitions: What is read, in the order in which it is looked at: those that had records
            are at the end, so that each has its turn at being first.
        epoch: What the next request must say.
        created: The clock's monotonic seconds when it was made.
        last_used: Likewise of its last request.
    """

    __slots__ = ("by_id", "created", "epoch", "id", "last_used", "partitions")

    def __init__(
        self, number: int, partitions: dict[Key, WantedPartition], *, by_id: bool, now: float
    ) -> None:
        self.id = number
        self.by_id = by_id
        self.partitions = partitions
        self.epoch = next_epoch(INITIAL_EPOCH)
        self.created = now
        self.last_used = now

    def __len__(self) -> int:
        return len(self.partitions)

    def update(
        self,
        asked: dict[Key, WantedPartition],
        forgotten: Iterable[Key],
        topics: TopicRegistry,
    ) -> None:
        """The reader wants these partitions too, or otherwise than before, and those no more."""
        for key, wanted in asked.items():
            known = self.partitions.get(key)
            if known is not None:
                wanted.high_watermark = known.high_watermark
                wanted.log_start_offset = known.log_start_offset
                wanted.topic = known.topic
            self.partitions[key] = wanted
        for key in forgotten:
            self.partitions.pop(key, None)
        if self.by_id:
            for wanted in self.partitions.values():
                # A topic may be younger than its reader's wish for it. One that is gone keeps its
                # name here, so that a later topic of that name is not taken for it.
                if wanted.topic is None and (found := topics.by_id(wanted.topic_id)) is not None:
                    wanted.topic = found.name

    def had_records(self, key: Key) -> None:
        """The partition is looked at after all others from here on."""
        wanted = self.partitions.pop(key, None)
        if wanted is not None:
            self.partitions[key] = wanted
