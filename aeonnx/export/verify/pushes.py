"""Rows pushed along gradients until units are active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aeonnx.bundle import TensorSpec
from aeonnx.export.verify.pointwise import GRID, SHARE, Activation
from aeonnx.export.verify.traced import DoesNotRunError, Prefix

__all__ = ["STEPS", "Box", "Targets", "box", "pushed", "targets"]

STEPS = 16

_CLEARLY = 0.5  # share of the steepest slope that a push aims at
_NEAR = 0.9  # of slope and value of a target
_SIGMAS = 4.0
_MARGIN = 0.05  # of the range, from an end at 0: where an input is 0, its weights do not show


@dataclass(frozen=True)
class Box:
    """What an input may be, per element of a row.

    Args:
        low, high: lowest and highest value.
    """

    low: Tensor
    high: Tensor

    def moved(self, x: Tensor, gradient: Tensor, length: Tensor) -> Tensor:
        """x against its gradient by a length for each row, which is in widths of the box."""
        step = _per_row(length, x) * (self.high - self.low).square() * gradient
        return torch.minimum(torch.maximum(x - step, self.low), self.high)

    def square(self, gradient: Tensor) -> Tensor:
        """The squared norm of a gradient for each row, in the same widths."""
        return (
            ((self.high - self.low) * gradient).square().reshape(len(gradient), -1).sum(1).float()
        )


def box(spec: TensorSpec, rows: Tensor) -> Box:
    """Within the range of an input, or within four standard deviations of rows and their own."""
    if spec.range:
        margin = _MARGIN * (spec.range[1] - spec.range[0])
        low, high = spec.range[0] or margin, spec.range[1] or -margin
        return Box(torch.full_like(rows[0], low), torch.full_like(rows[0], high))
    mean, reach = rows.mean(0), _SIGMAS * rows.std(0, correction=0)
    return Box(torch.minimum(mean - reach, rows.amin(0)), torch.maximum(mean + reach, rows.amax(0)))


@dataclass(frozen=True)
class Targets:
    """What pre-activations shall become, each [units].

    Args:
        before: the pre-activation.
        limits: slope and value, from which a unit counts as there.
        reachable: False for units that are active nowhere.
    """

    before: Tensor
    limits: tuple[Tensor, Tensor]
    reachable: Tensor


def targets(function: Activation, scale: float, low: Tensor, high: Tensor) -> Targets:
    """The nearest pre-activation at which each unit is clearly active.

    That is one as large as others of its layer are, where the function is not bounded below that.

    Args:
        function: the activation function.
        scale: root mean square of its pre-activations.
        low, high: what pre-activations range over now, [units].
    """
    grid = GRID[:, None]
    away = (low - grid).clamp(min=0) + (grid - high).clamp(min=0) + 1e-6 * grid.abs()
    aims = torch.zeros(function.slopes.shape, dtype=torch.bool)
    for at_least, share in ((scale, _CLEARLY), (min(scale, 1.0), _CLEARLY), (0.0, SHARE)):
        slope, value = function.limits(at_least, share)
        here = (function.slopes >= slope) & (function.values >= value)
        aims = torch.where(aims.any(0), aims, here)
    nearest = away.masked_fill(~aims, torch.inf).argmin(0)
    units = torch.arange(len(nearest))
    there = _NEAR * function.slopes[nearest, units], _NEAR * function.values[nearest, units]
    return Targets(GRID[nearest], there, aims.any(0))


def pushed(
    prefix: Prefix,
    function: Activation,
    aims: Targets,
    limits: tuple[Tensor, Tensor],
    boxes: Sequence[Box | None],
    start: Sequence[Tensor],
    own: Tensor,
) -> tuple[list[Tensor], int]:
    """Rows nearer to activating units, by projected gradient steps of Polyak's length.

    What is made small is the sum of the distances of a row's units from their targets; the step is
    that sum over the squared norm of its gradient, which for one unit of a linear function is the
    shortest way (Polyak 1969, "Minimization of unsmooth functionals").

    Args:
        prefix: inputs -> pre-activations.
        function: the activation function behind these.
        aims: of each unit.
        limits: from which a unit is active.
        boxes: of each input; None for one that stays.
        start: rows of each input.
        own: bool [rows, units], the units that each row is pushed for.

    Returns:
        of each row what activates most of its units, or most clearly; and the steps that it took.

    Raises:
        DoesNotRunError: the captured graph fails, or has no gradient.
    """

    def look(befores: tuple[Tensor, ...], rows: int) -> list[Tensor]:
        (before,) = befores
        away = (function.layout.split(before, rows) - aims.before[:, None]).abs()
        # min, not amin: of equal places, only one gets the gradient.
        return [
            away.min(2).values,
            function.active(before, rows, limits),
            function.active(before, rows, aims.limits),
        ]

    x, best, most, steps = list(start), list(start), torch.zeros(len(own)), 0
    for _ in range(STEPS):
        steps += 1
        leaves = [
            value.detach().requires_grad_(bounds is not None)
            for value, bounds in zip(x, boxes, strict=True)
        ]
        away, active, clear = prefix.over(leaves, look)
        count = ((active & own).sum(1) + (clear & own).sum(1)).float()
        best = [
            old if bounds is None else torch.where(_per_row(count > most, new), new, old)
            for new, old, bounds in zip(x, best, boxes, strict=True)
        ]
        most = torch.maximum(most, count)
        loss = away.masked_fill(~own | clear, 0.0).sum(1)
        if not loss.any():
            break
        x = _stepped(leaves, boxes, loss)
    return best, steps


def _stepped(leaves: list[Tensor], boxes: Sequence[Box | None], loss: Tensor) -> list[Tensor]:
    bounded = [(leaf, bounds) for leaf, bounds in zip(leaves, boxes, strict=True) if bounds]
    try:
        slopes = torch.autograd.grad(
            loss.sum(), [leaf for leaf, _ in bounded], materialize_grads=True
        )
    except RuntimeError as error:  # an operator without a derivative
        raise DoesNotRunError from error
    slopes = tuple(slope.nan_to_num() for slope in slopes)
    squares = [bounds.square(slope) for (_, bounds), slope in zip(bounded, slopes, strict=True)]
    square = torch.stack(squares).sum(0)
    length = torch.where(square > 0, loss.detach() / square, 0.0)
    moved = iter(
        bounds.moved(leaf.detach(), slope, length)
        for (leaf, bounds), slope in zip(bounded, slopes, strict=True)
    )
    return [
        leaf if bounds is None else next(moved) for leaf, bounds in zip(leaves, boxes, strict=True)
    ]


def _per_row(value: Tensor, x: Tensor) -> Tensor:
    return value.reshape(-1, *[1] * (x.ndim - 1))
