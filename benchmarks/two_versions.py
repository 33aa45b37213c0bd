"""Compare the speed of two versions of aeonnx, in turns.

    git worktree add build/before COMMIT
    .venv/bin/python benchmarks/two_versions.py build/before [-o benchmarks/results/two_versions.md]

Each version trains a `vae` for an epoch and exports it with its own code. Then both run in turns,
each in a process of its own: a cold start to the first image, and a decoder at batches 1, 32 and
1024 beside bare onnxruntime on one core. Figures are medians over the rounds. Both versions run on
the packages of this environment.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import children
from machine import describe

ROOT = Path(__file__).resolve().parents[1]
BATCHES = (1, 32, 1024)

MAKE = """
import sys
from pathlib import Path
try:
    from aeonnx.exporting import ExportOptions, export
    from aeonnx.training import TrainOptions, train
except ImportError:  # names of an older version
    from aeonnx.export import ExportOptions, export
    from aeonnx.train import TrainOptions, train
folder = Path(sys.argv[1])
train(TrainOptions("vae", folder / "run", epochs=1, device="cpu"))
export(ExportOptions("vae", folder / "bundle", folder / "run"))
"""
START = """
import time; began = time.perf_counter()
import sys, aeonnx
aeonnx.load(sys.argv[1], ["cpu"]).generate(1, seed=7)
print(time.perf_counter() - began)
"""
DECODE = """
import json, os, random, statistics, sys, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np, onnxruntime as ort, aeonnx
bundle = aeonnx.load(sys.argv[1], ["cpu"], threads=1)
options = ort.SessionOptions()
options.intra_op_num_threads = 1
path = str(bundle.path("decoder"))
bare = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
found = {}
for batch in json.loads(sys.argv[2]):
    z = np.random.default_rng(batch).normal(size=(batch, 20)).astype(np.float32)
    out = np.empty((batch, 1, 28, 28), np.float32)
    runs = {
        "bare": lambda: bare.run(["reconstruction"], {"z": z}),
        "decode": lambda: bundle.decode(z),
        "decode, out=": lambda: bundle.decode(z, out=out),
    }
    times = {name: [] for name in runs}
    count = max(1, 400 // batch)
    for _ in range(20):
        for name in random.sample(list(runs), len(runs)):
            began = time.perf_counter()
            for _ in range(count):
                runs[name]()
            times[name].append((time.perf_counter() - began) / count * 1e6)
    for name, taken in times.items():
        found[f"{name}, batch {batch}"] = statistics.median(taken[2:])
print(json.dumps(found))
"""


def said(version: Path, code: str, *arguments: str) -> str:
    """What a program prints that imports a version of the package."""
    settings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    child = children.run(
        [sys.executable, "-c", code, *arguments],
        cwd=version,  # python -c finds modules there first
        env={**settings, "PYTHONPATH": str(version)},
        keep="stdout",
    )
    if child.code:
        raise SystemExit(f"{version}: {child.said}")
    return child.said


def main() -> None:
    """Print the table, and write it to the file of -o."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path, help="a checkout of the other version")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    versions = {"before": arguments.before.resolve(), "after": ROOT}
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in versions}
    with tempfile.TemporaryDirectory() as folder:
        for name, version in versions.items():
            said(version, MAKE, f"{folder}/{name}")
        for number in range(arguments.rounds + 1):
            for name, version in versions.items():
                bundle = f"{folder}/{name}/bundle"
                start = float(said(version, START, bundle))
                decoded = json.loads(said(version, DECODE, bundle, json.dumps(BATCHES)))
                if number:  # the first round warms up
                    found[name]["start to the first image, ms"].append(start * 1e3)
                    for what, microseconds in decoded.items():
                        found[name][f"{what}, us"].append(microseconds)
    lines = ["| | before | after | after / before |", "|---|---|---|---|"]
    for what in found["after"]:
        pair = [statistics.median(found[name][what]) for name in versions]
        lines.append(f"| {what} | {pair[0]:,.1f} | {pair[1]:,.1f} | {pair[1] / pair[0]:.2f} |")
    text = (
        f"{describe('onnxruntime', 'numpy')}; one core for the decoder of a vae, 20-400-784. "
        f"Medians of {arguments.rounds} rounds, each version in a process of its own.\n\n"
        + "\n".join(lines)
        + "\n"
    )
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
