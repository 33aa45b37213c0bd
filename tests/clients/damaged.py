"""Bundles with one thing wrong: each takes a copy of a bundle and says what a client must say."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support import golden_file, graph_file

__all__ = ["REFUSED", "UNFIT", "WRONG", "replace", "with_graph", "with_manifest", "with_rows"]

Change = Callable[[Path], object]


def with_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest of a bundle."""
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def with_graph(
    folder: Path, part: str, change: Callable[[onnx.ModelProto], object], variant: str = "fp32"
) -> None:
    """Change a graph of a bundle, and with it what the manifest says of the file."""
    path = graph_file(folder, part, variant)
    graph = onnx.load(path)
    change(graph)
    replace(folder, path, graph.SerializeToString())


def replace(folder: Path, path: Path, data: bytes) -> None:
    """Change a file of a bundle, and with it what the manifest says of it."""
    digests = [hashlib.sha256(text).hexdigest() for text in (path.read_bytes(), data)]
    name, size = path.relative_to(folder).as_posix(), len(data)
    path.write_bytes(data)

    def follow(found: Any) -> None:
        if isinstance(found, dict) and found.get("file") == name:
            found["sha256"] = found["sha256"].replace(*digests)
            if "bytes" in found:
                found["bytes"] = size
        if isinstance(found, dict | list):
            for item in found.values() if isinstance(found, dict) else found:
                follow(item)

    with_manifest(folder, follow)


def with_rows(folder: Path, rows: dict[int, tuple[float, float]], others: float) -> None:
    """Move one golden value in some rows of the decoder's output.

    Args:
        folder: of the bundle.
        rows: by row, how far, and the row's tolerance.
        others: tolerance of all other rows.
    """
    path = golden_file(folder, "decoder", "reconstruction")
    tolerance: list[float] = []

    def change(document: dict[str, Any]) -> None:
        stored = _golden(document)
        tolerance[:] = [others] * stored["shape"][0]
        for row, (_, its) in rows.items():
            tolerance[row] = its
        stored["tolerance"] = tolerance

    with_manifest(folder, change)
    values = np.frombuffer(path.read_bytes(), "<f4").reshape(len(tolerance), -1).copy()
    for row, (off, _) in rows.items():
        values[row, row] += off
    replace(folder, path, values.tobytes())


def _decoder(document: dict[str, Any]) -> dict[str, Any]:
    variant: dict[str, Any] = document["parts"]["decoder"]["fp32"]
    return variant


def _golden(document: dict[str, Any]) -> dict[str, Any]:
    golden: dict[str, Any] = _decoder(document)["golden"][0]["outputs"]["reconstruction"]
    return golden


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _first_weights(graph: onnx.ModelProto, change: Callable[[Any], Any]) -> None:
    weights = max(graph.graph.initializer, key=lambda item: len(item.raw_data))
    values = numpy_helper.to_array(weights).copy()
    values.flat[:] = change(values.reshape(-1))
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))


def _other_golden(folder: Path) -> None:
    path = golden_file(folder, "decoder", "reconstruction")
    values = np.frombuffer(path.read_bytes(), "<f4").copy()
    values[-1] += 0.5
    replace(folder, path, values.tobytes())


def _renamed(graph: onnx.ModelProto) -> None:
    graph.graph.output[0].name = "y"
    next(node for node in graph.graph.node if "reconstruction" in node.output).output[0] = "y"


def _widened(document: dict[str, Any]) -> None:
    for kind in ("inputs", "outputs"):
        for stored in _decoder(document)["golden"][0][kind].values():
            stored["shape"][0] += 1
            if kind == "outputs":
                stored["tolerance"].append(0.5)


def _axis(multiple: int, least: int) -> dict[str, int | None]:
    return {"multiple": multiple, "min": least, "max": None, "margin": 0}


def _in_manifest(change: Callable[[dict[str, Any]], object]) -> Change:
    return lambda folder: with_manifest(folder, change)


def _infinite(folder: Path) -> None:
    path = folder / "manifest.json"
    text, found = re.subn(r'("tolerance": \[\s*)[^,\s]+', r"\g<1>1e999", path.read_text(), count=1)
    assert found
    path.write_text(text)


def _denoiser(kind: str, limits: list[float] | None) -> Change:
    return _in_manifest(
        lambda found: found["parts"]["denoiser"]["fp32"][kind][0].update(range=limits)
    )


def _special(make: Callable[[Path], object]) -> Change:
    def change(folder: Path) -> None:
        (folder / "manifest.json").unlink()
        make(folder / "manifest.json")

    return change


def _in_decoder(change: Callable[[onnx.ModelProto], object]) -> Change:
    return lambda folder: with_graph(folder, "decoder", change)


