"""The HTTP side and strangers: tokens, names, sizes, time, and connections; over real sockets."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyproducer.broker import Broker
from pyproducer.broker.http_guard import CONNECTIONS
from pyproducer.errors import ConfigError
from tests.helpers.authority import Authority

aiohttp = pytest.importorskip("aiohttp")

TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def guarded() -> Iterator[Broker]:
    """A broker whose HTTP side takes a token."""
    with Broker({"orders": 1}, http_port=0, http_token=TOKEN) as broker:
        yield broker


@pytest.fixture
def open_() -> Iterator[Broker]:
    """A broker whose HTTP side takes none."""
    with Broker({"orders": 1}, http_port=0) as broker:
        yield broker


def url(broker: Broker, path: str = "/health", scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{broker.http_port}{path}"


def talk(broker: Broker, data: bytes, *, timeout: float = 10.0) -> bytes:
    """Everything that is answered until the connection is closed."""
    with socket.create_connection(("127.0.0.1", broker.http_port), timeout=timeout) as client:
        client.sendall(data)
        found = b""
        try:
            while piece := client.recv(65536):
                found += piece
        except ConnectionError:
            pass
        return found


def get(host: str, path: str = "/state") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong-token-of-length"},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer t\xf6ken-of-some-length"},
    ],
)
@pytest.mark.parametrize("path", ["/health", "/state", "/metrics", "/nothing"])
async def test_nothing_is_told_without_the_token(guarded: Broker, headers: dict, path: str):
    """
    Every path answers 401, those that there are not too, and the answer has no token in it.
    """
    async with (
        aiohttp.ClientSession() as session,
        session.get(url(guarded, path), headers=headers) as answer,
    ):
        assert 401 == answer.status
        assert "Bearer" == answer.headers["WWW-Authenticate"]
        assert TOKEN not in await answer.text()


async def test_with_the_token_all_is_told(guarded: Broker):
    """
    What the token opens is the same as without one, whatever the Host is.
    """
    async with aiohttp.ClientSession(headers=BEARER) as session:
        async with session.get(url(guarded), headers={"Host": "metrics.example"}) as answer:
            assert "ok" == (await answer.json())["status"]
            assert "pyproducer" == answer.headers["Server"]
            assert "no-store" == answer.headers["Cache-Control"]
        async with session.post(url(guarded, "/tick"), json={"days": 1}) as answer:
            assert 86400 == (await answer.json())["ahead_seconds"]
        async with session.get(url(guarded, "/nothing")) as answer:
            assert (404, {"error": "Not Found"}) == (answer.status, await answer.json())
        async with session.put(url(guarded, "/tick"), json={}) as answer:
            assert (405, "POST") == (answer.status, answer.headers["Allow"])


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"Authorization: Bearer t\xf6ken-\xff", 401),
        (b"Expect: \xff\xff", 401),
        (b"Authorization: Bearer $\r\nExpect: \xff\xff", 417),
        (b"Authorization: Bearer $\r\nExpect: more", 417),
        (b"Authorization: Bearer $\r\nExpect: 100-Continue", 404),
    ],
)
def test_headers_that_are_no_text(guarded: Broker, line: bytes, status: int):
    """
    Bytes that are no UTF-8 are a wrong token, or ask for something that there is not, and whoever
    has no token is told nothing else, also of paths that there are not.
    """
    line = line.replace(b"$", TOKEN.encode())
    head = b"POST /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + line + b"\r\n\r\n"
    answer = talk(guarded, head).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert b"Server: pyproducer\r\n" in answer


@pytest.mark.parametrize(
    "more",
    ["charset=nonsense", "charset=idna", "charset=hex", "charset=utf-16", "c*", "*", "a*1=b"],
)
def test_json_is_utf_8(open_: Broker, more: str):
    """
    What parameters the header has is no matter: no codec is looked up by them.
    """
    body = b'{"days": 1}'
    head = (
        f"POST /tick HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: application/json; {more}\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    assert talk(open_, head.encode() + body).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tick", f'{{"days": 1{"0" * 400}}}'),
        ("/tick", '{"days": 1e400}'),
        ("/faults", '{"kind": "delay", "api": "Fetch", "seconds": 1e400}'),
        ("/faults", f'{{"kind": "delay", "api": "Fetch", "seconds": 1{"0" * 400}}}'),
    ],
)
async def test_times_that_nobody_lives_to_see(open_: Broker, path: str, body: str):
    """
    A number that is larger than any time is refused as such.
    """
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url(open_, path), data=body) as answer,
    ):
        assert 400 == answer.status
        assert "error" in await answer.json()


def test_two_tokens_are_none(guarded: Broker):
    """
    With two Authorization headers it is not for us to say which one counts.
    """
    line = f"Authorization: Bearer {TOKEN}\r\n"
    data = f"GET /state HTTP/1.1\r\nHost: x\r\n{line}{line}Connection: close\r\n\r\n".encode()
    assert talk(guarded, data).startswith((b"HTTP/1.1 401", b"HTTP/1.0 400", b"HTTP/1.1 400"))


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.0.0.1:80", "[::1]:9", "LOCALHOST:1", "127.1.2.3"]
)
def test_own_names_are_served(open_: Broker, host: str):
    """
    Without a token a request may call the broker by this machine's own names.
    """
    assert talk(open_, get(host)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "localhost.evil.example", "10.0.0.1", "[2001::1]", "", "["],
)
def test_other_names_are_not(open_: Broker, host: str):
    """
    A page whose name was told to be 127.0.0.1 (DNS rebinding) is refused by its name.
    """
    answer = talk(open_, get(host))
    assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.0 400"))
    assert b"orders" not in answer


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "broker.example"])
def test_address_of_others_takes_a_token(host: str):
    """
    A broker whose HTTP side others could reach is not made without a token; the reason is told.
    """
    with pytest.raises(ConfigError, match="can be reached from other machines"):
        Broker(http_port=0, http_host=host)
    Broker(http_port=0, http_host=host, http_token=TOKEN)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"http_port": 0, "http_token": "short"}, "takes at least 16"),
        ({"http_port": 0, "http_token": "with a space in between"}, "cannot carry"),
        ({"http_port": 0, "http_token": "sch\xf6n-und-lang-genug-so"}, "cannot carry"),
        ({"http_port": 0, "http_token": 5}, "is no text"),
        ({"http_token": TOKEN}, "give http_port"),
        ({"http_port": 0, "http_host": 5}, "is no address"),
        ({"http_port": 0, "http_key": "key.pem"}, "needs http_certificate"),
        ({"http_port": 0, "http_certificate": "/no/such.pem"}, "there is no file"),
        ({"http_port": 0, "http_certificate": "-----BEGIN nothing"}, "cannot be used"),
        ({"http_port": 0, "http_certificate": 5}, "takes a path"),
    ],
)
def test_impossible_settings(options: dict, told: str):
    """
    What cannot be is told by the option's name, without its secret.
    """
    with pytest.raises(ConfigError, match=told) as caught:
        Broker(**options)
    token = options.get("http_token")
    if isinstance(token, str) and len(token) > 5:
        assert token not in str(caught.value)


def test_token_is_not_shown(guarded: Broker, caplog: pytest.LogCaptureFixture):
    """
    Neither the settings' text nor what the HTTP side answers or logs has the token.
    """
    caplog.set_level(logging.DEBUG)
    assert TOKEN not in repr(guarded._settings)
    for path in ("/state", "/journal", "/metrics", "/topics", "/health", "/faults"):
        head = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close"
        answer = talk(guarded, f"GET {path} HTTP/1.1\r\n{head}\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200")
        assert TOKEN.encode() not in answer
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("as_text", [False, True], ids=["paths", "texts"])
async def test_https(tmp_path: Path, as_text: bool):
    """
    With a certificate and key, as paths or as texts, it is HTTPS, and plain HTTP gets nowhere.
    """
    authority = Authority(tmp_path)
    identity = authority.server()
    certificate: str | Path = identity.certificate
    key: str | Path = identity.key
    if as_text:
        certificate, key = identity.certificate.read_text(), identity.key.read_text()
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    async with Broker(http_port=0, http_certificate=certificate, http_key=key) as broker:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url(broker, scheme="https"), ssl=trusting) as answer,
        ):
            assert "ok" == (await answer.json())["status"]
        plain = await asyncio.to_thread(talk, broker, get("localhost"))
        assert not plain.startswith(b"HTTP/1.1 200")


def test_key_of_another_certificate(tmp_path: Path):
    """
    A key that does not belong to the certificate is told before anything is opened.
    """
    authority = Authority(tmp_path)
    one, other = authority.server("one"), authority.server("other")
    with pytest.raises(ConfigError, match="cannot be used"):
        Broker(http_port=0, http_certificate=one.certificate, http_key=other.key)


async def test_bodies_have_a_size(open_: Broker):
    """
    A body of more than 64 KiB is refused with 413, also one that does not say how long it is.
    """

    async def pieces():
        for _ in range(100):
            yield b" " * 4096

    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(url(open_, "/tick"), data=b" " * 70_000) as answer:
            assert 413 == answer.status
            assert "error" in await answer.json()
        try:
            async with session.post(url(open_, "/tick"), data=pieces()) as answer:
                assert 413 == answer.status
        except aiohttp.ClientOSError:
            pass  # it was closed before all was sent
        async with session.get(url(open_)) as answer:
            assert 200 == answer.status


def test_headers_have_a_size(open_: Broker):
    """
    A header of more than 8 KiB is refused.
    """
    data = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n"
    assert re.match(rb"HTTP/1\.[01] 400", talk(open_, data))


@pytest.mark.parametrize(
    "path",
    ["/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/faults/../../etc/passwd", "//etc"],
)
def test_paths_name_no_files(open_: Broker, path: str):
    """
    Whatever the path, no file of the machine is answered.
    """
    answer = talk(open_, get("localhost", path))
    assert b"root:" not in answer
    assert re.match(rb"HTTP/1\.1 40[04]", answer)


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET /hea", b"POST /tick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"],
)
def test_request_that_does_not_come_to_an_end(
    open_: Broker, begun: bytes, monkeypatch: pytest.MonkeyPatch
):
    """
    A request that has not arrived after its time ends its connection, however far it got.
    """
    guard = open_._run().http_guard
    monkeypatch.setattr(guard, "patience", 0.2)
    assert not talk(open_, begun).startswith(b"HTTP/1.1 200")
    assert talk(open_, get("localhost")).startswith(b"HTTP/1.1 200")


def test_connections_are_limited(open_: Broker):
    """
    There are so many connections and no more, and room comes back when one leaves.
    """
    clients = [
        socket.create_connection(("127.0.0.1", open_.http_port), timeout=10)
        for _ in range(CONNECTIONS)
    ]
    try:
        for client in clients:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert b"" == talk(open_, get("localhost"))
        clients.pop().close()
        served = b""
        while not served:
            served = talk(open_, get("localhost"))
        assert served.startswith(b"HTTP/1.1 200")
    finally:
        for client in clients:
            client.close()
