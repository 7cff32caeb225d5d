"""Kafka on the wire, for client and broker alike: bytes in, messages out, no I/O."""
