"""Find activation functions in a captured graph by their slope.

An activation function is a chain of pointwise operators from one tensor, its pre-activation, whose
slope is 0 or nearly 0 on a half line, or around 0: `relu`, `gelu`, `x * sigmoid(x)`,
`where(x > 0, x, 0.01 * x)`, the sigmoid of a gate, `softshrink`. A channel of the pre-activation
is a unit. A unit is active where a wrong weight before or after it changes outputs: where the slope
is at least `SHARE` of the steepest, and the value at least that slope times the pre-activations'
scale (see `Activation.limits`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from aeonnx.exporting.verify.nodes import (
    Layout,
    depends_on_data,
    has_tensor_output,
    hint,
    is_float,
    is_pointwise,
    layout,
    shape_of,
    sizes_of,
    subgraph,
)

__all__ = ["GRID", "SHARE", "Activation", "find_activations"]

SHARE = 0.15  # more than the slope of GELU's dip on its flat side

_MAGNITUDES = (
    *(0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5),
    *(2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0),
)
GRID = torch.tensor([*(-value for value in _MAGNITUDES[::-1]), 0.0, *_MAGNITUDES])
"""Pre-activations at which slopes are measured."""

_END = 2  # points at an end of the grid that must be flat, so that a sine does not count as flat
_AROUND_0 = 0.2  # shrinkage functions are flat up to here, a square is not
_BOUND = 1000.0  # steepest slope of an activation function; excludes exp


@dataclass(frozen=True)
class Activation:
    """An activation function and its units.

    Args:
        before: the node of the pre-activation.
        function: maps the pre-activation to a tuple of the function's output.
        layout: axes of rows and units in the pre-activation.
        slopes, values: absolute slopes and values of the function on `GRID`, float32 [grid, units].
    """

    before: fx.Node
    function: fx.GraphModule
    layout: Layout
    slopes: Tensor
    values: Tensor

    def limits(self, scale: float, share: float) -> tuple[Tensor, Tensor]:
        """The least slopes and values of active units, each float32 [units].

        Args:
            scale: scale of the pre-activations.
            share: least slope, as a share of the steepest.
        """
        slopes = share * self.slopes.amax(0).clamp(max=1.0)
        return slopes, scale * slopes

    def active(self, before: Tensor, rows: int, limits: tuple[Tensor, Tensor]) -> Tensor:
        """Whether each unit is active at some place of each row: bool [rows, units].

        Args:
            before: the pre-activation.
            rows: batch size.
            limits: least slopes and values; see `limits`.
        """
        values, slopes = (
            self.layout.split(item, rows) for item in _values_and_slopes(self.function, before)
        )
        return ((slopes >= limits[0][:, None]) & (values >= limits[1][:, None])).any(2)


def find_activations(module: fx.GraphModule, batch: object) -> list[Activation]:
    """The activation functions of a functional ATen graph, in graph order.

    Args:
        module: the graph, with the shapes of the capture.
        batch: symbol of the batch size in these shapes, or the fixed size.
    """
    sources = _sources(module.graph)
    found = []
    for node, source in sources.items():
        if source is None or source is node or not is_float(node):
            continue
        if any(has_tensor_output(user) and sources.get(user) is not source for user in node.users):
            activation = _measured(source, subgraph(module, [node], source), batch)
            if activation is not None:
                found.append(activation)
    return found


def _sources(graph: fx.Graph) -> dict[fx.Node, fx.Node | None]:
    """For each node the node that it is a pointwise function of: itself, if it starts a chain.

    None for nodes that do not depend on the inputs.
    """
    sources: dict[fx.Node, fx.Node | None] = {}
    for node in graph.nodes:
        if node.op == "output":
            continue
        known = {sources[item] for item in node.all_input_nodes} - {None}
        if node.op == "get_attr" or (node.op == "call_function" and not known):
            sources[node] = None
            continue
        source = known.pop() if len(known) == 1 else None
        sources[node] = source if source is not None and _extends(node, source) else node
    return sources


def _extends(node: fx.Node, source: fx.Node) -> bool:
    return is_float(source) and is_pointwise(node) and shape_of(node) == shape_of(source)


def _measured(source: fx.Node, function: fx.GraphModule, batch: object) -> Activation | None:
    """The function with its slopes; None if it is no activation function."""
    if depends_on_data(source):
        return None
    place = layout(source, batch)
    try:
        slopes, values = _on_grid(source, function, place)
    except RuntimeError:  # it has constants of the traced batch size
        slopes, values = _on_grid_one_by_one(source, function, place)
    steepest = slopes.amax(0)
    if not slopes.isfinite().all() or not 0 < steepest.max() <= _BOUND:
        return None
    flat = slopes < SHARE * steepest.clamp(max=1.0)
    middle = GRID.abs() <= _AROUND_0
    if not (flat[:_END].all(0) | flat[-_END:].all(0) | flat[middle].all(0)).any():
        return None
    return Activation(source, function, place, slopes, values)


def _on_grid(source: fx.Node, function: fx.GraphModule, place: Layout) -> tuple[Tensor, Tensor]:
    """Slopes and values at `GRID`, each [grid, units]."""
    if place.rows is None:
        return _on_grid_one_by_one(source, function, place)
    shape = [1] * len(sizes_of(source))
    shape[place.rows] = len(GRID)
    if place.channels is not None:
        shape[place.channels] = place.units
    grid = GRID.to(source.meta["val"].dtype).reshape(-1, *[1] * (len(shape) - place.rows - 1))
    values, slopes = _values_and_slopes(function, grid.expand(shape))
    if values.shape != slopes.shape:  # the function has a constant for each place
        values, slopes = _values_and_slopes(function, grid.expand(values.shape))
    split = place.split
    return split(slopes, len(GRID)).amax(2), split(values, len(GRID)).amax(2)


def _on_grid_one_by_one(
    source: fx.Node, function: fx.GraphModule, place: Layout
) -> tuple[Tensor, Tensor]:
    """The same, one point of the grid at a time in the traced shape."""
    before = torch.empty([hint(size) for size in sizes_of(source)], dtype=source.meta["val"].dtype)
    pairs = [_values_and_slopes(function, before.fill_(point)) for point in GRID.tolist()]
    values, slopes = (
        torch.stack([place.split(item, 1).amax((0, 2)) for item in items])
        for items in zip(*pairs, strict=True)
    )
    return slopes, values


def _values_and_slopes(function: fx.GraphModule, before: Tensor) -> tuple[Tensor, Tensor]:
    """|f| and |df / d before|, of the shape of f and of `before`."""
    with torch.enable_grad():
        leaf = before.detach().clone().requires_grad_()
        (value,) = function(leaf)
        if value.requires_grad:
            (slope,) = torch.autograd.grad(value.sum(), leaf, materialize_grads=True)
        else:
            slope = torch.zeros_like(leaf)
    return value.detach().abs(), slope.abs()
