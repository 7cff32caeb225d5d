"""Codec numbers, names and levels."""

from __future__ import annotations

import pytest

from pyproducer.records.codec import (
    CODEC_NAMES,
    CODECS_BY_NAME,
    Codec,
    check_level,
    level_range,
)


def test_numbers_and_names_are_kafkas():
    """
    The attribute bits and config names are those of Kafka.
    """
    assert ["none", "gzip", "snappy", "lz4", "zstd"] == [CODEC_NAMES[Codec(n)] for n in range(5)]
    assert {name: codec for codec, name in CODEC_NAMES.items()} == CODECS_BY_NAME


def test_level_ranges_are_kafkas():
    """
    Ranges and defaults are those of KIP-390; none and snappy have no levels.
    """
    assert (1, 9, -1) == level_range(Codec.GZIP)
    assert (1, 17, 9) == level_range(Codec.LZ4)
    assert (-131072, 22, 3) == level_range(Codec.ZSTD)
    assert level_range(Codec.NONE) is None
    assert level_range(Codec.SNAPPY) is None


@pytest.mark.parametrize(
    ("codec", "level", "used"),
    [
        (Codec.GZIP, None, -1),
        (Codec.GZIP, -1, -1),
        (Codec.GZIP, 9, 9),
        (Codec.LZ4, None, 9),
        (Codec.ZSTD, None, 3),
        (Codec.ZSTD, -131072, -131072),
        (Codec.NONE, None, 0),
        (Codec.SNAPPY, None, 0),
    ],
)
def test_level_in_use(codec, level, used):
    """
    A level in range is used as it is, and None is the default.
    """
    assert used == check_level(codec, level)


@pytest.mark.parametrize(
    ("codec", "level"),
    [(Codec.GZIP, 0), (Codec.GZIP, 10), (Codec.LZ4, 0), (Codec.LZ4, 18), (Codec.ZSTD, 23)],
)
def test_level_out_of_range(codec, level):
    """
    A level out of range is refused, with the range.
    """
    with pytest.raises(ValueError, match=rf"{CODEC_NAMES[codec]} .* from -?\d+ to \d+ .*{level}$"):
        check_level(codec, level)


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.SNAPPY])
def test_level_without_levels(codec):
    """
    A level for a codec without levels is refused.
    """
    with pytest.raises(ValueError, match="has no levels, got level 1"):
        check_level(codec, 1)
