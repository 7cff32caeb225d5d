from __future__ import annotations

import pytest

from tests.bench.counts.measures import KINDS, LIMITS, Verdict, compare, kind_of


def verdicts(expected, counted, *, same_machine=True, whole=True):
    found = compare(expected, counted, same_machine=same_machine, whole=whole)
    return {one.name: one.verdict for one in found}


@pytest.mark.parametrize(
    ("counted", "verdict"),
    [
        (1000.0, Verdict.SAME),
        (1100.0, Verdict.SAME),
        (1101.0, Verdict.WORSE),
        (2000.0, Verdict.WORSE),
        (900.0, Verdict.SAME),
        (899.0, Verdict.BETTER),
    ],
)
def test_ten_percent_is_the_line(counted, verdict):
    """
    Up to 10 % more or less is the same; beyond, it is worse or better.
    """
    assert {"enqueue.instructions": verdict} == verdicts(
        {"enqueue.instructions": 1000.0}, {"enqueue.instructions": counted}
    )


def test_only_what_is_worse_gone_or_over_fails():
    """
    An improvement or a new measure is told, and does not fail the step.
    """
    assert {Verdict.WORSE, Verdict.GONE, Verdict.OVER} == {one for one in Verdict if one.fails}


def test_tiny_counts_differ_by_their_floor():
    """
    Where next to nothing is expected, twice of that is still next to nothing.
    """
    expected = {"x.allocations": 0.01}

    assert {"x.allocations": Verdict.SAME} == verdicts(expected, {"x.allocations": 0.1})
    assert {"x.allocations": Verdict.WORSE} == verdicts(expected, {"x.allocations": 0.2})


def test_growth_from_zero_is_worse():
    """
    What was 0 has no percentage, and still must not grow.
    """
    assert {"x.gc_objects": Verdict.WORSE} == verdicts({"x.gc_objects": 0.0}, {"x.gc_objects": 1.0})


def test_another_machine_judges_only_what_is_portable():
    """
    Instructions of another machine's kind say nothing; what the garbage collector sees does.
    """
    expected = {"x.instructions": 100.0, "x.gc_objects": 0.0}
    counted = {"x.instructions": 900.0, "x.gc_objects": 1.0}

    assert {"x.instructions": Verdict.NOT_COMPARED, "x.gc_objects": Verdict.WORSE} == verdicts(
        expected, counted, same_machine=False
    )


def test_what_is_counted_no_more_is_missed():
    """
    A measure that vanishes from a whole run fails it; one that was not asked for does not.
    """
    expected = {"x.instructions": 100.0, "y.instructions": 100.0}
    counted = {"x.instructions": 100.0}

    assert Verdict.GONE is verdicts(expected, counted)["y.instructions"]
    assert "y.instructions" not in verdicts(expected, counted, whole=False)
    assert not verdicts(expected, counted, same_machine=False)["y.instructions"].fails


def test_a_new_measure_asks_for_its_baseline():
    """
    What nobody expects yet is new.
    """
    assert {"x.instructions": Verdict.NEW} == verdicts({}, {"x.instructions": 5.0})


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_goals_hold_whatever_was_expected(name):
    """
    A goal that is missed fails on every machine, also where the baseline has the same count.
    """
    counted = {name: LIMITS[name] * 1.01}

    assert {name: Verdict.OVER} == verdicts(counted, counted)
    assert {name: Verdict.OVER} == verdicts({}, counted, same_machine=False)
    assert Verdict.OVER not in verdicts({}, {name: LIMITS[name]}).values()


def test_every_limit_is_of_a_kind():
    """
    Limits are of measures that there are.
    """
    assert {kind_of(name) for name in LIMITS} <= set(KINDS.values())
