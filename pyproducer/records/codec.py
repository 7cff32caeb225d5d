"""The compression codecs of a record batch: their numbers, names and levels."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

__all__ = ["CODECS_BY_NAME", "CODEC_NAMES", "Codec", "LevelRange", "check_level", "level_range"]


class Codec(IntEnum):
    """A compression codec; the value is what the batch attributes hold."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


#: Kafka's name of each codec, as in ``compression.type``.
CODEC_NAMES: Final[dict[Codec, str]] = {codec: codec.name.lower() for codec in Codec}
#: The codec of each of Kafka's names.
CODECS_BY_NAME: Final[dict[str, Codec]] = {name: codec for codec, name in CODEC_NAMES.items()}


class LevelRange(NamedTuple):
    """The levels a codec takes, both ends included, and the one it takes when none is given."""

    min: int
    max: int
    default: int


# The ranges and defaults of compression.gzip.level, compression.lz4.level and
# compression.zstd.level (KIP-390). The default of gzip, -1, is zlib's own choice (6).
_LEVELS: Final[dict[Codec, LevelRange]] = {
    Codec.GZIP: LevelRange(1, 9, -1),
    Codec.LZ4: LevelRange(1, 17, 9),
    Codec.ZSTD: LevelRange(-131072, 22, 3),
}


def level_range(codec: Codec) -> LevelRange | None:
    """The levels of a codec, or None where it has none (none, snappy)."""
    return _LEVELS.get(codec)


def check_level(codec: Codec, level: int | None) -> int:
    """The level to use: the one given, or the codec's default.

    Raises:
        ValueError: the level is out of the codec's range, or the codec has no levels.
    """
    levels = _LEVELS.get(codec)
    if levels is None:
        if level is None:
            return 0
        raise ValueError(f"{CODEC_NAMES[codec]} compression has no levels, got level {level}")
    if level is None or level == levels.default:
        return levels.default
    if not levels.min <= level <= levels.max:
        raise ValueError(
            f"{CODEC_NAMES[codec]} compression takes a level from {levels.min} to {levels.max} "
            f"(default {levels.default}), got {level}"
        )
    return level
