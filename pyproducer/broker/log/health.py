"""Whether a log can be used, and what its users are told when the disk fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.filesystem import LostNamesError, TornWriteError
from pyproducer.broker.log.index import CorruptIndexError
from pyproducer.errors import CorruptRecord
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode

__all__ = ["LogHealth"]

_log = logging.getLogger(__name__)


class LogHealth:
    """The state of one log.

    Args:
        topic_partition: Whose log it is.

    Attributes:
        failure: The error that took the log offline, or None.
        closed: Its files are released.
    """

    def __init__(self, topic_partition: TopicPartition) -> None:
        self.failure: OSError | None = None
        self.closed = False
        self._topic_partition = topic_partition

    def require_online(self) -> None:
        """Returns if the log takes changes.

        Raises:
            Refused: KAFKA_STORAGE_ERROR.
        """
        if self.closed:
            raise Refused(ErrorCode.KAFKA_STORAGE_ERROR, f"{self._topic_partition} is closed")
        if self.failure is not None:
            raise Refused(
                ErrorCode.KAFKA_STORAGE_ERROR,
                f"{self._topic_partition} is offline since: {self.failure}",
            )

    def storage_error(self, what: str, error: OSError) -> Refused:
        """The answer to a request that the disk has failed.

        The log goes offline where nobody knows what is on disk now.
        """
        if isinstance(error, TornWriteError | LostNamesError):
            self.failure = error
        state = "offline" if self.failure is not None else "as it was"
        _log.error("%s: cannot %s (%s); the log is %s", self._topic_partition, what, error, state)
        return Refused(
            ErrorCode.KAFKA_STORAGE_ERROR, f"{self._topic_partition}: cannot {what}: {error}"
        )

    @contextmanager
    def guard(self, what: str) -> Iterator[None]:
        """What the block does to the disk fails with KAFKA_STORAGE_ERROR where that fails."""
        try:
            yield
        except OSError as error:
            raise self.storage_error(what, error) from error

    def unreadable(self, error: OSError | CorruptRecord | CorruptIndexError) -> Refused:
        """The answer to a request for something that cannot be read."""
        if isinstance(error, OSError):
            return self.storage_error("read", error)
        _log.error("%s: %s", self._topic_partition, error)
        return Refused(ErrorCode.CORRUPT_MESSAGE, f"{self._topic_partition}: {error}")
