"""The guide to security: its recipes are accepted as they stand, and what it names is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pyproducer
from pyproducer import errors
from pyproducer.config import config_table
from pyproducer.config.security_config import SASL_MECHANISMS
from tests.helpers.authority import Authority
from tests.helpers.recipes import PAGE, RECIPES, furnish, line_id, made
from tests.helpers.secured import Certificates
from tests.helpers.snippets import Block
from tests.helpers.token_server import TokenServer


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Those of the recipes' files."""
    return Certificates(Authority(tmp_path_factory.mktemp("certificates")))


@pytest.fixture(scope="module")
def tokens() -> Iterator[TokenServer]:
    """Signs the token of a recipe's file."""
    with TokenServer() as server:
        yield server


@pytest.mark.parametrize("block", RECIPES, ids=line_id)
def test_recipe_makes_a_producer(
    block: Block,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    certificates: Certificates,
    tokens: TokenServer,
) -> None:
    """
    Every recipe is a configuration that is accepted as it stands.
    """
    furnish(tmp_path, monkeypatch, certificates, tokens)

    assert made(block) is not None


def test_names_of_the_page_exist() -> None:
    """
    Each option that the page names is one, and each error of its table too.
    """
    text = PAGE.read_text(encoding="utf-8")
    options = {row.name for row in config_table()}
    known = set(errors.__all__) | {"TokenRequestFailed"}

    assert set() == set(re.findall(r"\b(?:ssl|sasl)_[a-z_]+\b", text)) - options
    named = re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)))
    assert set() == {one for one in named if one[0].isupper() and not one.isupper()} - known


def test_page_has_each_mechanism_and_error() -> None:
    """
    No mechanism is without a recipe, and no error of security without a row.
    """
    text = PAGE.read_text(encoding="utf-8")
    families = (pyproducer.TlsError, pyproducer.AuthenticationError, pyproducer.AuthorizationError)
    classes = {
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, families) and one not in families
    }

    assert [] == [one for one in SASL_MECHANISMS if one not in text]
    assert [] == sorted(name for name in classes if f"`{name}`" not in text)
