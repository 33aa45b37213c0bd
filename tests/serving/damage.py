"""Damage to the bytes of a request."""

from __future__ import annotations

import random

__all__ = ["damaged"]

_TOKENS = (b"[", b"{", b'"', b",", b"-", b"9" * 20, b"null", b"1e999", b"\\u0000", b"\xff", b"\r\n")


def damaged(content: bytes, drawn: random.Random) -> bytes:
    """Bytes of which some are changed, removed, repeated or put in."""
    found = bytearray(content)
    for _ in range(drawn.randint(1, 4)):
        place = drawn.randint(0, max(0, len(found) - 1))
        match drawn.randrange(5):
            case 0 if found:
                found[place] = drawn.randrange(256)
            case 1:
                del found[place:]
            case 2:
                del found[place : place + drawn.randint(1, 20)]
            case 3:
                found[place:place] = found[place : place + 30]
            case _:
                found[place:place] = drawn.choice(_TOKENS)
    return bytes(found)
