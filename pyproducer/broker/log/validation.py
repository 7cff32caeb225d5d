"""What a client's batch must be before it may enter a log.

The checks come in Kafka's order, each with Kafka's error code, because clients act on the code:
some are retried, some fail the batch, some name the records at fault. Where this is stricter
than Kafka the comment says so.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.config import NO_LIMIT, LogConfig
from pyproducer.broker.log.recompression import repack_header, stored_form, target_codec
from pyproducer.errors import CorruptRecord
from pyproducer.model import Buffer, TimestampType
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.batch import (
    ATTRIBUTES_POSITION,
    CODEC_MASK,
    HEADER_SIZE,
    LOG_OVERHEAD,
    MAGIC,
    MAGIC_POSITION,
    TIMESTAMP_TYPE_BIT,
    BatchHeader,
    read_header,
)
from pyproducer.records.builder import encode_record
from pyproducer.records.codec import Codec
from pyproducer.records.compression import decompress, has_linked_blocks
from pyproducer.records.crc import crc32c
from pyproducer.records.record import Record, ScanSummary
from pyproducer.records.scan import read_records, scan_records

__all__ = ["ValidBatch", "check_shape", "own_batch", "validate"]

_SIZE: Final = struct.Struct(">qi")
#: The smallest record of the oldest format; a length below it cannot be any batch's.
_MIN_LENGTH: Final = 14
_NO_TIMESTAMP: Final = -1
_LAST_CODEC: Final = max(Codec)
#: Produce versions below this one may not carry zstd: their consumers may not know it.
_ZSTD_SINCE: Final = 7
#: Records of one batch that an answer names: a batch of a megabyte can hold a million, and a
#: request a hundred of those.
_MOST_NAMED: Final = 10_000


@dataclass(frozen=True, slots=True)
class ValidBatch:
    """A batch that may be appended, in the form in which it is stored.

    Attributes:
        header: Its header, base offset and leader epoch still the client's.
        content: Its bytes from the magic byte (16) on, in order. What comes before is
            outside the CRC and is written by the log.
        log_append_time_ms: The broker's time that its records carry, or -1 for the client's.
    """

    header: BatchHeader
    content: tuple[Buffer, ...]
    log_append_time_ms: int


def check_shape(records: Buffer | None, request_version: int) -> memoryview:
    """The one batch that a Produce request's records field must hold, not verified yet.

    Up to 11 bytes behind it are left out in silence, as Kafka does; more are refused, where
    Kafka drops an unfinished second batch without a word.

    Raises:
        Refused: INVALID_RECORD, CORRUPT_MESSAGE or UNSUPPORTED_COMPRESSION_TYPE.
    """
    view = memoryview(records if records is not None else b"")
    if len(view) < LOG_OVERHEAD:
        raise Refused(ErrorCode.INVALID_RECORD, "the request has no record batch")
    _, length = _SIZE.unpack_from(view)
    if length < _MIN_LENGTH:
        raise Refused(ErrorCode.CORRUPT_MESSAGE, f"batch length {length}")
    size = length + LOG_OVERHEAD
    if len(view) <= MAGIC_POSITION:
        raise Refused(ErrorCode.INVALID_RECORD, "the request has no whole record batch")
    magic = view[MAGIC_POSITION]
    if magic > MAGIC:
        raise Refused(ErrorCode.CORRUPT_MESSAGE, f"record format {magic} does not exist")
    if len(view) < size:
        raise Refused(
            ErrorCode.INVALID_RECORD,
            f"the batch announces {size} bytes and the request has {len(view)}",
        )
    if magic != MAGIC:
        raise Refused(
            ErrorCode.INVALID_RECORD, f"record format {magic}; Produce takes format {MAGIC} only"
        )
    if size > ATTRIBUTES_POSITION + 1:
        codec = view[ATTRIBUTES_POSITION + 1] & CODEC_MASK
        if codec > _LAST_CODEC:
            raise Refused(
                ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"no compression codec has number {codec}"
            )
        if codec == Codec.ZSTD and request_version < _ZSTD_SINCE:
            raise Refused(
                ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
                f"zstd needs Produce version {_ZSTD_SINCE}, the request has {request_version}",
            )
    if len(view) - size >= LOG_OVERHEAD:
        raise Refused(
            ErrorCode.INVALID_RECORD, "a Produce request holds exactly one batch per partition"
        )
    return view[:size]


def validate(
    records: Buffer | None, config: LogConfig, *, now_ms: int, request_version: int
) -> ValidBatch:
    """The batch in the form in which this log stores it.

    A batch that needs no change is not copied. Depends on nothing but its arguments, so it
    may run on any thread.

    Args:
        records: The records field of a Produce request.
        config: The log's settings.
        now_ms: The broker's clock.
        request_version: Version of the Produce request.

    Raises:
        Refused: the batch must not be appended; nothing of it is usable.
    """
    view = check_shape(records, request_version)
    header = _check_header(view, config)
    _check_counts(header)
    plain = _plain_records(header, view, config)
    try:
        summary = scan_records(plain, header.record_count, header.base_timestamp)
    except CorruptRecord as error:
        raise Refused(ErrorCode.INVALID_RECORD, str(error)) from error
    if config.strict_offsets and not summary.sequential:
        raise Refused(
            ErrorCode.INVALID_RECORD, "the offset deltas of the records are not 0, 1, 2, ..."
        )
    _check_records(header, plain, summary, config, now_ms)

    append_time = -1
    final = header
    if config.message_timestamp_type is TimestampType.LOG_APPEND_TIME:
        append_time = now_ms
        final = header._replace(
            max_timestamp=now_ms, attributes=header.attributes | TIMESTAMP_TYPE_BIT
        )
    elif header.max_timestamp != summary.max_timestamp:
        final = header._replace(max_timestamp=summary.max_timestamp)
    block: Buffer = view[HEADER_SIZE:]
    received = header.codec
    codec = target_codec(config, received)
    # As in Kafka, which makes what is compressed, or gets to be, anew.
    renumber = not summary.sequential and not (received is codec is Codec.NONE)
    if codec is not received or renumber:
        if renumber:
            plain = _renumbered(header, plain)
        final, block = stored_form(final, plain, codec, config)
        if final.size > config.max_message_bytes:
            raise _too_large(final.size, config, "once recompressed")
    if final.size > config.segment_bytes:
        raise Refused(
            ErrorCode.RECORD_LIST_TOO_LARGE,
            f"the batch has {final.size} bytes, segment.bytes is {config.segment_bytes}",
        )
    if final is header or final == header:
        return ValidBatch(header, (view[MAGIC_POSITION:],), append_time)
    final, head = repack_header(final, block)
    return ValidBatch(final, (head[MAGIC_POSITION:], block), append_time)


def own_batch(batch: bytes, config: LogConfig, *, log_append_time_ms: int = -1) -> ValidBatch:
    """A batch that the broker made itself, for a log to store as it is.

    Raises:
        Refused: MESSAGE_TOO_LARGE.
    """
    if len(batch) > config.max_message_bytes:
        raise _too_large(len(batch), config, "as made")
    content = memoryview(batch)[MAGIC_POSITION:]
    return ValidBatch(read_header(batch), (content,), log_append_time_ms)


def _too_large(size: int, config: LogConfig, when: str) -> Refused:
    return Refused(
        ErrorCode.MESSAGE_TOO_LARGE,
        f"the batch has {size} bytes {when}, max.message.bytes is {config.max_message_bytes}",
    )


def _check_header(view: memoryview, config: LogConfig) -> BatchHeader:
    """The header, once base offset, size and CRC are right, in this order."""
    base_offset, _ = _SIZE.unpack_from(view)
    if base_offset != 0:
        raise Refused(
            ErrorCode.INVALID_RECORD, f"the base offset of a produced batch is 0, not {base_offset}"
        )
    if len(view) > config.max_message_bytes:
        raise _too_large(len(view), config, "as received")
    if len(view) < HEADER_SIZE:
        raise Refused(ErrorCode.CORRUPT_MESSAGE, f"a batch of {len(view)} bytes has no header")
    header = read_header(view)
    crc = crc32c(view[ATTRIBUTES_POSITION:])
    if crc != header.crc:
        raise Refused(
            ErrorCode.CORRUPT_MESSAGE, f"CRC is {crc:#010x}, the batch says {header.crc:#010x}"
        )
    return header


def _check_counts(header: BatchHeader) -> None:
    count = header.last_offset_delta + 1
    if count <= 0 or header.record_count <= 0 or count != header.record_count:
        raise Refused(
            ErrorCode.INVALID_RECORD,
            f"the batch has {header.record_count} records and offset deltas up to "
            f"{header.last_offset_delta}",
        )
    if header.is_control:
        raise Refused(ErrorCode.INVALID_RECORD, "clients do not write control records")
    if header.producer_id >= 0 and header.base_sequence < 0:
        raise Refused(
            ErrorCode.INVALID_RECORD,
            f"producer id {header.producer_id} without a sequence ({header.base_sequence})",
        )


def _plain_records(header: BatchHeader, view: memoryview, config: LogConfig) -> Buffer:
    block = view[HEADER_SIZE:]
    codec = header.codec
    if codec is Codec.NONE:
        return block
    try:
        # Kafka's readers refuse linked lz4 blocks: what none of them can read must not enter.
        if has_linked_blocks(codec, block):
            raise Refused(ErrorCode.CORRUPT_MESSAGE, "lz4: the frame has linked blocks")
        return decompress(codec, block, limit=config.decompressed_limit)
    except CorruptRecord as error:
        # Kafka answers UNKNOWN_SERVER_ERROR here, which says nothing.
        raise Refused(ErrorCode.CORRUPT_MESSAGE, str(error)) from error


def _check_records(
    header: BatchHeader, plain: Buffer, summary: ScanSummary, config: LogConfig, now_ms: int
) -> None:
    """Refuses the batch, naming every record at fault, as far as there are no more than 10,000.

    The summary decides whether any is; only then are the records looked at one by one.
    """
    client_type = header.timestamp_type
    earliest, latest = -NO_LIMIT, NO_LIMIT
    if config.message_timestamp_type is TimestampType.CREATE_TIME:
        earliest = now_ms - config.message_timestamp_before_max_ms
        latest = now_ms + config.message_timestamp_after_max_ms
    keyless = config.compacted and summary.null_key_index >= 0
    if (
        not keyless
        and client_type is TimestampType.CREATE_TIME
        and earliest <= summary.min_timestamp
        and summary.max_timestamp <= latest
    ):
        return
    guilty: list[tuple[int, str | None]] = []
    bad_time = False
    count = 0
    for index, record in enumerate(_decode(header, plain)):
        time = record.timestamp_ms
        if config.compacted and record.key is None:
            reason = "a compacted topic takes no record without a key"
        elif client_type is not TimestampType.CREATE_TIME:
            bad_time = True
            reason = "producers do not set the timestamp type to LogAppendTime"
        elif time != _NO_TIMESTAMP and not earliest <= time <= latest:
            bad_time = True
            reason = f"timestamp {time} is not in [{earliest}, {latest}]"
        else:
            continue
        count += 1
        if count <= _MOST_NAMED:
            guilty.append((index, reason))
    if not count:
        return
    code = ErrorCode.INVALID_TIMESTAMP if bad_time else ErrorCode.INVALID_RECORD
    told = f"{count} of {header.record_count} records were refused"
    if count > _MOST_NAMED:
        told += f", of which the first {_MOST_NAMED} are named"
    raise Refused(code, told, guilty)


def _decode(header: BatchHeader, plain: Buffer) -> list[Record]:
    try:
        return read_records(plain, header.record_count, 0, header.base_timestamp)
    except CorruptRecord as error:
        raise Refused(ErrorCode.INVALID_RECORD, str(error)) from error


def _renumbered(header: BatchHeader, plain: Buffer) -> bytearray:
    """The same records with the offset deltas 0, 1, 2..."""
    block = bytearray()
    for index, record in enumerate(_decode(header, plain)):
        encode_record(block, record, index, record.timestamp_ms - header.base_timestamp)
    return block
