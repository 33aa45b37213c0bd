"""Draw a run's pictures: grids of images, loss curves, scatter plots of latents."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from aeonnx.io import images
from aeonnx.training.report.latents import interpolation, manifold, plane_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aeonnx.training.recipes import Picture

__all__ = ["Curve", "draw_images", "draw_latents", "draw_losses", "interpolation", "manifold"]

_WIDTH = 640  # approximate width of a grid of images in pixels
_DPI = 120
_COLOURED = 20  # maximum number of classes with a colour each
_RATES = ("accuracy", "error")  # shares of the images, on another scale than any loss
_ALIKE = 3  # maximum ratio of medians for loss and metric to share an axis
_FEW = 16  # vectors up to this length get a marker per number
_ASIDE = 0.02  # margin beside the curves, as a share of the epochs
_LIGHT = 0.3  # opacity of grid lines


@dataclass(frozen=True)
class Curve:
    """Loss and test metric over the epochs of one stage.

    Args:
        stage: name of the stage.
        train: training loss of each epoch.
        test: test metric of each epoch.
        metric: name of that metric; "loss" if it is the loss on test images.
    """

    stage: str
    train: tuple[float, ...]
    test: tuple[float, ...]
    metric: str


def draw_images(path: Path, picture: Picture) -> Path:
    """Write a PNG grid of images, enlarged by an integer factor; images of height 1 as curves."""
    values = picture.images.float().cpu().numpy()
    if values.shape[2] == 1:
        return _draw_vectors(path, values.reshape(len(values), -1), picture.columns)
    scale = max(1, _WIDTH // (picture.columns * values.shape[3]))
    images.write_grid(path, values, columns=picture.columns, scale=scale, force=True)
    return path


def draw_losses(path: Path, curves: Sequence[Curve]) -> Path:
    """Plot the curves over epochs, one panel per stage, side by side.

    A metric on a different scale than the loss gets its own axis on the right.

    Args:
        path: path of the PNG.
        curves: one curve or more, each with one epoch or more.
    """
    figure = new_figure(5.4 + 4.2 * (len(curves) - 1), 3.8)
    for number, curve in enumerate(curves, start=1):
        axes = figure.add_subplot(1, len(curves), number)
        axes.set_title(curve.stage)
        axes.set_xlabel("epoch")
        _epoch_ticks(axes, max(len(curve.train), len(curve.test)))
        metric = f"test {curve.metric.replace('_', ' ')}"
        if _same_scale(curve):
            lines = [_line(axes, curve.train, "C0"), _line(axes, curve.test, "C1")]
            axes.set_ylabel("loss")
            axes.legend(lines, ["train loss", metric])
        else:
            _line(axes, curve.train, "C0")
            axes.set_ylabel("train loss", color="C0")
            right = axes.twinx()
            _line(right, curve.test, "C1")
            right.set_ylabel(metric, color="C1")
        axes.grid(alpha=_LIGHT)
    return save_figure(figure, path)


def draw_latents(path: Path, z: Tensor, labels: Tensor | None, classes: Sequence[str]) -> Path:
    """Plot latents as a scatter plot, or for d = 1 as a histogram.

    Latents with d > 2 are projected to their first two principal components.

    Args:
        path: path of the PNG.
        z: latents, float32 [n, d], finite.
        labels: int64 [n], for colours; None for points of one colour.
        classes: name of each label; empty to show the label itself.
    """
    figure = new_figure(7.2 if labels is None else 8, 6)
    axes = figure.add_subplot()
    axes.grid(alpha=_LIGHT)
    axes.set_axisbelow(True)
    marks = None if labels is None else labels.cpu().numpy()
    if z.shape[1] == 1:
        _histograms(figure, axes, z[:, 0].detach().cpu().double().numpy(), marks, classes)
    else:
        _scatter(figure, axes, z, marks, classes)
    return save_figure(figure, path)


def _scatter(
    figure: Figure, axes: Axes, z: Tensor, labels: Any | None, classes: Sequence[str]
) -> None:
    plane = plane_of(z)
    points = ((z.detach().cpu().double() - plane.centre) @ plane.axes.T).numpy()
    if z.shape[1] == 2:
        points = points + plane.centre.numpy()
        names = ["z1", "z2"]
    else:
        names = [
            f"principal component {i} ({share:.0%} of the variance)"
            for i, share in enumerate(plane.shares.tolist(), start=1)
        ]
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    # In the order of the data, the last class would cover the others.
    order = np.random.default_rng(0).permutation(len(points))
    colours: Any = "C0"
    if labels is not None:
        kinds = np.unique(labels)
        coloured = len(kinds) <= _COLOURED
        colours = [_colour(kinds, label) for label in labels[order]] if coloured else labels[order]
    size = float(np.clip(40000 / len(points), 3, 30))
    x, y = points[order].T
    dots = axes.scatter(x, y, c=colours, s=size, alpha=0.8, linewidths=0)
    if labels is None:
        return
    if coloured:
        _legend(figure, kinds, classes)
    else:
        figure.colorbar(dots, label="label")


def _histograms(
    figure: Figure, axes: Axes, z: Any, labels: Any | None, classes: Sequence[str]
) -> None:
    axes.set_xlabel("z")
    axes.set_ylabel("latents")
    edges = np.histogram_bin_edges(z, bins=40).tolist()
    kinds = () if labels is None else np.unique(labels)
    if labels is None or len(kinds) > _COLOURED:
        axes.hist(z, bins=edges, color="C0")
        return
    for kind in kinds:
        colour = _colour(kinds, kind)
        axes.hist(z[labels == kind], bins=edges, histtype="step", color=colour, linewidth=1.5)
    _legend(figure, kinds, classes)


def _draw_vectors(path: Path, values: Any, columns: int) -> Path:
    """Plot vectors as small curves on one scale, arranged like a grid of images.

    Args:
        path: path of the PNG.
        values: float32 [n, D].
        columns: curves per row.
    """
    n, size = values.shape
    columns = min(n, columns)
    rows = -(-n // columns)
    figure = new_figure(min(16.0, max(4.0, 1.1 * columns)), min(16.0, max(1.0, 0.9 * rows)))
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    lowest, highest = float(values.min()), float(values.max())
    heights = (values - lowest) / (highest - lowest if highest > lowest else 1)
    # One line for all curves, separated by NaN: one line per curve takes seconds for large grids.
    places = np.arange(n)
    x = np.linspace(0.06, 0.94, size) if size > 1 else np.array([0.5])
    x = x + (places % columns)[:, None]
    y = 0.9 - 0.8 * heights + (places // columns)[:, None]
    breaks = np.full((n, 1), np.nan)
    marker = "." if size <= _FEW else ""
    axes.plot(
        np.hstack([x, breaks]).ravel(), np.hstack([y, breaks]).ravel(), marker=marker, linewidth=1
    )
    axes.vlines(range(columns + 1), 0, rows, colors="0.85", linewidth=0.8)
    axes.hlines(range(rows + 1), 0, columns, colors="0.85", linewidth=0.8)
    return save_figure(figure, path)


def _same_scale(curve: Curve) -> bool:
    """Whether loss and metric are similar enough in scale to share an axis."""
    if curve.metric == "loss":
        return True
    medians = statistics.median(curve.train), statistics.median(curve.test)
    small, large = sorted(map(abs, medians))
    alike = large <= _ALIKE * small and math.prod(medians) >= 0  # a PSNR and a negative PSNR: no
    return curve.metric not in _RATES and alike


def _line(axes: Axes, values: Sequence[float], colour: str) -> Any:
    marker = "o" if len(values) == 1 else ""
    (line,) = axes.plot(range(1, len(values) + 1), values, marker=marker, color=colour)
    return line


def _epoch_ticks(axes: Axes, epochs: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(1 - _ASIDE * epochs, epochs + _ASIDE * epochs)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))


def _colour(kinds: Any, label: Any) -> Any:
    from matplotlib import colormaps

    palette = colormaps["tab10" if len(kinds) <= 10 else "tab20"]
    return palette(int(np.searchsorted(kinds, label)))


def _legend(figure: Figure, kinds: Any, classes: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    names = [classes[kind] if kind < len(classes) else str(kind) for kind in kinds]
    dots = [Line2D([], [], ls="", marker="o", color=_colour(kinds, kind)) for kind in kinds]
    figure.legend(dots, names, loc="outside right upper")


def new_figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("constrained", w_pad=0.1)
    FigureCanvasAgg(figure)  # a backend without windows or pyplot's global state
    return figure


def save_figure(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=_DPI)
    return path
