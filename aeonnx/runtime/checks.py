"""Refusing arrays that a part cannot take, before they reach the graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from aeonnx.errors import InputError
from aeonnx.manifest import TensorSpec
from aeonnx.pixels import from_pixels
from aeonnx.runtime.session import Array

__all__ = ["check_input", "check_output"]


def check_input(part: str, spec: TensorSpec, value: Any) -> Array:
    """The array as the graph takes it: right dtype, C-contiguous, values in range.

    Args:
        part: name of the part, for the message.
        spec: what the part takes.
        value: an array of the spec's dtype, in any byte order and layout; uint8 pixels also do
            where [0, 1] is expected, and are divided by 255.

    Raises:
        InputError: says what was expected, what came and what to do.
    """
    where = f"{part}: {spec.name}: expected {_describe(spec)}"
    if not isinstance(value, np.ndarray):
        kind = type(value).__name__
        raise InputError(f"{where}, got a {kind}: make it one with numpy.asarray(...)")
    if value.dtype == np.uint8 and spec.dtype == "float32" and spec.range == (0.0, 1.0):
        value = from_pixels(value)
    _check_shape(where, spec, value)
    if value.dtype.newbyteorder("=") != np.dtype(spec.dtype):
        raise InputError(f"{where}, got {value.dtype}: convert it with .astype(numpy.{spec.dtype})")
    _check_values(where, spec, value)
    return np.ascontiguousarray(value, spec.dtype)


def check_output(part: str, spec: TensorSpec, rows: int, value: Array, out: Any) -> None:
    """Refuse a buffer that a part's output cannot be written to.

    Args:
        part: name of the part, for the message.
        spec: what the part gives.
        rows: how many it will give.
        value: what goes in, which must not be written over.
        out: a C-contiguous, writable array of the spec's dtype and shape.

    Raises:
        InputError: says what was expected, what came and what to do.
    """
    shape = (rows, *spec.shape[1:])
    where = f"{part}: out: expected {spec.dtype} {list(shape)}"
    if not isinstance(out, np.ndarray):
        raise InputError(f"{where}, got a {type(out).__name__}: make it one with numpy.empty(...)")
    if out.dtype != np.dtype(spec.dtype) or out.shape != shape:
        raise InputError(f"{where}, got {out.dtype} {list(out.shape)}")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise InputError(f"{where}, C-contiguous and writable: make one with numpy.empty(...)")
    if np.may_share_memory(value, out):
        raise InputError(f"{where} beside the input, got the input's own memory: give another")


def _describe(spec: TensorSpec) -> str:
    shape = ", ".join(str(size) for size in spec.shape)
    return f"{spec.dtype} [{shape}]"


def _check_shape(where: str, spec: TensorSpec, value: Array) -> None:
    got = f"got {value.dtype} {list(value.shape)}"
    if value.ndim != len(spec.shape):
        hint = "one row needs its batch axis too: value[None]"
        raise InputError(f"{where}, {got}: {len(spec.shape)} axes, not {value.ndim} ({hint})")
    for axis, (size, expected) in enumerate(zip(value.shape, spec.shape, strict=True)):
        if isinstance(expected, int) and size != expected:
            raise InputError(f"{where}, {got}: axis {axis} must have size {expected}, not {size}")
        if size == 0:
            raise InputError(f"{where}, {got}: give at least one row")


def _check_values(where: str, spec: TensorSpec, value: Array) -> None:
    # NaN makes both extremes NaN, so that two passes tell everything.
    lowest, highest = float(value.min()), float(value.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise InputError(f"{where}, got NaN or infinite values: remove them first")
    if spec.range and (lowest < spec.range[0] or highest > spec.range[1]):
        hint = "divide pixels by 255, or pass them as uint8" if spec.range == (0.0, 1.0) else "clip"
        raise InputError(
            f"{where} in [{spec.range[0]:g}, {spec.range[1]:g}], "
            f"got values from {lowest:g} to {highest:g}: {hint}"
        )
