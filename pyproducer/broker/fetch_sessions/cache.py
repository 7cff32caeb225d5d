"""Which fetch sessions there are, and which has to go for another when all slots are taken."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pyproducer.broker.errors import Refused
from pyproducer.broker.fetch_sessions.fetches import Fetch, FetchInSession, FirstFetch
from pyproducer.broker.fetch_sessions.session import (
    FINAL_EPOCH,
    INITIAL_EPOCH,
    NO_SESSION,
    FetchSession,
    next_epoch,
)
from pyproducer.broker.fetch_sessions.wanted import TOPIC_IDS_SINCE, asked, forgotten
from pyproducer.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pyproducer.broker.fetch_sessions.wanted import Key, WantedPartition
    from pyproducer.broker.topics import TopicRegistry
    from pyproducer.clock import Clock
    from pyproducer.protocol.messages.fetch import FetchRequest


#: Seconds; Kafka's, where no setting changes it either.
EVICTION: Final = 120.0


class FetchSessionCache:
    """All fetch sessions of a broker.

    A new session takes the place of one that was not used for two minutes, or else of the
    smallest one that is older than that, if the new one has more partitions. Where it may take no
    place there is no session, and its reader goes on naming all partitions. (Kafka prefers
    followers to consumers besides; this broker has no followers.)

    Args:
        slots: How many there may be.
        clock: Tells the time.
        new_id: Makes random numbers from 1 to 2^31 - 1.
    """

    def __init__(self, slots: int, *, clock: Clock, new_id: Callable[[], int]) -> None:
        self._slots = slots
        self._clock = clock
        self._new_id = new_id
        self.evictions = 0
        # In the order of their last use, the longest ago first.
        self._sessions: dict[int, FetchSession] = {}
        # (partitions, id) of those that a larger one may push out, the smallest first.
        self._settled: list[tuple[int, int]] = []
        self._settled_as: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, number: int) -> FetchSession | None:
        """The session of that id, or None."""
        return self._sessions.get(number)

    def begin(self, request: FetchRequest, version: int, topics: TopicRegistry) -> Fetch:
        """What the request is to read, with what its session adds.

        Raises:
            Refused: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH or
                FETCH_SESSION_TOPIC_ID_ERROR; the session, if there is one, is as it was.
        """
        wanted = asked(request, version, topics)
        by_id = version >= TOPIC_IDS_SINCE
        if request.session_epoch in {INITIAL_EPOCH, FINAL_EPOCH}:
            self.remove(request.session_id)
            if request.session_epoch == FINAL_EPOCH:
                return Fetch(wanted)
            return FirstFetch(wanted, self, by_id=by_id)
        session = self._sessions.get(request.session_id)
        if session is None:
            raise Refused(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != request.session_epoch:
            raise Refused(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.by_id != by_id:
            raise Refused(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.update(wanted, forgotten(request, version), topics)
        if not session:
            self.remove(session.id)
            return Fetch(wanted)
        self._touch(session)
        session.epoch = next_epoch(session.epoch)
        return FetchInSession(session)

    def create(self, partitions: dict[Key, WantedPartition], *, by_id: bool) -> int:
        """The id of a new session of these partitions; 0 if there is no slot for it."""
        if len(self._sessions) >= self._slots and not self._evict(len(partitions)):
            return NO_SESSION
        number = self._new_id()
        while number in self._sessions:
            number = self._new_id()
        session = FetchSession(number, partitions, by_id=by_id, now=self._clock.monotonic())
        self._sessions[number] = session
        return number

    def remove(self, number: int) -> None:
        """There is no session of that id."""
        if self._sessions.pop(number, None) is not None:
            self._unsettle(number)

    def _touch(self, session: FetchSession) -> None:
        """The session is the last one that was used."""
        session.last_used = now = self._clock.monotonic()
        self._sessions[session.id] = self._sessions.pop(session.id)
        if now - session.created > EVICTION:
            if self._settled_as.get(session.id) == len(session):
                return
            self._unsettle(session.id)
            self._settled_as[session.id] = len(session)
            insort(self._settled, (len(session), session.id))

    def _unsettle(self, number: int) -> None:
        size = self._settled_as.pop(number, None)
        if size is not None:
            del self._settled[bisect_left(self._settled, (size, number))]

    def _evict(self, size: int) -> bool:
        """Whether a session has gone for a new one of so many partitions."""
        oldest = next(iter(self._sessions.values()), None)
        if oldest is None:
            return False
        if self._clock.monotonic() - oldest.last_used > EVICTION:
            victim = oldest.id
        elif self._settled and self._settled[0][0] < size:
            victim = self._settled[0][1]
        else:
            return False
        self.remove(victim)
        self.evictions += 1
        return True
