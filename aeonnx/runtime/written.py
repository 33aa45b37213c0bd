"""What the file commands wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aeonnx.bundle import TensorSpec
from aeonnx.io.formats import Target

__all__ = ["Written", "common_shape", "left_out_of"]


@dataclass(frozen=True)
class Written:
    """What was written.

    Args:
        target: path, or "stdout".
        dtype, shape: of the array of all rows, before encoding as pictures. An axis on which rows
            have several sizes is None.
        left_out: a line for each source folder of which files or folders were not read, and one
            about results that were not written.
        skipped: error message of each unreadable picture that was skipped.
    """

    target: str
    dtype: str
    shape: tuple[int | None, ...]
    left_out: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def left_out_of(to: Target, first: TensorSpec, more: Sequence[str]) -> list[str]:
    """A line about the outputs that a .npy has no place for, and the decoder takes."""
    if to.form != "npy" or not more:
        return []
    return [
        f"{to} has {first.name} alone: the decoder takes {' and '.join(more)} too, which a name "
        "that ends in .npz keeps"
    ]


def common_shape(shapes: Sequence[Sequence[int | None]]) -> tuple[int | None, ...]:
    """The sizes that all shapes share, which have as many axes; None where they differ."""
    return tuple(sizes[0] if len({*sizes}) == 1 else None for sizes in zip(*shapes, strict=True))
