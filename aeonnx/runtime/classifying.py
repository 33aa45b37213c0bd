"""Classifies the images in files: a table of labels, or an array of probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from aeonnx.io.readers import Reading
from aeonnx.io.source import Source
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.classified import Classified
from aeonnx.runtime.file_rows import log_skipped, open_rows_of
from aeonnx.runtime.session import Array
from aeonnx.runtime.stream import rows_at_once
from aeonnx.runtime.tables import table_target, write_table

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
    to = None if target is None else table_target(target, "probabilities")
    if to is not None:
        to.refuse_existing(force=force)
    rows, done = open_rows_of(bundle, "classify", sources, reading), 0

    def classified(batch: Array) -> Classified:
        nonlocal done
        labels, done = bundle.classify(batch), done + len(batch)
        if advanced:
            advanced(done, len(rows.names))
        return labels

    batches = rows.batches(rows_at_once(bundle, "classify", rows.values))
    found = Classified.of(classified(batch) for batch in batches)
    log_skipped(rows)
    if to is not None:
        head = ["name", "label", "probability", *(f"p({each})" for each in bundle.manifest.classes)]
        lines = (
            [name, label, *(f"{value:.6g}" for value in (row.max(), *row))]
            for name, label, row in zip(
                rows.names[:], found.labels, found.probabilities, strict=True
            )
        )
        write_table(to, head, lines, found.probabilities, force=force)
    return rows, found
