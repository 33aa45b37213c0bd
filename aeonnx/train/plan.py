"""Everything about a run that is decided before its first step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aeonnx import checkpoint
from aeonnx.errors import CheckpointError, DataError, OutputError, UsageError
from aeonnx.manifest import Training, TrainingStage
from aeonnx.models import ModelConfig, classifies, configure
from aeonnx.train import recipes
from aeonnx.train._ranges import flag, whole
from aeonnx.train.data import DataSet, load_data
from aeonnx.train.history import Epoch, Position
from aeonnx.train.noise import Stream, seeded
from aeonnx.train.options import Settings, TrainOptions, settle
from aeonnx.train.ranks import Ranks
from aeonnx.train.recipes import Recipe

__all__ = ["Plan", "make_plan", "spread"]

_NO_PLACES = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True)
class Plan:
    """What is trained, on what, how and for how long.

    Args:
        options: as given.
        output: the run's folder.
        data: images and labels.
        config: of the model.
        recipe: with its options filled in.
        recipe_options: these.
        settings: of the optimisation.
        epochs: at most so many, by stage.
        train_places: int64 [n], the training images that are learned from.
        held_out: int64 [m], those kept out to stop early.
    """

    options: TrainOptions
    output: Path
    data: DataSet
    config: ModelConfig
    recipe: Recipe
    recipe_options: dict[str, str | float]
    settings: Settings
    epochs: tuple[int, ...]
    train_places: Tensor
    held_out: Tensor

    @property
    def steps_per_epoch(self) -> int:
        """Batches that the images make, the last perhaps smaller."""
        return _steps(len(self.train_places), self.settings.batch_size)

    def identity(self) -> dict[str, str]:
        """What must be the same to go on from a saved state, by the flag that sets it."""
        config, settings = self.config, asdict(self.settings)
        named = {
            "--model": config.model,
            "--arch": config.arch,
            "--hidden": config.hidden,
            "--latent": config.latent_size,
            "--seed": self.options.seed,
            **{flag(name): value for name, value in settings.items()},
            **{flag(name): value for name, value in self.recipe_options.items()},
            "--epochs": self.epochs[-1],
            "data": self.data.fingerprint,
        }
        return {name: _text(value) for name, value in named.items()}

    def check_same(self, before: Mapping[str, str]) -> None:
        """Compare with the identity of a saved state.

        Raises:
            UsageError: an option differs.
            CheckpointError: the data set differs.
        """
        now = self.identity()
        if before.get("data") != now["data"]:
            raise CheckpointError(
                f"the data set {self.data.name} changed since {self.output} was trained on it "
                f"(fingerprint {str(before.get('data'))[:12]} then, {now['data'][:12]} now): give "
                "--data as it was, or train anew with --force"
            )
        # With nothing laid out over the epochs, more of them are a longer walk on the same way.
        open_ended = self.settings.schedule == "constant" and not self.recipe.stages[-1].paced
        differing = [
            f"{name} was {before.get(name, 'not there')}, is {now.get(name, 'not there')}"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name) and not (name == "--epochs" and open_ended)
        ]
        if differing:
            raise UsageError(
                f"--resume: {self.output} was trained with other options: {'; '.join(differing)}. "
                "Give them as they were, or train anew with --force"
            )

    def check_longer(self, position: Position) -> None:
        """Compare with where a saved state stands.

        Raises:
            UsageError: more epochs are done than there shall be.
        """
        done = position.epoch - 1
        if done > self.epochs[position.stage]:
            raise UsageError(
                f"epochs: {done} are done already, got {self.epochs[position.stage]}: give as many "
                "or more, or train anew with --force"
            )

    def record(self, history: Sequence[Epoch], kept: Epoch) -> Training:
        """What stands in checkpoint and bundle: `kept` is the epoch that the weights are of."""
        done = [
            TrainingStage(
                name=stage.name,
                objective=stage.objective,
                corruption=stage.corruption,
                epochs=sum(epoch.stage == stage.name for epoch in history),
            )
            for stage in self.recipe.stages
        ]
        settings = asdict(self.settings)
        return Training(
            data=self.data.name,
            data_fingerprint=self.data.fingerprint,
            data_split=self.data.split,
            train_images=len(self.data.train.images),
            test_images=len(self.data.test.images),
            seed=self.options.seed,
            epochs=done[-1].epochs,
            batch_size=settings.pop("batch_size"),
            lr=settings.pop("lr"),
            optimizer={name: value for name, value in settings.items() if value is not None},
            options=self.recipe_options,
            stages=tuple(done),
            metrics=kept.test,
        )


def make_plan(options: TrainOptions, ranks: Ranks) -> Plan:
    """Check the options, load the data, decide.

    Raises:
        UsageError, DataError, OutputError: see `train`.
    """
    configure(options.model, options.arch, (1, 1, 1))  # wrong names are told before data is read
    known = recipes.options_of(options.model, options.recipe)
    output = options.output or checkpoint.default_folder(options.model)
    if (output / checkpoint.CONFIG).exists() and not (
        options.force or options.resume or ranks.restarts
    ):
        raise OutputError(
            f"{output} holds a checkpoint already: pass --resume to go on from it, --force to "
            "replace it, or another -o"
        )
    data = load_data(
        options.data, options.data_dir, skip_bad=options.skip_bad, stream=options.stream
    )
    if classifies(options.model):
        _require_labels(options.model, data)
    config = configure(
        options.model,
        options.arch,
        data.shape,
        hidden=options.hidden,
        latent_size=options.latent_size,
        classes=data.classes,
    )
    recipe = recipes.make(config, known)
    settings = settle(options, recipe)
    train_places, held_out = _hold_out(len(data.train.images), settings.held_out, options.seed)
    _require_enough(len(train_places), settings.batch_size, ranks.size)
    return Plan(
        options=options,
        output=output,
        data=data,
        config=config,
        recipe=recipe,
        recipe_options=known,
        settings=settings,
        epochs=_epochs(options, recipe, _steps(len(train_places), settings.batch_size)),
        train_places=train_places,
        held_out=held_out,
    )


def _steps(images: int, batch_size: int) -> int:
    return math.ceil(images / batch_size)


def _epochs(options: TrainOptions, recipe: Recipe, steps_per_epoch: int) -> tuple[int, ...]:
    defaults = [max(stage.epochs, round(stage.steps / steps_per_epoch)) for stage in recipe.stages]
    if options.epochs is not None:
        defaults[-1] = whole("epochs", options.epochs, 1)
    return tuple(defaults)


def _hold_out(images: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Places to learn from, and places held out: both in the data's order."""
    count = round(images * share)
    if not count:
        return torch.arange(images), _NO_PLACES
    shuffled = torch.randperm(images, generator=seeded(torch.Generator(), seed, Stream.HELD_OUT))
    return shuffled[count:].sort().values, shuffled[:count].sort().values


def _require_labels(model: str, data: DataSet) -> None:
    if data.train.labels is None:
        raise DataError(
            f"{model} learns from labels, and {data.name} has none: use a folder with one "
            "subfolder per class, an .npz with `y`, or a data set with labels such as mnist-sample"
        )
    if len(data.classes) < 2:
        raise DataError(
            f"{model} learns to tell classes apart, and {data.name} has only one "
            f"({data.classes[0]!r}): expected two or more"
        )


def _require_enough(images: int, batch_size: int, processes: int) -> None:
    if images < 1:
        raise DataError("nothing is left to learn from: lower --held-out")
    for what, number in (("training images", images), ("images of a batch", batch_size)):
        if processes > number:
            raise DataError(
                f"{processes} processes are more than the {number} {what}: start fewer with "
                "--nproc-per-node"
            )


def _text(value: object) -> str:
    """1 and 1.0 are the same option."""
    return repr(float(value)) if isinstance(value, int | float) else str(value)


def spread(images: int, n: int) -> Tensor:
    """`n` places evenly spaced over all: sorted or not, they show all kinds."""
    return torch.from_numpy(np.linspace(0, images - 1, min(n, images)).astype(np.int64))
