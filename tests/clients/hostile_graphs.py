"""Graphs that a bundle never holds, and graphs of any shape that give zeros."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["DAMAGED", "Made", "made"]

Damage = Callable[[bytes, random.Random], bytes]
Spec = dict[str, Any]

_TYPES = {
    "float32": TensorProto.FLOAT,
    "uint8": TensorProto.UINT8,
    "float64": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "float16": TensorProto.FLOAT16,
}
_OPSET = [helper.make_opsetid("", 18)]


def _with(change: Callable[[onnx.ModelProto, random.Random], object]) -> Damage:
    def damage(data: bytes, rng: random.Random) -> bytes:
        model = onnx.load_model_from_string(data)
        change(model, rng)
        result: bytes = model.SerializeToString()
        return result

    return damage


def _body(name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> onnx.GraphProto:
    nodes = [helper.make_node("Identity", [one.name], [two.name]) for one, two in
             zip(inputs[-len(outputs):], outputs, strict=True)]  # fmt: skip
    return helper.make_graph(nodes, name, inputs, outputs)


def _loop(model: onnx.ModelProto, _: random.Random) -> None:
    """Without an end."""
    flag = helper.make_tensor_value_info
    inputs = [flag("i", TensorProto.INT64, []), flag("c", TensorProto.BOOL, [])]
    body = _body("body", inputs, [flag("d", TensorProto.BOOL, [])])
    true = numpy_helper.from_array(np.array(True), "forever")
    model.graph.initializer.append(true)
    model.graph.node.append(helper.make_node("Loop", ["", "forever"], [], body=body))


def _branch(model: onnx.ModelProto, _: random.Random) -> None:
    true = numpy_helper.from_array(np.array(True), "always")
    model.graph.initializer.append(true)
    out = [helper.make_tensor_value_info("b", TensorProto.BOOL, [])]
    then = helper.make_graph([helper.make_node("Identity", ["always"], ["b"])], "then", [], out)
    node = helper.make_node("If", ["always"], ["branch"], then_branch=then, else_branch=then)
    model.graph.node.append(node)


def _hidden_subgraph(model: onnx.ModelProto, _: random.Random) -> None:
    """In an attribute that its operator does not have."""
    body = helper.make_graph([], "body", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("extra", body))


def _external(model: onnx.ModelProto, rng: random.Random) -> None:
    tensor = rng.choice(model.graph.initializer)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    place = rng.choice(("manifest.json", "/etc/passwd", "../a"))
    for key, value in (("location", place), ("offset", "0"), ("length", "8")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def _external_entry(model: onnx.ModelProto, rng: random.Random) -> None:
    entry = rng.choice(model.graph.initializer).external_data.add()
    entry.key, entry.value = "location", "manifest.json"


def _external_attribute(model: onnx.ModelProto, _: random.Random) -> None:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[1], name="t")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "manifest.json"
    model.graph.node.append(helper.make_node("Constant", [], ["constant"], value=tensor))


def _sparse(model: onnx.ModelProto, _: random.Random) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "sparse")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))


def _functions(model: onnx.ModelProto, _: random.Random) -> None:
    node = helper.make_node("Identity", ["a"], ["b"])
    model.functions.append(helper.make_function("", "F", ["a"], ["b"], [node], _OPSET))


def _set_domain(model: onnx.ModelProto, rng: random.Random) -> None:
    rng.choice(model.graph.node).domain = rng.choice(("com.microsoft", "ai.onnx.ml", "\x1b[2J"))


def _set_type(model: onnx.ModelProto, rng: random.Random) -> None:
    rng.choice(model.graph.node).op_type = rng.choice(("Scan", "SequenceMap", "If", "Loop"))


def _huge(model: onnx.ModelProto, _: random.Random) -> None:
    """More values than memory holds, on the way."""
    sizes = numpy_helper.from_array(np.array([2**20, 2**21], np.int64), "sizes")
    model.graph.initializer.append(sizes)
    name = model.graph.output[0].name
    last = next(node for node in model.graph.node if name in node.output)
    last.output[list(last.output).index(name)] = "before"
    kind = model.graph.output[0].type.tensor_type.elem_type
    zero = helper.make_tensor("zero", kind, [1], [0])
    model.graph.node.append(helper.make_node("ConstantOfShape", ["sizes"], ["many"], value=zero))
    model.graph.node.append(helper.make_node("ReduceMax", ["many"], ["most"], keepdims=0))
    model.graph.node.append(helper.make_node("Add", ["before", "most"], [name]))


def _field(number: int, wire: int, body: bytes) -> Damage:
    """A field behind the model's own."""
    tag = number << 3 | wire
    return lambda data, _: data + bytes((tag & 127 | 128, tag >> 7)) + body


