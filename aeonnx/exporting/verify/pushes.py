"""Push inputs along gradients until units are active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aeonnx.bundle import TensorSpec
from aeonnx.exporting.verify.pointwise import GRID, SHARE, Activation
from aeonnx.exporting.verify.traced import DoesNotRunError, Prefix

__all__ = ["STEPS", "Box", "Targets", "box", "pushed", "targets"]

STEPS = 16

_CLEARLY = 0.5  # target slope of a push, as a share of the steepest
_NEAR = 0.9  # share of a target's slope and value that counts as reached
_SIGMAS = 4.0
_MARGIN = (
    0.05  # distance from an end at 0, as a share of the range: an input of 0 hides its weights
)


@dataclass(frozen=True)
class Box:
    """Bounds of an input.

    Args:
        low, high: lowest and highest value of each element of a row.
    """

    low: Tensor
    high: Tensor

    def moved(self, x: Tensor, gradient: Tensor, length: Tensor) -> Tensor:
        """x after a descent step, clipped to the box.

        Args:
            x: rows of the input.
            gradient: gradient for x.
            length: step length of each row, in coordinates scaled by the widths of the box.
        """
        step = _per_row(length, x) * (self.high - self.low).square() * gradient
        return torch.minimum(torch.maximum(x - step, self.low), self.high)

    def square(self, gradient: Tensor) -> Tensor:
        """The squared norm of each row's gradient in the same coordinates: float32 [rows]."""
        return (
            ((self.high - self.low) * gradient).square().reshape(len(gradient), -1).sum(1).float()
        )


def box(spec: TensorSpec, rows: Tensor) -> Box:
    """The range of an input; without one, 4 standard deviations around the mean, and all rows."""
    if spec.range:
        margin = _MARGIN * (spec.range[1] - spec.range[0])
        low, high = spec.range[0] or margin, spec.range[1] or -margin
        return Box(torch.full_like(rows[0], low), torch.full_like(rows[0], high))
    mean, reach = rows.mean(0), _SIGMAS * rows.std(0, correction=0)
    return Box(torch.minimum(mean - reach, rows.amin(0)), torch.maximum(mean + reach, rows.amax(0)))


@dataclass(frozen=True)
class Targets:
    """Target pre-activations of units.

    Args:
        before: target pre-activations, [units].
        limits: slopes and values from which a unit counts as having reached it, each [units].
        reachable: False for units that are active nowhere on the grid, [units].
    """

    before: Tensor
    limits: tuple[Tensor, Tensor]
    reachable: Tensor


def targets(function: Activation, scale: float, low: Tensor, high: Tensor) -> Targets:
    """The nearest pre-activation at which each unit is clearly active.

    Its value is as large as the pre-activations of its layer are, unless the function is bounded
    below that.

    Args:
        function: the activation function.
        scale: root mean square of its pre-activations.
        low, high: lowest and highest pre-activations on the present rows, [units].
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
    """Push rows towards activating units by projected gradient descent with Polyak's step length.

    The loss f of a row is the sum of the distances of its units from their targets. The step is
    f / |grad f|^2 * grad f, which for one unit of a linear function is the shortest one that
    reaches the target (Polyak 1969, "Minimization of unsmooth functionals").

    Args:
        prefix: inputs -> pre-activations.
        function: the activation function of these.
        aims: targets of the units.
        limits: slopes and values from which units are active.
        boxes: bounds of each input; None for an input that is not changed.
        start: initial rows of each input.
        own: bool [rows, units], the units that each row is pushed for.

    Returns:
        The best iterate of each row, which activates most of its units; and the number of steps.

    Raises:
        DoesNotRunError: the captured graph fails, or has no gradient.
    """

    def look(befores: tuple[Tensor, ...], rows: int) -> list[Tensor]:
        (before,) = befores
        away = (function.layout.split(before, rows) - aims.before[:, None]).abs()
        # min, not amin: among equal places, only one gets the gradient.
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
