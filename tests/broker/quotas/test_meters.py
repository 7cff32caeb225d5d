"""Rates and buckets, against what Kafka's own meters give for the same."""

from __future__ import annotations

import pytest

from pyproducer.broker.quotas.meters import Rate, TokenBucket, Window

#: Kafka's own: ten whole samples of a second, and the one under way.
WINDOW = Window(11, 1000)


def test_rate_is_over_at_least_all_whole_samples():
    """
    What comes in the first moment counts as if it had come in ten seconds.
    """
    rate = Rate(WINDOW)
    rate.record(1000, 5_000)

    assert 100.0 == rate.per_second(5_000)
    assert 0 == rate.throttle_ms(100, 5_000)


def test_throttle_time_is_what_brings_the_rate_down():
    """
    (rate - limit) / limit * window, to a millisecond: 1500 in 10 s at a limit of 100 are 5 s more.
    """
    rate = Rate(WINDOW)
    rate.record(1500, 0)

    assert 5000 == rate.throttle_ms(100, 0)
    assert 0 == rate.throttle_ms(150, 0)


@pytest.mark.parametrize(
    ("at", "expected"), [(0, 5000), (500, 4500), (2500, 4500), (9999, 4001), (10_500, 4500)]
)
def test_throttle_time_later(at: int, expected: int):
    """
    The window is ten whole samples and what is over of the next, until it has eleven.
    """
    rate = Rate(WINDOW)
    rate.record(1500, 0)

    assert expected == rate.throttle_ms(100, at)


def test_what_is_older_than_the_window_does_not_count():
    """
    Eleven seconds after the last event of a sample it is gone.
    """
    rate = Rate(WINDOW)
    rate.record(1500, 0)
    rate.record(100, 3_000)

    assert 1600 / 10.999 == pytest.approx(rate.per_second(10_999))
    assert 100 / 10.0 == pytest.approx(rate.per_second(11_000), rel=0.1)
    assert not rate.idle(13_999)
    assert rate.idle(14_000)
    assert 0.0 == rate.per_second(14_000)


def test_taking_back_leaves_what_was_before():
    """
    An amount below zero undoes one of the same moment.
    """
    rate = Rate(WINDOW)
    rate.record(700, 0)
    rate.record(5000, 1500)
    rate.record(-5000, 1500)

    assert 700 / 10.5 == pytest.approx(rate.per_second(1500))


def test_samples_are_used_again():
    """
    A steady stream is measured as what it is, however long it goes on.
    """
    rate = Rate(WINDOW)
    for second in range(100):
        rate.record(50, second * 1000)

    assert 50 == pytest.approx(rate.per_second(99_999), rel=0.1)
    assert 12 == len(rate._samples)


def test_bucket_is_overdrawn_once_and_fills_again():
    """
    A new bucket has what comes in a window; beyond, the debt has to be paid before the next.
    """
    bucket = TokenBucket(WINDOW)
    bucket.spend(560 / 500 * 55, 5, 1_000)

    # 11 s of 5 a second are 55; 61.6 were taken.
    assert 1320 == bucket.throttle_ms(5, 1_000)
    assert 320 == bucket.throttle_ms(5, 2_000)
    assert 0 == bucket.throttle_ms(5, 2_320)
    assert not bucket.idle(5, 13_319)
    assert bucket.idle(5, 13_320)
