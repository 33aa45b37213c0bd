"""What a run saves about itself: its options, one entry per epoch, and its position."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from aeonnx._util.serde import OPTIONAL, require

__all__ = ["MOST", "Epoch", "Position", "RunOptions", "lines_of"]

MOST = 2**31
"""Exclusive upper bound of counts."""


@dataclass(frozen=True)
class RunOptions:
    """The options of a run that a resume keeps: `train.TrainOptions` with defaults filled in.

    Not included are options of the computation (device, workers, compile), which may change at
    each resume. Fields are explained in `train.TrainOptions`, except:

    Args:
        data: name of a data set; or a path, absolute if it was given so, else relative to the run's
            folder.
        noisy: path of a folder with noisy versions of the pictures in `data`, absolute or relative
            like `data`; None for none.
        data_dir: a path, absolute or relative like `data`; None for the default.
    """

    model: str
    arch: str
    hidden: tuple[int, ...]
    latent_size: int
    data: str
    data_dir: str | None
    skip_bad: bool
    background: str | None
    epochs: int
    batch_size: int
    lr: float
    schedule: str
    weight_decay: float
    clip: float | None
    ema: float
    precision: str
    held_out: float | None
    patience: int | None
    seed: int
    recipe: dict[str, str | float]
    # States of older versions have none of these.
    noisy: str | None = field(default=None, metadata=OPTIONAL)
    normal: str | None = field(default=None, metadata=OPTIONAL)
    conditional: bool = field(default=False, metadata=OPTIONAL)
    columns: str | None = field(default=None, metadata=OPTIONAL)
    label_column: str | None = field(default=None, metadata=OPTIONAL)
    window: int | None = field(default=None, metadata=OPTIONAL)
    step: int | None = field(default=None, metadata=OPTIONAL)
    scaler: str | None = field(default=None, metadata=OPTIONAL)
    missing: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class Epoch:
    """One line of metrics.jsonl.

    Args:
        stage: name of the stage.
        epoch: within the stage, from 1.
        seconds: duration of the epoch's training steps, without testing.
        images_per_s: training images per second.
        lr: learning rate of the last step.
        skipped: number of steps skipped because loss or gradient was not finite.
        train: the recipe's loss terms, means over the epoch's training images.
        held_out: the loss on the images held out for early stopping; None without early stopping.
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

    def __post_init__(self) -> None:
        require(0 < self.epoch < MOST, f"epoch: expected 1 or more, got {self.epoch}")
        numbers = (self.seconds, self.images_per_s, self.lr, self.held_out or 0.0)
        require(
            all(map(math.isfinite, (*numbers, *self.train.values(), *self.test.values()))),
            "expected finite numbers",
        )


@dataclass(frozen=True)
class Position:
    """Position of a run, between two steps.

    Args:
        stage: index of the current stage, from 0.
        epoch: current epoch within the stage, from 1.
        step: number of steps done in that epoch.
        seconds: duration of these steps.
        sums: sums over these steps, see `Learner.step`; None before the first step.
        best_epoch: epoch of the stage with the lowest loss on held-out images; 0 for none yet.
        best: that loss; None for none yet.
    """

    stage: int = 0
    epoch: int = 1
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] | None = None
    best_epoch: int = 0
    best: float | None = None

    def __post_init__(self) -> None:
        for name, lowest in (("stage", 0), ("epoch", 1), ("step", 0), ("best_epoch", 0)):
            value = getattr(self, name)
            require(lowest <= value < MOST, f"{name}: expected {lowest} or more, got {value}")
        numbers = (self.seconds, self.best or 0.0, *(self.sums or {}).values())
        require(all(map(math.isfinite, numbers)), "expected finite numbers")
        names = (self.sums or {}).keys()
        require(
            {"images", "skipped", "stop"} <= names if self.step else not names,
            f"sums: expected those of {self.step} steps, got {sorted(names)[:6]}",
        )
        require(self.seconds >= 0, f"seconds: expected 0 or more, got {self.seconds}")
        require(self.best_epoch < self.epoch, "best_epoch: expected an epoch before `epoch`")


def lines_of(epochs: Iterable[Epoch]) -> bytes:
    """The content of metrics.jsonl: one JSON object per epoch."""
    return "".join(json.dumps(asdict(epoch)) + "\n" for epoch in epochs).encode()
