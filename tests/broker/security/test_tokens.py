"""Tokens: which are good, for whom, for how long, and where the keys come from."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from pyproducer.broker import Broker
from pyproducer.broker.security.key_set import KeySet
from pyproducer.broker.security.tokens import BadToken, Claims, SignedTokens, UnsecuredTokens
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.secure_client import SecureClient
from tests.helpers.token_server import TokenServer
from tests.helpers.virtual_time import VirtualTime

HANDLER = "sasl.server.callback.handler.class"
UNSECURED = (
    "org.apache.kafka.common.security.oauthbearer.OAuthBearerUnsecuredValidatorCallbackHandler"
)
SECRET = b"a secret of thirty-two bytes, yes"

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def jwks(folder: Path, *keys: dict[str, Any]) -> str:
    """The URL of a file with these keys."""
    path = folder / "keys.json"
    path.write_text(json.dumps({"keys": keys}))
    return path.as_uri()


def of_rsa(**fields: str) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "rsa", **fields}


def of_ec() -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "ec"}


def of_secret() -> dict[str, Any]:
    k = base64.urlsafe_b64encode(SECRET).rstrip(b"=").decode()
    return {"kty": "oct", "k": k, "kid": "oct"}


class Judge:
    """Judges tokens at a moment."""

    def __init__(self, url: str, **claims: Any) -> None:
        self.clock = VirtualTime()
        self.now = self.clock.wall_ms() / 1000
        self.tokens = SignedTokens(
            KeySet(url, refresh=3600, clock=self.clock), Claims(clock=self.clock, **claims)
        )

    def claims(self, **fields: Any) -> dict[str, Any]:
        found = {"sub": "alice", "iat": self.now, "exp": self.now + 60, **fields}
        return {name: value for name, value in found.items() if value is not None}

    def signed(self, key: Any = RSA, algorithm: str = "RS256", kid: str = "rsa", **f: Any) -> str:
        return jwt.encode(self.claims(**f), key, algorithm, headers={"kid": kid} if kid else None)

    async def why_not(self, token: str) -> str:
        with pytest.raises(BadToken) as caught:
            await self.tokens.owner(token)
        return str(caught.value)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Knows a key of each kind."""
    return Judge(jwks(tmp_path, of_rsa(), of_ec(), of_secret()), audiences=frozenset({"kafka"}))


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(RSA, "RS256", "rsa"), (RSA, "PS512", "rsa"), (EC, "ES256", "ec"), (SECRET, "HS256", "oct")],
)
async def test_good_tokens(judge: Judge, key: Any, algorithm: str, kid: str):
    """
    A token that is signed with a key of the set is its subject's until it expires.
    """
    found = await judge.tokens.owner(judge.signed(key, algorithm, kid, aud=["x", "kafka"]))

    assert ("alice", round((judge.now + 60) * 1000)) == found


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"exp": None}, "does not say when it expires"),
        ({"exp": -31.0}, "it has expired"),
        ({"exp": "soon"}, "its exp is no time"),
        ({"exp": True}, "its exp is no time"),
        ({"exp": 10**400}, "its exp is no time"),
        ({"exp": 2**53 + 1}, "its exp is no time"),
        ({"iat": None}, "does not say when it was made"),
        ({"iat": 31.0}, "made in the future"),
        ({"nbf": 31.0}, "not valid yet"),
        ({"sub": None}, "whose it is"),
        ({"sub": " "}, "whose it is"),
        ({"sub": 5}, "whose it is"),
        ({"sub": "\ud800"}, "whose it is"),
        ({"aud": "others"}, "for somebody else"),
        ({"aud": None}, "for somebody else"),
        ({"scope": 5}, "its scope is neither"),
    ],
)
async def test_bad_claims(judge: Judge, fields: dict[str, Any], why: str):
    """
    A token that is not for here, or not for now, is refused for that.
    """
    moved = {
        name: judge.now + value if isinstance(value, float) else value
        for name, value in fields.items()
    }

    assert why in await judge.why_not(judge.signed(**{"aud": "kafka", **moved}))


async def test_clocks_may_differ(judge: Judge):
    """
    The issuer's clock may be wrong by sasl.oauthbearer.clock.skew.seconds.
    """
    for fields in ({"exp": judge.now - 29}, {"nbf": judge.now + 29}, {"iat": judge.now + 29}):
        assert await judge.tokens.owner(judge.signed(aud="kafka", **fields))


