"""Driving one group by hand, with a virtual now."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pyproducer.broker.groups.config import GroupConfig
from pyproducer.broker.groups.group import Group
from pyproducer.broker.groups.member import MemberProtocol
from pyproducer.broker.groups.model import (
    GroupImage,
    JoinRequest,
    JoinResult,
    Store,
    SyncRequest,
    SyncResult,
)
from pyproducer.protocol.error_codes import ErrorCode

RANGE = (MemberProtocol("range", b"r"),)


def numbered_ids() -> Callable[[], str]:
    """Return a source of the ids 1, 2, 3..."""
    counter = itertools.count(1)
    return lambda: str(next(counter))


def join_request(member_id: str = "", **changes: Any) -> JoinRequest:
    """Return a join with timeouts of 10 s (session) and 60 s (rebalance)."""
    fields: dict[str, Any] = {
        "member_id": member_id,
        "instance_id": None,
        "client_id": "c",
        "client_host": "/127.0.0.1",
        "session_timeout": 10.0,
        "rebalance_timeout": 60.0,
        "protocol_type": "consumer",
        "protocols": RANGE,
    }
    return JoinRequest(**(fields | changes))


@dataclass
class Parked:
    """One request and, once it has been answered, its answer."""

    answers: list[Any] = field(default_factory=list)

    def __call__(self, result: Any) -> None:
        assert not self.answers, "a request was answered twice"
        self.answers.append(result)

    @property
    def waiting(self) -> bool:
        return not self.answers

    @property
    def result(self) -> Any:
        assert self.answers, "not answered"
        return self.answers[0]


class GroupDriver:
    """A group, its clock, and a store that is as good as `store_error` says."""

    def __init__(self, **config: int) -> None:
        self.config = GroupConfig(**({"initial_rebalance_delay_ms": 0} | config))
        self.now = 1000.0
        self.group = Group("g", self.config, numbered_ids())
        self.images: list[GroupImage] = []
        self.store_error = ErrorCode.NONE

    def settle(self) -> None:
        while effects := self.group.take_effects():
            for effect in effects:
                if isinstance(effect, Store):
                    if self.store_error is ErrorCode.NONE:
                        self.images.append(effect.image)
                    self.group.stored(effect.token, self.store_error, self.now)
                else:
                    effect.deliver()

    def join(self, member_id: str = "", **changes: Any) -> Parked:
        parked = Parked()
        self.group.join(join_request(member_id, **changes), parked, self.now)
        self.settle()
        return parked

    def sync(
        self,
        member_id: str,
        assignments: dict[str, bytes] | None = None,
        generation: int | None = None,
        **changes: Any,
    ) -> Parked:
        parked = Parked()
        fields: dict[str, Any] = {
            "member_id": member_id,
            "instance_id": None,
            "generation": self.group.generation if generation is None else generation,
            "protocol_type": None,
            "protocol": None,
            "assignments": assignments or {},
        }
        self.group.sync(SyncRequest(**(fields | changes)), parked, self.now)
        self.settle()
        return parked

    def heartbeat(
        self, member_id: str, generation: int | None = None, instance_id: str | None = None
    ) -> ErrorCode:
        wanted = self.group.generation if generation is None else generation
        error = self.group.heartbeat(member_id, instance_id, wanted, self.now)
        self.settle()
        return error

    def leave(self, *identities: Any) -> list[ErrorCode]:
        errors = self.group.leave(identities, self.now)
        self.settle()
        return errors

    def pass_time(self, seconds: float) -> None:
        """Let time pass, stopping at each deadline on the way."""
        end = self.now + seconds
        for _ in range(10_000):
            due = self.group.deadline()
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            self.group.expire(self.now)
            self.settle()
        raise AssertionError("the group keeps ringing")

    def stable(self, count: int = 1, **changes: Any) -> list[str]:
        """Bring `count` new members into a stable generation; the leader comes first."""
        parked = [self.join(**changes) for _ in range(count)]
        self.pass_time(2 * self.config.initial_rebalance_delay_ms / 1000)
        results: list[JoinResult] = [each.result for each in parked]
        ids = [result.member_id for result in results]
        ids.sort(key=lambda member_id: member_id != results[0].leader)
        shares = {member_id: member_id.encode() for member_id in ids}
        synced = [self.sync(member_id, shares) for member_id in reversed(ids)]
        for each in synced:
            answer: SyncResult = each.result
            assert answer.error is ErrorCode.NONE
        return ids
