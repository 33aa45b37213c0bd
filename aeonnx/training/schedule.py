"""Learning rate schedules as functions of the progress, without state to save."""

from __future__ import annotations

import math

from aeonnx.catalog.ranges import one_of

__all__ = ["SCHEDULES", "factor"]

# One-cycle: Smith & Topin 2019, "Super-convergence", with the defaults of torch's OneCycleLR.
_RISE, _START, _END = 0.3, 1 / 25, 1 / 25e4


def _constant(_: float) -> float:
    return 1.0


def _cosine(progress: float) -> float:
    """Loshchilov & Hutter 2017, "SGDR", equation 5, without restarts."""
    return _between(1.0, 0.0, progress)


def _one_cycle(progress: float) -> float:
    if progress < _RISE:
        return _between(_START, 1.0, progress / _RISE)
    return _between(1.0, _END, (progress - _RISE) / (1 - _RISE))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


SCHEDULES = {"constant": _constant, "cosine": _cosine, "one-cycle": _one_cycle}


def factor(schedule: str, progress: float) -> float:
    """Factor of the peak learning rate.

    Args:
        schedule: "constant"; "cosine" falls from 1 to 0; "one-cycle" rises from 1/25 to 1 in the
            first 30 % and falls to 4e-6.
        progress: share of the stage's steps that are done, in [0, 1].

    Raises:
        UnknownNameError: there is no such schedule.
    """
    return SCHEDULES[one_of("schedule", schedule, SCHEDULES)](progress)
