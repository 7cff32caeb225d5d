"""Options that several commands have, said once: a dataclass whose fields they are."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Self, get_type_hints

__all__ = ["OptionGroup"]


class OptionGroup:
    """The base of such a dataclass, of which a command takes one in a parameter.

    Each field has an option in its annotation, and a default::

        @dataclass(frozen=True, slots=True)
        class Whose(OptionGroup):
            user: Annotated[str | None, typer.Option("--user", help="Of this user.")] = None

        @command(app, "list")
        def list_(shared: Shared, whose: Whose) -> None: ...
    """

    __slots__ = ()

    @classmethod
    def parameters(cls) -> list[inspect.Parameter]:
        """Its options as parameters of a command."""
        assert is_dataclass(cls)
        hints = get_type_hints(cls, include_extras=True)
        defaults = {one.name: one.default for one in fields(cls)}
        assert MISSING not in defaults.values()
        return [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name]
            )
            for name, default in defaults.items()
        ]

    @classmethod
    def taken_from(cls, arguments: dict[str, Any]) -> Self:
        """The group with the arguments of its options, which are taken out."""
        assert is_dataclass(cls)
        return cls(**{one.name: arguments.pop(one.name) for one in fields(cls)})
