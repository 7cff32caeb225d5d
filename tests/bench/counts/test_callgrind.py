from __future__ import annotations

from collections import Counter

import pytest

from tests.bench.counts.callgrind import Profile, read_profile
from tests.bench.counts.counting import counts_of
from tests.bench.counts.paths import PATHS
from tests.bench.counts.system_calls import read_summary

TEXT = """\
# callgrind format
version: 1
desc: Trigger: Client Request: enqueue.long
events: Ir
fn=(1) append
0 30
cfn=(2) malloc
calls=3 0
0 12
cfn=(3) memcpy
calls=2 0
0 8
+4 5

fn=(2)
0 12

fn=(3)
* 8

fn=(1)
0 1
cfn=(1)
calls=1 0
0 40
totals: 56
"""


def test_a_profile_is_read():
    """
    Own instructions exclude calls, inclusive ones have them, and calls are counted by callee.
    """
    name, profile = read_profile(TEXT)

    assert "enqueue.long" == name
    assert 56 == profile.instructions
    assert Counter(append=36, malloc=12, memcpy=8) == profile.own
    assert Counter(malloc=3, memcpy=2, append=1) == profile.calls
    assert 12 == profile.inclusive["malloc"]
    assert 12 == profile.edges["append", "malloc"]


def test_the_rest_has_no_name():
    """
    What callgrind writes at a program's end was asked for by nobody.
    """
    assert "" == read_profile("desc: Trigger: Program termination\ntotals: 1\n")[0]


def test_a_later_round_of_a_recursion_is_the_same_function():
    """
    Callgrind numbers the rounds of recursion; they are one function.
    """
    _, profile = read_profile("fn=(1) visit\n0 1\nfn=(2) visit'2\n0 2\ntotals: 3\n")

    assert Counter(visit=3) == profile.own


def test_profiles_are_subtracted():
    """
    What two runs have in common is in neither.
    """
    long = Profile(100, Counter(a=60, b=40), Counter(a=100), Counter(b=9))
    short = Profile(30, Counter(a=25, b=5), Counter(a=30), Counter(b=2))
    net = long.minus(short)

    assert (70, 35, 35, 70, 7) == (
        net.instructions,
        net.own["a"],
        net.own["b"],
        net.inclusive["a"],
        net.calls["b"],
    )


def test_counts_are_per_record():
    """
    A path's instructions and allocations are divided by the records that were counted.
    """
    records = PATHS["keyed"].records
    profile = Profile(3 * records, calls=Counter(malloc=records, _PyObject_Malloc=records))

    assert {"keyed.instructions": 3.0, "keyed.allocations": 2.0} == counts_of({"keyed": profile})


def test_allocations_nobody_names_are_not_counted_as_none():
    """
    An interpreter without names of functions has no count of allocations, rather than 0.
    """
    assert {"keyed.instructions"} == counts_of({"keyed": Profile(1)}).keys()


def test_copies_are_told_by_one_known_copy():
    """
    So many instructions of memcpy for a longer value as one copy of it takes is one copy.
    """
    records = PATHS["enqueue"].records
    found = {
        "copying": Profile(own=Counter(__memcpy_sse2=100 * records)),
        "enqueue": Profile(own=Counter(__memcpy_sse2=30 * records)),
        "wide": Profile(own=Counter(__memcpy_sse2=180 * records, __memmove_sse2=50 * records)),
    }

    assert 2.0 == counts_of(found)["enqueue.copies"]


@pytest.mark.parametrize("errors", ["", "        17"])
def test_straces_sum_is_read(errors):
    """
    The number of calls is found with and without a column of errors.
    """
    text = (
        "% time     seconds  usecs/call     calls    errors syscall\n"
        "------ ----------- ----------- --------- --------- ----------------\n"
        " 28.34    0.002567           0      2626       168 newfstatat\n"
        "------ ----------- ----------- --------- --------- ----------------\n"
        f"100.00    0.009057           1      7310{errors:>10} total\n"
    )

    assert 7310 == read_summary(text)


def test_no_sum_of_straces_is_an_error():
    """
    Text of another kind is not taken for 0 calls.
    """
    with pytest.raises(ValueError, match="no summary"):
        read_summary("strace: ptrace: Operation not permitted\n")
