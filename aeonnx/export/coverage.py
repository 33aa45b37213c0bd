"""Inputs that switch on the units which random ones leave off.

Many ReLU units of a small autoencoder stay at 0 on dense random images, and what wakes them on real
ones leaves most pixels at 0: a wrong weight between the two would go unseen. For each such unit,
the gradient of its pre-activation says which way to push the input.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from aeonnx.manifest import TensorSpec
from aeonnx.models import Part
from aeonnx.runtime.session import Array

__all__ = ["waking_rows"]

_STEPS = 4
_STRENGTHS = (0.25, 0.5, 0.9)  # of the push: the weakest that wakes a unit is taken
_AWAKE = 0.1  # pre-activation that counts
_SIGMAS = 4.0


def waking_rows(part: Part, rows: Array) -> Array:
    """Rows for a part with one input, one for each unit of an `nn.ReLU` that could be woken.

    Args:
        part: its module is copied, not changed.
        rows: float32 [n, ...], dense: a weight shows only where its input is not 0.

    Returns:
        float32 [m, ...], m from 0 to the number of sleeping units.
    """
    found = [rows[:0]]
    module = copy.deepcopy(part.module).cpu().float().eval().requires_grad_(False)
    push = _pusher(part.inputs[0], rows)
    for layer in [item for item in module.modules() if isinstance(item, nn.ReLU)]:
        with _PreActivations(module, layer) as pre_activations:
            known = np.concatenate([rows, *found])
            best = pre_activations(torch.from_numpy(known)).amax(0)
            sleeping = torch.nonzero(best <= 0).flatten()
            if len(sleeping):
                found.append(_wake(pre_activations, push, sleeping, known.mean(0)))
    return np.concatenate(found)


class _PreActivations:
    """A layer's inputs as [rows, units], the largest over the places of a channel."""

    def __init__(self, module: nn.Module, layer: nn.Module) -> None:
        self._module = module
        self._seen: list[Tensor] = []
        self._hook = layer.register_forward_pre_hook(lambda _, inputs: self._seen.append(inputs[0]))

    def __enter__(self) -> _PreActivations:
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def __call__(self, x: Tensor) -> Tensor:
        self._seen.clear()
        self._module(x)
        value = self._seen[0]
        # max, not amax: of equal places, only one gets the gradient.
        return value.flatten(2).max(2).values if value.ndim > 2 else value


Push = Callable[[Tensor, Tensor, float], Tensor]


def _wake(pre_activations: _PreActivations, push: Push, units: Tensor, start: Array) -> Array:
    """One row for each unit that a push of the start row along its gradient switches on."""
    own = torch.arange(len(units))
    base = torch.from_numpy(start).repeat(len(units), *[1] * start.ndim)
    woken: dict[int, Tensor] = {}
    for strength in _STRENGTHS:
        x = base
        for _ in range(_STEPS):
            x = x.detach().requires_grad_()
            value = pre_activations(x)[own, units]
            (slope,) = torch.autograd.grad(value.sum(), x)
            x = push(base, slope, strength)
        awake = pre_activations(x.detach())[own, units] > _AWAKE
        for row in torch.nonzero(awake).flatten().tolist():
            woken.setdefault(row, x[row].detach())
    if not woken:
        return start[None][:0]
    return torch.stack(list(woken.values())).numpy()


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
