"""The arithmetic of rounds, and what is written is what is read."""

from __future__ import annotations

import pytest

from tests.bench.series import Key, Results, percentile, summarize

KEY = Key("throughput", "100 B", "mock", "ours.enqueue", "records_per_s")


def results(**rounds):
    """Results with one series for each client."""
    made = Results({"rounds": 3}, ["throughput: a note"])
    for client, figures in rounds.items():
        for figure in figures:
            made.add(KEY._replace(client=client), figure)
    return made


def test_summary():
    """
    The median is the middle one, or the mean of the two in the middle; the ends are the ends.
    """
    assert (3, 1, 9) == summarize([9, 1, 3])
    assert (2.5, 1, 9) == summarize([9, 1, 3, 2])


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (50, 50), (99, 99), (99.9, 100), (100, 100)]
)
def test_percentile_is_a_sample(percent, expected):
    """
    A percentile is the smallest sample that so many are not above.
    """
    assert expected == percentile(range(100, 0, -1), percent)


def test_no_figure_is_no_median():
    """
    What was not measured has no median, and no rounds.
    """
    assert None is Results().median(KEY)
    assert () == Results().rounds(KEY)


def test_nonsense_is_refused():
    """
    A figure that is no number never becomes part of a result.
    """
    with pytest.raises(ValueError, match="no figure"):
        Results().add(KEY, float("nan"))


def test_saved_and_loaded(tmp_path):
    """
    A file has everything that was saved, to six digits.
    """
    saved = results(a=[1.23456789, 2.0], b=[1e9])
    saved.save(tmp_path / "results.json")
    loaded = Results.load(tmp_path / "results.json")

    assert (saved.about, saved.notes) == (loaded.about, loaded.notes)
    assert (1.23457, 2.0) == loaded.rounds(KEY._replace(client="a"))
    assert (1e9,) == loaded.rounds(KEY._replace(client="b"))


def test_taking_replaces_whole_measures():
    """
    Results that are taken over replace their measures, rows and notes, and leave the others.
    """
    earlier, later = results(a=[1], b=[2]), results(a=[3])
    earlier.note("latency: nobody was there")
    later.notes.clear()
    earlier.add(KEY._replace(measure="latency"), 7)
    earlier.take(later)

    assert (3,) == earlier.rounds(KEY._replace(client="a"))
    assert () == earlier.rounds(KEY._replace(client="b"))
    assert (7,) == earlier.rounds(KEY._replace(measure="latency"))
    assert ["latency: nobody was there"] == earlier.notes


def test_select():
    """
    Series are found by any of their words, in the order in which they came.
    """
    found = results(b=[1], a=[2]).select(measure="throughput", workload="100 B")

    assert ["b", "a"] == [series.key.client for series in found]
