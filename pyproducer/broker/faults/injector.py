"""The faults of a broker as its loop meets them: at a request, at a connection, at a partition.

Any thread sets and ends faults, by putting another tuple in the place of one of three. The loop
looks whether a tuple is empty, and does nothing more where it is.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pyproducer.broker.context import CloseConnection, Mishap
from pyproducer.broker.errors import Refused
from pyproducer.broker.faults.places import PLACES, Key, Place, can_carry
from pyproducer.protocol.api import API, ApiKey
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.produce import ProduceRequest
from pyproducer.protocol.schema import Message
from pyproducer.records.batch import HEADER_SIZE, read_header

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.faults.fault import Fault
    from pyproducer.broker.handlers.route import Route
    from pyproducer.broker.node import Node

#: The kinds of fault that a request meets, as their settings name the API or not.
REQUEST_KINDS: Final = frozenset(
    {"fail", "drop_response", "delay", "cut", "throttle", "refuse_unknown_producers"}
)


class Injector:
    """Which faults a broker is under.

    Attributes:
        requests: Those that a request may meet, in the order in which they were set.
        pauses: Those that stop the whole broker.
        leaderless: Those that take partitions' leaders away.
    """

    def __init__(self) -> None:
        self.requests: tuple[Fault, ...] = ()
        self.pauses: tuple[Fault, ...] = ()
        self.leaderless: tuple[Fault, ...] = ()
        self._lock = threading.Lock()
        self._held_back: set[asyncio.Future[None]] = set()

    def add(self, fault: Fault) -> None:
        """The fault is in force, behind the others of its sort."""
        with self._lock:
            if fault.kind in REQUEST_KINDS:
                self.requests = (*self.requests, fault)
            elif fault.kind == "pause":
                self.pauses = (*self.pauses, fault)
            elif fault.kind == "leaderless":
                self.leaderless = (*self.leaderless, fault)

    def remove(self, fault: Fault) -> None:
        """The fault is not in force."""
        with self._lock:
            self.requests = tuple(one for one in self.requests if one is not fault)
            self.pauses = tuple(one for one in self.pauses if one is not fault)
            self.leaderless = tuple(one for one in self.leaderless if one is not fault)

    # A broker that stands still.

    async def gate(self) -> None:
        """Returns once no pause is in force."""
        while self.pauses:
            for fault in self.pauses:
                fault.strike()
            waiting = asyncio.get_running_loop().create_future()
            self._held_back.add(waiting)
            try:
                await waiting
            finally:
                self._held_back.discard(waiting)

    def open_gate(self) -> None:
        """Those held back look again; on the loop."""
        for waiting in self._held_back:
            if not waiting.done():
                waiting.set_result(None)

    # A partition without a leader.

    def has_leader(self, topic: str, index: int) -> bool:
        """Whether clients may be told of the partition's leader."""
        return not any(_about(fault, topic, index) for fault in self.leaderless)

    def check_leader(self, topic: str, index: int) -> None:
        """Returns if the partition has a leader.

        Raises:
            Refused: NOT_LEADER_OR_FOLLOWER.
        """
        for fault in self.leaderless:
            if _about(fault, topic, index):
                fault.strike()
                raise Refused(
                    ErrorCode.NOT_LEADER_OR_FOLLOWER,
                    f"{topic}-{index} has no leader: a test's wish",
                )

    # A request.

    async def handle(
        self, route: Route, node: Node, request: Message, context: RequestContext
    ) -> Any:
        """What the route's handler answers to the request, as the faults leave it."""
        met = _Met.by(self.requests, node, request, context)
        response = await _refused_in_part(met, route, node, request, context)
        if met.delay is not None:
            met.delay.strike()
            await node.timers.sleep(met.delay.settings["seconds"])
        if met.throttle is not None:
            met.throttle.strike()
            ms = met.throttle.settings["ms"]
            if response is not None and can_carry(
                type(response), "throttle_time_ms", context.api_version
            ):
                response.throttle_time_ms = max(response.throttle_time_ms, ms)
            context.connection.mishap = Mishap(muted=ms / 1000)
        if response is None:
            return None
        if context.api_key == ApiKey.API_VERSIONS and (
            response.error_code == ErrorCode.UNSUPPORTED_VERSION
        ):
            # The one answer that every client understands, whatever version it asked in.
            context.api_version = 0
        if met.drop is not None:
            met.drop.strike()
            return None
        if met.cut is not None:
            before = context.connection.mishap
            context.connection.mishap = Mishap(
                muted=0.0 if before is None else before.muted, cut=met.cut
            )
        return response


