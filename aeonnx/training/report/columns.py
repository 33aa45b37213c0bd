"""Draw rows of a table, or windows of a time series, beside their reconstructions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from torch import Tensor

from aeonnx.models import Columns
from aeonnx.training.report.pictures import new_figure, save_figure

__all__ = ["draw_columns"]

_MOST = 12  # columns that are drawn
_WIDE = 4  # panels side by side


def draw_columns(path: Path, columns: Columns, x: Tensor, reconstruction: Tensor) -> Path:
    """Plot a panel per column, of the first twelve, in its unit.

    Of rows, each is a point, at its value and the reconstructed one, which lies on the diagonal if
    they are equal. Of windows, the first is drawn with its reconstruction.

    Args:
        path: path of the PNG.
        columns: names and units.
        x: rows [n, D] or windows [n, D, W]; NaN where a value is missing.
        reconstruction: of the same shape.
    """
    values, found = (part.detach().cpu().double().numpy() for part in (x, reconstruction))
    count = min(len(columns.names), _MOST)
    wide = min(count, _WIDE if x.ndim == 2 else 2)
    high = math.ceil(count / wide)
    figure = new_figure(*((3.0 * wide, 2.8 * high) if x.ndim == 2 else (5.0 * wide, 2.2 * high)))
    for place in range(count):
        axes = figure.add_subplot(high, wide, place + 1)
        axes.grid(alpha=0.3)
        unit = columns.units[place] if columns.units else ""
        title = columns.names[place]
        axes.set_title(f"{title[:30]} [{unit}]" if unit else title[:30], fontsize=10)
        axes.tick_params(labelsize=8)
        one, two = values[:, place], found[:, place]
        if x.ndim == 3:
            axes.plot(one[0], color="C0", label="value")
            axes.plot(two[0], color="C1", label="reconstruction", linewidth=1)
            continue
        axes.plot(one, two, ".", color="C0", markersize=3, alpha=0.6, linewidth=0)
        ends = [float(np.nanmin(one)), float(np.nanmax(one))]
        axes.plot(ends, ends, color="0.4", linewidth=0.8)
    if x.ndim == 3:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    else:
        figure.supxlabel("value", fontsize=10)
        figure.supylabel("reconstructed", fontsize=10)
    return save_figure(figure, path)
