"""Names of this machine in Host headers: a server for this machine alone answers to no others.

After DNS rebinding, a browser sends the attacker's name. Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

__all__ = ["HOSTS", "is_loopback", "names_this_machine"]

HOSTS = ("127.0.0.1", "localhost", "[::1]")


def names_this_machine(hosts: Sequence[str]) -> bool:
    """Whether there is one Host header with a name of this machine; ports may be forwarded."""
    if len(hosts) != 1:
        return False
    name, colon, port = hosts[0].strip().lower().rpartition(":")
    if not colon or port.endswith("]"):
        return is_loopback(hosts[0].strip().lower())
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
