"""The bridge from a group's tickets to asyncio's futures."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from pyproducer.broker.groups.member import Ticket

R = TypeVar("R")


def ticket_for(answer: asyncio.Future[R]) -> Ticket:
    """Return a ticket that resolves `answer`.

    The client of a parked request may have gone away meanwhile, which cancels the future; its
    answer is then for nobody.
    """

    def resolve(result: R) -> None:
        if not answer.done():
            answer.set_result(result)

    return resolve
