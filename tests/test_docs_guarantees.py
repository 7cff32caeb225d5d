"""What the documentation promises of delivery is what the code has and what tests show."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from pyproducer.core.coordination import TABLE as COORDINATORS
from pyproducer.core.identity_verdict import IDENTITY_TABLE, IdentityAction
from pyproducer.core.verdict import TABLE, TRANSACTIONAL, Action, Verdict
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


def parts(text: str) -> dict[str, str]:
    """The text of each part of a page, by its title."""
    _, *found = re.split(r"^## ", text, flags=re.MULTILINE)
    return {part.partition("\n")[0]: part for part in found}


def test_every_error_code_has_its_row(hooks: ModuleType):
    """
    The page of error codes has each code of Kafka's once, with what becomes of the batch.
    """
    page = parts(hooks.error_codes())
    found = rows(page["In the answer to Produce"] + page["Codes that Produce does not have"])

    assert set(found) == {code.name for code in ErrorCode}
    for code in ErrorCode:
        [cells] = found[code.name]
        row = expected(code)
        log = "yes" if row.fate == ACKNOWLEDGED else "maybe" if row.doubt else "no"
        assert (cells[0], cells[2], cells[4]) == (str(int(code)), code.text, log)
        assert (row.fate in {FAILED, STOPPED}) == cells[3].startswith("failed")
        assert (row.fate == STOPPED) == ("takes no more" in cells[3])


def test_codes_instead_of_a_producer_id(hooks: ModuleType):
    """
    The page has each code that stops a producer which asks for its id, or fails its records.
    """
    found = rows(parts(hooks.error_codes())["In the answer to InitProducerId"])
    ends = {IdentityAction.STOP, IdentityAction.DENY}
    told = {code for code, action in IDENTITY_TABLE.items() if action in ends}

    assert set(found) == {ErrorCode(code).name for code in told}


def test_codes_in_transactions(hooks: ModuleType):
    """
    The page has each code that a coordinator's table has, and each by which Produce differs.
    """
    found = rows(parts(hooks.error_codes())["With a transactional id"])
    known = {code for table in COORDINATORS.values() for code in table if code}

    assert set(found) == {ErrorCode(code).name for code in {*known, *TRANSACTIONAL}}
    assert found["INVALID_GROUP_ID"][0][2:] == [
        "abort", "fatal", "fatal", "abort", "abort", "fatal"
    ]  # fmt: skip


def test_page_follows_the_table(hooks: ModuleType, monkeypatch: pytest.MonkeyPatch):
    """
    The page says what the table says at the time, not what it said once.
    """
    monkeypatch.setitem(TABLE, ErrorCode.CORRUPT_MESSAGE, Verdict(Action.FATAL, True))
    [cells] = rows(parts(hooks.error_codes())["In the answer to Produce"])["CORRUPT_MESSAGE"]

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
    head, shown = text.partition("\n## ")[0], parts(text)
    promised = re.findall(r"^\| \[([^]]+)\]", head, re.MULTILINE)

    assert len(promised) > 5
    for promise in promised:
        assert len(NAMED.findall(shown[promise])) >= 3, promise
