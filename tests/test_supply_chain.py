"""What is installed is what was pinned; nothing in the packages runs text from outside."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.helpers.source_tree import PACKAGES, ROOT, files

LOCKS = ("requirements.lock", ".ci/fuzz.lock", ".ci/gssapi.lock")
PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)( ; [^\\]+)?(?: \\)?")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
AUDIT = ROOT / ".ci" / "audit"
SBOM = ROOT / ".ci" / "sbom"

#: Extras that build on few machines, and have locks of their own.
APART = {"gssapi": ".ci/gssapi.lock"}

#: The one place where each of these compiles lines that it made itself.
COMPILERS = {
    "pyproducer/protocol/schema.py",
    "pyproducer/protocol/compiler.py",
    "serializers/avro_encode.py",
}
FORBIDDEN_CALLS = {"eval", "__import__"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "yaml", "pty"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pinned(lock: str) -> dict[str, str]:
    """Version by name."""
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    return {normal(match[1]): match[2] for match in map(PIN.fullmatch, lines) if match}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock):
    """
    A lock file is pins to one version, each followed by at least one hash, and nothing else.
    """
    waiting: str | None = None
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if PIN.fullmatch(line):
            assert waiting is None, f"{waiting} has no hash"
            waiting = line
        else:
            assert HASH.fullmatch(line), line
            waiting = None
    assert waiting is None


def wanted() -> list[tuple[str, str]]:
    """Every requirement of the project, with the lock that covers it."""
    told = project()
    extras = told["project"]["optional-dependencies"]
    rows = [*told["project"]["dependencies"], *told["dependency-groups"]["dev"]]
    rows += [row for name, some in extras.items() if name not in APART for row in some]
    rows += told["build-system"]["requires"]
    apart = [(row, lock) for name, lock in APART.items() for row in extras[name]]
    fuzz = [(row, LOCKS[1]) for row in told["dependency-groups"]["fuzz"]]
    return [*((row, LOCKS[0]) for row in rows), *fuzz, *apart]


@pytest.mark.parametrize(("requirement", "lock"), wanted())
def test_the_lock_covers_what_the_project_asks_for(requirement, lock):
    """
    Each requirement, of extras and of the build too, is pinned to a version that it allows.
    """
    one = Requirement(requirement)

    assert pinned(lock)[normal(one.name)] in one.specifier


def test_nothing_runs_text_from_outside():
    """
    No module of the packages unpickles, evaluates, or reads YAML; code is made in three places.
    """
    found = []
    for package in PACKAGES:
        for path in files(f"{package}/**/*.py"):
            name = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    modules = [one.name for one in node.names]
                    if isinstance(node, ast.ImportFrom):
                        modules = [node.module or ""]
                    bad = {one.split(".")[0] for one in modules} & FORBIDDEN_MODULES
                    found += [f"{name}:{node.lineno} imports {one}" for one in bad]
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    called = node.func.id
                    if called in FORBIDDEN_CALLS or (called == "exec" and name not in COMPILERS):
                        found.append(f"{name}:{node.lineno} calls {called}")
                if isinstance(node, ast.Call):
                    shell = [one for one in node.keywords if one.arg == "shell"]
                    found += [f"{name}:{node.lineno} starts a shell" for _ in shell]
                if isinstance(node, ast.Attribute) and node.attr in {"mktemp", "system", "popen"}:
                    found.append(f"{name}:{node.lineno} uses {node.attr}")

    assert [] == found


def run(script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "some.lock"
    path.write_text("one-thing==1.5 \\\n    --hash=sha256:00\nother==2.0 ; x == 'y' \\\n")
    return path


def advisory(folder: Path, body: str) -> Path:
    place = folder / "vulns" / "one-thing"
    place.mkdir(parents=True)
    (place / "PYSEC-1.yaml").write_text(f"id: PYSEC-1\naffected:\n- {body}\n")
    return folder


RANGE = "ranges: [{type: ECOSYSTEM, events: [{introduced: '%s'}, {fixed: '%s'}]}]"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (RANGE % ("0", "1.6"), 1),
        (RANGE % ("1.5", "2"), 1),
        (RANGE % ("0", "1.5"), 0),
        (RANGE % ("1.6", "2"), 0),
        ("versions: ['1.5.0', '1.4']", 1),
        ("versions: ['1.4']", 0),
        ("ranges: [{type: ECOSYSTEM, events: [{introduced: '0'}, {last_affected: '1.5'}]}]", 1),
        ("ranges: [{type: ECOSYSTEM, events: [{introduced: '0'}, {last_affected: '1.4'}]}]", 0),
    ],
)
def test_audit_finds_what_the_database_knows(tmp_path, lock, body, status):
    """
    A version within an advisory's range or list is told with status 1, others are not.
    """
    done = run(AUDIT, "--lock", lock, "--database", advisory(tmp_path, body))

    assert (status, bool(status)) == (done.returncode, "one-thing 1.5: PYSEC-1" in done.stdout)


def test_audit_says_that_nobody_could_be_asked(tmp_path, lock, unused_tcp_port):
    """
    Without service or database the status is 3, and no word sounds like an all-clear.
    """
    for where in (("--service", f"http://127.0.0.1:{unused_tcp_port}"), ("--database", tmp_path)):
        done = run(AUDIT, "--lock", lock, *where)

        assert 3 == done.returncode
        assert done.stderr.startswith("NOT AUDITED: ")
        assert "" == done.stdout


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with the project's own metadata, as far as a bill of materials needs it."""
    told = project()["project"]
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {told['name']}",
        f"Version: {told['version']}",
        f"Summary: {told['description']}",
        f"License-Expression: {told['license']}",
        *(f"Requires-Dist: {row}" for row in told["dependencies"]),
    ]
    for extra, rows in told["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        for row in rows:
            name, _, marker = row.partition(";")
            both = f"({marker.strip()}) and " if marker else ""
            lines.append(f"Requires-Dist: {name.strip()}; {both}extra == '{extra}'")
    path = tmp_path / "pyproducer-0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pyproducer-0.dist-info/METADATA", "\n".join(lines) + "\n\n")
    return path


def test_bill_of_materials(wheel):
    """
    It names each dependency in the version of the lock, and what depends on what; twice the same.
    """
    done = run(SBOM, wheel)
    assert 0 == done.returncode, done.stderr
    bill = json.loads(done.stdout)
    versions = pinned(LOCKS[0])
    components = {one["name"]: one["version"] for one in bill["components"]}
    references = {one["bom-ref"] for one in bill["components"]}
    references.add(bill["metadata"]["component"]["bom-ref"])

    assert ("CycloneDX", "1.6", 1) == (bill["bomFormat"], bill["specVersion"], bill["version"])
    assert components == {name: versions[name] for name in components}
    assert {"orjson", "aiohttp", "scramp", "cryptography", "multidict", "asn1crypto"} <= set(
        components
    )
    assert not {"pytest", "mypy", "hypothesis"} & set(components)
    assert references == {one["ref"] for one in bill["dependencies"]}
    assert references >= {to for one in bill["dependencies"] for to in one["dependsOn"]}
    assert done.stdout == run(SBOM, wheel).stdout
