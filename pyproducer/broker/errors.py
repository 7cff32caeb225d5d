"""The one exception with which the broker's parts refuse a client's wish."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Refused(Exception):
    """A request, or one item of it, gets a Kafka error code as its answer.

    It never ends a connection: handlers turn it into the item's error fields, and its
    neighbours in the same request are not touched.

    Args:
        code: Kafka's error code.
        message: What was wrong and what to change, for the client's user; None leaves the
            code to speak for itself.
        record_errors: For a refused batch, (index in the batch, message) of the records at
            fault.
    """

    def __init__(
        self,
        code: int,
        message: str | None = None,
        record_errors: Sequence[tuple[int, str | None]] = (),
    ) -> None:
        super().__init__(code, message)
        self.code = int(code)
        self.message = message
        self.record_errors = tuple(record_errors)

    def __str__(self) -> str:
        return f"error {self.code}: {self.message or 'no message'}"
