"""A sound bundle of tiny graphs, made without torch: what hostile ones are made from."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from aeonnx.bundle import manifest

__all__ = ["CLASSES", "IMAGE", "LATENT", "LATENT_ID", "ROWS", "Made", "model", "node", "sound"]

IMAGE, LATENT, CLASSES, ROWS = (1, 4, 4), 3, ("even", "odd"), 5
LATENT_ID = "ab" * 32
_TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int64": TensorProto.INT64}
_PIXELS = 16

Spec = tuple[str, str, Sequence[int | str], tuple[float, float] | None]
"""Name, dtype, shape and range."""

node = helper.make_node


class Made:
    """A bundle that is not written yet: a manifest's document, graphs and golden arrays.

    Args:
        folder: where `write` puts it.
        outside: a folder of the user's, which no bundle may touch.
    """

    def __init__(self, folder: Path, outside: Path) -> None:
        self.folder, self.outside = folder, outside
        self.document: dict[str, Any] = {}
        self.graphs: dict[str, bytes] = {}
        self.stored: dict[str, bytes] = {}

    def copy(self, folder: Path, outside: Path) -> Made:
        """The same for another folder."""
        made = Made(folder, outside)
        made.document = copy.deepcopy(self.document)
        made.graphs, made.stored = dict(self.graphs), dict(self.stored)
        return made

    def entry(self, part: str) -> dict[str, Any]:
        """What the manifest says of a part's fp32 graph."""
        found: dict[str, Any] = self.document["parts"][part]["fp32"]
        return found

    def put(self, part: str, graph: ModelProto | bytes) -> None:
        """Another graph for a part: the manifest names its digest and size."""
        data = graph if isinstance(graph, bytes) else graph.SerializeToString()
        self.graphs[part] = data
        self.entry(part).update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))

    def graph(self, part: str) -> ModelProto:
        """A part's graph, to change."""
        return onnx.load_from_string(self.graphs[part])

    def store(self, file: str, data: bytes) -> str:
        """Another golden file; gives its digest."""
        self.stored[file] = data
        return hashlib.sha256(data).hexdigest()

    def path(self, part: str) -> Path:
        """Where a part's graph is."""
        return self.folder / f"{part}.onnx"

    def remove(self, part: str) -> None:
        """Leave a part out."""
        del self.document["parts"][part], self.graphs[part]

    def write(self) -> None:
        """Write everything."""
        self.folder.mkdir(parents=True)
        for part, data in self.graphs.items():
            self.path(part).write_bytes(data)
        for file, data in self.stored.items():
            (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / file).write_bytes(data)
        (self.folder / manifest.FILE_NAME).write_text(json.dumps(self.document))


