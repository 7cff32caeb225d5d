"""OAUTHBEARER in the broker: clients' messages, tokens and their claims, and key sets.

The input is of which kind it is, then a message, the parts of a token, or a key set.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from pyproducer.broker.security.key_set import KeySet, UnknownKey
from pyproducer.broker.security.sasl.exchange import AuthenticationFailed
from pyproducer.broker.security.sasl.oauthbearer import OAuthBearerExchange
from pyproducer.broker.security.tokens import Claims, SignedTokens, Tokens, UnsecuredTokens
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target
from tests.fuzz.targets._files import memory_folder
from tests.helpers.virtual_time import VirtualTime

_SECRET = b"a secret of thirty-two bytes, yes"
_CLOCK = VirtualTime()
_NOW = _CLOCK.wall_ms() // 1000
_CLAIMS = Claims(clock=_CLOCK, audiences=frozenset({"kafka"}), issuer="them")
_FOLDER = memory_folder()


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@cache
def _public() -> list[dict[str, object]]:
    """A key of each kind, as a server publishes them; nobody has the private ones."""
    of_rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    of_ec = ec.generate_private_key(ec.SECP256R1()).public_key()
    of_ed = ed25519.Ed25519PrivateKey.generate().public_key()
    return [
        {**RSAAlgorithm.to_jwk(of_rsa, as_dict=True), "kid": "rsa"},
        {**ECAlgorithm.to_jwk(of_ec, as_dict=True), "kid": "ec"},
        {**OKPAlgorithm.to_jwk(of_ed, as_dict=True), "kid": "ed"},
        {"kty": "oct", "k": _encoded(_SECRET).decode(), "kid": "oct"},
    ]


def _read() -> KeySet:
    """A key set that has been read, and is not read again as long as time stands still."""
    path = Path(_FOLDER.name) / "keys.json"
    path.write_text(json.dumps({"keys": _public()}))
    keys = KeySet(path.as_uri(), refresh=3600, clock=_CLOCK)
    asyncio.run(keys.find("rsa", "RS256"))
    return keys


@cache
def _signed() -> Tokens:
    return SignedTokens(_read(), _CLAIMS)


@cache
def _others() -> KeySet:
    """A key set that each input takes another document into."""
    return _read()


def run(data: bytes) -> None:
    """A message is answered or refused, and nobody comes in but by a token that is good."""
    bites = Bites(data)
    kind = bites.byte() % 5
    if kind == 0:
        assert _outcome(_signed(), bites.rest()) is None
    elif kind == 1:
        token = b".".join((_encoded(bites.some()), _encoded(bites.some()), bites.rest()))
        assert _outcome(_signed(), _message(token)) is None
    elif kind == 2:
        claims = bites.rest()
        found = _outcome(_signed(), _message(_signature(claims)))
        if found is not None:
            _check(found, json.loads(claims))
    elif kind == 3:
        header, claims = bites.some(), bites.rest()
        token = _encoded(header) + b"." + _encoded(claims) + b"."
        found = _outcome(UnsecuredTokens(_CLAIMS), _message(token))
        if found is not None:
            _check(found, json.loads(claims))
    else:
        _try_keys(bites.some().decode("latin-1"), bites.some(), bites.rest())


def _check(found: tuple[str, int], claims: dict[str, object]) -> None:
    name, until_ms = found
    assert name == claims["sub"]
    assert name.encode()
    assert _NOW - _CLAIMS.leeway < until_ms / 1000 < 2**63 / 1000
    assert claims["iss"] == "them"


def _signature(claims: bytes) -> bytes:
    return jwt.PyJWS().encode(claims, _SECRET, "HS256", headers={"kid": "oct"}).encode()


def _message(token: bytes) -> bytes:
    return b"n,,\x01auth=Bearer " + token + b"\x01\x01"


def _outcome(tokens: Tokens, message: bytes) -> tuple[str, int] | None:
    """Who comes in by it, and until when."""
    exchange = OAuthBearerExchange(tokens)
    try:
        for sent in (message, b"\x01"):
            # It waits for nothing: no key is looked for while time stands still.
            try:
                exchange.respond(sent).send(None)
            except StopIteration as answered:
                assert isinstance(answered.value, bytes)
            if exchange.outcome is not None:
                assert exchange.outcome.until_ms is not None
                return exchange.outcome.name, exchange.outcome.until_ms
    except AuthenticationFailed as error:
        assert error.told.encode()
        assert error.reason.encode("utf-8", "surrogateescape")
    return None


def _try_keys(key_id: str, token: bytes, document: bytes) -> None:
    keys = _others()
    try:
        keys.take(document)
    except ValueError as error:
        assert str(error)
        return
    for algorithm in ("RS256", "ES256", "HS256", "EdDSA", "none", ""):
        for name in (None, key_id):
            try:
                keys.find(name, algorithm).send(None)
            except StopIteration as found:
                assert found.value.key_id in {name, found.value.key_id if name is None else name}
            except UnknownKey as error:
                assert str(error)
    assert _outcome(SignedTokens(keys, _CLAIMS), _message(token)) is None


def seeds() -> Iterator[bytes]:
    """Tokens that are good but for one thing, and key sets as servers have them, and worse."""
    good = {"sub": "alice", "iat": _NOW, "exp": _NOW + 60, "iss": "them", "aud": ["kafka"]}
    texts = [
        json.dumps(good | change).encode()
        for change in (
            {},
            {"exp": 10**400},
            {"exp": 1e308},
            {"exp": _NOW - 100, "nbf": 0},
            {"sub": "\ud800"},
            {"aud": "kafka", "scope": "a b"},
            {"scope": 5},
            {"iss": None},
            {"iat": True},
        )
    ]
    texts += [b"[" * 200, b"{}", b'{"exp": NaN}', b"\xff"]
    for text in texts:
        yield b"\x02" + text
        header = b'{"alg":"none"}'
        yield b"\x03" + bytes((len(header),)) + header + text
    for header in (
        b'{"alg":"RS256","kid":"rsa"}',
        b'{"alg":"HS256","kid":"rsa"}',
        b'{"alg":"HS256","kid":"oct"}',
        b'{"alg":"EdDSA"}',
        b'{"alg":"ES256","kid":5}',
        b'{"alg":["ES256"],"crit":["b64"],"b64":false}',
        b"[" * 200,
    ):
        body = texts[0][:255]
        yield b"\x01" + bytes((len(header),)) + header + bytes((len(body),)) + body + b"AAAA"
    yield b"\x00n,a=alice,\x01auth=Bearer a.b.c\x01ext=1\x01\x01"
    yield b"\x00y,,\x01auth=\x01\x01"
    sets = [json.dumps({"keys": [one]}).encode() for one in _EXAMPLES]
    sets += [b'{"keys": [5, null, {}]}', b"[]", b'{"keys": {}}', b'{"keys": ' + b"[" * 200]
    for document in sets:
        yield b"\x04\x03abc\x05a.b.c" + document


#: Always the same, so that inputs mean the same in every run.
_EXAMPLES: tuple[dict[str, object], ...] = (
    {"kty": "oct", "k": "c2VjcmV0", "kid": "abc", "alg": "HS256"},
    {"kty": "RSA", "n": "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H"
     "95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BTYuyvVRdhS8exSZEy_"
     "c4gs_7svlJJQ4H9_NxsiIoLwAEk7-Q3UXERGYw_75IDrGA84-lA_-Ct4eTlXHBIY2EaV7t7LjJaynVJCpkv4LKjTTAumiGU"
     "IuQhrNhZLuF_RJLqHpM2kgWFLU7-VTdL1VbC2tejvcI2BlMkEpk1BzBZI0KQB0GaDWFLN-aEAw3vRw", "e": "AQAB"},
    {"kty": "EC", "crv": "P-256", "kid": "abc", "use": "sig",
     "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
     "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty": "oct", "k": "", "kid": [], "alg": {}, "use": []},
    {"kty": "EC", "crv": "P-256", "x": "AA", "y": 7},
)  # fmt: skip

TARGET = Target(run, seeds, max_len=700)
