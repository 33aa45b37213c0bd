"""Kinds of hostile bundles: one function each, in a table. To add one, write it with `@kind`."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from aeonnx.bundle import manifest
from tests.clients.manifests import FAULTS, edited
from tests.hostile.sound import IMAGE, LATENT, Made, model, node
from tests.runtime.mutate import other_bytes, other_values

__all__ = ["CONTROL", "KINDS", "SECRET", "Kind"]

SECRET = b"SECRET-5f1d9c"
"""What files outside hold, and no output may."""
CONTROL = "\x1b[2J\x9b\x07\u202e"

Kind = Callable[[random.Random, Made], None]
"""(rng, a sound bundle that is not written yet): makes it hostile and writes it."""

KINDS: dict[str, Kind] = {}


def kind(made: Kind) -> Kind:
    """Add a function to the table."""
    KINDS[made.__name__] = made
    return made


def _any_file(rng: random.Random, made: Made) -> Path:
    """A file of the bundle: the manifest, a graph or a golden array."""
    graphs = [f"{part}.onnx" for part in made.graphs]
    golden = rng.choice(sorted(made.stored))
    return made.folder / rng.choice([manifest.FILE_NAME, rng.choice(graphs), golden])


def _any_part(rng: random.Random, made: Made) -> str:
    return rng.choice(sorted(made.graphs))


# Files that are none.


@kind
def special_file(rng: random.Random, made: Made) -> None:
    """A FIFO, a socket, a folder, or a link to a device, to a file outside or to itself."""
    made.write()
    path = _any_file(rng, made)
    path.unlink()
    match rng.randrange(6):
        case 0:
            os.mkfifo(path)
        case 1:
            path.mkdir()
        case 2:
            path.symlink_to(rng.choice(["/dev/zero", "/dev/random", "/dev/tty", "/dev/stdin"]))
        case 3:
            path.symlink_to(made.outside / "secret.bin")
        case 4:
            path.symlink_to(path.name)
        case _:
            here = os.open(path.parent, os.O_RDONLY)
            with closing(socket.socket(socket.AF_UNIX)) as listening:
                listening.bind(f"/proc/self/fd/{here}/{path.name}")
            os.close(here)


@kind
def linked_folder(rng: random.Random, made: Made) -> None:
    """Folders of the bundle, or the bundle itself, are links to others."""
    made.write()
    if rng.random() < 0.5:
        (made.folder / "golden").rename(made.folder / "elsewhere")
        (made.folder / "golden").symlink_to(rng.choice([made.outside, made.folder / "elsewhere"]))
    else:
        moved = made.folder.with_name(f"{made.folder.name}-moved")
        made.folder.rename(moved)
        made.folder.symlink_to(rng.choice([moved, made.outside, made.folder]))


@kind
def huge_file(rng: random.Random, made: Made) -> None:
    """A file with holes, of the size that the manifest says or of another."""
    part = _any_part(rng, made)
    size = rng.choice([2**31, 2**31 - 1, 2**40, 17 * 2**20])
    if rng.random() < 0.5:
        made.entry(part)["bytes"] = min(size, 2**28)
        size = made.entry(part)["bytes"]
    stored = next(iter(made.entry(part)["golden"][0]["inputs"].values()))
    if rng.random() < 0.3:
        stored["shape"] = rng.choice([[2**24], [2**26], [2**38], [2**20, 3]])
    made.write()
    path = rng.choice([made.path(part), made.folder / stored["file"], _any_file(rng, made)])
    with path.open("r+b") as stream:
        stream.truncate(size)


@kind
def unreadable(rng: random.Random, made: Made) -> None:
    """Files and folders without rights, missing or cut."""
    made.write()
    path = _any_file(rng, made)
    match rng.randrange(4):
        case 0:
            path.chmod(0)
        case 1:
            path.unlink()
        case 2:
            path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])
        case _:
            path.write_bytes(other_bytes(rng, path.read_bytes(), range(path.stat().st_size)))


# Manifests.


@kind
def manifest_fault(rng: random.Random, made: Made) -> None:
    """One of the faults that are written by hand."""
    made.document["tools"] = {"onnx": "1"}
    field, value, _ = rng.choice(FAULTS)
    field = field.replace("parts.decoder", f"parts.{_any_part(rng, made)}")
    made.write()
    path = made.folder / manifest.FILE_NAME
    if "golden.0.outputs." in field:
        part = field.split(".")[1]
        name = next(iter(made.entry(part)["golden"][0]["outputs"]))
        field = field.replace(".reconstruction.", f".{name}.")
    path.write_bytes(edited(path.read_bytes(), field, value))


@kind
def manifest_values(rng: random.Random, made: Made) -> None:
    """Values or bytes of the manifest at random."""
    made.write()
    path = made.folder / manifest.FILE_NAME
    whole = path.read_bytes()
    if rng.random() < 0.5:
        path.write_bytes(other_values(rng, made.document))
    else:
        path.write_bytes(other_bytes(rng, whole, range(len(whole))))


@kind
def control_characters(rng: random.Random, made: Made) -> None:
    """Texts that steer a terminal, in the manifest or in a graph."""
    part = _any_part(rng, made)
    match rng.randrange(5):
        case 0:
            made.document[rng.choice(["model", "arch"])] = f"x{CONTROL}"
        case 1:
            made.document["classes"] = [f"x{CONTROL}", "y"]
        case 2:
            made.entry(part)["inputs"][0]["description"] = CONTROL
        case 3:
            made.entry(part)["min_onnxruntime"] = f"99{CONTROL}"
        case _:
            graph = made.graph(part)
            graph.graph.node[0].name = f"x{CONTROL}"
            graph.graph.node[0].doc_string = CONTROL
            if rng.random() < 0.5:
                graph.graph.node[0].op_type = f"No{CONTROL}"
            made.put(part, graph)
    made.write()


# Graphs that bundles never hold.


@kind
def endless_loop(rng: random.Random, made: Made) -> None:
    """A Loop without end before the first node; or an If or Scan."""
    part = _any_part(rng, made)
    graph = made.graph(part)
    nothing = helper.make_graph(
        [node("Identity", ["go_in"], ["go_out"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("go_out", TensorProto.BOOL, [])],
    )
    go = numpy_helper.from_array(np.array(True), "go")
    graph.graph.initializer.append(go)
    if rng.random() < 0.6:
        graph.graph.node.insert(0, node("Loop", ["", "go"], [], body=nothing))
    else:
        odd = node(rng.choice(["If", "Scan", "Relu"]), ["go"], ["gone"])
        odd.attribute.append(helper.make_attribute("then_branch", nothing))
        graph.graph.node.insert(0, odd)
    made.put(part, graph)
    made.write()


@kind
def external_data(rng: random.Random, made: Made) -> None:
    """Weights from a file of the user: in the working directory, by a whole path, by a link."""
    part = _any_part(rng, made)
    graph = made.graph(part)
    where = [
        "secret.bin",
        str(made.outside / "secret.bin"),
        "../secret.bin",
        "link.bin",
        "/dev/zero",
    ]
    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=rng.choice(where))
    if rng.random() < 0.3:
        constant = node("Constant", [], ["secret"])
        constant.attribute.append(helper.make_attribute("value", tensor))
        del graph.graph.initializer[0]
        constant.output[0] = tensor.name
        graph.graph.node.insert(0, constant)
    made.put(part, graph)
    made.write()
    (made.folder / "link.bin").symlink_to(made.outside / "secret.bin")


@kind
def foreign_operators(rng: random.Random, made: Made) -> None:
    """Other domains, functions, sparse weights, training, or operators that there are not."""
    part = _any_part(rng, made)
    graph = made.graph(part)
    match rng.randrange(6):
        case 0:
            graph.graph.node[0].domain = "com.microsoft"
            graph.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        case 1:
            graph.opset_import.append(helper.make_opsetid("evil.example", 1))
        case 2:
            graph.functions.add(name="f", domain="local")
        case 3:
            graph.graph.sparse_initializer.add(dims=[4])
        case 4:
            graph.training_info.add()
        case _:
            graph.graph.node[0].op_type = "NoSuchOperator"
    made.put(part, graph)
    made.write()


@kind
def no_graph(rng: random.Random, made: Made) -> None:
    """Bytes that are no graph, or a damaged one, under the right digest."""
    part = _any_part(rng, made)
    whole = made.graphs[part]
    nested = b""
    for _ in range(rng.choice([1, 50, 2000])):
        nested = b"\x3a" + _varint(len(nested)) + nested
    made.put(
        part,
        rng.choice(
            [
                rng.randbytes(rng.randrange(1, 400)),
                b"\x00\x00\x00\x00ORTM" + rng.randbytes(100),
                whole[: rng.randrange(1, len(whole))],
                whole + b"\x3a\xff\xff\xff\xff\x7f",
                whole + nested,
                b"\x3a\x00",
                *[other_bytes(rng, whole, range(len(whole)))] * 10,
            ]
        )
        or b"\0",
    )
    made.write()


# Graphs that a manifest describes, and that do not do what it says.


@kind
def lying_output(rng: random.Random, made: Made) -> None:
    """More rows than went in, fewer, none, or other sizes behind a shape that says otherwise."""
    part = _any_part(rng, made)
    graph = made.graph(part)
    output = graph.graph.output[-1]
    real = f"{output.name}_real"
    for item in graph.graph.node:
        item.output[:] = [real if name == output.name else name for name in item.output]
        item.input[:] = [real if name == output.name else name for name in item.input]
    bounds = {"zero": 0, "one": 1, "minus": -1, "top": 2**31}
    for name, value in bounds.items():
        graph.graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
    rows = rng.choice(["double", "half", "none", "flat", "last"])
    made_by = {
        "double": node("Concat", [real, real], [output.name], axis=0),
        "half": node("Slice", [real, "one", "top"], [output.name]),
        "none": node("Slice", [real, "zero", "zero"], [output.name]),
        "flat": node("Reshape", [real, "minus"], [output.name]),
        "last": node("Concat", [real, real], [output.name], axis=-1),
    }
    graph.graph.node.append(made_by[rows])
    made.put(part, graph)
    made.write()


@kind
def wrong_kinds(rng: random.Random, made: Made) -> None:
    """Graphs that agree with their manifest, of images and latents that the verb cannot use."""
    part = rng.choice(["encoder", "decoder", "denoiser", "reconstructor", "classifier", "sampler"])
    shape = rng.choice([(3, 4, 4), (1, 8, 8), (1, 4), (16,), (7,), IMAGE, (LATENT,)])
    dtype = rng.choice(["float32", "uint8", "int64"])
    bounds = rng.choice([(0.0, 1.0), (-1.0, 1.0), None, (0.0, 255.0)])
    first = rng.choice(["batch", "batch", 1, 5])
    old = made.entry(part)
    ends = [old["inputs"], old["outputs"]]
    for specs in ends:
        for spec in specs:
            rest = spec["shape"][1:]
            if rng.random() < 0.5:
                rest = list(shape)
                spec.update(dtype=dtype, range=bounds)
                if rng.random() < 0.8:
                    spec["kind"] = {2: "vector", 4: "image"}.get(1 + len(rest), "other")
            seed = spec["name"] == "seed" and rng.random() < 0.8
            spec["shape"] = [1 if seed else first, *rest]
    rows = old["inputs"][-1]["name"]
    nodes = [node("Shape", [rows], ["rows"], start=0, end=1)]
    arrays = {}
    for index, spec in enumerate(old["outputs"]):
        arrays[f"a{index}"] = np.zeros((1, *spec["shape"][1:]), spec["dtype"])
        arrays[f"s{index}"] = np.array(spec["shape"][1:], np.int64)
        nodes.append(node("Concat", ["rows", f"s{index}"], [f"t{index}"], axis=0))
        nodes.append(node("Expand", [f"a{index}", f"t{index}"], [spec["name"]]))
    graph = model(
        nodes,
        *([(s["name"], s["dtype"], s["shape"], None) for s in specs] for specs in ends),
        arrays,
    )
    if first != "batch":
        old["axes"] = {}
    for specs, golden in zip(ends, old["golden"][0].values(), strict=True):
        for spec in specs:
            stored = golden[spec["name"]]
            size = [5 if axis == "batch" else axis for axis in spec["shape"]]
            data = np.zeros(size, spec["dtype"]).tobytes()
            digest = made.store(stored["file"], data)
            stored.update(shape=size, dtype=spec["dtype"], sha256=digest)
    made.put(part, graph)
    made.write()


@kind
def other_channels(rng: random.Random, made: Made) -> None:
    """Everything agrees but the axes, the kinds or the classes."""
    entry = made.entry(_any_part(rng, made))
    match rng.randrange(3):
        case 0:
            number = rng.choice([0, 1, 7, 2**52, 2**53, -1, None])
            entry["axes"]["batch"][rng.choice(("multiple", "min", "max", "margin"))] = number
        case 1:
            spec = rng.choice([*entry["inputs"], *entry["outputs"]])
            spec["kind"] = rng.choice(("image", "signal", "seed", "score", "other", "picture"))
        case _:
            made.document["classes"] = rng.choice([["a"], ["a", "b", "c"], []])
    for part in rng.sample(sorted(made.graphs), rng.randrange(len(made.graphs))):
        made.remove(part)
    made.write()


@kind
def odd_values(rng: random.Random, made: Made) -> None:
    """NaN and infinite weights, and ranges that nothing is in."""
    part = _any_part(rng, made)
    graph = made.graph(part)
    for tensor in graph.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            value = np.full(tensor.dims, rng.choice([np.nan, np.inf, 1e38]), np.float32)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    made.put(part, graph)
    if rng.random() < 0.5:
        bounds: Any = rng.choice([[1, 0], [0, 0], [-1e308, 1e308], [2, 3]])
        made.entry(part)["inputs"][0]["range"] = bounds
    made.write()


@kind
def endless_memory(rng: random.Random, made: Made) -> None:
    """A small graph that asks for more memory than there is."""
    part = _any_part(rng, made)
    graph = made.graph(part)
    size = rng.choice([2**33, 2**40, 2**62])
    graph.graph.initializer.append(numpy_helper.from_array(np.array([size]), "size"))
    graph.graph.node.insert(0, node("ConstantOfShape", ["size"], ["huge"]))
    graph.graph.node.insert(1, node("ReduceSum", ["huge"], ["sum"]))
    if rng.random() < 0.3:
        graph.graph.initializer[0].dims[:] = [2**31, 2**31]
    made.put(part, graph)
    made.write()


@kind
def odd_attributes(rng: random.Random, made: Made) -> None:
    """Attributes of the wrong type, and nodes wired to themselves."""
    part = _any_part(rng, made)
    graph = made.graph(part)
    item = rng.choice(list(graph.graph.node))
    match rng.randrange(4):
        case 0:
            item.attribute.add(
                name="axis", type=rng.choice(list(AttributeProto.AttributeType.values()))
            )
        case 1:
            item.input[:] = list(item.output)
        case 2:
            item.input[:] = []
        case _:
            graph.ir_version = rng.choice([0, 99, 2**40])
            graph.opset_import[0].version = rng.choice([0, 1, 99, -1])
    made.put(part, graph)
    made.write()


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])
