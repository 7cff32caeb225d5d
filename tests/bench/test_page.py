"""The page says what its results say, and its plots can be read by a browser."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.bench import page, report
from tests.bench.plots import Bar, Group, chart
from tests.bench.series import Key, Results, Summary

ABOUT = {
    "date": "2026-01-01",
    "processor": "A processor",
    "cores": 2,
    "memory_gib": 8,
    "system": "Linux 6",
    "python": "3.11.7",
    "load_before": 0.25,
    "rounds": 3,
    "versions": {"pyproducer": "0.1.0"},
}
MARKED = """before
<!-- goals: made by make bench -->
old
<!-- end of goals -->
between
<!-- results: made by make bench -->
<!-- end of results -->
after
"""


@pytest.fixture
def sample():
    """Results of two clients in one row."""
    made = Results(dict(ABOUT), ["aiokafka was not there"])
    for client, figures in (
        ("ours.enqueue", (2_000_000, 2_100_000, 1_900_000)),
        ("confluent.callback", (500_000, 400_000, 600_000)),
    ):
        for figure in figures:
            made.add(Key("throughput", "100 B", "mock", client, "records_per_s"), figure)
            made.add(Key("throughput", "100 B", "mock", client, "cpu_s_per_million"), 1e6 / figure)
    return made


def test_page_keeps_what_is_written_by_hand(sample):
    """
    Only what stands between the marks is made anew, and doing it twice changes nothing.
    """
    once = page.filled(MARKED, sample)

    assert [once.count(word) for word in ("before\n", "between\n", "after\n", "old")] == [
        1,
        1,
        1,
        0,
    ]
    assert page.filled(once, sample) == once


def test_page_has_figures_goals_and_notes(sample):
    """
    Medians with their spread, ratios beside their goals, and what is missing.
    """
    text = page.filled(MARKED, sample)

    assert "| 100 B | pyproducer enqueue | 2 M (1.9 M .. 2.1 M) |" in text
    assert "| >= 4x | 4x (3.17 .. 5.25) | met |" in text
    assert "not measured" in text
    assert "aiokafka was not there" in text


def test_page_without_marks_is_refused(sample):
    """
    A page that has lost its marks is not silently left as it is.
    """
    with pytest.raises(ValueError, match="no place for the goals"):
        page.filled("nothing", sample)


def test_terminal_has_the_goals_last(sample):
    """
    The table that one waits for is where a terminal ends.
    """
    lines = list(report.lines(sample))

    assert lines.index("Throughput:") < lines.index("Goals:")
    assert any("2 M (1.9 M .. 2.1 M)" in line for line in lines)


def test_plots_are_images(sample):
    """
    Every plot is well-formed, has a bar for each client, and says the figures.
    """
    images = page.plots(sample)
    assert {"throughput-clients.svg", "throughput-cpu.svg"} == set(images)
    root = ET.fromstring(images["throughput-clients.svg"])
    words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]

    assert {"pyproducer enqueue", "confluent-kafka, callback", "2M", "500k"} <= set(words)


def test_bars_are_in_proportion():
    """
    Bars begin at zero: twice the figure is twice the length.
    """
    bars = [Bar("a", Summary(2, 2, 2), 0), Bar("<b>", Summary(1, 1, 1), 1)]
    root = ET.fromstring(chart("title", "unit", [Group("", bars)]))
    widths = [float(node.get("width")) for node in root.iter("{http://www.w3.org/2000/svg}rect")]

    assert pytest.approx(2, abs=0.01) == widths[1] / widths[2]


@pytest.mark.skipif(not page.RESULTS.exists(), reason="no results were committed")
def test_committed_page_is_that_of_its_results():
    """
    Nobody changed a figure of the page by hand, or forgot to make the page from new results.
    """
    text = page.PAGE.read_text()
    results = Results.load(page.RESULTS)

    assert page.filled(text, results) == text
    assert page.plots(results) == {
        path.name: path.read_text() for path in page.FOLDER.glob("*.svg")
    }
