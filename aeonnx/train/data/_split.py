"""Which images are for testing, where the data itself does not say."""

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
_SEED = 20_170_225  # any constant: the split is the data's, not the run's

_WORDS = "aug|copy|crop|flip|frame|part|patch|piece|rot|slice|tile|view"
_BETWEEN = r"[ _.()\-]"
_PIECE = re.compile(
    rf"(?P<base>.*?)(?:^|{_BETWEEN}+|(?<=\d))(?:{_WORDS})s?(?:{_BETWEEN}*x?\d+)*{_BETWEEN}*"
)
"""A name that says in a word that it is a piece: photo_12_crop3, scene-7-tile-0-64, crop_1."""
_NUMBERED = re.compile(rf"(?P<base>\D*[^\W\d_]\D*\d+)(?:{_BETWEEN}+\d+)+{_BETWEEN}*")
"""A name with a number, and more of them behind: img-001-2, IMG_0001 (2)."""
_LEAST = 5  # groups that words must make to be taken for photographs
_LEAST_NUMBERED = 20  # the same of numbers and folders: fewer may be classes


def split(n: int, groups: Sequence[int] | None = None) -> tuple[Places, Places]:
    """Places of the images for training and for testing, each sorted.

    Args:
        n: how many images there are, 2 or more.
        groups: a number for each image, the same for those that must stay together; None for no
            such. There are two groups or more.
    """
    # numpy promises the same numbers in every version for RandomState alone.
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
    """The photograph that each file is a piece of, numbered; None where names show no such.

    Args:
        names: of the files, relative, with the folder of their class.
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
    """A file's name without what marks a piece; its folder if that is all; None without a mark."""
    path = PurePath(name)
    base = path.stem.lower()
    while match := pattern.fullmatch(base):
        base = match["base"]
        if not base:
            break
    if base == path.stem.lower():
        return None
    return f"{path.parent.as_posix()}/{base}"
