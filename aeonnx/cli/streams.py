"""Standard output and standard error of a command, whatever they are connected to.

Standard output carries the result: if it cannot be written, the command ends. Standard error
carries progress: if it cannot be written, it is dropped and the command goes on.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import signal
import sys
from typing import Any, TextIO

from aeonnx.errors import OutputError

__all__ = ["prepare"]

_LOOKALIKES = {"✓": "+", "✗": "x", "━": "-", "╸": "-", "╺": "-", "…": "~", "•": "*"}
_SPINNER = range(0x2800, 0x2900)  # braille
_REPLACED = "aeonnx.replaced"  # the error handler `_replacement`, as registered with codecs


def prepare() -> None:
    """Replace the process's standard streams, unless a caller has replaced them already.

    A stream that is closed is treated as /dev/null. Characters that the encoding lacks are written
    as a similar ASCII character or as backslash escapes.
    """
    codecs.register_error(_REPLACED, _replacement)
    for number in (0, 1, 2):
        _require_open(number)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Result, 1, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Progress, 2, sys.stderr)


class _Result(io.FileIO):
    """Standard output: exits without a message if the pipe is closed; other failures are errors."""

    def write(self, data: Any) -> int:
        try:
            while (written := super().write(data)) is None:  # another process made it non-blocking
                select.select([], [self], [])
        except OSError as error:
            _discard(self.fileno())  # else flushing at exit fails too
            if isinstance(error, BrokenPipeError):
                raise SystemExit(128 + signal.SIGPIPE) from None
            raise OutputError(f"cannot write to standard output: {error.strerror}") from error
        return written


class _Progress(io.FileIO):
    """Standard error: failures to write are ignored, as there is nowhere to report them."""

    def write(self, data: Any) -> int:
        try:
            written = super().write(data)
        except OSError:
            written = None
        return len(memoryview(data).cast("B")) if written is None else written


def _text(raw: type[io.FileIO], number: int, before: TextIO | None) -> TextIO:
    buffer = io.BufferedWriter(raw(number, "wb", closefd=False))
    return io.TextIOWrapper(
        buffer,
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors=_REPLACED,
        line_buffering=number == 2 or getattr(before, "line_buffering", False),
        write_through=getattr(before, "write_through", False),
    )


def _require_open(number: int) -> None:
    """Open /dev/null for a closed descriptor: else the next opened file would get its number."""
    try:
        os.fstat(number)
    except OSError:
        _discard(number)


def _discard(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)


def _replacement(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_replaced, lacking)), error.end


def _replaced(character: str) -> str:
    if ord(character) in _SPINNER:
        return "*"
    escaped = character.encode("ascii", "backslashreplace").decode()
    return _LOOKALIKES.get(character, escaped)
