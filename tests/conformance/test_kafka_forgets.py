"""What Apache Kafka remembers of a producer once it was started anew: its last batch alone.

A broker that goes on knows the last five, and takes each of them for a repetition. The snapshot by
which it starts holds one, so that the four before it are refused as out of order, though they are
in its log. That is why a batch whose answer was lost with a broker can fail as maybe written: an
idempotent client cannot tell this refusal from the one of a log that lacks something. Nor does it
help to see the last one taken: a log that was made anew takes any number as a producer's first, and
then has the last batch without those before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient

pytestmark = pytest.mark.needs("kafka")

PRODUCER = 4242
REFUSED = (ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)


def produce(kafka: ApacheKafka, numbers: range) -> list[tuple[int, int]]:
    """Send batches of one record with these sequence numbers: code and offset of each answer."""
    now = int(time.time() * 1000)
    with WireClient(kafka.bootstrap_servers) as client:
        answers = [
            client.produce("t", batch(time=now, producer=(PRODUCER, 0, number)))
            for number in numbers
        ]
    return [(answer.error_code, answer.base_offset) for answer in answers]


@pytest.mark.parametrize("end", [ApacheKafka.stop, ApacheKafka.kill], ids=["stopped", "killed"])
def test_a_broker_started_anew_knows_the_last_batch_alone(end: Callable[[ApacheKafka], None]):
    """
    Five repetitions are taken for what they are; after a start only the last of them is.
    """
    with ApacheKafka() as kafka:
        kafka.create_topics({"t": 1})
        taken = produce(kafka, range(5))
        repeated = produce(kafka, range(5))
        end(kafka)
        kafka.start()
        anew = produce(kafka, range(6))

    assert [(0, number) for number in range(5)] == taken == repeated
    assert [REFUSED] * 4 + [(0, 4), (0, 5)] == anew
