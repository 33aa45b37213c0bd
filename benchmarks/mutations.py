"""Measure how many graphs with a single wrong weight the gate refuses.

    .venv/bin/python benchmarks/mutations.py [--changes 100] [-o benchmarks/results/mutations.md]

Changes one random weight of an exported graph by 0.001, runs the gate on the graph, and counts
refusals: once with all probes, once without activation rows.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from machine import describe
from onnx import numpy_helper

from aeonnx import checkpoint, models
from aeonnx.exporting import ExportOptions, export
from aeonnx.exporting.capture.program import program_of
from aeonnx.exporting.verify.compare import compare
from aeonnx.exporting.verify.inputs import real_inputs, rows_of
from aeonnx.exporting.verify.probes import Rows, probes
from aeonnx.models import Part
from aeonnx.runtime import Session
from aeonnx.training import TrainOptions, train

CHANGE = 1e-3


def judge(path: Path, name: str, part: Part, rows: Rows, changes: int) -> Counter[str]:
    """Count `changes` graphs with one weight changed as "refused", "silent" or "small".

    "silent" graphs have exactly the outputs of the correct one on all rows: the weight belongs to a
    unit that no row activates. "small" ones differ by less than the tolerance.
    """
    rng = np.random.default_rng(0)
    right = Session(path, ["cpu"]).run(rows.values)
    counts: Counter[str] = Counter()
    for i in range(changes):
        graph = onnx.load(path)
        weights = [t for t in graph.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
        tensor = weights[i % len(weights)]
        values = numpy_helper.to_array(tensor).copy()
        values.flat[rng.integers(values.size)] += CHANGE
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        broken = path.with_name("broken.onnx")
        onnx.save(graph, broken)
        session = Session(broken, ["cpu"])
        wrong = session.run(rows.values)
        if not compare(name, part, session, rows).passed:
            counts["refused"] += 1
        elif all(np.array_equal(wrong[key], right[key]) for key in right):
            counts["silent"] += 1
        else:
            counts["small"] += 1
    return counts


def main() -> None:
    """Print the table, and write it to the file of -o."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--models", nargs="*", default=models.names())
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    without = "refused without activation rows"
    columns = ("model", "arch", "part", "refused", "small", "silent", without)
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            for arch in models.archs(model, one_size=True):
                run, output = Path(folder) / f"{model}-{arch}", Path(folder) / f"{model}-{arch}-b"
                train(TrainOptions(model, run, arch=arch, epochs=arguments.epochs, device="cpu"))
                made = export(ExportOptions(model, output, run, parts=("encoder", "decoder")))
                trained = checkpoint.load(run, model)
                parts = trained.model.parts()
                real = real_inputs(trained, parts)
                for name in ("encoder", "decoder"):
                    part = parts[name]
                    path = output / made.manifest.parts[name]["fp32"].file
                    rows, _ = rows_of(part, program_of(part), real)
                    plain = probes(part.inputs, real)
                    woken = judge(path, name, part, rows, arguments.changes)
                    asleep = judge(path, name, part, plain, arguments.changes)
                    counts = (woken["refused"], woken["small"], woken["silent"], asleep["refused"])
                    shares = " | ".join(f"{count / arguments.changes:.0%}" for count in counts)
                    lines.append(f"| {model} | {arch} | {name} | {shares} |")
                    print(lines[-1], flush=True)
    head = (
        f"{describe('torch', 'onnxruntime')}. {arguments.changes} graphs per row, each with one "
        f"weight changed by {CHANGE:g}; {arguments.epochs} epochs on mnist-sample."
    )
    text = f"{head}\n\n" + "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
