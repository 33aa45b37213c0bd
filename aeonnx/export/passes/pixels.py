"""Pixels at a graph's edges: uint8 0..255 where the float graph has images in a range [low, high].

The arithmetic is float32 and the same as numpy's in `aeonnx.io.pixels`. On the way in, low +
(x / 255) times the width; on the way out, clipped to the range, minus low, divided by the width,
times 255 and rounded to the nearest (ties to even). For [0, 1], low and width are left out.
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
from aeonnx.io.pixels import UNIT, Bounds, ends_of, has_pixels
from aeonnx.models import Part
from aeonnx.runtime.session import Array

__all__ = [
    "_why_no_pixels",
    "give_pixels",
    "images_of",
    "pixel_spec",
    "require_pixels",
    "unlike_pixels",
    "with_pixels",
]

_CHANNELS = (1, 3, 4)  # of pictures: grey, colours, colours with alpha


def _why_no_pixels(spec: TensorSpec) -> str | None:
    """Why a tensor cannot be pixels; None if it can."""
    if spec.dtype != "float32" or len(spec.shape) != 4:
        return "is not float32 images [batch, C, H, W]"
    if spec.shape[1] not in _CHANNELS:
        return f"has {spec.shape[1]} channels, and pictures have 1, 3 or 4"
    if not has_pixels(spec.range):
        return "has no range [low, high] whose width is a float32 above 0"
    return None


def images_of(part: Part) -> dict[str, Bounds]:
    """The ranges of a part's tensors that can be pixels, by name."""
    specs = (*part.inputs, *part.outputs)
    return {spec.name: spec.range for spec in specs if spec.range and not _why_no_pixels(spec)}


def require_pixels(name: str, part: Part) -> None:
    """Refuse a part of which no tensor can be pixels: others stay floats beside one that can.

    Raises:
        UsageError: says why of each tensor.
    """
    if images_of(part):
        return
    reasons = (f"{spec.name} {_why_no_pixels(spec)}" for spec in (*part.inputs, *part.outputs))
    raise UsageError(
        f"--io uint8: nothing that {name} takes or gives can be pixels: {'; '.join(reasons)}. Give "
        "images a range where the part is declared, choose other parts with --part, or leave "
        "--io out"
    )


def pixel_spec(spec: TensorSpec) -> TensorSpec:
    """The spec of the same images as pixels; any other tensor's stays."""
    return spec if _why_no_pixels(spec) else replace(spec, dtype="uint8", range=(0.0, 255.0))


def with_pixels(graph: ModelProto, images: Mapping[str, Bounds]) -> ModelProto:
    """A copy whose inputs and outputs named in `images` are pixels, under the same names.

    Args:
        graph: with float images, not changed.
        images: their ranges.
    """
    changed = ModelProto()
    changed.CopyFrom(graph)
    for value in changed.graph.input:
        if value.name in images:
            _pixels_in(changed, value, images[value.name])
    for name in [value.name for value in changed.graph.output if value.name in images]:
        inner = f"{name}.float"
        _rename(changed, name, inner)
        give_pixels(changed, inner, name, images[name])
    return changed


def unlike_pixels(what: str, given: Array, expected: Array, whose: str) -> str | None:
    """How many pixels of two arrays differ, in words; None if they are the same to the bit."""
    if np.array_equal(given, expected):
        return None
    count = int((given != expected).sum())
    return f"{what}: {count} of {given.size} pixels are not those of {whose}"


Step = tuple[str, list[str], str, dict[str, Any]]
"""Operator, inputs, output and attributes of a node."""


def _pixels_in(graph: ModelProto, value: ValueInfoProto, bounds: Bounds) -> None:
    name, inner = value.name, f"{value.name}.float"
    low, _, width = ends_of(bounds)
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


def give_pixels(graph: ModelProto, output: str, name: str, bounds: Bounds) -> None:
    """Change a graph to give its float output `output`, in `bounds`, as pixels under `name`."""
    place = next(i for i, value in enumerate(graph.graph.output) if value.name == output)
    low, high, width = ends_of(bounds)
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
    """Rename a tensor that a node makes."""
    for node in graph.graph.node:
        node.input[:] = [new if item == name else item for item in node.input]
        node.output[:] = [new if item == name else item for item in node.output]
    for value in graph.graph.output:
        if value.name == name:
            value.name = new


def _constant(name: str, value: np.float32) -> TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(value), name)
