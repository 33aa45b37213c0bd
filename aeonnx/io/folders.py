"""Pictures in folders: which there are, and what was left out. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aeonnx.errors import ImageError

__all__ = ["LAYOUTS", "SUFFIXES", "Found", "LeftOut", "is_split", "look", "pictures_in"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
LAYOUTS = (
    f"files named *{', *'.join(SUFFIXES)}, or one folder of them per class, or train/ and test/ "
    "with either"
)


@dataclass(frozen=True)
class Found:
    """What lies in one folder, in order of names; hidden files (`.x`, so `._x` too) do not count.

    Args:
        pictures: regular files whose names end as pictures' do.
        folders: folders.
        others: the rest.
    """

    pictures: list[Path]
    folders: list[Path]
    others: list[Path]


@dataclass
class LeftOut:
    """How many files and folders were passed over."""

    files: int = 0
    folders: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, found: Found) -> None:
        """Files that are no pictures."""
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
    """What lies in a folder.

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


def pictures_in(folder: Path, *, recursive: bool) -> tuple[list[Path], LeftOut]:
    """The pictures of a folder, in the order in which training reads them.

    Those in it; or, where it has none, those in one folder per class, or in train/ and test/ with
    either. With `recursive` all below it, at any depth, but not through links to folders.

    Raises:
        ImageError: there is none, or a folder cannot be read.
    """
    left = LeftOut()
    pictures = list(_below(folder, left) if recursive else _as_training_reads(folder, left))
    if not pictures:
        hint = "" if recursive else ". --recursive looks in all folders below"
        raise ImageError(f"{folder} holds no image: expected {LAYOUTS}{hint}")
    return pictures, left


def _below(folder: Path, left: LeftOut) -> Iterator[Path]:
    found = look(folder)
    left.add(found)
    yield from found.pictures
    for inner in found.folders:
        if inner.is_symlink():  # it may lead back
            left.files += 1
            left.names.append(inner.name)
        else:
            yield from _below(inner, left)


def _as_training_reads(folder: Path, left: LeftOut) -> Iterator[Path]:
    found = look(folder)
    halves = is_split(found) and not found.pictures
    inside = [path for path in found.folders if path.name in ("train", "test")] if halves else []
    left.add(found)
    if not halves:
        yield from _flat_or_classes(found, left)
        return
    left.folders += len(found.folders) - len(inside)
    for half in sorted(inside, key=lambda path: path.name != "train"):
        within = look(half)
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
