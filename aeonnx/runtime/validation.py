"""Checks arrays before they reach the graph of a part."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.errors import InputError
from aeonnx.io.pixels import UNIT, from_pixels
from aeonnx.runtime.array_like import as_array, takes_pixels
from aeonnx.runtime.interface import fits
from aeonnx.runtime.session import Array

__all__ = [
    "check_input",
    "check_output",
    "given_by",
    "input_array",
    "require_names",
    "require_same_sizes",
    "require_some_value",
]

_FLOATS = (np.dtype(np.float16), np.dtype(np.float64))
"""Dtypes that are rounded to float32."""
_NUMBERED = {
    "codes": "take the codes that the encoder of this bundle makes",
    "label": "give the numbers of classes, from 0 on",
}
"""What to do about numbers that name nothing, by the kind of the input."""


def check_input(part: str, spec: TensorSpec, value: Any, *, limited: bool = True) -> Array:
    """Check an input and convert it for the graph: the spec's dtype, C-contiguous, in range.

    Args:
        part: name of the part, for the message.
        spec: expected input.
        value: an array, or what `as_array` makes one of, of the spec's shape and dtype, in any byte
            order and layout. For float32, float16 and float64 are accepted too and rounded. For
            images with a range, uint8 pixels are accepted too: 0 is the lowest value of the range
            and 255 the highest.
        limited: whether floats outside of the range are refused; whole numbers always are.

    Raises:
        InputError: wrong type, dtype, shape or values; the message says what to do.
    """
    where = _expected(part, spec)
    value = as_array(where, spec, value)
    _check_shape(where, spec, value)
    dtype = value.dtype.newbyteorder("=")
    if dtype == np.uint8 and spec.range and takes_pixels(spec):
        return from_pixels(np.ascontiguousarray(value), spec.range)
    if dtype != np.dtype(spec.dtype) and not (spec.dtype == "float32" and dtype in _FLOATS):
        raise InputError(f"{where}, got {value.dtype}: {_conversion(spec, dtype)}")
    with np.errstate(over="ignore", invalid="ignore"):  # values too large become infinite
        ready = np.ascontiguousarray(value, spec.dtype)
    free = not limited and ready.dtype.kind == "f"
    _check_values(where, replace(spec, range=None) if free else spec, ready)
    return ready


def require_some_value(part: str, spec: TensorSpec, value: Array) -> None:
    """Check that no row consists of missing values alone: of such a row, nothing can be told.

    Args:
        part: name of the part, for the message.
        spec: an input whose values may be missing.
        value: rows [n, ...].

    Raises:
        InputError: a row does; the message names it.
    """
    if value.dtype.kind != "f" or value.ndim < 2:
        return  # refused where the input is checked, or nothing is missing
    empty = np.isnan(value).reshape(len(value), -1).all(1)
    if empty.any():
        raise InputError(
            f"{_expected(part, spec)}, got no value in row {int(empty.argmax())}, where all are "
            "missing: remove it"
        )


def require_names(part: str, names: Sequence[str], given: Iterable[str]) -> None:
    """Check that exactly the inputs of a part are given.

    Args:
        part: name of the part, for the message.
        names: of its inputs.
        given: the names that are given.

    Raises:
        InputError: one is missing or unknown; the message says how to give those that are missing.
    """
    got = sorted(given)
    missing = [name for name in names if name not in got]
    unknown = [name for name in got if name not in names]
    if not missing and not unknown:
        return
    todo = []
    if unknown:
        todo.append(f"leave out {', '.join(unknown)}, which it does not have")
    if missing:
        how = ""
        if names[0] not in missing:  # the first is the argument of the verb
            options = " ".join(map(given_by, missing))
            how = f", with {options}, in Python with the keyword {', '.join(missing)}"
        todo.append(f"give {', '.join(missing)} too{how}")
    raise InputError(f"{part}: expected inputs {sorted(names)}, got {got}: {', and '.join(todo)}")


def given_by(name: str) -> str:
    """How a command is given a further input."""
    if name == "label":
        return "--label CLASS"
    return f"--input {name}=NUMBER or --input {name}=FILE"


def require_same_sizes(
    part: str, first: TensorSpec, given: Array, spec: TensorSpec, value: Array
) -> None:
    """Check that a further input has the size of the first, where both have the same axis.

    Padding would hide that it has not.

    Raises:
        InputError: it has another.
    """
    if not (fits(first, given) and fits(spec, value)):
        return  # refused where the input is checked
    sizes = dict(zip(first.shape[1:], given.shape[1:], strict=True))
    for size, got in zip(spec.shape[1:], value.shape[1:], strict=True):
        if isinstance(size, str) and sizes.get(size, got) != got:
            raise InputError(
                f"{part}: {size}: expected one size in all inputs, got {sizes[size]} in "
                f"{first.name} and {got} in {spec.name}"
            )


def input_array(part: str, spec: TensorSpec, value: Any) -> Array:
    """An input as a numpy array, see `as_array`; its dtype, shape and values are not checked."""
    return as_array(_expected(part, spec), spec, value)


def check_output(
    part: str, spec: TensorSpec, shape: tuple[int, ...], value: Array, out: Any
) -> None:
    """Check a buffer for a part's output.

    Args:
        part: name of the part, for the message.
        spec: the output.
        shape: its shape for these inputs.
        value: the input, which must not share memory with `out`.
        out: a C-contiguous, writable array of the spec's dtype and shape.

    Raises:
        InputError: `out` does not fit; the message says what to do.
    """
    misfit = _misfit(spec, shape, value, out)
    if misfit is not None:  # a text takes longer than a small graph
        raise InputError(f"{part}: out: expected {spec.dtype} {list(shape)}{misfit}")


def _misfit(spec: TensorSpec, shape: tuple[int, ...], value: Array, out: Any) -> str | None:
    """Why a buffer does not fit and what to do; None if it does."""
    if not isinstance(out, np.ndarray):
        return f", got a {type(out).__name__}: make it one with numpy.empty(...)"
    if out.dtype != np.dtype(spec.dtype) or out.shape != shape:
        return f", got {out.dtype} {list(out.shape)}"
    if not (out.flags.c_contiguous and out.flags.writeable):
        return ", C-contiguous and writable: make one with numpy.empty(...)"
    if np.may_share_memory(value, out):
        return " apart from the input, got the input's own memory: pass another array"
    return None


def _expected(part: str, spec: TensorSpec) -> str:
    return f"{part}: {spec.name}: expected {_describe(spec)}"


def _describe(spec: TensorSpec) -> str:
    shape = ", ".join(str(size) for size in spec.shape)
    return f"{spec.dtype} [{shape}]"


def _conversion(spec: TensorSpec, dtype: np.dtype[Any]) -> str:
    """How to make an array of another dtype one of the spec's."""
    if dtype.kind == "c":
        return (
            "complex numbers are not supported: pass .real, or the real and imaginary parts "
            "separately"
        )
    if dtype.kind not in "biuf":
        return "its elements are not numbers: pass an array of numbers"
    if dtype == np.uint8 and spec.kind == "image" and spec.range is None:
        return (
            "the model does not say which range its images have: pass floats that are normalised "
            "as it expects"
        )
    if dtype.kind in "iu" and takes_pixels(spec):
        if dtype == np.uint16 and spec.range == UNIT:
            return "divide 16-bit pixels by 65535"
        return "pass pixels of 0 to 255 as uint8, with .astype(numpy.uint8)"
    return f"convert it with .astype(numpy.{spec.dtype})"


