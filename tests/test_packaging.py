"""What gets installed: built as pip does it, on a machine whose compiler does not work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.helpers.source_tree import PACKAGES, ROOT, files

PARTS = (*PACKAGES, "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names in a wheel built from a copy of the sources, with a compiler that fails."""
    folder = tmp_path_factory.mktemp("build")
    leftovers = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=leftovers)
        else:
            shutil.copy(source, folder / part)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--wheel-dir", str(folder / "dist"), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "CC": "false", "CXX": "false"},
        check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_builds_without_a_compiler(wheel):
    """
    Where nothing can be compiled the wheel is pure, and that is no error.
    """
    assert [] == [name for name in wheel if name.endswith((".so", ".pyd"))]


def test_every_module_is_in_the_wheel(wheel):
    """
    Each module and data file of both packages is installed.
    """
    wanted = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in files(f"{package}/**/*")
        if path.suffix not in {".c", ".so", ".pyc"}
    }

    assert set() == wanted - set(wheel)


def test_nothing_else_is_in_the_wheel(wheel):
    """
    Tests, examples and documentation stay out, and the types are announced.
    """
    tops = {name.split("/")[0] for name in wheel}

    assert {"pyproducer", "serializers"} == {top for top in tops if not top.endswith(".dist-info")}
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(wheel)
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
