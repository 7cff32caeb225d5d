"""Whom the engine asks when those it knows are gone, lost touch, or moved; connections that end."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pyproducer.core.contacts import Contacts
from pyproducer.core.effects import METADATA_NODE, Connect, Disconnect, Effect, Send
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataResponse
from tests.helpers.engine_rig import Rig

E = ErrorCode


class Network(Rig):
    """A rig whose hosts, not brokers, may be gone, and whose metadata may be tampered with.

    Attributes:
        gone: hosts that refuse connections.
        tamper: changes an answer before it goes out, by the host that gives it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.gone: set[str] = set()
        self.tamper = lambda host, response: response
        self.asked_of: list[str] = []

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, Connect):
            self.down = {effect.node} if effect.host in self.gone else set()
        super()._perform(effect)

    def answer_metadata(self, effect: Send) -> None:
        assert isinstance(effect.message, MetadataRequest)
        host = self.engine._links.meta.host
        self.asked_of.append(host)
        response = self.tamper(host, self.metadata(effect.message))
        self.engine.on_answer(METADATA_NODE, effect.tag, response, self.now)

    def connects(self, node: int = METADATA_NODE) -> list[str]:
        """The hosts that were tried for this connection, in order."""
        return [e.host for e in self.effects if isinstance(e, Connect) and e.node == node]

    def drops(self, node: int = METADATA_NODE) -> list[str]:
        """Why this connection was dropped, each time."""
        return [e.reason for e in self.effects if isinstance(e, Disconnect) and e.node == node]


def questions(rig: Rig) -> list[list[str]]:
    """The topics of each metadata request."""
    return [
        [topic.name for topic in effect.message.topics]
        for effect in rig.effects
        if isinstance(effect, Send) and isinstance(effect.message, MetadataRequest)
    ]


# Contacts, alone.


def test_round_has_everybody_once():
    """
    Brokers and bootstrap servers take turns; the same address in both is one.
    """
    contacts = Contacts([("s1", 1), ("b1", 1), ("s2", 1)])
    assert [("s1", 1), ("b1", 1), ("s2", 1)] == contacts.all
    contacts.worked([("b1", 1), ("b2", 1)])
    assert [("b1", 1), ("s1", 1), ("b2", 1), ("s2", 1)] == contacts.all

    tried = []
    for _ in range(8):
        tried.append(contacts.choose(())[0])
        contacts.failed(contacts.choose(()))
    assert ["s1", "b1", "b2", "s2"] == tried[:4] or ["b1", "s1", "b2", "s2"] == tried[:4]
    assert set(tried[:4]) == set(tried[4:])
    assert 2 == contacts.rounds


def test_one_that_works_is_kept():
    """
    Who answered last is asked next, also through a connection made anew.
    """
    contacts = Contacts([("s1", 1), ("s2", 1)])
    contacts.failed(contacts.choose(()))
    assert ("s2", 1) == contacts.choose(())
    contacts.worked([("b1", 1)])

    assert ("s2", 1) == contacts.choose([("b1", 1)])


def test_broker_that_we_are_connected_to_is_asked_first():
    """
    Once the one who was asked fails, a broker that takes records is the best bet.
    """
    contacts = Contacts([("s1", 1)])
    contacts.choose(())
    contacts.worked([("b1", 1), ("b2", 1), ("b3", 1)])
    contacts.failed(("s1", 1))

    assert ("b2", 1) == contacts.choose([("b2", 1)])


# The way back.


def test_all_brokers_are_replaced():
    """
    Where every broker is gone, the bootstrap name leads to the new ones, with new ids and
    addresses, and what was queued meanwhile is delivered.
    """
    rig = Network({"t": [1, 2, 3]}, linger=0.0)
    rig.send(b"a")
    rig.answer(rig.turn()[0])
    rig.gone = {"seed", "broker1", "broker2", "broker3"}
    for node in (1, METADATA_NODE):
        rig.lose(node)
    deliveries = [rig.send(b"b", partition=number) for number in range(3)]
    rig.advance(5)
    rig.gone = {"broker1", "broker2", "broker3"}
    rig.brokers = {node: (f"new{node}", 9093) for node in (11, 12, 13)}
    for number, node in enumerate(rig.brokers):
        rig.lead(node, partition=number)
    for sent in rig.advance(4):
        rig.answer(sent)

    assert [None] * 3 == [delivery.exception() for delivery in deliveries]
    rig.assert_idle()


def test_bootstrap_servers_are_asked_at_once():
    """
    Within a round there is no pause between one address and the next; between rounds there is.
    """
    rig = Network({"t": [1]}, bootstrap=[("seed1", 1), ("seed2", 1)], linger=0.0)
    rig.send(b"a")
    rig.answer(rig.turn()[0])
    rig.gone = {"seed1", "seed2", "broker1", "broker2", "broker3"}
    rig.lose(METADATA_NODE)
    before = len(rig.connects())
    rig.engine.cluster.refresh(rig.now)
    rig.turn()
    first = rig.connects()[before:]
    assert {"seed2", "broker1", "broker2", "broker3"} == set(first)
    assert "seed2" in first[:3]
    rig.advance(0.2)
    assert 5 <= len(rig.connects()) - before - len(first) <= 15
    rig.advance(30)

    assert len(rig.connects()) - before <= 5 * 40


