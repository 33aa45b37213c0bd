"""Runs a part on arrays: checks inputs, splits them into batches, fills `out` buffers."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol, cast

import numpy as np

from aeonnx.bundle import BATCH, Variant, shape_at
from aeonnx.errors import DeviceMemoryError, InputError
from aeonnx.runtime.array_like import is_number
from aeonnx.runtime.batching import any_batch, any_rows
from aeonnx.runtime.by_shapes import ByShapes
from aeonnx.runtime.class_names import numbered
from aeonnx.runtime.interface import (
    batch_of,
    is_sized,
    row_shape,
    select_rows,
    several_rows,
    shape_of_rows,
    sizes_of,
)
from aeonnx.runtime.ready import IsReady
from aeonnx.runtime.session import Array
from aeonnx.runtime.tiling import LARGE, Tiling, advice
from aeonnx.runtime.validation import check_input, check_output, require_names

__all__ = ["PartRunner", "Runner"]

_LOG = logging.getLogger(__name__)

_DIRECT = 1024
"""Up to so many rows run as one batch, without measuring or looking up the best batch size."""

_COPIED = 2**18
"""Outputs of up to so many bytes are copied to `out`: binding the buffer would take longer."""


@dataclass(frozen=True)
class _Plan:
    """What follows from the shapes of a call's inputs.

    Args:
        sizes: of the axes.
        rows: number of rows.
        at_once: rows of this size that fit in a run.
        cut: whether it runs in tiles.
        direct: whether one run of the graph computes it.
        shapes: of the outputs, by name.
    """

    sizes: Mapping[str, int]
    rows: int
    at_once: int
    cut: bool
    direct: bool
    shapes: Mapping[str, tuple[int, ...]]


class Runner(Protocol):
    """Runs a graph: a `Session` or a `CudaGraphRunner`."""

    def values(self, inputs: Mapping[str, Array], outputs: list[str]) -> list[Array]: ...

    def run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None: ...


def _planned(
    part: str, variant: Variant, tiling: Tiling | None, inputs: Mapping[str, Array]
) -> _Plan:
    """The plan of a call.

    Raises:
        InputError: the sizes of an axis differ, or an axis may not have its size.
    """
    try:
        sizes = sizes_of(variant, inputs)
    except ValueError as error:
        raise InputError(f"{part}: {error}") from error
    rows, sized = sizes[BATCH], is_sized(variant)
    values = math.prod(inputs[variant.inputs[0].name].shape[1:])
    at_once = max(1, LARGE // max(1, values)) if sized else rows
    cut = tiling is not None and tiling.cuts(sizes)
    shapes = {spec.name: shape_at(shape_of_rows(variant, spec), sizes) for spec in variant.outputs}
    return _Plan(sizes, rows, at_once, cut, not cut and rows <= at_once, shapes)


class PartRunner:
    """Runs one variant of a part on any number of rows.

    Args:
        part: its name, for messages.
        variant: its entry in the manifest.
        runner: runs its graph.
        max_batch: returns the most rows per run of the graph; called when first needed.
        tiling: how large inputs are cut; None to run them whole.
        classes: names that inputs of the kind label may be given by.
    """

    def __init__(
        self,
        part: str,
        variant: Variant,
        runner: Runner,
        max_batch: Callable[[], int],
        tiling: Tiling | None = None,
        classes: Sequence[str] = (),
    ) -> None:
        self._part, self._variant, self._runner = part, variant, runner
        self._specs = {spec.name: spec for spec in any_batch(variant)}
        self._outputs = {spec.name: spec for spec in variant.outputs}
        self._fixed = batch_of(variant) is not None
        self._find_max_batch, self._max_batch = max_batch, 0
        self._direct = 0 if self._fixed else _DIRECT
        self.sized = is_sized(variant)
        """Whether inputs may have several sizes."""
        self.tiling = tiling
        self.blended = False
        """Whether a result was put together from blended tiles so far, and so is not exact."""
        # What is unlike all normal images is to be scored, and not refused.
        self._limited = all(spec.kind != "score" for spec in variant.outputs)
        self._is_ready = {
            name: IsReady(spec, limited=self._limited) for name, spec in self._specs.items()
        }
        self._plan = ByShapes(self._specs, partial(_planned, part, variant, tiling))
        self._input = variant.inputs[0].name
        self._others = [spec.name for spec in variant.inputs[1:]]
        self._names = [spec.name for spec in variant.outputs]
        self._classes = classes
        self._labels = [spec for spec in variant.inputs if spec.kind == "label"]

    def output(
        self,
        value: Any,
        out: Array | None = None,
        name: str = "",
        others: Mapping[str, Any] = MappingProxyType({}),
    ) -> Array:
        """One output of a part.

        Args:
            value: the first input, see `check_input`.
            out: array to write to and return; None for a new one.
            name: of the output; "" for the first.
            others: the other inputs by name; a single number is given to every row.

        Raises:
            InputError: `value` or `out` has the wrong dtype, shape or values.
            DeviceMemoryError: there is not enough memory.
        """
        try:
            return self._one(value, out, name or self._names[0], others)
        except MemoryError as error:  # numpy could not allocate the arrays of all rows
            raise self._too_large(error, (value, *others.values())) from error
        except DeviceMemoryError as error:
            raise self._advised(error) from error

    def _one(self, value: Any, out: Array | None, name: str, others: Mapping[str, Any]) -> Array:
        if not self._is_ready[self._input](value):
            value = self._check(self._input, value)
        inputs = {self._input: value}
        if others or self._others:
            self._require_names((self._input, *others))
            inputs |= self._checked(self._numbered(others), value, len(value))
        plan = self._plan(inputs)
        if out is None:
            return self._run(inputs, [name], plan)[0]
        check_output(self._part, self._outputs[name], plan.shapes[name], value, out)
        if out.nbytes > _COPIED:
            return self._in_batches(inputs, {name: out}, plan)[name]
        out[...] = self._run(inputs, [name], plan)[0]
        return out

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """All outputs by name, for all inputs by name.

        Raises:
            InputError: an input is missing, unknown, or has the wrong dtype, shape or values.
            DeviceMemoryError: there is not enough memory.
        """
        try:
            return self._all(inputs)
        except MemoryError as error:
            raise self._too_large(error, inputs.values()) from error
        except DeviceMemoryError as error:
            raise self._advised(error) from error

    def _too_large(self, error: MemoryError, given: Iterable[Any]) -> DeviceMemoryError:
        several = several_rows(given)
        todo = ": give fewer rows at once, or use aeonnx.runtime.stream" if several else ""
        return DeviceMemoryError(
            f"{self._part}: the arrays of {'all rows' if several else 'one row'} do not fit in "
            f"memory ({error}){todo}.{'' if self.tiling else advice(self._variant)}"
        )

    def _advised(self, error: DeviceMemoryError) -> DeviceMemoryError:
        """The error of a run that did not fit in memory; says which tiles may."""
        if self.tiling is not None:
            return error
        return DeviceMemoryError(f"{error}{advice(self._variant)}")

    def check(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """Check all inputs by name as a run does, and convert them for the graph.

        Raises:
            InputError: see `__call__`.
        """
        checked = self._converted(inputs)
        self._plan(checked)
        return checked

    def _all(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        checked = self._converted(inputs)
        found = self._run(checked, self._names, self._plan(checked))
        return dict(zip(self._names, found, strict=True))

    def _converted(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        self._require_names(inputs)
        inputs = self._numbered(inputs)
        first = self._checked_as(self._input, inputs[self._input])
        others = {name: inputs[name] for name in self._others}
        if self._specs[self._input].shape[0] == BATCH:
            rows = len(first)
        else:  # a seed: the rows are those of an index
            rows = next((len(v) for v in others.values() if hasattr(v, "__len__")), 1)
        return {self._input: first, **self._checked(others, first, rows)}

    def _numbered(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The inputs, with numbers for names of classes."""
        if not self._labels:
            return inputs
        found = dict(inputs)
        for spec in self._labels:
            if spec.name in found:
                found[spec.name] = numbered(spec, self._classes, found[spec.name])
        return found

    def _require_names(self, inputs: Iterable[str]) -> None:
        if {*inputs} != self._specs.keys():
            require_names(self._part, tuple(self._specs), inputs)

    def _checked(self, others: Mapping[str, Any], given: Array, rows: int) -> dict[str, Array]:
        """The inputs other than the first, which is `given`; a single number fills a row each."""
        checked, first = {}, self._specs[self._input]
        for name, value in others.items():
            spec = self._specs[name]
            if is_number(value) and spec.shape[0] == BATCH:
                value = np.full((rows, *row_shape(spec, first, given)), value)
                if np.can_cast(value.dtype, spec.dtype, "same_kind"):  # else check_input says so
                    value = value.astype(spec.dtype)
            checked[name] = self._checked_as(name, value)
        return checked

    def _checked_as(self, name: str, value: Any) -> Array:
        """An input, checked and converted for the graph."""
        if self._is_ready[name](value):
            return cast(Array, value)
        return self._check(name, value)

    def _check(self, name: str, value: Any) -> Array:
        return check_input(self._part, self._specs[name], value, limited=self._limited)

    def _run(self, inputs: Mapping[str, Array], names: list[str], plan: _Plan) -> list[Array]:
        if plan.direct and plan.rows <= self._direct:
            try:
                return self._runner.values(inputs, names)
            except DeviceMemoryError:
                self._shrink(plan.rows)
        if self.tiling and plan.cut:
            return self._tiled(self.tiling, inputs, names, plan.sizes)
        buffers = {name: np.empty(plan.shapes[name], self._outputs[name].dtype) for name in names}
        return list(self._in_batches(inputs, buffers, plan).values())

    def _tiled(
        self,
        tiling: Tiling,
        inputs: Mapping[str, Array],
        names: list[str],
        sizes: Mapping[str, int],
    ) -> list[Array]:
        """The named outputs, tile by tile and row by row: a row is large here."""

        def run(tile: Mapping[str, Array]) -> dict[str, Array]:
            return dict(zip(names, self._runner.values(tile, names), strict=True))

        run_any = any_rows(self._variant, run)
        rows = [
            tiling.run(run_any, select_rows(self._variant, inputs, slice(row, row + 1)), sizes)
            for row in range(sizes[BATCH])
        ]
        self.blended |= tiling.overlap is not None
        return [np.concatenate([row[name] for row in rows]) for name in names]

    def _in_batches(
        self, inputs: Mapping[str, Array], outputs: dict[str, Array], plan: _Plan
    ) -> dict[str, Array]:
        if self._fixed:
            found = any_rows(self._variant, self._by_name)(inputs)
            for name, buffer in outputs.items():
                buffer[...] = found[name]
            return outputs
        rows, start = plan.rows, 0
        while start < rows:
            batch = slice(start, min(start + min(self._size(rows), plan.at_once), rows))
            try:
                self._runner.run_into(
                    select_rows(self._variant, inputs, batch),
                    {name: buffer[batch] for name, buffer in outputs.items()},
                )
            except DeviceMemoryError:
                self._shrink(batch.stop - start)
                continue
            start = batch.stop
        return outputs

    def _by_name(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(self._names, self._runner.values(inputs, self._names), strict=True))

    def _size(self, rows: int) -> int:
        if rows <= self._direct:
            return rows
        self._max_batch = self._max_batch or self._find_max_batch()
        return self._max_batch

    def _shrink(self, rows: int) -> None:
        """Halve the batch size after memory ran out; at 1 row, re-raise the current error."""
        if rows == 1:
            raise
        self._direct = self._max_batch = rows // 2
        _LOG.warning(
            "%s: out of memory at %d rows per run, trying %d", self._part, rows, self._max_batch
        )
