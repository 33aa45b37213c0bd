"""A folder of files of which one, its index, names the others: every state of it is whole.

The others have names that carry their digests, so that a new one never takes the place of another
content. They come first, then the index by one rename, which is the commit; what the new index does
not name goes last.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from aeonnx._util.files._errors import output_errors
from aeonnx._util.files._reading import open_regular
from aeonnx._util.files._staging import flush, flush_tree, is_ours, staging

__all__ = [
    "commit",
    "holds_only_leftovers",
    "named_by_content",
    "names_in",
    "publish",
    "remove_unnamed",
]

_DIGITS = 12  # of the digest
_NAMED = re.compile(rf".+\.([0-9a-f]{{{_DIGITS}}})\.[a-z]+")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def named_by_content(name: str, data: bytes) -> str:
    """A file's name with the beginning of its digest: "decoder.onnx" -> "decoder.0a1b....onnx"."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(data).hexdigest()[:_DIGITS]}.{suffix}"


@contextmanager
def publish(folder: Path, index: str) -> Iterator[Path]:
    """Write several files into `folder` together: yields a hidden folder to write them to.

    Leaving the block commits, see `commit`; an exception, Ctrl-C included, leaves `folder` as it
    was. To keep other writers out is the caller's task, see `locked`.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    with staging(folder) as staged:
        yield staged
        commit(staged, folder, index)


def commit(staged: Path, folder: Path, index: str | None) -> None:
    """Move the files in `staged` into `folder`, the one called `index` last.

    Subfolders are entered or made, and links are not followed. Without an index, each file is
    whole, the old one or the new one.

    Raises:
        OutputError: something that is no folder is on the way, the disk is full, or the like;
            `folder` is as it was.
    """
    with output_errors(folder):
        _commit(staged, folder, index)


def _commit(staged: Path, folder: Path, index: str | None) -> None:
    names = names_in(staged)
    flush_tree(staged)
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    added: list[str] = []
    try:
        for name in names:
            if name != index:
                _move(staged / name, root, name, added)
        for inner in {(folder / name).parent for name in names}:
            flush(inner)
    except BaseException:
        _take_back(folder, added)
        raise
    finally:
        os.close(root)
    if index is None:
        return
    try:
        os.replace(staged / index, folder / index)
    except OSError:  # and not Ctrl-C, which may come after it was done
        _take_back(folder, added)
        raise
    flush(folder)


def names_in(folder: Path) -> list[str]:
    """The paths of all files inside a folder, relative to it."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def _take_back(folder: Path, added: list[str]) -> None:
    for name in added:
        with suppress(OSError):
            (folder / name).unlink()


def remove_unnamed(folder: Path, named: Collection[str], places: Collection[str]) -> None:
    """Remove files that an index named once, and those of a commit that was killed.

    Only regular files go that carry their own digest in their name, without a link on the way: no
    other is this program's.

    Args:
        folder: of the index.
        named: by the index now, as paths inside the folder.
        places: patterns of the paths to look at, such as "golden/*/*.bin".
    """
    for path in _ours(folder, named, places):
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()  # if that was the last; the folder itself has its index


def holds_only_leftovers(folder: Path, places: Collection[str]) -> bool:
    """Whether a folder is empty, but for what killed writers left: no index ever came.

    Args:
        folder: that might become one with an index.
        places: see `remove_unnamed`.
    """
    ours = set(_ours(folder, (), places))
    for inner, folders, names in os.walk(folder):
        at = Path(inner)
        if at == folder:
            folders[:], names = ([n for n in found if not is_ours(n)] for found in (folders, names))
        if any((at / name).is_symlink() for name in folders) or {at / n for n in names} - ours:
            return False
    return True


def _ours(folder: Path, named: Collection[str], places: Collection[str]) -> Iterator[Path]:
    for place in places:
        for path in folder.glob(place):
            inside = path.relative_to(folder)
            linked = any((folder / part).is_symlink() for part in (inside, *inside.parents[:-1]))
            if inside.as_posix() not in named and not linked and _carries_its_digest(path):
                yield path


def _move(source: Path, root: int, name: str, added: list[str]) -> None:
    *folders, last = PurePosixPath(name).parts
    opened = [root]
    try:
        for part in folders:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=opened[-1])
            opened.append(_entered(part, opened[-1]))
        there = _there(last, opened[-1])
        os.replace(source, last, dst_dir_fd=opened[-1])
        if not there:
            added.append(name)
    finally:
        for descriptor in opened[1:]:
            os.close(descriptor)


def _entered(name: str, inside: int) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=inside)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            reason = f"{name} in it is a link or a file, and a folder is needed: move it away"
            raise OSError(errno.ENOTDIR, reason) from error
        raise


def _there(name: str, inside: int) -> bool:
    try:
        os.stat(name, dir_fd=inside, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _carries_its_digest(path: Path) -> bool:
    match = _NAMED.fullmatch(path.name)
    if not match:
        return False
    try:
        with open_regular(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest().startswith(match[1])
    except OSError:
        return False
