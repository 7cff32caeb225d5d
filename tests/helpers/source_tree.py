"""The project's own source text: its files, and what each module imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pyproducer", "serializers")

CYTHON_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import|c?import\s+([\w.]+))", re.MULTILINE)


class Import(NamedTuple):
    """One imported module, wherever in the file the statement stands."""

    importer: str
    imported: str
    line: int


def files(*patterns: str) -> Iterator[Path]:
    """Yield the files of the source tree that match, build output aside."""
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def module_name(path: Path) -> str:
    """Return the dotted name of a module's file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> dict[str, Path]:
    """Return every module of both packages, Cython sources included, by dotted name."""
    return {
        module_name(path): path
        for package in PACKAGES
        for path in files(f"{package}/**/*.py", f"{package}/**/*.pyx")
    }


def imports(name: str, path: Path, known: set[str]) -> list[Import]:
    """Return what a module imports, at its top or inside functions, for checkers or at run time.

    Args:
        name: dotted name of the module.
        path: its file.
        known: names of all modules, to tell a submodule from a name in ``from x import y``.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".pyx":
        return [
            Import(name, match[1] or match[2], text.count("\n", 0, match.start()) + 1)
            for match in CYTHON_IMPORT.finditer(text)
        ]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [Import(name, alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.append(Import(name, whole if whole in known else base, node.lineno))
    return found


def all_imports() -> list[Import]:
    """Return the imports of every module of both packages."""
    tree = modules()
    known = set(tree)
    return [one for name, path in tree.items() for one in imports(name, path, known)]


def is_within(module: str, package: str) -> bool:
    """Return whether ``module`` is ``package`` or lies inside it."""
    return module == package or module.startswith(package + ".")