@dataclass
class _Met:
    """The faults that one request meets, claimed when it comes; each strikes in its own time.

    Attributes:
        before: Codes of what is not worked on.
        after: Codes of what is worked on and then reported as failed.
        failures: The faults behind the codes.
    """

    place: Place | None
    before: dict[Key, int] = field(default_factory=dict)
    after: dict[Key, int] = field(default_factory=dict)
    failures: dict[Key, Fault] = field(default_factory=dict)
    delay: Fault | None = None
    drop: Fault | None = None
    cut: Fault | None = None
    throttle: Fault | None = None

    @classmethod
    def by(
        cls, faults: tuple[Fault, ...], node: Node, request: Message, context: RequestContext
    ) -> _Met:
        met = cls(PLACES.get(context.api_key))
        # One fault of each kind strikes, the first; of failures the first for each partition.
        for fault in faults:
            if fault.settings.get("api") not in {None, API[context.api_key].name}:
                continue
            match fault.kind:
                case "fail" | "refuse_unknown_producers":
                    met._fail(fault, node, request, context)
                case "delay" if met.delay is None and fault.claim():
                    met.delay = fault
                # An answer that is not sent cannot be cut as well.
                case "drop_response" if met.drop is met.cut is None and fault.claim():
                    met.drop = fault
                case "cut" if met.cut is met.drop is None and fault.claim():
                    met.cut = fault
                case "throttle" if met.throttle is None and fault.claim():
                    met.throttle = fault
        return met

    def _fail(self, fault: Fault, node: Node, request: Message, context: RequestContext) -> None:
        if self.place is None:
            return
        if fault.kind == "refuse_unknown_producers":
            if not isinstance(request, ProduceRequest):
                return
            code, late = int(ErrorCode.UNKNOWN_PRODUCER_ID), False
            keys = _of_unknown_producers(request, node)
        else:
            code, late = _code(fault), fault.settings["when"] == "after"
            keys = self.place.keys(request, node)
        fresh = [key for key in keys if key not in self.failures and _about(fault, *key)]
        if not fresh or not fault.claim():
            return
        for key in fresh:
            self.failures[key] = fault
            (self.after if late else self.before)[key] = code

    def struck(self, keys: set[Key]) -> None:
        """Counts each fault that had a part in these once."""
        for fault in {self.failures[key] for key in keys}:
            fault.strike()


async def _refused_in_part(
    met: _Met, route: Route, node: Node, request: Message, context: RequestContext
) -> Any:
    place, version = met.place, context.api_version
    if place is None or not met.failures:
        return await route.handle(node, request, context)
    response: Any = None
    if place.handled:
        context.refused = {**met.before, **met.after}
        response = await route.handle(node, request, context)
        if not response.error_code:
            met.struck(set(context.refused))
        return response
    unanswered = isinstance(request, ProduceRequest) and request.acks == 0
    # What changes nothing may as well be worked on, and then has everything that an answer needs.
    omits = place.by_partition or not place.reads
    omitted = {**met.before, **(met.after if place.reads else {})} if omits else {}
    rest = place.without(request, omitted, node) if omitted else request
    if rest is not None:
        response = await route.handle(node, rest, context)
    elif not unanswered:
        response = API[context.api_key].response()
    if unanswered:
        met.struck(set(met.failures))
        # The client reads no answer; a closed connection is the only news it can get.
        raise CloseConnection("a Produce request with acks=0 failed: a test's wish")
    if omitted:
        place.add(response, request, omitted, version, node)
        met.struck(set(omitted))
    for codes, always in ((met.before, True), (met.after, False)):
        if left := {key: code for key, code in codes.items() if key not in omitted}:
            met.struck(place.overlay(response, left, version, node, always=always))
    return response


def _about(fault: Fault, topic: str | None, index: int | None) -> bool:
    wanted_topic, wanted_index = fault.settings.get("topic"), fault.settings.get("partition")
    return wanted_topic in {None, topic} and wanted_index in {None, index}


def _code(fault: Fault) -> int:
    code = fault.settings["code"]
    return int(ErrorCode[code]) if isinstance(code, str) else int(code)


def _of_unknown_producers(request: ProduceRequest, node: Node) -> list[Key]:
    found: list[Key] = []
    for topic in request.topic_data:
        for part in topic.partition_data:
            records: Any = part.records
            if records is None or len(records) < HEADER_SIZE:
                continue
            header = read_header(records)
            if header.producer_id < 0 or header.base_sequence <= 0:
                continue
            partition = node.partition(topic.name, part.index)
            if partition is not None and not any(
                one.producer_id == header.producer_id for one in partition.log.producers()
            ):
                found.append((topic.name, part.index))
    return found
