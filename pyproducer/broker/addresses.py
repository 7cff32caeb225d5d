"""IP addresses as clients and settings write them."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

__all__ = ["address_of", "is_address"]


@lru_cache(1024)
def address_of(host: str) -> str:
    """The one way to write an address; what is none is itself.

    An IPv6 address can be written in many ways, and one of IPv4 as one of IPv6: that is itself.
    """
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(getattr(found, "ipv4_mapped", None) or found)


def is_address(text: str) -> bool:
    """Whether the text is an address, and no name of a host."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
