"""A verb from file to file, in constant memory: what the command line does with images."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aeonnx import files, images
from aeonnx.errors import ImageError
from aeonnx.runtime.bundle import Bundle, Classified
from aeonnx.runtime.session import Array
from aeonnx.runtime.stream import generated, rows_at_once, stream
from aeonnx.sinks import open_sink, require_sink, write
from aeonnx.sources import Source, open_array, open_images

__all__ = ["Advanced", "Written", "classify_file", "features_file", "generate_file", "run_on_files"]

Advanced = Callable[[int, int], None]
"""Told how many rows are done, and of how many."""


@dataclass(frozen=True)
class Written:
    """What was written, before it became a picture: dtype and shape of all rows together."""

    dtype: str
    shape: tuple[int, ...]


def run_on_files(
    bundle: Bundle,
    verb: str,
    source: Path,
    target: Path,
    *,
    pixels: bool = False,
    force: bool = False,
    advanced: Advanced | None = None,
) -> Written:
    """Read `source`, run a verb of the bundle on it, write `target`.

    Args:
        bundle: opened.
        verb: "encode", "decode", "reconstruct" or "denoise".
        source: images (a file, a folder, a .npy array), or a .npy array of latents to decode.
        target: a .png for a grid of images, a .npy array, or no suffix for a folder of pictures,
            which are named as those in `source`.
        pixels: uint8 instead of float32 in a .npy array; pictures are that anyway.
        force: replace `target` if it exists.
        advanced: told of the progress.

    Raises:
        ImageError: `source` is missing or is not what the verb takes.
        UsageError: `target` has another suffix.
        OutputError: `target` exists and `force` is not set, or cannot be written.
        BundleError, InputError, ProviderError: see `Bundle.run`.
    """
    gives_images = verb != "encode"
    require_sink(target, images=gives_images)
    files.refuse_existing(target, force=force)
    rows = open_array(source) if verb == "decode" else _images(bundle, source)
    count = _count(source, rows)
    require_sink(target, count, images=gives_images)
    batches = rows.batches(rows_at_once(bundle))
    options = {"pixels": pixels or target.suffix.lower() != ".npy"} if gives_images else {}
    names = _stems(rows.names) if source.is_dir() else None
    results = stream(bundle, verb, batches, **options)
    return _write(results, target, count, names=names, force=force, advanced=advanced)


def generate_file(
    bundle: Bundle,
    n: int,
    seed: int,
    first: int,
    target: Path,
    *,
    pixels: bool = False,
    force: bool = False,
    advanced: Advanced | None = None,
) -> Written:
    """Write `n` generated images to `target`; see `Bundle.generate` and `run_on_files`."""
    require_sink(target, n, images=True)
    files.refuse_existing(target, force=force)
    pixels = pixels or target.suffix.lower() != ".npy"
    results = generated(bundle, n, seed, first, pixels=pixels)
    return _write(results, target, n, names=None, force=force, advanced=advanced)


def classify_file(
    bundle: Bundle,
    source: Path,
    target: Path | None = None,
    *,
    force: bool = False,
    advanced: Advanced | None = None,
) -> tuple[tuple[str, ...], Classified]:
    """Classify images and write the answers, if there is a `target`.

    Args:
        bundle: opened.
        source: images, see `run_on_files`.
        target: a .csv with name, label, probability and the probabilities of all classes; or a
            .npy of the probabilities.
        force: replace `target` if it exists.
        advanced: told of the progress.

    Returns:
        Names of the images, file names or row numbers, and what they show.

    Raises:
        UsageError: `target` has another suffix.
        ImageError, OutputError, BundleError, InputError, ProviderError: see `run_on_files`.
    """
    if target is not None:
        expected = ".csv or .npy (a table, or an array of probabilities)"
        images.require_suffix(target, (".csv", ".npy"), expected)
        files.refuse_existing(target, force=force)
    rows = _images(bundle, source)
    count = _count(source, rows)
    found = Classified.of(
        bundle.classify(batch)
        for batch in _told(rows.batches(rows_at_once(bundle)), count, advanced)
    )
    names = tuple(rows.names[:])
    if target is not None and target.suffix.lower() == ".npy":
        write(target, found.probabilities, force=force)
    elif target is not None:
        text = _table(names, found, bundle.manifest.classes)
        # A file's name is any bytes: those that are not UTF-8 are written as they are.
        files.write_atomic(target, text.encode(errors="surrogateescape"))
    return names, found


def features_file(
    bundle: Bundle,
    source: Path,
    target: Path,
    *,
    force: bool = False,
    advanced: Advanced | None = None,
) -> Written:
    """Write the latents of images with their names, for other tools.

    Args:
        bundle: opened.
        source: images, see `run_on_files`.
        target: a .npz with `features`, float32 [n, latent], and `names`, n texts.
        force: replace `target` if it exists.
        advanced: told of the progress.

    Raises:
        UsageError: `target` has another suffix.
        ImageError, OutputError, BundleError, InputError, ProviderError: see `run_on_files`.
    """
    images.require_suffix(target, (".npz",), ".npz (features with names)")
    files.refuse_existing(target, force=force)
    rows = _images(bundle, source)
    results = stream(bundle, "encode", rows.batches(rows_at_once(bundle)))
    features = np.concatenate(list(_told(results, _count(source, rows), advanced)))
    buffer = io.BytesIO()
    np.savez(buffer, features=features, names=np.array(rows.names[:]))
    files.write_atomic(target, buffer.getvalue())
    return Written(str(features.dtype), features.shape)


def _images(bundle: Bundle, source: Path) -> Source:
    return open_images(source, bundle.manifest.input_shape)


def _stems(names: Sequence[str]) -> list[str]:
    """Names without suffix, unless two would be the same."""
    stems = [Path(name).stem for name in names]
    return stems if len(set(stems)) == len(stems) else list(names)


def _count(source: Path, rows: Source) -> int:
    if not rows.names:
        raise ImageError(f"{source} holds no rows: give at least one")
    return len(rows.names)


def _write(
    results: Iterator[Array],
    target: Path,
    count: int,
    *,
    names: list[str] | None,
    force: bool,
    advanced: Advanced | None,
) -> Written:
    written = Written("", (count,))
    with open_sink(target, count, names=names, force=force) as sink:
        for rows in _told(results, count, advanced):
            sink.write(rows)
            written = Written(str(rows.dtype), (count, *rows.shape[1:]))
    return written


def _told(batches: Iterable[Array], count: int, advanced: Advanced | None) -> Iterator[Array]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        if advanced:
            advanced(done, count)


def _table(names: tuple[str, ...], found: Classified, classes: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "label", "probability", *(f"p({name})" for name in classes)])
    for name, label, row in zip(names, found.labels, found.probabilities, strict=True):
        writer.writerow([name, label, *(f"{value:.6g}" for value in (row.max(), *row))])
    return text.getvalue()
