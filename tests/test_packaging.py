"""What gets installed: built as pip does it, on a machine whose compiler does not work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.helpers.source_tree import PACKAGES, ROOT, files

PARTS = (*PACKAGES, "setup.py", "pyproject.toml", "README.md", "LICENSE")


def build_wheel(folder, **environment):
    """The names in the wheel of the sources in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--wheel-dir", str(folder / "dist"), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


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
    return build_wheel(folder, CC="false", CXX="false")


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


#: An extension of C, and one that no compiler takes.
_SOUND = """
#include <Python.h>
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "{name}"}};
PyMODINIT_FUNC PyInit_{name}(void) {{ return PyModule_Create(&module); }}
"""
_BROKEN = "#error not here\n"


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize(
    ("sources", "compiled"),
    [((_SOUND, _SOUND), 2), ((_SOUND, _BROKEN), 0), ((_BROKEN, _SOUND), 0)],
    ids=["all", "first", "second"],
)
def test_extensions_are_compiled_together_or_not_at_all(tmp_path, sources, compiled):
    """
    Where one extension fails the others are left out too: they know its classes as C's.
    """
    shutil.copy(ROOT / "setup.py", tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "pair"\nversion = "1"\n[tool.setuptools]\npy-modules = []\n'
        "ext-modules = [\n"
        '    { name = "first", sources = ["first.c"], optional = true },\n'
        '    { name = "second", sources = ["second.c"], optional = true },\n'
        "]\n",
        encoding="utf-8",
    )
    for name, source in zip(("first", "second"), sources, strict=True):
        text = source.format(name=name)
        (tmp_path / f"{name}.c").write_text(text, encoding="utf-8")

    names = [name for name in build_wheel(tmp_path) if name.endswith((".so", ".pyd"))]

    assert compiled == len(names)
