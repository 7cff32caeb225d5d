"""Print crc32.tsv: keys with the partition that librdkafka's default partitioner gives them.

Run with confluent-kafka installed: ``python tests/vectors/crc32_vectors.py > tests/vectors/crc32.tsv``.
librdkafka delivers to its own mock cluster, whose topics have four partitions, and reports
where each record went.
"""

from __future__ import annotations

import random

from confluent_kafka import Producer

PARTITIONS = 4


def keys() -> list[bytes]:
    """Return the keys, each once: numbered names, non-ASCII text, and random bytes."""
    rng = random.Random(2024)
    made = [f"user-{number * 7919}".encode() for number in range(300)]
    made += [bytes([byte]) for byte in range(256)]
    made += ["\u00e9t\u00e9".encode(), "\u65e5\u672c\u8a9e".encode(), b"123456789"]
    made += [rng.randbytes(length) for length in range(1, 41) for _ in range(12)]
    return list(dict.fromkeys(made))


def main() -> None:
    """Produce every key and print what was reported."""
    seen: dict[bytes, int] = {}

    def report(error: object, message: object) -> None:
        if error is not None:
            raise SystemExit(f"not delivered: {error}")
        seen[message.key()] = message.partition()

    producer = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    wanted = keys()
    for key in wanted:
        producer.produce("crc32", key=key, value=b"", on_delivery=report)
    if producer.flush(30):
        raise SystemExit("not everything was delivered")
    print(f"# key (hex)\t{PARTITIONS}")
    for key in wanted:
        print(f"{key.hex()}\t{seen[key]}")


if __name__ == "__main__":
    main()
