"""SCRAM (RFC 5802, RFC 7677): both prove that they know the password, and neither tells it."""

from __future__ import annotations

import re
from typing import Final

from scramp import ScramClient, ScramException

from pyproducer.errors import AuthenticationError, CredentialsRefused

__all__ = ["Scram"]

#: Times that a password is hashed at a server's word; a second or so. Kafka's tools ask for no more
#: than 16,384, and a hostile server would ask for 2**31.
_MOST_ITERATIONS: Final = 1_000_000
_ITERATIONS: Final = re.compile(r"(?:^|,)i=([0-9]+)")


class Scram:
    """SCRAM-SHA-256 or SCRAM-SHA-512.

    Args:
        name: which of them.
        username: ours.
        password: ours.
        nonce: what no other exchange has had; None for one of the operating system's.
    """

    #: The password is hashed some thousand times, which takes milliseconds.
    blocking = True

    def __init__(self, name: str, username: str, password: str, nonce: str | None = None) -> None:
        self.name = name
        self.done = False
        self.complaint = ""
        self._client = ScramClient([name], "name", "password", c_nonce=nonce)
        # Put in place by hand: the constructor's argument goes through SASLprep, which Kafka's
        # brokers leave out. Both sides have to hash the same bytes.
        self._client.username.username = username
        self._client.password.password = password
        self._steps = 0

    def step(self, challenge: bytes | None) -> bytes | None:
        """See :class:`~pyproducer.protocol.sasl.mechanism.Mechanism`."""
        client = self._client
        if challenge is None:
            first: str = client.get_client_first()
            return first.encode()
        self._steps += 1
        try:
            text = challenge.decode("utf-8")
            if self._steps == 1:
                self._check_work(text)
                client.set_server_first(text)
                final: str = client.get_client_final()
                return final.encode()
            client.set_server_final(text)
        except ScramException as error:
            if text.startswith("e="):
                raise CredentialsRefused(
                    f"the broker refuses user {client.username.username!r}: {text[2:]}",
                    mechanism=self.name,
                ) from error
            raise self._broken(str(error)) from error
        except ValueError as error:
            raise self._broken(str(error)) from error
        self.done = True
        return None

    def _check_work(self, text: str) -> None:
        # All of them: which of two counts a reader takes is its own affair.
        for count in _ITERATIONS.findall(text):
            if len(count) > len(str(_MOST_ITERATIONS)) or int(count) > _MOST_ITERATIONS:
                raise self._broken(
                    f"it wants the password hashed {count[:20]} times, and {_MOST_ITERATIONS} are "
                    "the most"
                )

    def _broken(self, reason: str) -> AuthenticationError:
        return AuthenticationError(
            f"the broker does not prove that it knows the password: {reason}; it may not be the "
            "one that it says it is",
            mechanism=self.name,
        )
