"""Scores the images in files: a table, heat maps, and a sheet of the most unusual ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np

from aeonnx._util import files
from aeonnx.io.formats import Target
from aeonnx.io.heat import overlay
from aeonnx.io.images import png
from aeonnx.io.pixels import UNIT, to_pixels
from aeonnx.io.readers import Reading
from aeonnx.io.sheet import MOST_SHOWN, Sheet
from aeonnx.io.source import Source
from aeonnx.io.writers import names_of_results, results_folder, write_bytes
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.file_rows import Given, log_skipped, open_rows_of
from aeonnx.runtime.further_files import Further, with_further
from aeonnx.runtime.labels import missing_label, predicted
from aeonnx.runtime.scored import VERDICTS, Scored, score_output, threshold_of
from aeonnx.runtime.session import Array
from aeonnx.runtime.sheets import check_sheet, require_pictures
from aeonnx.runtime.stream import rows_at_once
from aeonnx.runtime.tables import table_target, write_table
from aeonnx.runtime.verbs import OUTPUTS, PARTS

__all__ = ["ScoreFiles", "score_files"]

_HOTTEST = 25
"""Places whose error is so many thresholds have the hottest colour: an image whose only fault is a
twenty-fifth of its area then just reaches the threshold."""


@dataclass(frozen=True)
class ScoreFiles:
    """The files that scoring writes, each None for none.

    Args:
        table: a .csv, or "-" for stdout, with name, score, percentile and verdict; or a .npy of the
            scores.
        heatmaps: a folder of pictures with the error of each place laid over the image.
        sheet: a .png of the images with the largest errors and their heat maps.
        force: replace existing files; add to a folder that is not empty.
    """

    table: Path | str | None = None
    heatmaps: Path | None = None
    sheet: Path | None = None
    force: bool = False


def score_files(
    bundle: Bundle,
    sources: Given,
    to: ScoreFiles,
    *,
    threshold: str | float = "p99",
    reading: Reading | None = None,
    others: Further = MappingProxyType({}),
    advanced: Callable[[int, int], None] | None = None,
) -> tuple[Source, Scored]:
    """Score images and write the results.

    Args:
        bundle: the bundle.
        sources: images, see `run_on_files`; rows of arrays for a model of anything else.
        to: the files to write.
        threshold: see `Bundle.score`.
        reading: how sources are read.
        others: a number for each further input of the scorer, such as a label; or the name of a
            file, see `with_further`.
        advanced: progress callback: (rows done, rows in total).

    Returns:
        The images, named by file or row number, and their scores, without maps.

    Raises:
        UsageError: a file has an unsupported suffix, or there is no such threshold.
        ImageError, OutputError, BundleError, InputError, ProviderError: see `run_on_files`.
    """
    label = missing_label(bundle, "score", others)
    bundle.require("score", (*others, *([label] if label else [])))
    scorer = bundle.variant(PARTS["score"])
    limit = threshold_of(scorer, score_output(scorer), threshold)
    table = None if to.table is None else table_target(to.table, "scores")
    if table is not None:
        table.refuse_existing(force=to.force)
    if to.sheet is not None:
        check_sheet("--sheet", scorer.inputs[0], to.sheet, force=to.force)
    if to.heatmaps is not None:
        require_pictures("--heatmaps", scorer.inputs[0])
        files.refuse_existing(to.heatmaps, force=to.force)
    rows = open_rows_of(bundle, "score", sources, reading)
    rows, numbers = with_further(bundle, "score", rows, others, reading or Reading())
    # Heat maps are of the error, whatever the score is.
    hot = scorer.percentiles.get(OUTPUTS["score"], {}).get("p99", limit)
    shown = _Shown(rows, hot, scorer.inputs[0].range or UNIT)

    def scored() -> Iterator[Scored]:
        done = 0
        for batch, rest in rows.pairs(rows_at_once(bundle, "score", rows.values)):
            more = {label: predicted(bundle, batch)} if label else {}
            found = bundle.score(batch, threshold=limit, **rest, **numbers, **more)
            if found.maps is not None and (to.sheet is not None or to.heatmaps is not None):
                shown.add(done, batch, found)
            done += len(batch)
            if advanced:
                advanced(done, len(rows.names))
            yield found

    with _heat_folder(to.heatmaps) as shown.folder:
        found = Scored.of(scored())
    log_skipped(rows)
    if table is not None:
        head = ["name", "score", "percentile", "verdict"]
        head += ["column"] if found.names else []
        head += [f"error.{name}" for name in found.names]
        write_table(table, head, _lines(rows.names[:], found), found.scores, force=to.force)
    if to.sheet is not None:
        write_bytes(Target(to.sheet, "png"), shown.sheet(), force=to.force)
    return rows, found


@contextmanager
def _heat_folder(path: Path | None) -> Iterator[Path | None]:
    if path is None:
        yield None
        return
    with results_folder(path) as folder:
        yield folder


@dataclass
class _Shown:
    """Draws heat maps, and keeps the worst images for the sheet.

    Args:
        rows: the source.
        limit: the threshold.
        bounds: of float images.
        folder: of the heat maps; None for none.
    """

    rows: Source
    limit: float
    bounds: tuple[float, float]
    folder: Path | None = None
    worst: list[tuple[float, tuple[str, str], Array, Array]] = field(default_factory=list)

    @cached_property
    def file_of(self) -> Callable[[int], str]:
        """The name of the heat map of a row."""
        return names_of_results(self.rows.outputs, len(self.rows.names), ".png")

    def add(self, first: int, batch: Array, found: Scored) -> None:
        """Add images, the first of which has the index `first`."""
        assert found.maps is not None  # noqa: S101  # the caller looks
        pixels = batch if batch.dtype == np.uint8 else to_pixels(batch, self.bounds)
        for place, (image, error, heat) in enumerate(
            zip(pixels.transpose(0, 2, 3, 1), found.scores, found.maps, strict=True)
        ):
            hot = overlay(image, heat, _HOTTEST * self.limit)
            if self.folder is not None:
                data = png(hot.transpose(2, 0, 1)[None])
                files.write(self.folder / self.file_of(first + place), data)
            percentile = found.percentiles[place]
            above = "" if np.isnan(percentile) else f", above {percentile:.4g} % of normal"
            text = (self.rows.names[first + place], f"{error:.4g}{above}")
            self.worst.append((float(error), text, image, hot))
        self.worst = sorted(self.worst, key=lambda row: -row[0])[:MOST_SHOWN]

    def sheet(self) -> bytes:
        """The worst images, the worst first."""
        sheet = Sheet(("image", "error"))
        for _, (name, score), image, hot in self.worst:
            sheet.add(name, image, hot, score)
        return sheet.png()


def _lines(names: Sequence[str], found: Scored) -> Iterator[list[str]]:
    """The rows of the table."""
    columns = found.columns if found.columns is not None else np.empty((len(found), 0))
    for place, (name, score, percentile, odd, each) in enumerate(
        zip(names, found.scores, found.percentiles, found.odd.tolist(), columns, strict=True)
    ):
        share = "" if np.isnan(percentile) else f"{percentile:.4g}"
        column = [found.column(place) or ""] if found.names else []
        errors = (f"{error:.6g}" for error in each)
        yield [name, f"{score:.6g}", share, VERDICTS[odd], *column, *errors]
