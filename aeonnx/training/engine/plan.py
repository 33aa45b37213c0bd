"""The plan of a run: everything that is decided before its first step."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aeonnx.bundle import Training, TrainingStage
from aeonnx.catalog.ranges import PAIRS, flag
from aeonnx.checkpoint.history import Epoch, Position, RunOptions
from aeonnx.checkpoint.states import State
from aeonnx.errors import CheckpointError, DataError, UsageError
from aeonnx.models import ModelConfig, archs, classifies, configure, crop_of
from aeonnx.training import recipes
from aeonnx.training.data import DATA_SETS, DataSet, Images, Windows, load_data, with_normal
from aeonnx.training.engine.distributed import Ranks
from aeonnx.training.engine.resume import refuse_existing_run, relative_to_run, resumed_from
from aeonnx.training.options import (
    DATA,
    DATA_DIR,
    TABLE,
    Settings,
    TrainOptions,
    contradiction,
    recipe_options,
    resolve_settings,
)
from aeonnx.training.random import Stream, seeded
from aeonnx.training.recipes import Recipe

__all__ = ["Plan", "evenly_spaced", "make_plan"]

_NO_PLACES = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True)
class Plan:
    """The model, data, recipe and settings of a run.

    Args:
        options: options as given; in a resumed run, completed with the saved ones.
        output: the run's folder.
        data: images and labels.
        config: configuration of the model.
        recipe: recipe with its options filled in.
        recipe_options: options of the recipe, with defaults filled in.
        settings: settings of the optimisation.
        epochs: maximum number of epochs of each stage.
        train_places: int64 [n], indices of the training images to train on.
        held_out: int64 [m], indices of the training images held out for early stopping.
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
        """Number of batches per epoch; the last one may be smaller."""
        return _steps(len(self.train_places), self.settings.batch_size)

    @property
    def run_options(self) -> RunOptions:
        """The options that are saved and that a resume keeps."""
        config, settings = self.config, asdict(self.settings)
        data, folder = self.options.data or DATA, self.options.data_dir
        return RunOptions(
            model=config.model,
            arch=config.arch,
            hidden=config.hidden,
            latent_size=config.latent_size,
            data=data if data in DATA_SETS else relative_to_run(data, self.output),
            normal=self.options.normal,
            conditional=bool(self.options.conditional),
            **{name: getattr(self.options, name) for name in TABLE},
            noisy=self.options.noisy and relative_to_run(self.options.noisy, self.output),
            data_dir=None if folder is None else relative_to_run(os.fspath(folder), self.output),
            skip_bad=self.options.skip_bad,
            background=self.options.background,
            epochs=self.epochs[-1],
            seed=self.seed,
            recipe=self.recipe_options,
            **{**settings, "held_out": settings["held_out"] or None},
        )

    @property
    def seed(self) -> int:
        """Seed of initial weights, image order and noise."""
        return self.options.seed or 0

    def check_same(self, before: State) -> None:
        """Check that this plan can continue a saved state: data set, epochs, model and position.

        Raises:
            UsageError: the number of epochs differs although schedule or loss depend on it, or more
                epochs are done than requested.
            CheckpointError: the data set differs, or the state contradicts its own options.
        """
        then, now = before.fingerprint[:12], self.data.fingerprint[:12]
        if before.fingerprint != self.data.fingerprint:
            raise CheckpointError(
                f"the data set {self.data.name} changed since {self.output} was trained on it, or "
                f"is another (fingerprint {then} then, {now} now): give the images as they were "
                "with --data, or train anew with --force"
            )
        # If neither schedule nor loss depends on it, the number of epochs may change.
        open_ended = self.settings.schedule == "constant" and not self.recipe.stages[-1].paced
        epochs = (before.options.epochs, self.epochs[-1])
        if epochs[0] != epochs[1] and not open_ended:
            raise UsageError(contradiction(self.output, [("epochs", *epochs)]))
        if before.model != self.config or before.position.step > self.steps_per_epoch:
            raise CheckpointError(
                f"the saved state in {self.output} does not fit its own options: its model is "
                f"another, or step {before.position.step} is beyond the {self.steps_per_epoch} of "
                "an epoch. Train anew with --force"
            )
        done = before.position.epoch - 1
        if done > self.epochs[before.position.stage]:
            raise UsageError(
                f"epochs: {done} are done already, got {self.epochs[before.position.stage]}: give "
                "as many or more, or train anew with --force"
            )

    def record_at(self, position: Position, history: Sequence[Epoch]) -> Training:
        """Training record of the current weights of a run at `position`."""
        stage, epoch = position.stage, position.epoch
        if not position.step:
            return self._record(history, self._epoch_name(stage, epoch - 1), history[-1].test)
        name = f"{self._epoch_name(stage, epoch)}, after step {position.step}"
        return self._record(history, f"{name} of {self.steps_per_epoch}", {})

    def record_of_best(self, position: Position, history: Sequence[Epoch]) -> Training:
        """Training record of the weights of the stage's best epoch."""
        number = position.best_epoch
        kept = history[number - position.epoch]
        return self._record(
            history, f"{self._epoch_name(position.stage, number)}, the best", kept.test
        )

    def _epoch_name(self, stage: int, epoch: int) -> str:
        """ "epoch 3 of 20"; preceded by the name of the stage if there are several stages."""
        several = len(self.recipe.stages) > 1
        prefix = f"{self.recipe.stages[stage].name}: " if several else ""
        return f"{prefix}epoch {epoch} of {self.epochs[stage]}"

    def _record(
        self, history: Sequence[Epoch], weights: str, tested: Mapping[str, float]
    ) -> Training:
        """Make the training record for checkpoint and bundle.

        Args:
            history: entries of the completed epochs.
            weights: description of the weights, such as "epoch 3 of 20, the best".
            tested: metrics of these weights on the test images.
        """
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
            train_images=self.data.train_images,
            test_images=self.data.test_images,
            seed=self.seed,
            epochs=done[-1].epochs,
            batch_size=settings.pop("batch_size"),
            lr=settings.pop("lr"),
            optimizer={name: value for name, value in settings.items() if value is not None},
            options=self.recipe_options,
            stages=tuple(done),
            metrics=dict(tested),
            weights=weights,
        )


