"""Properties of nodes of a captured graph: shapes, axes, pointwise or not, subgraphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

__all__ = [
    "Layout",
    "depends_on_data",
    "has_tensor_output",
    "hint",
    "is_float",
    "is_pointwise",
    "layout",
    "shape_of",
    "sizes_of",
    "subgraph",
    "symbols",
]

# Pointwise, though torch does not tag all overloads; the last three only read a shape.
_POINTWISE = {
    *("hardswish", "log_sigmoid", "prelu", "where", "_to_copy"),
    *("zeros_like", "ones_like", "full_like"),
}
# Operators whose output has features on the last axis, and those that keep the order of axes.
_FEATURES_LAST = {
    *("linear", "addmm", "mm", "matmul", "bmm", "baddbmm", "embedding", "layer_norm"),
    *("native_layer_norm", "rms_norm", "lstm", "gru", "rnn_tanh", "rnn_relu"),
}
_AXES_STAY = {
    *("batch_norm", "_native_batch_norm_legit_no_training", "group_norm", "native_group_norm"),
    *("instance_norm", "dropout", "slice", "split", "split_with_sizes", "chunk", "narrow"),
    *("contiguous", "clone", "getitem", "cat"),
}


def subgraph(
    module: fx.GraphModule, wanted: Sequence[fx.Node], start: fx.Node | None = None
) -> fx.GraphModule:
    """The subgraph that computes some nodes, and outputs them as a tuple.

    Args:
        module: the whole graph; parameters are shared with it.
        wanted: nodes of its graph.
        start: the node that becomes the only input; None keeps the inputs of the module.
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


@dataclass(frozen=True)
class Layout:
    """The axes of rows and units in a tensor.

    Args:
        rows: axis of the batch, or of a multiple of it; None if all rows share the tensor.
        channels: axis of the units; None for a single unit.
        units: number of units.
    """

    rows: int | None
    channels: int | None
    units: int

    def split(self, tensor: Tensor, rows: int) -> Tensor:
        """The tensor as float32 [rows, units, places].

        Raises:
            RuntimeError: the size of its batch axis is no multiple of `rows`.
        """
        values = tensor.float()
        moved = values.unsqueeze(0) if self.channels is None else values.movedim(self.channels, 0)
        if self.rows is None:
            return moved.reshape(1, self.units, -1).expand(rows, -1, -1)
        axis = self.rows + (self.channels is None or self.channels > self.rows)
        moved = moved.movedim(axis, 0)
        moved = moved.reshape(rows, -1, self.units, moved[0, 0].numel())
        return moved.transpose(1, 2).flatten(2)


def layout(node: fx.Node, batch: object) -> Layout:
    """The axes of rows and units in the output of a node.

    Args:
        node: a node that outputs one tensor.
        batch: symbol of the batch size, or the fixed size.
    """
    sizes = sizes_of(node)
    if isinstance(batch, int):
        rows = 0 if isinstance(sizes[0], int) and sizes[0] % batch == 0 else None
    else:
        of_rows = [axis for axis, size in enumerate(sizes) if batch in symbols(size)]
        rows = of_rows[0] if of_rows else None
    last = len(sizes) - 1
    usual = last if _features_last(node) else min(1, last)
    for axis in (usual, last, min(1, last)):
        if axis != rows and isinstance(sizes[axis], int):
            return Layout(rows, axis, int(sizes[axis]))
    return Layout(rows, None, 1)


def _features_last(node: fx.Node) -> bool:
    """Whether features are on the last axis, as a linear layer leaves them, or on axis 1."""
    while True:
        name = _name(node)
        if name in _FEATURES_LAST:
            return True
        before = next((item for item in node.all_input_nodes if sizes_of(item)), None)
        stays = name in _AXES_STAY or is_pointwise(node)
        # A view that only splits or merges rows and tokens.
        if name in {"view", "reshape", "_unsafe_view"} and before is not None:
            stays = shape_of(before)[-1] == shape_of(node)[-1] and len(shape_of(node)) <= 3
        if not stays or before is None or before.op != "call_function":
            return False
        node = before


def _name(node: fx.Node) -> str:
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(getattr(packet, "__name__", packet))


def is_pointwise(node: fx.Node) -> bool:
    """Whether each element of the output depends on the same element of the inputs only."""
    tags = getattr(node.target, "tags", ())
    return torch.Tag.pointwise in tags or _name(node) in _POINTWISE


def is_float(node: fx.Node) -> bool:
    """Whether the output is one floating-point tensor with at least one axis."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 0


def has_tensor_output(user: fx.Node) -> bool:
    """Whether a node outputs tensors or is the graph's output; false for checks and sizes."""
    return user.op == "output" or isinstance(user.meta.get("val"), Tensor | tuple | list)


def sizes_of(node: fx.Node) -> list[Any]:
    """Sizes of a node's (first) tensor, each an int or symbolic; empty without a tensor."""
    value = node.meta.get("val")
    value = value[0] if isinstance(value, tuple | list) and value else value
    return list(value.shape) if isinstance(value, Tensor) else []


def symbols(size: int | torch.SymInt) -> set[object]:
    """The symbols that a size of a captured tensor depends on."""
    return set() if isinstance(size, int) else set(size.node.expr.free_symbols)


def shape_of(node: fx.Node) -> list[str]:
    """The sizes as text: comparing symbolic sizes themselves would specialise them."""
    return [str(size) for size in sizes_of(node)]


def hint(size: Any) -> int:
    """The size during the capture; 1 if it depends on data."""
    return size if isinstance(size, int) else int(size.node.hint or 1)


def depends_on_data(node: fx.Node) -> bool:
    """Whether a size of a node's tensor depends on values, not only on sizes of inputs."""
    return any(not isinstance(size, int) and size.node.hint is None for size in sizes_of(node))
