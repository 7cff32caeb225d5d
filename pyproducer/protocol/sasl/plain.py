"""PLAIN (RFC 4616): name and password as they are."""

from __future__ import annotations

__all__ = ["Plain"]


class Plain:
    """Sends name and password in one message; what comes back says nothing."""

    name = "PLAIN"
    blocking = False
    complaint = ""

    def __init__(self, username: str, password: str) -> None:
        self.done = False
        self._message = f"\0{username}\0{password}".encode()

    def step(self, challenge: bytes | None) -> bytes | None:
        """See :class:`~pyproducer.protocol.sasl.mechanism.Mechanism`."""
        if challenge is None:
            return self._message
        self.done = True
        return None
