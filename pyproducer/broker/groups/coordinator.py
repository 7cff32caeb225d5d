"""The coordinator of all groups of this broker: their machines, their offsets, their timers.

Everything happens on one thread, the broker's loop. Parked requests are tickets, plain callables,
so nothing here knows asyncio. What was answered as done is in the store first.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pyproducer.broker.errors import Refused
from pyproducer.broker.groups.config import GroupConfig
from pyproducer.broker.groups.group import Group
from pyproducer.broker.groups.image import describe
from pyproducer.broker.groups.member import Ticket
from pyproducer.broker.groups.model import (
    Answer,
    CommittedOffset,
    GroupDescription,
    JoinRequest,
    JoinResult,
    MemberIdentity,
    Store,
    SyncRequest,
    SyncResult,
)
from pyproducer.broker.groups.offsets import Replay, group_record, offset_record
from pyproducer.broker.groups.pending import Offsets, PendingOffsets
from pyproducer.broker.groups.scheduler import Scheduler, Timer
from pyproducer.broker.groups.state import EMPTY
from pyproducer.broker.groups.store import OffsetsStore
from pyproducer.broker.groups.subscription import CONSUMER_PROTOCOL_TYPE
from pyproducer.broker.state_topic import KeyValue, Writer, partition_of
from pyproducer.clock import Clock
from pyproducer.errors import ProtocolError
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode

# What a member hears when the log refuses a record for good; whatever else may pass.
_REFUSALS: dict[int, ErrorCode] = {
    ErrorCode.MESSAGE_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.RECORD_LIST_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.INVALID_PRODUCER_EPOCH: ErrorCode.INVALID_PRODUCER_EPOCH,
}

logger = logging.getLogger(__name__)


class _Alarm(NamedTuple):
    when: float
    timer: Timer


class GroupCoordinator:
    """Owns every group.

    Args:
        config: limits, delays and retention.
        store: where groups and offsets are kept.
        clock: monotonic seconds for timeouts, wall milliseconds for what is stored.
        scheduler: calls back for timeouts.
        new_id: makes the random part of member ids.
    """

    def __init__(
        self,
        config: GroupConfig,
        store: OffsetsStore,
        clock: Clock,
        scheduler: Scheduler,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.config = config
        self._store = store
        self._clock = clock
        self._scheduler = scheduler
        self._new_id = new_id
        self._groups: dict[str, Group] = {}
        self._offsets: dict[str, Offsets] = {}
        # Of each partition of the store; they become offsets when their transactions end.
        self._pending = [PendingOffsets() for _ in range(store.partitions)]
        self._alarms: dict[str, _Alarm] = {}
        # Partitions that could not be read: their groups exist, but nobody here knows them.
        self._lost: set[int] = set()

    # Life.

    def start(self) -> None:
        """Every group is as its last stored record says.

        Members that were in a stable group are in it still and may go on; those that were in the
        middle of a rebalance hear UNKNOWN_MEMBER_ID or ILLEGAL_GENERATION and join again.
        """
        now = self._clock.monotonic()
        for partition in range(self._store.partitions):
            replay = Replay()
            try:
                records = list(self._store.read(partition))
            except (Refused, ProtocolError):
                # Taking its groups for new would make their consumers read all over again.
                logger.exception("the groups of partition %d cannot be served", partition)
                self._lost.add(partition)
                continue
            replay.apply_all(records)
            self._offsets.update(replay.offsets)
            self._pending[partition] = replay.pending
            for group_id in replay.group_ids:
                image = replay.groups.get(group_id)
                group = (
                    self._new_group(group_id)
                    if image is None
                    else Group.restored(group_id, image, self.config, self._new_id, now)
                )
                self._groups[group_id] = group
                self._arm(group)

    def close(self) -> None:
        """Nothing is scheduled any more and nobody is left waiting; what is stored stays."""
        for alarm in self._alarms.values():
            alarm.timer.cancel()
        self._alarms.clear()
        for group in self._groups.values():
            group.die()
            for effect in group.take_effects():
                if isinstance(effect, Answer):
                    effect.deliver()
        self._groups.clear()

    def refusal(self, group_id: str) -> ErrorCode | None:
        """Return why nothing can be said of a group, None if it can; the first thing to ask.

        Groups whose partition could not be read are refused until the broker can read it: to
        take them for new would send their consumers back to the start.
        """
        if self.partition_of(group_id) in self._lost:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        return None

    def partition_of(self, group_id: str) -> int:
        """Return the partition of the offsets topic that holds the group."""
        return partition_of(group_id, self._store.partitions)

    # Membership.

    def join(self, group_id: str, request: JoinRequest, ticket: Ticket) -> None:
        """Let a member join; `ticket` gets a JoinResult, at once or when the phase is over."""
        error = self._refusal_to_join(group_id, request)
        if error is not None:
            ticket(JoinResult(error, request.member_id))
            return
        group = self._groups.get(group_id) or self._new_group(group_id)
        group.join(request, ticket, self._clock.monotonic())
        if group.state is not EMPTY or group.roster.pending:
            # A refused first join must not leave a group behind.
            self._groups[group_id] = group
        self._settle(group)

    def sync(self, group_id: str, request: SyncRequest, ticket: Ticket) -> None:
        """Give a member its share; `ticket` gets a SyncResult."""
        refusal = self._refusal_to_member(group_id)
        if refusal is not None:
            ticket(SyncResult(refusal))
            return
        group = self._groups.get(group_id)
        if group is None:
            ticket(SyncResult(ErrorCode.UNKNOWN_MEMBER_ID))
            return
        group.sync(request, ticket, self._clock.monotonic())
        self._settle(group)

    def heartbeat(
        self, group_id: str, member_id: str, instance_id: str | None, generation: int
    ) -> ErrorCode:
        """Note that a member is alive, and tell it whether to rejoin."""
        refusal = self._refusal_to_member(group_id)
        if refusal is not None:
            return refusal
        group = self._groups.get(group_id)
        if group is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        # No new alarm: a heartbeat only moves a deadline away, and an early alarm is harmless.
        return group.heartbeat(member_id, instance_id, generation, self._clock.monotonic())

    def leave(self, group_id: str, leaving: Sequence[MemberIdentity]) -> list[ErrorCode]:
        """Remove members; one answer for each.

        Raises:
            Refused: the group's name is not one (24), or it cannot be served (15).
        """
        refusal = self._refusal_to_member(group_id)
        if refusal is not None:
            raise Refused(refusal)
        group = self._groups.get(group_id)
        if group is None:
            return [ErrorCode.UNKNOWN_MEMBER_ID for _ in leaving]
        answers = group.leave(leaving, self._clock.monotonic())
        self._settle(group)
        return answers

    # Offsets.

    def check_commit(
        self,
        group_id: str,
        member_id: str,
        instance_id: str | None,
        generation: int,
        *,
        transactional: bool = False,
    ) -> ErrorCode:
        """Tell whether this member, or nobody in particular, may commit to the group now.

        Inside a transaction nobody in particular may also commit to a group that has members:
        that is how producers did it before they named the member (KIP-447).
        """
        refusal = self.refusal(group_id)
        if refusal is not None:
            return refusal
        anonymous = generation < 0 and not member_id and instance_id is None
        if transactional and anonymous:
            return ErrorCode.NONE
        group = self._groups.get(group_id)
        if group is None:
            # A commit without a generation makes the group; a member must have joined one.
            return ErrorCode.NONE if generation < 0 else ErrorCode.ILLEGAL_GENERATION
        error = group.check_commit(member_id, instance_id, generation, self._clock.monotonic())
        if transactional and error is ErrorCode.REBALANCE_IN_PROGRESS:
            return ErrorCode.NONE
        return error

    def commit(
        self,
        group_id: str,
        offsets: Mapping[TopicPartition, CommittedOffset],
        writer: Writer | None = None,
    ) -> dict[TopicPartition, ErrorCode]:
        """Store offsets, those with too long a note excepted; call `check_commit` before.

        An offset that is answered with NONE is in the store; all of one call get there or none.
        With a `writer` they are the group's once its transaction is committed.
        """
        answers: dict[TopicPartition, ErrorCode] = {}
        accepted: Offsets = {}
        for partition, committed in offsets.items():
            if len(committed.metadata.encode()) > self.config.offset_metadata_max_bytes:
                answers[partition] = ErrorCode.OFFSET_METADATA_TOO_LARGE
            else:
                accepted[partition] = committed
        if accepted:
            records = [offset_record(group_id, *item) for item in accepted.items()]
            error = self._write(group_id, records, writer)
            if error is ErrorCode.UNKNOWN_SERVER_ERROR:
                error = ErrorCode.INVALID_COMMIT_OFFSET_SIZE
            answers.update(dict.fromkeys(accepted, error))
            if error is ErrorCode.NONE:
                self._committed(group_id, accepted, writer)
        return answers

    def offsets(self, group_id: str) -> Mapping[TopicPartition, CommittedOffset]:
        """Return what the group has committed; nothing for a group that nobody knows."""
        return self._offsets.get(group_id, {})

    def undecided(self, group_id: str) -> frozenset[TopicPartition]:
        """Return the partitions with an offset in a transaction that has not ended."""
        return self._pending[self.partition_of(group_id)].of_group(group_id)

    def end_transaction(self, partition: int, producer_id: int, *, commit: bool) -> None:
        """Take over, or drop, what the producer wrote to a partition of the offsets topic.

        Its marker is in the store before this is called.
        """
        pending = self._pending[partition]
        if not commit:
            pending.abort(producer_id)
            return
        for group_id, offsets in pending.commit(producer_id).items():
            if offsets:
                self._offsets.setdefault(group_id, {}).update(offsets)

    # Administration.

    def list_groups(self) -> list[GroupDescription]:
        """Return every group, by name."""
        return [describe(group) for _, group in sorted(self._groups.items())]

    def describe(self, group_id: str) -> GroupDescription | None:
        """Return one group, None if there is none of that name."""
        group = self._groups.get(group_id)
        return None if group is None else describe(group)

    def delete(self, group_id: str) -> ErrorCode:
        """Remove a group without members, its offsets included."""
        refusal = self.refusal(group_id)
        if refusal is not None:
            return refusal
        group = self._groups.get(group_id)
        if group is None:
            return ErrorCode.GROUP_ID_NOT_FOUND
        if group.state is not EMPTY:
            return ErrorCode.NON_EMPTY_GROUP
        return self._bury(group)

    def delete_offsets(
        self, group_id: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, ErrorCode]:
        """Forget some offsets of a group, those of topics that its members read excepted.

        Raises:
            Refused: no such group (69), its members do not say what they read (68), or it
                cannot be served (15).
        """
        refusal = self.refusal(group_id)
        if refusal is not None:
            raise Refused(refusal)
        group = self._groups.get(group_id)
        if group is None:
            raise Refused(ErrorCode.GROUP_ID_NOT_FOUND)
        in_use: frozenset[str] = frozenset()
        if group.state is not EMPTY:
            topics = (
                group.roster.topics() if group.protocol_type == CONSUMER_PROTOCOL_TYPE else None
            )
            if topics is None:
                raise Refused(ErrorCode.NON_EMPTY_GROUP)
            in_use = topics
        answers: dict[TopicPartition, ErrorCode] = {}
        removable: list[TopicPartition] = []
        for partition in partitions:
            if partition.topic in in_use:
                answers[partition] = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
            else:
                removable.append(partition)
        error = self._drop_offsets(group_id, removable)
        answers.update(dict.fromkeys(removable, error))
        return answers

    def forget_topic(self, topic: str) -> None:
        """No group has an offset of that topic any more: a new one of its name starts over."""
        for group_id in list(self._groups):
            places = {*self.offsets(group_id), *self.undecided(group_id)}
            self._drop_offsets(group_id, [place for place in places if place.topic == topic])

    def expire_offsets(self) -> None:
        """Drop what is past its retention, and groups that have neither members nor offsets.

        Offsets of a group with members stay for ever. Without members their time runs from the
        moment the last one left (KIP-211), or from the commit if that came later.
        """
        now_ms = self._clock.wall_ms()
        for group in list(self._groups.values()):
            if group.state is not EMPTY or group.roster.pending:
                continue
            offsets = self._offsets.get(group.group_id, {})
            expired = [
                partition
                for partition, committed in offsets.items()
                if self._expiry(group, committed) <= now_ms
            ]
            error = self._drop_offsets(group.group_id, expired)
            in_use = self._offsets.get(group.group_id) or self.undecided(group.group_id)
            if error is ErrorCode.NONE and not in_use:
                self._bury(group)

    # Inside.

    def _refusal_to_member(self, group_id: str) -> ErrorCode | None:
        return self.refusal(group_id) if group_id else ErrorCode.INVALID_GROUP_ID

    def _refusal_to_join(self, group_id: str, request: JoinRequest) -> ErrorCode | None:
        refusal = self._refusal_to_member(group_id)
        if refusal is not None:
            return refusal
        session_ms = request.session_timeout * 1000
        config = self.config
        if not config.min_session_timeout_ms <= session_ms <= config.max_session_timeout_ms:
            return ErrorCode.INVALID_SESSION_TIMEOUT
        if request.member_id and group_id not in self._groups:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return None

    def _new_group(self, group_id: str) -> Group:
        return Group(group_id, self.config, self._new_id)

    def _settle(self, group: Group) -> None:
        """Perform what the group wants done, then see to its next deadline."""
        while effects := group.take_effects():
            for effect in effects:
                if isinstance(effect, Store):
                    self._save(group, effect)
                else:
                    effect.deliver()
        self._arm(group)

    def _save(self, group: Group, effect: Store) -> None:
        group.state_timestamp_ms = self._clock.wall_ms()
        image = replace(effect.image, state_timestamp_ms=group.state_timestamp_ms)
        error = self._write(group.group_id, [group_record(group.group_id, image)])
        group.stored(effect.token, error, self._clock.monotonic())

    def _arm(self, group: Group) -> None:
        deadline = group.deadline()
        alarm = self._alarms.get(group.group_id)
        if alarm is not None:
            if deadline is not None and alarm.when <= deadline:
                # It rings too early at worst, and is set again then.
                return
            alarm.timer.cancel()
            del self._alarms[group.group_id]
        if deadline is not None:
            timer = self._scheduler.call_at(deadline, lambda: self._ring(group))
            self._alarms[group.group_id] = _Alarm(deadline, timer)

    def _ring(self, group: Group) -> None:
        self._alarms.pop(group.group_id, None)
        group.expire(self._clock.monotonic())
        self._settle(group)

    def _committed(self, group_id: str, offsets: Offsets, writer: Writer | None = None) -> None:
        pending = self._pending[self.partition_of(group_id)]
        if writer is not None:
            pending.add(writer.producer_id, group_id, offsets)
        else:
            pending.supersede(group_id, offsets)
            self._offsets.setdefault(group_id, {}).update(offsets)
        if group_id not in self._groups:
            self._groups[group_id] = self._new_group(group_id)

    def _write(
        self, group_id: str, records: Sequence[KeyValue], writer: Writer | None = None
    ) -> ErrorCode:
        """Append records; on failure say so in terms that make every client try again."""
        partition = self.partition_of(group_id)
        try:
            self._store.append(partition, records, writer)
        except Refused as refusal:
            logger.exception("group %r could not be stored", group_id)
            return _REFUSALS.get(refusal.code, ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return ErrorCode.NONE

    def _drop_offsets(self, group_id: str, partitions: Sequence[TopicPartition]) -> ErrorCode:
        offsets = self._offsets.get(group_id, {})
        pending = self._pending[self.partition_of(group_id)]
        undecided = pending.of_group(group_id)
        known = [place for place in partitions if place in offsets or place in undecided]
        if not known:
            return ErrorCode.NONE
        error = self._write(
            group_id, [offset_record(group_id, partition, None) for partition in known]
        )
        if error is ErrorCode.NONE:
            pending.supersede(group_id, known)
            for partition in known:
                offsets.pop(partition, None)
            if not offsets:
                self._offsets.pop(group_id, None)
        return error

    def _bury(self, group: Group) -> ErrorCode:
        group_id = group.group_id
        tombstones = [
            offset_record(group_id, partition, None)
            for partition in self._offsets.get(group_id, {})
        ]
        tombstones.append(group_record(group_id, None))
        error = self._write(group_id, tombstones)
        if error is ErrorCode.NONE:
            self._offsets.pop(group_id, None)
            self._pending[self.partition_of(group_id)].forget(group_id)
            del self._groups[group_id]
            group.die()
            self._settle(group)
        return error

    def _expiry(self, group: Group, committed: CommittedOffset) -> int:
        if committed.expire_timestamp_ms >= 0:
            return committed.expire_timestamp_ms
        # A consumer that assigns itself may commit to a group that others left long ago, so the
        # later of the two moments counts.
        since = max(committed.commit_timestamp_ms, group.state_timestamp_ms)
        return since + self.config.offsets_retention_minutes * 60_000