async def test_names_of_claims(tmp_path: Path):
    """
    The user's name may be another claim, and the issuer may have to be somebody.
    """
    judge = Judge(jwks(tmp_path, of_rsa()), subject="email", issuer="them")

    assert "alice@x" == (await judge.tokens.owner(judge.signed(email="alice@x", iss="them"))).name
    assert "somebody else has made it" in await judge.why_not(judge.signed(email="a", iss="me"))


async def test_forged_tokens(judge: Judge):
    """
    Neither another key, nor another kind of key, nor none at all makes a token good.
    """
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = RSA.public_key().public_numbers().n.to_bytes(256, "big")
    good = judge.signed(aud="kafka")
    head, body, signature = good.split(".")
    unsigned = jwt.encode(judge.claims(aud="kafka"), None, "none", headers={"kid": "rsa"})
    changed = base64.urlsafe_b64encode(b'{"sub":"admin"}').decode().rstrip("=")

    assert "signature is wrong" in await judge.why_not(judge.signed(other, aud="kafka"))
    assert "0 keys" in await judge.why_not(judge.signed(public, "HS256", aud="kafka"))
    assert "0 keys" in await judge.why_not(judge.signed(SECRET, "HS256", "rsa", aud="kafka"))
    assert "0 keys" in await judge.why_not(unsigned)
    assert "signature is wrong" in await judge.why_not(f"{head}.{changed}.{signature}")
    for broken in ("", "a.b", "a.b.c", f"{head}.{body}", good + "."):
        assert await judge.why_not(broken)


async def test_keys_that_say_what_they_are_for(tmp_path: Path):
    """
    A key for encryption, or for another algorithm, has signed nothing.
    """
    for fields in ({"use": "enc"}, {"alg": "RS512"}):
        judge = Judge(jwks(tmp_path, of_rsa(**fields)))
        assert "0 keys" in await judge.why_not(judge.signed())


@pytest.mark.parametrize(
    "broken",
    [
        5,
        {},
        {"kty": "oct", "alg": "HS256"},
        {"kty": "oct", "k": 5},
        {"kty": "oct", "k": "c2VjcmV0", "kid": [], "use": {}},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": 7},
        {"kty": "OKP", "crv": "Ed448", "x": ""},
    ],
)
async def test_one_broken_key_spoils_no_other(tmp_path: Path, broken: Any):
    """
    A key that cannot be used is passed over, and tokens of the others are good.
    """
    judge = Judge(jwks(tmp_path, broken, of_rsa(), broken))

    assert (await judge.tokens.owner(judge.signed())).name == "alice"


@pytest.mark.parametrize("text", ["[]", "{}", '{"keys": 5}', '{"keys": ' + "[" * 100_000])
async def test_what_is_no_key_set(tmp_path: Path, text: str):
    """
    A document without a list of keys is told as that, however deep it is.
    """
    (tmp_path / "keys.json").write_text(text)
    judge = Judge((tmp_path / "keys.json").as_uri())

    assert "cannot be read" in await judge.why_not(judge.signed())


async def test_parts_of_any_depth(judge: Judge):
    """
    A token whose parts are nested deeper than anything may be is refused, signed or not.
    """
    part = base64.urlsafe_b64encode(b"[" * 100_000).decode().rstrip("=")
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    nested = jwt.PyJWS().encode(b"[" * 100_000, RSA, "RS256", headers={"kid": "rsa"})

    assert await judge.why_not(f"{part}.{part}.AAAA")
    assert "no JSON objects" in await judge.why_not(nested)
    with pytest.raises(BadToken, match="no JSON objects"):
        await UnsecuredTokens(Claims(clock=judge.clock)).owner(f"{head}.{part}.")


async def test_a_stranger_fills_no_log(judge: Judge):
    """
    Of the id of a key that nobody has, its begin is told.
    """
    assert len(await judge.why_not(judge.signed(kid="x" * 10_000))) < 200


async def test_new_keys_are_found(tmp_path: Path):
    """
    A token that names a key which is not there has the set read again, but not all the time.
    """
    judge = Judge(jwks(tmp_path, of_ec()))
    assert "0 keys" in await judge.why_not(judge.signed())
    jwks(tmp_path, of_ec(), of_rsa())
    assert "0 keys" in await judge.why_not(judge.signed())
    judge.clock.pass_time(11)

    assert (await judge.tokens.owner(judge.signed())).name == "alice"


