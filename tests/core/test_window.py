"""How many requests may be under way where nobody has set their number."""

from __future__ import annotations

import pytest

from pyproducer.core.window import Window
from tests.helpers.engine_rig import Rig


def grown(window: Window, answers: int, seconds: float) -> Window:
    for _ in range(answers):
        window.answered(seconds, True)
    return window


def test_five_at_first():
    """
    A connection begins as Kafka's own clients do.
    """
    assert 5 == Window().size


def test_grows_while_the_distance_is_all_that_is_waited_for():
    """
    Each answer that took no longer than the others makes room for one more request.
    """
    assert 25 == grown(Window(), 20, 0.05).size


def test_does_not_grow_where_it_is_not_used():
    """
    Room that nobody needed is no reason for more.
    """
    window = Window()
    for _ in range(20):
        window.answered(0.05, False)
    assert 5 == window.size


def test_does_not_grow_where_requests_wait_for_each_other():
    """
    A broker that takes one after the other is not helped by more of them.
    """
    window = Window()
    window.answered(0.001, False)
    assert 5 == grown(window, 20, 0.002).size


def test_does_not_grow_on_a_slow_line():
    """
    Requests that take a second each come near to their timeout if there are more of them.
    """
    assert 5 == grown(Window(), 20, 1.5).size


def test_shrinks_to_five_where_answers_become_slow():
    """
    More than fits on the line comes off it again.
    """
    window = grown(Window(), 20, 0.05)
    window.answered(0.21, True)
    assert 24 == window.size
    assert 5 == grown(window, 50, 0.3).size


def test_has_an_end():
    """
    However far away the broker is, a hundred are enough.
    """
    assert 100 == grown(Window(), 500, 0.9).size


def most_under_way(max_in_flight: int | None, seconds: float) -> int:
    """Let many requests of one batch be answered so late, and count them."""
    rig = Rig(
        {"t": [1] * 3},
        max_in_flight=max_in_flight,
        batch_max_records=1,
        linger=0.0,
        max_request_size=1200,
    )
    for number in range(300):
        rig.send(b"x" * 600, partition=number % 3)
    rig.turn()
    most = 0
    while rig.engine.in_flight:
        most = max(most, rig.engine.in_flight)
        rig.advance(seconds)
        flying = rig.engine._links.node(1).in_flight
        for one in [sent for sent in rig.sent if sent.tag in flying]:
            rig.answer(one)
    return most


def test_a_distant_broker_gets_more_requests_at_a_time():
    """
    With no number set it is five batches of each partition, however few requests that begins with.
    """
    assert 15 == most_under_way(None, 0.05)


@pytest.mark.parametrize("max_in_flight", [1, 5])
def test_a_number_that_is_set_is_kept(max_in_flight: int):
    """
    The option holds, whatever the distance.
    """
    assert max_in_flight == most_under_way(max_in_flight, 0.05)
