"""The error of an authorization server that gave no token."""

from __future__ import annotations

from typing import Any

from pyproducer.errors import ProviderFailed

__all__ = ["TokenRequestFailed"]


class TokenRequestFailed(ProviderFailed):
    """An authorization server gave no token.

    Attributes:
        url: the token endpoint.
        status: of the HTTP answer, or None where there was none.
        error: OAuth's code of the refusal, as ``invalid_client``, or None.
        description: the server's own words, or None.
        retriable: it may give one later.
    """

    def __init__(
        self,
        message: str,
        *,
        url: str,
        status: int | None = None,
        error: str | None = None,
        description: str | None = None,
        retriable: bool = False,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.url = url
        self.status = status
        self.error = error
        self.description = description
        self.retriable = retriable
