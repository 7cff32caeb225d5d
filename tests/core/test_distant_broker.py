"""How much of what a distant broker allows is used, in virtual time: ratios that no machine moves."""

from __future__ import annotations

import random
from collections import deque

from tests.helpers.engine_rig import Rig, Sent

#: Seconds to the broker and back.
ROUND_TRIP = 0.05
# A tenth of what batches and requests have by default, and of a fast caller's bytes in a second.
BATCH = 100_000
REQUEST = 104_857
BYTES_PER_SECOND = 60_000_000
RECORD = 9_900
#: So many are as many batches as five million records of 100 bytes.
RECORDS = 5_500
PARTITIONS = 4
STEP = 0.001
SEEDS = range(4)


class DistantBroker(Rig):
    """A caller that appends all the time, and a broker whose answers come 50 ms later.

    Args:
        seed: for the choice of partitions.
        blind: the caller names a partition himself, by chance alone, for as many records at a
            time as a batch holds: so sticky partitions were once chosen.
    """

    def __init__(self, seed: int, *, blind: bool) -> None:
        self._random = random.Random(seed)
        self._blind = blind
        super().__init__(
            {"t": [1] * PARTITIONS},
            batch_size=BATCH,
            buffer_memory=1 << 30,
            max_request_size=REQUEST,
            max_in_flight=None,
        )
        self._under_way: deque[tuple[float, Sent]] = deque()
        self._partition: int | None = None
        self._appended = 0

    def _choose(self, count: int) -> int:
        return self._random.randrange(count)

    def run(self) -> float:
        """Seconds until all records are acknowledged."""
        start = self.now
        while self.engine.stats.delivered < RECORDS:
            self._append((self.now + STEP - start) * BYTES_PER_SECOND)
            self._note(self.turn())
            self.now += STEP
            while self._under_way and self._under_way[0][0] <= self.now:
                self._note(self.answer(self._under_way.popleft()[1]))
        return self.now - start

    def _note(self, requests: list[Sent]) -> None:
        self._under_way += [(self.now + ROUND_TRIP, sent) for sent in requests]
        self.sent.clear()

    def _append(self, until: float) -> None:
        while self._appended < RECORDS and self._appended * RECORD < until:
            if self._blind and self._appended % (BATCH // RECORD) == 0:
                self._partition = self._random.randrange(PARTITIONS)
            self.send(b"x" * RECORD, partition=self._partition)
            self._appended += 1


def test_room_is_filled_first():
    """
    Records without a key go on to the partitions that have the least to be sent, so that all end
    at the same time, whatever chance says: of what they would do without the distance they do 0.6,
    where five batches of each partition allow 0.66 and nothing is lost but the first round trips.
    """
    near = RECORDS * RECORD / BYTES_PER_SECOND
    chosen = [near / DistantBroker(seed, blind=False).run() for seed in SEEDS]
    by_chance = [near / DistantBroker(seed, blind=True).run() for seed in SEEDS]

    assert min(chosen) > 0.595, f"{chosen}, by chance {by_chance}"
    assert min(chosen) > 1.04 * sum(by_chance) / len(SEEDS), f"{chosen}, by chance {by_chance}"
