"""The broker's own small file: what must survive besides the logs.

One JSON document, replaced as a whole: after a crash it is the one from before or the one from
after a change, never a mixture. A change counts once `update` returns.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pyproducer.broker.log.filesystem import read_file, replace_file

if TYPE_CHECKING:
    from pathlib import Path

    from pyproducer.broker.log.filesystem import FileSystem

#: Name of the file in the data directory.
FILE_NAME = "pyproducer-metadata.json"
_FORMAT = 1


class MetadataFile:
    """The document, in memory and on disk.

    Args:
        fs: Where the file is.
        directory: The broker's data directory, which exists.

    Raises:
        ValueError: The file is there and is not ours, or of a later format.
    """

    def __init__(self, fs: FileSystem, directory: Path) -> None:
        self._fs = fs
        self.path = directory / FILE_NAME
        self._document: dict[str, Any] = {"format": _FORMAT}
        data = read_file(fs, self.path)
        if data is None:
            return
        try:
            document = json.loads(data)
            known = document["format"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{self.path} is not a broker's metadata: {error}") from error
        if known != _FORMAT:
            raise ValueError(f"{self.path} has format {known}; this version reads {_FORMAT}")
        self._document = document

    def get(self, section: str, default: Any = None) -> Any:
        """A section as it was last written. Not to be changed in place."""
        return self._document.get(section, default)

    def update(self, **sections: Any) -> None:
        """The sections are on disk with their new contents; the others are unchanged.

        Raises:
            OSError: They are not, and the old contents hold, in memory too.
        """
        document = {**self._document, **sections}
        text = json.dumps(document, indent=1, sort_keys=True)
        replace_file(self._fs, self.path, text.encode("ascii"))
        self._document = document
