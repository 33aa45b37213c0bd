"""Inputs that activate the units which random ones leave off.

Many units of an autoencoder stay at or near 0 on dense random images, and what activates them on
real ones leaves most pixels at 0: a wrong weight between the two would go unseen. For such units,
the gradient of their pre-activations says which way to push the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.export import ExportedProgram

from aeonnx.bundle import has_rows
from aeonnx.export.verify.pointwise import SHARE, Activation, find_activations
from aeonnx.export.verify.pushes import STEPS, Box, box, pushed, targets
from aeonnx.export.verify.traced import DoesNotRunError, Traced
from aeonnx.models import Part
from aeonnx.runtime.session import Array

__all__ = ["Activations", "activation_rows"]

# Units that one row is pushed for, and which of the given rows it begins as, the nearest being 0:
# many at first, the stubborn alone and from others.
_GROUPS = ((64, 0), (16, 0), (4, 0), (1, 0), (1, 1), (1, 4))
_AT_ONCE = 32  # rows that are pushed, if memory allows
_BACKWARD = 3.0  # cost of a step with its gradient, in forward passes
_PASSES = 10.0  # for all pushes: forward passes over the given rows
_CHEAP = 3e10  # floating-point operations, seconds of one core, that any part may take
_ROWS = 64  # that are kept
_FIRST = 8  # rows that tell what one costs, and how large pre-activations are


@dataclass(frozen=True)
class Activations:
    """Rows that activate units, and how many units there are.

    Args:
        rows: inputs by name, at most 64 rows; those without a batch axis as they were given.
        units: behind activation functions.
        inactive: units that neither these rows nor the given ones activate, or that were not
            searched for, because the search is bounded or the captured graph does not run.
    """

    rows: dict[str, Array]
    units: int
    inactive: int


def activation_rows(part: Part, program: ExportedProgram, rows: Mapping[str, Array]) -> Activations:
    """Rows that together activate the units which the given rows leave inactive.

    What a unit is, and when it is active: see `pointwise`. What a maximum over places or features
    leaves out is not looked for: places share their weights.

    Args:
        part: names, ranges and axes of its inputs.
        program: the part as torch captured it; not changed.
        rows: by input name, dense: a weight shows only where its input is not 0. Inputs of
            floating point are pushed within their range, or within four standard deviations of
            these rows; others take values of these rows.
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
        with suppress(DoesNotRunError):  # then all units are left inactive
            search.look_at_given()
            if any(boxes):
                search.push(boxes)
    kept, inactive = search.kept()
    found = {spec.name: value.numpy() for spec, value in zip(part.inputs, kept, strict=True)}
    return Activations(found, sum(function.layout.units for function in functions), inactive)


class _Search:
    """Which units are active on which rows, as far as it is known.

    Args:
        traced: the part.
        functions: its activation functions; their units are counted through.
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
        self._found: list[tuple[list[Tensor], Tensor]] = []  # a row, and what it activates

    def look_at_given(self) -> None:
        """What the given rows activate, and what one costs.

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
        """Push given rows within boxes for what these leave inactive."""
        units = list(
            torch.split(
                torch.arange(len(self._inactive)), [f.layout.units for f in self._functions]
            )
        )
        for index in range(len(units)):
            waiting = sum(bool(self._inactive[some].any()) for some in units[index:])
            if self._inactive[units[index]].any():
                self._budget -= self._activate(index, units[index], boxes, self._budget / waiting)

    def kept(self) -> tuple[list[Tensor], int]:
        """Few rows that activate what all do that were found, and the units left inactive."""
        rows: list[list[Tensor]] = []
        left = torch.zeros_like(self._inactive)
        for _, active in self._found:
            left |= active
        while left.any() and len(rows) < _ROWS:
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
        """Push rows for the inactive units of a function; the cost, in forward passes of a row."""
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
            # Units that are nearest on the same row come into one group.
            inactive = inactive[away[:, inactive].argmin(0).argsort(stable=True)]
            masks = _masks(torch.split(inactive, size), function.layout.units)
            while len(masks):
                # One row at least, while anything of the whole budget is left.
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
                except DoesNotRunError:  # at these inputs: what is left stays inactive
                    return spent + len(own) * STEPS * step
                spent += len(own) * (steps * step + 1)
        return spent

    def _add(self, rows: list[Tensor]) -> None:
        """Rows that activate what was inactive, as candidates."""
        for i, active in enumerate(self._look(rows)[0]):
            if (active & self._inactive).any():
                row = self._traced.select_rows(rows, torch.tensor([i]))
                self._found.append((row, active & self._dormant))
                self._inactive &= ~active

    def _look(self, rows: list[Tensor]) -> list[Tensor]:
        """Each [rows, units]: whether active, lowest and highest pre-activation."""
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
        """What the units of a function are active from; values of 1 are never small."""
        return self._functions[index].limits(min(self._scales[index], 1.0), SHARE)

    def _squares(self, befores: tuple[Tensor, ...], rows: int) -> list[Tensor]:
        """Mean squares of pre-activations: [rows, functions]."""
        split = [f.layout.split(x, rows) for f, x in zip(self._functions, befores, strict=True)]
        return [torch.stack([x.square().mean((1, 2)) for x in split], 1)]


def _masks(groups: Sequence[Tensor], units: int) -> Tensor:
    """bool [groups, units]."""
    masks = torch.zeros(len(groups), units, dtype=torch.bool)
    for mask, group in zip(masks, groups, strict=True):
        mask[group] = True
    return masks
