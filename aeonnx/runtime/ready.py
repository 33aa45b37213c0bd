"""Tell quickly whether an input needs no conversion."""

from __future__ import annotations

from typing import Any

import numpy as np

from aeonnx.bundle import TensorSpec

__all__ = ["IsReady"]

_FINITE = float(np.finfo(np.float32).max)


class IsReady:
    """Whether an array is what a graph takes: a fast path around `check_input`.

    Args:
        spec: of the input; an axis with a name may have any size above 0.
        limited: whether floats outside of the range are not ready.
    """

    def __init__(self, spec: TensorSpec, *, limited: bool = True) -> None:
        self._dtype, self._axes = np.dtype(spec.dtype), len(spec.shape)
        sizes = {place: size for place, size in enumerate(spec.shape) if isinstance(size, int)}
        self._sizes = tuple(sizes.items())
        # Of an input of one size: comparing tuples is faster.
        self._row = spec.shape[1:] if [*sizes] == [*range(1, self._axes)] else None
        most = _FINITE if self._dtype.kind == "f" else float("inf")
        bounded = limited or self._dtype.kind != "f"
        self._low, self._high = (spec.range if bounded else None) or (-most, most)

    def __call__(self, value: Any) -> bool:
        """Whether `value` needs no conversion; False says nothing about its being right."""
        return (
            type(value) is np.ndarray
            and value.dtype == self._dtype
            and value.ndim == self._axes
            and (value.shape[1:] == self._row if self._row is not None else self._fits(value.shape))
            and value.flags.c_contiguous
            and value.size > 0
            # argmin and argmax find NaN, which compares as false; far cheaper than min and max.
            and self._low <= value.item(value.argmin())
            and value.item(value.argmax()) <= self._high
        )

    def _fits(self, shape: tuple[int, ...]) -> bool:
        return all(shape[place] == size for place, size in self._sizes)
