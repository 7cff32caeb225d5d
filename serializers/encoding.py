"""Names of text encodings."""

from __future__ import annotations

import codecs

__all__ = ["canonical_encoding"]


def canonical_encoding(encoding: str) -> str:
    """Return the one name that Python has for a text encoding.

    Raises:
        ValueError: there is no such encoding, or it is not one of text.
    """
    try:
        # Encoding nothing tells codecs that are no text encodings (hex, rot13) from those that are.
        "".encode(encoding)
        return codecs.lookup(encoding).name
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"encoding={encoding!r} must be a text encoding: {error}") from error
