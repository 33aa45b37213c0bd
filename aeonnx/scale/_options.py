"""Options of bulk jobs, and what they came to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar, cast

from aeonnx._util.arguments import flag_of, number_of
from aeonnx.errors import InputError, UnknownNameError, UsageError
from aeonnx.io.pictures import Treatment, colour_of
from aeonnx.io.readers import Reading
from aeonnx.runtime.settings import whole
from aeonnx.runtime.writing import Advanced

__all__ = [
    "OF_ALL",
    "OF_FILES",
    "FileOptions",
    "Options",
    "Result",
    "as_texts",
    "checked",
    "reading_of",
]

Given = TypeVar("Given", bound="Options")


class Options(TypedDict, total=False):
    """How a bulk job runs.

    Args:
        workers: number of processes that run the bundle; None for as many as the cluster has cores
            or GPUs for.
        cpus: cores of each worker, 1 by default.
        gpus: GPUs of each worker, such as 1 or 0.5; 0, the default, runs on CPUs everywhere.
        precision: "fp32", "fp16" or "int8", if exported.
        inputs: a number for each further input of the part, such as {"label": 3}.
        rows_per_shard: most images or rows that a worker does at once and that are done again
            after a failure; None for 256 pictures, 65,536 rows of columns, 1,024 generated images.
        force: replace results of another bundle, of other options or of inputs that changed.
        advanced: progress callback: (rows done, rows in total).
    """

    workers: int | None
    cpus: int
    gpus: float
    precision: str
    inputs: Mapping[str, float]
    rows_per_shard: int | None
    force: bool
    advanced: Advanced | None


class FileOptions(Options, total=False):
    """How a bulk job runs, and reads files.

    Args:
        recursive: read folders at any depth.
        skip_bad: skip pictures and rows that cannot be used, and name them in the result.
        resize: "fit", "crop" or "stretch" pictures of another size; None to refuse them.
        background: color behind transparent pixels, such as "white"; None to refuse them where the
            model takes none.
        step: rows from one window of a time series to the next; None for the length of a window.
        column: of pictures in .parquet files, "image" by default.
    """

    recursive: bool
    skip_bad: bool
    resize: str | None
    background: str | None
    step: int | None
    column: str


OF_ALL: Options = {
    "workers": None,
    "cpus": 1,
    "gpus": 0,
    "precision": "fp32",
    "inputs": {},
    "rows_per_shard": None,
    "force": False,
    "advanced": None,
}
OF_FILES: FileOptions = {
    **OF_ALL,
    "recursive": False,
    "skip_bad": False,
    "resize": None,
    "background": None,
    "step": None,
    "column": "image",
}


@dataclass(frozen=True)
class Result:
    """What a bulk job came to.

    Args:
        folder: of the results.
        rows: images, rows or windows with a result.
        shards: number of shards.
        computed: how many of them this call computed; the others were complete.
        skipped: error message of each picture or row that was skipped.
    """

    folder: Path
    rows: int
    shards: int
    computed: int
    skipped: tuple[str, ...]


def checked(given: Given, defaults: Given) -> Given:
    """The options with their defaults.

    Raises:
        UnknownNameError: there is no such option; the message suggests the nearest.
        InputError, UsageError: a value is not allowed.
    """
    for name in given:
        if name not in defaults:
            raise UnknownNameError("option of aeonnx.scale.ray", name, defaults)
    found = cast(Given, {**defaults, **given})
    for name in ("workers", "cpus", "rows_per_shard", "step"):
        value = found.get(name)
        if value is not None and whole(name, value) < 1:
            raise InputError(f"{name}: expected 1 or more, got {value}")
    for name in ("force", "recursive", "skip_bad"):
        flag_of(name, found.get(name, False))
    found["inputs"] = {name: number_of(name, value) for name, value in found["inputs"].items()}
    if found["precision"] == "auto":
        raise UsageError(
            "precision: expected fp32, fp16 or int8, got auto, which each machine would choose for "
            "itself"
        )
    return found


def reading_of(options: FileOptions) -> Reading:
    """How files are read.

    Raises:
        UsageError: there is no such way to resize, or no such color.
    """
    color = options["background"]
    how = Treatment(options["resize"], None if color is None else colour_of(color))
    return Reading(how, options["recursive"], options["skip_bad"], step=options["step"])


def as_texts(options: Mapping[str, Any]) -> dict[str, str]:
    """Options as JSON texts, without those that are None."""
    return {name: json.dumps(value) for name, value in options.items() if value is not None}
