"""Fetch sessions (KIP-227): a reader of many partitions names only what changes."""
