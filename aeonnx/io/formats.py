"""Chooses the output format from a name, and checks that the results fit it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aeonnx._util import files
from aeonnx.errors import UsageError
from aeonnx.io import images

__all__ = ["FORMS", "LARGEST_GRID", "Target", "distinct", "target_of"]

LARGEST_GRID = 10_000
"""Most images in one grid picture."""

_PICTURES = {
    ".png": "png",
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".webp": "webp",
    ".tif": "tif",
    ".tiff": "tif",
}
_ARRAYS = {".npy": "npy", ".npz": "npz"}
FORMS = (
    "*.png, *.jpg, *.webp or *.tif (one picture), *.npy or *.npz (arrays), or a folder (a picture "
    "of each image): a name without a suffix, that ends in /, or of an existing folder"
)
_LARGEST_EDGE = {"jpg": 65_535, "webp": 16_383}
_STDOUT = "-"


@dataclass(frozen=True)
class Target:
    """Where results go.

    Args:
        path: of the file or folder; None for stdout.
        form: "png", "jpg", "webp", "tif", "npy", "npz", or "folder".
        images: whether the results are images: then a folder gets pictures, else arrays.
    """

    path: Path | None
    form: str
    images: bool = True

    @property
    def pictures(self) -> bool:
        """Whether results are written as pictures (uint8), not as arrays."""
        return self.images and self.form not in _ARRAYS.values()

    def __str__(self) -> str:
        return "stdout" if self.path is None else f"{self.path}"

    def refuse_existing(self, *, force: bool) -> None:
        """Check that nothing is replaced unasked, see `files.refuse_existing`."""
        if self.path is not None:
            files.refuse_existing(self.path, force=force)

    def require(self, count: int, shape: Sequence[int]) -> None:
        """Check that images can be written in this form, before they are computed.

        Args:
            count: number of images.
            shape: [C, H, W] of an image.

        Raises:
            UsageError: they cannot.
        """
        if not self.pictures:
            return
        channels = shape[0]
        if not 1 <= channels <= 4:
            raise UsageError(
                f"{self}: a picture has 1 to 4 channels, not {channels}: expected a name that ends "
                "in .npy"
            )
        if self.form == "folder":
            return
        if count > LARGEST_GRID:
            raise UsageError(
                f"{self}: one picture shows at most {LARGEST_GRID:,} images, not {count:,}: "
                "expected a name that ends in .npy, or without a suffix for a folder of pictures"
            )
        if self.form == "jpg" and channels in (2, 4):
            raise UsageError(f"{self}: a JPEG keeps no transparency: expected .png, .webp or .tif")
        height, width = images.grid_size(count, shape)
        most = _LARGEST_EDGE.get(self.form)
        if most is not None and max(height, width) > most:
            raise UsageError(
                f"{self}: a .{self.form} picture is at most {most:,} pixels wide and high, not "
                f"{width:,}x{height:,}: expected a name that ends in .png"
            )


def target_of(
    name: Path | str,
    *,
    images: bool = True,
    pictures: bool = False,
    what: str = "the results are no images",
) -> Target:
    """The target for an output's name.

    Args:
        name: path of a file or folder; "-" for stdout.
        images: whether the results are images; else they are arrays, such as latents.
        pictures: whether the sources were pictures: then stdout, a device or a pipe gets a PNG,
            else a .npy.
        what: says what the results are, if not images, for the message.

    Raises:
        UsageError: the suffix is unknown, or does not fit the results.
    """
    text = os.fspath(name)
    plain = "png" if images and pictures else "npy"
    if text == _STDOUT:
        return Target(None, plain)
    path = Path(text)
    suffix = path.suffix.lower()
    form: str | None
    forms = {**_PICTURES, **_ARRAYS, "": "folder"}
    if text.endswith(("/", os.sep)) or os.path.isdir(path):
        form = "folder"
    elif suffix in forms and (suffix or not _special(path)):
        form = forms[suffix]
    elif _special(path):
        form = plain
    else:
        form = None
    if not images and (form is None or form in _PICTURES.values()):
        raise UsageError(
            f"{name}: {what}: expected a name that ends in .npy or .npz, or a folder, such as "
            "results/, for a .npy of each row"
        )
    if form is None:
        raise UsageError(f"{name}: expected {FORMS}")
    return Target(path, form, images)


def _special(path: Path) -> bool:
    """Whether it is a device, pipe or socket."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def distinct(names: Sequence[str], suffix: str) -> list[str]:
    """Distinct file names for results, made from the names of their sources.

    `suffix` replaces the suffix of a name, or is added to it if names differ by their suffixes
    alone; equal names are numbered. Case is ignored, as some file systems do.

    Args:
        names: relative paths of the sources, with / between folders.
        suffix: suffix of the results, such as ".png".
    """
    stems = [str(PurePosixPath(name).with_suffix("")) for name in names]
    sources: dict[str, set[str]] = {}
    for stem, name in zip(stems, names, strict=True):
        sources.setdefault(stem.casefold(), set()).add(name.casefold())
    stems = [
        stem if len(sources[stem.casefold()]) == 1 else name
        for stem, name in zip(stems, names, strict=True)
    ]
    # A parent folder of one result may have the name of another result.
    taken = {str(part).casefold() for name in names for part in PurePosixPath(name).parents}
    found = []
    for stem in stems:
        name, number = f"{stem}{suffix}", 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        taken.add(name.casefold())
        found.append(name)
    return found
