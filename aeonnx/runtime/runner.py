"""Runs a part on arrays: checks inputs, splits them into batches, fills `out` buffers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import numpy as np

from aeonnx.bundle import BATCH, Variant
from aeonnx.errors import DeviceMemoryError, InputError
from aeonnx.runtime.batching import any_batch, any_rows
from aeonnx.runtime.interface import batch_of, rows_in, select_rows
from aeonnx.runtime.session import Array
from aeonnx.runtime.validation import check_input, check_output

__all__ = ["PartRunner", "Runner"]

_LOG = logging.getLogger(__name__)

_DIRECT = 1024
"""Up to so many rows run as one batch, without measuring or looking up the best batch size."""

_COPIED = 2**18
"""Outputs of up to so many bytes are copied to `out`: binding the buffer would take longer."""

_FINITE = float(np.finfo(np.float32).max)


class Runner(Protocol):
    """Runs a graph: a `Session` or a `CudaGraphRunner`."""

    def values(self, inputs: Mapping[str, Array], outputs: list[str]) -> list[Array]: ...

    def run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None: ...


class PartRunner:
    """Runs one variant of a part on any number of rows.

    Args:
        part: its name, for messages.
        variant: its entry in the manifest.
        runner: runs its graph.
        max_batch: returns the most rows per run of the graph; called when first needed.
    """

    def __init__(
        self, part: str, variant: Variant, runner: Runner, max_batch: Callable[[], int]
    ) -> None:
        self._part, self._variant, self._runner = part, variant, runner
        self._specs = {spec.name: spec for spec in any_batch(variant)}
        self._outputs = {spec.name: spec for spec in variant.outputs}
        self._fixed = batch_of(variant) is not None
        self._find_max_batch, self._max_batch = max_batch, 0
        self._direct = 0 if self._fixed else _DIRECT
        spec = variant.inputs[0]
        self._input, self._dtype, self._row = spec.name, np.dtype(spec.dtype), spec.shape[1:]
        self._axes = len(spec.shape)
        self._low, self._high = spec.range or (-_FINITE, _FINITE)
        self._others = [spec.name for spec in variant.inputs[1:]]
        self._names = [spec.name for spec in variant.outputs]

    def output(self, value: Any, out: Array | None = None, name: str = "") -> Array:
        """One output of a part with one input.

        Args:
            value: see `check_input`.
            out: array to write to and return; None for a new one.
            name: of the output; "" for the first.

        Raises:
            InputError: `value` or `out` has the wrong dtype, shape or values.
            DeviceMemoryError: there is not enough memory.
        """
        try:
            return self._one(value, out, name or self._names[0])
        except MemoryError as error:  # numpy could not allocate the arrays of all rows
            raise self._too_large(error) from error

    def _one(self, value: Any, out: Array | None, name: str) -> Array:
        value = self._prepared(value)
        if out is not None:
            check_output(self._part, self._outputs[name], len(value), value, out)
            if out.nbytes > _COPIED:
                return self._in_batches({self._input: value}, {name: out})[name]
            out[...] = self._run(len(value), {self._input: value}, [name])[0]
            return out
        return self._run(len(value), {self._input: value}, [name])[0]

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """All outputs by name, for all inputs by name.

        Raises:
            InputError: an input is missing, unknown, or has the wrong dtype, shape or values.
            DeviceMemoryError: there is not enough memory.
        """
        try:
            return self._all(inputs)
        except MemoryError as error:
            raise self._too_large(error) from error

    def _too_large(self, error: MemoryError) -> DeviceMemoryError:
        return DeviceMemoryError(
            f"{self._part}: the arrays of all rows do not fit in memory ({error}): give fewer rows "
            "at once, or use aeonnx.runtime.stream"
        )

    def _all(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        if inputs.keys() != self._specs.keys():
            expected, got = sorted(self._specs), sorted(inputs)
            raise InputError(f"{self._part}: expected inputs {expected}, got {got}")
        checked = {self._input: self._prepared(inputs[self._input])}
        for name in self._others:
            checked[name] = check_input(self._part, self._specs[name], inputs[name])
        rows = self._rows(checked) if self._others else len(checked[self._input])
        found = self._run(rows, checked, self._names)
        return dict(zip(self._names, found, strict=True))

    def _rows(self, inputs: Mapping[str, Array]) -> int:
        """Number of rows, which must be equal in all inputs with a batch axis."""
        rows = {
            name: len(inputs[name]) for name, spec in self._specs.items() if spec.shape[0] == BATCH
        }
        if len(set(rows.values())) > 1:
            raise InputError(f"{self._part}: expected as many rows in every input, got {rows}")
        return next(iter(rows.values()))

    def _prepared(self, value: Any) -> Array:
        """The first input, checked and converted for the graph."""
        if self._is_ready(value):
            return cast(Array, value)
        return check_input(self._part, self._specs[self._input], value)

    def _is_ready(self, value: Any) -> bool:
        """Whether the input needs no conversion: a fast path around `check_input`."""
        return (
            type(value) is np.ndarray
            and value.dtype == self._dtype
            and value.ndim == self._axes
            and value.shape[1:] == self._row
            and value.flags.c_contiguous
            and len(value) > 0
            # argmin and argmax find NaN, which compares as false; far cheaper than min and max.
            and self._low <= value.item(value.argmin())
            and value.item(value.argmax()) <= self._high
        )

    def _run(self, rows: int, inputs: Mapping[str, Array], names: list[str]) -> list[Array]:
        if rows <= self._direct:
            try:
                return self._runner.values(inputs, names)
            except DeviceMemoryError:
                self._shrink(rows)
        outputs = self._in_batches(inputs, {name: self._empty(rows, name) for name in names})
        return list(outputs.values())

    def _in_batches(
        self, inputs: Mapping[str, Array], outputs: dict[str, Array]
    ) -> dict[str, Array]:
        if self._fixed:
            found = any_rows(self._variant, self._by_name)(inputs)
            for name, buffer in outputs.items():
                buffer[...] = found[name]
            return outputs
        rows, start = rows_in(self._variant, inputs), 0
        while start < rows:
            batch = slice(start, min(start + self._size(rows), rows))
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

    def _empty(self, rows: int, name: str) -> Array:
        spec = self._outputs[name]
        return np.empty((rows, *(int(size) for size in spec.shape[1:])), spec.dtype)
