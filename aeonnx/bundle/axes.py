"""Named axes of tensors, and sizes that follow them: "height", "height/8", "320*frames"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aeonnx._util.serde import require

__all__ = [
    "BATCH",
    "Axis",
    "ScaledAxis",
    "Shape",
    "axes_of",
    "is_size",
    "nearest",
    "scaled",
    "shape_at",
    "solve",
]

BATCH = "batch"
"""Name of the axis of rows: the first axis of a tensor, where it is dynamic."""

Shape = tuple[int | str, ...]
"""Sizes of a tensor, each a number or a text that `scaled` reads."""

_MOST = 2**53 - 1
"""Largest number of a size: JavaScript computes with it exactly."""
_SCALED = re.compile(r"(?:([1-9][0-9]{0,8})\*)?([a-z][a-z0-9_]*)(?:/([1-9][0-9]{0,8}))?")


@dataclass(frozen=True)
class ScaledAxis:
    """A size that follows an axis: factor * axis / divisor; one of the two numbers is 1."""

    axis: str
    factor: int = 1
    divisor: int = 1

    def at(self, size: int) -> int:
        """The size of the tensor where the axis has `size`, a multiple of `divisor`."""
        return self.factor * size // self.divisor

    def solve(self, size: int) -> int | None:
        """The size of the axis where the tensor has `size`; None if there is none."""
        return None if size % self.factor else size // self.factor * self.divisor


@dataclass(frozen=True)
class Axis:
    """Which sizes a dynamic axis may have.

    Args:
        multiple: every size is a multiple of it.
        min: smallest size, a multiple.
        max: largest size, a multiple; None if there is no limit.
        margin: how many places of this axis to either side of a place can change the part's
            outputs there; None if any place can. Measured when the part is exported.
    """

    multiple: int = 1
    min: int = 1
    max: int | None = None
    margin: int | None = None

    def __post_init__(self) -> None:
        require(0 < self.multiple <= _MOST, f"multiple: expected 1 or more, got {self.multiple}")
        for name, size in (("min", self.min), ("max", self.max)):
            good = size is None or (0 < size <= _MOST and size % self.multiple == 0)
            require(good, f"{name}: expected a multiple of {self.multiple} above 0, got {size}")
        require(
            self.max is None or self.min <= self.max,
            f"max: expected at least min, {self.min}, got {self.max}",
        )
        require(
            self.margin is None or 0 <= self.margin <= _MOST,
            f"margin: expected 0 or more, got {self.margin}",
        )

    def allows(self, size: int) -> bool:
        """Whether the axis may have this size."""
        return size % self.multiple == 0 and self.min <= size <= (self.max or _MOST)


def scaled(size: int | str) -> ScaledAxis | None:
    """The axis that a size follows, such as "batch", "height/8" or "320*frames".

    Returns:
        None for a number, or a text that is no such size.
    """
    found = _SCALED.fullmatch(size) if isinstance(size, str) else None
    if not found or (found[1] and found[3]):
        return None
    return ScaledAxis(found[2], int(found[1] or 1), int(found[3] or 1))


def is_size(size: object, place: int) -> bool:
    """Whether a size can stand at this place of a shape.

    "batch", the axis of rows, stands first and nowhere else; no other axis stands first.
    """
    if isinstance(size, str):
        axis = scaled(size)
        return (
            axis is not None
            and (size == BATCH) == (place == 0)
            and (size == BATCH or axis.axis != BATCH)
        )
    return isinstance(size, int) and not isinstance(size, bool) and 0 < size <= _MOST


def axes_of(shapes: Sequence[Shape]) -> Iterator[ScaledAxis]:
    """The sizes in shapes that follow axes, in order."""
    for shape in shapes:
        for size in shape:
            axis = scaled(size)
            if axis:
                yield axis


def shape_at(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """A shape where its axes have these sizes."""
    return tuple(_at(size, sizes) for size in shape)


def _at(size: int | str, sizes: Mapping[str, int]) -> int:
    axis = scaled(size)
    return axis.at(sizes[axis.axis]) if axis else int(size)


def solve(
    shapes: Mapping[str, tuple[Shape, tuple[int, ...]]], axes: Mapping[str, Axis]
) -> dict[str, int]:
    """The sizes of all axes, from tensors that have them.

    Args:
        shapes: (shape as declared, shape of the array) by tensor name; they have as many sizes,
            and the same numbers where the declared size is a number.
        axes: which sizes each axis may have.

    Raises:
        ValueError: names the axis, the sizes, and the rule that they break.
    """
    found: dict[str, tuple[int, str]] = {}
    for name, (declared, real) in shapes.items():
        for size, given in zip(declared, real, strict=True):
            axis = scaled(size)
            if axis is None:
                continue
            there = axis.solve(given)
            if there is None:
                raise ValueError(
                    f"{name}: expected a multiple of {axis.factor} for {size}, got {given}"
                )
            before, who = found.setdefault(axis.axis, (there, name))
            if before != there:
                raise ValueError(
                    f"{axis.axis}: expected one size in all inputs, got {before} in {who} and "
                    f"{there} in {name}"
                )
    for name, (size, who) in found.items():
        if not axes[name].allows(size):
            raise ValueError(
                f"{who}: {name}: expected {_rule(axes[name])}, got {size}: "
                f"the nearest is {nearest(axes[name], size)}"
            )
    return {name: size for name, (size, _) in found.items()}


def _rule(axis: Axis) -> str:
    what = f"a multiple of {axis.multiple}" if axis.multiple > 1 else "a size"
    if axis.max is None:
        return f"{what} of at least {axis.min}"
    return f"{what} from {axis.min} to {axis.max}"


def nearest(axis: Axis, size: int) -> int:
    """The size nearest to `size` that an axis may have; of two, the larger."""
    whole = (size + axis.multiple // 2) // axis.multiple * axis.multiple
    least = max(whole, axis.min)
    return least if axis.max is None else min(least, axis.max)
