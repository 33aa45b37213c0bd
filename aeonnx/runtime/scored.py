"""What `Bundle.score` returns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.bundle import Variant
from aeonnx.errors import BundleError, UsageError
from aeonnx.runtime.verbs import OUTPUTS

__all__ = ["VERDICTS", "Scored", "percentiles_of", "ranked", "score_output", "threshold_of"]

VERDICTS = ("normal", "odd")
"""Of a score up to the threshold, and above it."""
_NAMED = re.compile(r"p(\d+)")


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of n rows.

    Args:
        scores: float32 [n]: the larger, the less a row is like those of the training. The error of
            the reconstruction, or what the bundle was exported with. Infinite for a row whose
            values are so large that the network overflows.
        percentiles: share of the normal rows with a lower score, in %, float32 [n]; NaN if the
            bundle does not say what normal rows score.
        odd: whether the score is above the threshold, bool [n].
        threshold: that the scores were compared with.
        maps: squared error of each pixel, mean over channels, float32 [n, H, W]; of rows of a table
            that of each standardised value, [n, D] or [n, D, W]; None if the scorer gives none.
        columns: of rows of a table, the mean of the map over each column, float32 [n, D]; None for
            others.
        names: of these columns.
        worst: the column that an odd row is odd in, as a place in `names`, int [n]: the one without
            which its score is lowest; of windows that may have no missing values, and of rows that
            are not odd, the one with the largest error. None without columns.
    """

    scores: npt.NDArray[np.float32]
    percentiles: npt.NDArray[np.float32]
    odd: npt.NDArray[np.bool_]
    threshold: float
    maps: npt.NDArray[np.float32] | None
    columns: npt.NDArray[np.float32] | None = None
    names: tuple[str, ...] = ()
    worst: npt.NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def row(self, place: int) -> dict[str, Any]:
        """One row as the JSON of `aeonnx score --json` and of the server has it.

        JSON has no infinity and no NaN: None stands for them.
        """
        row = {
            "score": _finite(self.scores[place]),
            "percentile": _finite(self.percentiles[place]),
            "verdict": VERDICTS[bool(self.odd[place])],
        }
        if self.columns is None:
            return row
        errors = dict(zip(self.names, map(_finite, self.columns[place]), strict=True))
        return {**row, "column": self.column(place), "columns": errors}

    def column(self, place: int) -> str | None:
        """Name of the column that a row is odd in; None if it is not odd, or has no columns."""
        if self.worst is None or not self.odd[place]:
            return None
        return self.names[int(self.worst[place])]

    @classmethod
    def of(cls, batches: Iterable[Scored]) -> Scored:
        """The results of several batches, concatenated, without maps."""
        every = list(batches)
        columns = [batch.columns for batch in every if batch.columns is not None]
        worst = [batch.worst for batch in every if batch.worst is not None]
        return cls(
            np.concatenate([batch.scores for batch in every]),
            np.concatenate([batch.percentiles for batch in every]),
            np.concatenate([batch.odd for batch in every]),
            every[0].threshold,
            None,
            np.concatenate(columns) if columns else None,
            every[0].names,
            np.concatenate(worst) if worst else None,
        )


def ranked(errors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scores and errors that can be compared, float32 of the same shape.

    A network that overflows gives NaN, which is above no threshold. Nothing is less like normal
    rows than values that large, so that their error is infinite.
    """
    overflows = np.isnan(errors)
    return np.where(overflows, np.float32(np.inf), errors) if overflows.any() else errors


def _finite(value: np.float32) -> float | None:
    return float(value) if np.isfinite(value) else None


def score_output(variant: Variant) -> str:
    """The output of a scorer that tells how odd a row is: the first of the kind score."""
    return next((spec.name for spec in variant.outputs if spec.kind == "score"), OUTPUTS["score"])


def threshold_of(variant: Variant, output: str, threshold: str | float) -> float:
    """The number that a threshold stands for.

    Args:
        variant: of the scorer.
        output: that is compared with it.
        threshold: the name of a percentile in the manifest, such as "p99"; or the number itself.

    Raises:
        UsageError: it is neither.
        BundleError: the manifest has no such percentile.
    """
    known = variant.percentiles.get(output, {})
    number = _number(threshold)
    if number is not None:
        return number
    if isinstance(threshold, str) and threshold in known:
        return known[threshold]
    if isinstance(threshold, str) and _NAMED.fullmatch(threshold) and not known:
        raise BundleError(
            f"threshold {threshold}: the manifest says nothing about the scores of normal images: "
            "give a number, or export again with --calibration IMAGES"
        )
    expected = f"{', '.join(known)} or a number" if known else "a number"
    raise UsageError(f"threshold: expected {expected}, got {threshold!r}")


def _number(value: object) -> float | None:
    """A finite number, also as a text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | Real):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def percentiles_of(
    variant: Variant, output: str, scores: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """See `Scored.percentiles`."""
    normal = variant.normal.get(output)
    if normal is None:
        return np.full(len(scores), np.nan, np.float32)
    return np.array([normal.percentile(float(score)) for score in scores], np.float32)
