"""Runs verbs from files to files in constant memory: the file commands of the command line."""

from __future__ import annotations

import csv
import io
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aeonnx._util import files
from aeonnx._util.text import printable
from aeonnx.bundle import TensorSpec
from aeonnx.errors import BundleError, UsageError
from aeonnx.io.formats import Target, target_of
from aeonnx.io.pictures import ANY
from aeonnx.io.pixels import UNIT
from aeonnx.io.readers import Reading, Source, open_images, open_latents
from aeonnx.io.writers import open_writer, write_bytes
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.classified import Classified
from aeonnx.runtime.session import Array
from aeonnx.runtime.signal_files import is_on_signals, run_on_signals
from aeonnx.runtime.stream import generated, rows_at_once, stream
from aeonnx.runtime.verbs import OUTPUTS, PARTS, steps_of

__all__ = ["Advanced", "Written", "classify_files", "generate_file", "run_on_files"]

_LOG = logging.getLogger(__name__)

_NONE: Mapping[str, float] = MappingProxyType({})

Advanced = Callable[[int, int], None]
"""Progress callback: (rows done, rows in total)."""


@dataclass(frozen=True)
class Written:
    """What was written.

    Args:
        target: path, or "stdout".
        dtype, shape: of the array of all rows, before encoding as pictures.
        left_out: number of files and folders that were not read, a line for each source folder.
        skipped: error message of each unreadable picture that was skipped.
    """

    target: str
    dtype: str
    shape: tuple[int, ...]
    left_out: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def run_on_files(
    bundle: Bundle,
    verb: str,
    sources: Sequence[Path | str],
    target: Path | str,
    *,
    reading: Reading | None = None,
    pixels: bool = False,
    force: bool = False,
    advanced: Advanced | None = None,
    others: Mapping[str, float] = _NONE,
) -> Written:
    """Read `sources`, run a verb of the bundle on them, write `target`.

    Args:
        bundle: the bundle.
        verb: "encode", "decode", "reconstruct" or "denoise".
        sources: images, see `io.readers.open_images`; for "decode" one file of latents, see
            `io.readers.open_latents`. Signals, and latents of signals, are read and written as
            `run_on_signals` says.
        target: .png, .jpg, .webp or .tif for a grid of images; .npy for an array; .npz for an
            array and the names of the sources; a folder (no suffix, / at the end, or an existing
            folder) for one picture per image, named after its source; "-" for stdout, which gets
            a PNG if the sources are pictures, else a .npy.
        reading: how sources are read.
        pixels: write uint8 instead of float32 to an array; pictures are always uint8.
        force: replace an existing file; add to a folder that is not empty.
        advanced: progress callback.
        others: a number for each further input of the verb's part, such as a noise level.

    Raises:
        ImageError: a source is missing or does not fit the verb.
        UsageError: `target` has an unsupported suffix.
        OutputError: `target` exists and `force` is not set, or it cannot be written.
        BundleError, InputError, ProviderError: see `Bundle.run`.
    """
    bundle.require(verb)
    if is_on_signals(bundle, verb):
        _refuse_picture_options(verb, reading or Reading(), pixels=pixels)
        dtype, shape = run_on_signals(
            bundle, verb, sources, target, force=force, advanced=advanced, others=others
        )
        return Written(f"{target}", dtype, shape)
    gives_images = verb != "encode"
    _refuse_existing(target_of(target, images=gives_images), force=force)
    if verb == "decode":
        (one,) = sources
        latent = bundle.variant("decoder").inputs[0]
        rows = open_latents(one, _sizes(latent), latent.dtype)
    else:
        rows = _images(bundle, verb, sources, reading)
    to = target_of(target, images=gives_images, pictures=rows.pictures)
    options: dict[str, Any] = dict(others)
    if gives_images:
        to.require(len(rows.names), _given(bundle, verb))
        options["pixels"] = pixels or to.pictures
    results = stream(bundle, verb, rows.batches(rows_at_once(bundle, verb)), **options)
    key = "images" if gives_images else "features"
    written = _write(results, to, rows, key, force=force, advanced=advanced)
    _log_skipped(rows)
    return replace(written, left_out=rows.left_out, skipped=rows.skipped)


def _refuse_picture_options(verb: str, reading: Reading, *, pixels: bool) -> None:
    """Check that nothing is asked for that only pictures have."""
    asked = {
        "--pixels": pixels,
        "--resize": reading.how.resize is not None,
        "--background": reading.how.background is not None,
        "--recursive": reading.recursive,
        "--skip-bad": reading.skip_bad,
    }
    given = [name for name, is_given in asked.items() if is_given]
    if given:
        them = "it" if len(given) == 1 else "them"
        raise UsageError(
            f"{', '.join(given)}: {verb} of this bundle runs on signals, and not on pictures: "
            f"leave {them} out"
        )


