"""Writes single files atomically."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from aeonnx._util.files._commit import names_in
from aeonnx._util.files._errors import output_errors
from aeonnx._util.files._staging import flush, give_up, hidden_file, holds_nothing
from aeonnx.errors import OutputError

__all__ = ["add", "new_file", "refuse_existing", "write", "write_atomic"]


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise `OutputError` if something at `path` would be lost and `force` is not set.

    Devices, pipes and empty folders are accepted: nothing would be lost.
    """
    with output_errors(path):
        found = _status(path)
        if found is None or force:
            return
        regular, folder = stat.S_ISREG(found.st_mode), stat.S_ISDIR(found.st_mode)
        if not regular and (not folder or holds_nothing(path)):
            return
    what = "replace it" if regular else "write into it, over files of the same names"
    raise OutputError(f"{path} exists already: pass --force to {what}, or name another")


def write(path: Path, data: bytes) -> None:
    """Write a file in a hidden folder, see `staging`, and create its parent folders.

    Raises:
        OutputError: the disk is full, or the like.
    """
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically, see `new_file`.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    with new_file(path) as stream:
        stream.write(data)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file atomically in pieces: yields the stream of a hidden file.

    Leaving the block renames it to `path`; an exception, Ctrl-C included, keeps the old file. If
    `path` is a link, its target is replaced. A new file inherits mode and owner of the one that it
    replaces. Devices and pipes are written to directly.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    with output_errors(path):
        before = _status(path)
        if before is not None and stat.S_ISDIR(before.st_mode):
            raise OSError(errno.EISDIR, "it is a folder")
    if before is None or stat.S_ISREG(before.st_mode):
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        with _replaced(path, target, before) as stream:
            yield stream
    else:
        with output_errors(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        with _stream(path, descriptor) as stream:
            yield stream


def add(staged: Path, folder: Path) -> None:
    """Add the files in `staged` to an existing folder, each atomically, see `new_file`.

    Conflicts between files and folders are found before anything is written.

    Raises:
        OutputError: a folder has the name of a file or the other way round; or the disk is full:
            then earlier files are written already, and the message says how many.
    """
    names = names_in(staged)
    for name in names:
        with output_errors(folder / name):
            inside = [path for path in (folder / name).parents if folder in path.parents]
            _require_places(folder / name, inside)
    for done, name in enumerate(names):
        try:
            write_atomic(folder / name, (staged / name).read_bytes())
        except OutputError as error:
            if not done:
                raise
            text = str(error).removesuffix(" Nothing was changed.")
            raise OutputError(f"{text} Files written before it: {done} of {len(names)}.") from error


def _require_places(path: Path, inside: list[Path]) -> None:
    found = _status(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EISDIR, "it is a folder")
    for place in inside:
        if os.path.lexists(place) and (place.is_symlink() or not place.is_dir()):
            raise OSError(errno.ENOTDIR, f"{place.name} on the way is a link or a file")


@contextmanager
def _replaced(path: Path, target: Path, before: os.stat_result | None) -> Iterator[BinaryIO]:
    with output_errors(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, hidden = hidden_file(target)
    try:
        with _stream(path, descriptor) as stream:
            yield stream
            stream.flush()
            with output_errors(path):
                if before is not None:
                    _copy_owner_and_mode(descriptor, before)
                os.fsync(descriptor)
                os.replace(hidden, target)
                flush(target.parent)
    finally:
        give_up(hidden)


def _copy_owner_and_mode(descriptor: int, before: os.stat_result) -> None:
    with suppress(PermissionError):  # only root may change the owner
        os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _stream(path: Path, descriptor: int) -> BinaryIO:
    # Only its errors concern the output: others in the caller's block may not.
    return cast(BinaryIO, io.BufferedWriter(_OutputFile(path, descriptor)))


class _OutputFile(io.FileIO):
    """A file whose write errors are `OutputError`s about `path`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        super().__init__(descriptor, "w")
        self._path = path

    def write(self, data: Any, /) -> int:
        with output_errors(self._path):
            return super().write(data)


def _status(path: Path) -> os.stat_result | None:
    """Status of the file at `path`, following links; None if there is none."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
    except ValueError as error:  # a NUL, or a character that file names cannot have
        raise OSError(errno.EINVAL, "no file can have this name") from error
