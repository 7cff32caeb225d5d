"""How an API is entered into the broker."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from pyproducer.broker.context import RequestContext
from pyproducer.broker.handlers.access import Need


class Route(NamedTuple):
    """One API that the broker serves.

    Attributes:
        api_key: Kafka's number of the API.
        min_version: Lowest request version that is served.
        max_version: Highest request version that is served.
        handle: `async def handle(node, request, context)` returns the response message, or
            None where the protocol has no answer (Produce with acks=0). It is cancelled at an
            `await` when the client goes away, so state must be whole there. Raising
            `CloseConnection`, or anything unexpected, closes that connection only.
        needs: All that `handle` asks `access` for; a client lacks some of it at its own cost. Empty
            for what everybody may do, with and without rules.
        advertised_min: Lowest version in ApiVersions if that differs from `min_version`.
        at_once: Whether `handle` never waits for anything but the disk, so that no task is needed
            for it where records count before they are there.
    """

    api_key: int
    min_version: int
    max_version: int
    handle: Callable[[Any, Any, RequestContext], Coroutine[Any, Any, Any]]
    needs: tuple[Need, ...]
    advertised_min: int | None = None
    at_once: bool = False
