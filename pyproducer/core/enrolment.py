"""The producer id of a producer without transactions: when it is asked for, and what follows."""

from __future__ import annotations

import logging
from typing import Protocol

from pyproducer.core.accumulator import PartitionQueue
from pyproducer.core.backoff import Backoff
from pyproducer.core.endings import MakeError, denied_by
from pyproducer.core.identity import Identity
from pyproducer.core.identity_verdict import IdentityAction, identity_refused, judge_identity
from pyproducer.core.links import NEVER
from pyproducer.core.settler import Settler
from pyproducer.errors import BrokerRejected
from pyproducer.protocol.error_codes import error_name
from pyproducer.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)

__all__ = ["Enrolment", "EnrolmentHost"]

logger = logging.getLogger("pyproducer.engine")


class EnrolmentHost(Protocol):
    """What it asks of the engine around it."""

    def ready(self, queue: PartitionQueue) -> None:
        """The partition may have something to send."""

    def fail_all(self, make: MakeError, now: float, *, spare_sent: bool = False) -> int:
        """Settle everything that is left; how many records that were is returned."""

    def fatal(self, error: BrokerRejected, now: float) -> None:
        """The producer as a whole is refused: everything fails, and it takes no more."""


class Enrolment:
    """Asks brokers for an id, one question at a time, with pauses between those that fail.

    Where a right is missing, the records that wait for the id fail, and it is asked for again as
    soon as there are others: whoever gives the right need not have the producer made anew.
    """

    def __init__(
        self, identity: Identity, settler: Settler, backoff: Backoff, host: EnrolmentHost
    ) -> None:
        self._identity = identity
        self._settler = settler
        self._backoff = backoff
        self._host = host
        self._asked = self._denied = False
        self._at = 0.0
        self._failures = 0

    def due(self) -> float:
        """When the next question is to be asked, in monotonic seconds; NEVER for not at all."""
        if self._asked or self._identity.known or (self._denied and not self._settler.live):
            return NEVER
        return self._at

    def question(self) -> InitProducerIdRequest:
        """The question, which is asked now."""
        self._asked = True
        return InitProducerIdRequest(transactional_id=None)

    def lost(self) -> None:
        """Nobody will answer what was asked."""
        self._asked = False

    def on_answer(self, response: InitProducerIdResponse, now: float) -> None:
        """Take what a broker gives, or what it says in place of it."""
        self._asked = False
        code = response.error_code
        match judge_identity(code):
            case IdentityAction.TAKE if response.producer_id >= 0:
                self._failures = 0
                self._denied = False
                self._identity.assign(response.producer_id, response.producer_epoch)
                for batch in list(self._settler.live.values()):
                    if batch.home.queue is not None:
                        self._host.ready(batch.home.queue)
            case IdentityAction.TAKE | IdentityAction.ASK:
                if self._identity.refusal != code:
                    logger.warning("no producer id: %s; asking again", error_name(code))
                self._put_off(code, now)
            case IdentityAction.DENY:
                error = identity_refused(code)
                if not self._denied:
                    logger.error("%s; records fail until then", error)
                self._denied = True
                self._put_off(code, now)
                # Those on the wire have an id already, an older one.
                self._host.fail_all(denied_by(error), now, spare_sent=True)
            case IdentityAction.STOP:
                self._host.fatal(identity_refused(code), now)

    def _put_off(self, code: int, now: float) -> None:
        self._identity.refusal = code
        self._failures += 1
        self._at = now + self._backoff.delay(self._failures)