def generate_file(
    bundle: Bundle,
    n: int,
    seed: int,
    first: int,
    target: Path | str,
    *,
    size: Sequence[int] | None = None,
    pixels: bool = False,
    force: bool = False,
    advanced: Advanced | None = None,
    others: Mapping[str, float] = _NONE,
) -> Written:
    """Write `n` generated images to `target`; see `Bundle.generate` and `run_on_files`."""
    bundle.require("generate")
    to = target_of(target, pictures=True)
    to.require(n, _given(bundle, "generate"))
    _refuse_existing(to, force=force)
    options = {"size": size, "pixels": pixels or to.pictures, **others}
    results = generated(bundle, n, seed, first, **options)
    return _write(results, to, n, "images", force=force, advanced=advanced)


def classify_files(
    bundle: Bundle,
    sources: Sequence[Path | str],
    target: Path | str | None = None,
    *,
    reading: Reading | None = None,
    force: bool = False,
    advanced: Advanced | None = None,
) -> tuple[Source, Classified]:
    """Classify images and write the results to `target`, if there is one.

    Args:
        bundle: the bundle.
        sources: images, see `run_on_files`.
        target: a .csv, or "-" for stdout, with name, label, probability and the probabilities of
            all classes; or a .npy of the probabilities.
        reading: how sources are read.
        force: replace `target` if it exists.
        advanced: progress callback.

    Returns:
        The images, named by file or row number, and their classes.

    Raises:
        UsageError: `target` has an unsupported suffix.
        ImageError, OutputError, BundleError, InputError, ProviderError: see `run_on_files`.
    """
    bundle.require("classify")
    to = None if target is None else _table_target(target)
    if to is not None:
        _refuse_existing(to, force=force)
    rows = _images(bundle, "classify", sources, reading)
    at_once = rows_at_once(bundle, "classify")
    batches = _with_progress(rows.batches(at_once), len(rows.names), advanced)
    found = Classified.of(bundle.classify(batch) for batch in batches)
    _log_skipped(rows)
    if to is not None and to.form == "npy":
        with open_writer(to, len(rows.names), force=force) as writer:
            writer.write(found.probabilities)
    elif to is not None:
        text = _table(rows.names[:], found, bundle.manifest.classes)
        # File names may be any bytes: those that are not UTF-8 are written unchanged.
        write_bytes(to, text.encode(errors="surrogateescape"), force=force)
    return rows, found


def _images(
    bundle: Bundle, verb: str, sources: Sequence[Path | str], reading: Reading | None
) -> Source:
    """The images that a verb is run on.

    Raises:
        BundleError: the verb runs on no images.
        ImageError: a source is missing or does not fit.
    """
    variant = bundle.variant(PARTS[steps_of(bundle.manifest, verb)[0]])
    spec = variant.inputs[0]
    if spec.kind != "image":
        raise BundleError(
            f"{verb} of this bundle runs on a {spec.kind}, not on images: give it an array in "
            f"Python, bundle.{verb}(array)"
        )
    reading = replace(reading or Reading(), bounds=spec.range or UNIT)
    return open_images(sources, _sizes(spec), reading)


def _sizes(spec: TensorSpec) -> tuple[int, ...]:
    """The shape of a row for readers and writers, which take `ANY` for an axis."""
    return tuple(ANY if isinstance(size, str) else size for size in spec.shape[1:])


def _given(bundle: Bundle, verb: str) -> tuple[int, ...]:
    """The shape of a row of what a verb gives."""
    last = steps_of(bundle.manifest, verb)[-1]
    outputs, name = bundle.variant(PARTS[last]).outputs, OUTPUTS[last]
    return _sizes(next(spec for spec in outputs if spec.name == name or not name))


def _log_skipped(rows: Source) -> None:
    for line in rows.skipped:
        _LOG.info("skipped: %s", printable(line))


def _table_target(name: Path | str) -> Target:
    if os.fspath(name) == "-":
        return Target(None, "csv")
    path = Path(name)
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".npy"):
        raise UsageError(
            f"{path}: expected a name that ends in .csv or .npy (a table, or an array of "
            "probabilities)"
        )
    return Target(path, suffix[1:])


def _refuse_existing(target: Target, *, force: bool) -> None:
    if target.path is not None:
        files.refuse_existing(target.path, force=force)


def _write(
    results: Iterator[Array],
    target: Target,
    rows: Source | int,
    key: str,
    *,
    force: bool,
    advanced: Advanced | None,
) -> Written:
    """Write the results of the rows of a source, or of a number of rows without one."""
    if isinstance(rows, int):
        count, names, outputs = rows, None, None
    else:
        count, names, outputs = len(rows.names), rows.names, rows.outputs
    written = Written(f"{target}", "", (count,))
    with open_writer(target, count, key=key, names=names, outputs=outputs, force=force) as writer:
        for batch in _with_progress(results, count, advanced):
            writer.write(batch)
            written = replace(written, dtype=f"{batch.dtype}", shape=(count, *batch.shape[1:]))
    return written


def _with_progress(
    batches: Iterable[Array], count: int, advanced: Advanced | None
) -> Iterator[Array]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        if advanced:
            advanced(done, count)


def _table(names: Sequence[str], found: Classified, classes: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "label", "probability", *(f"p({name})" for name in classes)])
    for name, label, row in zip(names, found.labels, found.probabilities, strict=True):
        writer.writerow([name, label, *(f"{value:.6g}" for value in (row.max(), *row))])
    return text.getvalue()
