"""Bundles with one thing wrong: each takes a copy of a bundle and says what a client must say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tests.support import graph_file

__all__ = ["REFUSED", "WRONG", "with_graph", "with_manifest"]

Change = Callable[[Path], object]


def with_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest of a bundle."""
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def with_graph(folder: Path, name: str, change: Callable[[onnx.ModelProto], object]) -> None:
    """Change a graph of a bundle, and its digest in the manifest."""
    graph = onnx.load(folder / name)
    change(graph)
    _replace(folder, name, graph.SerializeToString())


def _replace(folder: Path, name: str, data: bytes) -> None:
    old, new = (hashlib.sha256(text).hexdigest() for text in ((folder / name).read_bytes(), data))
    (folder / name).write_bytes(data)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace(old, new))


def _decoder(document: dict[str, Any]) -> dict[str, Any]:
    variant: dict[str, Any] = document["parts"]["decoder"]["fp32"]
    return variant


def _flip(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)


def _first_weights(graph: onnx.ModelProto, change: Callable[[Any], Any]) -> None:
    weights = max(graph.graph.initializer, key=lambda item: len(item.raw_data))
    values = numpy_helper.to_array(weights).copy()
    values.flat[:] = change(values.reshape(-1))
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))


def _other_golden(folder: Path) -> None:
    name = "golden/decoder/reconstruction.bin"
    values = np.frombuffer((folder / name).read_bytes(), "<f4").copy()
    values[-1] += 0.5
    _replace(folder, name, values.tobytes())


def _renamed(graph: onnx.ModelProto) -> None:
    graph.graph.output[0].name = "y"
    next(node for node in graph.graph.node if "reconstruction" in node.output).output[0] = "y"


def _widened(document: dict[str, Any]) -> None:
    for kind in ("inputs", "outputs"):
        for stored in _decoder(document)["golden"][kind].values():
            stored["shape"][0] += 1


REFUSED: dict[str, tuple[Change, int, str]] = {
    "no manifest": (
        lambda folder: (folder / "manifest.json").unlink(),
        1,
        "no bundle at {folder}: it has no manifest.json. "
        "Make one with: aeonnx export --model vae -o {folder}",
    ),
    "not JSON": (
        lambda folder: (folder / "manifest.json").write_text("{"),
        1,
        "{folder}/manifest.json: ",
    ),
    "another format": (
        lambda folder: with_manifest(folder, lambda found: found.update(format="zip")),
        1,
        '{folder}/manifest.json: format: expected "aeonnx-bundle", got "zip"',
    ),
    "a newer format": (
        lambda folder: with_manifest(folder, lambda found: found.update(version=2)),
        1,
        "{folder}/manifest.json: version 2 is newer than this program, which reads 1: "
        "take a newer one",
    ),
    "a bad digest": (
        lambda folder: with_manifest(folder, lambda found: _decoder(found).update(sha256="x")),
        1,
        '{folder}/manifest.json: parts.decoder.fp32.sha256: expected 64 hex digits, got "x"',
    ),
    "a path outside": (
        lambda folder: with_manifest(folder, lambda found: _decoder(found).update(file="../a")),
        1,
        "{folder}/manifest.json: parts.decoder.fp32.file: expected a path inside the bundle, "
        'got "../a"',
    ),
    "no graph": (
        lambda folder: graph_file(folder, "decoder").unlink(),
        1,
        "{folder}/decoder.onnx is missing, though the manifest names it: export the bundle again",
    ),
    "a changed graph": (
        lambda folder: _flip(folder, "decoder.onnx"),
        1,
        "{folder}/decoder.onnx is not the file that the manifest names: expected sha256 ",
    ),
    "a changed golden file": (
        lambda folder: _flip(folder, "golden/decoder/z.bin"),
        1,
        "{folder}/golden/decoder/z.bin is not the file that the manifest names: expected sha256 ",
    ),
    "a golden file of another size": (
        lambda folder: with_manifest(folder, _widened),
        1,
        "{folder}/golden/decoder/",
    ),
    "another output": (
        lambda folder: with_graph(folder, "decoder.onnx", _renamed),
        1,
        "decoder.onnx: expected output reconstruction float32 [batch, 1, 28, 28], the graph has ",
    ),
    "not a graph": (
        lambda folder: _replace(folder, "decoder.onnx", b"not a graph"),
        1,
        "decoder.onnx",
    ),
}
"""What was done to the `vae` bundle, the exit code of `check`, and how its error starts."""

WRONG: dict[str, Change] = {
    "an output": _other_golden,
    "weights": lambda folder: with_graph(
        folder, "decoder.onnx", lambda graph: _first_weights(graph, lambda values: values * 1.01)
    ),
    "not a number": lambda folder: with_graph(
        folder,
        "decoder.onnx",
        lambda graph: _first_weights(graph, lambda values: np.full_like(values, np.nan)),
    ),
}
"""What `check` must find wrong with the decoder of the `vae` bundle."""
