"""The state machine of one classic consumer group.

Theory of operation. A group goes through generations. In each, every member first joins (telling
which assignment strategies it supports), then one of them, the leader, assigns the partitions and
every member syncs to fetch its share:

    EMPTY -> PREPARING_REBALANCE -> COMPLETING_REBALANCE -> STABLE
                     ^------------------ any change of members or subscriptions

While preparing, joins are parked until all known members are back or the rebalance timeout is
over; while completing, syncs are parked until the leader's assignment is durable. A group whose
members all left is EMPTY and keeps its offsets; a removed group is DEAD.

The machine does no I/O and reads no clock. `now` (monotonic seconds) comes with each input. What
must happen outside is collected as effects and taken with `take_effects()`: an `Answer` for a
parked request, or a `Store`, whose outcome comes back through `stored()`. `deadline()` tells when
`expire()` has something to do. Not thread-safe: one owner calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from pyproducer.broker.groups.config import GroupConfig
from pyproducer.broker.groups.image import image_of, members_of
from pyproducer.broker.groups.member import Member, Ticket
from pyproducer.broker.groups.model import (
    Answer,
    Effect,
    GroupImage,
    JoinedMember,
    JoinRequest,
    JoinResult,
    MemberIdentity,
    Store,
    SyncRequest,
    SyncResult,
)
from pyproducer.broker.groups.roster import Roster
from pyproducer.broker.groups.state import (
    COMPLETING,
    DEAD,
    EMPTY,
    MOVES,
    PREPARING,
    STABLE,
    GroupState,
    Move,
)
from pyproducer.broker.groups.subscription import subscribed_topics
from pyproducer.protocol.error_codes import ErrorCode


class Group:
    """Members, generation and state of one group.

    Args:
        group_id: its name.
        config: limits and delays.
        new_id: makes the random part of a member id.
    """

    def __init__(self, group_id: str, config: GroupConfig, new_id: Callable[[], str]) -> None:
        self.group_id = group_id
        self.roster = Roster()
        self.generation = 0
        self.protocol_type: str | None = None
        self.protocol: str | None = None
        self.state_timestamp_ms = -1
        self._config = config
        self._new_id = new_id
        self._state = EMPTY
        self._effects: list[Effect] = []
        self._unsynced: set[str] = set()
        self._join_deadline: float | None = None
        self._sync_deadline: float | None = None
        # Seconds by which the initial delay may still grow; None outside an initial rebalance.
        self._initial_remaining: float | None = None
        self._newcomers = False
        self._tokens = 0
        self._storing: dict[int, Callable[[ErrorCode, float], None]] = {}

    @classmethod
    def restored(
        cls,
        group_id: str,
        image: GroupImage,
        config: GroupConfig,
        new_id: Callable[[], str],
        now: float,
    ) -> Group:
        """Return the group that `image` was taken of, each member with a fresh session timeout."""
        group = cls(group_id, config, new_id)
        group.generation = image.generation
        group.protocol_type = image.protocol_type or None
        group.protocol = image.protocol
        group.state_timestamp_ms = image.state_timestamp_ms
        for member in members_of(image):
            member.touch(now)
            group.roster.add(member)
        if image.leader in group.roster:
            group.roster.leader = image.leader
        if group.roster:
            group._state = STABLE
        return group

    @property
    def state(self) -> GroupState:
        """Where the group is; only `_to` changes it."""
        return self._state

    def take_effects(self) -> list[Effect]:
        """Return, and forget, what must be done outside, in order."""
        effects, self._effects = self._effects, []
        return effects

    # What members ask for.

    def join(self, request: JoinRequest, ticket: Ticket, now: float) -> None:
        """Let a member into the next generation; its answer is an effect, maybe much later."""
        if not self._has_room(request.member_id):
            self._effects.append(Answer(ticket, JoinResult(ErrorCode.GROUP_MAX_SIZE_REACHED)))
            if request.member_id in self.roster:
                self._remove(self.roster[request.member_id], now)
            return
        error = self._refusal_to_join(request)
        if error is not None:
            self._effects.append(Answer(ticket, JoinResult(error, request.member_id)))
        elif not request.member_id:
            self._join_unknown(request, ticket, now)
        elif request.member_id in self.roster.pending:
            self._add(request.member_id, request, ticket, now)
        else:
            self._rejoin(self.roster[request.member_id], request, ticket, now)

    def sync(self, request: SyncRequest, ticket: Ticket, now: float) -> None:
        """Give a member its share; its answer comes as an effect once the leader has assigned."""
        error = self._refusal_to_sync(request)
        if error is not None:
            self._effects.append(Answer(ticket, SyncResult(error)))
            return
        member = self.roster[request.member_id]
        self._unsynced.discard(member.member_id)
        if not self._unsynced:
            self._sync_deadline = None
        if self._state is STABLE:
            member.touch(now)
            self._effects.append(Answer(ticket, self._share(member)))
            return
        self._answer_sync(member, SyncResult(ErrorCode.REBALANCE_IN_PROGRESS), now)
        member.sync_ticket = ticket
        if member.member_id == self.roster.leader:
            self._store_assignment(request.assignments)

    def heartbeat(
        self, member_id: str, instance_id: str | None, generation: int, now: float
    ) -> ErrorCode:
        """Note that a member is alive, and tell it whether it has to rejoin."""
        error = self._check_member(member_id, instance_id, generation)
        if error is not None:
            return error
        self.roster[member_id].touch(now)
        if self._state is PREPARING:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    def leave(self, leaving: Iterable[MemberIdentity], now: float) -> list[ErrorCode]:
        """Remove members at once; one answer for each, in order."""
        return [self._leave(identity, now) for identity in leaving]

    def check_commit(
        self, member_id: str, instance_id: str | None, generation: int, now: float
    ) -> ErrorCode:
        """Tell whether offsets may be committed now in this name; counts as a sign of life."""
        if generation < 0 and self._state is EMPTY:
            # Nobody is assigned anything: a consumer that assigns itself keeps its offsets here.
            return ErrorCode.NONE
        error = self._check_member(member_id, instance_id, generation)
        if error is not None:
            return error
        self.roster[member_id].touch(now)
        if self._state is COMPLETING:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    # What time and the outside world bring.

    def deadline(self) -> float | None:
        """Return the monotonic second at which `expire` has work, None if never."""
        moments = [member.deadline for member in self.roster if member.can_expire]
        moments.extend(self.roster.pending.values())
        if self._join_deadline is not None:
            moments.append(self._join_deadline)
        if self._sync_deadline is not None:
            moments.append(self._sync_deadline)
        return min(moments, default=None)

    def expire(self, now: float) -> None:
        """Do what is due at `now`: drop the silent, end the waiting."""
        for member_id, deadline in list(self.roster.pending.items()):
            if deadline <= now:
                del self.roster.pending[member_id]
                self._complete_join_if_all_back(now)
        for member in self.roster:
            if member.can_expire and member.deadline <= now:
                self._remove(member, now)
        if self._join_deadline is not None and self._join_deadline <= now:
            self._join_phase_over(now)
        if self._sync_deadline is not None and self._sync_deadline <= now:
            self._sync_phase_over(now)

    def stored(self, token: int, error: ErrorCode, now: float) -> None:
        """Go on after the `Store` effect with this token; `error` is what the members get told."""
        proceed = self._storing.pop(token, None)
        if proceed is not None:
            proceed(error, now)

    def die(self) -> None:
        """End a group: whoever is parked has to look for its coordinator again."""
        for member in self.roster:
            self._reject(member, ErrorCode.COORDINATOR_NOT_AVAILABLE)
        self.roster.clear()
        self._join_deadline = self._sync_deadline = None
        self._to(Move.DIE)

    # Checks.

    def _has_room(self, member_id: str) -> bool:
        if self._state is EMPTY:
            return True
        known = self.roster.get(member_id)
        if self._state is PREPARING:
            # Old members that are not back yet give their places to those who come first.
            parked = known is not None and known.join_ticket is not None
            return parked or self.roster.joined < self._config.max_size
        return known is not None or len(self.roster) < self._config.max_size

    def _supports(self, request: JoinRequest) -> bool:
        if not request.protocol_type or not request.protocols:
            return False
        if not self.roster:
            return True
        common = self.roster.common_protocols()
        return request.protocol_type == self.protocol_type and any(
            name in common for name, _ in request.protocols
        )

    def _refusal_to_join(self, request: JoinRequest) -> ErrorCode | None:
        if self._state is DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        if not self._supports(request):
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if not request.member_id or request.member_id in self.roster.pending:
            return None
        return self.roster.check(request.member_id, request.instance_id)

    def _refusal_to_sync(self, request: SyncRequest) -> ErrorCode | None:
        error = self._check_member(request.member_id, request.instance_id, request.generation)
        if error is not None:
            return error
        # Protocol version 5 names both, so that two kinds of groups cannot mix under one name.
        if request.protocol_type is not None and request.protocol_type != self.protocol_type:
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if request.protocol is not None and request.protocol != self.protocol:
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if self._state is PREPARING:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return None

    def _check_member(
        self, member_id: str, instance_id: str | None, generation: int
    ) -> ErrorCode | None:
        if self._state is DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        error = self.roster.check(member_id, instance_id)
        if error is None and generation != self.generation:
            return ErrorCode.ILLEGAL_GENERATION
        return error

    # Joining.

    def _join_unknown(self, request: JoinRequest, ticket: Ticket, now: float) -> None:
        if request.instance_id is not None:
            holder = self.roster.holder(request.instance_id)
            member_id = f"{request.instance_id}-{self._new_id()}"
            if holder is None:
                self._add(member_id, request, ticket, now)
            else:
                self._take_over(self.roster[holder], member_id, request, ticket, now)
            return
        member_id = f"{request.client_id}-{self._new_id()}"
        if request.require_known_member_id:
            # KIP-394: a client that loses this answer leaves a name behind, not a member.
            self.roster.pending[member_id] = now + request.session_timeout
            answer = JoinResult(ErrorCode.MEMBER_ID_REQUIRED, member_id)
            self._effects.append(Answer(ticket, answer))
            return
        self._add(member_id, request, ticket, now)

    def _add(self, member_id: str, request: JoinRequest, ticket: Ticket, now: float) -> None:
        if not self.roster:
            self.protocol_type = request.protocol_type
        member = Member(
            member_id=member_id,
            instance_id=request.instance_id,
            client_id=request.client_id,
            client_host=request.client_host,
            session_timeout=request.session_timeout,
            rebalance_timeout=request.rebalance_timeout,
            protocols=request.protocols,
            deadline=now + self._config.new_member_join_timeout_ms / 1000,
            join_ticket=ticket,
        )
        self.roster.add(member)
        if self._initial_remaining is not None:
            self._newcomers = True
        self._rebalance(now)

    def _rejoin(self, member: Member, request: JoinRequest, ticket: Ticket, now: float) -> None:
        is_leader = member.member_id == self.roster.leader
        same = member.protocols == request.protocols
        if self._state is COMPLETING and same:
            # Its first answer got lost, most likely.
            self._effects.append(Answer(ticket, self._joined(member)))
        elif self._state is STABLE and same and not is_leader:
            self._effects.append(Answer(ticket, replace(self._joined(member), members=())))
        else:
            # A leader rejoins a stable group when something outside changed, such as the number
            # of partitions, so it gets its rebalance although its own words are the same.
            self._park_join(member, request, ticket)
            self._rebalance(now)

    def _take_over(
        self, old: Member, member_id: str, request: JoinRequest, ticket: Ticket, now: float
    ) -> None:
        """Put the restarted static member in the place of its former self."""
        self._reject(old, ErrorCode.FENCED_INSTANCE_ID)
        old_leader = self.roster.leader
        topics_before = subscribed_topics(old.metadata(self.protocol or ""))
        member = replace(
            old, member_id=member_id, client_id=request.client_id, client_host=request.client_host
        )
        self.roster.replace(old, member)
        if old.member_id in self._unsynced:
            self._unsynced.discard(old.member_id)
            self._unsynced.add(member_id)
        self._park_join(member, request, ticket)
        member.is_new = True
        member.deadline = now + self._config.new_member_join_timeout_ms / 1000
        topics_now = subscribed_topics(member.metadata(self.protocol or ""))
        if (
            self._state is STABLE
            and self.roster.choose_protocol() == self.protocol
            and topics_now == topics_before
        ):
            self._store_take_over(member, old_leader or "", request.can_skip_assignment)
        else:
            self._rebalance(now)

    def _store_take_over(self, member: Member, old_leader: str, can_skip: bool) -> None:
        def proceed(error: ErrorCode, now: float) -> None:
            if member.join_ticket is None or self._state is not STABLE:
                return
            if error is not ErrorCode.NONE:
                self._answer_join(member, JoinResult(error), now)
                self._rebalance(now)
                return
            result = self._joined(member)
            if can_skip:
                # KIP-814: it is the leader and knows it, but must not assign anything anew.
                result = replace(result, skip_assignment=member.member_id == self.roster.leader)
            else:
                # Told of its new id as leader, it would compute an assignment that a stable
                # group does not spread. The id of its former self keeps it a follower.
                result = replace(result, leader=old_leader, members=())
            self._answer_join(member, result, now)

        self._store({m.member_id: m.assignment for m in self.roster}, proceed)

    def _park_join(self, member: Member, request: JoinRequest, ticket: Ticket) -> None:
        if member.join_ticket is not None:
            # The client gave up on that request: it has just sent another.
            answer = JoinResult(ErrorCode.REBALANCE_IN_PROGRESS, member.member_id)
            self._effects.append(Answer(member.join_ticket, answer))
        member.join_ticket = ticket
        member.protocols = request.protocols
        member.session_timeout = request.session_timeout
        member.rebalance_timeout = request.rebalance_timeout

    def _joined(self, member: Member) -> JoinResult:
        members: tuple[JoinedMember, ...] = ()
        if member.member_id == self.roster.leader:
            members = tuple(
                JoinedMember(m.member_id, m.instance_id, m.metadata(self.protocol or ""))
                for m in self.roster
            )
        return JoinResult(
            error=ErrorCode.NONE,
            member_id=member.member_id,
            generation=self.generation,
            protocol_type=self.protocol_type,
            protocol=self.protocol,
            leader=self.roster.leader or "",
            members=members,
        )

    # The join phase.

    def _rebalance(self, now: float) -> None:
        if (self._state, Move.PREPARE) in MOVES:
            self._prepare(now)
        else:
            self._complete_join_if_all_back(now)

    def _prepare(self, now: float) -> None:
        for member in self.roster:
            self._answer_sync(member, SyncResult(ErrorCode.REBALANCE_IN_PROGRESS), now)
        self._sync_deadline = None
        self._unsynced.clear()
        initial = self._state is EMPTY
        self._to(Move.PREPARE)
        if initial:
            delay = self._config.initial_rebalance_delay_ms / 1000
            self._initial_remaining = max(self.roster.rebalance_timeout - delay, 0.0)
            self._newcomers = False
            self._join_deadline = now + delay
            return
        self._join_deadline = now + self.roster.rebalance_timeout
        self._complete_join_if_all_back(now)

    def _complete_join_if_all_back(self, now: float) -> None:
        # The initial delay runs to its end even if everybody known is here: it is there for
        # those who are not known yet.
        if self._state is not PREPARING or self._initial_remaining is not None:
            return
        if self.roster.all_back:
            self._complete_join(now)

    def _join_phase_over(self, now: float) -> None:
        if self._initial_remaining and self._newcomers:
            delay = self._config.initial_rebalance_delay_ms / 1000
            self._newcomers = False
            self._join_deadline = now + min(delay, self._initial_remaining)
            self._initial_remaining = max(self._initial_remaining - delay, 0.0)
            return
        self._complete_join(now)

    def _complete_join(self, now: float) -> None:
        self._join_deadline = None
        self._initial_remaining = None
        for member in self.roster:
            # A static member that is away keeps its place until its session times out.
            if member.join_ticket is None and not member.is_static:
                self._forget(member)
        if self.roster and not self.roster.elect():
            self._join_deadline = now + self.roster.rebalance_timeout
            return
        self.generation += 1
        if not self.roster:
            self.protocol = None
            self._to(Move.DESERT)
            self._store({}, _no_one_waits)
            return
        self.protocol = self.roster.choose_protocol()
        self._to(Move.GENERATE)
        # Who is away is not waited for: its session timeout, begun anew, decides.
        self._unsynced = {m.member_id for m in self.roster if m.join_ticket is not None}
        self._sync_deadline = now + self.roster.rebalance_timeout
        for member in self.roster:
            if not self._answer_join(member, self._joined(member), now):
                member.touch(now)

    # The sync phase.

    def _store_assignment(self, assignments: dict[str, bytes]) -> None:
        generation = self.generation
        complete = {m.member_id: assignments.get(m.member_id, b"") for m in self.roster}

        def proceed(error: ErrorCode, now: float) -> None:
            # A join may have come in between: then that assignment is for nobody.
            if self._state is not COMPLETING or self.generation != generation:
                return
            if error is not ErrorCode.NONE:
                for member in self.roster:
                    self._answer_sync(member, SyncResult(error), now)
                self._prepare(now)
                return
            self._to(Move.ASSIGN)
            for member in self.roster:
                member.assignment = complete.get(member.member_id, b"")
                self._answer_sync(member, self._share(member), now)

        self._store(complete, proceed)

    def _share(self, member: Member) -> SyncResult:
        return SyncResult(ErrorCode.NONE, self.protocol_type, self.protocol, member.assignment)

    def _sync_phase_over(self, now: float) -> None:
        """Drop those who joined and never came for their share."""
        self._sync_deadline = None
        for member_id in list(self._unsynced):
            member = self.roster.get(member_id)
            if member is not None:
                self._reject(member, ErrorCode.UNKNOWN_MEMBER_ID)
                self._forget(member)
        self._rebalance(now)

    # Leaving.

    def _leave(self, identity: MemberIdentity, now: float) -> ErrorCode:
        member_id, instance_id = identity
        if self._state is DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        if not member_id and instance_id is not None:
            # KIP-345: an administrator removes a static member by the name it knows.
            member_id = self.roster.holder(instance_id) or ""
        if member_id in self.roster.pending and instance_id is None:
            del self.roster.pending[member_id]
            self._complete_join_if_all_back(now)
            return ErrorCode.NONE
        error = self.roster.check(member_id, instance_id)
        if error is not None:
            return error
        self._remove(self.roster[member_id], now)
        return ErrorCode.NONE

    def _remove(self, member: Member, now: float) -> None:
        # A parked client that is still there hears that it has to start over.
        self._reject(member, ErrorCode.UNKNOWN_MEMBER_ID)
        self._forget(member)
        self._rebalance(now)

    def _forget(self, member: Member) -> None:
        self.roster.forget(member)
        self._unsynced.discard(member.member_id)

    # Answers and storage.

    def _answer_join(self, member: Member, result: JoinResult, now: float) -> bool:
        """Answer a parked join and start the session timeout; False if none was parked."""
        if member.join_ticket is None:
            return False
        self._effects.append(Answer(member.join_ticket, result))
        member.join_ticket = None
        member.is_new = False
        member.touch(now)
        return True

    def _answer_sync(self, member: Member, result: SyncResult, now: float) -> None:
        if member.sync_ticket is not None:
            self._effects.append(Answer(member.sync_ticket, result))
            member.sync_ticket = None
            member.touch(now)

    def _reject(self, member: Member, error: ErrorCode) -> None:
        """Answer whatever the member has parked with `error`."""
        if member.join_ticket is not None:
            # The id is no good any more; an empty one makes the client ask for another.
            self._effects.append(Answer(member.join_ticket, JoinResult(error)))
            member.join_ticket = None
        if member.sync_ticket is not None:
            self._effects.append(Answer(member.sync_ticket, SyncResult(error)))
            member.sync_ticket = None

    def _store(
        self, assignments: dict[str, bytes], proceed: Callable[[ErrorCode, float], None]
    ) -> None:
        self._tokens += 1
        self._storing[self._tokens] = proceed
        self._effects.append(Store(self._tokens, image_of(self, assignments)))

    def _to(self, move: Move) -> None:
        self._state = MOVES[self._state, move]


def _no_one_waits(error: ErrorCode, now: float) -> None:
    """Nothing hangs on the outcome: an empty group that was not stored is found again as it was."""