def _check_shape(where: str, spec: TensorSpec, value: Array) -> None:
    got = f"got {value.dtype} {list(value.shape)}"
    if value.ndim != len(spec.shape):
        axes = f"{len(spec.shape)} axes, not {value.ndim}"
        raise InputError(f"{where}, {got}: {axes}{_reshaping(spec, value)}")
    for axis, (size, expected) in enumerate(zip(value.shape, spec.shape, strict=True)):
        if isinstance(expected, int) and size != expected:
            hint = _turning(spec, value)
            raise InputError(
                f"{where}, {got}: axis {axis} must have size {expected}, not {size}{hint}"
            )
        if size == 0:
            raise InputError(f"{where}, {got}: give at least one row")


def _turning(spec: TensorSpec, value: Array) -> str:
    """How to put the channels before the places, if they are on the last axis."""
    if value.ndim > 2 and fits(spec, np.moveaxis(value, -1, 1)):
        return " (the last axis has the channels, transpose it: numpy.moveaxis(value, -1, 1))"
    return ""


def _reshaping(spec: TensorSpec, value: Array) -> str:
    """How to reshape an array with other axes, if there is one obvious way."""
    if value.ndim == len(spec.shape) - 1 and all(
        isinstance(size, str) or size == given
        for size, given in zip(spec.shape[1:], value.shape, strict=True)
    ):
        return " (one row needs its batch axis too: value[None])"
    if value.ndim > 1 and fits(spec, np.moveaxis(value, -1, 0)[None]):
        return (
            " (the last axis has the channels, transpose it, and one row needs its batch axis too: "
            "numpy.moveaxis(value, -1, 0)[None])"
        )
    if any(isinstance(size, str) for size in spec.shape[1:]):
        return ""
    row = tuple(int(size) for size in spec.shape[1:])
    if spec.names and len(row) == value.ndim == 2 and value.shape[1] == row[0]:
        return (
            " (it is a series, make windows of it: "
            f"numpy.lib.stride_tricks.sliding_window_view(value, {row[1]}, 0)[::{row[1]}])"
        )
    if value.ndim > 1 and value[0].size == math.prod(row):
        return f" (reshape it: value.reshape({', '.join(map(str, (-1, *row)))}))"
    return ""


