"""The registry of recipes by model name, and the classes that a recipe consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from aeonnx import catalog
from aeonnx.errors import UnknownNameError
from aeonnx.models import ModelConfig
from aeonnx.training.random import Noise

__all__ = ["Batch", "Options", "Picture", "Recipe", "Shape", "Stage", "make", "register"]

Options = dict[str, str | float]
Shape = tuple[int, ...]
Terms = dict[str, Tensor]


class Batch(NamedTuple):
    """Input of losses and metrics: it includes all random numbers, so that losses are pure.

    Args:
        x: float32 [N, C, H, W] in [0, 1], on the model's device.
        labels: int64 [N]; all -1 if the data has no labels.
        noise: the random numbers that `Stage.draw` drew for these images.
        progress: share of the stage's steps that are done, float32 scalar in [0, 1]; 1 in
            evaluation.
        noisy: noisy versions of `x`, of its shape, if the data set has them.
    """

    x: Tensor
    labels: Tensor
    noise: tuple[Tensor, ...]
    progress: Tensor
    noisy: Tensor | None = None


@dataclass(frozen=True)
class Picture:
    """A grid of images to show.

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
        """One row per tensor, float32 [n, C, H, W]; the i-th images of all rows share a column."""
        return cls(name, torch.cat(rows), columns=len(rows[0]))


def _no_noise(_: Noise, __: Shape) -> tuple[Tensor, ...]:
    return ()


def _whole(model: Any) -> Sequence[nn.Module]:
    return (model,)


@dataclass(frozen=True)
class Stage:
    """A phase of training with its own loss; most recipes have one.

    Args:
        name: such as "pretrain 1"; appears in the training record and in metrics.jsonl.
        objective: description of the loss, for the training record.
        loss: (model, batch) -> scalars by name, means over images; the one named "loss" is
            minimised.
        metrics: (model, batch) -> scalars by name, means over images, on test images; the first is
            the stage's main metric.
        draw: (noise, [C, H, W] of the images) -> the random numbers that become `Batch.noise`.
        trained: (model) -> the modules to train; all others are frozen.
        corruption: corruption of the images or features, for the training record; None for none.
        epochs: default number of passes over the training images; more if `steps` requires it.
        steps: minimum number of optimiser steps by default; a small data set gets more epochs.
        paced: the loss depends on `Batch.progress`, and thus on the number of epochs.
    """

    name: str
    objective: str
    loss: Callable[[Any, Batch], Terms]
    metrics: Callable[[Any, Batch], Terms]
    draw: Callable[[Noise, Shape], tuple[Tensor, ...]] = _no_noise
    trained: Callable[[Any], Sequence[nn.Module]] = _whole
    corruption: str | None = None
    epochs: int = 20
    steps: int = 2500
    paced: bool = False


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Args:
        stages: stages in order; `--epochs` sets the epochs of the last one.
        pictures: (model, batch) -> pictures to draw, for a batch of the last stage.
        batch_size: default images per step.
        lr: default peak learning rate of AdamW.
        schedule: default learning rate schedule, see `aeonnx.training.engine.schedule`.
        clip: default largest norm of the gradient; None for no limit.
        ema: default decay of the moving average of the weights; 0 for no average.
        given: (batch of the last stage) -> the images that a denoiser is given, of the shape of
            `Batch.x`; None for models without a denoiser.
        unbounded: whether these images have values outside of [0, 1].
    """

    stages: tuple[Stage, ...]
    pictures: Callable[[Any, Batch], Sequence[Picture]]
    batch_size: int = 128
    lr: float = 3e-3
    schedule: str = "cosine"
    clip: float | None = None
    ema: float = 0.0
    given: Callable[[Batch], Tensor] | None = None
    unbounded: bool = False


_RECIPES: dict[str, Callable[..., Recipe]] = {}


def register(model: str) -> Callable[[Callable[..., Recipe]], Callable[..., Recipe]]:
    """Decorate a function that makes the recipe of `model` from its `ModelConfig`.

    Its keyword-only arguments are the options of the recipe, also on the command line: each has a
    literal default, and a type from `aeonnx.catalog.ranges` that declares the allowed values. The
    docstring's `Args:` describe them: the first sentence becomes the help text.
    """

    def add(maker: Callable[..., Recipe]) -> Callable[..., Recipe]:
        _RECIPES[model] = maker
        catalog.add_recipe(model, maker)
        return maker

    return add


def make(config: ModelConfig, options: Mapping[str, str | float]) -> Recipe:
    """Make the recipe of a model.

    Args:
        config: configuration of the model.
        options: all options of the recipe, from `aeonnx.training.options.recipe_options`.

    Raises:
        UnknownNameError: the model has no recipe.
    """
    if config.model not in _RECIPES:
        raise UnknownNameError("recipe", config.model, _RECIPES)
    return _RECIPES[config.model](config, **options)
