"""Time a cold start to the first image: `aeonnx generate` against bare onnxruntime and torch.

    .venv/bin/python benchmarks/startup.py BUNDLE CHECKPOINT [--runtime-python PYTHON]

Figures are medians over whole processes, which run interleaved. `--runtime-python` is the
interpreter of an environment with only the wheel and its `cpu` extra. "First image" is the time
from the first line of Python to the first decoded image, for `aeonnx generate` to the written PNG
of 64; the process time includes start and exit of the interpreter.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import children
from machine import describe

import aeonnx

CLOCK = "import time; started = time.perf_counter()\n"
SHOW = "\nprint(time.perf_counter() - started)"
EMPTY = f"{CLOCK}{SHOW}"
BARE = f"""{CLOCK}
import numpy as np, onnxruntime as ort
session = ort.InferenceSession({{graph!r}}, providers=["CPUExecutionProvider"])
session.run(None, {{{{"z": np.zeros((1, 20), np.float32)}}}}){SHOW}
"""
OURS = f"{CLOCK}import aeonnx\naeonnx.load({{bundle!r}}).generate(1, seed=7){SHOW}"
COMMAND = f"""{CLOCK}
import contextlib, io
from aeonnx.cli import cli
with contextlib.redirect_stdout(io.StringIO()):
    cli({{words!r}}, standalone_mode=False){SHOW}
"""
TORCH = f"""{CLOCK}
from pathlib import Path
from aeonnx import checkpoint
import torch
model = checkpoint.load(Path({{run!r}}), "vae").model
with torch.no_grad(): model.decoder(torch.zeros(1, 20)){SHOW}
"""


@dataclass
class Timing:
    """One command and its figures: seconds in total and to the first image, peak memory in MB."""

    name: str
    words: list[str]
    total: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)

    def run(self, *, keep: bool) -> None:
        """Start the process and wait for it."""
        # A user's Python caches bytecode, and does not compile modules at every start.
        settings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        child = children.run(self.words, env=settings, keep="stdout")
        assert child.code == 0, self.words
        if keep:
            self.total.append(child.seconds)
            self.peak.append(child.megabytes)
            if child.said[0].isdigit():
                self.first.append(float(child.said))

    @property
    def row(self) -> str:
        """The row of the table, with medians."""
        first = f"{statistics.median(self.first):.3f}" if self.first else ""
        total, peak = statistics.median(self.total), statistics.median(self.peak)
        return f"| {self.name} | {first} | {total:.3f} | {peak:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--runtime-python", default=sys.executable)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    light, heavy = arguments.runtime_python, sys.executable
    graph = aeonnx.load(arguments.bundle).path("decoder")
    bundle, run = str(arguments.bundle), str(arguments.checkpoint)
    names = {"bundle": bundle, "run": run, "graph": str(graph)}
    with tempfile.TemporaryDirectory() as folder:
        generate = ["generate", names["bundle"], "-n", "64", "--seed", "7", "--force"]
        words = [*generate, "-o", f"{folder}/grid.png"]
        timings = [
            Timing("empty Python", [light, "-c", EMPTY]),
            Timing("bare onnxruntime, 1 image", [light, "-c", BARE.format(**names)]),
            Timing("aeonnx.load, generate 1 image", [light, "-c", OURS.format(**names)]),
            Timing("aeonnx generate -n 64 -o grid.png", [light, "-c", COMMAND.format(words=words)]),
            Timing("torch, 1 image", [heavy, "-c", TORCH.format(**names)]),
        ]
        for repeat in range(arguments.repeat + 2):
            for timing in timings:
                timing.run(keep=repeat >= 2)
    lines = ["| process | first image, s | whole process, s | peak, MB |", "|---|---|---|---|"]
    lines += [timing.row for timing in timings]
    text = (
        f"{describe('torch', 'onnxruntime', 'numpy')}. Medians of {arguments.repeat}, after 2 to "
        "warm up.\n\n" + "\n".join(lines) + "\n"
    )
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