def sound(folder: Path, outside: Path) -> Made:
    """All parts that verbs use, of images [1, 4, 4] and latents of 3."""
    made = Made(folder, outside)
    made.document = {
        "format": manifest.FORMAT,
        "version": manifest.FORMAT_VERSION,
        "model": "tiny",
        "arch": "none",
        "checkpoint_id": LATENT_ID,
        "prior": {"kind": "standard-normal", "temperature": 1.0, "mean": None, "factor": None},
        "classes": list(CLASSES),
        "parts": {},
        "training": None,
        "tools": {"onnx": onnx.__version__},
    }
    x: Spec = ("x", "float32", ("batch", *IMAGE), (0.0, 1.0))
    z: Spec = ("z", "float32", ("batch", LATENT), None)
    image: Spec = ("reconstruction", "float32", ("batch", *IMAGE), (0.0, 1.0))
    to_image = [
        node("Sigmoid", ["flat"], ["values"]),
        node("Reshape", ["values", "shape"], ["reconstruction"]),
    ]
    flat = node("Flatten", ["x"], ["pixels"])
    gemm = node("MatMul", ["pixels", "weights"], ["flat"])
    _add(made, "encoder", [flat, node("MatMul", ["pixels", "weights"], ["z"])], [x], [z], LATENT)
    _add(made, "decoder", [node("MatMul", ["z", "weights"], ["flat"]), *to_image], [z], [image])
    for part in ("reconstructor", "denoiser"):
        _add(made, part, [flat, gemm, *to_image], [x], [image])
    labels = [
        flat,
        node("MatMul", ["pixels", "weights"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"]),
    ]
    outputs: list[Spec] = [
        ("logits", "float32", ("batch", len(CLASSES)), None),
        ("probabilities", "float32", ("batch", len(CLASSES)), (0.0, 1.0)),
    ]
    _add(made, "classifier", labels, [x], outputs, len(CLASSES))
    drawn = [
        node("Add", ["index", "seed"], ["numbers"]),
        node("Cast", ["numbers"], ["floats"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["floats", "axis"], ["column"]),
        node("MatMul", ["column", "weights"], ["flat"]),
        node("Sin", ["flat"], ["wave"]),
        node("Abs", ["wave"], ["positive"]),
        node("Mul", ["positive", "scale"], ["scaled"]),
        node("Cast", ["scaled"], ["bytes"], to=TensorProto.UINT8),
        node("Reshape", ["bytes", "shape"], ["image"]),
    ]
    seeds: list[Spec] = [("seed", "int64", (1,), None), ("index", "int64", ("batch",), None)]
    pixels: Spec = ("image", "uint8", ("batch", *IMAGE), (0.0, 255.0))
    _add(made, "sampler", drawn, seeds, [pixels])
    return made


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[Spec],
    outputs: Sequence[Spec],
    arrays: dict[str, np.ndarray],
) -> ModelProto:
    """A graph with the metadata that the bundle's have."""
    values = [
        [
            helper.make_tensor_value_info(name, _TYPES[dtype], list(shape))
            for name, dtype, shape, _ in specs
        ]
        for specs in (inputs, outputs)
    ]
    stored = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(list(nodes), "tiny", *values, stored)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(made, {"aeonnx.checkpoint_id": LATENT_ID})
    return made


def _add(
    made: Made,
    part: str,
    nodes: Sequence[NodeProto],
    inputs: Sequence[Spec],
    outputs: Sequence[Spec],
    width: int = _PIXELS,
) -> None:
    rng = np.random.default_rng(len(part))
    used = {name for item in nodes for name in item.input}
    row = {"x": _PIXELS, "z": LATENT, "seed": 1}[inputs[0][0]]
    arrays = {
        "weights": rng.normal(size=(row, width)).astype(np.float32),
        "shape": np.array([-1, *IMAGE]),
        "axis": np.array([1]),
        "scale": np.array(255, np.float32),
    }
    graph = model(nodes, inputs, outputs, {key: arrays[key] for key in arrays.keys() & used})
    feeds = {name: _example(rng, spec) for name, *spec in inputs}
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [name for name, *_ in outputs]
    found = dict(zip(names, session.run(names, feeds), strict=True))
    made.document["parts"][part] = {
        "fp32": {
            "file": f"{part}.onnx",
            "sha256": "",
            "bytes": 0,
            "macs": 1,
            "opset": 18,
            "ir_version": 8,
            "min_onnxruntime": "1.16",
            "inputs": [_spec(spec) for spec in inputs],
            "outputs": [_spec(spec) for spec in outputs],
            "axes": {"batch": {"multiple": 1, "min": 1, "max": None, "margin": 0}},
            "parity": {},
            "activations": None,
            "parity_batches": [ROWS],
            "golden": [
                {
                    "inputs": {
                        name: _stored(made, part, name, feeds[name], None) for name in feeds
                    },
                    "outputs": {
                        name: _stored(made, part, name, found[name], 1e-5) for name in names
                    },
                }
            ],
            "quality": None,
            "percentiles": {},
        }
    }
    made.put(part, graph)


def _example(rng: np.random.Generator, spec: Sequence[Any]) -> np.ndarray:
    dtype, shape, _ = spec
    sizes = [ROWS if size == "batch" else size for size in shape]
    if dtype == "int64":
        return np.arange(np.prod(sizes)).reshape(sizes)
    return rng.random(sizes, dtype=np.float32)


_KINDS = {
    **dict.fromkeys(("x", "reconstruction", "image"), "image"),
    **dict.fromkeys(("logits", "probabilities"), "vector"),
    **{"z": "latent", "seed": "seed", "index": "index", "error": "score"},
}


def _spec(spec: Spec) -> dict[str, Any]:
    name, dtype, shape, bounds = spec
    return {
        "name": name,
        "kind": _KINDS[name],
        "names": [],
        "units": [],
        "rate": None,
        "shape": list(shape),
        "dtype": dtype,
        "range": list(bounds) if bounds else None,
        "description": name,
    }


def _stored(
    made: Made, part: str, name: str, value: np.ndarray, tolerance: float | None
) -> dict[str, Any]:
    file = f"golden/{part}/{name}.bin"
    digest = made.store(file, value.astype(value.dtype.newbyteorder("<")).tobytes())
    return {
        "file": file,
        "sha256": digest,
        "dtype": str(value.dtype),
        "shape": list(value.shape),
        "tolerance": None if tolerance is None else [tolerance] * len(value),
    }
