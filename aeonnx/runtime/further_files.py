"""Opens the files of further inputs of a verb: one row for all, or one for each row it runs on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.errors import ImageError, UsageError
from aeonnx.io.readers import Reading, open_images
from aeonnx.io.rows import Rows, open_latents
from aeonnx.io.source import Batches, Source
from aeonnx.runtime.array_like import takes_pixels
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.file_rows import sizes
from aeonnx.runtime.session import Array
from aeonnx.runtime.verbs import PARTS, steps_of

__all__ = ["Further", "numbers_in", "with_further"]

Further = Mapping[str, float | str]
"""A number for each further input, or the name of a file."""

_IMAGE_AXES = 4


def numbers_in(what: str, others: Further) -> dict[str, float]:
    """Further inputs that can only be numbers.

    Args:
        what: runs on them, for messages.
        others: the inputs.

    Raises:
        UsageError: a file is given.
    """
    for name, value in others.items():
        if isinstance(value, str):
            raise UsageError(
                f"--input {name}={value}: expected a number, {what} takes no files for its "
                f"further inputs: give --input {name}=NUMBER"
            )
    return {name: value for name, value in others.items() if not isinstance(value, str)}


def with_further(
    bundle: Bundle, verb: str, rows: Source, others: Further, reading: Reading
) -> tuple[Source, dict[str, float]]:
    """Rows with those of further inputs from files, and the numbers for all other inputs.

    Args:
        bundle: the bundle.
        verb: which of its verbs runs.
        rows: what it runs on.
        others: the further inputs. Pictures, and folders of them, are read for inputs that take
            pixels, and arrays for all inputs.
        reading: how pictures are read.

    Raises:
        ImageError: a file is missing, does not fit its input, or has another number of rows.
    """
    names = {name: value for name, value in others.items() if isinstance(value, str)}
    numbers = {name: value for name, value in others.items() if not isinstance(value, str)}
    found: dict[str, Batches] = {}
    for name, path in names.items():
        spec = _spec(bundle, verb, name)
        if spec is None:
            bundle.require(verb, (*others, *rows.others))  # says which there are
            continue
        opened = _opened(spec, path, reading)
        count, wanted = len(opened.names), len(rows.names)
        if count not in (1, wanted):
            each = f" or {wanted}, one for each that {verb} runs on" if wanted > 1 else ""
            raise ImageError(f"--input {name}={path}: expected 1 row{each}, got {count}")
        found[name] = opened.batches if count == wanted else _repeated(opened.batches)
    return replace(rows, others={**rows.others, **found}), numbers


def _spec(bundle: Bundle, verb: str, name: str) -> TensorSpec | None:
    specs = (
        spec for step in steps_of(bundle.manifest, verb) for spec in bundle.inputs(PARTS[step])[1:]
    )
    return next((spec for spec in specs if spec.name == name), None)


def _opened(spec: TensorSpec, path: Path | str, reading: Reading) -> Source:
    is_image = spec.kind == "image" or takes_pixels(spec)
    if is_image and spec.dtype == "float32" and len(spec.shape) == _IMAGE_AXES:
        how = replace(reading, bounds=spec.range, skip_bad=False, keeps_alpha=False)
        return open_images([path], sizes(spec), how)
    return open_latents(path, Rows(spec.name, sizes(spec), spec.dtype, spec.name), way="")


def _repeated(batches: Batches) -> Batches:
    """One row, as often as it is asked for."""

    def again(size: int) -> Iterator[Array]:
        (row,) = batches(1)
        while True:
            yield np.broadcast_to(row, (size, *row.shape[1:]))

    return again
