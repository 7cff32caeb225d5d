"""When a connection has to prove anew who we are, before the broker stops believing it (KIP-368).

A broker may tell at the end of an authentication how long it is good for. After 85 to 95 % of
that, each connection at another moment, it is authenticated anew, whether anything is sent on it
or not. Where nothing can be proven (no token is to be had), that is tried again until the session
ends; then the connection is given up, and made anew when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pyproducer.core.accumulator import Node
from pyproducer.core.backoff import Backoff
from pyproducer.core.effects import Authenticate, Effect

__all__ = ["Sessions"]

_NEVER: Final = float("inf")

#: The part of a session after which to authenticate anew, and by how much more at most.
_RENEWED_AT: Final = 0.85
_JITTER: Final = 0.10

#: Seconds that Kafka's brokers want between two authentications of a connection.
_SOONEST: Final = 1.0

#: Seconds between two attempts to prove who we are, the first pause and the longest.
_PAUSES: Final = (1.0, 30.0)


class Sessions:
    """Keeps the times of all connections.

    Args:
        effects: where what has to be done is put.
        patience: seconds that an authentication may take.
        random: from 0 to 1.
    """

    def __init__(self, effects: list[Effect], patience: float, random: Callable[[], float]) -> None:
        self._effects = effects
        self._patience = patience
        self._random = random
        self._backoff = Backoff(*_PAUSES, random)

    def begun(self, node: Node, lifetime: float, now: float) -> None:
        """The broker has accepted who we are, for so many seconds; 0 for good."""
        node.renewing, node.renewals, node.trouble = False, 0, ""
        node.renew_at = node.session_ends = _NEVER
        if lifetime > 0:
            node.session_ends = now + lifetime
            after = lifetime * (_RENEWED_AT + _JITTER * self._random())
            # Whoever comes back sooner is refused, as one who would keep the broker busy.
            node.renew_at = now + (max(after, _SOONEST) if lifetime >= _SOONEST else after)

    def failed(self, node: Node, reason: str, now: float) -> None:
        """Nothing could be had to prove who we are; the session goes on as it is, while it does."""
        if not node.connected or not node.renewing:
            return
        node.renewing = False
        node.renewals += 1
        node.trouble = reason
        at = now + self._backoff.delay(node.renewals)
        node.renew_at = min(at, max(now, node.session_ends))

    def due(self, node: Node, now: float) -> str:
        """Have a connection authenticated anew, as its time has come.

        Returns:
            Why the connection is of no use any more; "" where it is.
        """
        if not node.connected:
            node.renew_at = _NEVER
            return ""
        if node.renewing:
            return f"the broker did not answer the authentication for {self._patience:g} s"
        if node.trouble and now >= node.session_ends:
            return f"its session has ended, and could not be renewed: {node.trouble}"
        node.renewing = True
        node.renew_at = now + self._patience
        self._effects.append(Authenticate(node.node_id))
        return ""