def _check_values(where: str, spec: TensorSpec, value: Array) -> None:
    # NaN makes both extremes NaN, so two passes suffice.
    lowest, highest = value.min(), value.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        _check_missing(where, spec, value)
        there = value[~np.isnan(value)]
        if not there.size:
            return
        lowest, highest = there.min(), there.max()
    if spec.kind in _NUMBERED and not spec.range and lowest < 0:
        # A graph would count from the end, and nobody would notice.
        raise InputError(
            f"{where} of 0 or more, got {_exact(lowest)}: {_scaling(spec, float(lowest), 0.0)}"
        )
    if (
        spec.range
        and (lowest < spec.range[0] or highest > spec.range[1])
        and not _within(lowest, highest, spec.range)  # microseconds count
    ):
        low, high = spec.range
        raise InputError(
            f"{where} in [{low:g}, {high:g}], got values from {_exact(lowest)} to "
            f"{_exact(highest)}: {_scaling(spec, float(lowest), float(highest))}"
        )


def _within(lowest: Any, highest: Any, bounds: tuple[float, float]) -> bool:
    """Whether values are in a range, whose ends are as exact as the values: 0.1 of float32."""
    low, high = bounds
    if lowest.dtype.kind == "f":
        with np.errstate(over="ignore"):
            low, high = np.array(bounds, lowest.dtype)
    return bool(low <= lowest and highest <= high)


def _check_missing(where: str, spec: TensorSpec, value: Array) -> None:
    """Check values some of which are not finite: NaN may stand for a missing one."""
    wrong = np.isinf(value) if spec.missing else ~np.isfinite(value)
    if wrong.any():
        if not spec.names:
            row = int(np.argwhere(wrong)[0][0])
            raise InputError(f"{where}, got NaN or infinite values in row {row}: remove them first")
        row, column, *_ = np.argwhere(wrong)[0]
        got = value[tuple(np.argwhere(wrong)[0])]
        todo = "NaN stands for a missing value" if spec.missing else "remove the row"
        if np.isnan(got):
            todo += ", or train with --missing impute, so that missing values are filled in"
        raise InputError(
            f"{where}, finite, got {got:g} in column {spec.names[column]} of row {row}: {todo}"
        )


def _exact(value: Any) -> str:
    """With enough digits to tell neighbouring float32 values apart."""
    return f"{value:.9g}" if isinstance(value, np.floating) else str(value)


def _scaling(spec: TensorSpec, lowest: float, highest: float) -> str:
    """How to bring values into the range, guessed from their extremes."""
    if spec.kind in _NUMBERED:
        return _NUMBERED[spec.kind]
    if spec.range == UNIT and lowest >= 0 and 2 < highest <= 255:
        return "divide pixels by 255, or pass them as uint8"
    if spec.range == UNIT and -1 <= lowest < -0.1 and highest <= 1:
        return "shift them with (value + 1) / 2"
    return "scale them, or clip them with numpy.clip"
