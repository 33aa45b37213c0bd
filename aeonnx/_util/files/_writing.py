"""A single file, whole or not at all."""

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

    Devices and pipes are written to, and an empty folder holds nothing.
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
    """Write a file into a hidden folder, see `staging`; folders on the way are made.

    Raises:
        OutputError: the disk is full, or the like.
    """
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all, see `new_file`.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    with new_file(path) as stream:
        stream.write(data)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file piece by piece, whole or not at all: yields the stream of a hidden one.

    Leaving the block puts it in place; an exception, Ctrl-C included, keeps what was there. The
    place of a link is what it points to; a file that is replaced leaves its mode and owner to the
    new one; a device or pipe is written to as the bytes come.

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
    """Put the files in `staged` into a folder that holds others, each as `new_file` does.

    What cannot be put there is found out before anything is.

    Raises:
        OutputError: a folder is in the place of a file, or the other way round; the disk is full:
            then files before that one are written, and the message says how many.
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
            raise OutputError(f"{text} Written before it: {done} of {len(names)} files.") from error


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
                    _like(descriptor, before)
                os.fsync(descriptor)
                os.replace(hidden, target)
                flush(target.parent)
    finally:
        give_up(hidden)


def _like(descriptor: int, before: os.stat_result) -> None:
    with suppress(PermissionError):  # only root gives files away
        os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _stream(path: Path, descriptor: int) -> BinaryIO:
    # Its errors are about the output; others in the block that writes are about something else.
    return cast(BinaryIO, io.BufferedWriter(_Told(path, descriptor)))


class _Told(io.FileIO):
    """A file whose errors are `OutputError`s about `path`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        super().__init__(descriptor, "w")
        self._path = path

    def write(self, data: Any, /) -> int:
        with output_errors(self._path):
            return super().write(data)


def _status(path: Path) -> os.stat_result | None:
    """Of what is at `path`, links followed; None if there is nothing."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
    except ValueError as error:  # a NUL, or a character that names cannot have
        raise OSError(errno.EINVAL, "no file can have this name") from error
