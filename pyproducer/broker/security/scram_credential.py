"""What a broker keeps of a password: enough to recognise it, not enough to use it (RFC 5802)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from pyproducer.protocol.sasl.scram_terms import HASHES, MIN_ITERATIONS, SALT_BYTES, salted

__all__ = ["ScramCredential"]


class ScramCredential(NamedTuple):
    """A password, salted and hashed.

    Attributes:
        salt: Random bytes of this one.
        stored_key: What a client's proof is checked with.
        server_key: What the broker proves with that it knows the user.
        iterations: Rounds of hashing that went into it.
    """

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int

    def __repr__(self) -> str:
        # With the stored key one could try passwords without asking the broker.
        return f"ScramCredential(iterations={self.iterations})"

    @classmethod
    def of_password(
        cls, mechanism: str, password: str, *, iterations: int = MIN_ITERATIONS
    ) -> ScramCredential:
        """The credential of a password, with a new salt."""
        salt = secrets.token_bytes(SALT_BYTES)
        hashed = salted(mechanism, password, salt, iterations)
        return cls.of_salted(mechanism, hashed, salt, iterations)

    @classmethod
    def of_salted(
        cls, mechanism: str, salted_password: bytes, salt: bytes, iterations: int
    ) -> ScramCredential:
        """The credential of a password that its owner has salted and hashed."""
        name = HASHES[mechanism]
        client_key = hmac.digest(salted_password, b"Client Key", name)
        return cls(
            salt,
            hashlib.new(name, client_key).digest(),
            hmac.digest(salted_password, b"Server Key", name),
            iterations,
        )

    @classmethod
    def of_nobody(cls, mechanism: str, name: str, secret: bytes) -> ScramCredential:
        """What a user who is not there seems to have: always the same, and no password fits it.

        Args:
            mechanism: The mechanism.
            name: The name that somebody tries.
            secret: Known to this broker alone.
        """
        seed = hmac.digest(secret, f"{mechanism}:{name}".encode(), "sha512")
        size = hashlib.new(HASHES[mechanism]).digest_size
        return cls(seed[:SALT_BYTES], secrets.token_bytes(size), seed[-size:], MIN_ITERATIONS)

    def matches(self, mechanism: str, password: str) -> bool:
        """Whether it is this password; takes as long if not."""
        hashed = salted(mechanism, password, self.salt, self.iterations)
        found = self.of_salted(mechanism, hashed, self.salt, self.iterations)
        return hmac.compare_digest(found.stored_key, self.stored_key)

    def as_json(self) -> dict[str, Any]:
        """What is written to disk."""
        return {
            "iterations": self.iterations,
            "salt": _text(self.salt),
            "server_key": _text(self.server_key),
            "stored_key": _text(self.stored_key),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> ScramCredential:
        """What `as_json` gave, back.

        Raises:
            ValueError: It is something else.
        """
        try:
            salt, stored, server = (
                base64.b64decode(kept[name], validate=True)
                for name in ("salt", "stored_key", "server_key")
            )
            return cls(salt, stored, server, int(kept["iterations"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"a stored credential has no {error}") from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
