"""Activation functions in a captured graph, found by their slope.

An activation function is a chain of pointwise operators from one tensor, its pre-activation, whose
slope vanishes or nearly on a half line, or around 0: `relu`, `gelu`, `x * sigmoid(x)`,
`where(x > 0, x, 0.01 * x)`, the sigmoid of a gate, `softshrink`. A channel of the pre-activation
is a unit. A unit is active where a wrong weight before or behind it shows: where the slope is at
least `SHARE` of the steepest, and the value as large as if that slope began at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

__all__ = ["GRID", "SHARE", "Activation", "find_activations", "subgraph", "symbols"]

SHARE = 0.1

_MAGNITUDES = (
    *(0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5),
    *(2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0),
)
GRID = torch.tensor([*(-value for value in _MAGNITUDES[::-1]), 0.0, *_MAGNITUDES])
"""Pre-activations that slopes are measured at."""

_END = 2  # points of the grid that must agree on a half line, lest a sine is taken for flat
_AROUND_0 = 0.2  # where shrinking functions are flat, and a square is not
_BOUND = 1000.0  # no activation function is as steep, so that exp is none

# Pointwise, though torch does not tag all of their forms; the last ones only lend their shape.
_POINTWISE = {
    *("hardswish", "log_sigmoid", "prelu", "where", "_to_copy"),
    *("zeros_like", "ones_like", "full_like"),
}
# Operators after which features are last, and those that leave the axes where they are.
_FEATURES_LAST = {
    *("linear", "addmm", "mm", "matmul", "bmm", "baddbmm", "embedding", "layer_norm"),
    *("native_layer_norm", "rms_norm", "lstm", "gru", "rnn_tanh", "rnn_relu"),
}
_AXES_STAY = {
    *("batch_norm", "_native_batch_norm_legit_no_training", "group_norm", "native_group_norm"),
    *("instance_norm", "dropout", "slice", "split", "split_with_sizes", "chunk", "narrow"),
    *("contiguous", "clone", "getitem", "cat"),
}


@dataclass(frozen=True)
class Activation:
    """An activation function and its units.

    Args:
        before: the node of the pre-activation.
        function: maps it to what the function gives, in a tuple.
        rows: axis of the pre-activation that holds the batch, or a multiple of it.
        channels: axis of the units; None for a single one.
        units: their number.
        slopes, values: of the function, float32 [grid, units], absolute.
    """

    before: fx.Node
    function: fx.GraphModule
    rows: int
    channels: int | None
    units: int
    slopes: Tensor
    values: Tensor

    def split(self, tensor: Tensor, rows: int) -> Tensor:
        """A tensor of the pre-activation's shape as [rows, units, places].

        Raises:
            RuntimeError: its batch axis holds no multiple of `rows`.
        """
        return _split(tensor, rows, self.rows, self.channels)

    def active(self, before: Tensor, rows: int, scale: float, share: float) -> Tensor:
        """Whether each unit is active at some place of each row: bool [rows, units].

        Args:
            before: the pre-activation.
            rows: size of the batch.
            scale: of pre-activations, at most 1.
            share: of the steepest slope.
        """
        values, slopes = _values_and_slopes(self.function, before)
        limit = self._limit(share)[:, None]
        shows = (self.split(slopes, rows) >= limit) & (self.split(values, rows) >= scale * limit)
        return shows.any(2)

    def aims(self, scale: float, share: float) -> Tensor:
        """Whether a unit is active with a pre-activation of `GRID`: bool [grid, units]."""
        limit = self._limit(share)
        return (self.slopes >= limit) & (self.values >= scale * limit)

    def _limit(self, share: float) -> Tensor:
        return share * self.slopes.amax(0).clamp(max=1.0)


def find_activations(module: fx.GraphModule, batch: object = None) -> list[Activation]:
    """The activation functions of a functional ATen graph, in its order.

    Args:
        module: the graph, with the shapes that the capture saw.
        batch: symbol of the batch size in these; None for a fixed size, on axis 0.
    """
    sources = _sources(module.graph)
    found = []
    for node, source in sources.items():
        if source is None or source is node or not _is_float(node):
            continue
        if any(_matters(user) and sources.get(user) is not source for user in node.users):
            activation = _measured(source, subgraph(module, [node], source), batch)
            if activation is not None:
                found.append(activation)
    return found


def subgraph(
    module: fx.GraphModule, wanted: Sequence[fx.Node], start: fx.Node | None = None
) -> fx.GraphModule:
    """What leads to some nodes, and gives them as a tuple.

    Args:
        module: its parameters are shared.
        wanted: nodes of its graph.
        start: the only input; by default the inputs of the module are.
    """
    needed: set[fx.Node] = set()
    waiting = list(wanted)
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            if node is not start:
                waiting += node.all_input_nodes
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        if node is start:
            copies[node] = graph.placeholder("before")
        elif node in needed or (start is None and node.op == "placeholder"):
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(tuple(copies[node] for node in wanted))
    return fx.GraphModule(module, graph)


def _sources(graph: fx.Graph) -> dict[fx.Node, fx.Node | None]:
    """For each node the tensor that it is a pointwise function of: itself, if it begins a chain.

    None for what does not depend on the inputs.
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
    return _is_float(source) and _is_pointwise(node) and _shape(node) == _shape(source)


