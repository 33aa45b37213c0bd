"""Finds the files of signals: files that are named, those of folders, and one on stdin."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aeonnx.errors import ImageError
from aeonnx.io.stored import STDIN, is_folder

__all__ = ["as_files"]


@contextmanager
def as_files(
    sources: Sequence[Path | str], suffixes: Sequence[str] = (".wav",), what: str = "signal"
) -> Iterator[tuple[list[Path], list[str]]]:
    """The files of some sources, and a line for each folder of which files were left out.

    Stdin is copied to a temporary file, since signals are read in pieces. Messages of errors call
    it stdin.

    Args:
        sources: files; folders, whose files of these suffixes are read in the order of their names,
            without those of folders inside; "-" for stdin.
        suffixes: such as .wav.
        what: the files hold, for messages.

    Raises:
        ImageError: a folder holds no such file, or stdin is closed.
    """
    with tempfile.TemporaryDirectory() as folder:
        stdin = Path(folder) / "stdin"
        paths: list[Path] = []
        left_out: list[str] = []
        for source in sources:
            if source == STDIN:
                _save_stdin(stdin)
                paths.append(stdin)
            elif is_folder(source):
                paths += _of_folder(Path(source), suffixes, what, left_out)
            else:
                paths.append(Path(source))
        try:
            yield paths, left_out
        except ImageError as error:
            raise ImageError(f"{error}".replace(f"{stdin}", "stdin")) from error


def _save_stdin(path: Path) -> None:
    if sys.stdin is None:
        raise ImageError("stdin is closed: send a signal to it, or name a file")
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)


def _of_folder(folder: Path, suffixes: Sequence[str], what: str, left_out: list[str]) -> list[Path]:
    try:
        entries = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError as error:
        raise ImageError(f"{folder} cannot be read: {error.strerror}") from error
    names = f"*{' or *'.join(suffixes)}"
    found = [each for each in entries if each.suffix.lower() in suffixes and each.is_file()]
    if not found:
        raise ImageError(f"{folder} holds no {what}: expected files named {names}")
    if count := len(entries) - len(found):
        left_out.append(f"{folder}: left out {count} not named {names}")
    return found
