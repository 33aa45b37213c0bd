"""Rules that express operators changed between opset 13 and 18 in an older opset.

The changes are listed in https://github.com/onnx/onnx/blob/main/docs/Changelog.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx.helper
import onnx.numpy_helper
from onnx import NodeProto, TensorProto

__all__ = ["INSTEAD", "RULES", "SAME", "Known"]


@dataclass
class Known:
    """What is known of the graph around a node, and the constants that rules add to it.

    Args:
        opset: target opset.
        shapes: shape by tensor name; None for unknown sizes.
        types: element type (`TensorProto.DataType`) by tensor name.
        constants: initializers by name.
        added: new initializers.
    """

    opset: int
    shapes: Mapping[str, list[int | None]]
    types: Mapping[str, int]
    constants: Mapping[str, TensorProto]
    added: list[TensorProto] = field(default_factory=list)

    def constant(self, name: str, values: np.ndarray) -> str:
        """Add a constant and return its name."""
        self.added.append(onnx.numpy_helper.from_array(values, name))
        return name

    def value(self, name: str) -> np.ndarray | None:
        """The value of a constant; None if `name` is not a constant."""
        if name not in self.constants:
            return None
        return onnx.numpy_helper.to_array(self.constants[name])


Rule = Callable[[NodeProto, Known], list[NodeProto] | None]
"""Returns the nodes that replace a node, or None if the older opset cannot express it."""


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}


def _rewritten(
    node: NodeProto,
    op_type: str | None = None,
    inputs: list[str] | None = None,
    **attributes: Any,
) -> NodeProto:
    """The node with a new operator or inputs if given, and only these attributes."""
    made = onnx.helper.make_node(
        op_type or node.op_type,
        [*node.input] if inputs is None else inputs,
        [*node.output],
        node.name,
        **attributes,
    )
    made.metadata_props.extend(node.metadata_props)
    return made


def _without(node: NodeProto, **defaults: Any) -> list[NodeProto] | None:
    """The node without attributes that older opsets lack; None if one is not at its default."""
    attributes = _attributes(node)
    for name, default in defaults.items():
        if attributes.pop(name, default) != default:
            return None
    return [_rewritten(node, **attributes)]


def _split(node: NodeProto, known: Known) -> list[NodeProto] | None:
    # Opset 18 added num_outputs. Sizes as an input exist since opset 13.
    attributes = _attributes(node)
    count = attributes.pop("num_outputs", None)
    if count is None:
        return [node]
    axis = attributes.get("axis", 0)
    shape = known.shapes.get(node.input[0])
    size = shape[axis] if shape else None
    if size is None:
        return None
    most = -(-size // count)
    sizes = [most] * (len(node.output) - 1)
    sizes.append(size - sum(sizes))
    name = known.constant(f"{node.output[0]}_sizes", np.array(sizes, np.int64))
    return [_rewritten(node, inputs=[node.input[0], name], **attributes)]


def _pad(node: NodeProto, known: Known) -> list[NodeProto] | None:
    if len(node.input) < 4 or not node.input[3]:
        return [node]
    shape = known.shapes.get(node.input[0])
    pads, axes = known.value(node.input[1]), known.value(node.input[3])
    if shape is None or pads is None or axes is None:
        return None
    whole = np.zeros((2, len(shape)), np.int64)
    whole[:, axes] = pads.reshape(2, -1)
    name = known.constant(f"{node.output[0]}_pads", whole.ravel())
    return [_rewritten(node, inputs=[node.input[0], name, node.input[2]], **_attributes(node))]


def _reduce(node: NodeProto, known: Known) -> list[NodeProto] | None:
    attributes = _attributes(node)
    empty_is_none = attributes.pop("noop_with_empty_axes", 0)
    if len(node.input) < 2 or not node.input[1]:
        if empty_is_none:
            return [_rewritten(node, "Identity", [node.input[0]])]
        return [_rewritten(node, inputs=[node.input[0]], **attributes)]
    axes = known.value(node.input[1])
    if axes is None or (not axes.size and empty_is_none):
        return None
    if axes.size:
        attributes["axes"] = [int(axis) for axis in axes.ravel()]
    return [_rewritten(node, inputs=[node.input[0]], **attributes)]


def _resize(node: NodeProto, known: Known) -> list[NodeProto] | None:  # noqa: ARG001
    return _without(node, antialias=0, keep_aspect_ratio_policy=b"stretch")


def _scatter(node: NodeProto, known: Known) -> list[NodeProto] | None:
    reduction = _attributes(node).get("reduction", b"none")
    if known.opset >= 16 and reduction in (b"none", b"add", b"mul"):
        return [node]
    return _without(node, reduction=b"none")


def _recurrent(node: NodeProto, known: Known) -> list[NodeProto] | None:  # noqa: ARG001
    return _without(node, layout=0)


def _batch_norm(node: NodeProto, known: Known) -> list[NodeProto] | None:  # noqa: ARG001
    return _without(node, training_mode=0)


def _reshape(node: NodeProto, known: Known) -> list[NodeProto] | None:
    sizes = known.value(node.input[1])
    attributes = _attributes(node)
    if attributes.pop("allowzero", 0) and (sizes is None or not sizes.all()):
        return None  # a size 0 means an empty axis; older opsets copy the input's size instead
    return [_rewritten(node, **attributes)]


def _shape(node: NodeProto, known: Known) -> list[NodeProto] | None:
    attributes = _attributes(node)
    if not attributes:
        return [node]
    name = node.output[0]
    first = attributes.get("start", 0)
    last = attributes.get("end", np.iinfo(np.int64).max)
    return [
        onnx.helper.make_node("Shape", [node.input[0]], [f"{name}_whole"], f"{node.name}_whole"),
        _rewritten(
            node,
            "Slice",
            [
                f"{name}_whole",
                known.constant(f"{name}_start", np.array([first], np.int64)),
                known.constant(f"{name}_end", np.array([last], np.int64)),
            ],
        ),
    ]


def _layer_norm(node: NodeProto, known: Known) -> list[NodeProto] | None:
    # (x - mean) / sqrt(variance + epsilon) * scale + bias, over the last axes, in the type of x, as
    # in the operator's ONNX specification.
    shape = known.shapes.get(node.input[0])
    if shape is None or len([name for name in node.output if name]) > 1:
        return None
    attributes = _attributes(node)
    axis = attributes.get("axis", -1)
    axes = list(range(axis % len(shape) - len(shape), 0))
    name = node.output[0]
    kind = onnx.helper.tensor_dtype_to_np_dtype(known.types[node.input[0]])
    epsilon = known.constant(
        f"{name}_epsilon", np.array(attributes.get("epsilon", 1e-5), np.float32).astype(kind)
    )
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("ReduceMean", [node.input[0]], "mean", {"axes": axes}),
        ("Sub", [node.input[0], f"{name}_mean"], "centred", {}),
        ("Mul", [f"{name}_centred", f"{name}_centred"], "squares", {}),
        ("ReduceMean", [f"{name}_squares"], "variance", {"axes": axes}),
        ("Add", [f"{name}_variance", epsilon], "floored", {}),
        ("Sqrt", [f"{name}_floored"], "deviation", {}),
        ("Div", [f"{name}_centred", f"{name}_deviation"], "standard", {}),
    ]
    last = f"{name}_standard"
    for operator, other in zip(("Mul", "Add"), node.input[1:], strict=False):
        if other:
            steps.append((operator, [last, other], f"{operator.lower()}", {}))
            last = f"{name}_{operator.lower()}"
    made = [
        onnx.helper.make_node(operator, inputs, [f"{name}_{what}"], f"{node.name}_{what}", **more)
        for operator, inputs, what, more in steps
    ]
    made[-1].output[0] = name
    return made


def _hard_swish(node: NodeProto, known: Known) -> list[NodeProto] | None:  # noqa: ARG001
    gate = f"{node.output[0]}_gate"
    return [
        onnx.helper.make_node(
            "HardSigmoid", [node.input[0]], [gate], f"{node.name}_gate", alpha=1 / 6, beta=0.5
        ),
        _rewritten(node, "Mul", [node.input[0], gate]),
    ]


def _mish(node: NodeProto, known: Known) -> list[NodeProto] | None:  # noqa: ARG001
    name = node.output[0]
    return [
        onnx.helper.make_node("Softplus", [node.input[0]], [f"{name}_soft"], f"{node.name}_soft"),
        onnx.helper.make_node("Tanh", [f"{name}_soft"], [f"{name}_tanh"], f"{node.name}_tanh"),
        _rewritten(node, "Mul", [node.input[0], f"{name}_tanh"]),
    ]


def _trilu(node: NodeProto, known: Known) -> list[NodeProto] | None:
    shape = known.shapes.get(node.input[0])
    given = len(node.input) > 1 and node.input[1]
    offset = known.value(node.input[1]) if given else np.zeros((), np.int64)
    if shape is None or offset is None or None in shape[-2:]:
        return None
    rows, columns = (int(size or 0) for size in shape[-2:])
    keep = np.tri(rows, columns, int(offset.item()), bool)
    if _attributes(node).get("upper", 1):
        keep = ~np.tri(rows, columns, int(offset.item()) - 1, bool)
    kind = onnx.helper.tensor_dtype_to_np_dtype(known.types[node.input[0]])
    mask = known.constant(f"{node.output[0]}_kept", keep)
    zero = known.constant(f"{node.output[0]}_zero", np.zeros((), kind))
    return [_rewritten(node, "Where", [mask, node.input[0], zero])]


SAME = frozenset(
    {
        "Add",
        "CumSum",
        "Div",
        "GreaterOrEqual",
        "Identity",
        "If",
        "LeakyRelu",
        "LessOrEqual",
        "Loop",
        "Mul",
        "PRelu",
        "Pow",
        "Relu",
        "Scan",
        "Sub",
        "Where",
    }
)
"""Operators that only gained dtypes between opset 13 and 18."""

RULES: dict[str, Rule] = {
    "BatchNormalization": _batch_norm,
    "GRU": _recurrent,
    "HardSwish": _hard_swish,
    "LSTM": _recurrent,
    "LayerNormalization": _layer_norm,
    "Mish": _mish,
    "Pad": _pad,
    "RNN": _recurrent,
    "ReduceL1": _reduce,
    "ReduceL2": _reduce,
    "ReduceLogSum": _reduce,
    "ReduceLogSumExp": _reduce,
    "ReduceMax": _reduce,
    "ReduceMean": _reduce,
    "ReduceMin": _reduce,
    "ReduceProd": _reduce,
    "ReduceSumSquare": _reduce,
    "Reshape": _reshape,
    "Resize": _resize,
    "ScatterElements": _scatter,
    "ScatterND": _scatter,
    "Shape": _shape,
    "Split": _split,
    "Trilu": _trilu,
}

INSTEAD = {
    "Col2Im": "write F.fold as nn.PixelShuffle or a ConvTranspose with fixed weights",
    "DFT": "write the Fourier transform as a product with a matrix of sines and cosines",
    "GridSample": "sample with F.interpolate, or with fixed weights",
    "Reshape": "pass sizes to reshape as Python numbers",
    "Resize": "call F.interpolate without antialias",
    "ScatterElements": "write sums over an index as a product with a one-hot matrix",
    "ScatterND": "write sums over an index as a product with a one-hot matrix",
    "Split": "split an axis of fixed size, not the batch",
    "STFT": "write the Fourier transform as a convolution with sines and cosines",
    "Trilu": "keep the triangular mask as a buffer",
}
"""What to write in torch instead of operators that older opsets do not support."""
