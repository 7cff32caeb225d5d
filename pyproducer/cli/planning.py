"""How many partitions a topic needs, from throughputs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from pyproducer.cli.exits import CliError, Exit

__all__ = ["Plan", "Rate", "parse_rate", "plan"]

_RATE = re.compile(
    r"\s*(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<prefix>[kKmMgGtT]?)(?P<binary>i?)(?P<byte>[bB]?)"
    r"\s*(?:/s|ps)?\s*"
)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@dataclass(frozen=True, slots=True)
class Rate:
    """Something per second.

    Attributes:
        amount: how much.
        bytes: whether it counts bytes; else records, or whatever was meant.
        text: as it was written.
    """

    amount: Fraction
    bytes: bool
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A number of partitions and where it comes from."""

    partitions: int
    for_producers: Fraction
    for_consumers: Fraction


def parse_rate(option: str, text: str) -> Rate:
    """A rate such as ``50MB``, ``1.5 GiB/s`` or ``20000``.

    Raises:
        CliError: it is none, or zero.
    """
    match = _RATE.fullmatch(text)
    if match is None or (match["binary"] and not match["byte"]):
        raise CliError(
            f"{option} {text!r} is no rate a second: write 50MB, 1.5GiB or, for records, 20000",
            Exit.USAGE,
        )
    base = 1024 if match["binary"] else 1000
    amount = Fraction(match["number"]) * base ** _POWERS[match["prefix"].lower()]
    if not amount:
        raise CliError(f"{option} must be more than 0", Exit.USAGE)
    return Rate(amount, bool(match["byte"]), text.strip())


def plan(total: Rate, per_producer: Rate, per_consumer: Rate) -> Plan:
    """The partitions for a throughput: as many as the slower side needs.

    Args:
        total: of the whole topic, at its peak.
        per_producer: what one producer writes into one partition.
        per_consumer: what one consumer reads out of one partition.

    Raises:
        CliError: bytes and records are mixed.
    """
    if len({total.bytes, per_producer.bytes, per_consumer.bytes}) > 1:
        raise CliError(
            "the three throughputs must be of one kind, all bytes (50MB) or all records (20000)",
            Exit.USAGE,
        )
    producers = total.amount / per_producer.amount
    consumers = total.amount / per_consumer.amount
    return Plan(ceil(max(producers, consumers)), producers, consumers)