def test_answer_without_brokers_wipes_nothing():
    """
    A broker that knows no brokers is left for another one; what was known stays.
    """
    rig = Network({"t": [1]}, bootstrap=[("seed1", 1), ("seed2", 1)], linger=0.0)
    rig.send(b"a")
    rig.answer(rig.turn()[0])
    known = dict(rig.engine.cluster.brokers)
    rig.tamper = lambda host, response: MetadataResponse() if host == "seed1" else response
    rig.engine.cluster.refresh(rig.now)
    rig.turn()
    assert known == rig.engine.cluster.brokers
    assert ["it knows no broker"] == rig.drops()
    rig.send(b"b")
    rig.answer(rig.turn()[-1])
    rig.advance(1)

    assert "seed1" != rig.asked_of[-1]
    rig.assert_idle()


def test_rebootstrap_required():
    """
    A broker that says so (KIP-1102) is left, and only bootstrap servers are asked, until one of
    them tells of brokers; records go on meanwhile.
    """
    rig = Network({"t": [1]}, bootstrap=[("seed1", 1), ("seed2", 1)], linger=0.0)
    rig.send(b"a")
    rig.answer(rig.turn()[0])
    refusing = MetadataResponse(error_code=int(E.REBOOTSTRAP_REQUIRED))
    rig.tamper = lambda host, response: refusing if host == "seed1" else response
    before = len(rig.connects())
    rig.engine.cluster.refresh(rig.now)
    rig.turn()
    assert ["it answers REBOOTSTRAP_REQUIRED (129)"] == rig.drops()
    rig.send(b"b")
    rig.answer(rig.turn()[-1])
    rig.advance(1)

    assert ["seed2"] == rig.connects()[before:]
    assert ["broker1", "seed1", "broker2", "seed2", "broker3"] == [
        host for host, _ in rig.engine.cluster.contacts.all
    ]
    rig.assert_idle()


def test_answers_behind_one_that_makes_us_leave():
    """
    What else was answered on a connection that is about to be left is taken, not stumbled over.
    """
    rig = Network(linger=0.0)
    rig.hold_metadata = rig.hold_identity = True
    rig.send(b"a")
    rig.turn()
    rig.tamper = lambda host, response: MetadataResponse()
    rig.hold_metadata = rig.hold_identity = False
    rig.release()
    rig.tamper = lambda host, response: response
    [sent] = rig.advance(1)

    assert [b"a"] == sent.values


def test_silent_broker_is_left_for_another():
    """
    A metadata request without an answer in time goes to another address next.
    """
    rig = Network(bootstrap=[("seed1", 1), ("seed2", 1)], request_timeout=5.0, linger=0.0)
    rig.hold_metadata = True
    rig.send(b"a")
    rig.advance(5.05)
    rig.hold_metadata = False
    [sent] = rig.advance(5)

    assert "seed1" == rig.connects()[0]
    assert "seed2" == rig.asked_of[0]
    assert [b"a"] == sent.values


def test_broker_that_the_others_left_behind():
    """
    One that goes on naming a leader that is gone is not asked for ever: another one knows better.
    """
    rig = Network({"t": [1]}, bootstrap=[("seed1", 1), ("seed2", 1)], linger=0.0)
    rig.send(b"a")
    rig.answer(rig.turn()[0])
    rig.gone = {"broker1"}
    rig.lose(1)

    def cut_off(host: str, response: MetadataResponse) -> MetadataResponse:
        if host == "seed1":
            for topic in response.topics:
                for part in topic.partitions:
                    part.leader_id, part.leader_epoch = 1, 0
        return response

    rig.tamper = cut_off
    rig.lead(2)
    rig.send(b"b")
    [sent] = rig.advance(20)

    assert (2, [b"b"]) == (sent.node, sent.values)
    assert ["8 answers in a row did not help"] == rig.drops()


def test_only_address_is_not_left():
    """
    Where there is nobody else to ask, an answer that does not help breaks no connection.
    """
    rig = Network({"t": [-1]}, bootstrap=[("broker1", 9092)], brokers=(1,), linger=0.0)
    rig.send(b"a")
    rig.advance(60)

    assert [] == rig.drops()
    assert 50 < len(questions(rig)) < 100


def test_others_are_asked_ever_less_often():
    """
    A partition that has no leader anywhere costs few new connections, however long it lasts.
    """
    rig = Network({"t": [-1]}, linger=0.0, delivery_timeout=3600.0)
    rig.send(b"a")
    rig.advance(1000)

    assert 6 <= len(rig.drops()) <= 8


