"""Bytes as members of a JSON object."""

from __future__ import annotations

import base64

__all__ = ["bytes_field"]


def bytes_field(name: str, data: bytes | None) -> dict[str, str | None]:
    """As text under the name, or in base64 under ``name_base64`` where they are none."""
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode()}
