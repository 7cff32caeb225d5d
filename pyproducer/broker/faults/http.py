"""Faults over HTTP, with JSON, for tests that are not in Python or not in this process.

    POST   /faults       {"kind": "fail", "api": "Produce", "code": "NOT_LEADER_OR_FOLLOWER"}
    GET    /faults       those that may still strike
    GET    /faults/{id}  one of them, or one that was set here before
    DELETE /faults/{id}  ends it
    DELETE /faults       ends all

A kind is a method of `Faults`, the other members are its arguments. The answer is the fault: its
`id`, `kind`, `active`, `hits` and arguments. What is wrong with a request is said in `error`.
"""

from __future__ import annotations

import inspect
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from pyproducer.broker.faults.fault import Fault
from pyproducer.broker.json_http import json_object
from pyproducer.errors import ConfigError

if TYPE_CHECKING:
    from aiohttp import web

    from pyproducer.broker.faults.faults import Faults

#: The methods that can be asked for by `kind`.
KINDS: Final = (
    "close_connections",
    "cut",
    "delay",
    "disk_full",
    "drop_response",
    "fail",
    "forget_producers",
    "leaderless",
    "pause",
    "refuse_unknown_producers",
    "throttle",
)

#: Digits that an id has at most.
_DIGITS: Final = 18
#: Faults that were set over HTTP and can still be asked for after their end.
_REMEMBERED: Final = 1000
#: Faults in force beyond which none is set over HTTP: each takes memory, and time of each request.
_MOST: Final = 1000


class FaultsHttp:
    """The part of the HTTP side under `/faults`; aiohttp has to be installed.

    Args:
        faults: What it sets and ends.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._made: deque[Fault] = deque(maxlen=_REMEMBERED)

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        from aiohttp import web

        return [
            web.get("/faults", self._list),
            web.post("/faults", self._set),
            web.delete("/faults", self._clear),
            web.get("/faults/{id}", self._show),
            web.delete("/faults/{id}", self._cancel),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return _json([fault.describe() for fault in self._faults.active])

    async def _set(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        kind = body.pop("kind", None)
        if kind not in KINDS:
            return _error(f"kind is one of {', '.join(KINDS)}, not {kind!r}", 400)
        if len(self._faults.active) >= _MOST:
            text = f"{_MOST} faults are in force, the most over HTTP; DELETE /faults ends them"
            return _error(text, 429)
        method = getattr(self._faults, kind)
        try:
            inspect.signature(method).bind(**body)
        except TypeError as error:
            return _error(f"{kind}: {error}", 400)
        try:
            fault: Fault = method(**body)
        except ConfigError as error:
            return _error(str(error), 400)
        self._made.append(fault)
        return _json(fault.describe(), 201)

    async def _clear(self, request: web.Request) -> web.Response:
        active = self._faults.active
        self._faults.clear()
        return _json([fault.describe() for fault in active])

    async def _show(self, request: web.Request) -> web.Response:
        fault = self._found(request)
        return _json(fault.describe()) if fault else _error("there is no such fault", 404)

    async def _cancel(self, request: web.Request) -> web.Response:
        fault = self._found(request)
        if fault is None:
            return _error("there is no such fault", 404)
        fault.cancel()
        return _json(fault.describe())

    def _found(self, request: web.Request) -> Fault | None:
        wanted = request.match_info["id"]
        if not wanted.isdecimal() or len(wanted) > _DIGITS:
            return None
        known = (fault for fault in self._made if fault.id == int(wanted))
        return self._faults.find(int(wanted)) or next(known, None)


def _json(body: Any, status: int = 200) -> web.Response:
    from aiohttp import web

    return web.json_response(body, status=status)


def _error(text: str, status: int) -> web.Response:
    return _json({"error": text}, status)
