from __future__ import annotations

import asyncio

import pytest

from pyproducer import AsyncProducer
from pyproducer.broker import Broker
from pyproducer.cli.cluster import Cluster
from pyproducer.cli.reader import TopicReader
from pyproducer.config import COMPRESSION_TYPES
from pyproducer.errors import ConnectionFailed, UnknownTopic
from tests.helpers.processes import free_ports


def cluster_of(servers: str) -> Cluster:
    return Cluster(servers, client_id="test", request_timeout=10)


async def read(reader: TopicReader, count: int) -> list[tuple[int, int, bytes]]:
    found: list[tuple[int, int, bytes]] = []
    stream = reader.batches()
    while len(found) < count:
        partition, batch = await anext(stream)
        found += [(partition, record.offset, record.value) for record in batch.records()]
    await stream.aclose()
    return found


@pytest.mark.parametrize("codec", COMPRESSION_TYPES)
async def test_reads_every_codec(servers, topic, codec):
    """
    All records of all partitions come, each partition's in order, whatever the codec.
    """
    values = [b"%d" % number * 20 for number in range(1000)]
    async with AsyncProducer(servers, compression_type=codec, batch_size=2000) as producer:
        await producer.send_many(topic, values)
    async with cluster_of(servers) as cluster:
        reader = TopicReader(cluster, topic)
        await reader.seek("earliest")
        found = await read(reader, len(values))

    assert sorted(values) == sorted(value for _, _, value in found)
    for partition in range(3):
        offsets = [offset for index, offset, _ in found if index == partition]
        assert list(range(len(offsets))) == offsets


async def test_seek_to_the_end(servers, topic):
    """
    From the end only later records come.
    """
    async with AsyncProducer(servers) as producer, cluster_of(servers) as cluster:
        await producer.send(topic, b"before")
        reader = TopicReader(cluster, topic)
        await reader.seek("latest")
        await producer.send(topic, b"after")

        assert [b"after"] == [value for _, _, value in await read(reader, 1)]


async def test_goes_on_after_a_restart(tmp_path):
    """
    A broker that goes away and comes back costs no record and gives none twice.
    """
    [port] = free_ports(1)
    troubles: list[str] = []
    async with Broker(topics={"t": 2}, data_dir=tmp_path, port=port) as broker:
        address = broker.bootstrap_servers
        async with AsyncProducer(address) as producer:
            await producer.send_many("t", [b"1", b"2"])
        cluster = await cluster_of(address).__aenter__()
        reader = TopicReader(cluster, "t", on_trouble=troubles.append)
        await reader.seek("earliest")
        first = await read(reader, 2)
        reading = asyncio.ensure_future(read(reader, 2))
        await asyncio.sleep(0.05)
    while not troubles:
        await asyncio.sleep(0.01)
    async with Broker(data_dir=tmp_path, port=port):
        async with AsyncProducer(address) as producer:
            await producer.send_many("t", [b"3", b"4"])
        second = await reading
        await cluster.__aexit__(None, None, None)

    assert [b"1", b"2", b"3", b"4"] == sorted(value for _, _, value in first + second)


async def test_begins_anew_where_records_were_deleted(servers, topic):
    """
    A place that is not in the log any more becomes the log's start, and that is told.
    """
    troubles: list[str] = []
    async with AsyncProducer(servers) as producer, cluster_of(servers) as cluster:
        await producer.send(topic, b"here", partition=1)
        reader = TopicReader(cluster, topic, [1], on_trouble=troubles.append)
        await reader.seek("earliest")
        reader.positions[1] = 99

        assert [(1, 0, b"here")] == await read(reader, 1)
    assert "offset 99 is gone" in troubles[0]


async def test_unknown_topic_and_nobody(servers):
    """
    A topic that is not there and a cluster that is not there are typed errors.
    """
    async with cluster_of(servers) as cluster:
        with pytest.raises(UnknownTopic, match=r"not\.there"):
            await TopicReader(cluster, "not.there").seek("earliest")
    [port] = free_ports(1)
    with pytest.raises(ConnectionFailed, match=str(port)):
        await cluster_of(f"127.0.0.1:{port}").__aenter__()