def make_plan(options: TrainOptions, ranks: Ranks) -> Plan:
    """Complete the options with those of a run to resume, load the data, and make the plan.

    Args:
        options: options that `check` accepted.
        ranks: this process among all processes of the run.

    Raises:
        UsageError, DataError, CheckpointError, OutputError: see `train`.
    """
    output = options.folder
    if options.resume:
        options = resumed_from(options, output)
    elif not ranks.restarts:
        refuse_existing_run(options)
    if options.model is None:
        raise UsageError("Missing option '-m' / '--model', such as vae")
    pairs = {} if options.noisy is None else {"corruption": PAIRS}
    known = recipe_options(options.model, {**options.recipe, **pairs})
    arch = options.arch or archs(options.model)[0]
    tables = archs(options.model, tables=True)
    folder = options.data_dir or DATA_DIR
    data = load_data(
        options.data or DATA,
        folder,
        skip_bad=options.skip_bad,
        stream=options.stream,
        background=options.background,
        crop=crop_of(options.model, arch),
        noisy=None if options.noisy is None else Path(options.noisy).expanduser(),
        table=options if tables else None,
    )
    if data.columns is not None and options.arch is None:
        arch = tables[0]
    _require_table(options, data)
    data = with_normal(data, options.normal, classifies=classifies(options.model))
    if data.train.endless and options.patience is not None:
        raise UsageError(
            "--patience needs training images that are held out, and crops of the same pictures "
            "are no others: leave it out"
        )
    labelled = classifies(options.model) or options.conditional
    if labelled:
        what = f"{options.model} --conditional" if options.conditional else options.model
        _require_labels(what, data)
    config = configure(
        options.model,
        arch,
        data.shape,
        hidden=options.hidden,
        latent_size=options.latent_size,
        classes=data.classes,
        conditional=bool(options.conditional),
        columns=data.columns,
    )
    recipe = recipes.make(config, known)
    config = replace(config, unbounded=recipe.unbounded)
    settings = resolve_settings(options, recipe)
    seed = options.seed or 0
    train_places, held_out = _hold_out(data.train.images, settings.held_out, seed)
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


def _require_table(options: TrainOptions, data: DataSet) -> None:
    """Raise `UsageError` if an option for tables is given, and the data is none."""
    given = [flag(name) for name in TABLE if getattr(options, name) is not None]
    if given and data.columns is None:
        raise UsageError(
            f"{', '.join(given)}: for tables, that is .csv and .parquet files and arrays [N, D], "
            f"and {data.name} has images: leave {'it' if len(given) == 1 else 'them'} out"
        )


def _steps(images: int, batch_size: int) -> int:
    return math.ceil(images / batch_size)


def _epochs(options: TrainOptions, recipe: Recipe, steps_per_epoch: int) -> tuple[int, ...]:
    defaults = [max(stage.epochs, round(stage.steps / steps_per_epoch)) for stage in recipe.stages]
    if options.epochs is not None:
        defaults[-1] = options.epochs
    return tuple(defaults)


def _hold_out(images: Images, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the images to train on and of those held out, each sorted.

    Windows that overlap are alike: the last ones are held out, and those that share steps with
    them are neither.
    """
    number = len(images)
    count = round(number * share)
    if not count:
        return torch.arange(number), _NO_PLACES
    if isinstance(images, Windows):
        before = images.starts + images.length <= images.starts[-count]
        return before.nonzero().flatten(), torch.arange(number - count, number)
    shuffled = torch.randperm(number, generator=seeded(torch.Generator(), seed, Stream.HELD_OUT))
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
        raise DataError("no training images are left: lower --held-out")
    for what, number in (("training images", images), ("images of a batch", batch_size)):
        if processes > number:
            raise DataError(
                f"{processes} processes are more than the {number} {what}: start fewer with "
                "--nproc-per-node"
            )


def evenly_spaced(images: int, n: int) -> Tensor:
    """Up to `n` evenly spaced indices, so that data sorted by class is sampled from all classes."""
    return torch.from_numpy(np.linspace(0, images - 1, min(n, images)).astype(np.int64))
