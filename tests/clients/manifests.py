"""Damaged manifests, and what Python says of each: as `fuzz` of a client is asked."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

from aeonnx import files, golden, manifest
from aeonnx.errors import AeonnxError
from tests.runtime.mutate import other_bytes, other_values

__all__ = ["accepted", "damage"]


def damage(bundle: Path, folder: Path, count: int) -> None:
    """Write `folder/bundle`, a copy, and `count` damaged manifests of it as `folder/manifests`."""
    shutil.copytree(bundle, folder / "bundle")
    (folder / "manifests").mkdir()
    whole = (bundle / manifest.FILE_NAME).read_bytes()
    for name, text in {**_by_hand(whole), **_at_random(whole, count)}.items():
        (folder / "manifests" / f"{name}.json").write_bytes(text)


def accepted(folder: Path, text: bytes) -> bool:
    """Whether Python takes the text for the manifest of the bundle in `folder`, files included."""
    try:
        read = manifest.parse(text)
        for variants in read.parts.values():
            for variant in variants.values():
                files.read_verified(folder / variant.file, variant.sha256)
                golden.read_all(folder, variant.golden.inputs)
                golden.read_all(folder, variant.golden.outputs)
    except AeonnxError:
        return False
    return True


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


def _by_hand(whole: bytes) -> dict[str, bytes]:
    """What chance does not find."""
    document = json.loads(whole)
    graph = document["parts"]["decoder"]["fp32"]
    stored = graph["golden"]["outputs"]["reconstruction"]
    made = {"whole": whole, "empty": b"", "list": b"[]", "null": b"null", "utf-8": b'{"a": "\xff"}'}
    made["deep"] = b"[" * 1_000_000
    made["deep-object"] = b'{"a":' * 200_000 + b"1" + b"}" * 200_000
    made["deep-inside"] = whole.replace(b'"training"', b'"x": ' + b"[" * 100_000 + b', "training"')
    made["long-number"] = whole.replace(b'"version": 1', b'"version": 1' + b"0" * 100_000)
    for shape in ([2**62, 4], [2**32, 2**32], [2**63 - 1], [2**64], [-1, -784], [1e300], [True]):
        stored["shape"] = shape
        made[f"shape-{len(made)}"] = json.dumps(document).encode()
    for tolerance in (float("nan"), float("inf"), -1.0, None, "0", 10**400):
        stored["tolerance"] = tolerance
        made[f"tolerance-{len(made)}"] = json.dumps(document).encode()
    for file in ("/etc/passwd", "../bundle/decoder.onnx", "a\\b", "", ".", "golden", "a\0b"):
        graph["file"] = file
        made[f"file-{len(made)}"] = json.dumps(document).encode()
    return made
