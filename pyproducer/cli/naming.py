"""Advice on topic names, for those who are about to choose one."""

from __future__ import annotations

__all__ = ["advice"]


def advice(name: str) -> list[str]:
    """What could be better about a name; empty if nothing."""
    found = []
    if "." in name and "_" in name:
        found.append(
            f"{name!r} mixes '.' and '_'. Kafka's metrics write both as '_', so that it can be "
            f"taken for another topic; {name.replace('_', '-')!r} cannot."
        )
    elif "." not in name:
        found.append(
            f"{name!r} does not say whose it is. A namespace in front, as in "
            f"'shop.{name.replace('_', '-')}', keeps topics of other teams apart; names cannot be "
            "changed later."
        )
    if name != name.lower():
        found.append(
            f"{name!r} has capital letters. Names differ by case, which people overlook: "
            f"{name.lower()!r} is safer."
        )
    return found
