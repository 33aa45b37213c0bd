"""Running what people wrote: its errors become one sentence with their own line of code."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import torch

import aeonnx
from aeonnx.errors import AeonnxError, ModuleError

__all__ = ["line_of", "raised_here", "user_code"]

_LONGEST = 1000  # characters of a message
_OURS = str(Path(aeonnx.__file__).parent)
_LIBRARIES = (
    _OURS,
    str(Path(torch.__file__).parent),
    sysconfig.get_paths()["stdlib"],
    "<",  # code that was made at run time
)


@contextmanager
def user_code(doing: str, *, among_ours: bool = False) -> Iterator[None]:
    """Around code from elsewhere. What it prints goes to stderr: stdout is for results.

    Args:
        doing: what it does, the subject of the sentence.
        among_ours: it is called on the way of much else, whose own errors pass: only those that
            came through a line of theirs are told.

    Raises:
        ModuleError: with the code's own error, and the line of it that was the last to run.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (AeonnxError, MemoryError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # argparse, for one, leaves with SystemExit
        if among_ours and not line_of(error):
            raise
        raise ModuleError(f"{doing} raised {_told(error)}{line_of(error)}") from error


def line_of(error: BaseException) -> str:
    r"""The last line of people's own code in a traceback: "\n  mine.py:12: ..."; "" for none."""
    if isinstance(error, SyntaxError) and error.filename:
        return _shown(error.filename, error.lineno, error.text)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_library(frame.filename)]
    # What is installed is mostly another library's; but a model may be, too.
    written = [frame for frame in own if "site-packages" not in frame.filename]
    if not own:
        return ""
    frame = (written or own)[-1]
    return _shown(frame.filename, frame.lineno, frame.line)


def raised_here(error: BaseException) -> bool:
    """Whether it was aeonnx itself that refused something: a name, a shape."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(_OURS)


def _told(error: BaseException) -> str:
    text = str(error.msg if isinstance(error, SyntaxError) else error).strip()
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _is_library(file: str) -> bool:
    if file.startswith(_LIBRARIES[0]) or file.startswith(_LIBRARIES[1]):
        return True
    return file.startswith(_LIBRARIES[2:]) and "site-packages" not in file


def _shown(file: str, line: int | None, code: str | None) -> str:
    path = Path(file)
    with_folder = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"\n  {with_folder}:{line}: {(code or '').strip()}".rstrip(": ")
