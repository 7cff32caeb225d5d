"""The recipes of the guide to security that are for a broker of one's own write to one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.recipes import OWN, furnish, line_id, listener_of, made
from tests.helpers.secured import USER, Secured
from tests.helpers.snippets import Block


@pytest.fixture(scope="module")
def with_topic(secured: Secured) -> Secured:
    """The broker, with the topic of this module."""
    secured.create_topics({"recipes": 1})
    return secured


@pytest.mark.parametrize("block", OWN, ids=line_id)
async def test_recipe_writes(
    block: Block, with_topic: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What a user copies gets in.
    """
    secured = with_topic
    secured.tokens.subject = USER
    furnish(tmp_path, monkeypatch, secured.certificates, secured.tokens)
    host = secured.address(listener_of(block))

    async with made(block, host=host, tokens=secured.tokens.secure_token_url) as producer:
        sent = await producer.send("recipes", "one espresso")

    assert "recipes" == sent.topic
