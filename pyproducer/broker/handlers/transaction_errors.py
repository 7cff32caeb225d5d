"""Error codes of transactions in the words of older clients."""

from __future__ import annotations

from pyproducer.protocol.error_codes import ErrorCode

_NEVER = 1 << 15


def as_told(
    code: int, version: int, *, fenced_since: int = _NEVER, abortable_since: int = _NEVER
) -> int:
    """Return the code for a client of that request version.

    Args:
        code: What the coordinator says.
        version: Version of the request.
        fenced_since: First version that knows PRODUCER_FENCED (KIP-588).
        abortable_since: First version that knows TRANSACTION_ABORTABLE (KIP-890).
    """
    if code == ErrorCode.PRODUCER_FENCED and version < fenced_since:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if code == ErrorCode.TRANSACTION_ABORTABLE and version < abortable_since:
        return ErrorCode.INVALID_TXN_STATE
    return code
