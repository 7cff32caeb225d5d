"""What lies in a broker's data folder, seen from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pyproducer.records.codec import CODEC_NAMES, Codec
from pyproducer.records.reader import Batch, iter_batches


def partition_folders(data_dir: Path, topic: str) -> list[Path]:
    """The folders of a topic's partitions, by partition number."""
    found = [
        folder
        for folder in data_dir.iterdir()
        if folder.is_dir() and folder.name.rpartition("-")[0] == topic
    ]
    assert found, f"no partition of {topic} in {data_dir}"
    return sorted(found, key=lambda folder: int(folder.name.rpartition("-")[2]))


def segment_files(data_dir: Path, topic: str, suffix: str) -> list[Path]:
    """All of a topic's files with this suffix, such as ``.log``, in the order of their offsets."""
    return [
        file
        for folder in partition_folders(data_dir, topic)
        for file in sorted(folder.glob(f"*{suffix}"))
    ]


def batches_on_disk(data_dir: Path, topic: str) -> Iterator[Batch]:
    """Every batch in a topic's segment files."""
    for file in segment_files(data_dir, topic, ".log"):
        yield from iter_batches(file.read_bytes())


def codecs_on_disk(data_dir: Path, topic: str) -> Counter[str]:
    """How many batches of a topic are stored with which codec."""
    return Counter(
        CODEC_NAMES[Codec(batch.header.codec)] for batch in batches_on_disk(data_dir, topic)
    )
