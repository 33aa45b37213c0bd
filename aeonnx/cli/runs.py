"""The command `aeonnx runs`."""

from __future__ import annotations

from pathlib import Path

import click

from aeonnx.cli.options import PATH, force_option, json_option, output_option

__all__ = ["runs"]


@click.command(epilog="Example: aeonnx runs runs -o curves.png")
@click.argument("folders", type=PATH, metavar="[FOLDER]...", nargs=-1)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="Metric to compare: a test metric such as psnr, loss (of training) or held_out (loss on "
    "held-out images); may be repeated.  [default: all test metrics; in the plot also loss]",
)
@output_option("Plot the metrics of all runs over the epochs into this .png file.")
@force_option("Replace the plot if it exists.")
@json_option(
    "an object with `runs` (a list of `folder`, `model`, `arch`, `finished`, `epochs`, `seconds`, "
    "`weights`, `metrics`, `options` and `history`), `differing` (names of options), `unreadable` "
    "(a list of `folder` and `reason`) and `plot` (path)"
)
def runs(
    folders: tuple[Path, ...],
    metrics: tuple[str, ...],
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Compare training runs: their metrics, and the options that differ.

    Each FOLDER is a run or has runs in it, at any depth.  [default: runs]

    Metrics are those of the weights that the run keeps, on the test images; seconds are those of
    the training steps. Needs no torch. Folders that cannot be read are named on stderr and left
    out; if none can be read, the command exits with 1.
    """
    from aeonnx.cli import comparison
    from aeonnx.tools.runs.compare import LOSS, compare
    from aeonnx.tools.runs.plot import plot, require_plot

    if output is not None:
        require_plot(output, force=force)
    elif force:
        raise click.UsageError("--force needs -o, which names the plot to replace")
    found = compare(folders or (Path("runs"),), metrics)
    if output is not None:
        plot(output, found.runs, metrics or tuple(dict.fromkeys((LOSS, *found.metrics))))
    comparison.print_comparison(found, output, as_json=as_json)
