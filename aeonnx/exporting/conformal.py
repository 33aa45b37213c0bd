"""Thresholds that hold for rows that the model never saw: split conformal prediction.

Vovk et al. 2005, "Algorithmic learning in a random world", section 4.2.2: if n normal rows and a
new one are exchangeable, the new one's score is above the k-th lowest of n with a probability of at
most 1 - k / (n + 1). For thresholds of one calibration, the share of new rows above is distributed
as Beta(n + 1 - k, k) (Vovk 2012, "Conditional validity of inductive conformal predictors", section
3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx._util.text import counted
from aeonnx.bundle import QUANTILES, NormalScores, least_rows, rank_of
from aeonnx.models import Part
from aeonnx.runtime.batching import Run

__all__ = ["PERCENTILES", "Scores", "few_scores", "normal_scores", "scores_of", "thresholds"]

Array = npt.NDArray[Any]

PERCENTILES = (95, 99)
_CONFIDENCE = 0.95
_HALVINGS = 60


@dataclass(frozen=True)
class Scores:
    """What normal rows score, by output: see `Variant.percentiles` and `Variant.normal`."""

    percentiles: dict[str, dict[str, float]] = field(default_factory=dict)
    normal: dict[str, NormalScores] = field(default_factory=dict)


def scores_of(part: Part, run: Run, normal: Mapping[str, Array], *, held_out: bool) -> Scores:
    """Run a part on normal rows, and summarise the outputs listed in `part.percentiles`.

    Args:
        part: declares which outputs are scores.
        run: from the part's inputs to its outputs.
        normal: inputs of normal rows, [rows, ...] by name; none are summarised if one is missing.
        held_out: whether the model was not trained on them.
    """
    wanted = {spec.name: normal[spec.name] for spec in part.inputs if spec.name in normal}
    if not part.percentiles or len(wanted) < len(part.inputs):
        return Scores()
    outputs = run(wanted)
    found = {name: outputs[name] for name in part.percentiles}
    return Scores(
        {name: thresholds(values) for name, values in found.items()},
        {name: normal_scores(values, held_out=held_out) for name, values in found.items()},
    )


def few_scores(scores: Scores, what: str) -> str:
    """A note that thresholds come from too few normal rows to promise anything; "" if not.

    Args:
        scores: what normal rows score.
        what: a row is, such as "image".
    """
    count = min((found.rows for found in scores.normal.values()), default=None)
    short = [f"p{p}" for p in PERCENTILES if count is not None and count < least_rows(f"p{p}")]
    if count is None or not short:
        return ""
    needs = " and ".join(f"{name} needs {least_rows(name)}" for name in short)
    return (
        f"scorer: its thresholds come from {counted(count, f'normal {what}')}, too few to say how "
        f"many normal ones are above: {needs} or more. Give more with --calibration"
    )


def thresholds(scores: Array) -> dict[str, float]:
    """The conformal thresholds of normal scores [n]: {"p95": score, "p99": score}.

    Of fewer than 99 scores, p99 is the highest, which promises less: see `NormalScores`.
    """
    found = np.sort(scores)
    return {f"p{p}": float(found[rank_of(len(found), p) - 1]) for p in PERCENTILES}


def normal_scores(scores: Array, *, held_out: bool) -> NormalScores:
    """The distribution of normal scores [n]."""
    n = len(scores)
    quantiles = np.quantile(scores.astype(np.float64), np.linspace(0, 1, QUANTILES))
    bounds = {f"p{p}": _interval(n + 1 - rank_of(n, p), rank_of(n, p)) for p in PERCENTILES}
    return NormalScores(n, held_out, tuple(map(float, np.sort(quantiles))), bounds)


def _interval(a: int, b: int) -> tuple[float, float]:
    """The middle `_CONFIDENCE` of Beta(a, b), with whole numbers a and b."""
    outside = (1 - _CONFIDENCE) / 2
    return _quantile(outside, a, b), _quantile(1 - outside, a, b)


def _quantile(share: float, a: int, b: int) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _below(middle, a, b) < share else (low, middle)
    return (low + high) / 2


def _below(x: float, a: int, b: int) -> float:
    """P(Beta(a, b) <= x) = P(Binomial(a + b - 1, x) >= a)."""
    n = a + b - 1
    return 1 - sum(
        math.exp(
            math.lgamma(n + 1)
            - math.lgamma(j + 1)
            - math.lgamma(n - j + 1)
            + j * math.log(x)
            + (n - j) * math.log1p(-x)
        )
        for j in range(a)
    )
