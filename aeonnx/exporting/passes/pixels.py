"""Convert a graph's images in a range [low, high] to uint8 pixels 0..255, at inputs and outputs.

The arithmetic is float32, as in `aeonnx.io.pixels`, with width = high - low:

    input:   x = low + (pixel / 255) * width
    output:  pixel = round((clip(y, low, high) - low) / width * 255), ties to even

For the range [0, 1], the steps with low and width are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from aeonnx.bundle import TensorSpec
from aeonnx.errors import UsageError
from aeonnx.io.pixels import UNIT, Bounds, float32_bounds, has_pixels
from aeonnx.models import Part
from aeonnx.runtime.session import Array

__all__ = [
    "convert_output_to_pixels",
    "images_of",
    "pixel_mismatch",
    "pixel_spec",
    "require_pixels",
    "with_pixels",
]

_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA


def _why_no_pixels(spec: TensorSpec) -> str | None:
    """Why a tensor cannot be pixels; None if it can."""
    if spec.dtype != "float32" or len(spec.shape) != 4:
        return "is not float32 images [batch, C, H, W]"
    if spec.shape[1] not in _CHANNELS:
        return f"has {spec.shape[1]} channels, expected 1, 3 or 4"
    if not has_pixels(spec.range):
        return "has no range [low, high] whose width is a float32 above 0"
    return None


def images_of(part: Part) -> dict[str, Bounds]:
    """The ranges of a part's tensors that can be pixels, by name."""
    specs = (*part.inputs, *part.outputs)
    return {spec.name: spec.range for spec in specs if spec.range and not _why_no_pixels(spec)}


def require_pixels(name: str, part: Part) -> None:
    """Refuse a part with no tensor that can be pixels.

    One such tensor is enough: the others stay as they are.

    Raises:
        UsageError: no tensor can be pixels; the message has the reason for each.
    """
    if images_of(part):
        return
    reasons = (f"{spec.name} {_why_no_pixels(spec)}" for spec in (*part.inputs, *part.outputs))
    raise UsageError(
        f"--io uint8: no input or output of {name} can be pixels: {'; '.join(reasons)}. Give "
        "images a range where the part is declared, choose other parts with --part, or leave "
        "--io out"
    )


def pixel_spec(spec: TensorSpec) -> TensorSpec:
    """The spec of an image tensor as uint8 pixels; unchanged if the tensor cannot be pixels."""
    return spec if _why_no_pixels(spec) else replace(spec, dtype="uint8", range=(0.0, 255.0))


def with_pixels(graph: ModelProto, images: Mapping[str, Bounds]) -> ModelProto:
    """A copy whose inputs and outputs named in `images` are uint8 pixels, under the same names.

    Args:
        graph: with float32 images, not changed.
        images: ranges (low, high) by tensor name, as `images_of` returns them.
    """
    changed = ModelProto()
    changed.CopyFrom(graph)
    for value in changed.graph.input:
        if value.name in images:
            _pixels_in(changed, value, images[value.name])
    for name in [value.name for value in changed.graph.output if value.name in images]:
        inner = f"{name}.float"
        _rename(changed, name, inner)
        convert_output_to_pixels(changed, inner, name, images[name])
    return changed


def pixel_mismatch(what: str, given: Array, expected: Array, whose: str) -> str | None:
    """A message with the number of pixels that differ; None if the arrays are equal.

    Args:
        what: names the graph, in the message.
        given: its pixels.
        expected: the reference pixels.
        whose: names their source, in the message.
    """
    if np.array_equal(given, expected):
        return None
    count = int((given != expected).sum())
    return f"{what}: {count} of {given.size} pixels differ from those of {whose}"


Step = tuple[str, list[str], str, dict[str, Any]]
"""Operator, inputs, output and attributes of a node."""


def _pixels_in(graph: ModelProto, value: ValueInfoProto, bounds: Bounds) -> None:
    name, inner = value.name, f"{value.name}.float"
    low, _, width = float32_bounds(bounds)
    for node in graph.graph.node:
        node.input[:] = [inner if item == name else item for item in node.input]
    value.type.tensor_type.elem_type = TensorProto.UINT8
    constants = {f"{name}.pixel_scale": np.float32(255)}
    steps: list[Step] = [
        ("Cast", [name], f"{name}.pixels", {"to": TensorProto.FLOAT}),
        ("Div", [f"{name}.pixels", f"{name}.pixel_scale"], inner, {}),
    ]
    if bounds != UNIT:
        constants |= {f"{name}.pixel_width": width, f"{name}.pixel_lowest": low}
        steps[1] = ("Div", [f"{name}.pixels", f"{name}.pixel_scale"], f"{name}.shares", {})
        steps += [
            ("Mul", [f"{name}.shares", f"{name}.pixel_width"], f"{name}.widened", {}),
            ("Add", [f"{name}.widened", f"{name}.pixel_lowest"], inner, {}),
        ]
    graph.graph.initializer.extend(_constant(key, number) for key, number in constants.items())
    rest = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*_nodes(steps), *rest])


def convert_output_to_pixels(graph: ModelProto, output: str, name: str, bounds: Bounds) -> None:
    """Convert a float32 output of a graph to uint8 pixels.

    Args:
        graph: changed in place.
        output: name of the float32 output.
        name: new name of the output.
        bounds: range (low, high) of the float32 values, which are clipped to it.
    """
    place = next(i for i, value in enumerate(graph.graph.output) if value.name == output)
    low, high, width = float32_bounds(bounds)
    constants = {
        f"{name}.lowest": low,
        f"{name}.highest": high,
        f"{name}.pixel_steps": np.float32(255),
    }
    steps: list[Step] = [
        ("Clip", [output, f"{name}.lowest", f"{name}.highest"], f"{name}.clipped", {})
    ]
    if bounds != UNIT:
        constants[f"{name}.width"] = width
        steps += [
            ("Sub", [f"{name}.clipped", f"{name}.lowest"], f"{name}.above", {}),
            ("Div", [f"{name}.above", f"{name}.width"], f"{name}.shares", {}),
        ]
    steps += [
        ("Mul", [steps[-1][2], f"{name}.pixel_steps"], f"{name}.scaled", {}),
        ("Round", [f"{name}.scaled"], f"{name}.rounded", {}),
        ("Cast", [f"{name}.rounded"], name, {"to": TensorProto.UINT8}),
    ]
    graph.graph.initializer.extend(_constant(key, number) for key, number in constants.items())
    graph.graph.node.extend(_nodes(steps))
    value = graph.graph.output[place]
    value.name = name
    value.type.tensor_type.elem_type = TensorProto.UINT8


def _nodes(steps: list[Step]) -> list[NodeProto]:
    return [
        onnx.helper.make_node(op, inputs, [result], result, **attributes)
        for op, inputs, result, attributes in steps
    ]


def _rename(graph: ModelProto, name: str, new: str) -> None:
    """Rename the output of a node."""
    for node in graph.graph.node:
        node.input[:] = [new if item == name else item for item in node.input]
        node.output[:] = [new if item == name else item for item in node.output]
    for value in graph.graph.output:
        if value.name == name:
            value.name = new


def _constant(name: str, value: np.float32) -> TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(value), name)