DAMAGED: Sequence[Damage] = (
    _with(_loop),
    _with(_branch),
    _with(_hidden_subgraph),
    _with(_external),
    _with(_external_entry),
    _with(_external_attribute),
    _with(_sparse),
    _with(_functions),
    _with(_set_domain),
    _with(_set_type),
    _with(_huge),
    _with(lambda model, _: model.training_info.add()),
    _with(lambda model, _: model.opset_import.append(helper.make_opsetid("com.microsoft", 1))),
    _with(lambda model, _: model.ClearField("graph")),
    lambda data, rng: data[: rng.randrange(len(data) - 1)],
    lambda _, rng: rng.randbytes(rng.randrange(100)),
    lambda *_: b"",
    lambda data, _: data + b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a length of 2^64
    lambda data, _: data + b"\x3a" + b"\x80" * 11,  # a number without an end
    lambda data, _: data + b"\x38\x01",  # a graph that is a number
    lambda data, _: data + b"\x00\x00",  # a field without a number
    lambda data, _: b"\x08\x08\x12\x00ORTM" + data,  # the engine's own format
    _field(25, 2, b"\x00"),
    _field(20, 2, b"\x00"),
    _field(25, 3, b""),
)
"""Graph and generator -> a graph that must be refused. Its digest is to be made new."""


@dataclass(frozen=True)
class Made:
    """A graph of any shape, with what the manifest says of it.

    Args:
        data: the graph.
        inputs: specs, as in the manifest.
        outputs: specs, as in the manifest.
        golden: kind, name, dtype, shape and bytes of each golden array.
    """

    data: bytes
    inputs: list[Spec]
    outputs: list[Spec]
    golden: list[tuple[str, str, str, list[int], bytes]]


def made(part: str, image: Sequence[int], rng: random.Random, *, lies: bool) -> Made:
    """A graph for a part that gives zeros: with specs that are a little off, or as `lies`, where
    the specs are right and what comes out has another shape."""
    rows = rng.choice(("batch", "batch", "batch", 1, 2, 4))
    inputs, outputs = _specs(part, image, rows)
    if not lies:
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            _change(rng, inputs, outputs)
    gives = [list(spec["shape"]) for spec in outputs]
    if lies:
        _lie(rng, rng.choice(gives))
    count = rng.choice((1, 3, 4))
    golden = [
        _golden(kind, spec, count)
        for kind, specs in (("inputs", inputs), ("outputs", outputs))
        for spec in specs
    ]
    if not lies and rng.random() < 0.2:
        golden = [_other_golden(rng, item) for item in golden]
    return Made(_zeros(inputs, outputs, gives), inputs, outputs, golden)


def _spec(name: str, dtype: str, shape: Sequence[int | str]) -> Spec:
    pixels = [0.0, 255.0] if dtype == "uint8" else [0.0, 1.0]
    kinds = {"seed": "seed", "index": "index", "error": "score"}
    kind = kinds.get(name, "image" if len(shape) == 4 else "other")
    return {
        "name": name,
        "kind": kind,
        "dtype": dtype,
        "shape": list(shape),
        "range": pixels,
        "names": [],
        "units": [],
        "rate": None,
        "description": "",
    }


def _specs(part: str, image: Sequence[int], rows: int | str) -> tuple[list[Spec], list[Spec]]:
    if part == "denoiser":
        shape = [rows, *image]
        return [_spec("x", "float32", shape)], [_spec("reconstruction", "float32", shape)]
    if part == "scorer":
        return [_spec("x", "float32", [rows, *image])], [_spec("error", "float32", [rows])]
    inputs = [_spec("seed", "int64", [1]), _spec("index", "int64", [rows])]
    return inputs, [_spec("z", "float32", [rows, 2]), _spec("image", "uint8", [rows, *image])]


_RANGES = (None, [-1.0, 1.0], [0.0, 255.0], [1.0, 1.0], [1.0, 0.0], [-3e38, 3e38], [0.0, 1e-300])


