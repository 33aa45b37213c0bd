"""Names of this machine in Host headers: a server for this machine alone answers to no others.

After DNS rebinding, a browser sends the attacker's name. Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["HOSTS", "is_loopback", "names_this_machine"]

HOSTS = ("127.0.0.1", "localhost", "[::1]")


def names_this_machine(hosts: Sequence[str]) -> bool:
    """Whether there is one Host header with a name of this machine; ports may be forwarded."""
    if len(hosts) != 1:
        return False
    name, colon, port = hosts[0].strip().lower().rpartition(":")
    if not colon or port.endswith("]"):
        return hosts[0].strip().lower() in HOSTS
    return name in HOSTS and port.isdecimal()


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    return host in ("127.0.0.1", "localhost", "::1")
