"""Producer ids: unique for the life of the data directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyproducer.broker.metadata_file import MetadataFile

#: Ids that one write to disk makes available; a crash loses at most these.
BLOCK_SIZE = 1000
_SECTION = "next_producer_id_block"


class ProducerIds:
    """Hands out ids from blocks that were recorded as used before the first id is given."""

    def __init__(self, metadata: MetadataFile) -> None:
        self._metadata = metadata
        self._next = 0
        self._end = 0

    def take(self) -> int:
        """An id that nobody has had and nobody else will have.

        Raises:
            OSError: A new block could not be recorded.
        """
        if self._next == self._end:
            start = int(self._metadata.get(_SECTION, 0))
            self._metadata.update(**{_SECTION: start + BLOCK_SIZE})
            self._next, self._end = start, start + BLOCK_SIZE
        given = self._next
        self._next += 1
        return given
