"""Every code block of README and documentation runs, against an embedded broker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pyproducer.broker import Broker
from tests.helpers.snippets import ADDRESS, commands, pages, python_blocks, topics_created
from tests.helpers.source_tree import ROOT

PAGES = pages()
TOPICS = {
    "audit": 1, "invoices": 3, "logs": 1, "orders": 3, "orders-json": 1, "places": 1
}  # fmt: skip

# Run as they stand; the others are held to their --help.
RUNNABLE = re.compile(r"pyproducer (topics|produce|tail)\b")


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run(command: list[str], address: str) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYPRODUCER_BOOTSTRAP_SERVERS": address,
    }
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False, timeout=120
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(
    "page", [one for one in PAGES if python_blocks(one) or topics_created(one)], ids=page_id
)
def test_page_runs(page):
    """
    The commands that create topics, then the programs, then the other commands of a page succeed.
    """
    own = topics_created(page)
    topics = {name: count for name, count in TOPICS.items() if name not in own}
    runnable = [one for one in commands(page) if RUNNABLE.search(one)]
    first = [one for one in runnable if " topics create " in one]
    with Broker(topics=topics) as broker:
        address = broker.bootstrap_servers
        for command in first:
            run(["bash", "-euo", "pipefail", "-c", command.replace(ADDRESS, address)], address)
        run(
            [sys.executable, "-W", "error", "-m", "tests.helpers.snippets", str(page), address],
            address,
        )
        for command in runnable:
            if command not in first:
                run(["bash", "-euo", "pipefail", "-c", command.replace(ADDRESS, address)], address)


@pytest.mark.parametrize(
    "command",
    sorted({one for page in PAGES for one in commands(page) if not RUNNABLE.search(one)}),
)
def test_command_exists(command):
    """
    A command that a test cannot run as it stands has its options, extras and targets at least.
    """
    words = command.replace("'", "").split()
    if words[0] == "pyproducer":
        groups = {"acls", "log", "quotas", "topics", "users"}
        called = words[1:3] if words[1] in groups else words[1:2]
        done = subprocess.run(
            [sys.executable, "-m", "pyproducer.cli", *called, "--help"],
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert [] == [one for one in words if one.startswith("--") and one not in done.stdout]
    elif words[0] == "export":
        from pyproducer.cli.shared import ENVIRONMENT

        name, _, value = words[1].partition("=")
        assert (name, value) == (ENVIRONMENT[0], ADDRESS)
    elif words[:2] == ["pip", "install"]:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        name, _, extra = words[2].rstrip("]").partition("[")
        assert name == project["name"]
        assert not extra or extra in project["optional-dependencies"]
    else:
        assert words[0] == "make"
        assert re.search(
            rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
        )


def test_error_page_names_every_error():
    """
    The guide to errors has each class of the tree.
    """
    from pyproducer import errors

    text = (ROOT / "docs" / "pages" / "guides" / "errors.md").read_text(encoding="utf-8")

    assert [] == [name for name in errors.__all__ if not re.search(rf"\b{name}\b", text)]


def test_pages_of_generated_text_exist():
    """
    The hook of the site makes a section for every option of the configuration.
    """
    import importlib.util

    from pyproducer.config import config_table

    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    text = hooks.configuration()

    assert [row.name for row in config_table()] == re.findall(r"^## (\w+)$", text, re.MULTILINE)
