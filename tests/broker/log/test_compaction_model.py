"""Random histories of a compacted log, held against a list of what it should hold."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyproducer.broker.log.cleaner import cleaning
from pyproducer.broker.log.cleaner import filter as filtering
from pyproducer.broker.log.producer_state import EndMarker
from pyproducer.records.codec import Codec
from tests.helpers.compaction import COMPACT, Rig, Row
from tests.helpers.compiled_scan import needs_compiled_scan
from tests.helpers.partition_logs import TP, batches_of, release_logs

RETENTION_MS = 10_000
PRODUCERS = (5, 6)
EPOCH = 1

keys = st.sampled_from([None, "a", "b", "c", "d"])
pairs = st.lists(st.tuples(keys, st.none() | st.integers(0, 999).map(str)), min_size=1, max_size=4)
codecs = st.sampled_from(list(Codec))
writes = st.tuples(st.just("write"), st.none() | st.sampled_from(PRODUCERS), pairs, codecs)
ends = st.tuples(st.just("end"), st.sampled_from(PRODUCERS), st.booleans())
others = st.tuples(st.sampled_from(["seal", "clean", "restart", "crash", "wait", "wait long"]))
cleanings = st.just([("seal",), ("clean",)])
steps = st.one_of(writes, writes, writes, ends, ends, others).map(lambda step: [step])
histories = st.lists(st.one_of(steps, steps, steps, cleanings), min_size=10, max_size=60)


@dataclass
class Write:
    """One record as it was written.

    Attributes:
        row: What a reader sees.
        batch: First offset of its batch.
        transaction: Number of its transaction, or None outside of any.
    """

    row: Row
    batch: int
    transaction: int | None


@dataclass
class Model:
    """What the log holds, and why.

    Attributes:
        left: The records that are there.
        aborted: Numbers of the aborted transactions.
        open: Number and first offset of each producer's open transaction.
        horizons: From when on the tombstones of a batch may go, by its first offset.
    """

    left: list[Write] = field(default_factory=list)
    aborted: set[int] = field(default_factory=set)
    open: dict[int, tuple[int, int]] = field(default_factory=dict)
    horizons: dict[int, int] = field(default_factory=dict)

    def clean(self, end: int, now_ms: int) -> None:
        """The log was compacted up to an offset."""
        newest = {
            one.row.key: one.row.offset
            for one in self.left
            if one.row.offset < end and one.transaction not in self.aborted
        }
        self.left = [
            one
            for one in self.left
            if one.row.offset >= end
            or (
                one.row.key is not None
                and one.transaction not in self.aborted
                and newest[one.row.key] == one.row.offset
            )
        ]
        buried = {one.batch for one in self.left if one.row.value is None and one.row.offset < end}
        gone = {batch for batch in buried if self.horizons.get(batch, now_ms + 1) <= now_ms}
        self.left = [one for one in self.left if not (one.batch in gone and one.row.value is None)]
        for batch in buried - gone:
            self.horizons.setdefault(batch, now_ms + RETENTION_MS)

    def committed(self, stable: int) -> list[Row]:
        """What a consumer with read_committed gets."""
        return [
            one.row
            for one in self.left
            if one.row.offset < stable and one.transaction not in self.aborted
        ]


def committed_of(rig: Rig) -> list[Row]:
    """What a consumer with read_committed makes of the log and its list of aborted transactions."""
    log = rig.log
    stable = log.last_stable_offset
    waiting = sorted(
        {(one.first_offset, one.producer_id) for one in log.aborted_transactions(0, stable)}
    )
    skipped: set[int] = set()
    hidden: set[int] = set()
    for batch in batches_of(log):
        header = batch.header
        while waiting and waiting[0][0] <= header.last_offset:
            skipped.add(waiting.pop(0)[1])
        if header.is_control:
            # An abort marker, which alone ends what is skipped; one without its record cannot.
            if any(bytes(one.key or b"") == b"\0\0\0\0" for one in batch.records()):
                skipped.discard(header.producer_id)
        elif header.is_transactional and header.producer_id in skipped:
            hidden.update(one.offset for one in batch.records())
    return [row for row in rig.rows() if row.offset < stable and row.offset not in hidden]


class Run:
    """A log and its model, side by side.

    Args:
        folder: The log's data directory.
    """

    def __init__(self, folder: Path) -> None:
        self.rig = Rig(folder, delete_retention_ms=RETENTION_MS, cleanup_policy=COMPACT)
        self.model = Model()
        self._sequences = dict.fromkeys(PRODUCERS, 0)
        self._transactions = 0

    def write(
        self, producer: int | None, records: list[tuple[str | None, str | None]], codec: Codec
    ) -> None:
        kind: dict[str, Any] = {"codec": codec, "time": self.rig.clock.wall_ms()}
        if producer is None:
            first = self._put(records, kind)
            number = None
        else:
            sequence = self._sequences[producer]
            kind |= {"producer": (producer, EPOCH, sequence), "transactional": True}
            first = self._put(records, kind)
            self._sequences[producer] += len(records)
            if producer not in self.model.open:
                self._transactions += 1
                self.model.open[producer] = self._transactions, first
            number = self.model.open[producer][0]
        self.model.left += [
            Write(Row(first + at, *pair), first, number) for at, pair in enumerate(records)
        ]

    def _put(self, records: list[tuple[str | None, str | None]], kind: dict[str, Any]) -> int:
        log = self.rig.log
        compacted = log.config
        # A compacted topic refuses records without keys; these are from before it was one.
        log.config = type(compacted)(
            cleanup_policy=frozenset({"delete"}), segment_ms=compacted.segment_ms
        )
        try:
            return self.rig.put(*records, **kind)
        finally:
            log.config = compacted

    def end(self, producer: int, commit: bool) -> None:
        opened = self.model.open.pop(producer, None)
        if opened is None:
            return
        self.rig.log.append_marker(producer, EPOCH, EndMarker(commit, 0), leader_epoch=0)
        if not commit:
            self.model.aborted.add(opened[0])

    def step(self, name: str) -> None:
        rig = self.rig
        if name == "seal":
            rig.seal()
        elif name == "clean":
            if rig.clean():
                end = rig.cleaner.cleaned_to(TP)
                assert end is not None
                self.model.clean(end, rig.clock.wall_ms())
        elif name == "restart":
            rig.restart()
        elif name == "crash":
            rig.restart(clean=False)
        else:
            rig.clock.pass_time(RETENTION_MS / 1000 * (0.6 if name == "wait" else 1))

    def check(self) -> None:
        rig = self.rig
        rows = [one.row for one in self.model.left]
        assert rows == rig.rows()
        first_open = [first for _, first in self.model.open.values()]
        stable = min([rig.log.log_end_offset, *first_open])
        assert stable == rig.log.last_stable_offset
        assert self.model.committed(stable) == committed_of(rig)


@pytest.fixture(
    params=[
        pytest.param("pyproducer.records._compaction_py", id="pure"),
        pytest.param("pyproducer.records._compaction", id="compiled", marks=needs_compiled_scan),
    ],
)
def twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that filters batches."""
    module = import_module(request.param)
    monkeypatch.setattr(cleaning, "OffsetMap", module.OffsetMap)
    monkeypatch.setattr(filtering, "rebased", module.rebased)
    return module


@pytest.mark.usefixtures("twin")
class TestHistories:
    """Both twins."""

    @settings(max_examples=100)
    @given(histories)
    def test_readers_see_what_the_model_holds(self, history: list[list[tuple[Any, ...]]]):
        """
        After any history, at any time, a reader of either isolation level gets exactly the records
        that the rules of compaction leave, through restarts and crashes.
        """
        with tempfile.TemporaryDirectory() as folder:
            run = Run(Path(folder))
            try:
                for name, *arguments in chain.from_iterable(history):
                    if name in {"write", "end"}:
                        getattr(run, name)(*arguments)
                    else:
                        run.step(name)
                    run.check()
            finally:
                release_logs()
