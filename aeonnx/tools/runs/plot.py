"""Plot metrics over epochs: a panel per metric, a curve per run."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from aeonnx._util import files
from aeonnx._util.optional import require_modules
from aeonnx._util.text import printable
from aeonnx.checkpoint.runs import RunSummary
from aeonnx.errors import UsageError
from aeonnx.tools.runs.compare import LOSS, value_in

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["plot", "require_plot"]

_DPI = 120
_COLUMNS = 3  # panels side by side
_COLOURS = 10  # of matplotlib's cycle; further runs get another style of line
_STYLES = ("-", "--", ":", "-.")
_LEGEND_LETTERS = 48  # of a run's folder
_DOTTED = 30  # epochs up to which each gets a dot


def require_plot(path: Path, *, force: bool) -> None:
    """Check before any work that a plot can be written to `path`.

    Raises:
        UsageError: it is not a .png.
        OutputError: it exists, and `force` is not set.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"-o: expected a .png file, got {path}")
    files.refuse_existing(path, force=force)
    require_modules("matplotlib", extra="train", purpose="the plot of `aeonnx runs -o`")


def plot(path: Path, runs: Sequence[RunSummary], metrics: Sequence[str]) -> None:
    """Write a PNG of the metrics' curves; epochs are counted over all stages of a run.

    Args:
        path: path of the PNG; an existing file is replaced.
        runs: one run or more.
        metrics: names, one or more; see `compare`.

    Raises:
        OutputError: it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(metrics))
    rows = math.ceil(len(metrics) / columns)
    size = (1.2 + 4.2 * columns, 0.6 + 3.2 * rows + 0.22 * len(runs))
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)  # needs no window and no pyplot state
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes, metric in zip(panels, metrics, strict=False):
        axes.set_title(_title(metric), fontsize="medium")
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
        for number, run in enumerate(runs):
            _draw_run(axes, run, metric, number)
    for axes in list(panels)[len(metrics) :]:
        axes.remove()
    handles, labels = _legend(figure.axes)
    figure.legend(handles, labels, loc="outside lower center", fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    files.write_atomic(path, buffer.getvalue())


def _title(metric: str) -> str:
    prefix = {LOSS: "training", "held_out": "loss on"}.get(metric, "test")
    return f"{prefix} {metric.replace('_', ' ')}".replace("held out", "held-out images")


def _draw_run(axes: Axes, run: RunSummary, metric: str, number: int) -> None:
    """Draw a curve per stage, in one colour: losses of two stages are not comparable."""
    label = _label(run.folder)
    for epochs, values in _pieces(run, metric):
        axes.plot(
            epochs,
            values,
            color=f"C{number % _COLOURS}",
            linestyle=_STYLES[number // _COLOURS % len(_STYLES)],
            marker="." if len(run.history) <= _DOTTED else None,
            label=label,
        )
        label = "_"  # hidden in the legend


def _pieces(run: RunSummary, metric: str) -> Iterator[tuple[list[int], list[float]]]:
    numbered = enumerate(run.history, start=1)
    for _, stage in groupby(numbered, key=lambda item: item[1].stage):
        found = [(n, value) for n, e in stage if (value := value_in(e, metric)) is not None]
        if found:
            yield [n for n, _ in found], [value for _, value in found]


def _label(folder: Path) -> str:
    """A folder's name for the legend: `$` would begin a formula, and a leading `_` hides it."""
    text = printable(str(folder)).replace("$", r"\$")
    short = text if len(text) <= _LEGEND_LETTERS else "..." + text[-_LEGEND_LETTERS:]
    return f"./{short}" if short.startswith("_") else short


def _legend(panels: Sequence[Axes]) -> tuple[list[Artist], list[str]]:
    found: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
