"""Time that passes in the broker because a test says so."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pyproducer import ConfigError, UsageError
from pyproducer.broker import Broker, TopicSpec
from pyproducer.broker.broker_clock import BrokerClock
from pyproducer.broker.timers import Timers
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.describe_groups import DescribeGroupsRequest
from pyproducer.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pyproducer.protocol.messages.metadata import MetadataRequest
from pyproducer.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pyproducer.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from pyproducer.records.reader import iter_batches
from tests.broker.test_fault_http import Remote
from tests.helpers.partition_logs import batch
from tests.helpers.transactional_client import TransactionalProducer, describe, fetch
from tests.helpers.virtual_time import VirtualTime
from tests.helpers.wire_client import WireClient

O0 = TopicPartition("orders", 0)
DAY_MS = 86_400_000


@pytest.fixture
def clock() -> VirtualTime:
    """A clock that stands still, at this moment."""
    stopped = VirtualTime()
    stopped.now += int(time.time()) - stopped.wall_ms() // 1000
    return stopped


@pytest.fixture
def broker(clock: VirtualTime) -> Iterator[Broker]:
    """A broker whose time passes by ticks alone."""
    topics = [
        TopicSpec("orders", 1),
        TopicSpec("short", 1, {"retention.ms": "60000"}),
        TopicSpec("stamped", 1, {"message.timestamp.type": "LogAppendTime"}),
    ]
    with Broker(topics, clock=clock) as running:
        yield running


def member(client: WireClient) -> str:
    """Join the group "g" as its only member, with a session of 10 s, and commit offset 1."""
    protocols = [JoinGroupRequestProtocol(name="range", metadata=b"")]
    join = JoinGroupRequest(
        group_id="g",
        session_timeout_ms=10_000,
        rebalance_timeout_ms=60_000,
        protocol_type="consumer",
        protocols=protocols,
    )
    joined = client.ask(join, 3)
    assignment = SyncGroupRequestAssignment(member_id=joined.member_id, assignment=b"")
    sync = SyncGroupRequest(
        group_id="g",
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        assignments=[assignment],
    )
    assert 0 == client.ask(sync, 2).error_code
    offset = OffsetCommitRequestPartition(partition_index=0, committed_offset=1)
    commit = OffsetCommitRequest(
        group_id="g",
        generation_id_or_member_epoch=joined.generation_id,
        member_id=joined.member_id,
        topics=[OffsetCommitRequestTopic(name="orders", partitions=[offset])],
    )
    assert 0 == client.ask(commit, 5).topics[0].partitions[0].error_code
    return joined.member_id


def group_state(client: WireClient) -> str:
    [group] = client.ask(DescribeGroupsRequest(groups=["g"]), 4).groups
    return group.group_state


def test_retention(broker: Broker, client: WireClient, clock: VirtualTime):
    """
    Records older than retention.ms are gone when the tick returns, and newer ones are not.
    """
    client.produce("orders", batch(time=clock.wall_ms()))
    broker.tick(days=7)
    assert 1 == len(broker.records("orders"))
    client.produce("orders", batch(value=b"later", time=clock.wall_ms() + 7 * DAY_MS))

    broker.tick(days=8)

    assert [] == broker.records("orders")
    assert 2 == client.produce("orders", batch(time=clock.wall_ms() + 15 * DAY_MS)).base_offset


def test_intervals_of_checks_do_not_matter(broker: Broker, client: WireClient, clock: VirtualTime):
    """
    What has passed its time is gone at the end of a tick, whenever the broker would have looked.
    """
    client.produce("short", batch(time=clock.wall_ms()))
    broker.tick(minutes=1)
    assert 1 == len(broker.records("short"))

    broker.tick(milliseconds=1)

    assert [] == broker.records("short")


def test_producer_ids_expire(broker: Broker, client: WireClient, clock: VirtualTime):
    """
    A producer that was silent for a day is forgotten, so its repeated batch is taken for a new one.
    """
    data = batch(producer=(77, 0, 0), time=clock.wall_ms())
    client.produce("orders", data)
    broker.tick(hours=23)
    assert 0 == client.produce("orders", data).base_offset

    broker.tick(hours=1)

    assert 1 == client.produce("orders", data).base_offset


def test_transactions_time_out(broker: Broker, client: WireClient, clock: VirtualTime):
    """
    An open transaction is aborted when its time is over, not when the tick is, and its producer
    shut out.
    """
    producer = TransactionalProducer(client, timeout_ms=60_000)
    producer.init()
    producer.write(O0)
    broker.tick(seconds=60)
    assert "Ongoing" == describe(client).transaction_state

    broker.tick(days=1)

    assert "CompleteAbort" == describe(client).transaction_state
    assert ErrorCode.PRODUCER_FENCED == producer.end(commit=True)
    *_, marker = iter_batches(fetch(client, O0, committed=False).records)
    assert marker.header.is_control
    waited = marker.header.max_timestamp - clock.wall_ms()
    assert 60_000 <= waited < 61_000


def test_sessions_end_and_offsets_expire_behind_them(broker: Broker, client: WireClient):
    """
    A silent member leaves after its session timeout, and the offsets of its group go 7 days after
    that, all in one tick.
    """
    member(client)
    broker.tick(seconds=9)
    assert "Stable" == group_state(client)
    broker.tick(seconds=1)
    assert "Empty" == group_state(client)

    member(client)
    broker.tick(days=7)
    assert {O0: 1} == broker.committed_offsets("g")
    broker.tick(minutes=5)

    assert {} == broker.committed_offsets("g")
    assert "Dead" == group_state(client)


def test_members_and_offsets_in_one_tick(broker: Broker, client: WireClient):
    """
    What begins in the middle of a tick goes on until its end.
    """
    member(client)

    broker.tick(days=8)

    assert {} == broker.committed_offsets("g")


def test_files_of_deleted_topics_go(clock: VirtualTime, tmp_path: Path):
    """
    The files of a deleted topic are removed after file.delete.delay.ms.
    """
    from pyproducer.protocol.messages.delete_topics import DeleteTopicsRequest

    with (
        Broker({"orders": 1}, data_dir=tmp_path, clock=clock) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        client.ask(DeleteTopicsRequest(topic_names=["orders"]), 3)
        broker.tick(seconds=59)
        assert 1 == len(list(tmp_path.glob("orders-0.*-delete")))

        broker.tick(seconds=1)

        assert [] == list(tmp_path.glob("orders-0.*"))


def test_log_append_time_is_later(broker: Broker, client: WireClient, clock: VirtualTime):
    """
    Records appended after a tick have the later time.
    """
    broker.tick(timedelta(days=2), hours=1)

    answer = client.produce("stamped", batch(time=clock.wall_ms()))

    assert clock.wall_ms() + 2 * DAY_MS + 3_600_000 == answer.log_append_time_ms


def test_waits_of_requests_end(broker: Broker, client: WireClient):
    """
    A long poll ends with the time it wanted to wait, and so does the delay of a fault.
    """
    done = threading.Event()

    def poll() -> None:
        assert b"" == fetch(client, O0, max_wait_ms=600_000).records
        assert 0 == client.ask(MetadataRequest(topics=[]), 9).controller_id - 1
        done.set()

    delay = broker.faults.delay("Metadata", 600)
    poller = threading.Thread(target=poll)
    poller.start()
    partition = broker._node().partition("orders", 0)
    assert partition is not None
    while not partition.watches:
        time.sleep(0)
    broker.tick(minutes=9)
    assert partition.watches
    broker.tick(minutes=1)
    delay.wait()
    assert not done.is_set()
    broker.tick(minutes=10)
    poller.join(10)

    assert done.is_set()


def test_consumers_that_poll_do_not_hold_a_tick_up(broker: Broker):
    """
    A client that polls again and again sees a few empty answers in a tick of a year.
    """
    polls, stop = [], threading.Event()

    def poll() -> None:
        with WireClient(broker.bootstrap_servers) as client:
            while not stop.is_set():
                fetch(client, O0, max_wait_ms=500)
                polls.append(1)

    poller = threading.Thread(target=poll)
    poller.start()
    partition = broker._node().partition("orders", 0)
    assert partition is not None
    while not partition.watches:
        time.sleep(0)
    broker.tick(days=365)
    stop.set()
    broker.tick(seconds=1)
    poller.join(10)

    assert 1 <= len(polls) < 1000


def test_connections_stay(broker: Broker, client: WireClient, clock: VirtualTime):
    """
    No time passes for clients: a silent connection is closed by real silence, not by a tick.
    """
    assert 0 == client.ask(ApiVersionsRequest(), 0).error_code
    broker.tick(days=1)
    assert 0 == client.ask(ApiVersionsRequest(), 0).error_code

    # The answer arrives before the broker has noted when it sent it.
    broker.tick()
    clock.now += 700
    broker.tick()

    assert client.is_closed()


def test_clock_stays_ahead(tmp_path: Path, clock: VirtualTime):
    """
    A broker that is stopped and started again does not go back in time.
    """
    broker = Broker({"orders": 1}, data_dir=tmp_path, clock=clock)
    with broker, WireClient(broker.bootstrap_servers) as client:
        broker.tick(hours=1)
        client.produce("orders", batch(time=clock.wall_ms()))
    with broker:
        assert clock.wall_ms() + 3_600_000 == broker._node().clock.wall_ms()


async def test_in_coroutines(clock: VirtualTime):
    """
    `tick` may be called in a coroutine, `atick` awaited; a broker that serves there has the latter.
    """
    async with Broker({"orders": 1}, clock=clock) as broker:
        broker.tick(days=1)
        await broker.atick(timedelta(days=1))
        assert clock.wall_ms() + 2 * DAY_MS == broker._node().clock.wall_ms()

    serving = Broker(clock=clock)
    with pytest.raises(UsageError, match="not running"):
        await serving.atick(days=1)
    ready = asyncio.Event()
    task = asyncio.create_task(serving.serve(on_ready=lambda _: ready.set()))
    await ready.wait()
    with pytest.raises(UsageError, match="background"):
        serving.tick(days=1)
    await serving.atick(days=1)
    assert clock.wall_ms() + DAY_MS == serving._node().clock.wall_ms()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("arguments", "parts", "message"),
    [
        ((), {"days": -1}, "forwards"),
        ((), {"days": "8"}, "days='8' is no number"),
        ((), {"days": True}, "is no number"),
        ((), {"seconds": float("nan")}, "is no number"),
        ((), {"days": 1e12}, "at most"),
        ((8,), {}, "not 8"),
    ],
)
def test_no_span(broker: Broker, arguments, parts, message: str):
    """
    What is no span of time, or one that goes back, is refused, and no time passes.
    """
    with pytest.raises(ConfigError, match=message):
        broker.tick(*arguments, **parts)

    assert 0 == broker._node().clock.ahead


def test_over_http(clock: VirtualTime):
    """
    POST /tick does the same, and answers with the broker's time.
    """
    with Broker({"orders": 1}, clock=clock, http_port=0) as broker:
        remote = Remote(broker)
        remote.url = remote.url.replace("/faults", "/tick")

        told = {"time_ms": clock.wall_ms() + 8 * DAY_MS, "ahead_seconds": 691_200.0}
        assert (200, told) == remote.ask("POST", body={"days": 8})
        for body, status in (({"days": -1}, 400), ({"weeks": 1}, 400), (["days"], 400)):
            got, answer = remote.ask("POST", body=body)
            assert (status, True) == (got, bool(answer["error"]))
        assert 415 == remote.ask("POST", body={"days": 8}, kind="text/plain")[0]


async def test_timers_obey_the_clock():
    """
    A call happens by the clock, in order, once, unless cancelled; real time alone brings nothing
    while the clock stands still.
    """
    outside, happened = VirtualTime(), []
    clock = BrokerClock(outside)
    timers = Timers(asyncio.get_running_loop(), clock)
    now = clock.monotonic()
    first = timers.call_at(now + 0.002, lambda: happened.append("first"))
    timers.call_at(now + 0.001, lambda: (happened.append("before"), third.cancel()))
    third = timers.call_at(now + 0.003, lambda: happened.append("cancelled"))
    waiting = timers.call_at(now + 60, lambda: happened.append("later"), moment=False)
    await asyncio.sleep(0.01)
    assert [] == happened
    assert now + 0.001 == timers.next_moment

    outside.now += 1
    timers.ring_due()
    assert ["before", "first"] == happened
    assert timers.next_moment is None
    first.cancel()
    waiting.cancel()
    clock.ahead += 60
    timers.ring_due()

    assert ["before", "first"] == happened


async def test_timers_ring_by_themselves():
    """
    Where the clock goes on by itself nobody has to look.
    """
    outside = VirtualTime()
    timers = Timers(asyncio.get_running_loop(), BrokerClock(outside))
    sleeping = asyncio.ensure_future(timers.sleep(0.001))
    await asyncio.sleep(0)
    outside.now += 0.001

    await asyncio.wait_for(sleeping, 10)
