"""An authorization server on loopback: client credentials in, signed tokens out (RFC 6749, 7517)."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import unquote_plus

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from pyproducer.loop_thread import LoopThread
from tests.helpers.authority import Authority

#: What tokens are for, unless a test says otherwise.
AUDIENCE = "kafka"
CLIENT_ID = "producer"
CLIENT_SECRET = "the:secret/of a+client"


class Asked(NamedTuple):
    """One request for a token: the client it proved to be, how, and the form it sent."""

    client: str | None
    by: str
    form: dict[str, str]


@dataclass
class Scripted:
    """One answer of the token endpoint that is not a token."""

    status: int
    body: str | Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        kind = "text/html" if isinstance(self.body, str) else "application/json"
        return web.Response(
            status=self.status, text=text, content_type=kind, headers=dict(self.headers)
        )


class TokenServer:
    """Runs for the ``with`` block, over HTTP and, with an authority, over HTTPS too.

    Attributes:
        issuer: what it calls itself in its tokens.
        lifetime: seconds that a token of the endpoint is valid.
        subject: who the endpoint's tokens are about; None is the client itself.
        script: answers that come before tokens do, in order.
        asked: requests for tokens, in order.
        clients: secrets by client id.
        public_keys: what a client signs assertions with, by client id.
    """

    def __init__(self, authority: Authority | None = None) -> None:
        self.issuer = "https://tokens.test"
        self.lifetime = 3600.0
        self.subject: str | None = None
        self.script: deque[Scripted] = deque()
        self.asked: list[Asked] = []
        self.clients = {CLIENT_ID: CLIENT_SECRET}
        self.public_keys: dict[str, Any] = {}
        self._authority = authority
        self._keys: dict[str, RSAPrivateKey] = {}
        self._signing = self._make_key()
        self._thread = LoopThread("token-server")
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.secure_url = ""

    @property
    def token_url(self) -> str:
        """The token endpoint, over HTTP."""
        return f"{self.url}/token"

    @property
    def secure_token_url(self) -> str:
        """The token endpoint, over HTTPS."""
        return f"{self.secure_url}/token"

    @property
    def keys_url(self) -> str:
        """Where the public keys are."""
        return f"{self.url}/keys"

    def token(
        self,
        subject: str,
        *,
        lifetime: float | None = None,
        begins_in: float = 0.0,
        audience: str = AUDIENCE,
        issuer: str | None = None,
        key: RSAPrivateKey | None = None,
        **claims: Any,
    ) -> str:
        """A signed token, as good or as bad as the arguments make it."""
        now = time.time() + begins_in
        body = {
            "iss": self.issuer if issuer is None else issuer,
            "sub": subject,
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now + (self.lifetime if lifetime is None else lifetime),
            "jti": uuid.uuid4().hex,
            "scope": "write",
            **claims,
        }
        return jwt.encode(
            body, key or self._keys[self._signing], "RS256", headers={"kid": self._signing}
        )

    def rotate(self) -> None:
        """Further tokens are signed by a new key; the old one stays published."""
        self._signing = self._make_key()

    def __enter__(self) -> Self:
        self._thread.start()
        self._thread.call(self._serve)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            self._thread.call(self._runner.cleanup)
        self._thread.stop(10)

    def _make_key(self) -> str:
        name = f"key-{len(self._keys) + 1}"
        self._keys[name] = generate_private_key(public_exponent=65537, key_size=2048)
        return name

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_post("/token", self._on_token)
        app.router.add_get("/keys", self._on_keys)
        runner = self._runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        if self._authority is not None:
            shown = self._authority.server_context(self._authority.server("tokens"))
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=shown).start()
        ports = [address[1] for address in runner.addresses]
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.secure_url = f"https://127.0.0.1:{ports[-1]}" if self._authority else ""

    async def _on_keys(self, _request: web.Request) -> web.Response:
        keys = [
            {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": name, "use": "sig"}
            for name, key in self._keys.items()
        ]
        return web.json_response({"keys": keys})

    async def _on_token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        client, by = self._client(request, form)
        self.asked.append(Asked(client, by, form))
        if self.script:
            return self.script.popleft().response()
        if client is None:
            complaint = {"error": "invalid_client", "error_description": "no such client"}
            return web.json_response(complaint, status=401)
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        token = self.token(
            self.subject or client,
            audience=form.get("audience", AUDIENCE),
            scope=form.get("scope", "write"),
        )
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": int(self.lifetime)}
        return web.json_response(answer)

    def _client(self, request: web.Request, form: dict[str, str]) -> tuple[str | None, str]:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            # RFC 6749 2.3.1: both are form-encoded before they are put together.
            name, _, secret = base64.b64decode(value).decode().partition(":")
            client, secret = unquote_plus(name), unquote_plus(secret)
            return (client if self.clients.get(client) == secret else None), "basic"
        if assertion := form.get("client_assertion"):
            return self._asserted(request, assertion), "assertion"
        client = form.get("client_id", "")
        known = self.clients.get(client) == form.get("client_secret")
        return (client if known and client else None), "body"

    def _asserted(self, request: web.Request, assertion: str) -> str | None:
        # RFC 7523: issuer and subject are the client, the audience is the token endpoint.
        client = jwt.decode(assertion, options={"verify_signature": False}).get("sub", "")
        try:
            claims = jwt.decode(
                assertion,
                self.public_keys[client],
                ["RS256", "ES256"],
                audience=str(request.url),
                issuer=client,
                options={"require": ["exp", "iat", "jti", "aud", "iss", "sub"]},
            )
        except (KeyError, jwt.PyJWTError):
            return None
        return str(claims["sub"])
