"""Text in one of Python's encodings."""

from __future__ import annotations

from serializers.contract import Buffer, Context, DeserializeError, SerializeError
from serializers.encoding import canonical_encoding

__all__ = ["StringDeserializer", "StringSerializer"]


class StringSerializer:
    """Encodes text.

    Args:
        encoding: any of Python's text encodings; each value stands alone, so an encoding with a
            byte order mark writes one every time.

    Raises:
        ValueError: there is no such text encoding.

    Attributes:
        format: ``"string"`` for UTF-8, else ``"string:"`` and the encoding's canonical name.
    """

    __slots__ = ("_encoding", "format")

    def __init__(self, encoding: str = "utf-8") -> None:
        self._encoding = canonical_encoding(encoding)
        self.format = _format(self._encoding)

    def __call__(self, value: str, context: Context | None = None, /) -> bytes:
        """Return the encoded text.

        Raises:
            SerializeError: the value is no str, or has characters that the encoding lacks.
        """
        try:
            return str.encode(value, self._encoding)
        except UnicodeEncodeError as error:
            bad = value[error.start]
            raise SerializeError(
                f"the text has U+{ord(bad):04X} at index {error.start}, which {self._encoding} "
                f"cannot encode: {error.reason}"
            ) from error
        except TypeError as error:
            hint = "; use BytesSerializer" if isinstance(value, (bytes, bytearray)) else ""
            raise SerializeError(
                f"StringSerializer takes str, not {type(value).__name__}{hint}"
            ) from error

    def __repr__(self) -> str:
        return f"StringSerializer({self._encoding!r})"


class StringDeserializer:
    """Decodes text, strictly.

    Args:
        encoding: as for :class:`StringSerializer`.

    Raises:
        ValueError: there is no such text encoding.
    """

    __slots__ = ("_encoding", "format")

    def __init__(self, encoding: str = "utf-8") -> None:
        self._encoding = canonical_encoding(encoding)
        self.format = _format(self._encoding)

    def __call__(self, data: Buffer, context: Context | None = None, /) -> str:
        """Return the decoded text.

        Raises:
            DeserializeError: the bytes are not in the encoding.
        """
        try:
            return str(data, self._encoding)
        except UnicodeDecodeError as error:
            raise DeserializeError(
                f"byte {error.start} of {len(data)} is not {self._encoding}: {error.reason}"
            ) from error
        except TypeError as error:
            raise DeserializeError(
                f"StringDeserializer takes bytes, not {type(data).__name__}"
            ) from error

    def __repr__(self) -> str:
        return f"StringDeserializer({self._encoding!r})"


def _format(encoding: str) -> str:
    return "string" if encoding == "utf-8" else f"string:{encoding}"
