"""Recipes by model name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aeonnx.errors import UnknownNameError, UsageError

__all__ = ["Options", "Picture", "Recipe", "make", "register"]

Options = dict[str, str | float]
Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Picture:
    """What to show at the end of training.

    Args:
        name: file name without suffix.
        images: float32 [n, C, H, W] in [0, 1].
        columns: images per row.
    """

    name: str
    images: Tensor
    columns: int


@dataclass(frozen=True)
class Recipe:
    """How a model is taught. `x` is float32 [N, C, H, W] in [0, 1] on the model's device.

    Args:
        loss: (model, x, noise) -> scalars by name; the one named "loss" is minimised.
        metrics: (model, x, noise) -> scalars by name, means over images, on test images.
        picture: (model, x, noise) -> what to show, for some test images.
        epochs: default passes over the training images, if they make `steps` steps.
        steps: least number of optimiser steps by default; a small data set gets more epochs.
        batch_size: default images per step.
        lr: default learning rate of Adam.
    """

    loss: Callable[[Any, Tensor, torch.Generator], Terms]
    metrics: Callable[[Any, Tensor, torch.Generator], Terms]
    picture: Callable[[Any, Tensor, torch.Generator], Picture]
    epochs: int = 20
    steps: int = 2500
    batch_size: int = 128
    lr: float = 1e-3


_RECIPES: dict[str, Callable[..., Recipe]] = {}


def register(model: str) -> Callable[[Callable[..., Recipe]], Callable[..., Recipe]]:
    """Decorate a function that makes the recipe of `model`.

    Its keyword arguments, all with defaults, are the options that the recipe takes.
    """

    def add(maker: Callable[..., Recipe]) -> Callable[..., Recipe]:
        _RECIPES[model] = maker
        return maker

    return add


def make(model: str, given: Mapping[str, str | float]) -> tuple[Recipe, Options]:
    """The recipe of a model.

    Args:
        model: registered name.
        given: options by name; what is not given takes its default.

    Returns:
        The recipe, and all its options with their values.

    Raises:
        UnknownNameError: the model has no recipe.
        UsageError: the recipe takes no such option, or not this value.
    """
    if model not in _RECIPES:
        raise UnknownNameError("recipe", model, _RECIPES)
    parameters = inspect.signature(_RECIPES[model]).parameters
    for name in given:
        if name not in parameters:
            takes = ", ".join(_flag(known) for known in parameters) or "no option of its own"
            raise UsageError(f"{model} takes no {_flag(name)}, it takes: {takes}")
    options = {name: given.get(name, known.default) for name, known in parameters.items()}
    return _RECIPES[model](**options), options


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
