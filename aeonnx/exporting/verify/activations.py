"""Search for inputs that activate units which random inputs leave inactive.

Many units of an autoencoder stay at or near 0 on dense random images. Real images activate them,
but leave most pixels at 0, so the comparison would miss a wrong weight between such a pixel and
such a unit. The search pushes inputs along the gradient of these units' pre-activations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.export import ExportedProgram

from aeonnx.bundle import has_rows
from aeonnx.exporting.verify.pointwise import SHARE, Activation, find_activations
from aeonnx.exporting.verify.pushes import STEPS, Box, box, pushed, targets
from aeonnx.exporting.verify.traced import DoesNotRunError, Traced
from aeonnx.models import Part
from aeonnx.runtime.session import Array

__all__ = ["MOST_ROWS", "Activations", "activation_rows"]

MOST_ROWS = 64
"""Most rows that are kept."""

# Number of units that one row is pushed for, and rank of the given row it starts from (0 is the
# nearest). Units that groups do not activate are tried alone, and from other rows.
_GROUPS = ((64, 0), (16, 0), (4, 0), (1, 0), (1, 1), (1, 4))
_AT_ONCE = 32  # rows that are pushed together, if memory allows
_BACKWARD = 3.0  # cost of a step with its gradient, in forward passes
_PASSES = 10.0  # budget of all pushes, in forward passes over the given rows
_CHEAP = 3e10  # least budget in floating-point operations: seconds on one core
_FIRST = 8  # rows that measure the cost of a row and the scale of pre-activations


@dataclass(frozen=True)
class Activations:
    """Rows that activate units, and how many units there are.

    Args:
        rows: inputs by name, at most 64 rows; those without a batch axis as they were given.
        units: number of units of all activation functions.
        inactive: number of units that neither these rows nor the given ones activate, or that were
            not searched for, because the search is bounded or the captured graph does not run.
    """

    rows: dict[str, Array]
    units: int
    inactive: int


def activation_rows(
    part: Part, program: ExportedProgram, rows: Mapping[str, Array], most: int = MOST_ROWS
) -> Activations:
    """Rows that together activate the units which the given rows leave inactive.

    `pointwise` defines units and when they are active. Inputs that a maximum over places or
    features discards are not searched for, since places share their weights.

    Args:
        part: the part; names, ranges and axes of its inputs are used.
        program: the part as torch captured it; not changed.
        rows: dense rows by input name, since an input of 0 hides its weight. Floating-point inputs
            are pushed within their range, or within four standard deviations of these rows; other
            inputs keep values of these rows.
        most: how many rows are kept.
    """
    given = [torch.tensor(rows[spec.name]) for spec in part.inputs]
    boxes = [
        box(spec, value) if has_rows(part, spec) and value.is_floating_point() else None
        for spec, value in zip(part.inputs, given, strict=True)
    ]
    traced = Traced(part, program, given)
    functions = find_activations(traced.module, traced.batch)
    search = _Search(traced, functions, given)
    if functions:
        with suppress(DoesNotRunError):  # all units then count as inactive
            search.look_at_given()
            if any(boxes):
                search.push(boxes)
    kept, inactive = search.kept(most)
    found = {spec.name: value.numpy() for spec, value in zip(part.inputs, kept, strict=True)}
    return Activations(found, sum(function.layout.units for function in functions), inactive)


class _Search:
    """The state of a search: active units, rows that were found, and the budget.

    Args:
        traced: the captured part.
        functions: its activation functions; units are numbered in their order.
        given: rows of each input.
    """

    def __init__(self, traced: Traced, functions: list[Activation], given: list[Tensor]) -> None:
        self._traced, self._functions, self._given = traced, functions, given
        self._whole = traced.prefix([function.before for function in functions])
        self._scales = [1.0] * len(functions)
        self._inactive = torch.ones(
            sum(function.layout.units for function in functions), dtype=torch.bool
        )
        self._budget = 0.0  # forward passes of one row
        self._found: list[tuple[list[Tensor], Tensor]] = []  # a row, and the units it activates

    def look_at_given(self) -> None:
        """Find the units that the given rows activate, and measure the cost of a row.

        Raises:
            DoesNotRunError: the captured graph fails.
        """
        count = self._traced.rows(self._given)
        first = self._traced.select_rows(
            self._given, torch.arange(min(count, _FIRST, self._whole.at_once))
        )
        flops, squares = self._whole.flops(first, self._squares)
        self._scales = squares.mean(0).sqrt().tolist()
        active, self._low, self._high = self._look(self._given)
        self._inactive &= ~active.any(0)
        self._dormant = self._inactive.clone()
        self._budget = max(_PASSES * count, _CHEAP / flops)

    def push(self, boxes: list[Box | None]) -> None:
        """Push given rows within boxes, for the units that they leave inactive."""
        units = list(
            torch.split(
                torch.arange(len(self._inactive)), [f.layout.units for f in self._functions]
            )
        )
        for index in range(len(units)):
            waiting = sum(bool(self._inactive[some].any()) for some in units[index:])
            if self._inactive[units[index]].any():
                self._budget -= self._activate(index, units[index], boxes, self._budget / waiting)

    def kept(self, most: int) -> tuple[list[Tensor], int]:
        """A few rows that activate all units that were found, and the number left inactive.

        The greedy algorithm for set cover, up to `most` rows.
        """
        rows: list[list[Tensor]] = []
        left = torch.zeros_like(self._inactive)
        for _, active in self._found:
            left |= active
        while left.any() and len(rows) < most:
            gains = torch.stack([(active & left).sum() for _, active in self._found])
            row, active = self._found[int(gains.argmax())]
            rows.append(row)
            left &= ~active
        kept = [
            value if whole else torch.cat([value[:0], *(row[i] for row in rows)])
            for i, (value, whole) in enumerate(zip(self._given, self._traced.whole, strict=True))
        ]
        return kept, int((self._inactive | left).sum())

    def _activate(
        self, index: int, units: Tensor, boxes: list[Box | None], allowance: float
    ) -> float:
        """Push rows for the inactive units of a function.

        Returns:
            The cost, in forward passes of one row.
        """
        function, scale = self._functions[index], self._scales[index]
        low, high = self._low[:, units], self._high[:, units]
        aims = targets(function, scale, low.amin(0), high.amax(0))
        away = (low - aims.before).clamp(min=0) + (aims.before - high).clamp(min=0)
        prefix = self._traced.prefix([function.before])
        step = _BACKWARD * prefix.share
        spent = 0.0
        for size, rank in _GROUPS:
            inactive = torch.nonzero(self._inactive[units] & aims.reachable).flatten()
            if not len(inactive):
                break
            # Units whose nearest row is the same go into one group.
            inactive = inactive[away[:, inactive].argmin(0).argsort(stable=True)]
            masks = _masks(torch.split(inactive, size), function.layout.units)
            while len(masks):
                # At least one row, while any of the whole budget is left.
                affordable = max((allowance - spent) / (STEPS * step + 1), self._budget > spent)
                count = min(int(affordable), prefix.at_once, _AT_ONCE)
                if not count:
                    return spent
                own, masks = masks[:count], masks[count:]
                nearest = (own.float() @ away.T).argsort(stable=True)
                begin = nearest[:, min(rank, len(away) - 1)]
                start = self._traced.select_rows(self._given, begin)
                try:
                    rows, steps = pushed(
                        prefix, function, aims, self._limits(index), boxes, start, own
                    )
                    self._add(rows)
                except DoesNotRunError:  # on these inputs: the remaining units stay inactive
                    return spent + len(own) * STEPS * step
                spent += len(own) * (steps * step + 1)
        return spent

    def _add(self, rows: list[Tensor]) -> None:
        """Add rows that activate inactive units as candidates."""
        for i, active in enumerate(self._look(rows)[0]):
            if (active & self._inactive).any():
                row = self._traced.select_rows(rows, torch.tensor([i]))
                self._found.append((row, active & self._dormant))
                self._inactive &= ~active

    def _look(self, rows: list[Tensor]) -> list[Tensor]:
        """Whether units are active, their lowest and highest pre-activation; each [rows, units]."""
        places = torch.split(torch.arange(self._traced.rows(rows)), self._whole.at_once)
        with torch.no_grad():
            pieces = [
                self._whole.over(self._traced.select_rows(rows, some), self._seen)
                for some in places
            ]
        return [torch.cat(items) for items in zip(*pieces, strict=True)]

    def _seen(self, befores: tuple[Tensor, ...], rows: int) -> list[Tensor]:
        found = []
        for index, (function, before) in enumerate(zip(self._functions, befores, strict=True)):
            values = function.layout.split(before, rows)
            active = function.active(before, rows, self._limits(index))
            found.append((active, values.amin(2), values.amax(2)))
        return [torch.cat(items, 1) for items in zip(*found, strict=True)]

    def _limits(self, index: int) -> tuple[Tensor, Tensor]:
        """The least slopes and values of active units; a value of 1 is always large enough."""
        return self._functions[index].limits(min(self._scales[index], 1.0), SHARE)

    def _squares(self, befores: tuple[Tensor, ...], rows: int) -> list[Tensor]:
        """Mean squares of pre-activations: [rows, functions]."""
        split = [f.layout.split(x, rows) for f, x in zip(self._functions, befores, strict=True)]
        return [torch.stack([x.square().mean((1, 2)) for x in split], 1)]


def _masks(groups: Sequence[Tensor], units: int) -> Tensor:
    """Which units are in each group: bool [groups, units]."""
    masks = torch.zeros(len(groups), units, dtype=torch.bool)
    for mask, group in zip(masks, groups, strict=True):
        mask[group] = True
    return masks
