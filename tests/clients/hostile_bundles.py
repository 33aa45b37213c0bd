"""Whole bundles with one thing wrong each.

    python -m tests.clients.hostile_bundles GOOD TARGET COUNT SEED

Each is a folder of links to the files of a good bundle, with some of them replaced. Where a graph
is replaced, its digest and size in the manifest follow, so that only the named thing is wrong. The
same seed makes the same bundles.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.clients.hostile_graphs import DAMAGED, made
from tests.clients.hostile_manifests import EDITS

__all__ = ["KINDS", "write"]

Document = dict[str, Any]


class Bundle:
    """A folder of links to a good bundle, to be changed.

    Args:
        good: the bundle that it starts as.
        folder: made here; must not be there.
    """

    def __init__(self, good: Path, folder: Path) -> None:
        self.folder = folder
        self.document: Document = json.loads((good / "manifest.json").read_text())
        for source in sorted(path for path in good.rglob("*") if path.is_file()):
            target = folder / source.relative_to(good)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source.resolve())

    def put(self, name: str, data: bytes) -> dict[str, Any]:
        """Write a file; its name, digest and size as a manifest says them."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        return {"file": name, "sha256": digest, "bytes": len(data)}

    def close(self) -> None:
        """Write the manifest, unless there is something else for it."""
        if self.document:
            self.put("manifest.json", json.dumps(self.document).encode())

    def some_variant(self, rng: random.Random) -> Document:
        part = rng.choice(sorted(self.document["parts"]))
        variant: Document = rng.choice(list(self.document["parts"][part].values()))
        return variant

    def some_file(self, rng: random.Random) -> Path:
        """A graph or a golden file."""
        variant = self.some_variant(rng)
        kind = rng.choice(("file", "inputs", "outputs"))
        golden = variant["golden"][0].get(kind, {"graph": variant})
        name: str = rng.choice(list(golden.values()))["file"]
        return self.folder / name


def edited(bundle: Bundle, rng: random.Random) -> None:
    """One value of the manifest is none of the format's."""
    edit = rng.choice(EDITS)
    bundle.put("manifest.json", edit(bundle.document, rng))
    bundle.document.clear()


def _sparse(path: Path) -> None:
    """8 GiB, which take no place."""
    path.touch()
    os.truncate(path, 2**33)


def replaced_file(bundle: Bundle, rng: random.Random) -> None:
    """No regular file where the manifest names one, or the manifest itself is none."""
    path = rng.choice((bundle.folder / "manifest.json", bundle.some_file(rng)))
    if path.name == "manifest.json":
        bundle.document.clear()
    path.unlink()
    forms: list[Callable[[Path], object]] = [
        os.mkfifo,
        Path.mkdir,
        lambda it: it.symlink_to("/dev/zero"),
        lambda it: it.symlink_to("/dev/tty"),
        lambda it: it.symlink_to(it.name),
        lambda it: it.symlink_to("nothing"),
        _sparse,
        lambda it: it.write_bytes(b""),
    ]
    rng.choice(forms)(path)


def cut_file(bundle: Bundle, rng: random.Random) -> None:
    """A file of the right name and the wrong content."""
    path = bundle.some_file(rng)
    data = bytearray(path.read_bytes())
    at = rng.randrange(len(data))
    change = rng.choice(("flip", "cut", "more"))
    if change == "flip":
        data[at] ^= 1 << rng.randrange(8)
    data = data[:at] if change == "cut" else data + b"\0" if change == "more" else data
    bundle.put(str(path.relative_to(bundle.folder)), bytes(data))


def damaged_graph(bundle: Bundle, rng: random.Random) -> None:
    """A graph holds what a bundle never holds, or is none; digest and size are right."""
    variant = bundle.some_variant(rng)
    data = rng.choice(DAMAGED)((bundle.folder / variant["file"]).read_bytes(), rng)
    variant.update(bundle.put(variant["file"], data))


