"""Updates a folder of several files atomically, by renaming an index file that names the others.

The names of the other files contain their digests, so a new file never overwrites different
content. They are moved first, then the index is renamed, which is the commit; files that the new
index does not name are removed last.
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

_DIGITS = 12  # hex digits of the digest in a name
_NAMED = re.compile(rf".+\.([0-9a-f]{{{_DIGITS}}})\.[a-z]+")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def named_by_content(name: str, data: bytes) -> str:
    """Insert the first digits of the digest: "decoder.onnx" -> "decoder.0a1b....onnx"."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(data).hexdigest()[:_DIGITS]}.{suffix}"


@contextmanager
def publish(folder: Path, index: str) -> Iterator[Path]:
    """Write several files to `folder` atomically: yields a hidden folder to write them to.

    Leaving the block commits, see `commit`; an exception, Ctrl-C included, leaves `folder`
    unchanged. The caller must keep other writers out, see `locked`.

    Raises:
        OutputError: the disk is full, the folder is read-only, or the like.
    """
    with staging(folder) as staged:
        yield staged
        commit(staged, folder, index)


def commit(staged: Path, folder: Path, index: str | None) -> None:
    """Move the files in `staged` into `folder`, the one called `index` last.

    Subfolders are created if needed, and links are not followed. Without an index, only each file
    by itself is replaced atomically.

    Raises:
        OutputError: a subfolder's name is taken by a file or link, the disk is full, or the like;
            `folder` is unchanged.
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
        _roll_back(folder, added)
        raise
    finally:
        os.close(root)
    if index is None:
        return
    try:
        os.replace(staged / index, folder / index)
    except OSError:  # not Ctrl-C, which may arrive after the rename succeeded
        _roll_back(folder, added)
        raise
    flush(folder)


def names_in(folder: Path) -> list[str]:
    """The paths of all files inside a folder, relative to it."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def _roll_back(folder: Path, added: list[str]) -> None:
    for name in added:
        with suppress(OSError):
            (folder / name).unlink()


def remove_unnamed(folder: Path, named: Collection[str], places: Collection[str]) -> None:
    """Remove files of earlier indexes and of interrupted commits.

    Only regular files with their own digest in their name are removed, and none behind a link:
    others are not from this program.

    Args:
        folder: folder of the index.
        named: files that the current index names, as paths inside the folder.
        places: glob patterns of paths to consider, such as "golden/*/*.bin".
    """
    for path in _ours(folder, named, places):
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()  # fails unless empty; `folder` itself has its index


def holds_only_leftovers(folder: Path, places: Collection[str]) -> bool:
    """Whether a folder is empty except for files of interrupted writers.

    Args:
        folder: a folder without an index.
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
        existed = _exists(last, opened[-1])
        os.replace(source, last, dst_dir_fd=opened[-1])
        if not existed:
            added.append(name)
    finally:
        for descriptor in opened[1:]:
            os.close(descriptor)


def _entered(name: str, inside: int) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=inside)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            reason = f"{name} in it is a link or a file, not a folder: move it away"
            raise OSError(errno.ENOTDIR, reason) from error
        raise


def _exists(name: str, inside: int) -> bool:
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
