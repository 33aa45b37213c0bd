"""Damaged manifests, and what Python says of each: as `fuzz` of a client is asked."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aeonnx._util import files
from aeonnx.bundle import golden, manifest
from aeonnx.errors import AeonnxError
from tests.runtime.mutate import other_bytes, other_values

__all__ = ["FAULTS", "Damage", "accepted", "by_hand", "damage", "edited", "refusal"]


@dataclass(frozen=True)
class Damage:
    """A damaged manifest.

    Args:
        text: of the file.
        says: what Python's refusal holds, the field first.
        in_schema: whether the schema can say it too.
        in_clients: whether it is in what clients read.
    """

    text: bytes
    says: str
    in_schema: bool = False
    in_clients: bool = True


def damage(bundle: Path, folder: Path, count: int) -> None:
    """Write damaged manifests of a bundle, and which of them Python accepts.

    Args:
        bundle: a sound one.
        folder: gets `bundle`, a copy; `manifests/*.json`: the sound manifest, one with each of
            `FAULTS`, and `count` that are damaged at random; and `accepted.json`, the names of the
            manifests that Python accepts.
        count: see `folder`.
    """
    shutil.copytree(bundle, folder / "bundle")
    (folder / "manifests").mkdir()
    whole = (bundle / manifest.FILE_NAME).read_bytes()
    made = {name: item.text for name, item in by_hand(whole).items() if item.in_clients}
    texts = {"whole": whole, **made, **_at_random(whole, count)}
    for name, text in texts.items():
        (folder / "manifests" / f"{name}.json").write_bytes(text)
    sound = [name for name, text in texts.items() if accepted(folder / "bundle", text)]
    (folder / "accepted.json").write_text(json.dumps(sound))


def accepted(folder: Path, text: bytes) -> bool:
    """Whether Python takes the text for the manifest of the bundle in `folder`, files included."""
    return refusal(folder, text) is None


def refusal(folder: Path, text: bytes) -> str | None:
    """Why Python does not take it; None if it does."""
    try:
        read = manifest.parse(text)
        for name, known in manifest.contents(read).items():
            files.read_verified(folder / name, *known)
        for variants in read.parts.values():
            for variant in variants.values():
                for stored in variant.golden:
                    golden.read_all(folder, stored.inputs)
                    golden.read_all(folder, stored.outputs)
    except AeonnxError as error:
        return str(error)
    return None


def _at_random(whole: bytes, count: int) -> dict[str, bytes]:
    document = json.dumps(json.loads(whole))
    made = {}
    for seed in range(count):
        rng = random.Random(seed)
        if seed % 2:
            text = other_bytes(rng, whole, range(len(whole)))
        else:
            text = other_values(rng, json.loads(document))
        made[f"random-{seed:04}"] = text
    return made


def by_hand(whole: bytes) -> dict[str, Damage]:
    """What chance does not find, by name: each is one fault in a manifest that is sound else."""
    made = dict(_no_manifests(whole))
    for path, value, says in FAULTS:
        field = path.rpartition(".")[2]
        name = f"{field}-{sum(key.startswith(f'{field}-') for key in made)}"
        read = not {*path.split(".")} & {*_UNREAD}
        made[name] = Damage(edited(whole, path, value), says, in_schema=True, in_clients=read)
    for path, value, says in _FAULTS_BEYOND_THE_SCHEMA:
        made[f"beyond-{len(made)}"] = Damage(edited(whole, path, value), says)
    for path, value, says in _FAULTS_UNREAD:
        made[f"rows-{len(made)}"] = Damage(edited(whole, path, value), says, in_clients=False)
    return made


def _no_manifests(whole: bytes) -> Iterator[tuple[str, Damage]]:
    """Texts that are no document at all, or one that no parser should follow."""
    deep = b'"x": ' + b"[" * 100_000 + b', "training"'
    for name, text, says in (
        ("empty", b"", "not JSON"),
        ("list", b"[]", 'expected "format"'),
        ("null", b"null", 'expected "format"'),
        ("utf-8", b'{"a": "\xff"}', "not JSON"),
        ("deep", b"[" * 1_000_000, "not JSON"),
        ("deep-object", b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "not JSON"),
        ("deep-inside", whole.replace(b'"training"', deep), "not JSON"),
        ("long-number", whole.replace(b'"version": 2', b'"version": 2' + b"0" * 10**5), "not JSON"),
    ):
        yield name, Damage(text, says)


_UNREAD = ("arch", "classes", "checkpoint_id", "tools", "blending")
"""Fields that clients skip."""

_GRAPH = "parts.decoder.fp32."
_STORED = "parts.decoder.fp32.golden.0.outputs.reconstruction."
_SEED = "parts.sampler.fp32.inputs.0."
_SIZES = _GRAPH + "parity.reconstruction.0.sizes"
_FIRST = _GRAPH + "golden.0.inputs."
_SHAPE = _GRAPH + "inputs.0.shape: expected sizes above 0"
_AXIS = _GRAPH + "axes.batch."
_INSIDE = "file: expected a path inside the bundle, got "
_TOLERANCE = "parts.decoder.fp32.golden.0.outputs.reconstruction.tolerance"
_PRINTABLE = "expected no control characters"
_SCORES = "parts.scorer.fp32."
_QUANTILES = "parts.scorer.fp32.normal.error.quantiles"
_101 = _QUANTILES + ": expected 101 finite numbers in ascending order"


@dataclass(frozen=True)
class Raw:
    """JSON as it is to be written."""

    text: str


def _in_row(value: Any, row: int = -1) -> Callable[[list[Any]], list[Any]]:
    """A list with another value in one place."""

    def change(items: list[Any]) -> list[Any]:
        items[row] = value
        return items

    return change


def _blending(**changes: Any) -> dict[str, Any]:
    """What blended tiles lose, with changes."""
    return {"tile": 64, "overlap": 16, "metric": "psnr", "value": 30.0, **changes}


FAULTS: tuple[tuple[str, Any, str], ...] = (
    (_GRAPH + "blending", _blending(tile=0), _GRAPH + "blending.tile: expected 1 or more, got 0"),
    (_GRAPH + "blending", _blending(metric="db"), _GRAPH + "blending.metric: expected one of psnr"),
    (_GRAPH + "blending", {"tile": 64}, _GRAPH + "blending: missing metric, overlap, value"),
    ("parts", {}, "parts: expected at least one part"),
    ("parts.decoder", {}, "parts.decoder: expected an fp32 graph"),
    ("parts.Decoder", Raw("{}"), "parts: expected lower case, got 'Decoder'"),
    (_GRAPH + "inputs", [], _GRAPH + "inputs: expected at least one tensor"),
    (_GRAPH + "outputs", [], _GRAPH + "outputs: expected at least one tensor"),
    (_GRAPH + "sha256", "12", _GRAPH + "sha256: expected 64 hex digits"),
    (_GRAPH + "bytes", 0, _GRAPH + "bytes: expected 1 to 2**31, got 0"),
    (_GRAPH + "bytes", 2**31 + 1, _GRAPH + "bytes: expected 1 to 2**31, got 2147483649"),
    (_GRAPH + "bytes", 1.5, _GRAPH + "bytes: expected a whole number, got 1.5"),
    (_STORED + "shape", [2**62, 4], _STORED + "shape: expected fewer than 2**50 values"),
    (_STORED + "shape", [2**63 - 1], _STORED + "shape: expected fewer than 2**50 values"),
    (_STORED + "shape", [2**64], _STORED + "shape: expected fewer than 2**50 values"),
    (_STORED + "shape", [-1, -784], _STORED + "shape: expected sizes above 0"),
    (_STORED + "shape", [0, 784], _STORED + "shape: expected sizes above 0"),
    (_STORED + "shape", [1e300], _STORED + "shape.0: expected a whole number, got 1e+300"),
    (_STORED + "shape", [True], _STORED + "shape.0: expected a whole number, got true"),
    (_TOLERANCE, 0.5, _TOLERANCE),
    (_TOLERANCE, None, _TOLERANCE),
    (_TOLERANCE, "0.5", _TOLERANCE),
    (_TOLERANCE, {"0": 0.5}, _TOLERANCE),
    (_TOLERANCE, _in_row(Raw("1e999"), 0), _TOLERANCE),
    (_TOLERANCE, _in_row(Raw("-1e999")), _TOLERANCE),
    (_TOLERANCE, _in_row(10**400), _TOLERANCE),
    (_TOLERANCE, _in_row(-1.0), _TOLERANCE),
    (_TOLERANCE, _in_row(0), _TOLERANCE),
    (_TOLERANCE, _in_row(0.0, 0), _TOLERANCE),
    (_TOLERANCE, _in_row(None), _TOLERANCE),
    (_TOLERANCE, _in_row("0.5"), _TOLERANCE),
    (_TOLERANCE, _in_row(True), _TOLERANCE),
    (_TOLERANCE, _in_row([0.5], 0), _TOLERANCE),
    (_GRAPH + "file", "/etc/passwd", _GRAPH + _INSIDE),
    (_GRAPH + "file", "../bundle/decoder.onnx", _GRAPH + _INSIDE),
    (_GRAPH + "file", "a\\b", _GRAPH + _INSIDE),
    (_GRAPH + "file", "", _GRAPH + _INSIDE),
    (_GRAPH + "file", ".", _GRAPH + _INSIDE),
    (_GRAPH + "file", "./decoder.onnx", _GRAPH + _INSIDE),
    (_GRAPH + "file", "golden//z.bin", _GRAPH + _INSIDE),
    (_GRAPH + "file", "golden/", _GRAPH + _INSIDE),
    (_GRAPH + "file", "a\0b", _GRAPH + "file: " + _PRINTABLE),
    (_GRAPH + "file", "a\x1b]0;b", _GRAPH + "file: " + _PRINTABLE),
    ("model", "vae\x9b2J", "model: " + _PRINTABLE),
    ("arch", "mlp\ud800", "arch: " + _PRINTABLE),
    ("classes", ["one\n"], "classes.0: " + _PRINTABLE),
    ("tools.x\x7f", "1", "tools: a name: " + _PRINTABLE),
    ("version", 1, "it has format version 1, this aeonnx reads version 2: make it again"),
    ("version", 3, "it has format version 3, this aeonnx reads up to 2"),
    (_GRAPH + "inputs.0.kind", "picture", _GRAPH + "inputs.0.kind: expected one of"),
    (_GRAPH + "inputs.0.shape", ["batch", "a*b"], _SHAPE),
    (_GRAPH + "inputs.0.shape", ["batch", "8*h/8"], _SHAPE),
    (_GRAPH + "inputs.0.shape", ["batch", "0*height"], _SHAPE),
    (_GRAPH + "inputs.0.shape", ["batch", "height/0"], _SHAPE),
    (_GRAPH + "inputs.0.shape", ["batch", "2*batch"], _SHAPE),
    (_GRAPH + "inputs.0.shape", ["batch", "batch"], _SHAPE),
    (_GRAPH + "inputs.0.shape", ["2*batch", 20], _SHAPE),
    (_GRAPH + "inputs.0.shape", ["batch", "height\n"], _GRAPH + "inputs.0.shape.1: " + _PRINTABLE),
    (_AXIS + "multiple", 0, _AXIS + "multiple: expected 1 or more"),
    (_AXIS + "multiple", -1, _AXIS + "multiple: expected 1 or more"),
    (_AXIS + "multiple", 2**53, _AXIS + "multiple: expected 1 or more"),
    (_AXIS + "multiple", 1.5, _AXIS + "multiple: expected a whole number"),
    (_AXIS + "min", 0, _AXIS + "min: expected a multiple of 1 above 0, got 0"),
    (_AXIS + "max", -1, _AXIS + "max: expected a multiple of 1 above 0, got -1"),
    (_AXIS + "max", 2**53, _AXIS + "max: expected a multiple of 1 above 0"),
    (_AXIS + "margin", -1, _AXIS + "margin: expected 0 or more, got -1"),
    (_GRAPH + "golden", [], _GRAPH + "golden: expected at least one set of vectors"),
    (_GRAPH + "golden", {}, _GRAPH + "golden: expected a list"),
    ("checkpoint_id", "f" * 63, "checkpoint_id: expected 64 hex digits"),
    (_SCORES + "percentiles", [], _SCORES + "percentiles: expected an object, got []"),
    (_SCORES + "percentiles", None, _SCORES + "percentiles: expected an object, got null"),
    (_SCORES + "percentiles.error", 1, _SCORES + "percentiles.error: expected an object, got 1"),
    (_SCORES + "percentiles.error.p95", "a", _SCORES + "percentiles.error.p95: expected a number"),
    (
        _SCORES + "percentiles.error.p99",
        Raw("1e999"),
        _SCORES + "percentiles.error.p99: expected a finite number, got Infinity",
    ),
    (_SCORES + "normal", None, _SCORES + "normal: expected an object, got null"),
    (_SCORES + "normal", [], _SCORES + "normal: expected an object, got []"),
    (_QUANTILES, {}, _QUANTILES + ": expected a list, got {}"),
    (_QUANTILES, lambda items: items[1:], _101),
    (_QUANTILES, lambda items: [*items, items[-1]], _101),
    (_QUANTILES, _in_row("0.5", 3), _QUANTILES + ".3: expected a number"),
    (_QUANTILES, _in_row(Raw("1e999")), _QUANTILES + ".100: expected a finite number"),
)
"""(field, value or what makes one of the old, what Python says), which the schema refuses too."""

_FAULTS_BEYOND_THE_SCHEMA: tuple[tuple[str, Any, str], ...] = (
    (_GRAPH + "axes", {}, _GRAPH + "axes: expected ['batch'], those of the tensors, got []"),
    (_GRAPH + "axes.height", {"multiple": 1, "min": 1, "max": None, "margin": 0}, _GRAPH + "axes"),
    (_GRAPH + "inputs.0.shape", ["batch", "width"], _GRAPH + "axes: expected ['batch', 'width']"),
    (_AXIS + "multiple", 5, _AXIS + "min: expected a multiple of 5 above 0, got 1"),
    (
        _GRAPH + "inputs.0.kind",
        "image",
        _GRAPH + "inputs.0.kind: expected 4 axes of a tensor of the",
    ),
    (
        _GRAPH + "inputs.0.kind",
        "seed",
        _GRAPH + "inputs.0.kind: expected 1 axes of a tensor of the",
    ),
    (_SEED + "missing", True, _SEED + "missing: expected floats, which have NaN, got int64"),
    (_GRAPH + "inputs.0.missing", 1, _GRAPH + "inputs.0.missing: expected "),
    (_GRAPH + "inputs.0.missing", None, _GRAPH + "inputs.0.missing: expected "),
    (_SCORES + "percentiles", {"x": {}}, _SCORES + "percentiles: expected outputs of the graph"),
    (_SCORES + "percentiles", {}, _SCORES + "normal: expected outputs with percentiles, got "),
    (_QUANTILES, lambda items: items[::-1], _101),
    (_QUANTILES, _in_row(0, 50), _101),
    (_TOLERANCE, lambda items: items[1:], _TOLERANCE),
    (_TOLERANCE, lambda items: [*items, items[0]], _TOLERANCE),
    (_TOLERANCE, lambda items: [items], _TOLERANCE),
    (_TOLERANCE, [], _TOLERANCE),
    (_GRAPH + "file", "golden", "golden: it is a folder, not a regular file"),
    (_GRAPH + "file", "none.onnx", "none.onnx is missing, though the manifest names it"),
    (_GRAPH + "sha256", "0" * 64, "is not the file that the manifest names: expected sha256 000"),
    (_GRAPH + "bytes", 5, "is not the file that the manifest names: expected 5 bytes, got "),
)
"""The same, of what only another field or a look at the files tells."""


_FAULTS_UNREAD: tuple[tuple[str, Any, str], ...] = (
    (
        _GRAPH + "blending",
        _blending(overlap=33),
        _GRAPH + "blending.overlap: expected 0 to 32, half of the tile, got 33",
    ),
    (_SIZES, {"": 1}, _SIZES + ": expected sizes above 0 by the name of their axis, got '': 1"),
    (
        _SIZES,
        {"height": 0},
        _SIZES + ": expected sizes above 0 by the name of their axis, got '",
    ),
    (_AXIS + "min", 2, _GRAPH + "axes.batch: expected any number of rows"),
    (_AXIS + "max", 10**6, _GRAPH + "axes.batch: expected any number of rows"),
    (_AXIS + "margin", None, _GRAPH + "axes.batch: expected any number of rows"),
)
"""The same, of what clients need not check."""


def edited(whole: bytes, path: str, value: Any) -> bytes:
    """The document with another value in one place, or what a function makes of the value there."""
    document = json.loads(whole)
    *steps, last = path.split(".")
    place = document
    for step in steps:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value(place[last]) if callable(value) else value
    text = json.dumps(document, default=lambda raw: f"@{raw.text}@")
    return re.sub('"@(.*?)@"', r"\1", text).encode()
