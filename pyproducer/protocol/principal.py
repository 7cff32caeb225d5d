"""Who is at the other end of a connection."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["ANONYMOUS", "USER", "Principal"]

#: The one kind of principal that Kafka authenticates.
USER: Final = "User"


class Principal(NamedTuple):
    """A name with its kind, written ``User:alice``.

    Attributes:
        kind: ``User``, unless somebody has made up another.
        name: What authentication found: a user's name, or a certificate's subject.
    """

    kind: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Principal:
        """The principal that ``str`` gave the text of.

        Raises:
            ValueError: The text has no kind or no name.
        """
        kind, colon, name = text.partition(":")
        if not (kind and colon and name):
            raise ValueError(f"{text!r} is no principal; write it as kind and name, User:alice")
        return cls(kind, name)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


#: Everybody on a connection that nobody authenticates.
ANONYMOUS: Final = Principal(USER, "ANONYMOUS")
