"""Goals judge what was measured, and say so where nothing was."""

from __future__ import annotations

import pytest

from tests.bench.clients import CLIENTS
from tests.bench.goals import (
    GOALS,
    Bound,
    Goal,
    Greatest,
    Median,
    Ratio,
    RatioBeyond,
    RatioToSum,
    Share,
)
from tests.bench.series import Key, Results


def key(client):
    return Key("m", "w", "mock", client, "figure")


def results(**rounds):
    made = Results()
    for client, figures in rounds.items():
        for figure in figures:
            made.add(key(client), figure)
    return made


def test_ratio_is_of_medians_and_its_spread_of_rounds():
    """
    One ratio of medians; the spread is that of the ratios within each round.
    """
    figure = Ratio(key("a"), key("b")).of(results(a=[10, 20, 90], b=[10, 5, 30]))

    assert (20 / 10, 1, 4) == figure


def test_ratio_of_unequal_rounds_has_no_spread():
    """
    Rounds that cannot be paired give no spread, and still a ratio.
    """
    assert (2, None, None) == Ratio(key("a"), key("b")).of(results(a=[2], b=[1, 1]))


@pytest.mark.parametrize("missing", ["a", "b"])
def test_half_a_ratio_is_none(missing):
    """
    A ratio of something that was not measured is not guessed.
    """
    have = {"a": [1.0], "b": [1.0]}
    have.pop(missing)

    assert None is Ratio(key("a"), key("b")).of(results(**have))


def test_beyond_a_floor():
    """
    A cost above its floor is compared with another one above its own.
    """
    found = RatioBeyond(key("a"), key("fa"), key("b"), key("fb")).of(
        results(a=[5], fa=[2], b=[3], fb=[1])
    )

    assert 1.5 == found.value


def test_ratio_to_sum():
    """
    A cost is compared with that of its parts together, and only where all were measured.
    """
    ratio = RatioToSum(key("a"), (key("b"), key("c")))

    assert 2 == ratio.of(results(a=[6], b=[1], c=[2])).value
    assert None is ratio.of(results(a=[6], b=[1]))


def test_greatest_needs_all_parts():
    """
    The worst of several is known only where all are.
    """
    worst = Greatest((Median(key("a")), Median(key("b"))))

    assert 3 == worst.of(results(a=[1], b=[3])).value
    assert None is worst.of(results(a=[1]))


@pytest.mark.parametrize(
    ("least", "figure", "words"),
    [
        (True, 4.0, "met"),
        (True, 3.99, "NOT met"),
        (False, 4.0, "met"),
        (False, 4.01, "NOT met"),
        (True, None, "not measured"),
    ],
)
def test_verdict(least, figure, words):
    """
    A limit itself is good enough, and anything beyond it is not.
    """
    goal = Goal("what", "", 4, least, "ms", Median(key("a")))
    verdict = goal.judge(results(a=[figure] if figure is not None else []))

    assert words == verdict.words
    assert (">= 4 ms" if least else "<= 4 ms") == goal.words


def test_a_bound_is_told_beside():
    """
    What somebody else reached in the same run stands beside the figure; nothing, if it is missing.
    """
    goal = Goal("g", "", 4, True, "x", Median(key("a")), Bound("nobody", Median(key("b"))))

    assert "nobody: 7x" == goal.judge(results(a=[3], b=[7])).beside
    assert "" == goal.judge(results(a=[3])).beside


def test_a_share_is_of_the_median():
    """
    A rate that is known is told as a part of one that was measured, if it was.
    """
    assert (0.5, None, None) == Share(10, key("a")).of(results(a=[1, 20, 99]))
    assert None is Share(10, key("a")).of(results())


def parts(measured):
    """Every key that a figure comes from."""
    if isinstance(measured, Greatest):
        return {one for part in measured.parts for one in parts(part)}
    return {one for one in vars(measured).values() if isinstance(one, Key)}


def test_goals_name_clients_that_exist():
    """
    No goal waits for a client or a measure that nobody takes.
    """
    from tests.bench.tables import MEASURES, METRICS

    keys = {one for goal in GOALS for one in parts(goal.measured)}
    keys |= {one for goal in GOALS if goal.bound for one in parts(goal.bound.measured)}

    assert set() == {one.measure for one in keys} - set(MEASURES)
    assert set() == {one.metric for one in keys} - set(METRICS)
    assert set() == {one.client for one in keys if one.measure not in {"imports", "brokers"}} - set(
        CLIENTS
    )


def test_goals_name_rows_of_the_throughput():
    """
    The quick run and the full one both take every row of the throughput that a goal is about.
    """
    from tests.bench.measures import throughput

    wanted = {
        (one.workload, one.client)
        for goal in GOALS
        for one in parts(goal.measured)
        if one.measure == "throughput"
    }
    for rows in (throughput.GOALS, throughput.ALL):
        taken = {(row.name, client) for row in rows for client in row.clients}

        assert set() == wanted - taken
