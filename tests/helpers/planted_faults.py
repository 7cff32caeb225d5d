"""Faults planted in the engine, one at a time, for the schedules to find.

What finds none of them would find no other either.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest

from pyproducer.core import batch as batches
from pyproducer.core import sender
from pyproducer.core.accumulator import PartitionQueue
from pyproducer.core.appender import TopicState
from pyproducer.core.batch import SealedBatch
from pyproducer.core.budget import WaitLine
from pyproducer.core.delivery import Flush
from pyproducer.core.engine import Engine
from pyproducer.core.enrolment import Enrolment
from pyproducer.core.identity import Identity
from pyproducer.core.intake import Intake
from pyproducer.core.links import Links
from pyproducer.core.metadata import Cluster, TopicView
from pyproducer.core.sender import Sender
from pyproducer.core.settler import Settler
from pyproducer.core.topics import Topics
from pyproducer.core.transaction_requests import Kind
from pyproducer.core.transactions import Transactions
from pyproducer.core.verdict import Action, Verdict
from pyproducer.core.verdict import judge as true_verdict
from pyproducer.protocol.error_codes import ErrorCode

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]

#: Every fault by its name: what the engine does wrong; those of transactions have their own.
PLANTS: dict[str, Plant] = {}
TRANSACTIONAL: dict[str, Plant] = {}


def _plant(function: Plant) -> Plant:
    PLANTS[function.__name__.replace("_", " ")] = function
    return function


def _plant_in_transactions(function: Plant) -> Plant:
    TRANSACTIONAL[function.__name__.replace("_", " ")] = function
    return function


def _verdict(patch: Patch, code: ErrorCode, verdict: Verdict) -> None:
    def judge(found: int, **options: Any) -> Verdict:
        return verdict if found == code else true_verdict(found, **options)

    patch.setattr(sender, "judge", judge)


def _nothing(*args: Any, **options: Any) -> None:
    return None


@_plant
def stamps_a_batch_in_doubt_anew(patch: Patch) -> None:
    true = Identity.recovered

    def recovered(self: Identity, queue: PartitionQueue) -> bool:
        for sealed in queue.waiting:
            sealed.in_doubt = False
        return true(self, queue)

    patch.setattr(Identity, "recovered", recovered)


@_plant
def begins_anew_in_the_same_epoch(patch: Patch) -> None:
    true = Identity.recovered

    def recovered(self: Identity, queue: PartitionQueue) -> bool:
        before = self.producer_id, self.epoch
        done = true(self, queue)
        if done and before[0] == self.producer_id and before[1] == queue.epoch - 1:
            self.epoch, queue.epoch = before[1], before[1]
        return done

    patch.setattr(Identity, "recovered", recovered)


@_plant
def forgets_what_a_lost_connection_owes(patch: Patch) -> None:
    patch.setattr(Sender, "on_lost", _nothing)


@_plant
def acknowledges_what_a_lost_connection_owes(patch: Patch) -> None:
    def on_lost(self: Sender, node: Any, owed: list[SealedBatch], reason: str, now: float) -> None:
        self.on_answer(node, owed, None, now)

    patch.setattr(Sender, "on_lost", on_lost)


@_plant
def tells_offsets_one_too_high(patch: Patch) -> None:
    true = Settler.acknowledge

    def acknowledge(self: Settler, batch: Any, base: int, time: int) -> None:
        true(self, batch, base + 1 if base > 0 else base, time)

    patch.setattr(Settler, "acknowledge", acknowledge)


@_plant
def puts_a_refused_batch_behind_its_followers(patch: Patch) -> None:
    patch.setattr(PartitionQueue, "put_back", lambda self, sealed: self.waiting.append(sealed))


@_plant
def sends_on_past_a_batch_that_came_back(patch: Patch) -> None:
    true = PartitionQueue.next

    def following(self: PartitionQueue, now: float, idempotent: bool) -> SealedBatch | None:
        made = true(self, now, idempotent)
        if made is None or made.stamped or not self.waiting[1:]:
            return made
        other = self.waiting[1]
        return made if other.stamped or other.body is None else other

    patch.setattr(PartitionQueue, "next", following)


@_plant
def believes_an_unproven_epoch(patch: Patch) -> None:
    true = Identity._begin

    def begin(self: Identity, queue: PartitionQueue) -> None:
        true(self, queue)
        queue.proven = True

    patch.setattr(Identity, "_begin", begin)


@_plant
def has_two_under_way_without_idempotence(patch: Patch) -> None:
    patch.setattr(PartitionQueue, "takes_new", lambda self, idempotent: len(self.in_flight) < 2)
    true = PartitionQueue.next

    def following(self: PartitionQueue, now: float, idempotent: bool) -> SealedBatch | None:
        proven, self.proven = self.proven, self.proven or not idempotent
        try:
            return true(self, now, idempotent)
        finally:
            self.proven = proven

    patch.setattr(PartitionQueue, "next", following)


@_plant
def calls_a_late_append_certain(patch: Patch) -> None:
    _verdict(patch, ErrorCode.REQUEST_TIMED_OUT, Verdict(Action.RETRY, maybe_written=False))


@_plant
def calls_a_deposed_leader_certain(patch: Patch) -> None:
    _verdict(patch, ErrorCode.NOT_LEADER_OR_FOLLOWER, Verdict(Action.REFRESH, maybe_written=False))


@_plant
def calls_an_unknown_error_certain(patch: Patch) -> None:
    _verdict(patch, ErrorCode.UNKNOWN_SERVER_ERROR, Verdict(Action.FAIL, maybe_written=False))


@_plant
def takes_a_refusal_for_success(patch: Patch) -> None:
    _verdict(patch, ErrorCode.NOT_ENOUGH_REPLICAS, Verdict(Action.ACK, maybe_written=True))


@_plant
def takes_a_duplicate_for_a_failure(patch: Patch) -> None:
    code = ErrorCode.DUPLICATE_SEQUENCE_NUMBER
    _verdict(patch, code, Verdict(Action.FAIL, maybe_written=False))


@_plant
def calls_what_expires_under_way_unwritten(patch: Patch) -> None:
    true = Sender._details

    def details(self: Sender, sealed: SealedBatch, now: float, *, maybe: bool) -> dict[str, Any]:
        return true(self, sealed, now, maybe=maybe and sealed not in sealed.queue.in_flight)

    patch.setattr(Sender, "_details", details)


@_plant
def tells_callbacks_as_batches_settle(patch: Patch) -> None:
    patch.setattr(PartitionQueue, "is_behind", lambda self, sealed: False)


@_plant
def keeps_the_room_of_what_is_settled(patch: Patch) -> None:
    true = Settler._let_go

    def let_go(self: Settler, batch: Any) -> None:
        held = batch.charged
        true(self, batch)
        if held and batch.serial % 7 == 0:
            self._appender.used += held

    patch.setattr(Settler, "_let_go", let_go)


@_plant
def sends_for_who_has_left_the_line(patch: Patch) -> None:
    patch.setattr(WaitLine, "leave", lambda self, ticket: None)


@_plant
def lets_nobody_expire(patch: Patch) -> None:
    patch.setattr(Intake, "expire", _nothing)


@_plant
def gives_records_from_the_shelf_new_time(patch: Patch) -> None:
    true = Intake.absorb

    def absorb(self: Intake, now: float, shelf: Any = None) -> None:
        if shelf is not None:
            shelf.created = now
        true(self, now, shelf)

    patch.setattr(Intake, "absorb", absorb)


@_plant
def looks_for_no_new_leader(patch: Patch) -> None:
    patch.setattr(Engine, "stale", _nothing)
    patch.setattr(Topics, "hint", _nothing)


@_plant
def trusts_old_news_of_a_lost_leader(patch: Patch) -> None:
    def believes(view: TopicView, state: TopicState) -> bool:
        return not view.complete

    patch.setattr(Topics, "_is_incomplete", staticmethod(believes))


@_plant
def never_looks_again_after_a_pause(patch: Patch) -> None:
    patch.setattr(Engine, "again_at", _nothing)


@_plant
def never_gives_a_silent_connection_up(patch: Patch) -> None:
    patch.setattr(Links, "look_after", _nothing)


@_plant
def sends_again_without_a_pause(patch: Patch) -> None:
    patch.setattr(Sender, "_pause", _nothing)


@_plant
def pays_no_heed_to_throttling(patch: Patch) -> None:
    def may_send(self: Links, node: Any, now: float) -> bool:
        return node.connected and len(node.in_flight) < self.limit(node)

    patch.setattr(Links, "may_send", may_send)


@_plant
def counts_sequences_past_their_end(patch: Patch) -> None:
    patch.setattr(batches, "SEQUENCE_MODULUS", 2**32)


@_plant
def swaps_the_halves_of_a_batch(patch: Patch) -> None:
    true = sender.halve

    def halve(*args: Any) -> Any:
        parts = true(*args)
        parts[0][1].first, parts[1][1].first = parts[1][1].first, parts[0][1].first
        return parts

    patch.setattr(sender, "halve", halve)


@_plant
def numbers_the_second_half_anew(patch: Patch) -> None:
    true_halve, true_stamp = sender.halve, SealedBatch.stamp
    halves: list[SealedBatch] = []

    def halve(*args: Any) -> Any:
        parts = true_halve(*args)
        halves.extend(half for _, half in parts)
        return parts

    def stamp(self: SealedBatch, *identity: int, **options: Any) -> int:
        following = true_stamp(self, *identity, **options)
        return following + any(self is half for half in halves)

    patch.setattr(sender, "halve", halve)
    patch.setattr(SealedBatch, "stamp", stamp)


@_plant
def flushes_before_a_split_is_through(patch: Patch) -> None:
    def replaced(self: Flush, batch: Any, parts: list[Any]) -> None:
        if batch in self.waiting:
            self.waiting.discard(batch)
            self._check()

    patch.setattr(Flush, "replaced", replaced)


@_plant
def has_eight_unresolved(patch: Patch) -> None:
    from pyproducer.core import accumulator

    patch.setattr(accumulator, "MAX_UNRESOLVED", 8)
    patch.setattr(sender, "MAX_UNRESOLVED", 8)


@_plant
def asks_once_for_a_producer_id(patch: Patch) -> None:
    true = Enrolment.on_answer

    def on_answer(self: Enrolment, response: Any, now: float) -> None:
        true(self, response, now)
        if response.error_code:
            self._at = float("inf")

    patch.setattr(Enrolment, "on_answer", on_answer)


@_plant
def serves_the_line_from_its_end(patch: Patch) -> None:
    true = WaitLine.serve

    def serve(self: WaitLine) -> None:
        self._line = OrderedDict(reversed(self._line.items()))
        true(self)

    patch.setattr(WaitLine, "serve", serve)


@_plant
def asks_for_metadata_without_a_pause(patch: Patch) -> None:
    true = Cluster.settle

    def settle(self: Cluster, incomplete: Any, now: float, *, moved: bool) -> None:
        true(self, incomplete, now, moved=moved)
        if self._failures:
            self._whole_at = now

    patch.setattr(Cluster, "settle", settle)


@_plant
def comes_back_for_nothing(patch: Patch) -> None:
    true, polled = Engine.deadline, Engine.poll

    def poll(self: Engine, now: float) -> Any:
        self.__dict__["last_poll"] = now
        return polled(self, now)

    def deadline(self: Engine) -> float | None:
        at = true(self)
        soon = self.__dict__.get("last_poll", 0.0) + 0.001
        return at if not self.settler.live or (at is not None and at < soon) else soon

    patch.setattr(Engine, "poll", poll)
    patch.setattr(Engine, "deadline", deadline)


@_plant
def says_at_its_end_that_nothing_was_written(patch: Patch) -> None:
    true = Engine.fail_all

    def fail_all(self: Engine, make: Any, now: float, **options: Any) -> int:
        def made(t: str, p: int | None, elapsed: float, maybe: bool, n: int) -> Exception:
            return make(t, p, elapsed, False, n)

        return true(self, made, now, **options)

    patch.setattr(Engine, "fail_all", fail_all)


@_plant
def wakes_nobody_of_a_batch_behind(patch: Patch) -> None:
    from pyproducer.core import settler

    def tell(self: Settler, sealed: SealedBatch) -> None:
        queue = sealed.queue
        if sealed.batch.watchers and queue.is_behind(sealed):
            insort(queue.held, sealed)
        else:
            self.deliveries.add(sealed.batch)

    patch.setattr(settler.Settler, "_tell_in_order", tell)


@_plant_in_transactions
def ends_before_all_is_written(patch: Patch) -> None:
    patch.setattr(Transactions, "_busy", property(lambda self: False))


@_plant_in_transactions
def keeps_the_epoch_though_a_request_may_come_late(patch: Patch) -> None:
    patch.setattr(Kind, "binds", property(lambda self: False))


@_plant_in_transactions
def commits_what_a_record_is_missing_from(patch: Patch) -> None:
    patch.setattr(Transactions, "_record_failed", _nothing)


@_plant_in_transactions
def sends_to_partitions_that_were_not_added(patch: Patch) -> None:
    def admits(self: Transactions, queue: PartitionQueue) -> bool:
        self._partitions.add(queue)
        self._started = True
        return True

    patch.setattr(Transactions, "admits", admits)


@_plant_in_transactions
def forgets_an_unanswered_request(patch: Patch) -> None:
    true = Transactions.on_lost

    def on_lost(self: Transactions, node: Any, reason: str, now: float) -> None:
        question = self._asked
        true(self, node, reason, now)
        if question is not None and self._asked is None:
            self._asked = question

    patch.setattr(Transactions, "on_lost", on_lost)
