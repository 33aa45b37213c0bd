"""Faults in sizes, the order of axes and outputs, resizing and padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto, ValueInfoProto

from faults.graphs import LAYERS, Graph, attribute, set_attribute
from faults.kinds import fault, sized


def _fix(value: ValueInfoProto, axis: int, size: int) -> None:
    value.type.tensor_type.shape.dim[axis].Clear()
    value.type.tensor_type.shape.dim[axis].dim_value = size


@fault("batch frozen in the signature", "2 for any", "pytorch/pytorch 157621", scale="none")
def frozen_signature(graph: Graph) -> bool:
    for value in [*graph.model.graph.input, *graph.model.graph.output]:
        _fix(value, 0, 2)
    return True


@fault("batch frozen inside", "a reshape to 2 rows", "pytorch/pytorch 149065", scale="none")
def frozen_reshape(graph: Graph) -> bool:
    for node in graph.nodes("Reshape"):
        shape = graph.shape(node.output[0])
        if shape and shape[0] is None and None not in shape[1:]:
            graph.give(node, 1, np.array([2, *(size or 1 for size in shape[1:])]))
            return True
    return False


@fault(
    "batch of the trace in an index", "rows after the second take the place of the first two", ""
)
def frozen_index(graph: Graph) -> bool:
    for node in graph.nodes(*LAYERS):
        rows = graph.wrapped(node)
        first = [graph.store(np.array([number])) for number in (0, 1)]
        batch = graph.emit("Slice", graph.emit("Shape", rows), first[0], first[1])
        zero, one = (graph.store(np.array(number)) for number in (0, 1))
        all_ = graph.emit("Range", zero, graph.emit("Squeeze", batch), one)
        own = graph.emit("Mod", all_, graph.store(np.array(2)))
        # A batch of one has no second row to use.
        graph.wrap(node, graph.emit("Gather", rows, own, axis=0))
        return True
    return False


@fault(
    "size frozen in the signature",
    "another height",
    "",
    scale="none",
)
def frozen_size(graph: Graph) -> bool:
    found = False
    for value in [*graph.model.graph.input, *graph.model.graph.output]:
        sizes = value.type.tensor_type.shape.dim
        if len(sizes) == 4:
            _fix(value, 2, sizes[2].dim_value - 4)
            found = True
    return found


@fault("outputs swapped", "the second first", "pytorch/pytorch 165758")
def swapped(graph: Graph) -> bool:
    names = [value.name for value in graph.model.graph.output]
    shapes = [graph.shape(name) for name in names]
    if len(names) < 2 or shapes[0] != shapes[1]:
        return False
    other = dict(zip(names[:2], names[1::-1], strict=True))
    for node in graph.nodes():
        node.output[:] = [other.get(name, name) for name in node.output]
        node.input[:] = [other.get(name, name) for name in node.input]
    return True


@fault("order of a split", "the first part last", "PINTO0309/onnx2tf 588")
def split(graph: Graph) -> bool:
    for node in graph.nodes("Split"):
        node.output[:] = [*node.output[1:], node.output[0]]
        return True
    return False


@fault("order of a concatenation", "the skip connection first", "")
def concatenation(graph: Graph) -> bool:
    for node in graph.nodes("Concat"):
        shapes = [graph.shape(name) for name in node.input]
        if all(shape and len(shape) == 4 for shape in shapes):
            node.input[:] = list(node.input)[::-1]
            return True
    return False


@fault(
    "order of a flatten",
    "height, width, channels for channels, height, width",
    "microsoft/MMdnn 250",
)
def flatten(graph: Graph) -> bool:
    for node in graph.nodes("Reshape", "Flatten"):
        before, after = graph.shape(node.input[0]), graph.shape(node.output[0])
        if before and after and len(before) == 4 and len(after) == 2 and (before[1] or 0) > 1:
            last = graph.emit("Transpose", node.input[0], perm=[0, 2, 3, 1])
            sizes = graph.store(np.array([-1, after[1] or 1]))
            graph.replace(node, graph.emit("Reshape", last, sizes))
            return True
        if before and after and len(before) == 2 and len(after) == 4 and (after[1] or 0) > 1:
            channels, height, width = (size or 1 for size in after[1:])
            sizes = graph.store(np.array([-1, height, width, channels]))
            apart = graph.emit("Reshape", node.input[0], sizes)
            graph.replace(node, graph.emit("Transpose", apart, perm=[0, 3, 1, 2]))
            return True
    return False


@fault("layout mixed up", "a reshape for a transpose", "keras-team/keras 9696")
def layout(graph: Graph) -> bool:
    for node in graph.nodes("Transpose"):
        if graph.constant(node.input[0]) is None:
            right = graph.wrapped(node)
            shape = graph.emit("Shape", right)
            graph.wrap(node, graph.emit("Reshape", node.input[0], shape))
            return True
    return False


@fault("axes of a transpose", "the last two swapped", "microsoft/onnxscript 2891")
def permutation(graph: Graph) -> bool:
    for node in graph.nodes("Transpose"):
        shape = graph.shape(node.output[0]) or ()
        if graph.constant(node.input[0]) is None and len(shape) > 3 and shape[-1] == shape[-2]:
            order = list(attribute(node, "perm"))
            set_attribute(node, "perm", [*order[:-2], order[-1], order[-2]])
            return True
    return False


@fault("bias along the wrong axis", "width for channels", "openxla/xla 46897")
def bias_axis(graph: Graph) -> bool:
    for node in graph.nodes("Conv", "ConvTranspose"):
        shape = graph.shape(node.output[0])
        values = graph.constant(node.input[2]) if len(node.input) > 2 else None
        if values is not None and shape and shape[-1] == values.size:
            del node.input[2:]
            alone = graph.wrapped(node)
            graph.wrap(node, graph.emit("Add", alone, graph.store(values)))
            return True
    return False


@sized("skip connection lost", "0 for what it adds", "")
def residual(graph: Graph, size: float) -> bool:
    for node in graph.nodes("Add"):
        shapes = [graph.shape(name) for name in node.input]
        if shapes[0] is None or shapes[0] != shapes[1] or len(shapes[0]) < 3:
            continue
        for place, name in enumerate(node.input):
            if graph.constant(name) is None and len(graph.consumers(name)) > 1:
                less = graph.emit("Mul", name, graph.store(1 - size))
                graph.replace(node, graph.emit("Add", less, node.input[1 - place]))
                return True
    return False


def _resize(graph: Graph, mode: bytes, changes: dict[bytes, str], name: str) -> bool:
    for node in graph.nodes("Resize"):
        default = {"nearest_mode": b"round_prefer_floor"}.get(name, b"half_pixel")
        there = attribute(node, name, default)
        if attribute(node, "mode", b"nearest") == mode and there in changes:
            set_attribute(node, name, changes[there])
            return True
    return False


_HALF_PIXEL = (b"half_pixel", b"pytorch_half_pixel")


@fault("corners aligned", "align_corners true for false", "onnx/onnx-tensorrt 457")
def corners(graph: Graph) -> bool:
    changes = dict.fromkeys(_HALF_PIXEL, "align_corners")
    return _resize(graph, b"linear", changes, "coordinate_transformation_mode")


@fault("corners not aligned", "align_corners false for true", "")
def no_corners(graph: Graph) -> bool:
    changes = {b"align_corners": "half_pixel"}
    return _resize(graph, b"linear", changes, "coordinate_transformation_mode")


@fault("half a pixel", "asymmetric for half_pixel", "NVIDIA/TensorRT 273")
def half_pixel(graph: Graph) -> bool:
    changes = dict.fromkeys(_HALF_PIXEL, "asymmetric")
    return _resize(graph, b"linear", changes, "coordinate_transformation_mode")


@fault("rounding of a resize", "ceil for floor", "onnx/tensorflow-onnx 2168")
def rounding(graph: Graph) -> bool:
    return _resize(graph, b"nearest", {b"floor": "ceil"}, "nearest_mode")


@sized("coefficient of a cubic resize", "-0.5 for -0.75", "pytorch/pytorch 177138")
def cubic(graph: Graph, size: float) -> bool:
    for node in graph.nodes("Resize"):
        if attribute(node, "mode") == b"cubic":
            right = attribute(node, "cubic_coeff_a", -0.75)
            set_attribute(node, "cubic_coeff_a", float(right + 0.25 * size))
            return True
    return False


def _pad_mode(graph: Graph, mode: str) -> bool:
    for node in graph.nodes("Pad"):
        if attribute(node, "mode", b"constant") == b"reflect":
            set_attribute(node, "mode", mode)
            return True
    return False


@fault("padding by zeros", "constant for reflect", "microsoft/onnxruntime 16401")
def pad_zeros(graph: Graph) -> bool:
    return _pad_mode(graph, "constant")


@fault("padding by the edge", "edge for reflect", "")
def pad_edge(graph: Graph) -> bool:
    return _pad_mode(graph, "edge")


@fault("padding in another order", "height's for width's, begin for end", "pytorch/pytorch 60179")
def pad_order(graph: Graph) -> bool:
    for node in graph.nodes("Pad"):
        pads = graph.constant(node.input[1])
        if pads is not None and len(pads) == 8 and pads[-1] > 0:
            graph.give(node, 1, _shifted(pads))
            return True
    return False


def _shifted(pads: Sequence[int]) -> np.ndarray:
    """Move all padding to the end: sizes stay the same, positions shift."""
    half = len(pads) // 2
    both = np.array(pads[:half]) + np.array(pads[half:])
    return np.concatenate([np.zeros(half, np.int64), both])


@fault(
    "whole numbers wrap around",
    "int8 for int64",
    "WZMIAOMIAO/deep-learning-for-image-processing 670",
)
def overflow(graph: Graph) -> bool:
    for node in graph.nodes("Cast"):
        if attribute(node, "to") == TensorProto.INT64 and graph.constant(node.input[0]) is None:
            whole = graph.wrapped(node)
            half, full = graph.store(np.array(128)), graph.store(np.array(256))
            turned = graph.emit("Mod", graph.emit("Add", whole, half), full)
            graph.wrap(node, graph.emit("Sub", turned, half))
            return True
    return False


@fault("division rounds towards zero", "trunc for floor", "pytorch/pytorch 78442")
def truncated(graph: Graph) -> bool:
    for node in graph.nodes("Floor"):
        size = graph.emit("Floor", graph.emit("Abs", node.input[0]))
        graph.replace(node, graph.emit("Mul", size, graph.emit("Sign", node.input[0])))
        return True
    return False
