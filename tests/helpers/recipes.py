"""The recipes of the guide to security: fenced as ``py``, as a user copies them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pyproducer import AsyncProducer
from tests.helpers.secured import USER, USERS, Certificates
from tests.helpers.snippets import Block, blocks
from tests.helpers.source_tree import ROOT
from tests.helpers.token_server import CLIENT_SECRET, TokenServer

PAGE = ROOT / "docs" / "pages" / "guides" / "security.md"
RECIPES = [block for block in blocks(PAGE) if block.language == "py"]
#: What stands for a broker, and for an authorization server, of the reader's own.
HOST = "kafka.example.com:9093"
TOKENS = "https://login.example.com/oauth2/token"
#: Those that a broker here can be written to by.
OWN = [one for one in RECIPES if HOST in one.text and "GSSAPI" not in one.text]

_SECRETS = {
    "KAFKA_PASSWORD": USERS[USER],
    "CLIENT_SECRET": CLIENT_SECRET,
    "CONFLUENT_API_KEY": "key",
    "CONFLUENT_API_SECRET": "secret",
    "EVENTHUBS_CONNECTION_STRING": "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKey=x",
    "AZURE_TENANT_ID": "tenant",
    "AZURE_CLIENT_ID": "client",
    "AZURE_CLIENT_SECRET": "secret",
}


def furnish(
    folder: Path, monkeypatch: pytest.MonkeyPatch, certificates: Certificates, tokens: TokenServer
) -> None:
    """The folder is the current one, and has with the environment all that the recipes name."""
    monkeypatch.chdir(folder)
    for name, value in _SECRETS.items():
        monkeypatch.setenv(name, value)
    own = certificates.clients[USER]
    copies = {
        "ca.pem": certificates.authority.certificate,
        "client.pem": own.certificate,
        "client.key": own.key,
        "service.cert": own.certificate,
        "service.key": own.key,
    }
    for name, source in copies.items():
        (folder / name).write_bytes(source.read_bytes())
    (folder / "token.jwt").write_text(tokens.token(USER) + "\n")


def made(block: Block, *, host: str = HOST, tokens: str = TOKENS) -> AsyncProducer:
    """The producer that a recipe makes, for this broker and this authorization server."""
    text = block.text.replace(HOST, host).replace(TOKENS, tokens)
    if "GSSAPI" in text and importlib.util.find_spec("gssapi") is None:
        pytest.skip("no package gssapi: pip install 'pyproducer[gssapi]'")
    names: dict[str, object] = {"__name__": "recipe"}
    exec(compile("\n" * (block.line - 1) + text, str(PAGE), "exec"), names)
    producer = names["producer"]
    assert isinstance(producer, AsyncProducer)
    return producer


def listener_of(block: Block) -> str:
    """The listener that a recipe is for."""
    if "ssl_certificate" in block.text:
        return "MTLS"
    return "SASL" if "sasl_mechanism" in block.text else "TLS"


def line_id(block: Block) -> str:
    """The name of its test."""
    return f"line {block.line}"
