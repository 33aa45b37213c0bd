"""Temporary hidden files and folders that are renamed to results, and removed after crashes.

Each is called `.NAME.<8 hex digits>.aeonnx` and locked by its writer, so that the next writer can
tell files being written from those that a killed process left behind.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aeonnx._util.files._errors import PART, output_errors
from aeonnx._util.files._lock import LOCK, NO_LOCKS

__all__ = [
    "abandon",
    "flush",
    "flush_tree",
    "give_up",
    "hidden_file",
    "holds_nothing",
    "is_ours",
    "new_folder",
    "staging",
    "sweep",
]

_WRITING: set[Path] = set()
"""Hidden files and folders that this process is writing."""

_LONGEST = 200  # bytes of NAME: the whole name must stay below 255


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Create a hidden folder inside `folder` and remove it afterwards; creates `folder` if needed.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    with _made(folder), _hidden_folder(folder, folder.name) as staged:
        yield staged


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Create a folder atomically, or fill an empty one: yields a hidden sibling to write to.

    Leaving the block flushes and renames it; an exception, Ctrl-C included, removes it.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    with _made(path.parent), _hidden_folder(path.parent, path.name) as staged:
        yield staged
        with output_errors(path):
            flush_tree(staged)
            os.replace(staged, path)
            flush(path.parent)


def hidden_file(target: Path) -> tuple[int, Path]:
    """Create and lock a hidden file in the folder of `target`: its descriptor and path."""
    sweep(target.parent, target.name)
    while True:
        path = _hidden_name(target.parent, target.name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o666)
        if _held(descriptor, path):
            _WRITING.add(path)
            return descriptor, path
        os.close(descriptor)


def give_up(hidden: Path) -> None:
    """Remove a hidden file, if it still exists, when its writer is done."""
    hidden.unlink(missing_ok=True)
    _WRITING.discard(hidden)


def abandon() -> None:
    """Remove this process's hidden files, before it exits without leaving their blocks."""
    for path in tuple(_WRITING):
        _remove(path)


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove hidden files of killed writers in `folder`: all, or those for target `name`."""
    wanted = None if name is None else _short(name)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = PART.fullmatch(entry.name)
            if match and wanted in (None, match["name"]) and not entry.is_symlink():
                _remove_dead(Path(entry.path))


def holds_nothing(folder: Path) -> bool:
    """Whether a folder is empty except for locks and hidden files of writers."""
    with os.scandir(folder) as entries:
        return all(is_ours(entry.name) for entry in entries)


def is_ours(name: str) -> bool:
    """Whether a name is that of a lock or of a hidden file or folder."""
    return name == LOCK or PART.fullmatch(name) is not None


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Create a folder and missing parents; afterwards remove those that are still empty."""
    with output_errors(folder):
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for path in missing:
            with suppress(OSError):
                path.rmdir()


@contextmanager
def _hidden_folder(parent: Path, name: str) -> Iterator[Path]:
    sweep(parent, name)
    with output_errors(parent / name):
        path, descriptor = _new_hidden_folder(parent, name)
    _WRITING.add(path)
    try:
        yield path
    finally:
        _remove(path)
        _WRITING.discard(path)
        os.close(descriptor)


def _new_hidden_folder(parent: Path, name: str) -> tuple[Path, int]:
    while True:
        path = _hidden_name(parent, name)
        path.mkdir()
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        if _held(descriptor, path):
            return path, descriptor
        os.close(descriptor)


def _hidden_name(parent: Path, name: str) -> Path:
    return parent / f".{_short(name)}.{os.urandom(4).hex()}.aeonnx"


def _short(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:_LONGEST])


def _held(descriptor: int, path: Path) -> bool:
    """Lock a new file or folder; False if another process's `sweep` removed it first."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:  # without locks, nothing is swept either
            raise
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    return False


def _remove_dead(path: Path) -> None:
    """Remove a hidden file or folder, unless its writer is still running."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        import shutil  # slow to import, and rarely needed

        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def flush_tree(folder: Path) -> None:
    """Flush a folder and all its content to disk."""
    for inner, _, names in os.walk(folder, topdown=False):
        for name in names:
            flush(Path(inner) / name)
        flush(Path(inner))


def flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
