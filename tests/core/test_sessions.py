"""A connection proves anew who we are before the broker stops believing it."""

from __future__ import annotations

import logging

import pytest

from pyproducer.core.accumulator import Node
from pyproducer.core.effects import Authenticate, Disconnect
from pyproducer.core.sessions import Sessions
from tests.helpers.engine_rig import Rig as EngineRig

LIFETIME = 100.0


class Rig:
    """One connection, whose session begins at 0."""

    def __init__(self, chance=0.5, lifetime=LIFETIME):
        self.effects = []
        self.sessions = Sessions(self.effects, 30.0, lambda: chance)
        self.node = Node(1, "host", 9092)
        self.node.connected = True
        self.sessions.begun(self.node, lifetime, 0.0)

    def at(self, now):
        """What is due at this time."""
        assert self.node.renew_at <= now
        return self.sessions.due(self.node, now)


@pytest.mark.parametrize(("chance", "at"), [(0.0, 85.0), (0.5, 90.0), (1.0, 95.0)])
def test_the_time_is_spread(chance, at):
    """
    Between 85 and 95 % of its session, each connection at another moment.
    """
    rig = Rig(chance)

    assert pytest.approx(at) == rig.node.renew_at
    assert "" == rig.at(at)
    assert [Authenticate(1)] == rig.effects


def test_a_session_without_an_end():
    """
    A broker that tells no lifetime is never asked again.
    """
    assert float("inf") == Rig(lifetime=0.0).node.renew_at


@pytest.mark.parametrize(("lifetime", "at"), [(1.1, 1.0), (0.5, 0.425), (2.0, 1.7)])
def test_short_sessions(lifetime, at):
    """
    Brokers refuse to be asked twice within a second, so that a session of one is used to its end.
    """
    assert pytest.approx(at) == Rig(0.0, lifetime).node.renew_at


def test_the_next_session_begins_with_the_answer():
    """
    After the broker's yes the time runs anew.
    """
    rig = Rig()
    rig.at(90.0)
    rig.sessions.begun(rig.node, LIFETIME, 91.0)

    assert pytest.approx(181.0) == rig.node.renew_at


def test_a_broker_that_does_not_answer():
    """
    An authentication without an answer ends the connection, once the patience is over.
    """
    rig = Rig()
    rig.at(90.0)

    assert pytest.approx(120.0) == rig.node.renew_at
    assert "did not answer the authentication for 30 s" in rig.at(120.0)


def test_nothing_to_prove_it_with():
    """
    It is tried again with pauses while the session lasts, and the reason is told when it ends.
    """
    rig = Rig()
    now, tries = 90.0, 0
    while not (reason := rig.at(now)):
        tries += 1
        rig.sessions.failed(rig.node, "no token", now)
        now = rig.node.renew_at
        assert now <= LIFETIME

    assert LIFETIME == now
    assert 2 <= tries <= 10
    assert reason == "its session has ended, and could not be renewed: no token"


def test_a_connection_that_is_gone():
    """
    Nothing is due for a connection that was lost meanwhile, and late news of it change nothing.
    """
    rig = Rig()
    rig.node.connected = False

    assert "" == rig.at(90.0)
    assert [] == rig.effects
    rig.sessions.failed(rig.node, "no token", 91.0)
    assert float("inf") == rig.node.renew_at


def test_an_unused_connection_ends_quietly(caplog):
    """
    A connection whose session cannot be renewed is given up without a warning, and the next
    record has another one made.
    """
    caplog.set_level(logging.INFO)
    rig = EngineRig()
    first = rig.send()
    [sent] = rig.advance(0.01)
    rig.answer(sent)
    assert first.exception() is None
    rig.engine.on_connected(1, session=LIFETIME, now=rig.now)
    rig.advance(96)
    assert Authenticate(1) in rig.effects
    for _ in range(20):
        rig.engine.on_unproven(1, "no token", rig.now)
        rig.advance(1)

    [gone] = [one for one in rig.effects if isinstance(one, Disconnect) and one.node == 1]
    assert "could not be renewed: no token" in gone.reason
    assert [] == [one.getMessage() for one in caplog.records if one.levelno > logging.INFO]
    second = rig.send()
    [sent] = rig.advance(2)
    rig.answer(sent)
    assert second.exception() is None


def test_a_session_is_renewed_beside_requests(caplog):
    """
    A connection in use is authenticated anew without a batch being sent twice or given up.
    """
    rig = EngineRig()
    rig.send()
    [sent] = rig.advance(0.01)
    rig.answer(sent)
    rig.engine.on_connected(1, session=LIFETIME, now=rig.now)
    rig.advance(80)
    delivery = rig.send()
    [sent] = rig.advance(16)
    assert Authenticate(1) in rig.effects
    rig.engine.on_authenticated(1, LIFETIME, rig.now)
    rig.answer(sent)

    assert delivery.exception() is None
    assert [] == rig.advance(50)
    assert not any(isinstance(one, Disconnect) for one in rig.effects)
