"""What the HTTP side makes of a body that is to change something; aiohttp has to be installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import web


async def json_object(request: web.Request) -> dict[str, Any]:
    """The members of a request's body, which is a JSON object.

    Raises:
        web.HTTPException: It is not one, or does not say that it is; what is wrong is in `error`.
    """
    from aiohttp import web

    # A page of some web site, opened in a browser on this machine, can send anything but this.
    # Read here, since aiohttp's way fails at parameters that are none.
    kind = request.headers.get("Content-Type", "").partition(";")[0]
    if kind.strip().lower() != "application/json":
        raise _told(web.HTTPUnsupportedMediaType, "JSON, with Content-Type: application/json")
    try:
        # Whatever charset the header names: JSON is UTF-8 (RFC 8259), and names are looked up.
        body = json.loads((await request.read()).decode())
    except (ValueError, RecursionError) as error:
        raise _told(web.HTTPBadRequest, f"JSON, and this is none: {error}") from error
    if not isinstance(body, dict):
        raise _told(web.HTTPBadRequest, "a JSON object")
    return body


def _told(kind: type[web.HTTPException], wanted: str) -> web.HTTPException:
    text = json.dumps({"error": f"the body is {wanted}"})
    return kind(text=text, content_type="application/json")
