"""The command `aeonnx score`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from aeonnx.cli.inputs import (
    IMAGES,
    PATH_NAME,
    images_argument,
    label_option,
    others_of,
    others_option,
    reading_of,
    reading_options,
    say_left_out,
)
from aeonnx.cli.options import (
    PATH,
    bundle_argument,
    force_option,
    json_option,
    opened,
    refuse_two_documents,
    runtime_options,
)
from aeonnx.errors import UsageError

__all__ = ["score"]


@click.command(
    help="Score images by how unlike those of the training they are, and name the odd ones.\n\nThe "
    "score is the error of the reconstruction, or another measure that the bundle was exported "
    "with (`aeonnx export --score`). The percentile is the share of normal images with a lower "
    f"score.\n\n{IMAGES}",
    epilog="Example: aeonnx score dist/ae parts/ -o scores.csv --heatmaps heat/ --sheet worst.png",
)
@bundle_argument
@images_argument(required=False)
@click.option(
    "-o",
    "--output",
    type=PATH_NAME,
    help="Where to write the results: a .csv of name, score, percentile and verdict, and for rows "
    "of a table of the column that an odd one is odd in and the error of each; - for the same on "
    "stdout, or a .npy of the scores.  [default: print them]",
)
@click.option(
    "--threshold",
    default="p99",
    show_default=True,
    help="Scores above it are odd: p99 or p95, below which 99 % or 95 % of normal images are, or a "
    "number.",
)
@click.option(
    "--heatmaps",
    type=PATH,
    help="Folder to write a picture per image to, with the error of each place laid over it.",
)
@click.option(
    "--sheet", type=PATH, help="A .png to write with the 12 images of the highest scores."
)
@click.option(
    "--watch",
    type=PATH,
    help="Instead of IMAGES: score the files of a folder, and each new one as it comes, until "
    "Ctrl-C; of a .csv that grows, each new row.",
)
@reading_options
@others_option
@label_option
@runtime_options
@force_option("Replace existing files; write into a folder that is not empty.")
@json_option(
    "an object with `threshold` and `rows`, a list of objects with `name`, `score` (null if the "
    "network overflows), `percentile` (null if the bundle does not know it), `verdict` (normal or "
    "odd) and, of rows of a table, `column`, the one that an odd row is odd in, and `columns` with "
    "the error of each; with --watch one such object per line"
)
def score(
    bundle: Path,
    sources: tuple[str, ...],
    output: str | None,
    threshold: str,
    heatmaps: Path | None,
    sheet: Path | None,
    watch: Path | None,
    force: bool,
    as_json: bool,
    resize: str | None,
    background: str | None,
    recursive: bool,
    skip_bad: bool,
    step: int | None,
    others: tuple[str, ...],
    label: str | None,
    **how: Any,
) -> None:
    from aeonnx.cli import scores
    from aeonnx.cli.progress import RowsProgress
    from aeonnx.cli.tables import say
    from aeonnx.runtime.further_files import numbers_in
    from aeonnx.runtime.scored import score_output
    from aeonnx.runtime.scoring import ScoreFiles, score_files
    from aeonnx.runtime.watching import watched

    refuse_two_documents(output, as_json=as_json)
    if bool(sources) == (watch is not None):
        raise UsageError("expected IMAGES to score, or a folder with --watch, and not both")
    reading = reading_of(resize, background, recursive, skip_bad, step)
    if watch is not None:
        if output or heatmaps or sheet:
            raise UsageError(
                "--watch prints each score as it comes: leave out -o, --heatmaps and --sheet"
            )
        with opened(bundle, **how) as ready:
            numbers = numbers_in("--watch", others_of(ready, "score", others, label))
            for found in watched(ready, watch, threshold, reading, others=numbers):
                scores.print_file_scored(found, as_json=as_json)
        return
    with opened(bundle, **how) as ready, closing(RowsProgress("score")) as progress:
        given = others_of(ready, "score", others, label)
        rows, scored = score_files(
            ready,
            sources,
            ScoreFiles(output, heatmaps, sheet, force),
            threshold=threshold,
            reading=reading,
            others=given,
            advanced=progress,
        )
        say_left_out(rows.left_out, rows.skipped)
        scorer = ready.variant("scorer")
        normal = scorer.normal.get(score_output(scorer))
        labelled = any(spec.kind == "label" and spec.name in given for spec in scorer.inputs)
        if output is None or as_json:
            names = tuple(rows.names[:])
            scores.print_scored(
                names, scored, threshold, normal, labelled=labelled, as_json=as_json
            )
        elif output != "-":
            told = scores.summary_of(scored, threshold, normal, labelled=labelled)
            say(f"{output}: {told}")
