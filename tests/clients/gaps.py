"""Rows of a table some of whose values are missing, and a bundle that fills them in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

import aeonnx

__all__ = ["NAMES", "WINDOW", "Rows", "fill", "measured"]

Rows = npt.NDArray[np.float32]
NAMES = ("temperature", "pressure", "humidity")
WINDOW = 8


def measured(count: int) -> Rows:
    """Rows in very different units, a tenth of whose values are missing; no row as a whole."""
    rng = np.random.default_rng(0)
    place = np.linspace(0, 9, count)[:, None] + np.arange(3)
    rows = np.sin(place) * (8, 900, 20) + (20, 101325, 50) + rng.normal(size=(count, 3))
    rows[rng.random(rows.shape) < 0.1] = np.nan
    whole = np.isnan(rows).all(1)
    rows[whole] = rows[~whole][: whole.sum()]
    return rows.astype(np.float32)


def table(path: Path) -> Path:
    """A .csv in which a missing value is an empty cell."""
    lines = (["" if np.isnan(value) else f"{value:.6g}" for value in row] for row in measured(240))
    path.write_text("\n".join(map(",".join, (NAMES, *lines))) + "\n")
    return path


def fill(kind: str, folder: Path) -> None:
    """Train and export `folder/bundle`, a model of "rows" or of "windows" of them."""
    folder.mkdir()
    aeonnx.train(
        "ae",
        folder / "run",
        data=table(folder / "rows.csv"),
        missing="impute",
        window=WINDOW if kind == "windows" else None,
        hidden=(16,),
        latent_size=2,
        epochs=1,
        device="cpu",
    )
    parts = ("encoder", "scorer")
    aeonnx.export("ae", folder / "bundle", checkpoint=folder / "run", parts=parts)
