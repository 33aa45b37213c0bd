"""Texts from elsewhere, safe to show. Standard library only."""

from __future__ import annotations

import unicodedata

__all__ = ["printable"]

_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that steer a terminal, turn a line around or break it."""


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with what is not to be seen spelled out: "\x1b", "\u202e".

    Args:
        text: any, such as a name in a manifest or of a file.
        keep: characters to leave as they are, such as "\n".
    """
    if text.isprintable():
        return text
    return "".join(
        char if char in keep or unicodedata.category(char) not in _HIDDEN else _spelled(char)
        for char in text
    )


def _spelled(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
