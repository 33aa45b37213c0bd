"""What nodes of a captured graph are: shapes, axes, pointwise or not, what leads to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

__all__ = [
    "Layout",
    "depends_on_data",
    "hint",
    "is_float",
    "is_pointwise",
    "layout",
    "matters",
    "shape_of",
    "sizes_of",
    "subgraph",
    "symbols",
]

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


@dataclass(frozen=True)
class Layout:
    """Where rows and units are in a tensor.

    Args:
        rows: axis that holds the batch, or a multiple of it; None if all rows share the tensor.
        channels: axis of the units; None for a single one.
        units: their number.
    """

    rows: int | None
    channels: int | None
    units: int

    def split(self, tensor: Tensor, rows: int) -> Tensor:
        """The tensor as float32 [rows, units, places].

        Raises:
            RuntimeError: its batch axis holds no multiple of `rows`.
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
    """Where rows and units are in a tensor.

    Args:
        node: gives the tensor.
        batch: symbol of the batch size, or its fixed size.
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
        # A view that only splits or joins rows and tokens.
        if name in {"view", "reshape", "_unsafe_view"} and before is not None:
            stays = shape_of(before)[-1] == shape_of(node)[-1] and len(shape_of(node)) <= 3
        if not stays or before is None or before.op != "call_function":
            return False
        node = before


def _name(node: fx.Node) -> str:
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(getattr(packet, "__name__", packet))


def is_pointwise(node: fx.Node) -> bool:
    """Whether each element of what it gives depends on the same element of what it takes."""
    tags = getattr(node.target, "tags", ())
    return torch.Tag.pointwise in tags or _name(node) in _POINTWISE


def is_float(node: fx.Node) -> bool:
    """Whether it is one tensor of floating point with at least one axis."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 0


def matters(user: fx.Node) -> bool:
    """Whether a node gives tensors, or is the end of the graph; checks and sizes do not matter."""
    return user.op == "output" or isinstance(user.meta.get("val"), Tensor | tuple | list)


def sizes_of(node: fx.Node) -> list[Any]:
    """Sizes of a node's tensor: int, or symbolic; of the first, if there are several."""
    value = node.meta.get("val")
    value = value[0] if isinstance(value, tuple | list) and value else value
    return list(value.shape) if isinstance(value, Tensor) else []


def symbols(size: int | torch.SymInt) -> set[object]:
    """What a size of a captured tensor depends on."""
    return set() if isinstance(size, int) else set(size.node.expr.free_symbols)


def shape_of(node: fx.Node) -> list[str]:
    """The sizes, to be compared without fixing what is symbolic."""
    return [str(size) for size in sizes_of(node)]


def hint(size: Any) -> int:
    """The size that the capture saw; 1 for one that depends on data."""
    return size if isinstance(size, int) else int(size.node.hint or 1)


def depends_on_data(node: fx.Node) -> bool:
    """Whether a size of a node's tensor follows from values and not from sizes."""
    return any(not isinstance(size, int) and size.node.hint is None for size in sizes_of(node))
