"""Recipes by model name, and what a recipe is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from aeonnx import catalog
from aeonnx.errors import UnknownNameError
from aeonnx.models import ModelConfig
from aeonnx.train.random import Noise

__all__ = ["Batch", "Options", "Picture", "Recipe", "Stage", "make", "register"]

Options = dict[str, str | float]
Terms = dict[str, Tensor]


class Batch(NamedTuple):
    """What a loss is computed from: all randomness is in it, so that losses are pure functions.

    Args:
        x: float32 [N, C, H, W] in [0, 1], on the model's device.
        labels: int64 [N]; -1 if the data has none.
        noise: what `Stage.draw` drew for these images.
        progress: share of the stage's steps that are done, float32 scalar in [0, 1]; 1 in tests.
    """

    x: Tensor
    labels: Tensor
    noise: tuple[Tensor, ...]
    progress: Tensor


@dataclass(frozen=True)
class Picture:
    """Images to show.

    Args:
        name: file name without suffix.
        images: float32 [n, C, H, W] in [0, 1].
        columns: images per row.
    """

    name: str
    images: Tensor
    columns: int

    @classmethod
    def of_rows(cls, name: str, *rows: Tensor) -> Picture:
        """One row per tensor, float32 [n, C, H, W]; what belongs together stands in a column."""
        return cls(name, torch.cat(rows), columns=len(rows[0]))


def _no_noise(_: Noise) -> tuple[Tensor, ...]:
    return ()


def _whole(model: Any) -> Sequence[nn.Module]:
    return (model,)


@dataclass(frozen=True)
class Stage:
    """One stretch of training with a loss of its own; most recipes have one.

    Args:
        name: such as "pretrain 1"; stands in the record and in metrics.jsonl.
        objective: what the loss is, for the record.
        loss: (model, batch) -> scalars by name, means over images; the one named "loss" is
            minimised.
        metrics: (model, batch) -> scalars by name, means over images, on test images; the first is
            the stage's headline.
        draw: (noise) -> the random numbers that `loss` and `metrics` find in the batch.
        trained: (model) -> the modules that learn; all others stay as they are.
        corruption: what the images or features suffer, for the record; None for nothing.
        epochs: default passes over the training images, if they make `steps` steps.
        steps: least number of optimiser steps by default; a small data set gets more epochs.
        paced: the loss depends on the progress, so that the number of epochs is part of it.
    """

    name: str
    objective: str
    loss: Callable[[Any, Batch], Terms]
    metrics: Callable[[Any, Batch], Terms]
    draw: Callable[[Noise], tuple[Tensor, ...]] = _no_noise
    trained: Callable[[Any], Sequence[nn.Module]] = _whole
    corruption: str | None = None
    epochs: int = 20
    steps: int = 2500
    paced: bool = False


@dataclass(frozen=True)
class Recipe:
    """How a model is taught.

    Args:
        stages: in order; `--epochs` sets the passes of the last.
        pictures: (model, batch) -> what to show, for a batch of the last stage.
        batch_size: default images per step.
        lr: default learning rate of AdamW.
        schedule: default course of the learning rate, see `schedule`.
        ema: default decay of the average of weights; 0 for none.
    """

    stages: tuple[Stage, ...]
    pictures: Callable[[Any, Batch], Sequence[Picture]]
    batch_size: int = 128
    lr: float = 3e-3
    schedule: str = "cosine"
    ema: float = 0.0


_RECIPES: dict[str, Callable[..., Recipe]] = {}


def register(model: str) -> Callable[[Callable[..., Recipe]], Callable[..., Recipe]]:
    """Decorate a function that makes the recipe of `model` from its `ModelConfig`.

    Its other arguments, by keyword, are the options that the recipe takes, on the command line too:
    each has a default, written out, and a type of `aeonnx.catalog.ranges` that says what is
    allowed. The docstring's `Args:` explain them.
    """

    def add(maker: Callable[..., Recipe]) -> Callable[..., Recipe]:
        _RECIPES[model] = maker
        catalog.add_recipe(model, maker)
        return maker

    return add


def make(config: ModelConfig, options: Mapping[str, str | float]) -> Recipe:
    """The recipe of a model.

    Args:
        config: what the model is built from.
        options: all of them, by `aeonnx.train.options.recipe_options`.

    Raises:
        UnknownNameError: the model has no recipe.
    """
    if config.model not in _RECIPES:
        raise UnknownNameError("recipe", config.model, _RECIPES)
    return _RECIPES[config.model](config, **options)
