"""Split data sets that do not come with a split into training and test images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

__all__ = ["GROUPED", "SPLIT", "Places", "groups_of", "split"]

Places = npt.NDArray[np.int64]

SPLIT = "one in ten of a fixed permutation"
GROUPED = "one in ten of a fixed permutation, pieces of one photograph together"
_SEED = 20_170_225  # any constant: the split depends on the data set, not on the run's seed

_WORDS = "aug|copy|crop|flip|frame|part|patch|piece|rot|slice|tile|view"
_BETWEEN = r"[ _.()\-]"
_PIECE = re.compile(
    rf"(?P<base>.*?)(?:^|{_BETWEEN}+|(?<=\d))(?:{_WORDS})s?(?:{_BETWEEN}*x?\d+)*{_BETWEEN}*"
)
"""A name with a word for a piece of a photograph: photo_12_crop3, scene-7-tile-0-64, crop_1."""
_NUMBERED = re.compile(rf"(?P<base>\D*[^\W\d_]\D*\d+)(?:{_BETWEEN}+\d+)+{_BETWEEN}*")
"""A name with a number that more numbers follow: img-001-2, IMG_0001 (2)."""
_LEAST = 5  # groups by words: with fewer, the groups are not taken for photographs
_LEAST_NUMBERED = 20  # the same for groups by numbers or folders: fewer may be classes


def split(n: int, groups: Sequence[int] | None = None) -> tuple[Places, Places]:
    """Indices of the training images and of the test images, each sorted.

    Args:
        n: number of images, 2 or more.
        groups: the group of each image, numbered from 0; images of a group stay in one split.
            Two groups or more; None to split image by image.
    """
    # Only RandomState is guaranteed to give the same numbers in every version of numpy.
    random, tests = np.random.RandomState(_SEED), max(1, n // 10)
    if groups is None:
        order = random.permutation(n).astype(np.int64)
        return np.sort(order[tests:]), np.sort(order[:tests])
    of_image = np.asarray(groups)
    sizes = np.bincount(of_image)
    order = random.permutation(len(sizes))
    taken = 1 + int(np.searchsorted(np.cumsum(sizes[order]), tests))
    tested = np.isin(of_image, order[: min(taken, len(sizes) - 1)])
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def groups_of(names: Sequence[str]) -> list[int] | None:
    """Number of the photograph that each file is a piece of; None if names do not show pieces.

    Args:
        names: relative paths of the files, with the folder of their class.
    """
    words = [_without(_PIECE, name) for name in names]
    numbers = [base or _without(_NUMBERED, name) for base, name in zip(words, names, strict=True)]
    for bases, least in ((words, _LEAST), (numbers, _LEAST_NUMBERED)):
        keys = [base or name for base, name in zip(bases, names, strict=True)]
        known = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        of_folder = any(base.endswith("/") for base in bases if base)
        if len(keys) > len(known) >= (_LEAST_NUMBERED if of_folder else least):
            return [known[key] for key in keys]
    return None


def _without(pattern: re.Pattern[str], name: str) -> str | None:
    """A file's path without the pattern's suffix; None if the name does not match.

    If nothing else is left of the name, the result is the folder with a "/" at the end.
    """
    path = PurePath(name)
    base = path.stem.lower()
    while match := pattern.fullmatch(base):
        base = match["base"]
        if not base:
            break
    if base == path.stem.lower():
        return None
    return f"{path.parent.as_posix()}/{base}"
