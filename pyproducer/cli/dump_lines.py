"""The documents of a dump as lines for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from pyproducer.cli.bytes_fields import bytes_field

__all__ = ["json_of", "line_of"]

_Document = dict[str, Any]


def line_of(document: _Document) -> str:
    """The line of a document; what is in a file is indented, what is in a batch twice."""
    return _LINES[document["kind"]](document)


def json_of(document: _Document) -> str:
    """The document as JSON."""
    shown: _Document = {}
    for name, value in document.items():
        if name in {"key", "value"}:
            shown |= bytes_field(name, value)
        elif name == "headers":
            shown[name] = [{"name": one, **bytes_field("value", data)} for one, data in value]
        else:
            shown[name] = value
    return json.dumps(shown, ensure_ascii=False)


def _file(one: _Document) -> str:
    return f"{one['path']}  {one['bytes']} bytes"


def _batch(one: _Document) -> str:
    words = [
        f"  batch {one['first_offset']}-{one['last_offset']}",
        f"at {one['position']}",
        f"{one['bytes']} bytes",
        f"{one['records']} records",
        str(one["codec"]),
        f"crc {one['crc']}",
        f"leader epoch {one['leader_epoch']}",
        f"{one['timestamp_type']} {_time(one['max_timestamp_ms'])}",
    ]
    if one["producer_id"] >= 0:
        words.append(f"producer {one['producer_id']} epoch {one['producer_epoch']}")
    if one["first_sequence"] >= 0:
        words.append(f"sequence {one['first_sequence']}-{one['last_sequence']}")
    words += [name for name in ("transactional", "control") if one[name]]
    if one["delete_horizon_ms"] is not None:
        words.append(f"tombstones may go {_time(one['delete_horizon_ms'])}")
    if not one["sound"]:
        words.append("DAMAGED")
    return "  ".join(words)


def _record(one: _Document) -> str:
    words = [f"    {one['offset']}", _time(one["timestamp_ms"])]
    if "sequence" in one:
        words.append(f"sequence {one['sequence']}")
    words += [f"key {_bytes(one['key'])}", f"value {_bytes(one['value'])}"]
    words += [f"{_text(name)}={_bytes(value)}" for name, value in one.get("headers", ())]
    if "tombstone" in one:
        words.append("tombstone")
    return "  ".join(words)


def _marker(one: _Document) -> str:
    words = [f"    {one['offset']}", _time(one["timestamp_ms"]), f"marker: {one['type']}"]
    if "coordinator_epoch" in one:
        words.append(f"coordinator epoch {one['coordinator_epoch']}")
    return "  ".join(words)


def _producer(one: _Document) -> str:
    words = [
        f"  producer {one['producer_id']} epoch {one['producer_epoch']}",
        f"last {_time(one['last_timestamp_ms'])}",
        f"coordinator epoch {one['coordinator_epoch']}",
    ]
    if one["transaction_first_offset"] is not None:
        words.append(f"transaction open since offset {one['transaction_first_offset']}")
    words += [
        f"sequences {batch['first_sequence']}-{batch['last_sequence']} at offsets "
        f"{batch['first_offset']}-{batch['last_offset']}"
        for batch in one["batches"]
    ]
    return "  ".join(words)


def _aborted(one: _Document) -> str:
    return (
        f"  aborted transaction of producer {one['producer_id']}  offsets {one['first_offset']}-"
        f"{one['last_offset']}  last stable offset {one['last_stable_offset']}"
    )


def _gap(one: _Document) -> str:
    first, last = one["first"], one["last"]
    return f"    gap {first}" if first == last else f"    gap {first}-{last}"


def _bytes(data: bytes | None) -> str:
    return "null" if data is None else _text(data.decode("utf-8", "backslashreplace"))


def _text(text: str) -> str:
    """The text with its control characters escaped, so that a record stays one line."""
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if not character.isprintable():
        return character.encode("unicode_escape").decode()
    return character


def _time(ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(ms // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"
    if ms < 0:
        return "no time"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


_LINES: Final[dict[str, Callable[[_Document], str]]] = {
    "file": _file,
    "batch": _batch,
    "record": _record,
    "marker": _marker,
    "gap": _gap,
    "producer": _producer,
    "aborted": _aborted,
    "damage": lambda one: f"  damage at byte {one['position']}: {one['what']}",
    "index": lambda one: f"  offset {one['offset']}  at {one['position']}",
    "time_index": lambda one: f"  {_time(one['timestamp_ms'])}  offset {one['offset']}",
    "epoch": lambda one: f"  epoch {one['epoch']}  from offset {one['start_offset']}",
    "offset": lambda one: f"  {one['topic']}-{one['partition']}  offset {one['offset']}",
}
