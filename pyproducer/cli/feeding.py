"""Sends what a source finds, as fast as the producer takes it, and keeps account."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

from pyproducer.cli.found import Found, Rejected
from pyproducer.core.appender import Delivery
from pyproducer.errors import BufferFull, ProducerError
from pyproducer.topic import Topic

__all__ = ["Feeder"]


class Feeder:
    """Sends records into one topic.

    Args:
        topic: where to.
        headers: of every record.
        on_refusal: told the line number of each record that was not delivered, and why.

    Attributes:
        accepted: records that the producer has taken.
        delivered: records that were acknowledged.
        failed: records that were accepted and not acknowledged.
        rejected: lines that are no record, or one that the producer refused.
        blocked: why it gave up before the input's end; None if it did not.
    """

    def __init__(
        self,
        topic: Topic[Any, Any],
        headers: list[tuple[str, str]],
        on_refusal: Callable[[int, str], object],
    ) -> None:
        self.accepted = 0
        self.delivered = 0
        self.failed = 0
        self.rejected = 0
        self.blocked: str | None = None
        self._topic = topic
        self._headers = headers or None
        self._on_refusal = on_refusal

    async def feed(self, found: AsyncIterator[Found]) -> None:
        """Sends everything; memory stays bounded by the producer's buffer."""
        async for one in found:
            if isinstance(one, Rejected):
                self._reject(one.line, one.reason)
                continue
            try:
                await self._topic.enqueue(
                    one.value,
                    key=one.key,
                    headers=self._headers,
                    on_delivery=functools.partial(self._settled, one.line),
                )
            except BufferFull as error:
                # Nothing has left for max_block_ms; the next record would wait as long.
                self._reject(one.line, str(error))
                self.blocked = (
                    f"nothing could be sent for a while, so it stopped at line {one.line}"
                )
                return
            except ProducerError as error:
                self._reject(one.line, str(error))
            else:
                self.accepted += 1
            # A file never makes the reading wait, so signals need a turn.
            if not self.accepted % 1000:
                await asyncio.sleep(0)

    def _settled(self, line: int, delivery: Delivery) -> None:
        error = delivery.exception()
        if error is None:
            self.delivered += 1
        else:
            self.failed += 1
            self._on_refusal(line, str(error))

    def _reject(self, line: int, reason: str) -> None:
        self.rejected += 1
        self._on_refusal(line, reason)
