"""A hostile broker that a producer proves itself to: every message of every mechanism.

The input is the mechanism, then the broker's messages, each behind its length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pyproducer.errors import AuthenticationError
from pyproducer.protocol.sasl.mechanism import Mechanism
from pyproducer.protocol.sasl.oauthbearer import OAuthBearer
from pyproducer.protocol.sasl.plain import Plain
from pyproducer.protocol.sasl.scram import Scram
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target

_NONCE = "nonce"
_MECHANISMS: tuple[Callable[[], Mechanism], ...] = (
    lambda: Scram("SCRAM-SHA-256", "user", "secret", _NONCE),
    lambda: Scram("SCRAM-SHA-512", "user", "secret", _NONCE),
    lambda: Plain("user", "secret"),
    lambda: OAuthBearer("token-secret", {}),
)


def run(data: bytes) -> None:
    """A mechanism goes on, or says why it does not, and never what the secret is."""
    bites = Bites(data)
    mechanism = bites.one_of(_MECHANISMS)()
    try:
        mechanism.step(None)
        for _ in range(3):
            if not bites or mechanism.done:
                break
            mechanism.step(bites.some())
    except AuthenticationError as error:
        assert "secret" not in str(error)
    # Nobody who does not know the password can prove that he does.
    assert not (isinstance(mechanism, Scram) and mechanism.done)


def seeds() -> Iterator[bytes]:
    """What an honest broker says, and what takes long or says nothing."""
    for number in range(len(_MECHANISMS)):
        for first in (
            b"r=nonceserver,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096",
            b"r=nonceserver,s=c2FsdHNhbHRzYWx0c2FsdA==,i=2147483647",
            b"r=nonceserver,s=c2FsdHNhbHRzYWx0c2FsdA==,i=1",
            b"r=other,s=,i=-1",
            b"e=unknown-user",
            b'{"status":"invalid_token"}',
            b"m=x,r=nonceserver,s=!!!,i=4096",
        ):
            yield bytes((number, len(first))) + first + b"\x06v=AAAA\x0ae=no-reason"


TARGET = Target(run, seeds, max_len=200)
