"""Scores the pictures of a folder, and each new one as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from aeonnx.errors import ImageError
from aeonnx.io.folders import look
from aeonnx.io.readers import Reading
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.file_rows import open_rows_of
from aeonnx.runtime.scored import score_output, threshold_of
from aeonnx.runtime.verbs import PARTS

__all__ = ["Seen", "watched"]

_SECONDS = 0.5  # between looks at the folder


@dataclass(frozen=True)
class Seen:
    """One picture of a watched folder.

    Args:
        name: of the file.
        score, percentile: see `Scored`; NaN if it cannot be read.
        odd: whether the score is above the threshold.
        problem: why it cannot be read; "" if it was scored.
    """

    name: str
    score: float
    percentile: float
    odd: bool
    problem: str = ""


def watched(
    bundle: Bundle,
    folder: Path,
    threshold: str | float,
    reading: Reading,
    *,
    others: Mapping[str, float] = MappingProxyType({}),
    until: int | None = None,
) -> Iterator[Seen]:
    """Score the pictures of a folder in order of their names, then each new or changed one.

    A file is read when its size and time have not changed between two looks, so that one that is
    still being written is not read in part.

    Args:
        bundle: the bundle.
        folder: is looked at every half second; subfolders are not.
        threshold: see `Bundle.score`.
        reading: how pictures are read.
        others: see `score_files`.
        until: stop after so many looks; None to go on for ever.

    Raises:
        ImageError: the folder cannot be read.
        UsageError, BundleError: see `Bundle.score`.
    """
    bundle.require("score", tuple(others))
    scorer = bundle.variant(PARTS["score"])
    limit = threshold_of(scorer, score_output(scorer), threshold)
    before: dict[Path, tuple[int, int]] = {}
    done: dict[Path, tuple[int, int]] = {}
    looks = 0
    while until is None or looks < until:
        now = {path: _state(path) for path in look(folder).pictures}
        for path, state in now.items():
            if state == before.get(path) and state != done.get(path):
                done[path] = state
                yield _scored(bundle, path, limit, reading, others)
        before, looks = now, looks + 1
        time.sleep(_SECONDS)


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:  # removed since it was listed
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _scored(
    bundle: Bundle,
    path: Path,
    limit: float,
    reading: Reading,
    others: Mapping[str, float],
) -> Seen:
    try:
        rows = np.concatenate([*open_rows_of(bundle, "score", [path], reading).batches(1)])
    except ImageError as error:
        return Seen(path.name, np.nan, np.nan, odd=False, problem=str(error))
    found = bundle.score(rows, threshold=limit, **others)
    return Seen(path.name, float(found.scores[0]), float(found.percentiles[0]), bool(found.odd[0]))
