"""Pixels at a graph's edges: uint8 0..255 where the float graph has [0, 1].

The arithmetic is float32 and the same as numpy's: x / 255 on the way in; clip to [0, 1], times 255
and rounding to the nearest (ties to even) on the way out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
from onnx import ModelProto, TensorProto, ValueInfoProto

from aeonnx.errors import ParityError
from aeonnx.manifest import TensorSpec
from aeonnx.runtime.session import Array

__all__ = ["give_pixels", "is_image", "pixel_spec", "require_same_pixels", "with_pixels"]


def is_image(spec: TensorSpec) -> bool:
    """Whether a tensor holds images in [0, 1]: then it can be pixels."""
    return spec.dtype == "float32" and spec.range == (0.0, 1.0) and len(spec.shape) == 4


def pixel_spec(spec: TensorSpec) -> TensorSpec:
    """The spec of the same images as pixels; any other tensor's stays."""
    return replace(spec, dtype="uint8", range=(0.0, 255.0)) if is_image(spec) else spec


def with_pixels(graph: ModelProto, images: set[str]) -> ModelProto:
    """A copy whose inputs and outputs named in `images` are pixels, under the same names."""
    changed = ModelProto()
    changed.CopyFrom(graph)
    for value in changed.graph.input:
        if value.name in images:
            _pixels_in(changed, value)
    for name in [value.name for value in changed.graph.output if value.name in images]:
        inner = f"{name}.float"
        _rename(changed, name, inner)
        give_pixels(changed, inner, name)
    return changed


def require_same_pixels(what: str, given: Array, expected: Array, whose: str) -> None:
    """Raise `ParityError` unless two arrays of pixels are the same to the bit."""
    if not np.array_equal(given, expected):
        count = int((given != expected).sum())
        raise ParityError(
            f"{what}: {count} of {given.size} pixels are not those of {whose}: nothing was written"
        )


def _pixels_in(graph: ModelProto, value: ValueInfoProto) -> None:
    name, inner = value.name, f"{value.name}.float"
    for node in graph.graph.node:
        node.input[:] = [inner if item == name else item for item in node.input]
    value.type.tensor_type.elem_type = TensorProto.UINT8
    graph.graph.initializer.append(_constant(f"{name}.pixel_scale", 255.0))
    nodes = [
        onnx.helper.make_node(
            "Cast", [name], [f"{name}.pixels"], f"{name}.pixels", to=TensorProto.FLOAT
        ),
        onnx.helper.make_node("Div", [f"{name}.pixels", f"{name}.pixel_scale"], [inner], inner),
    ]
    rest = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*nodes, *rest])


def give_pixels(graph: ModelProto, output: str, name: str) -> None:
    """Change a graph to give its float output `output` as pixels, under `name`."""
    place = next(i for i, value in enumerate(graph.graph.output) if value.name == output)
    constants = {f"{name}.lowest": 0.0, f"{name}.highest": 1.0, f"{name}.pixel_steps": 255.0}
    graph.graph.initializer.extend(_constant(key, value) for key, value in constants.items())
    low, high, scale = constants
    steps: tuple[tuple[str, list[str], str, dict[str, Any]], ...] = (
        ("Clip", [output, low, high], f"{name}.clipped", {}),
        ("Mul", [f"{name}.clipped", scale], f"{name}.scaled", {}),
        ("Round", [f"{name}.scaled"], f"{name}.rounded", {}),
        ("Cast", [f"{name}.rounded"], name, {"to": TensorProto.UINT8}),
    )
    for op, inputs, result, attributes in steps:
        graph.graph.node.append(onnx.helper.make_node(op, inputs, [result], result, **attributes))
    value = graph.graph.output[place]
    value.name = name
    value.type.tensor_type.elem_type = TensorProto.UINT8


def _rename(graph: ModelProto, name: str, new: str) -> None:
    """Rename a tensor that a node makes."""
    for node in graph.graph.node:
        node.input[:] = [new if item == name else item for item in node.input]
        node.output[:] = [new if item == name else item for item in node.output]
    for value in graph.graph.output:
        if value.name == name:
            value.name = new


def _constant(name: str, value: float) -> TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(value, np.float32), name)
