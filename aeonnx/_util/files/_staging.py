"""Hidden files and folders that become results: whole, and swept if their writer was killed.

Each is called `.NAME.<8 hex digits>.aeonnx` and locked by its writer, so that the next one can tell
what is being written now from what a killed process left.
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
"""What this process is writing to now."""

_LONGEST = 200  # bytes of a name, which with what is added must stay under 255


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A hidden folder inside `folder`, which is made if need be, to write to; gone afterwards.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    with _made(folder), _hidden_folder(folder, folder.name) as staged:
        yield staged


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Write a folder that is not there yet, or is empty: yields a hidden one beside to write to.

    Leaving the block flushes and renames it; an exception, Ctrl-C included, leaves nothing.

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
    """A new hidden file beside `target`, locked: its descriptor and path."""
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
    """Remove a hidden file, if it is there still: its writer is done."""
    hidden.unlink(missing_ok=True)
    _WRITING.discard(hidden)


def abandon() -> None:
    """Remove what this process is writing to, before it ends without leaving its blocks."""
    for path in tuple(_WRITING):
        _remove(path)


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove what killed writers left in `folder`: all, or what was to become `name`."""
    wanted = None if name is None else _short(name)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = PART.fullmatch(entry.name)
            if match and wanted in (None, match["name"]) and not entry.is_symlink():
                _remove_dead(Path(entry.path))


def holds_nothing(folder: Path) -> bool:
    """Whether a folder is empty, but for what writers leave."""
    with os.scandir(folder) as entries:
        return all(is_ours(entry.name) for entry in entries)


def is_ours(name: str) -> bool:
    """Whether a name is a lock's, or a hidden file's or folder's."""
    return name == LOCK or PART.fullmatch(name) is not None


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder and those on the way to it; those that stay empty go afterwards."""
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
    """Lock what was just made; false if a sweeper was faster."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:  # nothing is swept there either
            raise
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    return False


def _remove_dead(path: Path) -> None:
    """Remove a hidden file or folder, unless its writer lives."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        import shutil  # slow to import, and most commands remove nothing

        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def flush_tree(folder: Path) -> None:
    """Put a folder with all that is in it on the disk."""
    for inner, _, names in os.walk(folder, topdown=False):
        for name in names:
            flush(Path(inner) / name)
        flush(Path(inner))


def flush(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
