"""What a quota does to a request: its answer says how long to wait, and its connection is muted.

As in Kafka since KIP-219 the answer goes out at once, with `throttle_time_ms`, and until that has
passed the connection's next request is not begun, whether the client heeds it or not.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pyproducer.protocol.api import ApiKey

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.quotas.quotas import Quotas

__all__ = ["Stopwatch", "throttled"]

T = TypeVar("T")

#: Requests between brokers, which no quota keeps waiting.
_EXEMPT: Final = frozenset({ApiKey.WRITE_TXN_MARKERS})


class Stopwatch:
    """Measures the time in which a coroutine is at work, apart from that in which it waits.

    Args:
        work: The coroutine.
        now: Gives seconds.
    """

    def __init__(self, work: Coroutine[Any, Any, T], now: Callable[[], float]) -> None:
        self._work = work
        self._now = now
        self._since = 0.0
        self._seconds = 0.0

    def take(self) -> float:
        """The seconds so far that were not taken yet."""
        now = self._now()
        seconds = self._seconds + (now - self._since if self._since else 0.0)
        self._seconds = 0.0
        if self._since:
            self._since = now
        return seconds

    def __await__(self) -> Generator[Any, Any, Any]:
        thrown: BaseException | None = None
        while True:
            self._since = self._now()
            try:
                waited_for = self._work.send(None) if thrown is None else self._work.throw(thrown)
            except StopIteration as done:
                return done.value
            finally:
                self._seconds += self._now() - self._since
                self._since = 0.0
            thrown = None
            try:
                yield waited_for
            except BaseException as error:
                thrown = error


async def throttled(
    quotas: Quotas,
    handling: Coroutine[Any, Any, Any],
    context: RequestContext,
    size: int,
    now: Callable[[], float],
) -> Any:
    """The answer to a request, which says for how long its client is throttled.

    Args:
        quotas: The quotas.
        handling: What makes the answer.
        context: Of the request.
        size: Bytes of its body.
        now: Gives the seconds by which work is measured.
    """
    context.stopwatch = watch = Stopwatch(handling, now)
    response = await watch
    if context.api_key == ApiKey.PRODUCE:
        wait = quotas.produced(context, size)
        # One who does not wait for answers is not kept waiting for the work.
        if response is not None:
            wait = max(wait, quotas.worked(context))
    elif context.api_key in _EXEMPT:
        wait = 0
    else:
        wait = quotas.worked(context)
    wait = max(wait, context.throttle_ms)
    if wait:
        context.connection.throttled = wait / 1000
        field = None if response is None else type(response).wire_fields().get("throttle_time_ms")
        if field is not None and field.in_version(context.api_version):
            response.throttle_time_ms = max(response.throttle_time_ms, wait)
    return response
