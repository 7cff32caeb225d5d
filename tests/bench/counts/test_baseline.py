from __future__ import annotations

import dataclasses

import pytest

from tests.bench.counts.baseline import BASELINE, Baseline, Machine, this_machine
from tests.bench.counts.counting import PARTS
from tests.bench.counts.measures import LIMITS, kind_of

ONE = Machine("cpython 3.11", "x86_64", "GCC 12", "-O3 shared")
OTHER = Machine("cpython 3.12", "aarch64", "Clang 17", "-O3 profiled")


def test_a_file_comes_back_as_it_was_written(tmp_path):
    """
    Every machine's counts are read as they were, to the digits that mean something.
    """
    path = tmp_path / "baseline.toml"
    made = Baseline(
        {
            ONE: {"enqueue.instructions": 2658.14, "queued with handle.gc_objects": 0.00050833},
            OTHER: {"enqueue.instructions": 1900.0, "socket.joined": 0.0},
        }
    )
    made.write(path)

    assert {
        ONE: {"enqueue.instructions": 2658.1, "queued with handle.gc_objects": 0.0005083},
        OTHER: {"enqueue.instructions": 1900.0, "socket.joined": 0.0},
    } == Baseline.read(path).tables


def test_no_file_expects_nothing(tmp_path):
    """
    Without a file there are no tables.
    """
    assert {} == Baseline.read(tmp_path / "none.toml").tables


@pytest.mark.parametrize(
    "text", ["", "[[taken]]\npython = 'cpython 3.11'\n", "taken = 3\n", "not toml at all"]
)
def test_a_broken_file_is_refused(tmp_path, text):
    """
    A file that says something else is no empty one, which would let everything pass.
    """
    path = tmp_path / "baseline.toml"
    path.write_text(text)

    with pytest.raises(ValueError):
        Baseline.read(path)


def test_this_machine_is_told_in_words():
    """
    Each part of what counts depends on is known.
    """
    assert all(dataclasses.astuple(this_machine()))


def test_the_committed_file_has_everything():
    """
    Each part that is counted has expected counts, all of a known kind and within the limits.
    """
    for counts in Baseline.read(BASELINE).tables.values():
        paths = {name.rpartition(".")[0] for name in counts}

        assert set(PARTS) - {"holdings", "system-calls"} <= paths
        assert all(kind_of(name) for name in counts)
        assert LIMITS.keys() - {"real socket.system_calls"} <= counts.keys()
        assert all(counts[name] <= limit for name, limit in LIMITS.items() if name in counts)