def flipped_graph(bundle: Bundle, rng: random.Random) -> None:
    """Bytes of a graph are changed at random; digest and size are right. It may still be sound."""
    variant = bundle.some_variant(rng)
    data = bytearray((bundle.folder / variant["file"]).read_bytes())
    reach = len(data) if rng.random() < 0.3 else min(len(data), 2000)
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[-1 - rng.randrange(reach)] = rng.randrange(256)
    variant.update(bundle.put(variant["file"], bytes(data)))


def other_shapes(bundle: Bundle, rng: random.Random) -> None:
    """Manifest, graph and golden files agree with each other, and not with what a verb needs."""
    _take_made(bundle, rng, lies=False)


def lying_graph(bundle: Bundle, rng: random.Random) -> None:
    """A graph gives other shapes than it and the manifest say."""
    _take_made(bundle, rng, lies=True)


def _take_made(bundle: Bundle, rng: random.Random, *, lies: bool) -> None:
    part = rng.choice(("denoiser", "sampler", "scorer"))
    variant = copy.deepcopy(bundle.some_variant(rng))
    variant.pop("normal", None)
    graph = made(part, (1, 28, 28), rng, lies=lies)
    scored = any(spec["name"] == "error" for spec in graph.outputs)
    variant["percentiles"], variant["quality"] = {"error": {"p99": 0.5}} if scored else {}, None
    variant["inputs"], variant["outputs"] = graph.inputs, graph.outputs
    variant["parity"] = {}
    variant.update(bundle.put(f"{part}.made.onnx", graph.data))
    golden: Document = {"inputs": {}, "outputs": {}}
    variant["golden"] = [golden]
    rows = {spec["shape"][0] for spec in (*graph.inputs, *graph.outputs) if spec["shape"]}
    batch = {"multiple": 1, "min": 1, "max": None, "margin": 0}
    variant["axes"] = {"batch": batch} if "batch" in rows else {}
    for kind, name, dtype, shape, data in graph.golden:
        stored = bundle.put(f"golden/{part}.made/{name}.bin", data)
        del stored["bytes"]
        tolerance = [0.5] * shape[0] if kind == "outputs" and shape else None
        stored.update(dtype=dtype, shape=shape, tolerance=tolerance)
        golden[kind][name] = stored
    name = "fp32-uint8" if part == "denoiser" and rng.random() < 0.3 else "fp32"
    variants = {name: variant} if name == "fp32" else {"fp32": variant, name: variant}
    bundle.document["parts"] = {part: variants}
    if not lies and rng.random() < 0.3:
        axis = {"multiple": rng.choice((1, 8, 2**52)), "min": 2**52, "max": None, "margin": 2**52}
        variant["axes"][rng.choice(("batch", "height"))] = axis


KINDS: Mapping[str, tuple[Callable[[Bundle, random.Random], None], bool]] = {
    "edited": (edited, True),
    "replaced": (replaced_file, True),
    "cut": (cut_file, True),
    "damaged": (damaged_graph, True),
    "flipped": (flipped_graph, False),
    "shapes": (other_shapes, False),
    "lies": (lying_graph, True),
}
"""What is done to a bundle, and whether it must be refused; others may be found sound or wrong."""


def write(good: Path, target: Path, count: int, seed: int) -> dict[str, bool]:
    """Write `count` bundles into `target`, by name whether each must be refused.

    Args:
        good: a bundle with several parts; its files are linked to, and must stay.
        target: a folder, made if it is not there; must hold no bundle of the same name.
        count: how many; the kinds take turns.
        seed: of what is wrong with each.
    """
    names = {}
    for index in range(count):
        kind = list(KINDS)[index % len(KINDS)]
        change, must_be_refused = KINDS[kind]
        name = f"{index:05}-{kind}"
        bundle = Bundle(good, target / name)
        change(bundle, random.Random(f"{seed} {index}"))
        bundle.close()
        names[name] = must_be_refused
    return names


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
