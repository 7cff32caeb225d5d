"""Random schedules of a bad cluster: what must hold whatever happens."""

from __future__ import annotations

import os

import pytest

from pyproducer.core.appender import Delivery
from pyproducer.errors import DeliveryError
from pyproducer.records.codec import Codec
from tests.helpers.model_cluster import ModelCluster

#: Schedules in all; a longer hunt sets PYPRODUCER_SCHEDULES.
COUNT = int(os.environ.get("PYPRODUCER_SCHEDULES", "300"))
GROUPS = 10


class Schedule:
    """One run: records sent at random times, faults for a while, then peace until all is settled."""

    def __init__(self, seed: int) -> None:
        # The cluster's own generator draws the schedule too: one seed is one run.
        self.cluster = cluster = ModelCluster(
            seed,
            fault=(0.0, 0.02, 0.08, 0.2)[seed % 4],
            partitions=1 + seed % 3,
            idempotent=seed % 5 != 4,
            acks=1 if seed % 10 == 4 else -1,
            retries=3 if seed % 15 == 9 else None,
            batch_max_records=1 + seed % 7,
            max_in_flight=(1, 2, 5)[seed // 3 % 3],
            linger=(0.0, 0.005, 0.05)[seed // 7 % 3],
            codec=Codec.GZIP if seed % 6 == 5 else Codec.NONE,
            delivery_timeout=(4.0, 15.0)[seed // 11 % 2],
            request_timeout=3.0,
            buffer_memory=(3000, 1 << 20)[seed // 13 % 2],
            retry_backoff=(0.05, 0.4),
            reconnect_backoff=(0.02, 0.2),
            metadata_max_age=2.0,
        )
        if seed % 9 == 0:
            cluster.max_batch = 2
        self.seed = seed
        self.handles: list[tuple[bytes, int, Delivery]] = []
        self.told: dict[bytes, int] = {}
        self.waiting: dict[bytes, object] = {}
        self.refused: list[bytes] = []
        self.flushes: list[list[bool]] = []
        self.sent = 0

    def run(self) -> None:
        cluster, rand = self.cluster, self.cluster.random
        total = rand.randint(5, 80)
        for _ in range(total):
            cluster.at(rand.uniform(0, 4), self.put)
        for _ in range(rand.randint(0, 3)):
            cluster.at(rand.uniform(0, 4), self.flush)
        for _ in range(round(cluster.fault * 60)):
            cluster.at(rand.uniform(0, 6), lambda: cluster.move(rand.randrange(len(cluster.parts))))
            cluster.at(rand.uniform(0, 6), lambda: cluster.break_link(rand.choice([-1, 1, 2, 3])))
        cluster.run(cluster.now + 8)
        cluster.fault = 0.0
        cluster.run(cluster.now + 60)
        # Whatever happened, nothing is stuck: in peace a record takes no time.
        late = [cluster.send(b"late %d" % n, partition=n) for n in range(len(cluster.parts))]
        cluster.run(cluster.now + 2)
        assert [None] * len(late) == [handle.exception() for handle in late]
        cluster.engine.stats.delivered -= len(late)
        self.judge(total)

    def put(self) -> None:
        cluster, rand = self.cluster, self.cluster.random
        value = b"%d" % self.sent + b"." * rand.choice([0, 0, 100, 600])
        self.sent += 1
        partition = rand.choice([None, rand.randrange(len(cluster.parts))])

        def told(delivery: Delivery) -> None:
            self.told[value] = self.told.get(value, 0) + 1

        made = cluster.accept(
            value,
            key=rand.choice([None, b"k%d" % rand.randrange(3)]),
            partition=partition,
            urgent=rand.random() < 0.3,
            on_delivery=told,
        )
        if isinstance(made, Delivery):
            self.handles.append((value, len(self.handles), made))
            return

        def admitted(outcome: Delivery | Exception) -> None:
            assert isinstance(outcome, Delivery), outcome
            del self.waiting[value]
            self.handles.append((value, len(self.handles), outcome))

        self.waiting[value] = cluster.engine.waiters.join(made, admitted)
        cluster.at(rand.uniform(0.01, 5), lambda: self.give_up(value))

    def give_up(self, value: bytes) -> None:
        ticket = self.waiting.pop(value, None)
        if ticket is not None:
            self.cluster.engine.waiters.leave(ticket)
            self.refused.append(value)

    def flush(self) -> None:
        done: list[bool] = []
        self.flushes.append(done)
        self.cluster.engine.flush(self.cluster.now, lambda: done.append(True))

    def judge(self, total: int) -> None:
        cluster = self.cluster
        cluster.assert_idle()
        assert {} == self.waiting
        assert total == len(self.handles) + len(self.refused)
        assert all(done == [True] for done in self.flushes)
        acked: dict[int, list[tuple[bytes, int]]] = {}
        delivered = 0
        for value, _, handle in self.handles:
            assert handle.done(), value
            assert 1 == self.told[value], value
            times = sum(part.log.count(value) for part in cluster.parts)
            error = handle.exception()
            if error is None:
                delivered += 1
                place = handle.result()
                log = cluster.parts[place.partition].log
                assert value in log, f"{value!r} was acknowledged and is lost"
                acked.setdefault(place.partition, []).append((value, place.offset))
                if cluster.options.idempotent:
                    assert 1 == times, f"{value!r} is there {times} times"
                    assert place.offset in {-1, log.index(value)}
                else:
                    assert place.offset == -1 or log[place.offset] == value
            else:
                assert isinstance(error, DeliveryError), error
                if not error.maybe_written:
                    assert 0 == times, f"{value!r} failed for certain and is there: {error}"
                elif cluster.options.idempotent:
                    assert times <= 1, f"{value!r} is there {times} times"
        for value in self.refused:
            assert 0 == sum(part.log.count(value) for part in cluster.parts)
        for number, values in acked.items():
            places = [cluster.parts[number].log.index(value) for value, _ in values]
            assert places == sorted(places), f"partition {number} is out of order"
        assert delivered == cluster.engine.stats.delivered
        assert len(self.handles) - delivered == cluster.engine.stats.failed
        if self.seed % 4 == 0 and not cluster.max_batch:
            # Nothing ever went wrong.
            assert len(self.handles) == delivered


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_schedules(group):
    """
    Every record settles once; what is acknowledged is in the log, once and in order where the
    producer is idempotent; what failed for certain is in no log; nothing is left behind.
    """
    for seed in range(group, COUNT, GROUPS):
        try:
            Schedule(seed).run()
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
