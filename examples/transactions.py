"""Orders in, invoices out, each order invoiced exactly once, though the worker dies half way.

A transaction holds the invoices of some orders and the place up to which orders were read. So
both are there or neither is, and the next worker goes on where the last commit was. It has the
id of the one that died, and aborts what that one left open.

    python examples/transactions.py [BOOTSTRAP_SERVERS]

The example is its own consumer: it knows where each order is, and looks at the broker for what
the group has committed. Any client's consumer can be there instead, see the guide on
transactions. At a cluster that it cannot look into, the worker is not made to die.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from typing import NamedTuple

from _cluster import Cluster, cluster

from pyproducer import SyncProducer, TopicPartition
from pyproducer.broker import Broker

ORDERS, INVOICES = "orders", "invoices"
GROUP = "invoicing"
TOGETHER = 10
COUNT = 60
DIES_AT = 34


class Order(NamedTuple):
    """An order, and where it was read."""

    place: TopicPartition
    offset: int
    number: int


def take_orders(servers: str) -> list[Order]:
    """Put orders in, as tills do; return them with their places."""
    with SyncProducer(servers) as producer:
        numbers = range(COUNT)
        stored = producer.send_many(
            ORDERS, [str(n) for n in numbers], keys=[f"table-{n % 7}" for n in numbers]
        )
    return [
        Order(TopicPartition(one.topic, one.partition), one.offset, number)
        for number, one in zip(numbers, stored, strict=True)
    ]


def work(servers: str, orders: Sequence[Order], dies_at: int | None) -> None:
    """Write an invoice for each order, some in one transaction."""
    with SyncProducer(servers, transactional_id="invoicing-1") as producer:
        for begin in range(0, len(orders), TOGETHER):
            with producer.transaction() as tx:
                read: dict[TopicPartition, int] = {}
                for order in orders[begin : begin + TOGETHER]:
                    if order.number == dies_at:
                        producer.flush()  # so that there is something to abort
                        os._exit(1)  # no goodbye, as after kill -9 or a power cut
                    producer.enqueue(INVOICES, f"invoice for {order.number}")
                    read[order.place] = order.offset + 1
                tx.send_offsets(read, GROUP)


def run(servers: str, orders: Sequence[Order], dies_at: int | None) -> None:
    """Have a process of its own do the work."""
    worker = multiprocessing.get_context("spawn").Process(
        target=work, args=(servers, orders, dies_at)
    )
    worker.start()
    worker.join()
    assert worker.exitcode == (0 if dies_at is None else 1)


def show(broker: Broker, when: str) -> list[str]:
    """Print how many invoices readers see; return those of them that are committed."""
    found = broker.records(INVOICES)
    committed = [(one.value or b"").decode() for one in broker.records(INVOICES, committed=True)]
    print(f"{when}: {len(found)} invoices in the log, {len(committed)} for read_committed")
    return committed


def main(place: Cluster) -> None:
    """Have a worker die in its fourth transaction, and another one go on."""
    servers = place.bootstrap_servers
    orders = take_orders(servers)
    if place.broker is None:
        work(servers, orders, None)
        print(f"{COUNT} orders invoiced in transactions of {TOGETHER}")
        return
    run(servers, orders, DIES_AT)
    show(place.broker, "the worker died")

    positions = place.broker.committed_offsets(GROUP)
    left = [order for order in orders if order.offset >= positions.get(order.place, 0)]
    print(f"the next one goes on with order {left[0].number}")
    run(servers, left, None)
    committed = show(place.broker, "it is done")
    assert sorted(committed) == sorted(f"invoice for {number}" for number in range(COUNT))
    print(f"each of {COUNT} orders has one invoice")


if __name__ == "__main__":
    with cluster({ORDERS: 3, INVOICES: 2}) as found:
        main(found)