def _endless(graph: onnx.ModelProto) -> None:
    """A loop that never ends, before the first node."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, None),
        ],
    )
    forever = helper.make_node("Loop", ["", "", "z"], ["looped"], body=body)
    for node in graph.graph.node:
        node.input[:] = ["looped" if name == "z" else name for name in node.input]
    graph.graph.node.insert(0, forever)


def _foreign(graph: onnx.ModelProto) -> None:
    graph.opset_import.add(domain="com.microsoft", version=1)
    graph.graph.node[0].domain = "com.microsoft"


def _elsewhere(graph: onnx.ModelProto) -> None:
    weights = graph.graph.initializer[0]
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="secret.txt")
    weights.ClearField("raw_data")


def _with_function(graph: onnx.ModelProto) -> None:
    graph.functions.add(name="f", domain="")


def _sparse(graph: onnx.ModelProto) -> None:
    graph.graph.sparse_initializer.add()


_IN_MANIFEST = "{folder}/manifest.json: parts.decoder.fp32."
_OF_TOLERANCE = _IN_MANIFEST + "golden[0].outputs.reconstruction.tolerance"
_FLOATS = "float32 [batch, 1, 28, 28] in a range [low, high] whose width is a float32 above 0"
_INSTEAD = ": export it with such a range, or take its floats with the library's run\n"

REFUSED: dict[str, tuple[Change, int, str]] = {
    "no manifest": (
        lambda folder: (folder / "manifest.json").unlink(),
        1,
        "no bundle at {folder}: it has no manifest.json. "
        "Make one with: aeonnx export --model MODEL -o {folder}",
    ),
    "a manifest that is a FIFO": (_special(os.mkfifo), 1, ""),
    "a manifest that never ends": (
        _special(lambda path: path.symlink_to("/dev/zero")),
        1,
        "",
    ),
    "a manifest of a gigabyte": (
        _special(lambda path: path.touch() or os.truncate(path, 2**30)),
        1,
        "",
    ),
    "not JSON": (
        lambda folder: (folder / "manifest.json").write_text("{"),
        1,
        "{folder}/manifest.json: ",
    ),
    "another format": (
        _in_manifest(lambda found: found.update(format="zip")),
        1,
        '{folder}/manifest.json: format: expected "aeonnx-bundle", got "zip"',
    ),
    "a newer format": (
        _in_manifest(lambda found: found.update(version=3)),
        1,
        "{folder}/manifest.json: version 3 is newer than this program, which reads 2: "
        "take a newer one",
    ),
    "an older format": (
        _in_manifest(lambda found: found.update(version=1)),
        1,
        "{folder}/manifest.json: version 1 is older than this program, which reads 2: "
        "export the bundle again",
    ),
    "an axis that no tensor has": (
        _in_manifest(lambda found: _decoder(found)["axes"].update(height=_axis(1, 1))),
        1,
        _IN_MANIFEST + "axes",
    ),
    "an axis of no size": (
        _in_manifest(lambda found: _decoder(found)["axes"]["batch"].update(min=0)),
        1,
        _IN_MANIFEST + "axes.batch.min: expected ",
    ),
    "no such kind": (
        _in_manifest(lambda found: _decoder(found)["inputs"][0].update(kind="picture")),
        1,
        _IN_MANIFEST + "inputs[0].kind: expected ",
    ),
    "no parts": (
        _in_manifest(lambda found: found.update(parts={})),
        1,
        "{folder}/manifest.json: parts: expected at least one part",
    ),
    "a bad digest": (
        _in_manifest(lambda found: _decoder(found).update(sha256="x")),
        1,
        '{folder}/manifest.json: parts.decoder.fp32.sha256: expected 64 hex digits, got "x"',
    ),
    "a path outside": (
        _in_manifest(lambda found: _decoder(found).update(file="../a")),
        1,
        "{folder}/manifest.json: parts.decoder.fp32.file: expected a path inside the bundle, "
        'got "../a"',
    ),
    "an infinite tolerance": (
        _infinite,
        1,
        "{folder}/manifest.json: ",
    ),
    "a tolerance of nothing": (
        _in_manifest(lambda found: _golden(found)["tolerance"].__setitem__(3, 0)),
        1,
        _OF_TOLERANCE + "[3]: expected a number above 0, got 0\n",
    ),
    "one tolerance for all rows": (
        _in_manifest(lambda found: _golden(found).update(tolerance=0.5)),
        1,
        _OF_TOLERANCE + ": expected {rows} numbers above 0, got 0.5\n",
    ),
    "no tolerance": (
        _in_manifest(lambda found: _golden(found).update(tolerance=None)),
        1,
        _OF_TOLERANCE + ": expected {rows} numbers above 0, got n",  # null, or nothing
    ),
    "a tolerance too many": (
        _in_manifest(lambda found: _golden(found)["tolerance"].append(0.5)),
        1,
        _OF_TOLERANCE + ": expected {rows} numbers above 0, got a list of {more}\n",
    ),
    "a name that steers the terminal": (
        _in_manifest(lambda found: found.update(model="\x1b[2Jvae")),
        1,
        "{folder}/manifest.json: model: ",
    ),
    "no graph": (
        lambda folder: graph_file(folder, "decoder").unlink(),
        1,
        "{decoder} is missing, though the manifest names it: export the bundle again",
    ),
    "a changed graph": (
        lambda folder: _flip(graph_file(folder, "decoder")),
        1,
        "{decoder} is not the file that the manifest names: expected sha256 ",
    ),
    "a graph that is cut": (
        lambda folder: os.truncate(graph_file(folder, "decoder"), 100),
        1,
        "{decoder} is not the file that the manifest names: expected ",
    ),
    "a changed golden file": (
        lambda folder: _flip(golden_file(folder, "decoder", "z")),
        1,
        "{z} is not the file that the manifest names: expected sha256 ",
    ),
    "a golden file of another size": (_in_manifest(_widened), 1, "{folder}/golden/decoder/"),
    "another output": (
        _in_decoder(_renamed),
        1,
        "{name}: expected output reconstruction float32 [batch, 1, 28, 28], the graph has ",
    ),
    "not a graph": (
        lambda folder: replace(folder, graph_file(folder, "decoder"), b"not a graph"),
        1,
        "{name} is not an ONNX graph: ",
    ),
    "an endless loop": (_in_decoder(_endless), 1, "{name}: a bundle never holds a subgraph (Loop)"),
    "a foreign operator": (
        _in_decoder(_foreign),
        1,
        '{name}: a bundle never holds operators of the domain "com.microsoft"',
    ),
    "weights elsewhere": (
        _in_decoder(_elsewhere),
        1,
        "{name}: a bundle never holds weights in other files",
    ),
    "functions": (_in_decoder(_with_function), 1, "{name}: a bundle never holds functions"),
    "sparse weights": (_in_decoder(_sparse), 1, "{name}: a bundle never holds sparse weights"),
}
"""What was done to the `vae` bundle, the exit code of `check`, and how its error starts."""


def _twice(graph: onnx.ModelProto, output: str) -> None:
    """Give all rows twice, and say otherwise."""
    next(node for node in graph.graph.node if output in node.output).output[:] = ["once"]
    graph.graph.node.append(helper.make_node("Concat", ["once", "once"], [output], axis=0))


def of_others(document: dict[str, Any], part: str) -> None:
    """Tensors that are no images, where there were some."""
    for variant in document["parts"][part].values():
        for spec in (*variant["inputs"], *variant["outputs"]):
            if spec["kind"] == "image":
                spec["kind"] = "other"


UNFIT: dict[str, tuple[str, str, Change, str]] = {
    "a sampler of no images": (
        "vae",
        "generate",
        _in_manifest(lambda found: of_others(found, "sampler")),
        "this bundle's sampler cannot generate: expected ",
    ),
    "a denoiser of no images": (
        "dae",
        "denoise",
        _in_manifest(lambda found: of_others(found, "denoiser")),
        "this bundle's denoiser cannot denoise: expected ",
    ),
    "a denoiser of numbers": (
        "dae",
        "denoise",
        _in_manifest(
            lambda found: found["parts"].update(denoiser=found["parts"]["encoder"]),
        ),
        "this bundle's denoiser cannot denoise: expected ",
    ),
    "a denoiser that takes any floats": (
        "dae-conv",
        "denoise",
        _denoiser("inputs", None),
        f"this bundle's denoiser cannot denoise: expected x {_FLOATS}, "
        f"got one of any range{_INSTEAD}",
    ),
    "a denoiser that gives any floats": (
        "dae-conv",
        "denoise",
        _denoiser("outputs", None),
        f"this bundle's denoiser cannot denoise: expected reconstruction {_FLOATS}, "
        f"got one of any range{_INSTEAD}",
    ),
    "a denoiser of one value": (
        "dae-conv",
        "denoise",
        _denoiser("outputs", [1, 1]),
        f"this bundle's denoiser cannot denoise: expected reconstruction {_FLOATS}, "
        f"got one in [1, 1]{_INSTEAD}",
    ),
    "a denoiser of more than float32 has": (
        "dae-conv",
        "denoise",
        _denoiser("outputs", [0, 1e300]),
        f"this bundle's denoiser cannot denoise: expected reconstruction {_FLOATS}, "
        "got one in [0, ",
    ),
    "rows that come twice": (
        "vae",
        "generate",
        lambda folder: with_graph(folder, "sampler", lambda graph: _twice(graph, "image")),
        "{sampler} gave image uint8 [",
    ),
}
"""The bundle, the verb, what was done, and how the verb's error starts."""

WRONG: dict[str, Change] = {
    "an output": _other_golden,
    "weights": _in_decoder(lambda graph: _first_weights(graph, lambda values: values * 1.01)),
    "not a number": _in_decoder(
        lambda graph: _first_weights(graph, lambda values: np.full_like(values, np.nan))
    ),
}
"""What `check` must find wrong with the decoder of the `vae` bundle."""
