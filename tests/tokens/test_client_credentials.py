"""Tokens of a real authorization server on loopback, over HTTP and HTTPS."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pyproducer.errors import ConfigError, ProviderFailed
from pyproducer.tokens import ClientCredentials, TokenRequestFailed
from tests.helpers.authority import Authority
from tests.helpers.token_server import CLIENT_ID, CLIENT_SECRET, Scripted, TokenServer


def provider(server: TokenServer, **arguments: object) -> ClientCredentials:
    """One that the server believes, over HTTP, unless the arguments say otherwise."""
    known = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    if "private_key" in arguments:
        del known["client_secret"]
    endpoint = arguments.pop("token_endpoint", server.token_url)
    return ClientCredentials(endpoint, **{**known, **arguments})


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


async def failure(asked: ClientCredentials) -> TokenRequestFailed:
    """What it raises."""
    with pytest.raises(TokenRequestFailed) as caught:
        await asked()
    return caught.value


@contextmanager
def silent_port() -> Iterator[str]:
    """An address that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/token"


async def test_answer_in_pieces() -> None:
    """
    An answer that comes piece by piece is read to its end.
    """
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"access_token": "abc", "expires_in": 60}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 10):
            writer.write(body[at : at + 10])
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        served.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        asked = ClientCredentials(
            f"http://127.0.0.1:{port}/token", client_id="me", client_secret="secret"
        )

        assert "abc" == (await asked()).value
        await served.wait()


@pytest.mark.parametrize("authentication", ["basic", "body"])
async def test_id_and_secret(server: TokenServer, authentication: str) -> None:
    """
    The server believes id and secret, whatever is in them, in the header and in the form.
    """
    token = await provider(server, authentication=authentication)()

    assert [(CLIENT_ID, authentication)] == [(one.client, one.by) for one in server.asked]
    claims = jwt.decode(token.value, options={"verify_signature": False})
    assert (CLIENT_ID, CLIENT_ID) == (claims["sub"], token.principal)
    assert "client_secret" not in server.asked[0].form or authentication == "body"


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
    ],
    ids=["RS256", "ES256"],
)
async def test_private_key(server: TokenServer, key: object, algorithm: str) -> None:
    """
    A signed assertion, a new one each time, stands for the secret.
    """
    server.public_keys[CLIENT_ID] = key.public_key()
    asked = provider(
        server, private_key=pem(key), private_key_algorithm=algorithm, private_key_id="one"
    )

    for _ in range(2):
        assert CLIENT_ID == (await asked()).principal

    assert [(CLIENT_ID, "assertion")] * 2 == [(one.client, one.by) for one in server.asked]
    assertions = {one.form["client_assertion"] for one in server.asked}
    assert 2 == len(assertions)
    assert {"one"} == {jwt.get_unverified_header(one)["kid"] for one in assertions}


async def test_what_is_asked_for(server: TokenServer) -> None:
    """
    Scope, audience and further fields reach the server; extensions are for the broker.
    """
    token = await provider(
        server,
        scope="read write",
        audience="cluster-1",
        parameters={"resource": "https://kafka.test"},
        extensions={"logicalCluster": "lkc-1"},
    )()

    form = server.asked[0].form
    assert ("read write", "cluster-1", "https://kafka.test") == (
        form["scope"],
        form["audience"],
        form["resource"],
    )
    assert "logicalCluster" not in form
    assert {"logicalCluster": "lkc-1"} == token.extensions


async def test_secret_from_a_callable(server: TokenServer) -> None:
    """
    A secret that changes is asked for with each token.
    """
    secrets = iter(["first", "second"])

    async def secret() -> str:
        return next(secrets)

    asked = provider(server, client_secret=secret)
    for known in ("first", "second"):
        server.clients[CLIENT_ID] = known
        await asked()

    assert [CLIENT_ID, CLIENT_ID] == [one.client for one in server.asked]


