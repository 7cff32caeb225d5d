"""Which fetch sessions are kept when all slots are taken, on a clock of the test's own."""

from __future__ import annotations

import uuid
from itertools import count

import pytest

from pyproducer.broker.errors import Refused
from pyproducer.broker.fetch_sessions.cache import EVICTION, FetchSessionCache
from pyproducer.broker.fetch_sessions.fetches import Found
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchTopic,
    ForgottenTopic,
    PartitionData,
)
from tests.helpers.virtual_time import VirtualTime


class NoTopics:
    """A registry without topics; names are never looked up in it."""

    def by_id(self, topic_id: uuid.UUID) -> None:
        return None


class Rig:
    """A cache, and readers that ask it."""

    def __init__(self, slots: int) -> None:
        numbers = count(1)
        self.clock = VirtualTime()
        self.cache = FetchSessionCache(slots, clock=self.clock, new_id=lambda: next(numbers))

    def first(self, partitions: int) -> int:
        """The session that a reader of so many partitions gets; 0 for none."""
        return self.ask(0, 0, partitions)

    def again(self, session: int, epoch: int, partitions: int = 0) -> int:
        return self.ask(session, epoch, partitions)

    def ask(self, session: int, epoch: int, partitions: int) -> int:
        named = [FetchPartition(partition=index) for index in range(partitions)]
        request = FetchRequest(
            session_id=session,
            session_epoch=epoch,
            topics=[FetchTopic(topic="orders", partitions=named)],
        )
        fetch = self.cache.begin(request, 11, NoTopics())
        found = [
            Found(one, PartitionData(partition_index=one.index, records=b""), 0)
            for one in fetch.partitions
        ]
        return fetch.settle(found).session_id


def test_e2_no_slot_is_no_session():
    """
    E2: where all slots are taken by sessions in use the answer has id 0, which is no error.
    """
    rig = Rig(2)

    assert [1, 2, 0] == [rig.first(5), rig.first(5), rig.first(50)]
    assert 0 == Rig(0).first(5)


def test_e2_session_unused_for_two_minutes_makes_room():
    """
    E2: the session that was not used for longest goes, once that is more than two minutes.
    """
    rig = Rig(2)
    used, idle = rig.first(5), rig.first(5)
    rig.clock.pass_time(60)
    rig.again(used, 1)
    rig.clock.pass_time(EVICTION - 60)
    refused = rig.first(1)
    rig.clock.pass_time(0.001)

    assert 0 == refused
    assert 3 == rig.first(1)
    assert used == rig.again(used, 2)
    with pytest.raises(Refused) as gone:
        rig.again(idle, 1)
    assert ErrorCode.FETCH_SESSION_ID_NOT_FOUND == gone.value.code
    assert 1 == rig.cache.evictions


def test_e2_larger_session_pushes_the_smallest_old_one_out():
    """
    E2: of sessions older than two minutes the smallest goes for one with more partitions.
    """
    rig = Rig(3)
    large, small, young = rig.first(9), rig.first(3), 0
    for _ in range(2):
        rig.clock.pass_time(EVICTION * 0.6)
        young = young or rig.first(1)
        for number in (large, small):
            rig.again(number, rig.cache.get(number).epoch)
    rig.again(young, 1)

    # The young one is smaller, and not to be pushed out yet.
    assert 0 == rig.first(3)
    assert 4 == rig.first(4)
    assert rig.cache.get(small) is None
    assert rig.cache.get(large) is not None


def test_e2_size_that_counts_is_that_of_the_last_use():
    """
    E2: a session that has grown since counts with the partitions it has now.
    """
    rig = Rig(1)
    only = rig.first(1)
    rig.clock.pass_time(EVICTION * 0.6)
    rig.again(only, 1)
    rig.clock.pass_time(EVICTION * 0.6)
    rig.again(only, 2)
    rig.again(only, 3, partitions=8)

    assert 0 == rig.first(8)
    assert 2 == rig.first(9)


def test_e2_epochs_go_round():
    """
    E2: the epoch after 2^31 - 1 is 1; 0 would ask for a new session.
    """
    rig = Rig(1)
    only = rig.first(1)
    rig.cache.get(only).epoch = 2**31 - 1

    assert only == rig.again(only, 2**31 - 1)
    assert only == rig.again(only, 1)


def test_e2_session_without_partitions_is_no_more():
    """
    E2: forgetting the last partition ends the session, and its slot is free.
    """
    rig = Rig(1)
    only = rig.first(1)
    forgotten = [ForgottenTopic(topic="orders", partitions=[0])]
    request = FetchRequest(session_id=only, session_epoch=1, forgotten_topics_data=forgotten)
    fetch = rig.cache.begin(request, 11, NoTopics())

    assert (0, []) == (fetch.settle([]).session_id, fetch.partitions)
    assert 0 == len(rig.cache)
    assert 2 == rig.first(1)


def test_many_sessions_are_kept_and_evicted_in_order():
    """
    With 200 slots and twice as many readers every session is where the rules say.
    """
    rig = Rig(200)
    first = [rig.first(size) for size in range(1, 201)]
    rig.clock.pass_time(EVICTION * 0.6)
    for number in first:
        rig.again(number, 1)
    rig.clock.pass_time(EVICTION * 0.6)
    for number in first:
        rig.again(number, 2)
    second = [rig.first(101) for _ in range(200)]

    # 100 of them have less than 101 partitions; no new one is old enough to go.
    assert 100 == sum(number > 0 for number in second)
    assert 200 == len(rig.cache)
    assert [number > 100 for number in first] == [
        rig.cache.get(number) is not None for number in first
    ]
