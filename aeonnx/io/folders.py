"""Lists the pictures in folders, and what was left out. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aeonnx.errors import ImageError

__all__ = [
    "LAYOUTS",
    "SUFFIXES",
    "Found",
    "LeftOut",
    "is_split",
    "look",
    "no_picture",
    "pictures_in",
]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
LAYOUTS = (
    f"files named *{', *'.join(SUFFIXES)}, or one folder of them per class, or train/ and test/ "
    "with either"
)


@dataclass(frozen=True)
class Found:
    """Entries of one folder, sorted by name, without hidden ones (`.x`, so `._x` too).

    Args:
        pictures: regular files with a suffix in `SUFFIXES`.
        folders: folders.
        others: all other entries.
    """

    pictures: list[Path]
    folders: list[Path]
    others: list[Path]


@dataclass
class LeftOut:
    """Numbers of files and folders that were not read, and the first names."""

    files: int = 0
    folders: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, found: Found) -> None:
        """Count the entries of a folder that are not pictures."""
        self.files += len(found.others)
        self.names += [path.name for path in found.others[:1]]

    def __str__(self) -> str:
        parts = []
        if self.files:
            more = ", such as " + self.names[0] if self.names else ""
            parts.append(f"{self.files} file{'s' * (self.files > 1)} not named as pictures{more}")
        if self.folders:
            parts.append(
                f"{self.folders} folder{'s' * (self.folders > 1)} (--recursive reads them too)"
            )
        return " and ".join(parts)


def look(folder: Path) -> Found:
    """List a folder.

    Raises:
        ImageError: it cannot be read.
    """
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        found = Found([], [], [])
        for entry in entries:
            if entry.is_dir():
                found.folders.append(entry)
            elif entry.suffix.lower() in SUFFIXES and entry.is_file():
                found.pictures.append(entry)
            else:
                found.others.append(entry)
    except OSError as error:
        raise ImageError(f"{folder} cannot be read: {error.strerror}") from error
    return found


def is_split(found: Found) -> bool:
    """Whether a folder holds train/ and test/."""
    return {"train", "test"} <= {folder.name for folder in found.folders}


def no_picture(folder: Path) -> str:
    """A message about a folder without pictures; names a folder in it that has a layout."""
    inner = next((path for path in look(folder).folders if is_split(look(path))), None)
    hint = "" if inner is None else f". {inner} has train/ and test/: give that folder"
    return f"{folder} holds no image: expected {LAYOUTS}{hint}"


def pictures_in(folder: Path, *, recursive: bool) -> tuple[list[Path], LeftOut]:
    """The pictures of a folder, in the order in which training reads them.

    These are the pictures in the folder itself; if it has none, those in its subfolders, one per
    class, or those in train/ and test/, each with either layout. With `recursive`, all pictures at
    any depth, without following links to folders.

    Raises:
        ImageError: there is no picture, or a folder cannot be read.
    """
    left = LeftOut()
    pictures = list(_below(folder, left) if recursive else _as_training_reads(folder, left))
    if not pictures:
        hint = "" if recursive else ". --recursive looks in all folders below"
        raise ImageError(f"{no_picture(folder)}{hint}")
    return pictures, left


def _below(folder: Path, left: LeftOut) -> Iterator[Path]:
    found = look(folder)
    left.add(found)
    yield from found.pictures
    for inner in found.folders:
        if inner.is_symlink():  # it may lead to a cycle
            left.files += 1
            left.names.append(inner.name)
        else:
            yield from _below(inner, left)


def _as_training_reads(folder: Path, left: LeftOut) -> Iterator[Path]:
    found = look(folder)
    split = is_split(found) and not found.pictures
    inside = [path for path in found.folders if path.name in ("train", "test")] if split else []
    left.add(found)
    if not split:
        yield from _flat_or_classes(found, left)
        return
    left.folders += len(found.folders) - len(inside)
    for subset in sorted(inside, key=lambda path: path.name != "train"):
        within = look(subset)
        left.add(within)
        yield from _flat_or_classes(within, left)


def _flat_or_classes(found: Found, left: LeftOut) -> Iterator[Path]:
    if found.pictures:
        left.folders += len(found.folders)
        yield from found.pictures
        return
    for inner in found.folders:
        within = look(inner)
        left.add(within)
        left.folders += len(within.folders)
        yield from within.pictures