def test_another_cluster_is_told(caplog):
    """
    Brokers that belong to another cluster than before are named once, in the log.
    """
    rig = Network()

    def of(cluster: str) -> Any:
        def tamper(host: str, response: MetadataResponse) -> MetadataResponse:
            response.cluster_id = cluster
            return response

        return tamper

    with caplog.at_level(logging.WARNING, logger="pyproducer.engine"):
        for cluster in ("one", "one", "two", "two"):
            rig.tamper = of(cluster)
            rig.engine.cluster.refresh(rig.now)
            rig.turn()

    assert ["the brokers belong to another cluster now: two, not one"] == caplog.messages


def test_each_dead_address_is_logged_once(caplog):
    """
    However long several addresses are out of reach, each has one line for each reason.
    """
    rig = Network(bootstrap=[("seed1", 1), ("seed2", 1)])
    rig.gone = {"seed1", "seed2"}
    with caplog.at_level(logging.INFO, logger="pyproducer.engine"):
        rig.advance(60)

    assert ["no connection to seed1:1: refused", "no connection to seed2:1: refused"] == sorted(
        caplog.messages
    )


# Connections.


def test_unused_connection_is_closed():
    """
    A connection without a request for long is closed, which is no failure, and the next record
    opens it anew at once.
    """
    rig = Network(linger=0.0, connections_max_idle=100.0, metadata_max_age=1000.0)
    rig.send(b"a")
    rig.answer(rig.turn()[0])
    rig.advance(60)
    rig.send(b"b")
    rig.answer(rig.turn()[0])
    rig.advance(60)
    assert ([], ["unused for 100 s"]) == (rig.drops(1), rig.drops())
    rig.advance(60)
    assert ["unused for 100 s"] == rig.drops(1)
    assert 0 == rig.engine.stats.connections_lost
    rig.send(b"c")
    [sent] = rig.turn()
    rig.answer(sent)

    assert ["broker1"] * 2 == rig.connects(1)
    rig.assert_idle()


def test_connection_with_a_request_under_way_is_not_unused():
    """
    However long an answer takes, within its time, its connection is kept.
    """
    rig = Network(linger=0.0, connections_max_idle=5.0, request_timeout=100.0)
    rig.send(b"a")
    [sent] = rig.turn()
    rig.advance(50)
    assert [] == rig.drops(1)
    rig.answer(sent)
    rig.advance(4)
    assert [] == rig.drops(1)
    rig.advance(6)

    assert ["unused for 5 s"] == rig.drops(1)


def test_metadata_connection_is_opened_anew_to_the_same_broker():
    """
    A connection for metadata that was closed unused is no reason to ask somebody else.
    """
    rig = Network(
        bootstrap=[("seed1", 1), ("seed2", 1)], connections_max_idle=50.0, metadata_max_age=100.0
    )
    rig.advance(450)

    assert {"seed1"} == set(rig.connects())
    assert 4 <= len(rig.connects()) <= 5


def test_broker_that_moved_is_left_when_it_has_answered():
    """
    A broker whose address changed gets no more requests at the old one, though the connection
    is up: what is under way is waited for.
    """
    rig = Network({"t": [1]}, linger=0.0).prove()
    rig.send(b"a")
    [first] = rig.turn()
    rig.brokers[1] = ("moved", 9093)
    rig.engine.cluster.refresh(rig.now)
    rig.turn()
    rig.send(b"b")
    assert [] == rig.turn()
    assert [] == rig.drops(1)
    [second] = rig.answer(first)

    assert ["the broker has moved to another address"] == rig.drops(1)
    assert ["broker1", "moved"] == rig.connects(1)
    assert [b"b"] == second.values


def test_broker_that_moved_is_not_waited_for_at_its_old_address():
    """
    An attempt to connect to where a broker was is given up once it is known to be elsewhere.
    """

    class Swallowing(Network):
        def _perform(self, effect: Effect) -> None:
            if not (isinstance(effect, Connect) and effect.host == "broker1"):
                super()._perform(effect)

    rig = Swallowing({"t": [1]}, linger=0.0)
    rig.send(b"a")
    assert [] == rig.turn()
    rig.brokers[1] = ("moved", 9093)
    rig.engine.cluster.refresh(rig.now)
    [sent] = rig.turn()

    assert ["broker1", "moved"] == rig.connects(1)
    assert [b"a"] == sent.values


def test_time_to_connect_grows():
    """
    After each failure an attempt may take twice as long, up to the longest; an answer brings it
    back (KIP-601).
    """
    rig = Network({"t": [1]}, linger=0.0, setup_timeout=(1.0, 6.0))
    rig.gone = {"broker1"}
    rig.send(b"a")
    rig.advance(20)
    timeouts = [e.timeout for e in rig.effects if isinstance(e, Connect) and e.node == 1]
    assert [1.0, 2.0, 4.0, 6.0, 6.0] == pytest.approx(timeouts[:5])
    rig.gone = set()
    [sent] = rig.advance(3)
    rig.answer(sent)
    rig.lose(1)
    rig.send(b"b")
    rig.advance(1)
    timeouts = [e.timeout for e in rig.effects if isinstance(e, Connect) and e.node == 1]

    assert pytest.approx(2.0) == timeouts[-1]
