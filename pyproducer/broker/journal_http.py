"""The journal over HTTP, with JSON.

GET    /journal     the requests that are remembered, oldest first; `?api=Produce`, `version`,
`connection`, `client_id`, `error`, `since` (a number) and `last` choose
PUT    /journal     {"bodies": true}: requests and answers are kept decoded, from now on
DELETE /journal     forgets them
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pyproducer.broker.json_http import json_object
from pyproducer.errors import ConfigError

if TYPE_CHECKING:
    from aiohttp import web

    from pyproducer.broker.journal import Journal

_NUMBERS: Final = frozenset({"version", "connection", "since", "last"})
_TEXTS: Final = frozenset({"api", "client_id", "error"})


class JournalHttp:
    """The part of the HTTP side under `/journal`; aiohttp has to be installed.

    Args:
        journal: What it shows.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        from aiohttp import web

        return [
            web.get("/journal", self._list),
            web.put("/journal", self._set),
            web.delete("/journal", self._clear),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        try:
            entries = self._journal.requests(**_filters(dict(request.query)))
        except (ConfigError, ValueError) as error:
            return _json({"error": str(error)}, 400)
        return _json([asdict(one) for one in entries])

    async def _set(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        if set(body) != {"bodies"} or not isinstance(body["bodies"], bool):
            return _json({"error": 'the body is {"bodies": true} or {"bodies": false}'}, 400)
        self._journal.bodies = body["bodies"]
        return _json(body)

    async def _clear(self, request: web.Request) -> web.Response:
        count = len(self._journal)
        self._journal.clear()
        return _json({"forgotten": count})


def _filters(query: dict[str, str]) -> dict[str, Any]:
    unknown = set(query) - _NUMBERS - _TEXTS
    if unknown:
        known = ", ".join(sorted(_NUMBERS | _TEXTS))
        raise ValueError(f"{', '.join(sorted(unknown))} chooses nothing: there are {known}")
    filters: dict[str, Any] = {}
    for name, value in query.items():
        if name in _NUMBERS:
            if not value.isdecimal():
                raise ValueError(f"{name} is a number, not {value!r}")
            filters[name] = int(value)
        else:
            filters[name] = int(value) if value.isdecimal() and name == "api" else value
    return filters


def _json(body: Any, status: int = 200) -> web.Response:
    from aiohttp import web

    return web.json_response(body, status=status, dumps=_dumps)


def _dumps(body: Any) -> str:
    # Bodies have bytes in them.
    return json.dumps(body, default=lambda data: data.decode("utf-8", "backslashreplace"))
