"""Damages a bundle at random and uses it: `python mutate.py BUNDLE FIRST COUNT`.

A process of its own, with limits, since what is damaged may crash, hang or eat memory. Every seed
is printed before it is tried; anything but an `AeonnxError` ends the process with a traceback.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import aeonnx
from aeonnx import runtime
from aeonnx.errors import AeonnxError

MEMORY = 4 * 2**30
SECONDS = 30
NUMBERS = (True, -1, 0, -0.0, 7, 2**31, 2**63, 10**30, 1e308)
ODD = (None, *NUMBERS, "", "x", "../x", "\0", [], {}, [[]])


def main(bundle: Path, first: int, count: int) -> None:
    """Try the seeds `first` to `first + count - 1`."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    files = {path.name: path.read_bytes() for path in sorted(bundle.glob("*.*"))}
    places = {name: structure(data) for name, data in files.items() if name.endswith(".onnx")}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "bundle"
        shutil.copytree(bundle, folder)
        for seed in range(first, first + count):
            print(seed, flush=True)
            rng = random.Random(seed)
            signal.alarm(SECONDS)
            changed = damaged(rng, files, places)
            for name, data in changed.items():
                (folder / name).write_bytes(data)
            use(folder)
            signal.alarm(0)
            for name in changed:
                (folder / name).write_bytes(files[name])


def structure(graph: bytes) -> list[int]:
    """Offsets of what is not a weight, where nearly all bytes of a graph are: the rest is rare."""
    kept = bytearray(b"\1" * len(graph))
    for weights in onnx.load_model_from_string(graph).graph.initializer:
        start = graph.find(weights.raw_data)
        if len(weights.raw_data) > 64:
            kept[start : start + len(weights.raw_data)] = bytes(len(weights.raw_data))
    return list(compress(range(len(graph)), kept))


def damaged(
    rng: random.Random, files: dict[str, bytes], places: dict[str, list[int]]
) -> dict[str, bytes]:
    """The files that differ: the manifest, or a graph, in half of the cases with its new digest."""
    manifest = files["manifest.json"]
    if rng.random() < 0.5:
        if rng.random() < 0.5:
            return {"manifest.json": other_bytes(rng, manifest, range(len(manifest)))}
        return {"manifest.json": other_values(rng, json.loads(manifest))}
    name = rng.choice(sorted(places))
    graph = other_bytes(rng, files[name], places[name])
    if rng.random() < 0.5:
        return {name: graph}
    old, new = (hashlib.sha256(data).hexdigest().encode() for data in (files[name], graph))
    return {name: graph, "manifest.json": manifest.replace(old, new)}


def other_bytes(rng: random.Random, data: bytes, places: Sequence[int]) -> bytes:
    """Bits flipped, bytes replaced, removed, inserted, repeated, or the end cut off."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.choice(places)
        length = rng.choice((1, 1, 2, 8, 64))
        match rng.randrange(6):
            case 0:
                changed[at % len(changed)] ^= 1 << rng.randrange(8)
            case 1:
                changed[at : at + length] = rng.randbytes(length)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = rng.randbytes(length)
            case 4:
                changed[at:at] = changed[at : at + length]
            case 5 if rng.random() < 0.2:
                del changed[max(at, 1) :]
    return bytes(changed)


def other_values(rng: random.Random, document: dict[str, Any]) -> bytes:
    """Still JSON: values somewhere in it replaced, removed, or swapped with others."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        holder: Any = document
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(holder[key], dict | list) and rng.random() < 0.9:
                holder = holder[key]
                continue
            if rng.random() < 0.2:
                del holder[key]
            elif rng.random() < 0.2:
                holder[key] = holder[rng.choice(keys)]
            else:
                holder[key] = rng.choice(ODD)
            break
    return json.dumps(document).encode()


def use(folder: Path) -> None:
    """Load the bundle and do all that it can."""
    try:
        bundle = aeonnx.load(folder, providers=["cpu"])
    except AeonnxError:
        return
    rng = np.random.default_rng(0)
    x = rng.random((3, 1, 28, 28), dtype=np.float32)
    z = rng.standard_normal((3, 20), dtype=np.float32)
    verbs: list[Callable[[], object]] = [
        lambda: bundle.encode(x),
        lambda: bundle.encode(x.astype(np.uint8)),
        lambda: bundle.decode(z),
        lambda: bundle.reconstruct(x),
        lambda: bundle.denoise(x),
        lambda: bundle.classify(x),
        lambda: bundle.generate(3, seed=1),
        lambda: runtime.verify(bundle),
    ]
    for part, variants in bundle.manifest.parts.items():
        feeds = {"x": x, "z": z, "seed": np.array([1]), "index": np.arange(3)}
        inputs = {
            spec.name: feeds.get(spec.name, z) for item in variants.values() for spec in item.inputs
        }
        verbs.append(lambda part=part, inputs=inputs: bundle.run(part, **inputs))
    for verb in verbs:
        try:
            verb()
        except AeonnxError:
            continue


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
