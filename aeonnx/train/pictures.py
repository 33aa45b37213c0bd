"""Pictures of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aeonnx import images
from aeonnx.train.recipes import Picture

if TYPE_CHECKING:
    from aeonnx.train.fit import Epoch

__all__ = ["draw_images", "draw_losses"]

_WIDTH = 640  # pixels that a picture of images should about have


def draw_images(path: Path, picture: Picture) -> Path:
    """Write a grid of images, enlarged by a whole factor."""
    values = picture.images.float().cpu().numpy()
    scale = max(1, _WIDTH // (picture.columns * values.shape[3]))
    images.write_grid(path, values, columns=picture.columns, scale=scale, force=True)
    return path


def draw_losses(path: Path, epochs: Sequence[Epoch]) -> Path:
    """Write a plot over epochs: the training loss, and the first test metric."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    metric = next(iter(epochs[-1].test))
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    numbers = [epoch.epoch for epoch in epochs]
    marker = "o" if len(epochs) == 1 else ""
    axes.plot(numbers, [epoch.train["loss"] for epoch in epochs], marker=marker, label="train loss")
    label = f"test {metric.replace('_', ' ')}"
    axes.plot(numbers, [epoch.test[metric] for epoch in epochs], marker=marker, label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    return path
