"""What a run remembers of itself: one entry per epoch, and where it stands."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

__all__ = ["Epoch", "Position", "lines_of"]


@dataclass(frozen=True)
class Epoch:
    """One line of metrics.jsonl.

    Args:
        stage: name of the stage.
        epoch: within the stage, from 1.
        seconds: for the epoch's training, testing left out.
        images_per_s: training speed.
        lr: learning rate of the last step.
        skipped: steps left out because loss or gradient was not finite.
        train: means over the epoch's batches of the recipe's loss terms.
        held_out: the loss on images held out to stop early; None without.
        test: the recipe's metrics on the test images.
    """

    stage: str
    epoch: int
    seconds: float
    images_per_s: float
    lr: float
    skipped: int
    train: dict[str, float]
    held_out: float | None
    test: dict[str, float]


@dataclass(frozen=True)
class Position:
    """Where a run stands: between two steps.

    Args:
        stage: index of the stage.
        epoch: within the stage, from 1: the one at hand.
        step: steps of that epoch that are done.
        seconds: that they took.
        sums: over them, see `Learner.step`; None for none yet.
        best_epoch: of the stage, by the loss on held-out images; 0 for none yet.
        best: that loss.
    """

    stage: int = 0
    epoch: int = 1
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] | None = None
    best_epoch: int = 0
    best: float | None = None


def lines_of(epochs: Iterable[Epoch]) -> bytes:
    """The text of metrics.jsonl."""
    return "".join(json.dumps(asdict(epoch)) + "\n" for epoch in epochs).encode()