async def test_the_context_is_made_once_and_by_a_thread(
    server: TokenServer, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Requests share what verifies the server; its file is read again only once it has changed, and
    never on the event loop.
    """
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.certificate.read_bytes())
    readers: list[bool] = []
    read = Path.read_text

    def seen(path: Path, *arguments: object, **options: object) -> str:
        if path == trusted:
            readers.append(threading.current_thread() is threading.main_thread())
        return read(path, *arguments, **options)

    asked = provider(server, token_endpoint=server.secure_token_url, ssl_ca=trusted)
    monkeypatch.setattr(Path, "read_text", seen)
    for _ in range(3):
        await asked()
    assert [False] == readers

    # Half a file is no reason to trust nobody.
    trusted.write_text("-----BEGIN CERTIFICATE-----\n")
    await asked()
    other = Authority(tmp_path, "other")
    other.certificate.replace(trusted)
    assert "certificate verify failed" in str(await failure(asked))
    trusted.write_bytes(authority.certificate.read_bytes())
    await asked()
    assert [False] * 4 == readers


async def test_tls_by_the_authority_given(server: TokenServer, authority: Authority) -> None:
    """
    A server with a certificate of an own authority is believed by that authority, given as a file
    or as its text, and not otherwise.
    """
    good = provider(server, token_endpoint=server.secure_token_url, ssl_ca=authority.certificate)
    text = authority.certificate.read_text()
    also = provider(server, token_endpoint=server.secure_token_url, ssl_ca=text)
    bad = provider(server, token_endpoint=server.secure_token_url)

    assert CLIENT_ID == (await good()).principal == (await also()).principal
    error = await failure(bad)
    assert "certificate verify failed" in str(error)
    assert "ssl_ca=" in str(error)
    assert not error.retriable


async def test_lifetime_told_or_in_the_token(server: TokenServer) -> None:
    """
    How long a token is good for is what the server says, else what the token says, else what
    the program says.
    """
    jwt_of_a_minute = server.token("producer", lifetime=60)
    server.script += [
        Scripted(200, {"access_token": "opaque", "expires_in": 30}),
        Scripted(200, {"access_token": "opaque", "expires_in": "30"}),
        Scripted(200, {"access_token": jwt_of_a_minute}),
        Scripted(200, {"access_token": "opaque"}),
    ]
    asked = provider(server, lifetime=20)
    found = [(await asked()).lifetime for _ in range(2)]
    in_token = await provider(server)()

    assert [30, 30] == [round(one + 0.49) for one in found]
    assert 55 < in_token.lifetime <= 60
    assert 19 < (await asked()).lifetime <= 20


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"access_token": "opaque"}, "lifetime="),
        ({"access_token": "opaque", "expires_in": 0}, "lifetime="),
        ({"access_token": "opaque", "expires_in": 10**400}, "lifetime="),
        ({"access_token": "opaque", "expires_in": "inf"}, "lifetime="),
        ({"expires_in": 60}, "'access_token'"),
        ({"access_token": "", "expires_in": 60}, "'access_token'"),
        ({"access_token": "two words", "expires_in": 60}, "letters, digits"),
        ({"access_token": "opaque", "expires_in": -1}, "good for"),
        ("<html>Welcome</html>", "token endpoint"),
    ],
)
async def test_answer_that_is_no_token(server: TokenServer, answer: object, told: str) -> None:
    """
    An answer without a usable token says what is missing, and what it was asked of.
    """
    server.script.append(Scripted(200, answer))

    error = await failure(provider(server))

    assert told in str(error)
    assert server.token_url in str(error)
    assert not error.retriable


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_passing_trouble_is_waited_out(server: TokenServer, status: int) -> None:
    """
    What the server cannot do now is asked again.
    """
    server.script += [Scripted(status, {"error": "temporarily_unavailable"})] * 3

    token = await provider(server)()

    assert CLIENT_ID == token.principal
    assert 4 == len(server.asked)


async def test_trouble_that_does_not_pass(server: TokenServer) -> None:
    """
    When time is up, the error is the server's last answer.
    """
    server.script += [Scripted(503, {"error": "temporarily_unavailable"})] * 100

    error = await failure(provider(server, timeout=0.5))

    assert (503, "temporarily_unavailable", True) == (error.status, error.error, error.retriable)
    assert len(server.asked) > 1


async def test_refusal_is_told_at_once(server: TokenServer) -> None:
    """
    A wrong secret is not tried twice; the error has status and reason, and never the secret.
    """
    wrong = "a-wrong-secret-value"

    error = await failure(provider(server, client_secret=wrong))

    assert 1 == len(server.asked)
    assert (401, "invalid_client", "no such client") == (
        error.status,
        error.error,
        error.description,
    )
    assert isinstance(error, ProviderFailed)
    for part in (server.token_url, "invalid_client", "no such client", "client_id", "HTTP 401"):
        assert part in str(error)
    assert wrong not in str(error) + repr(error)


@pytest.mark.parametrize("status", [301, 307])
async def test_redirections_are_not_followed(server: TokenServer, status: int) -> None:
    """
    The secret is shown to nobody but the address that was given.
    """
    server.script.append(Scripted(status, {}, {"Location": server.secure_token_url}))

    error = await failure(provider(server))

    assert status == error.status
    assert 1 == len(server.asked)


async def test_nobody_there(server: TokenServer) -> None:
    """
    A port that refuses and one that is silent are told apart, within the time given.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    refused = await failure(
        provider(server, token_endpoint=f"http://127.0.0.1:{port}/token", timeout=0.5)
    )
    with silent_port() as address:
        silent = await failure(provider(server, token_endpoint=address, timeout=0.5))

    assert "onnect" in str(refused)
    assert refused.retriable
    assert "did not answer within 0.5 s" in str(silent)
    assert silent.retriable


async def test_plain_server_asked_for_tls(server: TokenServer) -> None:
    """
    An https address of a server without TLS fails with a text, not a traceback.
    """
    endpoint = server.token_url.replace("http:", "https:")

    error = await failure(provider(server, token_endpoint=endpoint, timeout=0.5))

    assert endpoint in str(error)


async def test_one_provider_for_several_loops(server: TokenServer) -> None:
    """
    A provider belongs to no event loop.
    """
    asked = provider(server)

    def elsewhere() -> str:
        return asyncio.run(asked()).principal

    found = await asyncio.gather(*(asyncio.to_thread(elsewhere) for _ in range(3)), asked())

    assert [CLIENT_ID] * 3 == list(found[:3])
    assert CLIENT_ID == found[3].principal


async def test_cancelled_call_leaves_nothing(server: TokenServer) -> None:
    """
    A call that is cancelled while the server thinks closes its connection.
    """
    with silent_port() as address:
        task = asyncio.ensure_future(provider(server, token_endpoint=address)())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_secrets_stay_out_of_logs(
    server: TokenServer, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Neither the provider's repr nor any log line has the secret or a token.
    """
    with caplog.at_level(logging.DEBUG):
        asked = provider(server)
        token = await asked()

    for shown in (repr(asked), repr(token), caplog.text):
        assert CLIENT_SECRET not in shown
        assert token.value not in shown


def test_error_is_copied_and_pickled() -> None:
    """
    The error keeps what it carries.
    """
    error = TokenRequestFailed("x", url="u", status=400, error="e", description="d")
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert vars(error) == vars(twin)
        assert str(error) == str(twin)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"token_endpoint": "tokens.test/token"}, "token_endpoint='tokens.test/token'"),
        ({"token_endpoint": "ftp://tokens.test"}, "token_endpoint="),
        ({"token_endpoint": "http://tokens.test/token"}, "allow_http=True"),
        ({"token_endpoint": "https://me:word@tokens.test"}, "user name"),
        ({"client_id": ""}, "client_id"),
        ({"client_secret": ""}, "client_secret"),
        ({"client_secret": None}, "client_secret and private_key"),
        ({"private_key": "x", "client_secret": "y"}, "client_secret and private_key"),
        ({"private_key": "no key", "client_secret": None}, "private_key"),
        ({"authentication": "digest"}, "authentication='digest'"),
        ({"parameters": {"scope": "x"}}, "'scope'"),
        ({"ssl_ca": "/nowhere.pem"}, "/nowhere.pem"),
        ({"timeout": 0}, "timeout=0"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, object], told: str) -> None:
    """
    A wrong argument is refused when the provider is made, by name.
    """
    known = {
        "token_endpoint": "https://tokens.test/token",
        "client_id": "me",
        "client_secret": "word",
    }
    with pytest.raises(ConfigError) as caught:
        ClientCredentials(**{**known, **arguments})

    assert told in str(caught.value)


def test_key_of_the_wrong_kind_is_refused_without_showing_it() -> None:
    """
    A key that cannot sign by the algorithm is told when the provider is made.
    """
    key = pem(ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(ConfigError, match="private_key_algorithm='RS256'") as caught:
        ClientCredentials("https://tokens.test/token", client_id="me", private_key=key)

    assert key.decode().splitlines()[1] not in repr(caught.value)


async def test_time_on_the_way_counts(server: TokenServer) -> None:
    """
    A token's life begins when it was asked for, at the latest.
    """
    before = time.monotonic()
    token = await provider(server)()

    assert 3600 - (time.monotonic() - before) <= token.lifetime < 3600