def _change(rng: random.Random, inputs: list[Spec], outputs: list[Spec]) -> None:
    """Another dtype, rank, size, range or name; a tensor more or less."""
    specs = rng.choice((inputs, outputs))
    spec = rng.choice(specs)
    shape = spec["shape"]
    changes: list[Callable[[], object]] = [
        lambda: spec.update(dtype=rng.choice(list(_TYPES))),
        lambda: (
            shape.__setitem__(
                rng.randrange(len(shape)), rng.choice(("batch", 1, 2, 3, 5, 27, 29, 300))
            )
            if shape
            else None
        ),
        lambda: shape.clear(),
        lambda: shape.pop(),
        lambda: shape.append(rng.choice((1, 2, "batch"))),
        lambda: shape.insert(0, rng.choice((1, 3, "batch"))),
        lambda: spec.update(range=rng.choice(_RANGES)),
        lambda: spec.update(kind=rng.choice(("image", "other", "seed", "signal"))),
        lambda: spec.update(name=rng.choice(("y", "seed", "index", "image"))),
        lambda: specs.append(_spec("more", "float32", rng.choice((["batch", 2], [1], [])))),
        lambda: specs.insert(0, _spec("more", "uint8", rng.choice((["batch", 3, 2, 2], [2])))),
        lambda: specs.reverse(),
        lambda: specs.pop() if len(specs) > 1 else None,
    ]
    rng.choice(changes[:3] if not shape else changes)()


def _lie(rng: random.Random, shape: list[int | str]) -> None:
    choice = rng.randrange(5)
    at = rng.randrange(len(shape))
    if choice == 0:
        shape[0] = 7  # whatever came
    elif choice == 1:
        shape[at] = "twice" if shape[at] == "batch" else int(shape[at]) + 1
    elif choice == 2:
        shape.append(2)
    elif choice == 3:
        shape[at] = 0
    else:
        shape[:] = [11]


def _sizes(shape: Sequence[int | str], count: int) -> list[int]:
    return [count if size == "batch" else int(size) for size in shape]


def _golden(kind: str, spec: Spec, count: int) -> tuple[str, str, str, list[int], bytes]:
    shape = _sizes(spec["shape"], count)
    data = np.zeros(shape, spec["dtype"]).tobytes()
    return kind, spec["name"], spec["dtype"], shape, data


def _other_golden(
    rng: random.Random, item: tuple[str, str, str, list[int], bytes]
) -> tuple[str, str, str, list[int], bytes]:
    """As many bytes in another shape or type."""
    kind, name, dtype, _, data = item
    if rng.random() < 0.5:
        return item
    choice = rng.choice(([len(data)], [len(data), 1, 1], [1, len(data)], []))
    if not choice:
        return kind, name, "uint8", [], data[:1]
    return kind, name, rng.choice(("uint8", dtype)), choice, data


def _zeros(inputs: list[Spec], outputs: list[Spec], gives: list[list[int | str]]) -> bytes:
    """Rows are those of the last input that has a size."""
    source = next((spec["name"] for spec in reversed(inputs) if spec["shape"]), inputs[0]["name"])
    whole = {"from": [0], "to": [1], "two": [2], "zero": 0}
    weights = [numpy_helper.from_array(np.array(it, np.int64), name) for name, it in whole.items()]
    nodes = [
        # A zero that comes with the values: no engine knows the shapes before it runs.
        helper.make_node("Cast", [source], ["integers"], to=TensorProto.INT64),
        helper.make_node("Mul", ["integers", "zero"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["later"], keepdims=0),
        helper.make_node("Shape", [source], ["sizes"]),
        helper.make_node("Slice", ["sizes", "from", "to"], ["batch"]),
        helper.make_node("Mul", ["batch", "two"], ["twice"]),
    ]
    for index, (spec, shape) in enumerate(zip(outputs, gives, strict=True)):
        parts = []
        for at, size in enumerate(shape):
            name = str(size) if isinstance(size, str) else f"size_{index}_{at}"
            if not isinstance(size, str):
                weights.append(numpy_helper.from_array(np.array([size], np.int64), name))
            parts.append(name)
        if parts:
            nodes += [
                helper.make_node("Concat", parts, [f"told_{index}"], axis=0),
                helper.make_node("Add", [f"told_{index}", "later"], [f"shape_{index}"]),
            ]
        else:
            empty = np.zeros(0, np.int64)
            weights.append(numpy_helper.from_array(empty, f"shape_{index}"))
        value = helper.make_tensor("value", _TYPES[spec["dtype"]], [1], [0])
        node = helper.make_node(
            "ConstantOfShape", [f"shape_{index}"], [spec["name"] + "_of"], value=value
        )
        nodes += [node, helper.make_node("Identity", [spec["name"] + "_of"], [spec["name"]])]
    takes, offers = ([_info(spec) for spec in specs] for specs in (inputs, outputs))
    graph = helper.make_graph(nodes, "zeros", takes, offers, weights)
    model = helper.make_model(graph, opset_imports=_OPSET, ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def _info(spec: Spec) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(spec["name"], _TYPES[spec["dtype"]], spec["shape"])
