"""The same story told to Apache Kafka and to our broker: every answer must be the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from pyproducer.broker import Broker
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.find_coordinator import FindCoordinatorRequest
from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.transactional_client import (
    TransactionalProducer,
    batches_in,
    committed_offset,
    describe,
    fetch,
)
from tests.helpers.wire_client import WireClient

pytestmark = pytest.mark.needs("kafka")

O0 = TopicPartition("orders", 0)
O1 = TopicPartition("orders", 1)

#: What Kafka says while it is still at it, in the background.
_PASSING = {
    ErrorCode.CONCURRENT_TRANSACTIONS,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.UNSTABLE_OFFSET_COMMIT,
}


def at_last(ask: Callable[[], Any]) -> Any:
    """Ask until the answer is one that stays."""
    deadline = time.monotonic() + 20
    while True:
        answer = ask()
        code = answer[0] if isinstance(answer, list | tuple) else answer
        if code not in _PASSING or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)


def story(servers: str) -> dict[str, Any]:
    """Everything that a broker answers, by what it was asked."""
    told: dict[str, Any] = {}
    with WireClient(servers) as client:
        for kind, key in enumerate(["group", "tx"]):
            request = FindCoordinatorRequest(key=key, key_type=kind)
            at_last(lambda request=request: client.ask(request, 2).error_code)
        producer = TransactionalProducer(client)
        told["init"] = at_last(producer.init)
        told["end of nothing"] = [producer.end(commit=True), producer.end(commit=False)]
        told["unknown partition"] = sorted(producer.add(O0, TopicPartition("orders", 9)))
        told["not added"] = [producer.send(O0, version=v) for v in (3, 9, 10, 11)]
        told["added"] = [*at_last(lambda: producer.add(O0)), producer.send(O0)]
        told["another partition"] = [producer.send(O1, version=v) for v in (9, 11)]
        told["end, again, the other way"] = [
            at_last(lambda how=how: producer.end(commit=how)) for how in (True, True, False)
        ]
        _fencing(told, client, producer)
        _offsets(told, client, producer)
        _new_protocol(told, client, producer)
    return told


def _fencing(told: dict[str, Any], client: WireClient, producer: TransactionalProducer) -> None:
    zombie = producer.twin()
    at_last(lambda: producer.add(O0))
    producer.send(O0)
    told["epoch after a take-over"] = (at_last(producer.init), producer.epoch)
    told["zombie adds"] = [zombie.add(O0, version=v) for v in range(4)]
    told["zombie ends"] = [zombie.end(commit=True, version=v) for v in range(4)]
    told["zombie adds offsets"] = [zombie.add_offsets("group", version=v) for v in range(4)]
    told["zombie resumes"] = [zombie.twin().init(version=v, resume=True) for v in (3, 4)]
    told["zombie sends"] = [zombie.send(O0, version=v) for v in (3, 9, 11, 12)]
    for name, field, value in (
        ("stranger", "producer_id", producer.producer_id + 1000),
        ("nobody", "transactional_id", "nobody"),
        ("nameless", "transactional_id", ""),
    ):
        other = producer.twin()
        setattr(other, field, value)
        told[name] = [other.add(O0), other.end(commit=True), other.add_offsets("group")]
    told["timeouts"] = [TransactionalProducer(client, timeout_ms=t).init() for t in (0, 900_001)]


def _offsets(told: dict[str, Any], client: WireClient, producer: TransactionalProducer) -> None:
    def commit(group: str = "group", place: TopicPartition = O0, **options: Any) -> int:
        return producer.commit_offset(group, place, 9, **options)

    told["offsets not added"] = [commit(version=v) for v in (0, 3, 4)]
    told["offsets"] = at_last(lambda: commit(version=5))
    told["undecided"] = committed_offset(client, "group", O0)
    told["before"] = committed_offset(client, "group", O0, stable=False)
    told["end"] = (at_last(lambda: producer.end(commit=True, version=5)), producer.epoch)
    told["after"] = at_last(lambda: committed_offset(client, "group", O0))
    told["offsets of strangers"] = [
        at_last(lambda: producer.add_offsets("group")),
        commit(generation_id=3, member_id="m"),
        commit(group=""),
        commit(place=TopicPartition("nowhere", 0)),
    ]
    told["abort"] = (at_last(lambda: producer.end(commit=False, version=5)), producer.epoch)


def _new_protocol(
    told: dict[str, Any], client: WireClient, producer: TransactionalProducer
) -> None:
    late = producer.twin()
    told["end of nothing, new"] = [
        at_last(lambda how=how: producer.end(commit=how, version=5)) for how in (True, False)
    ]
    told["send, new"] = at_last(lambda: producer.send(O0, version=12))
    told["abort, new"] = (at_last(lambda: producer.end(commit=False, version=5)), producer.epoch)
    at_last(lambda: producer.twin().add(O1))
    at_last(lambda: producer.end(commit=True, version=5))
    told["late"] = [
        late.send(O0, version=12),
        at_last(lambda: late.end(commit=True, version=5)),
    ]
    part = fetch(client, O0)
    told["offsets of the log"] = (part.high_watermark, part.last_stable_offset)
    told["aborted"] = [one.first_offset for one in part.aborted_transactions]
    told["batches"] = [(b.header.is_control, b.header.producer_epoch) for b in batches_in(part)]
    states = [describe(client, name) for name in ("tx", "nobody", "")]
    told["described"] = [(one.error_code, one.producer_epoch) for one in states]
    told["resumed twice"] = [
        (at_last(lambda one=one: one.init(resume=True)), one.epoch)
        for one in (producer.twin(), producer.twin())
    ]


def test_every_answer_is_kafkas():
    """
    X1, X2, X4 to X8: error codes, epochs, offsets and batches, request by request.
    """
    with Broker({"orders": 2}) as broker:
        ours = story(broker.bootstrap_servers)
    with ApacheKafka() as kafka:
        kafka.create_topics({"orders": 2})
        theirs = story(kafka.bootstrap_servers)

    assert theirs == ours
