"""Names of this machine in Host headers: a server for this machine alone answers to no others.

After DNS rebinding, a browser sends the attacker's name. Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address

__all__ = ["HOSTS", "is_loopback", "names_this_machine"]

HOSTS = ("127.0.0.1", "localhost", "[::1]")


def names_this_machine(hosts: Sequence[str]) -> bool:
    """Whether there is one Host header with a name of this machine; ports may be forwarded."""
    return len(hosts) == 1 and _is_own(hosts[0].strip().lower())


@lru_cache(maxsize=64)  # most clients send the same, and reading an address takes microseconds
def _is_own(host: str) -> bool:
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        return is_loopback(host)
    return is_loopback(name) and port.isdecimal()


def is_loopback(host: str) -> bool:
    """Whether a name or an address, that of IPv6 with or without brackets, is this machine's own.

    An address to listen on is then reached from this machine alone, and an address in a Host header
    is no name that an attacker could have bound to it.
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