def _measured(source: fx.Node, function: fx.GraphModule, batch: object) -> Activation | None:
    """The activation function, or None if the slope vanishes nowhere."""
    rows, channels, units = _layout(source, batch)
    shape = [1] * len(_sizes(source))
    shape[rows] = len(GRID)
    if channels is not None:
        shape[channels] = units
    grid = GRID.to(source.meta["val"].dtype).reshape(-1, *[1] * (len(shape) - rows - 1))
    try:
        values, slopes = _values_and_slopes(function, grid.expand(shape))
        if values.shape != slopes.shape:  # the function has constants of its own for each place
            values, slopes = _values_and_slopes(function, grid.expand(values.shape))
        at_grid = [_split(item, len(GRID), rows, channels).amax(2) for item in (slopes, values)]
    except RuntimeError:  # constants of the batch that was traced: none that runs at another
        return None
    steepest = at_grid[0].amax(0)
    if not at_grid[0].isfinite().all() or not 0 < steepest.max() <= _BOUND:
        return None
    flat = at_grid[0] < SHARE * steepest.clamp(max=1.0)
    middle = GRID.abs() <= _AROUND_0
    if not (flat[:_END].all(0) | flat[-_END:].all(0) | flat[middle].all(0)).any():
        return None
    return Activation(source, function, rows, channels, units, *at_grid)


def _values_and_slopes(function: fx.GraphModule, before: Tensor) -> tuple[Tensor, Tensor]:
    """|f| and |df / d before|, float32 of the shape of f and of `before`."""
    with torch.enable_grad():
        leaf = before.detach().clone().requires_grad_()
        (value,) = function(leaf)
        if value.requires_grad:
            (slope,) = torch.autograd.grad(value.sum(), leaf, materialize_grads=True)
        else:
            slope = torch.zeros_like(leaf)
    return value.detach().float().abs(), slope.float().abs()


def _split(tensor: Tensor, rows: int, axis: int, channels: int | None) -> Tensor:
    if channels is None:
        return tensor.movedim(axis, 0).reshape(rows, 1, -1)
    moved = tensor.movedim((axis, channels), (0, 1)).unsqueeze(2).flatten(2)
    return moved.reshape(rows, -1, *moved.shape[1:]).transpose(1, 2).flatten(2)


def _layout(node: fx.Node, batch: object) -> tuple[int, int | None, int]:
    """Axis of the rows, axis of the units, number of units."""
    sizes = _sizes(node)
    of_rows = [axis for axis, size in enumerate(sizes) if batch in symbols(size)]
    rows = of_rows[0] if of_rows else 0
    last = len(sizes) - 1
    channels = last if _features_last(node) else min(1, last)
    if channels == rows or not isinstance(sizes[channels], int):
        others = [axis for axis in (last, 1) if axis < len(sizes) and axis != rows]
        channels = next((axis for axis in others if isinstance(sizes[axis], int)), -1)
    return (rows, channels, int(sizes[channels])) if channels >= 0 else (rows, None, 1)


def _features_last(node: fx.Node) -> bool:
    """Whether features are on the last axis, as a linear layer leaves them, or on axis 1."""
    while True:
        name = _name(node)
        if name in _FEATURES_LAST:
            return True
        before = next((item for item in node.all_input_nodes if _sizes(item)), None)
        stays = name in _AXES_STAY or _is_pointwise(node)
        # A view that only splits or joins rows and tokens.
        if name in {"view", "reshape", "_unsafe_view"} and before is not None:
            stays = str(_sizes(before)[-1]) == str(_sizes(node)[-1]) and len(_sizes(node)) <= 3
        if not stays or before is None or before.op != "call_function":
            return False
        node = before


def _name(node: fx.Node) -> str:
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(getattr(packet, "__name__", packet))


def _is_pointwise(node: fx.Node) -> bool:
    tags = getattr(node.target, "tags", ())
    return torch.Tag.pointwise in tags or _name(node) in _POINTWISE


def _is_float(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 0


def _matters(user: fx.Node) -> bool:
    return user.op == "output" or isinstance(user.meta.get("val"), Tensor | tuple | list)


def _sizes(node: fx.Node) -> list[Any]:
    """Sizes of a node's tensor: int, or symbolic; of the first, if there are several."""
    value = node.meta.get("val")
    value = value[0] if isinstance(value, tuple | list) and value else value
    return list(value.shape) if isinstance(value, Tensor) else []


def symbols(size: int | torch.SymInt) -> set[object]:
    """What a size of a captured tensor depends on."""
    return set() if isinstance(size, int) else set(size.node.expr.free_symbols)


def _shape(node: fx.Node) -> list[str]:
    return [str(size) for size in _sizes(node)]
