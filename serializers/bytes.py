"""Bytes as they are."""

from __future__ import annotations

from serializers.contract import Buffer, Context, DeserializeError, SerializeError

__all__ = ["BytesDeserializer", "BytesSerializer"]


class BytesSerializer:
    """Passes bytes on; bytearrays and memoryviews are copied, since their owner may change them."""

    __slots__ = ()

    format = "bytes"

    def __call__(self, value: Buffer, context: Context | None = None, /) -> bytes:
        """Return the bytes of ``value``.

        Raises:
            SerializeError: the value is no bytes, bytearray or memoryview.
        """
        if type(value) is bytes:
            return value
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        hint = "; use StringSerializer for text" if isinstance(value, str) else ""
        raise SerializeError(
            f"BytesSerializer takes bytes, bytearray or memoryview, not a "
            f"{type(value).__name__}{hint}"
        )

    def __repr__(self) -> str:
        return "BytesSerializer()"


class BytesDeserializer:
    """Returns bytes of their own, whatever kind of buffer they came in."""

    __slots__ = ()

    format = "bytes"

    def __call__(self, data: Buffer, context: Context | None = None, /) -> bytes:
        """Return ``data`` as bytes.

        Raises:
            DeserializeError: it is no buffer.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise DeserializeError(f"BytesDeserializer takes bytes, not {type(data).__name__}")
        return bytes(data)

    def __repr__(self) -> str:
        return "BytesDeserializer()"
