"""Rows that are read on demand from files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.errors import ImageError
from aeonnx.io.photos import PhotoFile
from aeonnx.io.pictures import Treatment
from aeonnx.io.stored import Numbers

__all__ = ["AllSkipped", "Batches", "Source", "Taken", "joined", "numbered", "skippable"]

Array = npt.NDArray[Any]
Batches = Callable[[int], Iterator[Array]]
"""Called with a batch size, returns an iterator over batches of at most so many rows."""


class AllSkipped(ImageError):  # noqa: N818  # it names what happened
    """Every picture or row was skipped, so that nothing is left to run on.

    Args:
        message: what is wrong.
        skipped: error message of each.
    """

    def __init__(self, message: str, skipped: Sequence[str]) -> None:
        super().__init__(message)
        self.skipped = tuple(skipped)


@contextmanager
def skippable(pictures: int, how: Treatment) -> Iterator[None]:
    """Add to an error of one of several pictures, raised in the block, that it can be skipped."""
    try:
        yield
    except ImageError as error:
        if pictures > 1 and how.offered:
            raise ImageError(f"{error}. --skip-bad goes on without such pictures") from error
        raise


class Taken:
    """Takes as many rows as are asked for from batches of any size."""

    def __init__(self, batches: Iterator[Array]) -> None:
        self._batches, self._left = batches, list[Array]()

    def take(self, count: int) -> Array:
        """The next rows, which there must be.

        Raises:
            ImageError: they have several sizes.
        """
        found = self._left
        while sum(map(len, found)) < count:
            found.append(next(self._batches))
        try:
            rows = found[0] if len(found) == 1 else np.concatenate(found)
        except ValueError as error:
            raise ImageError(f"expected further inputs of one size: {error}") from error
        self._left = [rows[count:]] if len(rows) > count else []
        return rows[:count]


@dataclass(frozen=True)
class Source:
    """Rows that are read on demand.

    Args:
        names: names of the rows: files, or numbers from 0.
        batches: called with a batch size, returns an iterator over batches of at most so many rows.
        outputs: relative path for the result of each row, with the suffix of its source; None to
            number the results.
        pictures: whether all sources are pictures.
        left_out: what was not read: the number of files and folders, a line for each folder; or the
            rows at the end of a time series that are in no window.
        skipped: error message of each picture that was skipped.
        others: the same rows of further inputs, by their names.
        photos: a file for each row, if all rows are pictures that were not resized.
        values: how many values the largest row has; 0 where this is not known, since each picture
            is read when its turn comes and is a batch.
    """

    names: Sequence[str]
    batches: Batches
    outputs: Sequence[str] | None = None
    pictures: bool = False
    left_out: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    others: Mapping[str, Batches] = field(default_factory=dict)
    photos: tuple[PhotoFile, ...] = ()
    values: int = 0

    def pairs(self, size: int) -> Iterator[tuple[Array, dict[str, Array]]]:
        """Batches of at most `size` rows, each with the same rows of the further inputs."""
        others = {name: Taken(batches(size)) for name, batches in self.others.items()}
        for rows in self.batches(size):
            yield rows, {name: each.take(len(rows)) for name, each in others.items()}


def joined(parts: list[Source]) -> Source:
    """The rows of several sources, which have the same further inputs, one after the other."""
    if len(parts) == 1:
        return parts[0]

    def batches(size: int) -> Iterator[Array]:
        for part in parts:
            yield from part.batches(size)

    def further(name: str, size: int) -> Iterator[Array]:
        for part in parts:
            yield from part.others[name](size)

    others = {name: partial(further, name) for name in parts[0].others}
    left_out = tuple(line for part in parts for line in part.left_out)
    skipped = tuple(text for part in parts for text in part.skipped)
    values = max(part.values for part in parts)
    if all(part.outputs is None for part in parts):
        count = Numbers(sum(len(part.names) for part in parts))
        return Source(
            count, batches, left_out=left_out, skipped=skipped, others=others, values=values
        )
    names = [name for part in parts for name in part.names]
    outputs = [name for part in parts for name in part.outputs or part.names]
    pictures = all(part.pictures for part in parts)
    photos = tuple(photo for part in parts for photo in part.photos) if pictures else ()
    return Source(names, batches, outputs, pictures, left_out, skipped, others, photos, values)


def numbered(source: Source, where: str) -> Source:
    """The rows of one file of several, named by the file and their numbers."""
    width = len(str(len(source.names) - 1))
    stem = Path(where).stem
    names = [f"{where}:{number}" for number in source.names]
    outputs = [f"{stem}-{number:0>{width}}.npy" for number in source.names]
    return replace(source, names=names, outputs=outputs)
