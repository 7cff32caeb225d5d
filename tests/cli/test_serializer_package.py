from __future__ import annotations

import subprocess
import sys

from tests.helpers.command_line import ROOT, one_line


def test_a_module_of_the_same_name_is_told(tmp_path):
    """
    A user's own serializers.py in front of ours is named, in one line, with the way out.
    """
    path = tmp_path / "serializers.py"
    path.write_text("# mine\n")
    code = f"""
import sys
sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]
from pyproducer.cli import main
sys.exit(main(["demo", "--records", "1"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )

    assert 2 == done.returncode
    assert str(path) in one_line(done.stderr)
