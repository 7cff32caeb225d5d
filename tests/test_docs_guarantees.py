"""What the documentation promises of delivery is what the code has and what tests show."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from pyproducer.core.identity_verdict import IDENTITY_TABLE, IdentityAction
from pyproducer.core.verdict import TABLE, Action, Verdict
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.expected_verdicts import ACKNOWLEDGED, FAILED, STOPPED, expected
from tests.helpers.source_tree import ROOT

DOCS = ROOT / "docs"
PAGE = "reference/error-codes.md"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """The module that makes pages while the site is built."""
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(text: str) -> dict[str, list[list[str]]]:
    """The cells of each row of the page's tables, by the name of the code."""
    found: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) > 1 and re.fullmatch(r"-?\d+", cells[0]):
            found.setdefault(cells[1].strip("`"), []).append(cells)
    return found


def test_every_error_code_has_its_row(hooks: ModuleType):
    """
    The page of error codes has each code of Kafka's once, with what becomes of the batch; and
    once more where it stops a producer that asks for an id.
    """
    found = rows(hooks.error_codes())
    stops = {code for code, action in IDENTITY_TABLE.items() if action is IdentityAction.STOP}

    assert [code.name for code in ErrorCode if code.name not in found] == []
    assert set(found) == {code.name for code in ErrorCode}
    for code in ErrorCode:
        first, *more = found[code.name]
        row = expected(code)
        log = "yes" if row.fate == ACKNOWLEDGED else "maybe" if row.doubt else "no"
        assert (first[0], first[2], first[4]) == (str(int(code)), code.text, log)
        assert (row.fate in {FAILED, STOPPED}) == first[3].startswith("failed")
        assert (row.fate == STOPPED) == ("takes no more" in first[3])
        assert [len(cells) for cells in more] == [3] * (code in stops)


def test_page_follows_the_table(hooks: ModuleType, monkeypatch: pytest.MonkeyPatch):
    """
    The page says what the table says at the time, not what it said once.
    """
    monkeypatch.setitem(TABLE, ErrorCode.CORRUPT_MESSAGE, Verdict(Action.FATAL, True))
    [cells] = rows(hooks.error_codes())["CORRUPT_MESSAGE"]

    assert cells[3:] == [Action.FATAL.value, "maybe", "no", "`BrokerRejected`"]


def test_generated_pages_are_found_in_the_site(hooks: ModuleType):
    """
    The pages that are made while the site is built stand in its navigation.
    """
    text = (DOCS / "mkdocs.yml").read_text(encoding="utf-8")
    nav = re.findall(r"^ +- [^:\n]+: (\S+\.md)$", text, re.MULTILINE)
    made = hooks.pages()

    assert PAGE in made
    assert [page for page in made if page not in nav] == []


# The guide.

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
GUIDE = DOCS / "pages" / "guides" / "delivery.md"


def sections() -> dict[str, str]:
    """The text of each part of the guide to delivery, by its title."""
    _, *parts = re.split(r"^## ", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {part.partition("\n")[0]: part for part in parts}


def test_tests_of_the_guide_exist():
    """
    Each test that the guide to delivery names is there, as a test.
    """
    named = NAMED.findall(GUIDE.read_text(encoding="utf-8"))
    missing = []
    for path, name in named:
        file = ROOT / path
        found = re.search(
            rf"^(async )?def {name}\(",
            file.read_text(encoding="utf-8") if file.exists() else "",
            re.MULTILINE,
        )
        if found is None or not name.startswith("test_"):
            missing.append(f"{path}::{name}")

    assert missing == []
    assert len(named) > 40
    assert len(named) == len(set(named))


def test_each_promise_is_shown():
    """
    Each promise of the table at the head of the guide has a part of its own, with tests.
    """
    text = GUIDE.read_text(encoding="utf-8")
    head, parts = text.partition("\n## ")[0], sections()
    promised = re.findall(r"^\| \[([^]]+)\]", head, re.MULTILINE)

    assert len(promised) > 5
    for promise in promised:
        assert len(NAMED.findall(parts[promise])) >= 3, promise
