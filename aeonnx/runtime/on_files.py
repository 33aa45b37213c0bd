"""A verb from file to file: what the command line does with images."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from aeonnx import files, images
from aeonnx.runtime.bundle import Bundle, Classified
from aeonnx.runtime.session import Array

__all__ = ["classify_file", "features_file", "generate_file", "run_on_files"]


def run_on_files(
    bundle: Bundle, verb: str, source: Path, target: Path, *, force: bool = False
) -> Array:
    """Read `source`, run a verb of the bundle on it, write `target`.

    Args:
        bundle: opened.
        verb: "encode", "decode", "reconstruct" or "denoise".
        source: images (a file, a folder, a .npy array), or a .npy array of latents to decode.
        target: a .png for a grid of images, or a .npy array.
        force: replace `target` if it exists.

    Returns:
        What was written, before it became a picture.

    Raises:
        ImageError: `source` is missing or is not what the verb takes.
        UsageError: `target` has another suffix.
        OutputError: `target` exists and `force` is not set, or cannot be written.
        BundleError, InputError, ProviderError: see `Bundle.run`.
    """
    images.check_output(target, images=verb != "encode")
    files.refuse_existing(target, force=force)
    if verb == "decode":
        value = images.read_array(source)
    else:
        value = images.read_images(source, bundle.manifest.input_shape)
    result: Array = getattr(bundle, verb)(value)
    images.write(target, result, force=force)
    return result


def generate_file(
    bundle: Bundle, n: int, seed: int, first: int, target: Path, *, force: bool = False
) -> Array:
    """Write `n` generated images to `target`; see `Bundle.generate` and `run_on_files`."""
    images.check_output(target, images=True)
    files.refuse_existing(target, force=force)
    result = bundle.generate(n, seed, first)
    images.write(target, result, force=force)
    return result


def classify_file(
    bundle: Bundle, source: Path, target: Path | None = None, *, force: bool = False
) -> tuple[tuple[str, ...], Classified]:
    """Classify images and write the answers, if there is a `target`.

    Args:
        bundle: opened.
        source: images, see `run_on_files`.
        target: a .csv with name, label, probability and the probabilities of all classes; or a
            .npy of the probabilities.
        force: replace `target` if it exists.

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
    names, value = images.read_named_images(source, bundle.manifest.input_shape)
    found = bundle.classify(value)
    if target is not None and target.suffix.lower() == ".npy":
        images.write(target, found.probabilities, force=force)
    elif target is not None:
        text = _table(names, found, bundle.manifest.classes)
        # A file's name is any bytes: those that are not UTF-8 are written as they are.
        files.write_atomic(target, text.encode(errors="surrogateescape"))
    return names, found


def features_file(bundle: Bundle, source: Path, target: Path, *, force: bool = False) -> Array:
    """Write the latents of images with their names, for other tools.

    Args:
        bundle: opened.
        source: images, see `run_on_files`.
        target: a .npz with `features`, float32 [n, latent], and `names`, n texts.
        force: replace `target` if it exists.

    Returns:
        The features.

    Raises:
        UsageError: `target` has another suffix.
        ImageError, OutputError, BundleError, InputError, ProviderError: see `run_on_files`.
    """
    images.require_suffix(target, (".npz",), ".npz (features with names)")
    files.refuse_existing(target, force=force)
    names, value = images.read_named_images(source, bundle.manifest.input_shape)
    features = bundle.encode(value)
    buffer = io.BytesIO()
    np.savez(buffer, features=features, names=np.array(names))
    files.write_atomic(target, buffer.getvalue())
    return features


def _table(names: tuple[str, ...], found: Classified, classes: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "label", "probability", *(f"p({name})" for name in classes)])
    for name, label, row in zip(names, found.labels, found.probabilities, strict=True):
        writer.writerow([name, label, *(f"{value:.6g}" for value in (row.max(), *row))])
    return text.getvalue()
