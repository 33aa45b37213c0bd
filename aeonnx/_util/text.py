"""Texts for people, and untrusted texts for the terminal. Standard library only."""

from __future__ import annotations

import unicodedata

__all__ = ["counted", "printable"]

_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that control a terminal, reverse text direction or break lines."""


def counted(count: int, noun: str) -> str:
    """A number of things: "1 epoch", "2 epochs", "12,000 images"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with invisible characters escaped, such as "\x1b" or "\u202e".

    Args:
        text: any, such as a name in a manifest or of a file.
        keep: characters not to escape, such as "\n".
    """
    if text.isprintable():
        return text
    return "".join(
        char if char in keep or unicodedata.category(char) not in _HIDDEN else _escaped(char)
        for char in text
    )


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
