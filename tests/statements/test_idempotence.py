"""What a partition remembers of its producers, and for how long (I1 to I10)."""

from __future__ import annotations

from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pyproducer.protocol.messages.delete_topics import DeleteTopicsRequest
from pyproducer.protocol.messages.describe_producers import (
    DescribeProducersRequest,
    ProducerState,
    TopicRequest,
)
from pyproducer.protocol.messages.init_producer_id import InitProducerIdRequest
from tests.helpers.statement_servers import Server, eventually
from tests.helpers.topics import create_topics, wait_for_leaders
from tests.helpers.transactional_client import TransactionalProducer, settled
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers

E = ErrorCode
SOON = {"producer.id.expiration.ms": "3000", "producer.id.expiration.check.interval.ms": "500"}


def new_id(client: WireClient) -> int:
    """A producer id that nobody has had."""
    request = InitProducerIdRequest(
        transactional_id=None, transaction_timeout_ms=60_000, producer_id=-1, producer_epoch=-1
    )
    # Kafka has to fetch its first block of ids.
    answer = eventually(lambda: (one := client.ask(request, 4)).error_code == 0 and one)
    return answer.producer_id


class Producer:
    """Sends single records of one producer id to one topic.

    Attributes:
        server: whom they are for.
        topic: where they go.
        id: the producer id.
    """

    def __init__(self, server: Server, topic: str, client: WireClient) -> None:
        self.server = server
        self.topic = topic
        self.id = new_id(client)

    def send(
        self, client: WireClient, sequence: int, *, epoch: int = 0, ago_ms: int = 0
    ) -> tuple[int, int]:
        """Error code and base offset."""
        batch = self.server.batch(
            b"%d" % sequence,
            ago_ms=ago_ms,
            producer_id=self.id,
            producer_epoch=epoch,
            base_sequence=sequence,
        )
        answer = client.produce(self.topic, batch)
        return answer.error_code, answer.base_offset


def transactional(client: WireClient, topic: str) -> TransactionalProducer:
    """The holder of a transactional id that nobody has had."""
    return settled(client, f"{topic}-producer")


def described(client: WireClient, topic: str) -> dict[int, ProducerState]:
    """What DescribeProducers tells of partition 0, by producer id."""
    request = DescribeProducersRequest(topics=[TopicRequest(name=topic, partition_indexes=[0])])
    [answer] = client.ask(request, 0).topics[0].partitions
    assert answer.error_code == 0
    return {one.producer_id: one for one in answer.active_producers}


def test_i1_what_is_remembered(server: Server, client: WireClient):
    """
    Of each producer its epoch, last sequence, last time and the start of its open transaction.
    """
    producer = Producer(server, server.topic(), client)
    assert described(client, producer.topic) == {}
    producer.send(client, 0, epoch=3)
    at = server.now_ms
    batch = server.batch(
        *[b"x"] * 4, ago_ms=5000, producer_id=producer.id, producer_epoch=3, base_sequence=1
    )
    assert client.produce(producer.topic, batch).base_offset == 1
    other = transactional(client, producer.topic)
    other.write(TopicPartition(producer.topic, 0), count=2)
    other.write(TopicPartition(producer.topic, 0))

    states = described(client, producer.topic)
    assert states.keys() == {producer.id, other.producer_id}
    one, two = states[producer.id], states[other.producer_id]
    assert (one.producer_epoch, one.last_sequence) == (3, 4)
    assert (one.coordinator_epoch, one.current_txn_start_offset) == (-1, -1)
    assert at - 5000 <= one.last_timestamp <= server.now_ms - 5000
    assert (two.producer_epoch, two.last_sequence) == (other.epoch, 2)
    assert (two.coordinator_epoch, two.current_txn_start_offset) == (-1, 5)

    assert other.end(commit=False) == 0
    ended = eventually(
        lambda: (
            (state := described(client, producer.topic)[other.producer_id]).coordinator_epoch >= 0
            and state
        )
    )
    assert (ended.last_sequence, ended.current_txn_start_offset) == (2, -1)
    assert ended.last_timestamp >= two.last_timestamp


