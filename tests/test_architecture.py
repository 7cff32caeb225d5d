"""The plan of the house, held: who may import whom, how long a file gets, how it is written."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.source_tree import ROOT, all_imports, files, imports, is_within, modules

# Imports go from a later row to an earlier one, or stay in their row.
LAYERS = [
    {"_pure", "_sources"},
    {
        "errors",
        "model",
        "clock",
        "loop_thread",
        "generics",
        "pem_files",
        "threads",
        "writing",
        "_metadata",
        "_version",
    },
    {"properties", "jaas", "security"},
    {
        "protocol",
        "records",
        "config",
        "tokens",
    },
    {"partitioner"},
    {"core"},
    {"net"},
    {
        "producer",
        "topic",
        "assembly",
        "lifecycle",
        "bulk",
        "closing",
        "formats",
        "interceptors",
        "metrics",
        "offsets",
        "transaction",
        "transactor",
    },
    {"sync", "sync_topic", "sync_transaction", "background"},
    {"cli", "pytest_plugin"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

BROKER_MAY_USE = {
    "errors",
    "model",
    "clock",
    "loop_thread",
    "pem_files",
    "writing",
    "properties",
    "jaas",
    "protocol",
    "records",
    "broker",
}

# The order inside the broker; what is not named here may stand anywhere between.
BROKER_ORDER = ["log", "replication", "groups", "transactions", "handlers", "router", "server"]

PURE = ("pyproducer.core", "pyproducer.protocol", "pyproducer.records", "pyproducer.partitioner")
IMPURE_MODULES = ("asyncio", "socket", "ssl", "threading", "time", "random")

HEAVY = ("aiohttp", "fastavro", "kazoo", "typer", "rich")

CODE = (
    "pyproducer/**/*.py",
    "pyproducer/**/*.py[xi]",
    "pyproducer/**/*.px[id]",
    "serializers/**/*.py",
)
AROUND = ("tests/**/*.py", "examples/**/*.py", "docs/*.py")
TEXTS = ("*.md", "*.toml", "Makefile", ".ci/*", "docs/**/*.md", "docs/*.yml")

MAX_LINES = 600
# One class, whose methods read and write each other's fields millions of times a second.
LONGER = {"pyproducer/core/_appender.pyx": 800, "pyproducer/core/_appender_py.py": 700}
UNFINISHED = re.compile(
    r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b"
)

IMPORTS = all_imports()


def component(module: str) -> str:
    """Return the part of pyproducer a module belongs to: pyproducer.net.pool -> net."""
    return module.split(".")[1]


def own_imports() -> list:
    return [
        one
        for one in IMPORTS
        if one.importer.startswith("pyproducer.") and one.imported.startswith("pyproducer.")
    ]


def told(found: list) -> list[str]:
    return [f"{one.importer}:{one.line} imports {one.imported}" for one in found]


def test_every_module_has_a_layer():
    """
    Each part of pyproducer is placed: in a layer of the producer's side, or in the broker.
    """
    parts = {component(name) for name in modules() if name.startswith("pyproducer.")}

    assert set() == parts - set(RANK) - {"broker", "__main__"}


def test_imports_go_one_way():
    """
    No module of the producer's side imports a layer above its own.
    """
    wrong = [
        one
        for one in own_imports()
        if component(one.importer) in RANK
        and component(one.imported) in RANK
        and RANK[component(one.importer)] < RANK[component(one.imported)]
    ]

    assert [] == told(wrong)


def test_broker_never_meets_the_producer():
    """
    The broker uses shared nouns, protocol and records, nothing of the producer's side.
    """
    wrong = [
        one
        for one in own_imports()
        if component(one.importer) == "broker" and component(one.imported) not in BROKER_MAY_USE
    ]

    assert [] == told(wrong)


def test_producer_never_meets_the_broker():
    """
    Only the command line and the plugin for pytest, which start one, import the broker.
    """
    wrong = [
        one
        for one in own_imports()
        if component(one.imported) == "broker"
        and component(one.importer) not in {"broker", "cli", "pytest_plugin"}
    ]

    assert [] == told(wrong)


def test_order_inside_the_broker():
    """
    Log, replication, groups, transactions, handlers, router, server: each imports only those
    before it.
    """

    def place(module: str) -> int | None:
        parts = module.split(".")
        name = parts[2] if parts[:2] == ["pyproducer", "broker"] and len(parts) > 2 else ""
        return BROKER_ORDER.index(name) if name in BROKER_ORDER else None

    wrong = []
    for one in own_imports():
        importer, imported = place(one.importer), place(one.imported)
        if importer is not None and imported is not None and importer < imported:
            wrong.append(one)

    assert [] == told(wrong)


@pytest.mark.parametrize("package", PURE)
def test_no_io_clock_or_chance_below_net(package):
    """
    Engine, protocol, records and partitioner import nothing that does I/O, waits or guesses.
    """
    wrong = [
        one
        for one in IMPORTS
        if is_within(one.importer, package)
        and any(is_within(one.imported, module) for module in IMPURE_MODULES)
    ]

    assert [] == told(wrong)


def test_replication_state_is_pure():
    """
    The replication state machine, once there, does no I/O either.
    """
    wrong = [
        one
        for one in IMPORTS
        if one.importer == "pyproducer.broker.replication.state"
        and any(is_within(one.imported, module) for module in IMPURE_MODULES)
    ]

    assert [] == told(wrong)


def test_only_the_zookeeper_coordinator_imports_kazoo():
    """
    ZooKeeper's client is behind one adaptor.
    """
    users = {one.importer for one in IMPORTS if is_within(one.imported, "kazoo")}

    assert users <= {"pyproducer.broker.coordination.zookeeper"}


def test_serializers_stand_alone():
    """
    Neither import package imports the other, not even inside a function.
    """
    wrong = [
        one
        for one in IMPORTS
        if {one.importer.split(".")[0], one.imported.split(".")[0]} == {"pyproducer", "serializers"}
    ]

    assert [] == told(wrong)


def test_lazy_imports_are_seen(tmp_path):
    """
    The reader of imports finds statements inside functions, relative ones and submodules.
    """
    path = tmp_path / "x.py"
    path.write_text("from . import a\ndef f():\n    from ..b import c\n    import time as t\n")

    found = [(one.imported, one.line) for one in imports("p.q.x", path, {"p.q.a", "p.b"})]

    assert [("p.q.a", 1), ("p.b", 3), ("time", 4)] == found


def test_files_stay_readable():
    """
    No file of code, tests or examples reaches the line limit, message tables aside.
    """
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files(*CODE, *AROUND)
        if not path.is_relative_to(ROOT / "pyproducer" / "protocol" / "messages")
    }

    assert {} == {
        name: count for name, count in lengths.items() if count >= LONGER.get(name, MAX_LINES)
    }


def test_text_is_ascii():
    """
    Code, configuration and documentation are ASCII; other characters are written as escapes.
    """
    wrong = [
        str(path.relative_to(ROOT))
        for path in files(*CODE, *AROUND, *TEXTS)
        if not path.read_bytes().isascii()
    ]

    assert [] == wrong


def test_nothing_is_left_for_later():
    """
    No file carries a note about unfinished work.
    """
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files(*CODE, *AROUND, *TEXTS)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]

    assert [] == wrong


def test_every_module_says_what_it_is():
    """
    Each module of the two packages begins with a docstring, unless it is empty.
    """
    wrong = [
        name
        for name, path in modules().items()
        if path.suffix == ".py"
        and (tree := ast.parse(path.read_text("utf-8"))).body
        and not ast.get_docstring(tree)
    ]

    assert [] == wrong


def in_new_process(code: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light():
    """
    ``import pyproducer`` loads no web, Avro, ZooKeeper or terminal library, nor serializers.
    """
    code = (
        f"import sys, pyproducer; print(sorted({{*{HEAVY!r}, 'serializers'}} & set(sys.modules)))"
    )

    assert "[]" == in_new_process(code).strip()


def test_a_users_own_serializers_module_does_no_harm(tmp_path):
    """
    A program whose folder holds another ``serializers.py`` can still import the producer.
    """
    (tmp_path / "serializers.py").write_text("raise RuntimeError('not yours')\n")

    code = f"import sys; sys.path.append({str(ROOT)!r}); import pyproducer; print('ok')"

    assert "ok" == in_new_process(code, cwd=tmp_path).strip()


def test_each_module_can_be_imported_first():
    """
    No module depends on another one having been imported before it.
    """
    names = [name for name in modules() if not name.endswith("__main__")]
    # A package is imported before anything in it, so what it loads itself needs no trial.
    code = f"""
import importlib, itertools, os, sys, traceback

def fails(work, *arguments):
    child = os.fork()
    if child == 0:
        try:
            os._exit(work(*arguments))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1] != 0

def load(name):
    try:
        importlib.import_module(name)
    except ImportError as error:
        # An accelerator that was not built is no fault of the import order.
        if error.name != name:
            raise
    return 0

def load_package(package, names):
    load(package)
    failed = [name for name in names if name not in sys.modules and fails(load, name)]
    if failed:
        print("cannot be imported first:", failed, file=sys.stderr)
    return len(failed)

def part(name):
    return ".".join(name.split(".")[:2])

import pyproducer
groups = itertools.groupby(sorted({names!r}), key=part)
print([package for package, inside in groups if fails(load_package, package, list(inside))])
"""

    assert "[]" == in_new_process(code).strip()
