"""The options of a producer: what they are, what they may be, and how others spell them."""

from __future__ import annotations

from pyproducer.config.bootstrap import parse_bootstrap
from pyproducer.config.option import OptionRow
from pyproducer.config.producer_config import (
    Acks,
    CompressionType,
    Dialect,
    PartitionerOption,
    ProducerConfig,
    ProducerOptions,
    config_table,
)
from pyproducer.config.rules import COMPRESSION_TYPES, PARTITIONER_NAMES
from pyproducer.config.security_config import SecurityConfig, SecurityOptions

__all__ = [
    "COMPRESSION_TYPES",
    "PARTITIONER_NAMES",
    "Acks",
    "CompressionType",
    "Dialect",
    "OptionRow",
    "PartitionerOption",
    "ProducerConfig",
    "ProducerOptions",
    "SecurityConfig",
    "SecurityOptions",
    "config_table",
    "parse_bootstrap",
]
