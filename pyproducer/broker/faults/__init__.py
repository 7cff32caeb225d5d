"""Faults that tests set in a running broker; see `Faults`."""
