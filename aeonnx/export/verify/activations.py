"""Inputs that switch on the units which random ones leave off.

Many units of a small autoencoder stay at or near 0 on dense random images, and what wakes them on
real ones leaves most pixels at 0: a wrong weight between the two would go unseen. For each such
unit, the gradient of its pre-activation says which way to push the input.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor, nn

from aeonnx.manifest import TensorSpec
from aeonnx.models import ACTIVATIONS, Part
from aeonnx.runtime.session import Array

__all__ = ["waking_rows"]

_STEPS = 4
_STRENGTHS = (0.25, 0.5, 0.9)  # of the push: the weakest that wakes a unit is taken
_AT_ONCE = 64  # units
_AWAKE = 0.1  # pre-activation that counts
_SIGMAS = 4.0


def waking_rows(part: Part, rows: Array) -> Array:
    """Rows for a part with one input that together switch on every unit behind `ACTIVATIONS`.

    Args:
        part: its module is copied, not changed.
        rows: float32 [n, ...], dense: a weight shows only where its input is not 0.

    Returns:
        float32 [m, ...]; units that no push could wake have no row.
    """
    found = [rows[:0]]
    module = copy.deepcopy(part.module).cpu().float().eval().requires_grad_(False)
    push = _pusher(part.inputs[0], rows)
    for layer in [item for item in module.modules() if isinstance(item, ACTIVATIONS)]:
        with _PreActivations(module, layer) as pre_activations:
            known = torch.from_numpy(np.concatenate([rows, *found]))
            asleep = pre_activations(known).amax(0) <= 0
            while asleep.any():
                units = torch.nonzero(asleep).flatten()[:_AT_ONCE]
                woken = _wake(pre_activations, push, units, rows.mean(0))
                found.append(woken)
                asleep[units] = False  # awake now, or beyond waking
                if len(woken):  # a row for one unit mostly wakes others too
                    asleep &= pre_activations(torch.from_numpy(woken)).amax(0) <= 0
    return np.concatenate(found)


class _Reached(Exception):  # noqa: N818  # no error: the way to leave a forward pass
    """The forward pass came to the layer: what lies behind is not needed."""


class _PreActivations:
    """A layer's inputs as [rows, units], the largest over the places of a channel."""

    def __init__(self, module: nn.Module, layer: nn.Module) -> None:
        self._module = module
        self._hook = layer.register_forward_pre_hook(self._reach)

    def _reach(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._seen = inputs[0]
        raise _Reached

    def __enter__(self) -> _PreActivations:
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def __call__(self, x: Tensor) -> Tensor:
        with suppress(_Reached):
            self._module(x)
        # max, not amax: of equal places, only one gets the gradient.
        return self._seen.flatten(2).max(2).values if self._seen.ndim > 2 else self._seen


Push = Callable[[Tensor, Tensor, float], Tensor]


def _wake(pre_activations: _PreActivations, push: Push, units: Tensor, start: Array) -> Array:
    """One row for each unit that a push of the start row along its gradient switches on."""
    found = [start[None][:0]]
    for strength in _STRENGTHS:
        own = torch.arange(len(units))
        base = torch.from_numpy(start).repeat(len(units), *[1] * start.ndim)
        x = base
        for _ in range(_STEPS):
            x = x.detach().requires_grad_()
            value = pre_activations(x)[own, units]
            (slope,) = torch.autograd.grad(value.sum(), x)
            x = push(base, slope, strength)
        awake = pre_activations(x)[own, units] > _AWAKE
        found.append(x[awake].detach().numpy())
        units = units[~awake]
        if not len(units):
            break
    return np.concatenate(found)


def _pusher(spec: TensorSpec, rows: Array) -> Push:
    """(base, slope, strength) -> base moved up the slope, within what the input may be."""
    if spec.range:
        low, high = spec.range

        def within(base: Tensor, slope: Tensor, strength: float) -> Tensor:
            end = torch.where(slope > 0, high, low).to(base.dtype)
            return base + strength * (end - base)

        return within
    deviation = torch.from_numpy(rows.std(0))

    def along(base: Tensor, slope: Tensor, strength: float) -> Tensor:
        return base + strength * _SIGMAS * deviation * slope.sign()

    return along
