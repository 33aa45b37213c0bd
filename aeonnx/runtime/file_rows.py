"""Opens the files that a verb runs on: images, rows of any other kind, latents."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from aeonnx._util.text import printable
from aeonnx.bundle import TensorSpec
from aeonnx.bundle.composing import kept
from aeonnx.errors import InputError, UsageError
from aeonnx.io.latent_files import open_latent_files
from aeonnx.io.photos import PhotoFile
from aeonnx.io.pictures import ANY
from aeonnx.io.readers import Reading, open_images
from aeonnx.io.rows import Rows, open_rows
from aeonnx.io.source import Source
from aeonnx.io.table_rows import ColumnsOf, has_columns, open_table_rows
from aeonnx.io.tables import Table
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.verbs import made_by, taken_by

__all__ = [
    "Given",
    "log_skipped",
    "of_any_size",
    "open_rows_of",
    "refuse_options",
    "require_inputs",
    "sizes",
]

_LOG = logging.getLogger(__name__)

Given = Sequence[Path | str] | Source
"""Names of files, or rows that are open already."""


def open_rows_of(
    bundle: Bundle,
    verb: str,
    sources: Given | Sequence[PhotoFile] | Sequence[Table],
    reading: Reading | None,
) -> Source:
    """The rows that a verb is run on.

    Args:
        bundle: the bundle.
        verb: "encode", "decode", "reconstruct", "denoise", "score" or "classify".
        sources: for "decode" files of latents, see `open_latent_files`, which as a .npz can have
            arrays of the decoder's further inputs too; images for a part that takes images, see
            `open_images`; arrays for every other part, see `open_rows`; tables for one of columns,
            see `open_table_rows`. Rows that are open already are returned.
        reading: how pictures are read.

    Raises:
        ImageError: a source is missing or does not fit.
        UsageError: something is asked for that only pictures have.
    """
    if isinstance(sources, Source):
        return sources
    part = taken_by(bundle.manifest, verb)
    spec, *others = bundle.inputs(part)
    if verb == "decode":
        files = cast(Sequence[Path | str], sources)
        what = "latents" if spec.dtype.startswith("float") else "codes"
        further = [_rows(each, each.name) for each in others]
        return open_latent_files(files, _rows(spec, what), further)
    reading = reading or Reading()
    if spec.kind == "image":
        # Odd images may have values that no normal image has.
        limited = verb != "score"
        _refuse_step(verb, spec, reading)
        if reading.how.resize is not None and ANY in sizes(spec)[1:]:
            raise UsageError(
                f"--resize: {verb} of this bundle takes pictures of any size: leave it out"
            )
        keeps_alpha = of_any_size(bundle, verb)
        how = replace(reading, bounds=spec.range, limited=limited, keeps_alpha=keeps_alpha)
        return open_images(cast(Sequence[Path | str | PhotoFile], sources), sizes(spec), how)
    refuse_options(verb, spec, reading)
    rows = _rows(spec, f"{spec.name} of the kind {spec.kind}")
    if has_columns(spec.names, rows.shape):
        wanted = ColumnsOf(rows, spec.names, spec.missing, reading.step, reading.skip_bad)
        return open_table_rows(cast(Sequence[Path | str | Table], sources), wanted)
    return open_rows(cast(Sequence[Path | str], sources), rows)


def of_any_size(bundle: Bundle, verb: str) -> bool:
    """Whether a verb takes images of any size and makes images like them."""
    given = bundle.inputs(taken_by(bundle.manifest, verb))[0]
    made = made_by(bundle.manifest, verb)[1]
    alike = sizes(given) == sizes(made) and given.kind == made.kind == "image"
    return alike and ANY in sizes(given)[1:]


def _rows(spec: TensorSpec, what: str) -> Rows:
    return Rows(spec.name, sizes(spec), spec.dtype, what)


def sizes(spec: TensorSpec) -> tuple[int, ...]:
    """The shape of a row for readers and writers, which take `ANY` for an axis."""
    return tuple(ANY if isinstance(size, str) else size for size in spec.shape[1:])


def refuse_options(verb: str, spec: TensorSpec, reading: Reading, **more: bool) -> None:
    """Check that nothing is asked for that only pictures have.

    Raises:
        UsageError: something is.
    """
    asked = {
        **{f"--{name}": is_given for name, is_given in more.items()},
        "--resize": reading.how.resize is not None,
        "--background": reading.how.background is not None,
        "--recursive": reading.recursive,
        "--skip-bad": reading.skip_bad and not spec.names,
    }
    _refuse_step(verb, spec, reading)
    given = [name for name, is_given in asked.items() if is_given]
    if given:
        them = "it" if len(given) == 1 else "them"
        raise UsageError(
            f"{', '.join(given)}: {verb} of this bundle runs on {_PLURALS.get(spec.kind, 'arrays')}"
            f", and not on pictures: leave {them} out"
        )


def _refuse_step(verb: str, spec: TensorSpec, reading: Reading) -> None:
    windows = spec.kind == "signal" and spec.names
    if reading.step is not None and not windows:
        raise UsageError(
            f"--step is for windows of a time series, and {verb} of this bundle takes none: leave "
            "it out"
        )


_PLURALS = {kind: f"{kind}s" for kind in ("signal", "volume", "vector", "latent")}


def log_skipped(rows: Source) -> None:
    """Log the pictures that were skipped."""
    for line in rows.skipped:
        _LOG.info("skipped: %s", printable(line))


def require_inputs(
    bundle: Bundle, verb: str, where: str, arrays: Collection[str], others: Collection[str]
) -> None:
    """Check the further inputs of a decoder.

    Args:
        bundle: the bundle.
        verb: which of its verbs runs.
        where: name of the file of latents.
        arrays: names of the inputs that it has arrays for.
        others: names of the inputs that numbers are given for.

    Raises:
        UsageError: both give one.
        InputError: the encoder makes one, and neither gives it.
    """
    for name in arrays:
        if name in others:
            raise UsageError(
                f"--input {name}: expected none, {where} has an array of that name: leave it out"
            )
    if verb != "decode":
        return
    missing = [name for name in kept(bundle.manifest) if name not in {*arrays, *others}]
    if missing:
        specs = [spec for spec in bundle.inputs("decoder") if spec.name in missing]
        numbers = " ".join(f"--input {spec.name}=NUMBER" for spec in specs)
        single = all(sizes(spec) in ((), (1,)) for spec in specs)  # one number per row
        raise InputError(
            f"{where}: expected a .npz with {' and '.join(missing)} too, which the decoder takes: "
            f"write one with aeonnx encode -o NAME.npz{f', or give {numbers}' if single else ''}"
        )
