"""Pages made while the site is built: the options of a producer, and the changelog."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

ROOT = Path(__file__).resolve().parent.parent


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages whose text comes from the code and from the changelog."""
    pages = {
        "reference/configuration.md": configuration(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for uri, content in pages.items():
        files.append(File.generated(config, uri, content=content))
    return files


def configuration() -> str:
    """Return the page of all options, from the table that checks them."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from pyproducer.config import config_table

    parts = [
        "# Configuration\n",
        "Every option of `AsyncProducer`, `SyncProducer` and `ProducerConfig`, with its default.",
        "Names are Kafka's in snake case, durations end in `_ms`, sizes are bytes.",
        "An option that is unknown, out of range or in conflict with another raises `ConfigError`",
        "with the reason; nothing is patched in silence.",
        "",
        "`ProducerConfig.from_kafka(mapping, dialect)` reads the names of the other two columns.",
        "",
    ]
    for row in config_table():
        facts = [f"**Type:** `{row.type}`", f"**Default:** `{row.default!r}`"]
        if row.unit:
            facts.append(f"**Unit:** {row.unit}")
        if row.range:
            facts.append(f"**Values:** {row.range}")
        names = [
            f"`{name}` ({whose})"
            for name, whose in ((row.kafka, "Java"), (row.librdkafka, "librdkafka"))
            if name
        ]
        facts.append(f"**Elsewhere:** {', '.join(names) or 'only here'}")
        parts += [f"## {row.name}\n", row.doc, "", *(f"- {fact}" for fact in facts), ""]
    return "\n".join(parts)
