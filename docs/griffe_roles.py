"""Docstrings as the site wants them: cross-reference roles and literal blocks become Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|meth|func|attr|mod|exc|data):`~?([\w.]+)`")
DOUBLE = re.compile(r"``([^`]+)``")
LITERAL = re.compile(r"^(.*?)[ \t]*::$", re.MULTILINE)


def markdown(text: str) -> str:
    """Return the docstring's text with its roles written as plain code."""
    text = ROLE.sub(lambda match: f"`{match[1].rpartition('.')[2]}`", text)
    text = DOUBLE.sub(r"`\1`", text)
    return LITERAL.sub(lambda match: f"{match[1]}:" if match[1] else "", text)


class Roles(griffe.Extension):
    """Rewrites each docstring once, when it is collected."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)
