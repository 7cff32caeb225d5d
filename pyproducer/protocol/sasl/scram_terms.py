"""What Kafka says about SCRAM: its mechanisms, and how passwords are salted and hashed for them."""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["HASHES", "MAX_ITERATIONS", "MIN_ITERATIONS", "NAMES", "NUMBERS", "SALT_BYTES", "salted"]

#: Of each mechanism the hash that it is named after.
HASHES: Final = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
#: Kafka's numbers for them, and which is meant by a number.
NUMBERS: Final = {"SCRAM-SHA-256": 1, "SCRAM-SHA-512": 2}
NAMES: Final = {number: name for name, number in NUMBERS.items()}
#: Fewest rounds of hashing that Kafka and RFC 7677 allow, and most that Kafka does: more would let
#: one who sets a password make whoever logs in with it hash for seconds.
MIN_ITERATIONS: Final = 4096
MAX_ITERATIONS: Final = 16384
#: Of a new salt.
SALT_BYTES: Final = 24


def salted(mechanism: str, password: str, salt: bytes, iterations: int) -> bytes:
    """What RFC 5802 calls SaltedPassword."""
    return hashlib.pbkdf2_hmac(HASHES[mechanism], password.encode(), salt, iterations)
