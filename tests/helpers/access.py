"""One way into a cluster, said in the words of each client."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiokafka.abc
import jwt

from pyproducer.security import Token
from tests.helpers.authority import Identity


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where, how secured, and as whom.

    Attributes:
        address: the bootstrap server.
        protocol: Kafka's name of the security protocol.
        mechanism: the SASL mechanism, if any.
        username: for PLAIN and SCRAM.
        password: the same.
        token: makes a token for OAUTHBEARER.
        authority: the file of certificates to trust.
        shown: the client's own certificate.
    """

    address: str
    protocol: str = "PLAINTEXT"
    mechanism: str | None = None
    username: str | None = None
    password: str | None = None
    token: Callable[[], str] | None = None
    authority: Path | None = None
    shown: Identity | None = None

    @property
    def name(self) -> str:
        """For tables."""
        kind = f"{self.protocol} {self.mechanism}" if self.mechanism else self.protocol
        return f"{kind}, client certificate" if self.shown else kind

    def context(self) -> ssl.SSLContext | None:
        """What Python's clients use for TLS."""
        if not self.protocol.endswith("SSL"):
            return None
        context = ssl.create_default_context(cafile=self.authority)
        if self.shown:
            context.load_cert_chain(self.shown.certificate, self.shown.key)
        return context

    def ours(self) -> dict[str, Any]:
        """Options of our producers."""
        found: dict[str, Any] = {"security_protocol": self.protocol}
        if self.authority:
            found["ssl_ca"] = self.authority
        if self.shown:
            found |= {"ssl_certificate": self.shown.certificate, "ssl_key": self.shown.key}
        if self.mechanism:
            found["sasl_mechanism"] = self.mechanism
        if self.token:
            found["sasl_token_provider"] = self._give_token
        elif self.username:
            found |= {"sasl_username": self.username, "sasl_password": self.password}
        return found

    def librdkafka(self) -> dict[str, Any]:
        """Configuration of confluent-kafka."""
        found: dict[str, Any] = {"security.protocol": self.protocol}
        if self.authority:
            found["ssl.ca.location"] = str(self.authority)
        if self.shown:
            found["ssl.certificate.location"] = str(self.shown.certificate)
            found["ssl.key.location"] = str(self.shown.key)
        if self.mechanism:
            found["sasl.mechanism"] = self.mechanism
        if self.token:
            found["oauth_cb"] = self._oauth_callback
        elif self.username:
            found |= {"sasl.username": self.username, "sasl.password": self.password}
        return found

    def aiokafka(self) -> dict[str, Any]:
        """Arguments of aiokafka's clients."""
        found = {"security_protocol": self.protocol, "ssl_context": self.context()}
        if self.mechanism:
            found["sasl_mechanism"] = self.mechanism
        if self.token:
            found["sasl_oauth_token_provider"] = _AioKafkaTokens(self.token)
        elif self.username:
            found["sasl_plain_username"] = self.username
            found["sasl_plain_password"] = self.password
        return found

    def kafka_python(self) -> dict[str, Any]:
        """Arguments of kafka-python's clients."""
        found = self.aiokafka()
        if self.token:
            from kafka.net.sasl.oauth import AbstractTokenProvider

            class Tokens(AbstractTokenProvider):
                def token(tokens) -> str:  # noqa: N805 - self is the access
                    assert self.token
                    return self.token()

            found["sasl_oauth_token_provider"] = Tokens()
        return found

    def kcat(self) -> list[str]:
        """Options of kcat's command line; OAUTHBEARER has none."""
        return [
            word for name, value in self.librdkafka().items() for word in ("-X", f"{name}={value}")
        ]

    async def _give_token(self) -> Token:
        assert self.token
        value = self.token()
        expires = jwt.decode(value, options={"verify_signature": False})["exp"]
        return Token(value, expires_at=expires)

    def _oauth_callback(self, _config: str) -> tuple[str, float]:
        assert self.token
        token = self.token()
        expires = jwt.decode(token, options={"verify_signature": False})["exp"]
        return token, max(expires, time.time() + 1)


class _AioKafkaTokens(aiokafka.abc.AbstractTokenProvider):
    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make

    async def token(self) -> str:
        return self._make()
