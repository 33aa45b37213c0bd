"""A chart of the ratios: a panel for each batch size, a row for each graph."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from aeonnx._util import files
from aeonnx.tools.bench.results import OURS, Benchmark, Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_DPI = 150
_COLOURS = {"onnxruntime": "C0", "torch": "C3", "torch.compile": "C1"}
_SPACING = 0.24  # between contenders, in rows
_LETTERS = 13  # per inch, in small type


def draw(path: Path, found: Benchmark) -> None:
    """Write the chart as PNG, atomically.

    Raises:
        OutputError: it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    batches = list(dict.fromkeys(cell.case.batch for cell in found.cells))
    labels = _labels(found)
    rows = list(dict.fromkeys(labels))
    names = [name for name in _COLOURS if any(name in cell.ratios for cell in found.cells)]
    width = 2.6 + 3.2 * len(batches)
    figure = Figure(figsize=(width, 2.2 + 0.4 * len(rows)), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)  # needs no window and no pyplot state
    panels = figure.subplots(1, len(batches), sharex=True, sharey=True, squeeze=False)[0]
    for batch, axes in zip(batches, panels, strict=True):
        _prepare(axes, len(rows))
        axes.set_title(f"batch {batch:,}", fontsize="medium")
        for cell, label in zip(found.cells, labels, strict=True):
            if cell.case.batch == batch:
                _add(axes, rows.index(label), cell, names)
    _ticks(panels[0])
    panels[0].set_yticks(range(len(rows)), rows)
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    figure.suptitle(f"How many times as fast aeonnx is\n{found.bundle}", fontsize="large")
    note = (
        "Time of the other / time of aeonnx: medians, with quartiles over the rounds. On the "
        f"right: aeonnx's rows/s. {found.machine}, load before {found.load:.1f}."
    )
    figure.supxlabel("\n".join(textwrap.wrap(note, int(_LETTERS * width))), fontsize="small")
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend([handles[name] for name in names], names, loc="outside right center", title="vs")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    files.write_atomic(path, buffer.getvalue())


def _labels(found: Benchmark) -> list[str]:
    """A name for each cell's graph, with provider and threads if there are several of them."""
    cases = [cell.case for cell in found.cells]
    several = len({case.provider for case in cases}) > 1, len({case.threads for case in cases}) > 1
    return [
        ", ".join(
            [f"{case.part} {case.variant}"]
            + [case.provider.removesuffix("ExecutionProvider")] * several[0]
            + [f"threads {case.threads}"] * several[1]
        )
        for case in cases
    ]


def _prepare(axes: Axes, rows: int) -> None:
    axes.set_xscale("log")
    axes.grid(axis="x", alpha=0.3)
    axes.axvline(1.0, color="0.3", linewidth=1)
    for row in range(0, rows, 2):
        axes.axhspan(row - 0.5, row + 0.5, color="0.96", zorder=0)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _ticks(axes: Axes) -> None:
    """Set ticks that do not overlap, on an axis that covers at least 0.45x to 2.2x."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    low, high = axes.get_xlim()
    low, high = min(low, 0.45), max(high, 2.2)
    axes.set_xlim(low, high)
    steps = (1.0,) if high > 300 * low else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _add(axes: Axes, row: int, cell: Cell, names: list[str]) -> None:
    for number, name in enumerate(names):
        if name in cell.ratios:
            ratio = cell.ratios[name]
            axes.errorbar(
                ratio.median,
                row + _SPACING * (number - (len(names) - 1) / 2),
                xerr=[[ratio.median - ratio.low], [ratio.high - ratio.median]],
                fmt="o",
                markersize=5,
                color=_COLOURS[name],
                label=name,
            )
    axes.text(
        1.02,
        row,
        f"{_short(cell.timings[OURS].rows_per_s)}/s",
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize="small",
        color="0.35",
    )


def _short(number: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"
