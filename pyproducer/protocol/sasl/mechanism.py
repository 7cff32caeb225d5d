"""What a mechanism of SASL is to the exchange that carries its messages."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Mechanism"]


class Mechanism(Protocol):
    """One authentication by one mechanism, on the client's side; another needs another object.

    Attributes:
        name: Kafka's name of it.
        blocking: True where a step may take its time (a key derived, a ticket fetched): then it
            is made by another thread than the one that reads the connection.
        done: True once nothing is left to be said, and the server has proven itself where the
            mechanism has it do so.
        complaint: what the server said of the reasons for its refusal, in a challenge; "" for
            nothing.
    """

    name: str
    blocking: bool
    done: bool
    complaint: str

    def step(self, challenge: bytes | None) -> bytes | None:
        """Answer the server.

        Args:
            challenge: its last message; None for the first step, which begins.

        Returns:
            The next message to it; None where there is nothing more to be said.

        Raises:
            AuthenticationError: the server does not prove who it is, or breaks the mechanism's
                rules.
        """