async def test_keys_stay_when_they_cannot_be_read(tmp_path: Path):
    """
    The keys there are serve on where the set has gone; without any the reason is told.
    """
    judge = Judge(jwks(tmp_path, of_rsa()))
    assert await judge.tokens.owner(judge.signed())
    (tmp_path / "keys.json").write_text("nonsense")
    judge.clock.pass_time(4000)
    judge.now += 4000
    assert await judge.tokens.owner(judge.signed())

    judge = Judge((tmp_path / "nowhere.json").as_uri())
    assert "cannot be checked" in await judge.why_not(judge.signed())


async def test_unsecured_tokens():
    """
    Tokens that nobody signed are taken only by what takes nothing else.
    """
    clock = VirtualTime()
    tokens = UnsecuredTokens(Claims(clock=clock))
    good = {"sub": "alice", "exp": clock.wall_ms() / 1000 + 60}

    assert (await tokens.owner(jwt.encode(good, None, "none"))).name == "alice"
    for bad in (jwt.encode(good, SECRET, "HS256"), "a.b.", "..", jwt.encode({}, None, "none")):
        with pytest.raises(BadToken):
            await tokens.owner(bad)


@pytest.fixture(scope="module")
def server() -> Iterator[TokenServer]:
    """Publishes its keys over HTTP."""
    with TokenServer() as running:
        yield running


def message(token: str, acting_as: str = "") -> bytes:
    header = f"n,a={acting_as}," if acting_as else "n,,"
    return f"{header}\x01auth=Bearer {token}\x01\x01".encode()


def oauth(server: TokenServer, **more: str) -> dict[str, str]:
    return {
        "sasl.enabled.mechanisms": "OAUTHBEARER",
        "sasl.oauthbearer.jwks.endpoint.url": server.keys_url,
        "sasl.oauthbearer.allow.unverified.audience": "true",
        "sasl.oauthbearer.allow.unverified.issuer": "true",
        **more,
    }


def test_sessions_end_with_their_token(server: TokenServer):
    """
    A session lasts as long as its token, or as connections.max.reauth.ms if that is less.
    """
    for limit, least, most in (("0", 50_000, 60_000), ("5000", 5000, 5000)):
        config = oauth(server, **{"connections.max.reauth.ms": limit})
        with (
            Broker(security="SASL_PLAINTEXT", config=config) as broker,
            SecureClient(broker.bootstrap_servers) as client,
        ):
            client.handshake("OAUTHBEARER")
            answer = client.token(message(server.token("alice", lifetime=60)))
            assert least <= answer.session_lifetime_ms <= most
            assert [one.principal for one in broker.state().connections] == ["User:alice"]


def test_messages(server: TokenServer):
    """
    Malformed messages, and users who would act as others, get 58.
    """
    token = server.token("alice")
    with Broker(security="SASL_PLAINTEXT", config=oauth(server)) as broker:
        for bad in (
            b"",
            b"n,,",
            b"n,,\x01\x01",
            b"y,,\x01auth=Bearer x\x01\x01",
            message("no spaces here"),
            message(token)[:-1],
            message(token, "bob"),
            b"\xff" + message(token),
        ):
            with SecureClient(broker.bootstrap_servers) as client:
                client.handshake("OAUTHBEARER")
                code = client.token(bad).error_code
                assert code == ErrorCode.SASL_AUTHENTICATION_FAILED, bad
        with SecureClient(broker.bootstrap_servers) as client:
            client.handshake("OAUTHBEARER")
            assert client.token(message(token, "alice")).error_code == 0


def test_unsecured_tokens_have_to_be_allowed():
    """
    Kafka's class for development, named for a listener, takes tokens that nobody has signed.
    """
    config = {
        "sasl.enabled.mechanisms": "OAUTHBEARER",
        f"listener.name.sasl_plaintext.oauthbearer.{HANDLER}": UNSECURED,
    }
    token = jwt.encode({"sub": "dev", "exp": 4102444800}, None, "none")
    with (
        Broker(security="SASL_PLAINTEXT", config=config) as broker,
        SecureClient(broker.bootstrap_servers) as client,
    ):
        client.handshake("OAUTHBEARER")
        assert client.token(message(token)).error_code == 0
        assert [one.principal for one in broker.state().connections] == ["User:dev"]
