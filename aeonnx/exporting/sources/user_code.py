"""Run users' code: its errors become one sentence that shows the line of their code."""

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

__all__ = ["line_of", "raised_by_aeonnx", "user_code"]

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
    """Context in which to run users' code. What it prints goes to stderr: stdout is for results.

    Args:
        doing: what the code does; the subject of the sentence "... raised ValueError: ...".
        among_ours: the context also runs aeonnx's code. Errors whose traceback has no line of the
            users' code pass unchanged.

    Raises:
        ModuleError: the code raised an error; the message shows it and the last line that ran.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (AeonnxError, MemoryError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # also SystemExit, which argparse raises
        if among_ours and not line_of(error):
            raise
        raise ModuleError(f"{doing} raised {_described(error)}{line_of(error)}") from error


def line_of(error: BaseException) -> str:
    r"""The last line of users' code in a traceback: "\n  mine.py:12: ..."; "" if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return _shown(error.filename, error.lineno, error.text)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_library(frame.filename)]
    # Prefer lines outside site-packages, but the model itself may be installed there.
    written = [frame for frame in own if "site-packages" not in frame.filename]
    if not own:
        return ""
    frame = (written or own)[-1]
    return _shown(frame.filename, frame.lineno, frame.line)


def raised_by_aeonnx(error: BaseException) -> bool:
    """Whether aeonnx itself raised the error, such as for an invalid name or shape."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(_OURS)


def _described(error: BaseException) -> str:
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
