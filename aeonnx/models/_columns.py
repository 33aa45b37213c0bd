"""Rows of numbers in any unit: columns of a table, or windows of a time series."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from aeonnx._util.serde import require
from aeonnx.bundle import BATCH, TensorSpec
from aeonnx.models._model import Part

__all__ = ["Columns", "Restored", "Standardized", "columns_scorer", "rows", "set_scale"]


@dataclass(frozen=True)
class Columns:
    """What the numbers of a row are.

    Args:
        names: of the columns.
        units: such as "°C", "" for a column without one; () if no column has one.
        missing: whether NaN stands for a missing value; otherwise there are none.
    """

    names: tuple[str, ...]
    units: tuple[str, ...] = ()
    missing: bool = False

    def __post_init__(self) -> None:
        require(self.names, "expected the name of one column or more, got none")
        require(
            len(self.units) in (0, len(self.names)),
            f"expected a unit for each of {len(self.names)} columns, got {len(self.units)}",
        )


def rows(name: str, columns: Columns, shape: tuple[int, ...], description: str) -> TensorSpec:
    """The spec of rows: vectors [batch, D], or windows [batch, D, W] as signals, float32.

    The values are in the units of the data, and have no range.
    """
    kind = "vector" if len(shape) == 1 else "signal"
    return TensorSpec(
        name,
        (BATCH, *shape),
        description=description,
        kind=kind,
        names=columns.names,
        units=columns.units,
    )


class _Scale(nn.Module):
    """How each column is standardised: (x - centre) / scale, and `fill` for a missing value.

    Args:
        columns: number of columns D.
    """

    fill: Tensor
    centre: Tensor
    scale: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("fill", torch.zeros(columns))
        self.register_buffer("centre", torch.zeros(columns))
        self.register_buffer("scale", torch.ones(columns))

    @property
    def constant(self) -> Tensor:
        """What stands for a missing value, standardised, [D]."""
        return (self.fill - self.centre) / self.scale

    def along(self, values: Tensor, like: Tensor) -> Tensor:
        """Numbers of the columns, [D], beside rows [N, D, ...]."""
        return values.view(-1, *(1,) * (like.ndim - 2))


def set_scale(model: nn.Module, fill: Tensor, centre: Tensor, scale: Tensor) -> None:
    """Set how a model standardises its columns; float32 [D] each."""
    for module in model.modules():
        if isinstance(module, _Scale):
            for name, values in (("fill", fill), ("centre", centre), ("scale", scale)):
                getattr(module, name).copy_(values)


class Standardized(nn.Module):
    """An encoder of raw rows: x [N, D] or [N, D, W], NaN where a value is missing -> z.

    Args:
        scale: of the columns, shared with the decoder.
        network: of standardised rows.
        missing: whether values may be missing.
    """

    def __init__(self, scale: _Scale, network: nn.Module, *, missing: bool) -> None:
        super().__init__()
        self.scale, self.network, self.missing = scale, network, missing

    @classmethod
    def of(cls, columns: Columns, network: nn.Module) -> Standardized:
        """One with a scale of its own, which has still to be set."""
        return cls(_Scale(len(columns.names)), network, missing=columns.missing)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.network(self.standardized(x))
        return z

    def standardized(self, x: Tensor) -> Tensor:
        """Standardised rows, complete."""
        scale = self.scale
        if self.missing:
            x = torch.where(torch.isnan(x), scale.along(scale.fill, x), x)
        return (x - scale.along(scale.centre, x)) / scale.along(scale.scale, x)


class Restored(nn.Module):
    """A decoder to raw rows: z [N, latent_size] -> [N, D] or [N, D, W] in the units of the data.

    Args:
        scale: of the columns, shared with the encoder.
        network: z -> standardised rows.
    """

    def __init__(self, scale: _Scale, network: nn.Module) -> None:
        super().__init__()
        self.scale, self.network = scale, network

    def forward(self, z: Tensor) -> Tensor:
        return self.raw(self.network(z))

    def raw(self, rows: Tensor) -> Tensor:
        """Standardised rows in the units of the data."""
        scale = self.scale
        return rows * scale.along(scale.scale, rows) + scale.along(scale.centre, rows)


class ColumnsScorer(nn.Module):
    """Anomaly score: x -> reconstruction of its shape, error [N], map of the shape of x.

    The map is the squared difference between a row and its reconstruction, both standardised, so
    that all columns count alike whatever their units; 0 where a value is missing. The error is the
    mean of the map over the values that are there.
    """

    def __init__(self, encoder: Standardized, decoder: Restored) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = self.encoder.standardized(x)
        found = self.decoder.network(self.encoder.network(rows))
        squares = (rows - found).square()
        if not self.encoder.missing:
            return self.decoder.raw(found), squares.flatten(1).mean(1), squares
        there = (~torch.isnan(x)).to(squares.dtype)
        squares = squares * there
        count = there.flatten(1).sum(1).clamp(min=1)
        return self.decoder.raw(found), squares.flatten(1).sum(1) / count, squares


def columns_scorer(encoder: Standardized, decoder: Restored, whole: Part) -> Part:
    """The part that scores rows, beside the one that reconstructs them."""
    error = TensorSpec(
        "error",
        (BATCH,),
        range=None,
        description="mean squared error of the standardised reconstruction",
        kind="score",
    )
    places = replace(
        whole.outputs[0],
        name="map",
        description="squared error of each standardised value, 0 where it is missing",
        kind="other",
        units=(),
    )
    outputs = (*whole.outputs, error, places)
    return Part(ColumnsScorer(encoder, decoder), whole.inputs, outputs, percentiles=("error",))
