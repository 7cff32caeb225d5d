"""A broker's data directory: whose it is, who holds it, and how it was left."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pyproducer.broker.log.filesystem import File, FileSystem, read_file, replace_file
from pyproducer.errors import ConfigError

__all__ = [
    "DataDirectory",
    "DataDirectoryError",
    "parse_topic_id",
    "read_topic_id",
    "uuid_from_text",
    "uuid_text",
    "write_topic_id",
]

_CLEAN_MARKER: Final = ".kafka_cleanshutdown"
_LOCK: Final = ".lock"
_META: Final = "meta.properties"
_PARTITION_META: Final = "partition.metadata"


class DataDirectoryError(Exception):
    """The directory is another broker's, is in use, or holds files that nobody can read."""


def uuid_text(value: uuid.UUID) -> str:
    """Kafka's spelling of a UUID: 22 characters of URL-safe base64."""
    return base64.urlsafe_b64encode(value.bytes).decode().rstrip("=")


def uuid_from_text(text: str) -> uuid.UUID:
    """The UUID that Kafka spells like this.

    Raises:
        ValueError: it spells none.
    """
    return uuid.UUID(bytes=base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def write_topic_id(fs: FileSystem, directory: Path, topic_id: uuid.UUID) -> None:
    """The partition's directory says which topic of that name it belongs to."""
    text = f"version: 0\ntopic_id: {uuid_text(topic_id)}\n"
    replace_file(fs, directory / _PARTITION_META, text.encode())


def read_topic_id(fs: FileSystem, directory: Path) -> uuid.UUID | None:
    """The topic id of a partition's directory, or None where it is missing or unreadable."""
    try:
        return parse_topic_id(read_file(fs, directory / _PARTITION_META) or b"")
    except ValueError:
        return None


def parse_topic_id(raw: bytes) -> uuid.UUID:
    """The topic id in the contents of a ``partition.metadata``.

    Raises:
        ValueError: there is none.
    """
    try:
        return uuid_from_text(_properties(raw, ":")["topic_id"])
    except KeyError:
        raise ValueError("there is no line topic_id") from None


def _properties(raw: bytes, separator: str) -> dict[str, str]:
    """Names and values of a file with one of each a line; # starts a comment."""
    found: dict[str, str] = {}
    for line in raw.decode("utf-8").splitlines():
        name, mark, value = line.partition(separator)
        if mark and not line.startswith("#"):
            found[name.strip()] = value.strip()
    return found


class DataDirectory:
    """The directory, held by this broker from :meth:`open` to :meth:`close`.

    Args:
        path: Where it is; made if missing.
        fs: The file system it is on.
        node_id: The broker's number.
        cluster_id: The cluster's id; None takes what the directory says, or a new one.
        new_uuid: Source of new ids.

    Attributes:
        cluster_id: The cluster's id, known after :meth:`open`.
        was_clean: Whether the last stop was clean, so that indexes and snapshots hold.
    """

    def __init__(
        self,
        path: Path,
        *,
        fs: FileSystem,
        node_id: int,
        cluster_id: str | None = None,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self.path = path
        self.cluster_id = cluster_id or ""
        self.was_clean = False
        self._fs = fs
        self._node_id = node_id
        self._new_uuid = new_uuid
        self._lock: File | None = None

    def open(self) -> None:
        """The directory is ours; the marker of a clean stop is read and gone.

        Raises:
            DataDirectoryError: another broker runs on it, or it belongs to another one.
            ConfigError: it cannot be made, or no file be made in it.
            OSError: the disk failed.
        """
        try:
            self._make()
            self._lock = self._fs.lock(self.path / _LOCK)
        except BlockingIOError as error:
            raise DataDirectoryError(
                f"another broker runs on {self.path}; stop it or choose another data directory"
            ) from error
        except OSError as error:
            raise ConfigError(
                f"the data directory {self.path} cannot be used: {error.strerror or error}; "
                "name one that can be made and written to",
                option="data_dir",
            ) from error
        try:
            self._claim()
            # The marker goes before anything is written: a crash from here on is one.
            marker = self.path / _CLEAN_MARKER
            self.was_clean = self._fs.exists(marker)
            if self.was_clean:
                self._fs.remove(marker)
                self._fs.fsync_dir(self.path)
        except BaseException:
            self._lock.close()
            raise

    def _make(self) -> None:
        """The directory exists, and its name survives a loss of power."""
        made = [self.path, *self.path.parents]
        made = made[: next(at for at, path in enumerate(made) if self._fs.exists(path))]
        self._fs.mkdir(self.path)
        for path in made:
            self._fs.fsync_dir(path.parent)

    def _claim(self) -> None:
        path = self.path / _META
        raw = read_file(self._fs, path)
        if raw is None:
            self.cluster_id = self.cluster_id or self._new_id()
            lines = [
                "version=1",
                f"cluster.id={self.cluster_id}",
                f"node.id={self._node_id}",
                f"directory.id={self._new_id()}",
                "",
            ]
            replace_file(self._fs, path, "\n".join(lines).encode())
            return
        try:
            meta = _properties(raw, "=")
            node_id = int(meta["node.id"])
            cluster_id = meta["cluster.id"]
        except (KeyError, ValueError) as error:
            raise DataDirectoryError(f"{path} is not a broker's: {error}") from error
        if node_id != self._node_id:
            raise DataDirectoryError(
                f"{self.path} belongs to node {node_id}, this broker is node {self._node_id}"
            )
        if self.cluster_id and cluster_id != self.cluster_id:
            raise DataDirectoryError(
                f"{self.path} belongs to cluster {cluster_id}, not {self.cluster_id}"
            )
        self.cluster_id = cluster_id

    def _new_id(self) -> str:
        # Kafka's tools take a leading dash for an option, so no id starts with one.
        while (text := uuid_text(self._new_uuid())).startswith("-"):
            pass
        return text

    def mark_clean(self) -> None:
        """The next start may trust what it finds.

        Raises:
            OSError: the marker could not be written; the next start will recover.
        """
        replace_file(self._fs, self.path / _CLEAN_MARKER, b'{"version":0,"brokerEpoch":-1}')

    def close(self) -> None:
        """Another broker may take the directory."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
