"""Reads a topic: Fetch requests to the leaders of its partitions, batches out.

A reader has no group and commits nothing. It follows leaders that move, connects again where a
connection breaks, and begins at the log's start where its place was deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Final, Literal, cast

from pyproducer.cli.cluster import Cluster
from pyproducer.cli.exits import CliError, Exit
from pyproducer.errors import ConnectionFailed, CorruptRecord
from pyproducer.model import Buffer
from pyproducer.protocol.error_codes import ErrorCode, error_name
from pyproducer.protocol.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from pyproducer.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from pyproducer.records.reader import Batch, iter_batches

__all__ = ["TopicReader"]

#: From version 13 on topics go by their ids; names are what a person has given us.
_FETCH_VERSION: Final = 12
#: Version 7 and later ask about things that a reader of this kind has no use for.
_LIST_OFFSETS_VERSION: Final = 6
_WAIT_MS: Final = 500
_MAX_BYTES: Final = 16 * 1024 * 1024
_PARTITION_BYTES: Final = 4 * 1024 * 1024
_PAUSE: Final = 0.2
#: Seconds without any answer before a reader gives up.
_PATIENCE: Final = 30.0
_TIMESTAMPS: Final = {"earliest": -2, "latest": -1}
_MOVED: Final = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.OFFSET_NOT_AVAILABLE,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
    }
)


class TopicReader:
    """A place in each partition of a topic.

    Args:
        cluster: where the topic is.
        topic: its name.
        partitions: which; None for all.
        on_trouble: told in a line of what was overcome.

    Attributes:
        positions: the next offset to read by partition; known after ``seek``.
    """

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        partitions: Iterable[int] | None = None,
        *,
        on_trouble: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.positions: dict[int, int] = {}
        self._cluster = cluster
        self._topic = topic
        self._wanted = None if partitions is None else sorted(set(partitions))
        self._on_trouble = on_trouble
        self._leaders: dict[int, int] = {}

    async def seek(self, to: Literal["earliest", "latest"]) -> None:
        """Goes to the begin or the end of every partition.

        Raises:
            UnknownTopic: there is no such topic.
            CliError: there is no such partition.
        """
        await self._find_leaders()
        self.positions = await self.offsets(to)

    async def offsets(self, which: Literal["earliest", "latest"]) -> dict[int, int]:
        """The first offset of each partition, or the one that its next record will have."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        if not self._leaders:
            await self._find_leaders()
        found: dict[int, int] = {}
        while len(found) < len(self._leaders):
            for node, partitions in self._by_leader().items():
                missing = [one for one in partitions if one not in found]
                if missing:
                    found |= await self._list_offsets(node, missing, _TIMESTAMPS[which])
            if len(found) < len(self._leaders):
                if asyncio.get_running_loop().time() > deadline:
                    raise ConnectionFailed(f"nobody tells the offsets of {self._topic}")
                await asyncio.sleep(_PAUSE)
                await self._find_leaders()
        return found

    async def batches(self) -> AsyncGenerator[tuple[int, Batch], None]:
        """The partitions' batches with their partition, for ever; checksums hold.

        ``positions`` moves on as they are given. Within a partition they are in order. A batch
        may begin before the position that was asked for: brokers send whole ones.

        Raises:
            CorruptRecord: a batch is damaged.
            ConnectionFailed: no broker answers any more.
        """
        asking: dict[asyncio.Task[FetchResponse], int] = {}
        try:
            while True:
                self._ask_idle(asking)
                done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
                troubled = False
                for task in done:
                    node = asking.pop(task)
                    try:
                        response = task.result()
                    except ConnectionFailed as error:
                        self._on_trouble(str(error))
                        self._cluster.forget(node)
                        troubled = True
                        continue
                    for data in _sorted(response):
                        if data.error_code:
                            troubled |= await self._overcome(data)
                            continue
                        for batch in self._opened(data):
                            yield data.partition_index, batch
                if troubled:
                    await self._find_leaders_again()
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    # Inside.

    async def _find_leaders(self) -> None:
        found = await self._cluster.topic(self._topic)
        leaders = {one.partition_index: one.leader_id for one in found.partitions}
        wanted = sorted(leaders) if self._wanted is None else self._wanted
        missing = [one for one in wanted if one not in leaders]
        if missing:
            raise CliError(
                f"topic {self._topic!r} has no partition {missing[0]}; "
                f"it has {len(leaders)}, counted from 0",
                Exit.USAGE,
            )
        self._leaders = {one: leaders[one] for one in wanted}

    async def _find_leaders_again(self) -> None:
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            await asyncio.sleep(_PAUSE)
            try:
                await self._find_leaders()
            except ConnectionFailed:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            else:
                return

    def _by_leader(self) -> dict[int, list[int]]:
        nodes: dict[int, list[int]] = {}
        for partition, node in sorted(self._leaders.items()):
            nodes.setdefault(node, []).append(partition)
        return nodes

    async def _list_offsets(
        self, node: int, partitions: list[int], timestamp: int
    ) -> dict[int, int]:
        request = ListOffsetsRequest(
            replica_id=-1,
            topics=[
                ListOffsetsTopic(
                    name=self._topic,
                    partitions=[
                        ListOffsetsPartition(partition_index=one, timestamp=timestamp)
                        for one in partitions
                    ],
                )
            ],
        )
        try:
            response = await self._cluster.ask(
                request, ListOffsetsResponse, node=node, max_version=_LIST_OFFSETS_VERSION
            )
        except ConnectionFailed as error:
            self._on_trouble(str(error))
            return {}
        found: dict[int, int] = {}
        for one in (part for topic in response.topics for part in topic.partitions):
            if one.error_code == ErrorCode.NONE:
                found[one.partition_index] = one.offset
            elif one.error_code not in _MOVED:
                raise self._refused(one.partition_index, one.error_code)
        return found

    def _ask_idle(self, asking: dict[asyncio.Task[FetchResponse], int]) -> None:
        """Asks every leader that has no request under way."""
        busy = set(asking.values())
        for node, partitions in self._by_leader().items():
            if node not in busy:
                task = asyncio.ensure_future(self._fetch(node, partitions))
                asking[task] = node

    async def _fetch(self, node: int, partitions: list[int]) -> FetchResponse:
        request = FetchRequest(
            max_wait_ms=_WAIT_MS,
            min_bytes=1,
            max_bytes=_MAX_BYTES,
            topics=[
                FetchTopic(
                    topic=self._topic,
                    partitions=[
                        FetchPartition(
                            partition=one,
                            fetch_offset=self.positions[one],
                            partition_max_bytes=_PARTITION_BYTES,
                        )
                        for one in partitions
                    ],
                )
            ],
        )
        response = await self._cluster.ask(
            request, FetchResponse, node=node, max_version=_FETCH_VERSION, wait=_WAIT_MS / 1000
        )
        if response.error_code:
            raise CliError(f"the broker refuses to be read: {error_name(response.error_code)}")
        return response

    def _opened(self, data: PartitionData) -> list[Batch]:
        """The batches of an answer that are new to us, verified."""
        partition = data.partition_index
        opened: list[Batch] = []
        position = self.positions.get(partition, 0)
        # Decoding gives one piece of memory; only what we send may be in several.
        for batch in iter_batches(cast("Buffer", data.records or b"")):
            if batch.header.next_offset <= position:
                continue
            try:
                batch.verify()
            except CorruptRecord as error:
                raise CorruptRecord(f"{self._topic}-{partition}: {error}") from error
            opened.append(batch)
            position = batch.header.next_offset
        self.positions[partition] = position
        return opened

    async def _overcome(self, data: PartitionData) -> bool:
        """Judges an error of one partition; True if leaders have to be looked up again."""
        partition, code = data.partition_index, data.error_code
        if code in _MOVED:
            return True
        if code == ErrorCode.OFFSET_OUT_OF_RANGE:
            lost = self.positions[partition]
            self.positions[partition] = (await self.offsets("earliest"))[partition]
            self._on_trouble(
                f"{self._topic}-{partition}: offset {lost} is gone; going on at "
                f"{self.positions[partition]}"
            )
            return False
        raise self._refused(partition, code)

    def _refused(self, partition: int, code: int) -> CliError:
        return CliError(f"{self._topic}-{partition} cannot be read: {error_name(code)}")


def _sorted(response: FetchResponse) -> list[PartitionData]:
    return sorted(
        (data for topic in response.responses for data in topic.partitions),
        key=lambda data: data.partition_index,
    )
