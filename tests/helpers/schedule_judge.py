"""What must hold after a schedule, whatever happened in it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pyproducer.errors import DeliveryError, UnknownTopic
from tests.helpers.schedule import Schedule, Told

__all__ = ["Violation", "judge"]

#: More polls in a second that the engine asked for itself, and that did nothing, are a busy loop.
IDLE_POLLS = 30.0

#: More metadata requests in a second than its shortest pause allows.
METADATA_RATE = 25.0


class Violation(AssertionError):
    """A promise was broken: which one, and by what."""


class Ledger:
    """Where every value is, and what its sender was told."""

    def __init__(self, run: Schedule) -> None:
        self.run = run
        self.world = run.cluster.world
        self.where: dict[bytes, list[tuple[str, int, int]]] = defaultdict(list)
        for part in self.world.partitions:
            for offset, value in enumerate(part.log):
                self.where[value].append((part.topic, part.number, offset))
        self.acked: list[Told] = []
        self.failed: list[tuple[Told, BaseException]] = []
        for told in run.told:
            if not told.delivery.done():
                raise Violation(f"V11: {_name(told)} has no outcome")
            error = told.delivery.exception()
            if error is None:
                self.acked.append(told)
            else:
                self.failed.append((told, error))

    def part(self, told: Told) -> Any:
        """The partition of an acknowledged record."""
        place = told.delivery.result()
        return self.world.topics[place.topic].partitions[place.partition]

    def is_excused(self, told: Told) -> bool:
        """Its log, or the leader that had it alone, went: no producer can help it."""
        part = self.part(told)
        return told.value in part.deleted or (
            self.run.options["acks"] != -1 and told.value in part.lost
        )


def judge(run: Schedule) -> None:
    """Hold a schedule that has run to every promise.

    Raises:
        Violation: one is broken.
    """
    ledger = Ledger(run)
    _v1_nothing_acknowledged_is_lost(ledger)
    _v2_what_failed_for_certain_is_nowhere(ledger)
    if run.options["idempotent"]:
        _v3_nothing_is_doubled(ledger)
    _v4_offsets_are_true(ledger)
    _v5_order_is_kept(ledger)
    _v11_all_is_settled_in_time(ledger)
    _v15_nothing_is_left(ledger)


def _v1_nothing_acknowledged_is_lost(ledger: Ledger) -> None:
    if ledger.run.options["acks"] == 0:
        return
    for told in ledger.acked:
        if not ledger.where[told.value] and not ledger.is_excused(told):
            raise Violation(f"V1: {_name(told)} was acknowledged and is lost")


def _v2_what_failed_for_certain_is_nowhere(ledger: Ledger) -> None:
    for told, error in ledger.failed:
        if not isinstance(error, (DeliveryError, UnknownTopic)):
            raise Violation(f"V2: {_name(told)} failed with {error!r}")
        if not getattr(error, "maybe_written", False) and ledger.where[told.value]:
            raise Violation(f"V2: {_name(told)} failed for certain and is there: {error}")
    for value in ledger.run.refused:
        if ledger.where[value]:
            raise Violation(f"V2: {value!r} was never accepted and is there")


def _v3_nothing_is_doubled(ledger: Ledger) -> None:
    for value, places in ledger.where.items():
        # Markers have no value.
        if (
            value
            and len(places) > 1
            and not any(
                ledger.world.topics[topic].partitions[number].forgotten
                for topic, number, _ in places
            )
        ):
            raise Violation(f"V3: {value!r} is there {len(places)} times: {places}")


def _v4_offsets_are_true(ledger: Ledger) -> None:
    shown: dict[tuple[str, int, int], Told] = {}
    run = ledger.run
    for told in ledger.acked:
        place = told.delivery.result()
        if place.offset < 0:
            if run.options["acks"] and not run.cluster.injected["duplicate"]:
                raise Violation(f"V4: {_name(told)} was told no offset")
            continue
        if ledger.is_excused(told):
            continue
        spot = (place.topic, place.partition, place.offset)
        if spot not in ledger.where[told.value]:
            raise Violation(f"V4: {_name(told)} is not at {spot}: {ledger.where[told.value]}")
        if spot in shown:
            raise Violation(f"V4: {_name(told)} and {_name(shown[spot])} are both at {spot}")
        shown[spot] = told


def _v5_order_is_kept(ledger: Ledger) -> None:
    run = ledger.run
    last: dict[tuple[str, int | None], Told] = {}
    for told in run.order:
        place = (told.topic, told.delivery.partition)
        if place[1] is not None and place in last and last[place].place > told.place:
            raise Violation(f"V5: {_name(last[place])} was told before {_name(told)}")
        last[place] = told
    if not run.options["acks"]:
        return
    # Without idempotence a record whose fate is unknown may come after its followers.
    told_of = run.told if run.options["idempotent"] else ledger.acked
    # By producer id: when the epochs of one are used up, nothing keeps out a request of the old
    # one that is still on its way, and whose records have failed as maybe written.
    ends: dict[tuple[str, int, int], tuple[int, Told]] = {}
    for told in told_of:
        for topic, number, offset in ledger.where[told.value][:1]:
            part = ledger.world.topics[topic].partitions[number]
            if part.forgotten:
                continue
            key = (topic, number, part.writer(offset))
            before = ends.get(key)
            if before is not None and before[0] > offset:
                raise Violation(
                    f"V5: {_name(told)} is before {_name(before[1])} in {topic}-{number}"
                )
            ends[key] = (offset, told)


def _v11_all_is_settled_in_time(ledger: Ledger) -> None:
    run = ledger.run
    for told in run.told:
        if told.watched and told.times != 1:
            raise Violation(f"V11: {_name(told)} was told {told.times} times")
        if told.waiter is not None and not told.waiter.done():
            raise Violation(f"V11: who awaits {_name(told)} was not woken")
        if not told.watched:
            continue
        failed = told.delivery.exception()
        lingers = run.options["linger"] is not None
        if failed is not None and lingers and told.at > run.healed_at + run.recovery:
            raise Violation(f"V11: {_name(told)} failed long after all was well again: {failed}")
        limit = told.accepted + run.options["delivery_timeout"] + 1.0
        for began, ended in run.cluster.freezes:
            if began <= limit:
                limit = max(limit, ended)
        if told.at > limit:
            raise Violation(
                f"V11: {_name(told)} was settled {told.at - told.accepted:.3f} s after it was taken"
            )
    if run.waiting or not all(done == [True] for done in run.flushes):
        raise Violation("V11: somebody waits for ever")
    for probe in run.probes:
        if probe.delivery is None:
            raise Violation("V11: in peace a record found no room")
        error = probe.delivery.exception()
        if error is not None:
            raise Violation(f"V11: in peace a record failed: {error}")
    drops = run.options["linger"] is None or "transactional_id" in run.options
    if not run.faults and not drops and ledger.failed:
        raise Violation(f"V11: nothing went wrong, and {ledger.failed[0][1]}")


def _v15_nothing_is_left(ledger: Ledger) -> None:
    cluster = ledger.run.cluster
    engine, links = cluster.engine, cluster.engine._links
    try:
        cluster.assert_idle()
    except AssertionError as error:
        raise Violation(f"V15: something is left: {error}") from error
    left = {
        "requests": {node.node_id: node.in_flight for node in links if node.in_flight},
        "lines": {node.node_id: node.line for node in links if node.line},
        "held": [part for part in _queues(cluster) if part.held],
        "times": links._sent_at.keys()
        - {tag for n in links._special.values() for tag in n.in_flight},
        "lingering": list(engine._intake.lingering),
        "expiring": list(engine._intake.expiring),
        "flushes": list(engine.settler._flushes),
    }
    if any(left.values()):
        raise Violation(f"V15: something is left: { {k: v for k, v in left.items() if v} }")
    if engine.settler.ledger.count:
        raise Violation(f"V15: {engine.settler.ledger.count} failures seen, and counted as unseen")
    stats = engine.stats
    if (stats.delivered, stats.failed) != (len(ledger.acked), len(ledger.failed)):
        raise Violation(f"V15: counted {stats.delivered} delivered and {stats.failed} failed")
    seconds = cluster.now - 100.0
    if cluster.idle_polls > IDLE_POLLS * seconds:
        raise Violation(f"V15: {cluster.idle_polls} polls for nothing in {seconds:.1f} s")
    if cluster.requests["MetadataRequest"] > METADATA_RATE * seconds:
        asked = cluster.requests["MetadataRequest"]
        raise Violation(f"V15: asked for metadata {asked} times in {seconds:.1f} s")


def _queues(cluster: Any) -> list[Any]:
    return [
        part.queue for topic in cluster.appender.topics.values() for part in topic.partitions or ()
    ]


def _name(told: Told) -> str:
    return f"record {told.value.rstrip(b'.').decode()!r} of {told.topic}"
