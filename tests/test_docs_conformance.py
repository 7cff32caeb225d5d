"""The page of statements is what the tests of them are."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.helpers.source_tree import ROOT

SAMPLE = '''
def test_p2_second(server):
    """
    What is second,
    in two lines.
    """
    if server:
        assert 1 == server.differs(ours=1, kafka=2, reason="one | and "
            "two")
    assert 3 == server.differs(ours=3, kafka=4, reason="three")

def test_p1_first(server):
    """
    What is first.
    """
    def test_p9_inner():
        pass

def test_c10_other(server):
    """
    What is other.
    """

def test_server_is_no_statement(server):
    pass
'''


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """The module that makes pages while the site is built."""
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(page: str) -> list[list[str]]:
    lines = [line for line in page.splitlines() if re.match(r"\| [A-Z]\d", line)]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def write(folder: Path, text: str) -> Path:
    (folder / "test_sample.py").write_text(text)
    return folder


def test_page_is_made_from_tests(hooks: ModuleType, tmp_path: Path):
    """
    A row for each test, by subject and number, with its docstring and the reasons of differences.
    """
    page = hooks.conformance(write(tmp_path, SAMPLE))

    assert [
        ["C10", "What is other.", "like Kafka"],
        ["P1", "What is first.", "like Kafka"],
        ["P2", "What is second, in two lines.", "differs: one \\| and two; three"],
    ] == rows(page)
    assert "3 tests of 3 statements; 1 of them differ." in page
    assert page.index("## Connections") < page.index("## Produce")


def test_every_test_has_its_row(hooks: ModuleType):
    """
    The page has as many rows as there are tests of statements, and every reason is on it.
    """
    texts = [path.read_text() for path in (ROOT / "tests" / "statements").glob("test_*.py")]
    names = [
        name
        for text in texts
        for name in re.findall(r"^def (test_[a-z]\d+_\w+)", text, re.MULTILINE)
    ]
    page = hooks.conformance()
    found = rows(page)

    assert names
    assert len(names) == len(found)
    wanted = sorted(name.split("_")[1].upper() for name in names)
    assert wanted == sorted(row[0] for row in found)
    differences = sum(text.count(".differs(") for text in texts)
    assert differences >= sum(row[2].startswith("differs: ") for row in found) > 0
    assert all(row[1].endswith(".") for row in found)
    assert page == hooks.pages()["reference/conformance.md"]


@pytest.mark.parametrize(
    "text",
    [
        "def test_p1_silent():\n    pass\n",
        'def test_w1_unknown():\n    """\n    What?\n    """\n',
        'def test_p1_made(s):\n    """\n    So.\n    """\n    s.differs(reason=f"{1}")\n',
    ],
)
def test_tests_that_a_page_cannot_be_made_from(hooks: ModuleType, tmp_path: Path, text: str):
    """
    A test without a docstring, a letter without a subject, a reason that is computed: no page.
    """
    with pytest.raises(ValueError, match=r"test_sample\.py: test_"):
        hooks.conformance(write(tmp_path, text))
