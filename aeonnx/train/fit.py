"""The training loop: images on the device, batches as slices of a permutation of (seed, epoch)."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from aeonnx import checkpoint
from aeonnx.errors import (
    Interrupted,
    OutputError,
    TrainingError,
    UsageError,
)
from aeonnx.manifest import Training
from aeonnx.models import Model, ModelConfig, build, configure
from aeonnx.train import pictures, recipes
from aeonnx.train.data import DataSet, load_data
from aeonnx.train.options import TrainOptions, resolve_device

T = TypeVar("T")

__all__ = ["Epoch", "Listener", "Trained", "train"]

_EXAMPLES = 64  # test images that go into the checkpoint
_PICTURED = 10  # test images that a recipe may draw with
_SAVE_SECONDS = 10.0  # between checkpoints
_TEST_BATCH = 1000
# Streams of random numbers, each a function of (seed, epoch).
_ORDER, _NOISE, _TEST_NOISE, _PICTURE_NOISE = range(4)


@dataclass(frozen=True)
class Epoch:
    """One line of metrics.jsonl.

    Args:
        epoch: from 1.
        seconds: for the epoch's training, testing left out.
        images_per_s: training speed.
        train: means over the epoch's batches of the recipe's loss terms.
        test: the recipe's metrics on the test images.
    """

    epoch: int
    seconds: float
    images_per_s: float
    train: dict[str, float]
    test: dict[str, float]


@dataclass(frozen=True)
class Trained:
    """What a run gave.

    Args:
        output: the run's folder.
        training: the record in the checkpoint.
        epochs: one entry per epoch.
        files: what was written, pictures included.
    """

    output: Path
    training: Training
    epochs: tuple[Epoch, ...]
    files: tuple[Path, ...]


class Listener(Protocol):
    """Is told how training goes on."""

    def started(self, device: str, epochs: int, images: int) -> None:
        """`images` are those of one epoch."""

    def advanced(self, images: int) -> None:
        """So many more images were learned from."""

    def finished_epoch(self, epoch: Epoch) -> None:
        """An epoch and its test are over."""


def train(options: TrainOptions, listener: Listener | None = None) -> Trained:
    """Train a model and leave a checkpoint, metrics and pictures in the run's folder.

    Raises:
        UsageError: an option is unknown or out of range.
        OutputError: a checkpoint is there already and `force` is not set, or the disk is full.
        DataError: the data set is missing.
        SetupError: the device is missing.
        TrainingError: the loss became NaN or infinite.
        Interrupted: Ctrl-C. In all of these, the last good checkpoint stays.
    """
    return _Run(options).train(listener)


class _Run:
    """The state of one training run."""

    def __init__(self, options: TrainOptions) -> None:
        self.options = options
        configure(options.model, options.arch, (1, 1, 1))  # a wrong name is told before all else
        self.recipe, self.recipe_options = recipes.make(options.model, options.recipe)
        self.batch_size = _at_least(
            1, "batch size", _given(options.batch_size, self.recipe.batch_size)
        )
        self.lr = _given(options.lr, self.recipe.lr)
        if not (0 < self.lr < math.inf):
            raise UsageError(f"learning rate: expected a number above 0, got {self.lr}")
        _at_least(0, "seed", options.seed)
        self.device = resolve_device(options.device)
        self.output = options.output or checkpoint.default_folder(options.model)
        if (self.output / checkpoint.CONFIG).exists() and not options.force:
            raise OutputError(
                f"{self.output} holds a checkpoint already: pass --force to replace it, or "
                "another -o"
            )
        self.data: DataSet = load_data(options.data, options.data_dir)
        self.config: ModelConfig = configure(options.model, options.arch, self.data.shape)
        steps_per_epoch = math.ceil(len(self.data.train) / self.batch_size)
        default_epochs = max(self.recipe.epochs, round(self.recipe.steps / steps_per_epoch))
        self.epochs = _at_least(1, "epochs", _given(options.epochs, default_epochs))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.model: Model = build(self.config).to(self.device)
        self.history: list[Epoch] = []

    def train(self, listener: Listener | None) -> Trained:
        images = self.data.train.to(self.device)
        test = self.data.test.to(self.device)
        optimizer = torch.optim.Adam(self.model.parameters(), lr=self.lr, fused=True)
        if listener:
            listener.started(str(self.device), self.epochs, len(images))
        saved_at, saved_epoch = time.monotonic(), 0
        lines: list[str] = []
        try:
            for epoch in range(1, self.epochs + 1):
                self.history.append(self._epoch(epoch, images, test, optimizer, listener))
                lines.append(json.dumps(asdict(self.history[-1])) + "\n")
                if epoch == self.epochs or time.monotonic() - saved_at > _SAVE_SECONDS:
                    self._save(lines)
                    saved_at, saved_epoch = time.monotonic(), epoch
                if listener:
                    listener.finished_epoch(self.history[-1])
        except KeyboardInterrupt:
            kept = (
                f"{self.output} holds the checkpoint of epoch {saved_epoch}"
                if saved_epoch
                else "no checkpoint of this run was written yet, an earlier one stays as it was"
            )
            raise Interrupted(f"stopped in epoch {len(self.history) + 1}: {kept}") from None
        written = self._draw(test)
        return Trained(self.output, self._record(), tuple(self.history), written)

    def _epoch(
        self,
        epoch: int,
        images: Tensor,
        test: Tensor,
        optimizer: torch.optim.Optimizer,
        listener: Listener | None,
    ) -> Epoch:
        order = torch.randperm(len(images), generator=self._random(_ORDER, epoch, "cpu"))
        order, noise = order.to(self.device), self._random(_NOISE, epoch)
        sums: dict[str, Tensor] = {}
        started = time.perf_counter()
        self.model.train()
        for batch in torch.split(order, self.batch_size):
            terms = self.recipe.loss(self.model, _pixels(images[batch]), noise)
            optimizer.zero_grad()
            terms["loss"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            # Kept on the device: reading a value would wait for the GPU at every step.
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value.detach() * len(batch)
            if listener:
                listener.advanced(len(batch))
        means = {name: float(value) / len(images) for name, value in sums.items()}
        seconds = time.perf_counter() - started
        metrics = self._test(epoch, test)
        # The last step can spoil the weights after every loss of the epoch was finite.
        for number in (means["loss"], *metrics.values()):
            if not math.isfinite(number):
                raise TrainingError(
                    f"the loss became {number} in epoch {epoch}: try a lower --lr than "
                    f"{self.lr:g}. The last good checkpoint, if there is one, stays."
                )
        return Epoch(epoch, seconds, len(images) / seconds, means, metrics)

    @torch.no_grad()
    def _test(self, epoch: int, test: Tensor) -> dict[str, float]:
        self.model.eval()
        noise = self._random(_TEST_NOISE, epoch)
        sums: dict[str, float] = {}
        for batch in torch.split(test, _TEST_BATCH):
            for name, value in self.recipe.metrics(self.model, _pixels(batch), noise).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(batch)
        return {name: value / len(test) for name, value in sums.items()}

    def _save(self, lines: list[str]) -> None:
        examples = _spread(self.data.test, _EXAMPLES)
        metrics = "".join(lines).encode()
        checkpoint.save(self.output, self.model, self.config, examples, self._record(), metrics)

    def _record(self) -> Training:
        return Training(
            data=self.data.name,
            data_fingerprint=self.data.fingerprint,
            seed=self.options.seed,
            epochs=len(self.history),
            batch_size=self.batch_size,
            lr=self.lr,
            options=self.recipe_options,
            metrics=self.history[-1].test,
        )

    @torch.no_grad()
    def _draw(self, test: Tensor) -> tuple[Path, ...]:
        self.model.eval()
        noise = self._random(_PICTURE_NOISE, 0)
        picture = self.recipe.picture(self.model, _pixels(_spread(test, _PICTURED)), noise)
        folder = self.output
        drawn = (
            pictures.draw_images(folder / f"{picture.name}.png", picture),
            pictures.draw_losses(folder / "loss.png", self.history),
        )
        return (*(folder / name for name in checkpoint.FILES), *drawn)

    def _random(self, stream: int, epoch: int, device: str | None = None) -> torch.Generator:
        state = np.random.SeedSequence([self.options.seed, epoch, stream]).generate_state(2)
        generator = torch.Generator(device or self.device)
        return generator.manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


def _spread(images: Tensor, n: int) -> Tensor:
    """`n` images evenly spaced over all: sorted or not, they show all kinds."""
    places = np.linspace(0, len(images) - 1, n).astype(np.int64)
    return images[torch.from_numpy(places).to(images.device)]


def _pixels(images: Tensor) -> Tensor:
    """uint8 [N, C, H, W], 0 to 255 -> float32 in [0, 1]."""
    return images.to(torch.float32).div_(255)


def _given(value: T | None, default: T) -> T:
    return default if value is None else value


def _at_least(lowest: int, what: str, value: int) -> int:
    if value < lowest:
        raise UsageError(f"{what}: expected {lowest} or more, got {value}")
    return value
