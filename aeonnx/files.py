"""Writing that is all or nothing. Standard library only.

A folder with several files (a checkpoint, a bundle) is written as a transaction: everything goes
to a hidden folder first and is flushed to the disk; one rename of that hidden folder is the
commit; moving the files into place afterwards can be repeated, so that a process killed at any
moment leaves either the old files or the means to finish the new ones (`recover`).
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from aeonnx.errors import IntegrityError, OutputError

__all__ = [
    "new_file",
    "new_folder",
    "output_errors",
    "read_verified",
    "recover",
    "refuse_existing",
    "sweep",
    "transaction",
    "write_atomic",
]

_COMMITTED = ".committed"
_STAGED = ".staged-"


def read_verified(path: Path, digest: str) -> bytes:
    """What is in the file at `path`, which must have the SHA-256 `digest`.

    It is read once, so that what was checked is what is used, whatever happens to the file.

    Raises:
        IntegrityError: the file is missing or is not the one that the manifest names.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise IntegrityError(
            f"{path} is missing, though the manifest names it: export the bundle again"
        ) from None
    except OSError as error:
        raise IntegrityError(f"cannot read {path}: {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise IntegrityError(
            f"{path} is not the file that the manifest names: expected sha256 {digest}, "
            f"got {found}. Export the bundle again."
        )
    return data


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise `OutputError` if `path` exists and `force` is not set."""
    if path.exists() and not force:
        raise OutputError(f"{path} exists already: pass --force to replace it, or name another")


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all, keeping what was there until the new is safe.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    with new_file(path) as stream:
        stream.write(data)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file piece by piece, whole or not at all: yields the stream of a hidden one.

    Leaving the block puts it in place; an exception, Ctrl-C included, keeps what was there.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    temporary = path.parent / f".{path.name}.{os.urandom(4).hex()}"
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
            _flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def transaction(folder: Path) -> Iterator[Path]:
    """Write several files into `folder` together: yields a hidden folder to write them to.

    Leaving the block commits; an exception, Ctrl-C included, leaves `folder` as it was.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    with output_errors(folder):
        recover(folder)
        with new_folder(folder / _COMMITTED) as staged:
            yield staged
        recover(folder)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Write a folder that is not there yet, whole or not at all: yields a hidden one to write to.

    Leaving the block flushes and renames it; an exception, Ctrl-C included, leaves nothing.

    Raises:
        OSError: the disk is full, the folder is read-only, or the like.
    """
    parent = path.parent
    existed = parent.exists()
    parent.mkdir(parents=True, exist_ok=True)
    staged = parent / f"{_STAGED}{os.urandom(4).hex()}"
    staged.mkdir()
    try:
        yield staged
        for written in staged.rglob("*"):
            _flush(written)
        _flush(staged)
        os.replace(staged, path)
        _flush(parent)
    except BaseException:
        _remove(staged)
        if not existed:
            with suppress(OSError):
                parent.rmdir()
        raise


def sweep(folder: Path) -> None:
    """Remove what killed writers left in `folder`, which must have no other writer now."""
    for staged in folder.glob(f"{_STAGED}*"):
        _remove(staged)


def recover(folder: Path) -> None:
    """Finish a commit into `folder` that a killed process left half done, if there is one."""
    committed = folder / _COMMITTED
    if not committed.is_dir():
        return
    for source in sorted(path for path in committed.rglob("*") if path.is_file()):
        target = folder / source.relative_to(committed)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
    _remove(committed)
    _flush(folder)


def _remove(folder: Path) -> None:
    import shutil  # slow to import, and most commands remove nothing

    shutil.rmtree(folder, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Make an `OSError` in the block an `OutputError` about `path`, in words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = "the disk is full: free some space and run the command again"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason = "the folder cannot be written to: choose another with -o"
        else:
            reason = error.strerror or str(error)
        raise OutputError(f"cannot write {path}: {reason}. Nothing was changed.") from error
