from __future__ import annotations

import json
import subprocess
import sys

from pyproducer.config import COMPRESSION_TYPES
from tests.helpers.command_line import ROOT, one_line, run_cli


def test_every_format_and_codec():
    """
    Each format goes through each codec, all records come back, and the source is named.
    """
    done = run_cli("demo", "--records", 300, "--json", timeout=60)

    assert 0 == done.returncode, done.stderr
    result = json.loads(done.stdout)
    assert "MIT licence" in result["source"]
    assert [
        (form, codec) for form in ("json", "csv", "avro", "msgpack") for codec in COMPRESSION_TYPES
    ] == [(one["format"], one["codec"]) for one in result["trials"]]
    for one in result["trials"]:
        assert (300, 0) == (one["records"], one["differences"])
        assert one["bytes"] > 0
        assert 0 < one["p50"] <= one["p99"]
        assert (one["ratio"] > 1.2) == (one["codec"] != "none")


def test_the_data_set_is_whole():
    """
    The data has at least 10,000 records, each with a key of its own and typed numbers.
    """
    from pyproducer.cli.demo.dataset import COLUMNS, KEY, NUMBERS, load

    records = load().records

    assert len(records) >= 10_000
    assert len(records) == len({one[KEY] for one in records})
    assert {COLUMNS} == {tuple(one) for one in records}
    assert all(type(one[name]) is float for one in records for name in NUMBERS)


def test_missing_data_names_the_extra():
    """
    Without the package of the data there is one line with the pip command, and status 2.
    """
    code = """
import sys
sys.modules["airportsdata"] = None
from pyproducer.cli import main
sys.exit(main(["demo"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )

    assert 2 == done.returncode
    assert "pip install 'pyproducer[cli]'" in one_line(done.stderr)
