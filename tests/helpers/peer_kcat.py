"""kcat: the command line client, on Debian's librdkafka 2.0.2."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Sequence

from tests.helpers.access import Access
from tests.helpers.peers import CONSUME_SECONDS
from tests.helpers.processes import PeerFailed, require_program
from tests.helpers.sample_records import ReadRecord, RecordHeaders, SampleRecord

# Text that no sample contains, between key and value and after each record.
_KEY_END = "<<key-end>>"
_RECORD_END = "<<record-end>>"


class Kcat:
    """An old librdkafka, and so a client that decides by the version ranges that a broker shows."""

    name = "kcat"
    sets_timestamps = False

    def can_send(self, record: SampleRecord) -> bool:
        # Headers are command line arguments, which end at a NUL; a line without bytes is no record.
        empty = record.key is None and record.value is None
        return not empty and all(value is None or 0 not in value for _, value in record.headers)

    def produce(
        self,
        bootstrap_servers: str,
        topic: str,
        records: Sequence[SampleRecord],
        *,
        codec: str = "none",
        acks: str = "all",
        access: Access | None = None,
    ) -> list[int] | None:
        command = ["-b", bootstrap_servers, "-t", topic, "-z", codec, "-X", f"acks={acks}"]
        command += ["-K", _KEY_END, "-D", _RECORD_END, *(access.kcat() if access else ())]
        for (partition, null_value, headers), run in itertools.groupby(records, key=_settings):
            options = [*command, "-P", "-p", str(partition), *_header_options(headers)]
            options += ["-Z"] if null_value else []
            _run(options, b"".join(map(_framed, run)))
        return None

    def consume(
        self,
        bootstrap_servers: str,
        topic: str,
        count: int,
        *,
        group: str | None = None,
        access: Access | None = None,
    ) -> list[ReadRecord]:
        command = ["-b", bootstrap_servers, "-J", "-q", "-X", "check.crcs=true"]
        command += access.kcat() if access else ()
        if group is None:
            command += ["-C", "-t", topic, "-o", "beginning", "-e"]
        else:
            command += ["-X", "auto.offset.reset=earliest", "-c", str(count), "-G", group, topic]
        return [_parsed(line) for line in _run(command).split(b"\n") if line]


PEER = Kcat()


def _settings(record: SampleRecord) -> tuple[int, bool, RecordHeaders]:
    """What holds for a whole run of kcat: consecutive records that share it go in one."""
    return record.partition, record.value is None, record.headers


def _header_options(headers: RecordHeaders) -> list[str | bytes]:
    options: list[str | bytes] = []
    for name, value in headers:
        options += ["-H", name if value is None else name.encode() + b"=" + value]
    return options


def _framed(record: SampleRecord) -> bytes:
    key = b"" if record.key is None else record.key + _KEY_END.encode()
    return key + (record.value or b"") + _RECORD_END.encode()


def _run(options: Sequence[str | bytes], given: bytes = b"") -> bytes:
    command = [require_program("kcat", "kcat"), *options]
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, timeout=CONSUME_SECONDS + 10, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise PeerFailed(f"{command} did not end: {(late.stderr or b'')[-2000:]!r}") from late
    if done.returncode != 0:
        raise PeerFailed(f"{command} ended with {done.returncode}: {done.stderr[-2000:]!r}")
    return done.stdout


def _parsed(line: bytes) -> ReadRecord:
    # kcat puts a record's bytes into the JSON as they are, UTF-8 or not; surrogates carry them.
    envelope = json.loads(line.decode("utf-8", "surrogateescape"))
    headers = envelope.get("headers", [])
    return ReadRecord(
        envelope["partition"],
        envelope["offset"],
        _raw(envelope["key"]),
        _raw(envelope["payload"]),
        tuple(zip(headers[::2], map(_raw, headers[1::2]), strict=True)),
        envelope["ts"],
    )


def _raw(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")
