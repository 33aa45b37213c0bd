"""Classifies the images in files: a table of labels, or an array of probabilities."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from aeonnx.errors import UsageError
from aeonnx.io.formats import Target
from aeonnx.io.readers import Reading
from aeonnx.io.source import Source
from aeonnx.io.writers import open_writer, write_bytes
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.classified import Classified
from aeonnx.runtime.file_rows import log_skipped, open_rows_of
from aeonnx.runtime.session import Array
from aeonnx.runtime.stream import rows_at_once

__all__ = ["classify_files"]


def classify_files(
    bundle: Bundle,
    sources: Sequence[Path | str],
    target: Path | str | None = None,
    *,
    reading: Reading | None = None,
    force: bool = False,
    advanced: Callable[[int, int], None] | None = None,
) -> tuple[Source, Classified]:
    """Classify images and write the results to `target`, if there is one.

    Args:
        bundle: the bundle.
        sources: images, see `run_on_files`.
        target: a .csv, or "-" for stdout, with name, label, probability and the probabilities of
            all classes; or a .npy of the probabilities.
        reading: how sources are read.
        force: replace `target` if it exists.
        advanced: progress callback: (rows done, rows in total).

    Returns:
        The images, named by file or row number, and their classes.

    Raises:
        UsageError: `target` has an unsupported suffix.
        ImageError, OutputError, BundleError, InputError, ProviderError: see `run_on_files`.
    """
    bundle.require("classify")
    to = None if target is None else _table_target(target)
    if to is not None:
        to.refuse_existing(force=force)
    rows, done = open_rows_of(bundle, "classify", sources, reading), 0

    def classified(batch: Array) -> Classified:
        nonlocal done
        labels, done = bundle.classify(batch), done + len(batch)
        if advanced:
            advanced(done, len(rows.names))
        return labels

    batches = rows.batches(rows_at_once(bundle, "classify"))
    found = Classified.of(classified(batch) for batch in batches)
    log_skipped(rows)
    if to is not None and to.form == "npy":
        with open_writer(to, len(rows.names), force=force) as writer:
            writer.write(found.probabilities)
    elif to is not None:
        text = _table(rows.names[:], found, bundle.manifest.classes)
        # File names may be any bytes: those that are not UTF-8 are written unchanged.
        write_bytes(to, text.encode(errors="surrogateescape"), force=force)
    return rows, found


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


def _table(names: Sequence[str], found: Classified, classes: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "label", "probability", *(f"p({name})" for name in classes)])
    for name, label, row in zip(names, found.labels, found.probabilities, strict=True):
        writer.writerow([name, label, *(f"{value:.6g}" for value in (row.max(), *row))])
    return text.getvalue()
