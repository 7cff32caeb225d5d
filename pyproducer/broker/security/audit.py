"""The audit log: who came in or did not, what was decided about whom, and who changed what.

It has a logger of its own, `LOGGER`, as Kafka has `kafka.authorizer.logger`, and each line is one
event in Kafka's words::

    Principal = User:bob is Denied operation = WRITE from host = 10.0.0.7 on resource =
    Topic:LITERAL:orders for request = Produce based on rule DefaultDeny

Names are whatever a peer says. One that has anything but letters, digits and a few signs is written
in double quotes as JSON has it, in ASCII, so that nobody can end a line or a field, or colour a
terminal; what is longer than `LONGEST` is cut. What peers can cause at will is written so often for
an address, and for all of them, and then counted: the count follows.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from pyproducer.broker.admission import counted
from pyproducer.broker.quotas.meters import TokenBucket, Window
from pyproducer.protocol.acl import Acl
from pyproducer.protocol.api import API

if TYPE_CHECKING:
    from pyproducer.broker.context import ConnectionInfo, RequestContext
    from pyproducer.broker.security.authorizer import Authorizer
    from pyproducer.protocol.acl_terms import AclOperation, ResourceType

__all__ = ["LOGGER", "LONGEST", "Audit", "shown"]

#: Name of the logger.
LOGGER: Final = "pyproducer.broker.audit"
#: Characters of a name that are written at most.
LONGEST: Final = 256

_log = logging.getLogger(LOGGER)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.,:;=@/*+-]+", re.ASCII)
#: Lines a second, of one address and of all; in ten seconds that many may come at once.
_PER_ADDRESS: Final = 10.0
_OF_ALL: Final = 100.0
_WINDOW: Final = Window(10, 1000)
#: Addresses that have a count of their own.
_ADDRESSES: Final = 1000
_OTHERS: Final = "others"
#: Seconds between two looks at what was left out.
TOLD_EVERY: Final = 10.0


class Audit:
    """What a broker writes to the audit log.

    Args:
        now: Gives real time in seconds, of a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._buckets: dict[str, TokenBucket] = {}
        self._all = TokenBucket(_WINDOW)
        self._left_out: Counter[str] = Counter()
        self._last: tuple[object, ...] = ()

    def decided(
        self,
        context: RequestContext,
        authorizer: Authorizer,
        need: tuple[AclOperation, ResourceType],
        name: str,
        *,
        allowed: bool,
    ) -> None:
        """Somebody has asked for something, and may have it (DEBUG) or not (INFO)."""
        level = logging.DEBUG if allowed else logging.INFO
        if not _log.isEnabledFor(level):
            return
        connection = context.connection
        # Once for a topic of a request, however many partitions it names.
        same = connection.number, context.correlation_id, context.api_key, need, name
        if same == self._last:
            return
        self._last = same
        host = connection.peer_host
        if not allowed and not self._may_write(host):
            return
        operation, kind = need
        basis = authorizer.basis(connection.principal, host, operation, kind, name)
        rule = f"MatchingAcl(acl={shown(str(basis))})" if isinstance(basis, Acl) else basis
        _log.log(
            level,
            "Principal = %s is %s operation = %s from host = %s on resource = %s:LITERAL:%s "
            "for request = %s based on rule %s",
            shown(str(connection.principal)),
            "Allowed" if allowed else "Denied",
            operation.value.upper(),
            shown(host),
            kind.value.title().replace("_", ""),
            shown(name),
            API[context.api_key].name,
            rule,
        )

    def authenticated(self, connection: ConnectionInfo, mechanism: str, *, again: bool) -> None:
        """A client has proved who it is, for the first time (INFO) or again (DEBUG)."""
        level = logging.DEBUG if again else logging.INFO
        if not _log.isEnabledFor(level) or not self._may_write(connection.peer_host):
            return
        _log.log(
            level,
            "Principal = %s is %s from host = %s at listener = %s by mechanism = %s",
            shown(str(connection.principal)),
            "Authenticated again" if again else "Authenticated",
            shown(connection.peer_host),
            connection.listener,
            shown(mechanism),
        )

    def refused(
        self,
        connection: ConnectionInfo,
        mechanism: str,
        who: str,
        reason: str,
        *,
        again: bool = False,
    ) -> None:
        """A client has not proved who it is (INFO).

        Args:
            connection: Its connection.
            mechanism: By what it tried; "" if it did not come that far.
            who: Who it says that it is, as a principal; "" if it did not.
            reason: Why not, which has no secrets.
            again: Whether it was known before.
        """
        if not _log.isEnabledFor(logging.INFO) or not self._may_write(connection.peer_host):
            return
        _log.info(
            "Principal = %s is Not authenticated%s from host = %s at listener = %s by mechanism = "
            "%s: %s",
            shown(who) if who else "unknown",
            " again" if again else "",
            shown(connection.peer_host),
            connection.listener,
            shown(mechanism) if mechanism else "none",
            shown(reason),
        )

    def changed(self, context: RequestContext, what: str, items: Iterable[str]) -> None:
        """Somebody has changed who may do what, come in, or have how much (INFO, all of it).

        Args:
            context: The request.
            what: What has happened to the items.
            items: Each of them, without secrets.
        """
        connection = context.connection
        for item in items:
            _log.info(
                "Principal = %s from host = %s %s %s for request = %s",
                shown(str(connection.principal)),
                shown(connection.peer_host),
                what,
                shown(item),
                API[context.api_key].name,
            )

    def tell_left_out(self) -> None:
        """Writes how many lines were not written since the last time."""
        left_out, self._left_out = self._left_out, Counter()
        for host, count in left_out.items():
            _log.info("%d more lines about host = %s were left out", count, shown(host))

    def _may_write(self, host: str) -> bool:
        address, now_ms = counted(host), int(self._now() * 1000)
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._new_bucket(address, now_ms)
        if bucket.throttle_ms(_PER_ADDRESS, now_ms) or self._all.throttle_ms(_OF_ALL, now_ms):
            known = address in self._left_out or len(self._left_out) < _ADDRESSES
            self._left_out[address if known else _OTHERS] += 1
            return False
        bucket.spend(1, _PER_ADDRESS, now_ms)
        self._all.spend(1, _OF_ALL, now_ms)
        return True

    def _new_bucket(self, address: str, now_ms: int) -> TokenBucket:
        if len(self._buckets) >= _ADDRESSES:
            self._buckets = {
                one: bucket
                for one, bucket in self._buckets.items()
                if not bucket.idle(_PER_ADDRESS, now_ms)
            }
        if len(self._buckets) >= _ADDRESSES:
            # So many at once are held back by what all of them may have.
            return TokenBucket(_WINDOW)
        bucket = self._buckets[address] = TokenBucket(_WINDOW)
        return bucket


def shown(text: str) -> str:
    """The text as a part of a line: as it is where that is harmless, else quoted; never long."""
    cut = text[:LONGEST]
    more = f"({len(text) - LONGEST} more)" if len(text) > LONGEST else ""
    if _PLAIN.fullmatch(cut):
        return cut + more
    return json.dumps(cut).replace("\x7f", "\\u007f") + more
