"""The sizes of a latent in a graph, computed from a canvas of the size of the images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from aeonnx.bundle import scaled
from aeonnx.runtime.session import Array

__all__ = ["sizes_of_canvas"]


def sizes_of_canvas(
    latent: Sequence[int | str], image: Sequence[int | str], canvas: str, words: int
) -> tuple[list[str], dict[str, Array]]:
    """Nodes that compute what the size of a latent decides.

    They make `block` uint64 [1, blocks], the numbers of the blocks of random words; `to` int64 [1],
    the number of values; and `shape` int64, that of the latent with 0 for its rows.

    Args:
        latent: sizes of the latent without that of rows, such as (4, "height/8", "width/8").
        image: sizes of the image without rows and channels, which have every axis of the latent,
            such as ("height", "width").
        canvas: name of the input, [batch, *image].
        words: random words in a block.

    Returns:
        Lines in ONNX's text format, and constants by name.
    """
    lines = [f"sizes_there = Shape ({canvas})"]
    constants: dict[str, Array] = {
        "no_rows": np.array([0]),
        "first_block": np.array(0),
        "one_block": np.array(1),
        "words": np.array([words]),
        "words_less_1": np.array([words - 1]),
        "first_axis": np.array([0]),
    }
    places: dict[str, str] = {}
    for place, size in enumerate(image, start=1):
        axis = scaled(size)
        if axis and axis.axis not in places:
            constants[f"place_{place}"] = np.array([place])
            constants[f"after_{place}"] = np.array([place + 1])
            lines.append(
                f"size_{place} = Slice (sizes_there, place_{place}, after_{place}, first_axis)"
            )
            places[axis.axis] = _times(
                f"size_{place}", axis.divisor, axis.factor, f"axis_{place}", lines, constants
            )
    found = []
    for place, size in enumerate(latent):
        axis, name = scaled(size), f"latent_{place}"
        if axis:
            name = _times(places[axis.axis], axis.factor, axis.divisor, name, lines, constants)
        else:
            constants[name] = np.array([int(size)])
        found.append(name)
    lines.append(f"shape = Concat <axis = 0> ({', '.join(('no_rows', *found))})")
    count = found[0]
    for place, name in enumerate(found[1:], start=1):
        lines.append(f"count_{place} = Mul ({count}, {name})")
        count = f"count_{place}"
    lines += [
        f"to = Identity ({count})",
        "more_words = Add (to, words_less_1)",
        "all_blocks = Div (more_words, words)",
        "blocks = Squeeze (all_blocks)",
        "numbered = Range (first_block, blocks, one_block)",
        "in_a_row = Unsqueeze (numbered, first_axis)",
        f"block = Cast <to = {TensorProto.UINT64}> (in_a_row)",
    ]
    return lines, constants


def _times(
    name: str,
    factor: int,
    divisor: int,
    result: str,
    lines: list[str],
    constants: dict[str, Array],
) -> str:
    """Add nodes for name * factor / divisor, of which one is 1; returns the result's name."""
    if factor == divisor:
        return name
    operator, number = ("Mul", factor) if divisor == 1 else ("Div", divisor)
    constants[f"{result}_by"] = np.array([number])
    lines.append(f"{result} = {operator} ({name}, {result}_by)")
    return result