def test_i2_five_batches_are_remembered(server: Server, client: WireClient):
    """
    A batch sent again is answered with its offset if it is one of the last five; nothing is
    written; an older one is out of order.
    """
    producer = Producer(server, server.topic(), client)
    for sequence in range(7):
        assert producer.send(client, sequence) == (0, sequence)
    for sequence in range(2, 7):
        assert producer.send(client, sequence) == (0, sequence)
    assert producer.send(client, 1) == (E.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    assert producer.send(client, 7) == (0, 7)


def test_i3_epochs_and_sequences(server: Server, client: WireClient):
    """
    A gap is out of order, a new epoch begins at 0 and forgets the window, an old one is refused.
    """
    producer = Producer(server, server.topic(), client)
    assert producer.send(client, 0) == (0, 0)
    assert producer.send(client, 2) == (E.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    assert producer.send(client, 1, epoch=1) == (E.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    assert producer.send(client, 0, epoch=1) == (0, 1)
    assert producer.send(client, 1) == (E.INVALID_PRODUCER_EPOCH, -1)
    assert producer.send(client, 1, epoch=1) == (0, 2)


def test_i4_unknown_producer_begins_anywhere(server: Server, client: WireClient):
    """
    Where nothing is known of a producer its first sequence may be any, and its next follows.
    """
    producer = Producer(server, server.topic(), client)
    assert producer.send(client, 40) == (0, 0)
    assert producer.send(client, 42) == (E.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    assert producer.send(client, 41) == (0, 1)


def test_i4_unknown_producer_of_a_new_transaction_begins_at_zero(
    server: Server, client: WireClient
):
    """
    With an epoch for each transaction (Produce 12) an unknown producer begins with sequence 0; a
    transaction of older versions may begin with any.
    """
    topic = server.topic(2)
    new, old = TopicPartition(topic, 0), TopicPartition(topic, 1)
    producer = transactional(client, topic)
    for first, code in (
        (3, E.OUT_OF_ORDER_SEQUENCE_NUMBER),
        (0, 0),
        (2, E.OUT_OF_ORDER_SEQUENCE_NUMBER),
        (1, 0),
    ):
        producer.sequences[new] = first
        assert producer.send(new, version=12) == code
    assert producer.add(old) == [0]
    producer.sequences[old] = 3
    assert producer.send(old, version=11) == 0
    assert producer.end(commit=True) == 0


def test_i4_next_transaction_begins_at_zero(server: Server, client: WireClient):
    """
    After a transaction that gave its producer a new epoch, the next begins with sequence 0.
    """
    place = TopicPartition(server.topic(), 0)
    producer = transactional(client, place.topic)
    assert producer.send(place, version=12, count=2) == 0
    assert producer.end(commit=True, version=5) == 0
    producer.sequences[place] = 2
    eventually(lambda: producer.send(place, version=12) == E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    producer.sequences[place] = 0
    assert producer.send(place, version=12) == 0


def test_i5_no_write_beside_an_open_transaction(server: Server, client: WireClient):
    """
    A producer with an open transaction on the partition writes nothing outside of it, and may when
    it has ended.
    """
    place = TopicPartition(server.topic(), 0)
    producer = transactional(client, place.topic)

    def plain(sequence: int) -> tuple[int, int]:
        batch = server.batch(
            b"x",
            producer_id=producer.producer_id,
            producer_epoch=producer.epoch,
            base_sequence=sequence,
        )
        answer = client.produce(place.topic, batch)
        return answer.error_code, answer.base_offset

    producer.write(place)
    assert plain(1) == (E.INVALID_TXN_STATE, -1)
    producer.write(place)
    assert producer.end(commit=True) == 0
    assert eventually(lambda: (got := plain(2))[0] == 0 and got) == (0, 3)


def test_i6_refused_batch_changes_nothing(server: Server, client: WireClient):
    """
    After a batch that was refused for its contents, its sequence is still the next.
    """
    producer = Producer(server, server.topic(cleanup_policy="compact"), client)
    assert producer.send(client, 0) == (0, 0)
    keyless = server.batch(
        b"x", key=None, producer_id=producer.id, producer_epoch=0, base_sequence=1
    )
    assert client.produce(producer.topic, keyless).error_code == E.INVALID_RECORD
    assert producer.send(client, 1) == (0, 1)


def test_i7_answers_survive_a_kill(servers: Servers):
    """
    After a kill, and after a clean stop, batches sent again get their offsets and the next fits.
    """
    server = servers.own()
    with server.connect() as client:
        producer = Producer(server, server.topic(), client)
        for sequence in range(6):
            assert producer.send(client, sequence) == (0, sequence)
    for end in (server.kill, server.stop):
        end()
        server.start()
        with server.connect() as client:
            assert producer.send(client, 5) == (0, 5)
            assert producer.send(client, 7) == (E.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    with server.connect() as client:
        assert producer.send(client, 6) == (0, 6)


def test_i8_deleting_records_keeps_the_memory(server: Server, client: WireClient):
    """
    DeleteRecords takes the data of a batch, and not what is known of it.
    """
    producer = Producer(server, server.topic(), client)
    for sequence in range(3):
        producer.send(client, sequence)
    partition = DeleteRecordsPartition(partition_index=0, offset=3)
    topic = DeleteRecordsTopic(name=producer.topic, partitions=[partition])
    answer = client.ask(DeleteRecordsRequest(topics=[topic], timeout_ms=5000), 2)
    assert answer.topics[0].partitions[0].low_watermark == 3
    assert producer.send(client, 2) == (0, 2)
    assert producer.send(client, 3) == (0, 3)


def test_i8_topic_of_the_same_name_knows_nobody(server: Server, client: WireClient):
    """
    A topic that was deleted and made again starts empty, for producers too.
    """
    name = server.topic()
    producer = Producer(server, name, client)
    for sequence in range(3):
        producer.send(client, sequence)
    answer = client.ask(DeleteTopicsRequest(topic_names=[name], timeout_ms=10_000), 4)
    assert answer.responses[0].error_code == 0
    server.forget(name)
    eventually(lambda: not server.folder(name).exists())
    create_topics(server.bootstrap_servers, {name: 1})
    wait_for_leaders(server.bootstrap_servers, {name: 1})
    assert producer.send(client, 2) == (0, 0)


def test_i9_idle_producers_are_forgotten(servers: Servers):
    """
    A producer is forgotten when it was idle for producer.id.expiration.ms: then the same batch is a
    new one.
    """
    server = servers.own(SOON)
    with server.connect() as client:
        producer = Producer(server, server.topic(), client)
        assert producer.send(client, 0) == (0, 0)
        assert producer.send(client, 0) == (0, 0)
    server.pass_time(6)
    with server.connect() as client:
        assert eventually(lambda: producer.send(client, 0)[1]) > 0


def test_i9_age_of_the_records_does_not_count(servers: Servers):
    """
    A producer of old records is remembered as long as any other.
    """
    server = servers.own(SOON)
    with server.connect() as client:
        producer = Producer(server, server.topic(), client)
        assert producer.send(client, 0, ago_ms=60_000) == (0, 0)
        server.pass_time(1.5)
        offset = server.differs(
            ours=0,
            kafka=1,
            reason="Kafka counts idle time from the records' timestamps, so that a producer of old "
            "data is forgotten at the next look, and what it sends again is doubled; ours counts "
            "from the append, and has Kafka's rule as producer_expiry_clock='record'",
        )
        assert producer.send(client, 0, ago_ms=60_000) == (0, offset)


def test_i10_ids_are_given_once(servers: Servers):
    """
    No producer id is given twice, over kills and stops.
    """
    server = servers.own()
    given: list[int] = []
    for end in (server.kill, server.stop, None):
        with server.connect() as client:
            given += [new_id(client) for _ in range(3)]
        if end is not None:
            end()
            server.start()
    assert len(given) == len(set(given)) == 9
