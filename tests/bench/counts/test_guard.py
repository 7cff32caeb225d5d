from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from tests.bench.counts.__main__ import report
from tests.bench.counts.baseline import Baseline, this_machine
from tests.bench.counts.callgrind import missing
from tests.helpers.source_tree import ROOT

needs_callgrind = pytest.mark.skipif(bool(missing()), reason=f"missing: {missing()}")

HERE = this_machine()
ELSEWHERE = dataclasses.replace(HERE, processor="m68k")


def run(path, *options, planted=""):
    program = [sys.executable, "-m", "tests.bench.counts"]
    return subprocess.run(
        [*program, "--only", "enqueue", "--baseline", path, *options],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "COUNTS_PLANTED": planted},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """A baseline of this machine as it is."""
    path = tmp_path_factory.mktemp("counts") / "baseline.toml"
    done = run(path, "--update")
    assert done.returncode == 0, done.stderr
    return path


@needs_callgrind
def test_counts_repeat(taken):
    """
    Counted again, the same code has the same counts: within 1 %, on a machine however busy.
    """
    again = taken.with_name("again.toml")
    done = run(again, "--update")
    first, second = (Baseline.read(path).tables[HERE] for path in (taken, again))

    assert 0 == done.returncode, done.stderr
    assert pytest.approx(first, rel=0.01) == second


@needs_callgrind
def test_a_regression_fails(taken):
    """
    Two needless copies of each value are found, by instructions and by allocations, and told.
    """
    done = run(taken, planted="yes")

    assert 1 == done.returncode, done.stdout
    assert "enqueue.instructions is WORSE: instructions per record" in done.stdout
    assert "enqueue.allocations is WORSE: allocations per record" in done.stdout


def test_the_expected_counts_pass(capsys):
    """
    Nothing is asked for where all is as expected.
    """
    counts = {"enqueue.instructions": 2000.0}

    assert 0 == report(Baseline({HERE: counts}), counts, whole=True)
    assert "--update" not in capsys.readouterr().out


def test_what_was_gained_is_asked_to_be_kept(capsys):
    """
    A baseline that is too high does not fail, and asks for an update.
    """
    baseline = Baseline({HERE: {"enqueue.instructions": 2000.0}})

    assert 0 == report(baseline, {"enqueue.instructions": 1700.0}, whole=True)
    assert "--update" in capsys.readouterr().out


def test_what_is_lost_fails(capsys):
    """
    A measure that a whole run does not have any more is no pass.
    """
    baseline = Baseline({HERE: {"enqueue.instructions": 2000.0}})

    assert 1 == report(baseline, {}, whole=True)
    assert "enqueue.instructions is GONE" in capsys.readouterr().out


def test_another_machines_counts_fail_nobody(capsys):
    """
    Where the baseline is of another kind of machine it says so, and judges nothing that depends
    on it.
    """
    baseline = Baseline({ELSEWHERE: {"enqueue.instructions": 2000.0}})

    assert 0 == report(baseline, {"enqueue.instructions": 9000.0}, whole=True)
    told = capsys.readouterr().out
    assert "no counts were taken on such a machine" in told
    assert "not compared" in told
