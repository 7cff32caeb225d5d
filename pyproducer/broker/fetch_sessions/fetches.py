"""What one Fetch request reads, and what of that its answer says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pyproducer.broker.fetch_sessions.session import NO_SESSION
from pyproducer.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pyproducer.broker.fetch_sessions.cache import FetchSessionCache
    from pyproducer.broker.fetch_sessions.session import FetchSession
    from pyproducer.broker.fetch_sessions.wanted import Key, WantedPartition
    from pyproducer.protocol.messages.fetch import PartitionData


class Found(NamedTuple):
    """What there is to say of one partition.

    Attributes:
        wanted: The partition.
        data: All there is to say.
        size: Bytes of the records in it.
    """

    wanted: WantedPartition
    data: PartitionData
    size: int


class Settled(NamedTuple):
    """What the answer says.

    Attributes:
        session_id: The session that the reader is in from here on; 0 for none.
        found: What of all that was found.
        error_code: Why it is nothing: the session went on without this request.
    """

    session_id: int
    found: list[Found]
    error_code: int = ErrorCode.NONE


class Fetch:
    """A request outside of any session: it names all it reads, and is answered about all of it.

    Args:
        wanted: What it names.

    Attributes:
        partitions: What it reads, in this order.
    """

    def __init__(self, wanted: dict[Key, WantedPartition]) -> None:
        self.partitions = list(wanted.values())

    def settle(self, found: list[Found]) -> Settled:
        """What is to be said of what was found."""
        return Settled(NO_SESSION, found)

    def throttled(self) -> Settled:
        """What is said instead where the reader is to wait: nothing, and nothing changes."""
        return Settled(NO_SESSION, [])


class FirstFetch(Fetch):
    """A request that would like a session for what it names."""

    def __init__(
        self, wanted: dict[Key, WantedPartition], cache: FetchSessionCache, *, by_id: bool
    ) -> None:
        super().__init__(wanted)
        self._wanted = wanted
        self._cache = cache
        self._by_id = by_id

    def settle(self, found: list[Found]) -> Settled:
        """All of it; a session is made if there is a slot for it."""
        for one in found:
            one.wanted.tell(one.data, one.size)
        return Settled(self._cache.create(self._wanted, by_id=self._by_id), found)


class FetchInSession(Fetch):
    """A request of a session: it names what changes, and is answered about what has changed."""

    def __init__(self, session: FetchSession) -> None:
        super().__init__(session.partitions)
        self._session = session
        self._epoch = session.epoch

    def settle(self, found: list[Found]) -> Settled:
        """What the reader does not know yet."""
        session = self._session
        if session.epoch != self._epoch:
            # Its connection was lost, say, and the reader asked anew on another one.
            return Settled(session.id, [], ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        news = [one for one in found if one.wanted.tell(one.data, one.size)]
        for one in news:
            if one.size:
                topic = one.wanted.topic_id if session.by_id else one.wanted.topic
                assert topic is not None
                session.had_records((topic, one.wanted.index))
        return Settled(session.id, news)

    def throttled(self) -> Settled:
        """Nothing, for now; the session goes on."""
        return self.settle([])
