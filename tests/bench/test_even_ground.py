"""What is done to the machine before a server's round."""

from __future__ import annotations

from pathlib import Path

from tests.bench.even_ground import level


def written() -> int:
    """Bytes that this process has handed to the system so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def test_as_many_bytes_as_asked_for_go_through_memory_and_leave_nothing(tmp_path, monkeypatch):
    """
    The pages of a file of that size are used and freed again, and no file is left.
    """
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = written()

    level(3_500_000)

    assert 3_500_000 <= written() - before < 6_000_000
    assert [] == list(tmp_path.iterdir())
